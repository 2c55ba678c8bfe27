"""Vectors for the index benchmarks: like real ones, as many as wanted, the same every time.

Two kinds: `clusters` are random directions with noise round them; `jittered` are mixtures of real
picture vectors with noise. Both come in batches that depend on the seed only, rounded to fp16 as
the library keeps them. Also runs the built-in model over a folder of photographs.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator

import numpy as np

from imgqd.records import Ids, Vectors

BATCH = 20_000
# How long the noise is, beside a unit vector.
CLUSTER_NOISE = 0.7
JITTER_NOISE = 0.5
CLUSTERS = 2000

PHRASES = (  # noqa: SIM905
    "sunset over the ocean, a dog in the snow, children playing football, a red sports car, "
    "birthday cake with candles, mountains and a lake, a cat on a sofa, people dancing at a "
    "wedding, a plate of pasta, an old church, a train at a station, flowers in a garden, a boat "
    "in the harbour, a crowd at a concert, a man riding a bicycle, a waterfall in the forest, "
    "fireworks at night, a bird on a branch, a woman with an umbrella, a glass of red wine, "
    "a horse in a field, skyscrapers at dusk, a baby laughing, surfing a big wave, a bowl of fruit, "
    "a desert road, a butterfly, a castle on a hill, autumn leaves, a group photo, a coffee cup, "
    "a map on a table, a computer keyboard, a white beach, climbing a rock, a bridge over a river, "
    "a market stall, a lighthouse, a tent by the fire, a guitar player"
).split(", ")

Source = Callable[[int, int], Vectors]


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    rounded: Vectors = (vectors / lengths).astype(np.float16).astype(np.float32)
    return rounded


def clusters(dim: int, seed: int = 0) -> Source:
    """Unit vectors round random centres, which share a direction as real models' vectors do."""
    generator = np.random.default_rng(7 + seed)
    centres = generator.standard_normal((CLUSTERS, dim), dtype=np.float32)
    centres += 0.8 * generator.standard_normal((1, dim), dtype=np.float32)
    centres = _unit(centres)

    def make(rows: int, seed: int) -> Vectors:
        random = np.random.default_rng([seed, 1])
        noise = random.standard_normal((rows, dim), dtype=np.float32)
        near = centres[random.integers(0, CLUSTERS, rows)]
        return _unit(near + noise * np.float32(CLUSTER_NOISE / dim**0.5))

    return make


def jittered(pictures: Vectors) -> Source:
    """Mixtures of two real pictures each, with noise: as many different pictures as wanted."""
    dim = pictures.shape[1]

    def make(rows: int, seed: int) -> Vectors:
        random = np.random.default_rng([seed, 2])
        one, other = (pictures[random.integers(0, len(pictures), rows)] for _ in range(2))
        share = random.beta(0.4, 0.4, (rows, 1)).astype(np.float32)
        mixed = _unit(share * one + (1 - share) * other)
        noise = random.standard_normal((rows, dim), dtype=np.float32)
        return _unit(mixed + noise * np.float32(JITTER_NOISE / dim**0.5))

    return make


def turned(vectors: Vectors, dim: int) -> Vectors:
    """The same vectors in `dim` dimensions, by a random rotation (or projection, when fewer)."""
    if vectors.shape[1] == dim:
        return vectors
    most = max(dim, vectors.shape[1])
    generator = np.random.default_rng(11)
    basis, _ = np.linalg.qr(generator.standard_normal((most, most)))
    return _unit(vectors @ basis[: vectors.shape[1], :dim].astype(np.float32))


def directions(rows: int, dim: int, seed: int) -> Vectors:
    """Unit vectors in any direction: questions to which no picture is an answer."""
    return _unit(np.random.default_rng([seed, 3]).standard_normal((rows, dim), dtype=np.float32))


def batches(source: Source, count: int, seed: int = 0) -> Iterator[tuple[Ids, Vectors]]:
    """`count` vectors under the ids 1, 2, 3, ..."""
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        ids = np.arange(start + 1, start + 1 + size, dtype=np.int64)
        yield ids, source(size, 1000 + 100_000 * seed + start // BATCH)


def truth(queries: Vectors, k: int) -> tuple[Callable[[Ids, Vectors], None], Callable[[], Ids]]:
    """(see, best): `see` batches, then `best()` is the ids (nq, k) by exact inner product."""
    ids: Ids = np.zeros((len(queries), k), np.int64)
    scores: Vectors = np.full((len(queries), k), -np.inf, np.float32)

    def see(new_ids: Ids, vectors: Vectors) -> None:
        nonlocal ids, scores
        products = queries @ vectors.T
        some = np.argpartition(-products, min(k, products.shape[1] - 1), axis=1)[:, :k]
        all_ids = np.concatenate([ids, new_ids[some]], axis=1)
        all_scores = np.concatenate([scores, np.take_along_axis(products, some, 1)], axis=1)
        order = np.argsort(-all_scores, axis=1)[:, :k]
        ids = np.take_along_axis(all_ids, order, 1)
        scores = np.take_along_axis(all_scores, order, 1)

    return see, lambda: ids


def embed(photos: str, models_dir: str, spec: str, most: int) -> tuple[Vectors, Vectors]:
    """(pictures, texts): the vectors of up to `most` photographs below a folder, and of PHRASES."""
    from imgqd.errors import ProblemError
    from imgqd.indexing.decode import DecoderPool
    from imgqd.models.build import prepare
    from imgqd.models.image import ImageEncoder
    from imgqd.models.text import TextEncoder

    artifact = prepare(spec, models_dir)
    text = TextEncoder(artifact)
    texts = text.encode(list(PHRASES))
    text.close()
    files = [
        path
        for path in sorted(glob.glob(os.path.join(glob.escape(photos), "**"), recursive=True))
        if path.lower().endswith((".jpg", ".jpeg", ".png"))
    ]
    pool = DecoderPool(workers=1, timeout_s=60, max_pixels=10**9, memory_mb=2048)
    encoder = ImageEncoder(artifact, device="auto", threads=2, idle_unload_s=60, batch=16)
    found = []
    pending = []
    for path in files[:: max(1, len(files) // most)][:most]:
        with open(path, "rb") as stream:
            try:
                pending.append(pool.decode(stream.fileno(), artifact.preprocess).pixels)
            except ProblemError:
                continue
        if len(pending) == 16:
            found.append(encoder.encode(np.stack(pending)))
            pending = []
    if pending:
        found.append(encoder.encode(np.stack(pending)))
    encoder.close()
    pool.close()
    return np.concatenate(found), texts

"""A folder of photographs with what is known of them, and its vectors by any model.

Responsible for reading labels and captions, and for running a model over the pictures in the way
the daemon does (the same decoder processes, the same encoders). Vectors are kept as files, named by
model and pictures, so that several measurements share them. What is measured is the caller's.
"""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from imgq.locations import locate
from imgqd.indexing.decode import DecoderPool
from imgqd.models.artifact import Artifact, open_artifact
from imgqd.models.build import prepare
from imgqd.models.image import ImageEncoder
from imgqd.models.text import TextEncoder
from imgqd.records import Pixels, Vectors

BATCH = 16


@dataclass(frozen=True)
class Described:
    """`names` of files below `folder`, and for each the texts that describe it."""

    folder: str
    names: list[str]
    texts: list[list[str]]

    @property
    def pairs(self) -> list[tuple[int, str]]:
        """(place in `names`, text) of every text."""
        return [(place, text) for place, texts in enumerate(self.texts) for text in texts]


def read_labels(folder: str, path: str) -> Described:
    """A JSON object of file name and label."""
    with open(path, encoding="utf-8") as stream:
        labels: dict[str, str] = json.load(stream)
    names = sorted(name for name in labels if os.path.exists(os.path.join(folder, name)))
    return Described(folder, names, [[labels[name].replace("_", " ")] for name in names])


def read_captions(folder: str, path: str, part: str | None) -> Described:
    """Lines of file TAB caption; `part` is a file that lists the files to keep."""
    images = os.path.join(folder, "images")
    where = images if os.path.isdir(images) else folder
    kept: set[str] | None = None
    if part is not None:
        with open(part, encoding="utf-8") as stream:
            kept = set(stream.read().split())
    found: dict[str, list[str]] = {}
    with open(path, encoding="utf-8") as stream:
        for line in stream:
            name, tab, caption = line.rstrip("\n").partition("\t")
            if tab and (kept is None or name in kept):
                found.setdefault(name, []).append(caption)
    names = sorted(name for name in found if os.path.exists(os.path.join(where, name)))
    return Described(where, names, [found[name] for name in names])


class Model:
    """A model ready to measure; `text` is its text encoder."""

    def __init__(self, spec: str, models_dir: str | None, kept: str) -> None:
        """Prepares the artifact of a spec (which may download it), or opens the one in a folder.

        Raises ModelError.
        """
        self.artifact: Artifact = (
            open_artifact(spec)
            if os.path.exists(os.path.join(spec, "manifest.json"))
            else prepare(spec, models_dir or locate().models)
        )
        self.text = TextEncoder(self.artifact)
        self._kept = kept

    def pictures(self, described: Described) -> Vectors:
        """(n, dim) float32, rounded to fp16 as the library keeps them."""
        listed = "\0".join([os.path.abspath(described.folder), *described.names])
        digest = hashlib.sha256(listed.encode()).hexdigest()[:12]
        path = os.path.join(self._kept, f"{self.artifact.id.replace('/', '_')}-{digest}.npy")
        if not os.path.exists(path):
            vectors = self._encode(described).astype(np.float16)
            os.makedirs(self._kept, exist_ok=True)
            np.save(path, vectors)
        kept: Vectors = np.load(path).astype(np.float32)
        return kept

    def _encode(self, described: Described) -> Vectors:
        workers = os.cpu_count() or 1
        pool = DecoderPool(workers=workers, timeout_s=60, max_pixels=300_000_000, memory_mb=2048)
        encoder = ImageEncoder(
            self.artifact, device="auto", threads=workers, idle_unload_s=60, batch=BATCH
        )

        def decode(name: str) -> Pixels:
            with open(os.path.join(described.folder, name), "rb") as stream:
                return pool.decode(stream.fileno(), self.artifact.preprocess).pixels

        parts = []
        try:
            with ThreadPoolExecutor(workers) as threads:
                for start in range(0, len(described.names), BATCH):
                    names = described.names[start : start + BATCH]
                    parts.append(encoder.encode(np.stack(list(threads.map(decode, names)))))
        finally:
            encoder.close()
            pool.close()
        return np.concatenate(parts)

    def close(self) -> None:
        """Frees the text tower."""
        self.text.close()

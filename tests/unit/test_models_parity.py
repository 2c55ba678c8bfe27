"""Our vectors against open_clip's own, for one small model of each family, made through `local-dir:`.

open_clip encodes with its own model, preprocessing and tokenizer; we encode with the artifact, our
decoder's pixels and our tokenizer.
"""

from __future__ import annotations

import functools
import os

import numpy as np
import pytest
import torch
from PIL import Image

from imgqd.indexing.decode import DecoderPool
from imgqd.models import build_worker
from imgqd.models.artifact import Artifact, open_artifact
from imgqd.models.image import ImageEncoder
from imgqd.models.text import TextEncoder
from tests.photographs import photograph
from tests.unit import open_clip_models as models

PHOTOGRAPHS = ("chelsea", "coffee", "rocket", "astronaut", "china", "flower")
TEXTS = [
    *models.SENTENCES,
    "x",
    "Cats &amp; dogs: <b>don't</b>!",
    "schÃ¶ne Grüße 👩‍👩‍👧",
    "a very long description " * 40,
]
FAMILIES = [
    "ViT-B-32",
    "ViT-B-32-quickgelu",
    "ViT-B-32-256",
    "RN50",
    "SigLIP",
    "XLM-R",
]
CUT_AT_THE_END = {"SigLIP": False}


def save(family: str, directory: str) -> str:
    """The family's small model in `directory`; gives back its spec."""
    if family == "SigLIP":
        vocabulary = models.write_unigram_tokenizer(directory, kind="t5")
        return models.save_model(directory, models.siglip(vocabulary), models.SIGLIP)
    if family == "XLM-R":
        vocabulary = models.write_unigram_tokenizer(directory, kind="xlm-roberta")
        tower = os.path.join(directory, "tower")
        models.write_xlm_roberta(tower, vocabulary)
        return models.save_model(directory, models.xlm_roberta(tower))
    config = {
        "ViT-B-32": models.vit,
        "ViT-B-32-quickgelu": functools.partial(models.vit, quick_gelu=True),
        "ViT-B-32-256": functools.partial(models.vit, 256),
        "RN50": models.resnet,
    }[family]
    return models.save_model(directory, config())


class Pair:
    """A family's artifact and open_clip's model of the same weights."""

    def __init__(self, family: str, root: str) -> None:
        self.family = family
        self.spec = save(family, os.path.join(root, "source"))
        building = os.path.join(root, ".building-here")
        os.makedirs(building)
        request = {"spec": self.spec, "models_dir": root, "directory": building}
        self.stages: list[str] = []
        path = build_worker.build(request, lambda progress: self.stages.append(progress.stage))
        self.artifact = open_artifact(path)
        self.model, self.preprocess, self.tokenizer = models.open_clip_itself(self.spec)

    def their_texts(self, texts: list[str]) -> np.ndarray:
        with torch.inference_mode():
            return self.model.encode_text(self.tokenizer(texts), normalize=True).numpy()

    def their_pictures(self, paths: list[str]) -> np.ndarray:
        pixels = torch.stack([self.preprocess(Image.open(path)) for path in paths])
        with torch.inference_mode():
            return self.model.encode_image(pixels, normalize=True).numpy()


@pytest.fixture(scope="module")
def decoder():
    pool = DecoderPool(workers=1, timeout_s=60, max_pixels=100_000_000, memory_mb=2048)
    yield pool
    pool.close()


def decoded(decoder: DecoderPool, artifact: Artifact, paths: list[str]) -> np.ndarray:
    """The files' pixels as the daemon gets them."""
    pixels = []
    for path in paths:
        with open(path, "rb") as stream:
            pixels.append(decoder.decode(stream.fileno(), artifact.preprocess).pixels)
    return np.stack(pixels)


@pytest.fixture(scope="module")
def small_files(tmp_path_factory):
    """Photographs that are decoded in full."""
    return saved(tmp_path_factory.mktemp("small"), "png", lambda picture: picture)


@pytest.fixture(scope="module")
def large_files(tmp_path_factory):
    """Photographs of nine megapixels and more, with the grain of a camera, as JPEG."""

    def enlarged(picture: Image.Image) -> Image.Image:
        scale = 3600 / max(picture.size)
        large = picture.resize([round(side * scale) for side in picture.size], Image.BICUBIC)
        grain = np.random.default_rng(1).normal(0, 8, (large.height, large.width, 1))
        return Image.fromarray(np.clip(np.asarray(large) + grain, 0, 255).astype(np.uint8))

    return saved(tmp_path_factory.mktemp("large"), "jpg", enlarged)


def saved(directory, extension: str, change) -> list[str]:
    paths = []
    for name in PHOTOGRAPHS:
        paths.append(str(directory / f"{name}.{extension}"))
        change(photograph(name)).save(paths[-1], quality=92)
    return paths


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request, tmp_path_factory):
    return Pair(request.param, str(tmp_path_factory.mktemp("parity")))


def cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Row by row; ours must be normalised by themselves."""
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1.0, atol=1e-5)
    return (ours * theirs).sum(axis=1)


def likeness(vectors: np.ndarray) -> float:
    """How close the two most alike rows are: a parity of less would prove nothing."""
    return float((vectors @ vectors.T)[~np.eye(len(vectors), dtype=bool)].max())


def test_text_vectors_are_open_clips(pair):
    theirs = pair.their_texts(TEXTS)
    assert likeness(theirs) < 0.999
    encoder = TextEncoder(pair.artifact)
    assert cosines(encoder.encode(TEXTS), theirs).min() >= 0.9999
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert cosines(alone, theirs).min() >= 0.9999


@pytest.fixture(scope="module")
def encoder(pair):
    encoder = ImageEncoder(pair.artifact, device="cpu", threads=1, idle_unload_s=60, batch=4)
    yield encoder
    encoder.close()


def test_picture_vectors_are_open_clips(pair, encoder, decoder, small_files):
    theirs = pair.their_pictures(small_files)
    assert likeness(theirs) < 0.999
    ours = encoder.encode(decoded(decoder, pair.artifact, small_files))
    assert cosines(ours, theirs).min() >= 0.9999


def test_large_jpegs_decoded_at_reduced_scale_stay_close(pair, encoder, decoder, large_files):
    theirs = pair.their_pictures(large_files)
    assert likeness(theirs) < 0.99
    pixels = decoded(decoder, pair.artifact, large_files)
    alike = cosines(encoder.encode(pixels), theirs)
    assert alike.mean() >= 0.99
    assert not np.array_equal(alike, np.ones_like(alike))


def test_both_towers_have_graphs_that_were_checked(pair):
    assert pair.artifact.runtime == "onnx"
    assert pair.artifact.manifest["torch"] is None
    assert min(pair.artifact.manifest["parity"].values()) >= 0.9999
    assert pair.stages[0] == "load"
    assert {"export", "check"} <= set(pair.stages)


def test_texts_are_cut_only_where_that_changes_nothing(pair):
    assert pair.artifact.manifest["text"]["cut"] is CUT_AT_THE_END.get(pair.family, True)


def test_id_names_the_weights(pair):
    name, _, digest = pair.artifact.id.partition("@")
    assert name == "local-dir:source"
    assert pair.artifact.manifest["digest"].startswith(digest)
    assert len(digest) == 8


def test_activation_is_visible_in_the_vectors(tmp_path):
    """What the family ViT-B-32-quickgelu proves: the other activation gives other vectors."""
    pictures = [photograph(name) for name in PHOTOGRAPHS]
    vectors = []
    for quick in (False, True):
        spec = models.save_model(str(tmp_path / str(quick)), models.vit(quick_gelu=quick))
        model, preprocess, _ = models.open_clip_itself(spec)
        with torch.inference_mode():
            pixels = torch.stack([preprocess(picture) for picture in pictures])
            vectors.append(model.encode_image(pixels, normalize=True).numpy())
    assert cosines(*vectors).max() < 0.9999

"""Cached features of captioned and labelled photographs, for training the built-in model's head.

Responsible for reading the folders, for the pictures' views and for the cache. Pictures are
prepared by the function that the decoder processes use, so the head is trained on what it will be
given. Everything that is learnt from the features is train_builtin.py's business.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from PIL import Image, ImageFilter
from tokenizers import Tokenizer
from torch.nn.utils.rnn import pad_sequence

from imgqd.indexing.pixels import prepare
from imgqd.models import builtin, builtin_graph, builtin_towers
from imgqd.models.builtin_towers import IMAGE_FEATURES, TEXT_FEATURES, ImageTower

Features = npt.NDArray[np.float32]
View = Callable[[Image.Image, random.Random], Image.Image]

CHECKED = 8
TOLERANCE = (0.002, 0.02)
"""Relative and absolute: what another order of summation may change."""
FLOOR = 0.03
"""Some channels are hardly ever active on the pictures that are learnt from. Divided by their
deviation alone, one that is active on somebody's picture would drown all others there."""


@dataclass(frozen=True)
class Captioned:
    """`paths` of pictures, `captions` (as many for each picture), `tuning` marks dev.txt's."""

    paths: list[str]
    captions: list[list[str]]
    tuning: list[bool]


def read_captioned(folders: list[str]) -> Captioned:
    """Reads folders that hold images/, captions.tsv (file TAB caption) and perhaps dev.txt."""
    paths, captions, tuning = [], [], []
    for folder in folders:
        found: dict[str, list[str]] = {}
        with open(os.path.join(folder, "captions.tsv"), encoding="utf-8") as stream:
            for line in stream:
                name, caption = line.rstrip("\n").split("\t")
                found.setdefault(name, []).append(caption)
        kept: set[str] = set()
        if os.path.exists(os.path.join(folder, "dev.txt")):
            with open(os.path.join(folder, "dev.txt"), encoding="utf-8") as stream:
                kept = set(stream.read().split())
        for name in sorted(found):
            paths.append(os.path.join(folder, "images", name))
            captions.append(found[name])
            tuning.append(name in kept)
    counts = {len(each) for each in captions}
    if len(counts) != 1:
        raise SystemExit(f"every picture must have the same number of captions, not {counts}")
    return Captioned(paths, captions, tuning)


def read_labelled(folder: str) -> tuple[list[str], list[str]]:
    """Paths and class names of a folder with labels.json (file name -> class name)."""
    with open(os.path.join(folder, "labels.json"), encoding="utf-8") as stream:
        labels = json.load(stream)
    names = sorted(labels)
    return [os.path.join(folder, name) for name in names], [labels[name] for name in names]


def whole(image: Image.Image, chance: random.Random) -> Image.Image:
    """What the daemon gives the model."""
    return prepare(image, builtin.PREPROCESS)


def mirrored(image: Image.Image, chance: random.Random) -> Image.Image:
    return whole(image, chance).transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def cropped(image: Image.Image, chance: random.Random) -> Image.Image:
    """45 to 100 % of the picture, mirrored half of the time and sharpened half of the time.

    Sharpened because enlarged training pictures are softer than people's reduced photographs.
    """
    width, height = image.size
    area = chance.uniform(0.45, 1.0) * width * height
    ratio = math.exp(chance.uniform(math.log(0.8), math.log(1.25)))
    across = min(width, round((area * ratio) ** 0.5))
    down = min(height, round((area / ratio) ** 0.5))
    left, top = chance.randint(0, width - across), chance.randint(0, height - down)
    part = image.crop((left, top, left + across, top + down))
    part = part.resize((builtin_towers.SIDE,) * 2, Image.Resampling.BICUBIC)
    if chance.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if chance.random() < 0.5:
        part = part.filter(ImageFilter.UnsharpMask(1.5, chance.randint(50, 150), 0))
    return part


VIEWS: dict[str, View] = {"whole": whole, "mirrored": mirrored, "rrc": cropped}


class ImageFeatures:
    """The frozen half of the image tower, in onnxruntime: paths -> (n, IMAGE_FEATURES)."""

    def __init__(self, cache: str, threads: int) -> None:
        self.cache = cache
        self.threads = threads
        self.tower, _ = builtin.load_towers("conse")
        graph = builtin_graph.Graph()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            feature_graph(self.tower, graph), options, providers=["CPUExecutionProvider"]
        )

    def of(self, paths: list[str], view: str) -> Features:
        """Features of a view of each picture, cached; a cache that is not ours is made again."""
        key = hashlib.sha256("\n".join([view, *map(os.path.basename, paths)]).encode())
        target = os.path.join(self.cache, f"image-{view}-{key.hexdigest()[:12]}.npy")
        some = list(range(0, len(paths), max(1, len(paths) // CHECKED)))
        return cached(target, len(paths), lambda rows: self._compute(paths, view, rows), some)

    def _compute(self, paths: list[str], view: str, rows: list[int]) -> Features:
        def pixels(row: int) -> npt.NDArray[np.uint8]:
            with Image.open(paths[row]) as image:
                made = VIEWS[view](image.convert("RGB"), random.Random(f"{view}{row}"))
            return np.asarray(made)

        parts = []
        with ThreadPoolExecutor(self.threads) as pool:
            for batch in batches(rows, 32):
                pictures = np.stack(list(pool.map(pixels, batch)))
                parts.append(self.session.run(None, {"pixels": pictures})[0])
        return np.concatenate(parts)


def feature_graph(tower: ImageTower, graph: builtin_graph.Graph) -> bytes:
    """The image tower up to what the head reads, as a serialised ONNX model."""
    features, _ = builtin_towers.image_features(graph, tower)
    side = builtin_graph.pixels_input(builtin_towers.SIDE)
    model: bytes = graph.model([side], features, IMAGE_FEATURES).SerializeToString()
    return model


class TextFeatures:
    """The frozen half of the text tower: texts -> (n, TEXT_FEATURES)."""

    def __init__(self, cache: str) -> None:
        self.cache = cache
        self.minilm = builtin.load_minilm()
        self.tokenizer = Tokenizer.from_file(builtin.TOKENIZER.locate())
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(64)

    def of(self, texts: list[str]) -> Features:
        key = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]
        some = list(range(0, len(texts), max(1, len(texts) // CHECKED)))
        target = os.path.join(self.cache, f"text-{key}.npy")
        return cached(target, len(texts), lambda rows: self.compute(texts, rows), some)

    def compute(self, texts: list[str], rows: list[int]) -> Features:
        ids = [torch.tensor(e.ids) for e in self.tokenizer.encode_batch([texts[r] for r in rows])]
        # Texts of like length together: hardly any padding.
        order = sorted(range(len(rows)), key=lambda row: len(ids[row]))
        result = np.empty((len(rows), TEXT_FEATURES), np.float32)
        for batch in batches(order, 64):
            tokens = pad_sequence([ids[row] for row in batch], batch_first=True)
            with torch.inference_mode():
                result[batch] = builtin_towers.text_features(self.minilm, tokens).numpy()
        return result


def cached(
    path: str, count: int, compute: Callable[[list[int]], Features], some: list[int]
) -> Features:
    """The array at `path`, or `compute` of all rows, kept there.

    A few rows are always computed anew: weights or code that have changed show, and it is remade.
    """
    if os.path.exists(path):
        stored: Features = np.load(path)
        if len(stored) == count and np.allclose(stored[some], compute(some), *TOLERANCE):
            return stored
        print(f"{path} is of other weights or other code: computing it again", flush=True)
    values = compute(list(range(count)))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    np.save(path, values)
    return values


def batches(rows: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def standardising(features: Features) -> tuple[Features, Features]:
    """Mean and standard deviation of each column, the latter at least FLOOR."""
    deviation: Any = np.maximum(features.std(0), FLOOR)
    return features.mean(0), deviation

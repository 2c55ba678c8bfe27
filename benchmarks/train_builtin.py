"""Trains the head of the built-in model and prints the figures that docs/builtin-model.md quotes.

`python benchmarks/train_builtin.py DIR... --photos DIR --cache DIR`: each DIR holds images/,
captions.tsv and perhaps dev.txt (the tuning part). Seeded: the same machine and library versions
give the same head. Responsible for what is learnt and measured; features come from
builtin_features.py, the model's arithmetic from imgqd.models.builtin_towers.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import math
import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

import builtin_features as source
from builtin_features import Features
from imgqd.models import builtin
from imgqd.models.builtin_towers import (
    CROWD,
    POOLED,
    STAGE_CHANNELS,
    TEXT_FEATURES,
    WIDENED_CHANNELS,
    WIDTH,
    Head,
)

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Recipe:
    """Every choice there is. The defaults are the recipe of the head that imgq ships."""

    views: tuple[str, ...] = ("whole", "mirrored", "rrc")
    stages: bool = True
    widened: bool = True
    words: bool = True
    joint: float = 0.8
    picture: float = 0.7
    crowding: float = 0.4
    scene: float = 0.8
    thing: float = 0.5
    dim: int = 512
    epochs: int = 60
    batch: int = 500
    rate: float = 1e-3
    decay: float = 0.05
    image_dropout: float = 0.7
    text_dropout: float = 0.2
    temperature: float = 0.04
    relations: float = 0.0
    mixing: float = 0.0
    heads: int = 4


@dataclass
class Corpus:
    """Features of captioned pictures: `views` by name (n, IMAGE_FEATURES), `texts` (n, c, T)."""

    views: dict[str, Features]
    texts: Features

    @property
    def captions(self) -> int:
        return int(self.texts.shape[1])


@dataclass
class Photos:
    """Features of labelled photographs and of their class names, one row each."""

    images: Features
    names: Features


def train(recipe: Recipe, corpus: Corpus, rows: Rows, seed: int) -> Head:
    """One head, trained on `rows` of the corpus with a symmetric contrastive loss.

    What is standardised here is folded into the head's weights, so that it reads raw features.
    With `joint` the loss is of that share of the head's cosines and the rest of ConSE's: the head
    then learns what ConSE lacks.
    """
    torch.manual_seed(seed)
    chance = np.random.default_rng(seed)
    image_scale = source.standardising(corpus.views["whole"][rows])
    text_scale = source.standardising(corpus.texts[rows].reshape(-1, TEXT_FEATURES))
    columns = image_columns(recipe)
    views = [
        torch.from_numpy(((corpus.views[v] - image_scale[0]) / image_scale[1])[:, columns])
        for v in recipe.views
    ]
    conse = [
        torch.from_numpy(np.ascontiguousarray(corpus.views[v][:, -WIDTH:])) for v in recipe.views
    ]
    width = TEXT_FEATURES if recipe.words else WIDTH
    texts = torch.from_numpy(((corpus.texts - text_scale[0]) / text_scale[1])[..., :width])
    sentences = functional.normalize(torch.from_numpy(corpus.texts[..., :WIDTH]), dim=2)
    image, text = torch.nn.Linear(len(columns), recipe.dim), torch.nn.Linear(width, recipe.dim)
    # A row for each feature, so that the rows that a batch uses can be picked cheaply.
    matrix = torch.nn.Parameter(image.weight.detach().T.contiguous())
    optimiser = torch.optim.AdamW(
        [matrix, image.bias, *text.parameters()],
        lr=recipe.rate,
        weight_decay=recipe.decay,
        fused=True,
    )
    size = min(recipe.batch, len(rows))
    a_pass = len(rows) // size
    steps = recipe.epochs * a_pass
    kept = round(len(columns) * (1 - recipe.image_dropout))
    for step in range(steps):
        if step % a_pass == 0:
            order = chance.permutation(rows)
        start = step % a_pass * size
        batch = torch.from_numpy(order[start : start + size])
        caption = torch.from_numpy(chance.integers(0, corpus.captions, size))
        words = texts[batch, caption]
        if chance.random() < recipe.mixing:
            other = torch.from_numpy(chance.integers(0, corpus.captions, size))
            words = (words + texts[batch, other]) / 2
        view = int(chance.integers(len(views)))
        # Dropout of whole columns for a batch: as good as one for each picture, at half the cost.
        some = torch.randperm(len(columns))[:kept]
        pictures = views[view][batch].index_select(1, some) * (len(columns) / kept)
        mapped = pictures @ matrix.index_select(0, some) + image.bias
        ours = functional.normalize(text(functional.dropout(words, recipe.text_dropout)), dim=1)
        scores = functional.normalize(mapped, dim=1) @ ours.T
        meaning = sentences[batch, caption]
        if recipe.joint:
            theirs = conse[view][batch] @ meaning.T
            scores = recipe.joint * scores + (1 - recipe.joint) * theirs
        loss = contrast(scores / recipe.temperature, meaning, recipe.relations)
        pace = (1 + math.cos(math.pi * step / steps)) / 2 * min(1.0, (step + 1) / 30)
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * pace
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    head = Head(recipe.dim).eval()
    with torch.no_grad():
        for layer, weight, bias, scale, where in (
            (head.image, matrix.T, image.bias, image_scale, columns),
            (head.text, text.weight, text.bias, text_scale, np.arange(width)),
        ):
            mean, deviation = (torch.from_numpy(part[where]) for part in scale)
            layer.weight.zero_()
            layer.weight[:, torch.from_numpy(where)] = weight / deviation
            layer.bias.copy_(bias - (weight / deviation) @ mean)
    return head


def image_columns(recipe: Recipe) -> Rows:
    sizes = (POOLED, STAGE_CHANNELS, WIDENED_CHANNELS, WIDTH)
    kept = (True, recipe.stages, recipe.widened, True)
    return np.flatnonzero(np.repeat(kept, sizes))


def contrast(scores: Tensor, meaning: Tensor, relations: float) -> Tensor:
    """Cross entropy both ways; `relations` of the target goes to texts that MiniLM finds alike."""
    target = torch.eye(len(scores))
    if relations:
        alike = functional.softmax(meaning @ meaning.T / 0.1, dim=1)
        target = (1 - relations) * target + relations * alike
    return functional.cross_entropy(scores, target) + functional.cross_entropy(scores.T, target)


def balanced(head: Head, scene: float, thing: float) -> Head:
    """Sets the shares so that a text that is no class name scores `scene` of the head's cosine
    (and 1 - `scene` of ConSE's), up to a factor, and a class name `thing`."""
    picture = float(head.image_share)
    for name, wanted in (("scene_share", scene), ("thing_share", thing)):
        odds = (wanted / (1 - wanted)) ** 2 * (1 - picture) / picture
        getattr(head, name).fill_(odds / (1 + odds))
    return head


def averaged(heads: list[Head], corpus: Corpus, rows: Rows, dim: int) -> Head:
    """One head whose cosines are, as nearly as `dim` dimensions allow, the mean of all heads'.

    The heads' outputs are put side by side, each scaled to a mean length of one, and projected onto
    the leading directions of pictures and texts together: still two linear maps.
    """
    if len(heads) == 1:
        return heads[0]
    pictures = torch.from_numpy(corpus.views["whole"][rows])
    texts = torch.from_numpy(corpus.texts[rows, 0])
    joined = Head(sum(head.image.out_features for head in heads))
    with torch.no_grad():
        for side, features in (("image", pictures), ("text", texts)):
            layers = [getattr(head, side) for head in heads]
            sizes = [layer(features).norm(dim=1).mean() for layer in layers]
            layer = getattr(joined, side)
            layer.weight.copy_(
                torch.cat([a.weight / s for a, s in zip(layers, sizes, strict=True)])
            )
            layer.bias.copy_(torch.cat([a.bias / s for a, s in zip(layers, sizes, strict=True)]))
        outputs = torch.cat([joined.image(pictures), joined.text(texts)])
        _, vectors = torch.linalg.eigh(outputs.T @ outputs)
        project = vectors[:, -dim:].T
        result = Head(dim).eval()
        for mine, wide in ((result.image, joined.image), (result.text, joined.text)):
            mine.weight.copy_(project @ wide.weight)
            mine.bias.copy_(project @ wide.bias)
    return result


def crowd(head: Head, corpus: Corpus, rows: Rows) -> None:
    """Fills in the crowd: centres of all captions, by spherical k-means from random captions."""
    chance = np.random.default_rng(0)
    with torch.no_grad():
        texts = torch.from_numpy(corpus.texts[chance.permutation(rows)].reshape(-1, TEXT_FEATURES))
        points = functional.normalize(head.text(texts), dim=1)
        centres = points[:: corpus.captions][:CROWD].clone()
        for _ in range(8):
            nearest = (points @ centres.T).argmax(1)
            sums = torch.zeros_like(centres).index_add_(0, nearest, points)
            empty = sums.norm(dim=1, keepdim=True) == 0
            centres = functional.normalize(torch.where(empty, centres, sums), dim=1)
        head.crowd = centres
        pictures = torch.from_numpy(corpus.views["whole"][rows])
        close = head.closeness(functional.normalize(head.image(pictures), dim=1))
        head.usual.copy_(close.mean())


def trained(recipe: Recipe, corpus: Corpus, rows: Rows) -> Head:
    """The recipe's heads, trained on `rows`, averaged and balanced."""
    heads = [train(recipe, corpus, rows, seed) for seed in range(recipe.heads)]
    head = averaged(heads, corpus, rows, recipe.dim)
    crowd(head, corpus, rows)
    head.crowding.fill_(recipe.crowding)
    head.image_share.fill_(recipe.picture)
    return balanced(head, recipe.scene, recipe.thing)


def embedded(
    head: Head | None, images: Features, texts: Features, classes: Tensor
) -> tuple[Features, Features]:
    """Vectors of pictures and texts as the towers make them, from features."""
    conse = torch.from_numpy(np.ascontiguousarray(images[:, -WIDTH:]))
    sentence = functional.normalize(torch.from_numpy(texts[:, :WIDTH]), dim=1)
    if head is None:
        return conse.numpy(), sentence.numpy()
    with torch.no_grad():
        pictures = head.pictures(torch.from_numpy(images), conse)
        words = head.texts(torch.from_numpy(texts), sentence, classes)
    return pictures.numpy(), words.numpy()


def found(pictures: Features, words: Features, own: Rows) -> str:
    """`own[i]` is the picture of text i. First, in five, in ten (per cent) and the median rank."""
    scores = words @ pictures.T
    mine = scores[np.arange(len(own)), own]
    ranks = (scores > mine[:, None]).sum(1)
    shares = " / ".join(f"{100 * float((ranks < k).mean()):5.1f}" for k in (1, 5, 10))
    return f"{shares} median {int(np.median(ranks)) + 1}"


class Measure:
    """Prints how well texts find their pictures, a line each."""

    def __init__(self, corpus: Corpus, photos: Photos | None, classes: Tensor) -> None:
        self.corpus = corpus
        self.photos = photos
        self.classes = classes

    def captions(self, label: str, head: Head | None, rows: Rows) -> None:
        """The captions of `rows` among the pictures of `rows`."""
        images = self.corpus.views["whole"][rows]
        texts = self.corpus.texts[rows].reshape(-1, TEXT_FEATURES)
        own = np.repeat(np.arange(len(rows)), self.corpus.captions)
        self._say(label, embedded(head, images, texts, self.classes), own)

    def names(self, label: str, head: Head | None, part: slice) -> None:
        """The class names of `part` of the photographs, among all photographs."""
        if self.photos is not None:
            own = np.arange(len(self.photos.names))[part]
            names = self.photos.names[part]
            self._say(label, embedded(head, self.photos.images, names, self.classes), own)

    def _say(self, label: str, vectors: tuple[Features, Features], own: Rows) -> None:
        print(f"  {label:48} {found(*vectors, own)}", flush=True)


CHOICES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("the recipe, one head", {}),
    ("pictures whole only", {"views": ("whole",)}),
    ("pictures whole and mirrored", {"views": ("whole", "mirrored")}),
    ("without the earlier stages", {"stages": False}),
    ("without the insides of the last blocks", {"widened": False}),
    ("the same, less dropout: 0.6 and 0.2", {"widened": False, "image_dropout": 0.6}),
    ("without MiniLM's middle layer", {"words": False}),
    ("without ConSE in the loss", {"joint": 0.0}),
    ("relations of MiniLM, 0.3 of the target", {"relations": 0.3}),
    ("two captions mixed in half of the batches", {"mixing": 0.5}),
    ("less dropout: 0.6 and 0.2", {"image_dropout": 0.6}),
    ("more dropout: 0.8 and 0.2", {"image_dropout": 0.8}),
    ("more dropout: 0.7 and 0.4", {"text_dropout": 0.4}),
    ("half of the passes", {"epochs": Recipe.epochs // 2}),
    ("256 dimensions", {"dim": 256}),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", metavar="DIR")
    parser.add_argument("--photos", help="a folder of labelled photographs with labels.json")
    parser.add_argument("--cache", required=True, help="where features are kept")
    parser.add_argument("--out", default=os.path.join(builtin.DATA, "head.safetensors"))
    parser.add_argument("--heads", type=int, default=Recipe.heads, help="how many are averaged")
    parser.add_argument("--passes", type=int, default=Recipe.epochs, help="over all pictures")
    parser.add_argument("--apart", type=int, default=1000, help="how many pictures are kept apart")
    parser.add_argument("--choices", action="store_true", help="measure every choice and stop")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    began = time.monotonic()
    recipe = Recipe(heads=given.heads, epochs=given.passes)
    data = source.read_captioned(given.folders)
    pictures = source.ImageFeatures(given.cache, given.threads)
    texts = source.TextFeatures(given.cache)
    flat = texts.of([caption for captions in data.captions for caption in captions])
    corpus = Corpus(
        {view: pictures.of(data.paths, view) for view in source.VIEWS},
        flat.reshape(len(data.paths), -1, TEXT_FEATURES),
    )
    photos = None
    if given.photos:
        paths, labels = source.read_labelled(given.photos)
        photos = Photos(pictures.of(paths, "whole"), texts.of(labels))
    measure = Measure(corpus, photos, pictures.tower.conse.names)
    tuning = np.flatnonzero(data.tuning)
    rest = np.flatnonzero(~np.array(data.tuning))
    # A part that nothing is tuned on, chosen by name alone.
    names = [os.path.basename(path).encode() for path in data.paths]
    by_hash = sorted(rest.tolist(), key=lambda row: hashlib.sha256(names[row]).digest())
    apart, learning = np.sort(by_hash[: given.apart]), np.sort(by_hash[given.apart :])
    print(f"features in {time.monotonic() - began:.0f} s, those that are cached too")
    print(
        f"torch {torch.__version__}, numpy {np.__version__}; {len(learning)} pictures to learn "
        f"from, {len(tuning)} to tune on, {len(apart)} kept apart\n"
        "asked by text, the right picture first / in five / in ten, per cent"
    )
    if given.choices:
        print("choices: one head each, on the tuning part")
        for label, changes in CHOICES:
            changed = dataclasses.replace(recipe, heads=1, **changes)
            measure.captions(label, trained(changed, corpus, learning), tuning)
        return
    head = trained(recipe, corpus, learning)
    print(f"balance: {recipe.heads} heads averaged, captions of the tuning part")
    measure.captions("ConSE alone", None, tuning)
    for scene in (0.95, 0.9, 0.8, 0.7, 0.6):
        measure.captions(f"head {scene}", balanced(head, scene, recipe.thing), tuning)
    print("balance: the same, half of the sample photographs by class name among all")
    measure.names("ConSE alone", None, slice(0, None, 2))
    for thing in (0.7, 0.6, 0.5, 0.4):
        measure.names(f"head {thing}", balanced(head, recipe.scene, thing), slice(0, None, 2))
    measure.names("head 0.8, no matter what is asked", balanced(head, 0.8, 0.8), slice(0, None, 2))
    print("the recipe on what nothing was tuned on")
    balanced(head, recipe.scene, recipe.thing)
    measure.captions("captions of the part kept apart", head, apart)
    measure.captions("ConSE alone", None, apart)
    measure.names("the other half of the photographs", head, slice(1, None, 2))
    more = np.sort(np.concatenate([learning, tuning]))
    head = trained(recipe, corpus, more)
    print(f"the same, learnt from {len(more)}: the tuning part too, now that all choices are made")
    measure.captions("captions of the part kept apart", head, apart)
    measure.names("the other half of the photographs", head, slice(1, None, 2))
    shipped = trained(recipe, corpus, np.arange(len(data.paths)))
    print("the head that ships, learnt from every captioned picture")
    measure.names("all sample photographs", shipped, slice(None))
    measure.names("ConSE alone", None, slice(None))
    state = {name: value.half().contiguous() for name, value in shipped.state_dict().items()}
    save_file(state, given.out)
    with open(given.out, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    print(
        f"{given.out}: {os.path.getsize(given.out)} bytes, SHA-256 {digest}; "
        f"{time.monotonic() - began:.0f} s in all"
    )


if __name__ == "__main__":
    main()

"""Each picture gets the label that fits best, from vectors that are there already."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np
import pytest

from imgqd.library.added import Annotation
from imgqd.search.categories import Categories
from imgqd.search.filters import Filters
from imgqd.search.query import Query
from tests.unit.gallery import Gallery, Serving, ids_of, unit

LABELS = ["sea", "sun", "fog"]


@dataclass(frozen=True)
class Model:
    id: str = "test-model"
    spec: str = "builtin"


@pytest.fixture
def gallery(tmp_path: os.PathLike[str]) -> Gallery:
    made = Gallery(str(tmp_path))
    vectors = unit(60, seed=4)
    made.add_many([(f"{i}.jpg", vectors[i], None, (), {}) for i in range(60)])
    return made


def serving(gallery: Gallery, id: str = "test-model") -> Serving:
    return gallery.serving(artifact=Model(id))


def categories(gallery: Gallery) -> dict[int, str | None]:
    ids = gallery.stored()[0].tolist()
    return {i: p.category for i, p in gallery.store.pictures(ids).items()}


def expected(gallery: Gallery, labels: list[str]) -> dict[int, str | None]:
    ids, vectors = gallery.stored()
    best = np.argmax(vectors @ gallery.words.encode(labels).T, axis=1)
    return {int(i): labels[b] for i, b in zip(ids, best, strict=True)}


def test_all_pictures_get_the_nearest_label_once(gallery: Gallery) -> None:
    made = Categories(gallery.store, LABELS)
    before = gallery.store.generation
    assert made.fill(serving(gallery)) == 60
    assert gallery.store.generation > before
    assert categories(gallery) == expected(gallery, LABELS)
    asked, generation = len(gallery.words.asked), gallery.store.generation
    assert made.fill(serving(gallery)) == 0
    assert Categories(gallery.store, LABELS).fill(serving(gallery)) == 0
    assert gallery.store.generation == generation
    assert len(gallery.words.asked) == asked + len(LABELS)


def test_new_pictures_get_theirs_with_the_commit(gallery: Gallery) -> None:
    made = Categories(gallery.store, LABELS)
    vector = unit(1, seed=99)[0]
    number = gallery.add("new.jpg", vector)
    made.add(serving(gallery), {number: vector})
    assert categories(gallery)[number] is None
    made.fill(serving(gallery))
    later = gallery.add("later.jpg", vector)
    made.add(serving(gallery), {later: vector})
    assert categories(gallery) == expected(gallery, LABELS)


def test_other_labels_or_another_model_begin_anew(gallery: Gallery) -> None:
    Categories(gallery.store, LABELS).fill(serving(gallery))
    other = ["snow", " sea ", "ice", "snow", ""]
    assert Categories(gallery.store, other).fill(serving(gallery)) == 60
    assert categories(gallery) == expected(gallery, ["snow", "sea", "ice"])
    asked = len(gallery.words.asked)
    clip = gallery.serving(artifact=replace(Model(), id="b", spec="ViT-B-32/openai"))
    assert Categories(gallery.store, other).fill(clip) == 60
    assert gallery.words.asked[asked:] == [f"a photo of {x}" for x in ("snow", "sea", "ice")]


def test_without_labels_there_are_no_categories(gallery: Gallery) -> None:
    Categories(gallery.store, LABELS).fill(serving(gallery))
    Categories(gallery.store, []).fill(serving(gallery))
    assert set(categories(gallery).values()) == {None}


def test_a_person_knows_better(gallery: Gallery) -> None:
    made = Categories(gallery.store, LABELS)
    made.fill(serving(gallery))
    number = ids_of(gallery.ask(top=1))[0]
    gallery.store.annotate([number], Annotation(category="my boat"))
    assert categories(gallery)[number] == "my boat"
    for category, there in (("My Boat", True), (expected(gallery, LABELS)[number], False)):
        query = Query((), Filters(category=category), 100)
        assert (number in ids_of(gallery.searcher().search(query, serving(gallery)))) is there
    Categories(gallery.store, ["snow"]).fill(serving(gallery))
    assert categories(gallery)[number] == "my boat"
    gallery.store.annotate([number], Annotation(category=""))
    assert categories(gallery)[number] == "snow"

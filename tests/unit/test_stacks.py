"""Files of one shot are one result, unless all are asked for."""

from __future__ import annotations

import os
from typing import Any

import pytest

from imgqd.indexing.look import Job
from imgqd.library.commit import Other, commit
from imgqd.library.identity import signature_of
from tests.unit.gallery import Gallery, ids_of, unit

T = 1_700_000_000.0


@pytest.fixture
def gallery(tmp_path: os.PathLike[str]) -> Gallery:
    return Gallery(str(tmp_path))


def pair(gallery: Gallery, *rows: tuple[str, dict[str, Any]]) -> list[int]:
    vectors = unit(len(rows), seed=3)
    return gallery.add_many(
        [(name, vectors[i], T, (), facts) for i, (name, facts) in enumerate(rows)]
    )


def stacks(gallery: Gallery, **request: Any) -> list[list[str]]:
    """The names of each result with its stack, those of a result sorted."""
    return [
        sorted(os.path.basename(p).decode() for p in (h.path, *(m.path for m in h.stack)))
        for h in gallery.ask({"text": "sea"}, **request).hits
    ]


def test_a_raw_and_its_jpeg_are_one_result_under_the_better_one(gallery: Gallery) -> None:
    ids = pair(
        gallery,
        ("a.NEF", {"format": "raw", "taken": T}),
        ("a.JPG", {"format": "jpeg", "taken": T + 0.4}),
        ("b.JPG", {"format": "jpeg", "taken": T}),
    )
    assert sorted(stacks(gallery)) == [["a.JPG", "a.NEF"], ["b.JPG"]]
    every = ids_of(gallery.ask({"text": "sea"}, all=True))
    assert sorted(every) == sorted(ids)
    assert all(not hit.stack for hit in gallery.ask({"text": "sea"}, all=True).hits)
    best = next(i for i in every if i in ids[:2])
    assert best in ids_of(gallery.ask({"text": "sea"}))
    pages = [ids_of(gallery.ask({"text": "sea"}, top=1, offset=n)) for n in range(3)]
    assert [page for found in pages for page in found] == ids_of(gallery.ask({"text": "sea"}))
    assert len(ids_of(gallery.ask(types=["raw"]))) == 1


@pytest.mark.parametrize(
    ("name", "facts", "together"),
    [
        ("a.heic", {"format": "heic", "taken": T}, True),
        ("a.heic", {"format": "heic", "taken": T + 5}, False),
        ("a.heic", {"format": "heic"}, True),
        ("a.png", {"format": "png", "taken": T}, False),
        ("sub/a.heic", {"format": "heic", "taken": T}, False),
        ("a.b.heic", {"format": "heic", "taken": T}, False),
        ("ab.heic", {"format": "heic", "taken": T}, False),
    ],
)
def test_name_folder_and_moment_decide(
    gallery: Gallery, name: str, facts: dict[str, Any], together: bool
) -> None:
    pair(gallery, ("a.jpg", {"format": "jpeg", "taken": T}), (name, facts))
    assert (len(stacks(gallery)) == 1) is together


def test_the_film_of_a_live_photo_belongs_to_it(gallery: Gallery) -> None:
    pair(gallery, ("IMG_1.HEIC", {"format": "heic", "taken": T}))
    for name, when in (("IMG_1.MOV", T + 3), ("IMG_1.mp3", T), ("IMG_1.mp4", T + 99)):
        path = gallery.path(name)
        with open(path, "wb") as stream:
            stream.write(b"film")
        os.utime(path, (when, when))
        commit(gallery.store, [Other(Job(0, path, 0, 0), signature_of(os.lstat(path)))])
    (hit,) = gallery.ask({"text": "sea"}).hits
    assert [m.to_json() for m in hit.stack] == [
        {"id": None, "path": gallery.path("IMG_1.MOV"), "format": "video"}
    ]

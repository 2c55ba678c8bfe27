"""Facets count what a result set holds, each picture once."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgqd.library.added import Annotation
from imgqd.search import facets
from imgqd.search.filters import Filters
from imgqd.search.grid import Grid
from imgqd.search.query import Query
from tests.unit.gallery import Gallery, unit
from tests.unit.test_query_filters import made, passes, some_filters


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    return made(str(tmp_path_factory.mktemp("facets")), "exact")


def counted(answer: dict[str, Any], name: str) -> dict[Any, int]:
    return {item["value"]: item["count"] for item in answer["facets"][name]}


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_all_that_passes_is_counted_once(data: st.DataObject, gallery: Gallery) -> None:
    filters = data.draw(some_filters(gallery.root))
    answer = facets.count(facets.of_all(gallery.store, filters))
    pictures = gallery.store.pictures(gallery.stored()[0].tolist()).values()
    passing = [p for p in pictures if passes(filters, p)]
    assert answer["total"] == len(passing)
    assert counted(answer, "format") == Counter(p.metadata.format for p in passing)
    assert counted(answer, "camera") == Counter(
        p.metadata.camera for p in passing if p.metadata.camera
    )
    assert counted(answer, "category") == Counter(p.category for p in passing if p.category)
    assert counted(answer, "tag") == Counter(tag for p in passing for tag in p.tags)
    assert counted(answer, "folder") == Counter(os.path.dirname(p.paths[0]) for p in passing)
    assert sum(counted(answer, "year").values()) == len(passing)
    for items in answer["facets"].values():
        assert all(item["count"] > 0 for item in items)


def test_hits_are_counted_as_all_is(gallery: Gallery) -> None:
    filters = Filters(types=("png",), words="harbour")
    answer = gallery.searcher().search(Query((), filters, 1000), gallery.serving())
    assert facets.count(facets.of_hits(answer.hits)) == facets.count(
        facets.of_all(gallery.store, filters)
    )


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_what_was_ranked_is_counted_as_all_is(data: st.DataObject, gallery: Gallery) -> None:
    filters = data.draw(some_filters(gallery.root))
    every = facets.count(facets.of_all(gallery.store, filters))
    ids = Grid(gallery.store).filtered(filters)
    chosen = ids.columns.ids[ids.places].tolist()
    assert facets.count(facets.of_ids(gallery.store, chosen, filters)) == every


def test_times_are_local_to_the_picture_and_the_newest_come_first(
    tmp_path: os.PathLike[str],
) -> None:
    small = Gallery(str(tmp_path))
    # 2024-12-31 23:30 in a zone two hours east of UTC, and an hour later.
    ids = [
        small.add(f"{n}.jpg", unit(1, seed=n)[0], taken=1735680600.0 + 3600 * n, taken_offset=120)
        for n in range(2)
    ]
    small.store.annotate(ids, Annotation(add_tags=("party",)))
    small.copy(ids[0], "copy.jpg")
    answer = facets.count(facets.of_all(small.store, Filters()))
    assert answer["facets"]["year"] == [
        {"value": "2025", "count": 1},
        {"value": "2024", "count": 1},
    ]
    assert counted(answer, "month") == {"2025-01": 1, "2024-12": 1}
    assert counted(answer, "tag") == {"party": 2}


def test_what_is_on_a_drive_that_is_away_is_not_counted(tmp_path: os.PathLike[str]) -> None:
    small = Gallery(str(tmp_path))
    small.add("a.jpg", unit(1)[0])
    folder = small.store.folders()[0]
    assert facets.count(facets.of_all(small.store, Filters()))["total"] == 1
    small.store.update_folder(folder.id, state="offline")
    assert facets.count(facets.of_all(small.store, Filters()))["total"] == 0

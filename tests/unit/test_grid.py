"""The grid shows what a search finds, in its order, however many there are."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgqd.records import PLACEHOLDER_BYTES, UNKNOWN_PLACEHOLDER, Ids
from imgqd.search.filters import Filters, parse_filters
from imgqd.search.grid import Cells, Grid
from imgqd.search.query import Query, parse_request
from tests.unit.gallery import Gallery, ids_of, unit, wait_for
from tests.unit.test_query_filters import made, passes, some_filters

T = 1_700_000_000.0


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> tuple[Gallery, Grid]:
    gallery = made(str(tmp_path_factory.mktemp("grid")), "exact")
    return gallery, Grid(gallery.store)


@pytest.fixture
def gallery(tmp_path: os.PathLike[str]) -> Gallery:
    return Gallery(str(tmp_path))


def told(cells: Cells) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(cells.to_json({"took_ms": 1}))
    return answer


def asked(*terms: dict[str, Any], **request: Any) -> Query:
    return parse_request({"terms": list(terms), **request})


@settings(max_examples=60, deadline=None)
@given(data=st.data(), most=st.sampled_from([1, 7, 60, 1000]))
def test_what_is_ranked_is_what_a_search_finds(
    data: st.DataObject, road: tuple[Gallery, Grid], most: int
) -> None:
    gallery, grid = road
    filters = data.draw(some_filters(gallery.root) | st.just(Filters()))
    query = dataclasses.replace(asked({"text": "sea"}, top=1000), filters=filters)
    passing = grid.passing(filters)
    ids, scores, relevances = gallery.searcher().rank(query, gallery.serving(), most, passing)
    answer = gallery.searcher().search(query, gallery.serving())
    assert len(ids) == len(scores) == len(relevances) == min(most, len(answer.hits))
    wanted = [hit.score for hit in answer.hits][: len(ids)]
    assert list(scores) == pytest.approx(wanted, abs=1e-6)


def test_low_scores_are_left_out_of_many_too(road: tuple[Gallery, Grid]) -> None:
    gallery, _ = road
    query = asked({"text": "sea"}, min_score=0.2, top=1000)
    _, scores, _ = gallery.searcher().rank(query, gallery.serving(), 2000, None)
    answer = gallery.searcher().search(query, gallery.serving())
    assert list(scores) == pytest.approx([hit.score for hit in answer.hits], abs=1e-6)
    assert 0 < len(scores) < len(gallery.stored()[0])


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_filter_leaves_what_it_leaves_in_a_search(
    data: st.DataObject, road: tuple[Gallery, Grid]
) -> None:
    gallery, grid = road
    filters = data.draw(some_filters(gallery.root))
    found = told(grid.filtered(filters))
    pictures = gallery.store.pictures(gallery.stored()[0].tolist()).values()
    passing = [p for p in pictures if passes(filters, p)]
    times = {p.id: p.modified if p.metadata.taken is None else p.metadata.taken for p in passing}
    assert found["ids"] == sorted(times, key=lambda i: (-times[i], -i))
    assert found["total"] == len(passing)
    answer = gallery.searcher().search(Query((), filters, 50), gallery.serving())
    assert ids_of(answer) == found["ids"][:50]


def test_the_first_screen_is_the_beginning_of_all(road: tuple[Gallery, Grid]) -> None:
    _, grid = road
    every, first = told(grid.filtered(Filters())), told(grid.filtered(Filters(), 7))
    assert first["ids"] == every["ids"][:7]
    assert first["total"] == every["total"] == len(every["ids"])
    oldest = told(grid.filtered(Filters(), 7, sort="oldest"))
    assert oldest["ids"] == every["ids"][::-1][:7]


def test_hits_keep_their_order_scores_and_may_be_sorted_by_time(gallery: Gallery) -> None:
    for number in range(8):
        gallery.add(f"{number}.jpg", unit(1, seed=number)[0], taken=T + 100 * number)
    grid = Grid(gallery.store)
    hits = gallery.ask({"text": "sea"}).hits
    ranked = gallery.searcher().rank(asked({"text": "sea"}), gallery.serving(), 100, None)
    found = told(grid.ranked(*ranked))
    assert found["ids"] == [hit.picture.id for hit in hits]
    assert found["scores"] == [pytest.approx(hit.score, abs=1e-4) for hit in hits]
    newest = told(grid.ranked(*ranked, sort="newest"))
    assert newest["ids"] == told(grid.filtered(Filters()))["ids"]
    by_id = dict(zip(found["ids"], found["scores"], strict=True))
    assert newest["scores"] == [by_id[number] for number in newest["ids"]]
    assert told(grid.ranked(*ranked, sort="oldest"))["ids"] == newest["ids"][::-1]


def test_cells_have_ratio_and_placeholder(gallery: Gallery) -> None:
    wide = gallery.add("a.jpg", unit(1, seed=1)[0], width=4000, height=3000, taken=T + 1)
    strip = gallery.add("b.jpg", unit(1, seed=2)[0], width=1, height=60_000, taken=T)
    gallery.store.put_placeholder(wide, bytes(range(PLACEHOLDER_BYTES)))
    gallery.store.put_placeholder(wide, b"\xff" * PLACEHOLDER_BYTES)
    found = told(Grid(gallery.store).filtered(Filters()))
    assert found["ids"] == [wide, strip]
    assert found["ratios"] == [1.33, 0.01]
    placeholders = base64.b64decode(found["placeholders"])
    assert placeholders == bytes(range(PLACEHOLDER_BYTES)) + UNKNOWN_PLACEHOLDER


def test_copies_and_shots_are_one_cell_that_says_how_many(gallery: Gallery) -> None:
    vectors = unit(4, seed=3)
    rows = [
        ("a.NEF", {"format": "raw", "taken": T}),
        ("a.JPG", {"format": "jpeg", "taken": T + 0.4}),
        ("b.JPG", {"format": "jpeg", "taken": T - 9}),
        ("b.PNG", {"format": "png", "taken": T - 9}),
    ]
    ids = gallery.add_many(
        [(name, vectors[i], T, (), facts) for i, (name, facts) in enumerate(rows)]
    )
    gallery.copy(ids[2], "copy.JPG")
    grid = Grid(gallery.store)
    found = told(grid.filtered(Filters()))
    assert found["ids"] == [ids[1], ids[3], ids[2]]
    assert found["stacks"] == {str(ids[1]): 1, str(ids[2]): 1}
    every = told(grid.filtered(Filters(), stacked=False))
    assert len(every["ids"]) == 4 and every["stacks"] == {str(ids[2]): 1}
    raw = told(grid.filtered(parse_filters({"types": ["raw"]})))
    assert raw["ids"] == [ids[0]]


def test_changes_are_seen_at_once(gallery: Gallery) -> None:
    grid = Grid(gallery.store)
    assert told(grid.filtered(Filters()))["ids"] == []
    number = gallery.add("a.jpg", unit(1)[0])
    found = told(grid.filtered(Filters()))
    assert (found["ids"], found["generation"]) == ([number], gallery.store.generation)
    gallery.forget("a.jpg")
    assert told(grid.filtered(Filters()))["ids"] == []


def test_what_was_deleted_a_moment_ago_is_not_shown(gallery: Gallery) -> None:
    stale: list[bytes] = []
    searcher = gallery.searcher(on_stale=stale.extend)
    grid = Grid(gallery.store, gone=searcher.gone)
    first, second = gallery.add("a.jpg", unit(1)[0]), gallery.add("b.jpg", unit(1, 1)[0])
    assert sorted(told(grid.filtered(Filters()))["ids"]) == [first, second]
    os.unlink(gallery.path("a.jpg"))
    answer = told(grid.filtered(Filters()))
    assert (answer["ids"], answer["total"]) == ([second], 1)
    ranked = told(grid.ranked(np.array([first, second]), [0.9, 0.8], [None, None]))
    assert (ranked["ids"], ranked["scores"]) == ([second], [0.8])
    wait_for(lambda: gallery.path("a.jpg") in stale)


def test_a_copy_elsewhere_does_not_keep_a_picture_in_a_folder(gallery: Gallery) -> None:
    searcher = gallery.searcher()
    grid = Grid(gallery.store, gone=searcher.gone)
    number, other = gallery.add("in/a.jpg", unit(1)[0]), gallery.add("in/b.jpg", unit(1, 1)[0])
    gallery.copy(number, "out/a.jpg")
    inside, outside = (Filters(folders=(gallery.path(name),)) for name in ("in", "out"))
    ranked = np.array([number, other]), [0.9, 0.8], [None, None]
    assert sorted(told(grid.filtered(inside))["ids"]) == [number, other]
    os.unlink(gallery.path("in/a.jpg"))
    assert told(grid.filtered(inside))["ids"] == [other]
    assert told(grid.ranked(*ranked, inside))["ids"] == [other]
    assert told(grid.filtered(outside))["ids"] == [number]
    assert sorted(told(grid.filtered(Filters()))["ids"]) == [number, other]


@pytest.mark.parametrize("sort", ["best", "newest", "oldest"])
def test_what_is_shown_first_is_looked_for_in_every_order(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    monkeypatch.setattr("imgqd.search.grid.SEEN", 1)
    ids = [gallery.add(f"{n}.jpg", unit(1, n)[0], taken=T + n) for n in (1, 3, 0, 2)]
    asked_for: list[int] = []

    def gone(some: Sequence[int], _: Filters) -> Ids:
        asked_for.extend(some)
        return np.asarray(some, dtype=np.int64)

    grid = Grid(gallery.store, gone=gone)
    cells = grid.ranked(np.asarray(ids), [0.9, 0.8, 0.7, 0.6], [None] * 4, sort=sort)
    first = {"best": ids[0], "newest": ids[1], "oldest": ids[2]}[sort]
    assert asked_for == [first]
    assert first not in told(cells)["ids"] and cells.total == 3


def test_a_drive_that_is_away_is_left_out(gallery: Gallery) -> None:
    number = gallery.add("a.jpg", unit(1)[0])
    (folder,) = gallery.store.folders()
    gallery.store.update_folder(folder.id, state="offline")
    grid = Grid(gallery.store)
    assert told(grid.filtered(Filters()))["ids"] == []
    gallery.store.update_folder(folder.id, state="watching")
    assert told(grid.filtered(Filters()))["ids"] == [number]

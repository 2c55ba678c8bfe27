"""One picture of a grid stands for those that look like it; none is lost and none comes twice."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgqd.records import Ids, Vectors
from imgqd.search import near
from imgqd.search.filters import Filters, parse_filters
from imgqd.search.grid import Cells, Grid
from imgqd.search.near import THRESHOLD, WINDOW, Links, Neighbours, leaders
from imgqd.search.query import parse_request
from tests.harness import wait_until
from tests.unit.gallery import Gallery, unit

T = 1_700_000_000.0
# What storing a vector as float16 may change of a cosine.
ROUNDED = 2e-3


def told(cells: Cells) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(cells.to_json({"took_ms": 1}))
    return answer


def near_to(vector: Vectors, cosine: float, seed: int) -> Vectors:
    """A unit vector with that cosine to `vector`."""
    other = unit(1, seed)[0]
    other -= vector * (other @ vector)
    other /= np.linalg.norm(other)
    made: Vectors = (cosine * vector + np.sqrt(1 - cosine**2) * other).astype(np.float32)
    return made


def families(seed: int, sizes: list[int]) -> Vectors:
    """Vectors of which so many each are alike, mixed."""
    rows = [
        near_to(
            unit(1, 1000 * seed + number)[0], 0.985, 10**6 + 1000 * seed + 100 * number + member
        )
        for number, size in enumerate(sizes)
        for member in range(size)
    ]
    order = np.random.default_rng(seed).permutation(len(rows))
    return np.stack(rows)[order]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    block=st.sampled_from([1, 3, 8, 256]),
)
def test_each_is_taken_by_the_first_that_it_is_like(
    seed: int, sizes: list[int], block: int
) -> None:
    vectors = families(seed, sizes)
    found = _with_block(block, vectors)
    cosines = vectors @ vectors.T
    plain: list[int] = []
    for place in range(len(vectors)):
        first = [one for one in plain if plain[one] == one and cosines[one, place] >= THRESHOLD]
        plain.append(first[0] if first else place)
    assert found.tolist() == plain
    for length in range(len(vectors)):
        assert leaders(vectors[:length]).tolist() == plain[:length]


def _with_block(block: int, vectors: Vectors) -> near.Places:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near, "BLOCK", block)
        return leaders(vectors)


def test_of_links_the_first_stands_for_all_that_are_joined() -> None:
    links = Links(1, np.array([[5, 6], [6, 7], [1, 9], [9, 4], [3, 77]]))
    ids = np.array([7, 1, 3, 6, 4, 5, 9])
    assert links.leaders(ids).tolist() == [0, 1, 2, 0, 1, 0, 1]
    # Without the one between them two are not joined.
    assert links.leaders(np.array([7, 5, 3])).tolist() == [0, 1, 2]
    assert links.leaders(np.zeros(0, dtype=np.int64)).tolist() == []


def shelf(directory: str, seed: int, sizes: list[int]) -> Gallery:
    """Families of pictures that look alike, taken one after the other."""
    gallery = Gallery(directory)
    vectors = families(seed, sizes)
    for number, vector in enumerate(vectors):
        facts = {"taken": T + number // 2, "rating": number % 3}
        gallery.add(f"{number}.jpg", vector, tags=["a"] if number % 2 else [], **facts)
    return gallery


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=8),
    filters=st.sampled_from([{}, {"tags": ["a"]}, {"rating": 1}]),
    sort=st.sampled_from(["best", "newest", "oldest"]),
    words=st.booleans(),
)
def test_leaders_and_members_are_the_answer_each_once(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    sizes: list[int],
    filters: dict[str, Any],
    sort: str,
    words: bool,
) -> None:
    gallery = shelf(str(tmp_path_factory.mktemp("near")), seed, sizes)
    grid = Grid(gallery.store)
    wanted = parse_filters(filters)

    def asked(alike: int | None) -> dict[str, Any]:
        if not words:
            return told(grid.filtered(wanted, sort=sort, alike=alike))
        query = parse_request({"terms": [{"text": "sea"}], **filters})
        passing = grid.passing(wanted)
        ranked = gallery.searcher().rank(query, gallery.serving(), 2000, passing)
        return told(grid.ranked(*ranked, sort=sort, alike=alike))

    plain, folded = asked(None), asked(gallery.model_id)
    members = [one for behind in folded["alike"].values() for one in behind]
    assert sorted([*folded["ids"], *members]) == sorted(plain["ids"])
    assert folded["total"] == plain["total"] == len(plain["ids"])
    assert plain["alike"] == {}
    assert folded["ids"] == [one for one in plain["ids"] if one in set(folded["ids"])]
    assert len(folded["ids"]) == len(folded["ratios"])
    by_id = dict(zip(*gallery.store.vectors(gallery.model_id, np.array(plain["ids"])), strict=True))
    # The order in which it is told who stands for whom.
    order = plain["ids"]
    if words and sort != "best":
        order = told(grid.ranked(*_ranked(gallery, grid, wanted, filters)))["ids"]
    place = {one: at for at, one in enumerate(order)}
    for leader, behind in folded["alike"].items():
        group = [int(leader), *behind]
        assert int(leader) in folded["ids"]
        assert group == sorted(group, key=place.__getitem__)
        for one in behind:
            others = [int(leader)] if words else [other for other in group if other != one]
            assert max(by_id[one] @ by_id[other] for other in others) >= THRESHOLD - ROUNDED


def _ranked(gallery: Gallery, grid: Grid, wanted: Filters, filters: dict[str, Any]) -> Any:
    query = parse_request({"terms": [{"text": "sea"}], **filters})
    return gallery.searcher().rank(query, gallery.serving(), 2000, grid.passing(wanted))


@pytest.fixture
def gallery(tmp_path: os.PathLike[str]) -> Gallery:
    return Gallery(str(tmp_path))


def burst(gallery: Gallery, count: int, *, at: float, seed: int) -> list[int]:
    """So many shots of one thing, a second between them; the newest first."""
    seen = unit(1, seed)[0]
    return [
        gallery.add(f"{seed}-{n}.jpg", near_to(seen, 0.99, 10**6 + 50 * seed + n), taken=at + n)
        for n in range(count)
    ][::-1]


def test_a_burst_is_one_cell_and_the_first_screen_is_the_beginning_of_all(
    gallery: Gallery,
) -> None:
    second, first = burst(gallery, 5, at=T, seed=1), burst(gallery, 3, at=T + 100, seed=2)
    alone = gallery.add("alone.jpg", unit(1, 3)[0], taken=T + 50)
    grid = Grid(gallery.store)
    every = told(grid.filtered(Filters(), alike=gallery.model_id))
    assert every["ids"] == [first[0], alone, second[0]]
    assert every["alike"] == {str(first[0]): first[1:], str(second[0]): second[1:]}
    assert every["total"] == 9
    screen = told(grid.filtered(Filters(), 2, alike=gallery.model_id))
    assert screen["ids"] == every["ids"][:2]
    assert screen["alike"] == {str(first[0]): first[1:]}
    oldest = told(grid.filtered(Filters(), sort="oldest", alike=gallery.model_id))
    assert oldest["ids"] == [second[-1], alone, first[-1]]


def test_what_looks_alike_long_after_stays_by_itself(gallery: Gallery) -> None:
    seen = unit(1, 7)[0]
    early = gallery.add("early.jpg", near_to(seen, 0.99, 8), taken=T)
    others = [gallery.add(f"{n}.jpg", unit(1, 20 + n)[0], taken=T + 1 + n) for n in range(WINDOW)]
    late = gallery.add("late.jpg", near_to(seen, 0.99, 9), taken=T + 100)
    found = told(Grid(gallery.store).filtered(Filters(), alike=gallery.model_id))
    assert found["ids"] == [late, *others[::-1], early]
    assert found["alike"] == {}


class Reads:
    """How many vectors were read."""

    def __init__(self, gallery: Gallery, patch: pytest.MonkeyPatch) -> None:
        self.count = 0
        read = gallery.store.vectors

        def counted(model_id: int, ids: Any) -> Any:
            self.count += len(ids)
            return read(model_id, ids)

        patch.setattr(gallery.store, "vectors", counted)


def test_only_new_neighbours_are_compared(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    burst(gallery, 20, at=T, seed=1)
    grid = Grid(gallery.store)
    reads = Reads(gallery, monkeypatch)
    before = told(grid.filtered(Filters(), alike=gallery.model_id))
    assert reads.count == 20
    assert told(grid.filtered(Filters(), alike=gallery.model_id)) == before
    assert reads.count == 20
    # Between the shots: it parts some, and is compared with those beside it.
    gallery.add("between.jpg", unit(1, 99)[0], taken=T + 9.5)
    after = told(grid.filtered(Filters(), alike=gallery.model_id))
    assert reads.count <= 20 + 2 * WINDOW + 1
    assert len(after["ids"]) == 2
    fresh = told(Grid(gallery.store).filtered(Filters(), alike=gallery.model_id))
    assert after == fresh


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_whatever_comes_and_goes_it_is_as_if_all_were_compared_anew(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    gallery = Gallery(str(tmp_path_factory.mktemp("order")))
    grid = Grid(gallery.store)
    seen = unit(3, 5)
    there: list[int] = []
    for step in range(data.draw(st.integers(1, 4))):
        for number in range(data.draw(st.integers(0, 6))):
            vector = near_to(seen[data.draw(st.integers(0, 2))], 0.985, 10**6 + 31 * step + number)
            when = T + data.draw(st.integers(0, 20))
            there.append(gallery.add(f"{step}-{number}.jpg", vector, taken=when))
        for gone in data.draw(st.lists(st.sampled_from(there), max_size=3)) if there else ():
            with gallery.store.write() as connection:
                connection.execute("UPDATE pictures SET orphaned = 1 WHERE id = ?", (gone,))
                gallery.store.bump(connection)
        known = grid.neighbours.links(grid.columns(), gallery.model_id)
        fresh = Neighbours(gallery.store).links(grid.columns(), gallery.model_id)
        assert known.pairs.tolist() == fresh.pairs.tolist()


def test_a_picture_whose_vector_comes_later_is_compared_then(gallery: Gallery) -> None:
    shots = burst(gallery, 3, at=T, seed=1)
    _, vectors = gallery.store.vectors(gallery.model_id, np.array([shots[1]]))
    gallery.store.drop_vectors(gallery.model_id, [shots[1]])
    grid = Grid(gallery.store)
    before = told(grid.filtered(Filters(), alike=gallery.model_id))
    assert before["ids"] == [shots[0], shots[1]]
    gallery.store.put_vectors(gallery.model_id, [shots[1]], vectors)
    with gallery.store.write() as connection:
        gallery.store.bump(connection)
    after = told(grid.filtered(Filters(), alike=gallery.model_id))
    assert after["ids"] == shots[:1]


def test_many_are_compared_off_to_the_side_and_that_is_told(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near, "AT_ONCE", 5)
    monkeypatch.setattr(near, "PAIRS", 7)
    shots = burst(gallery, 12, at=T, seed=1)
    more: list[int] = []
    grid = Grid(gallery.store, lambda: more.append(1))
    first = told(grid.filtered(Filters(), alike=gallery.model_id))
    assert set(first["ids"]) <= set(shots)
    wait_until(lambda: more == [1], every=0.01)
    assert told(grid.filtered(Filters(), alike=gallery.model_id))["ids"] == shots[:1]
    # Nothing is new: nothing is done and nothing told.
    assert told(grid.filtered(Filters(), alike=gallery.model_id))["ids"] == shots[:1]
    assert more == [1]


def test_what_fails_off_to_the_side_is_tried_again(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near, "AT_ONCE", 1)
    shots = burst(gallery, 4, at=T, seed=1)
    more: list[int] = []
    grid = Grid(gallery.store, lambda: more.append(1))
    failed = threading.Event()

    def fails(*_: object) -> None:
        failed.set()
        raise ValueError("vectors of another length")

    with monkeypatch.context() as broken:
        broken.setattr(gallery.store, "vectors", fails)
        grid.filtered(Filters(), alike=gallery.model_id)
        assert failed.wait(30)
        wait_until(lambda: not grid.neighbours._working, every=0.01)
    grid.filtered(Filters(), alike=gallery.model_id)
    wait_until(lambda: more == [1], every=0.01)
    assert told(grid.filtered(Filters(), alike=gallery.model_id))["ids"] == shots[:1]


def test_a_model_that_is_asked_for_meanwhile_is_next(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near, "AT_ONCE", 1)
    shots = burst(gallery, 4, at=T, seed=1)
    other = gallery.store.model_id("other", "other", 32)
    gallery.store.put_vectors(other, shots, unit(4, 60))
    more: list[int] = []
    grid = Grid(gallery.store, lambda: more.append(1))
    begun, go_on, vectors = threading.Event(), threading.Event(), gallery.store.vectors

    def slow(model_id: int, ids: Ids) -> tuple[Ids, Vectors]:
        begun.set()
        assert go_on.wait(30)
        return vectors(model_id, ids)

    monkeypatch.setattr(gallery.store, "vectors", slow)
    grid.filtered(Filters(), alike=other)
    assert begun.wait(30)
    grid.filtered(Filters(), alike=gallery.model_id)
    go_on.set()
    wait_until(lambda: more == [1], every=0.01)
    assert told(grid.filtered(Filters(), alike=gallery.model_id))["ids"] == shots[:1]


def test_of_another_model_everything_is_compared_anew(gallery: Gallery) -> None:
    shots = burst(gallery, 3, at=T, seed=1)
    other = gallery.store.model_id("other", "other", 32)
    gallery.store.put_vectors(other, shots, unit(3, 60))
    grid = Grid(gallery.store)
    assert told(grid.filtered(Filters(), alike=gallery.model_id))["ids"] == shots[:1]
    assert told(grid.filtered(Filters(), alike=other))["ids"] == shots
    assert told(grid.filtered(Filters(), alike=gallery.model_id))["ids"] == shots[:1]

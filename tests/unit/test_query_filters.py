"""Filtered answers equal filtering the full ranking; down whichever road they are found."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgqd.library.added import Annotation
from imgqd.records import Picture
from imgqd.search import query as query_module
from imgqd.search import ranking as ranking_module
from imgqd.search.dates import Bound
from imgqd.search.filters import Filters, Place
from imgqd.search.query import Query
from imgqd.search.ranking import Ranking
from imgqd.search.terms import Term
from tests.unit.gallery import DIM, Gallery, ids_of, unit

ROWS = 1500
CAMERAS = [None, "Canon EOS R5", "NIKON Z 6", "LEICA Q2"]


def facts_of(generator: np.random.Generator) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "width": int(generator.integers(1, 5)) * 100,
        "height": int(generator.integers(1, 5)) * 100,
        "format": str(generator.choice(["jpeg", "jpeg", "jpeg", "png", "raw"])),
        "camera": CAMERAS[int(generator.integers(4))],
    }
    if generator.random() < 0.3:
        facts["rating"] = int(generator.integers(-1, 6))
    if generator.random() < 0.3:
        facts["title"] = str(generator.choice(["Harbour at night", "the harbour", "Fog"]))
        facts["keywords"] = ("harbour",) if generator.random() < 0.5 else ("night", "two words")
    if generator.random() < 0.7:
        facts["taken"] = float(generator.integers(0, 1000))
        facts["taken_offset"] = [None, 10, -5][int(generator.integers(3))]
    if generator.random() < 0.5:
        facts["gps"] = (float(generator.uniform(-90, 90)), float(generator.uniform(-180, 180)))
    return facts


def made(directory: str, kind: str) -> Gallery:
    gallery = Gallery(directory, kind=kind)
    generator = np.random.default_rng(5)
    vectors = unit(ROWS, seed=3)
    vectors[700:720] = vectors[700]  # a burst of equal pictures
    gallery.add_many(
        [
            (
                f"{'abc'[i % 3]}/{'xy'[i % 2]}/{i}.jpg",
                vectors[i],
                float(generator.integers(0, 1000)),
                ["sea"] if i % 4 == 0 else [],
                facts_of(generator),
            )
            for i in range(ROWS)
        ]
    )
    ids = sorted(gallery.stored()[0].tolist())
    store = gallery.store
    store.annotate(ids[::5], Annotation(fields={"print": "A4"}, description="Fog over town"))
    store.annotate(ids[::7], Annotation(fields={"print": "A5"}, category="Food"))
    with store.write() as connection:
        connection.execute("INSERT INTO labels VALUES (1, 'food'), (2, 'mountains')")
        connection.executemany(
            "INSERT INTO categories VALUES (?, ?)", [(i, 1 + i % 2) for i in ids if i % 3]
        )
    gallery.index.rebuild(gallery.store.vector_batches(gallery.model_id))
    return gallery


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    return made(str(tmp_path_factory.mktemp("exact")), "exact")


@pytest.fixture(scope="module")
def compact(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    gallery = made(str(tmp_path_factory.mktemp("compact")), "compact")
    assert gallery.index.kind == "compact"
    return gallery


@pytest.fixture(params=["as set", "few", "all"])
def road(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Makes a small gallery take the roads that a large library takes."""
    if request.param != "as set":
        monkeypatch.setattr(query_module, "FIRST_DEPTH", 16)
        monkeypatch.setattr(query_module, "DEEPEST", 64)
        monkeypatch.setattr(ranking_module, "FIRST_DEPTH", 16)
        monkeypatch.setattr(query_module, "FEW", 10**6 if request.param == "few" else 0)
    yield


def words_of(picture: Picture) -> set[str]:
    """What --text looks for, for pictures that are described in ASCII."""
    facts = picture.metadata
    texts = [facts.title, facts.description, picture.description, *facts.keywords, *picture.tags]
    texts += [os.fsdecode(path) for path in picture.paths]
    return {word for text in texts if text for word in re.findall(r"[a-z0-9]+", text.lower())}


def passes(filters: Filters, picture: Picture) -> bool:
    """True for a picture that is below one of the folders and has all that is asked for."""
    wanted = (filters.words or "").lower().split()
    there = words_of(picture)
    fits = [any(w == t or (w[-1] == "*" and t.startswith(w[:-1])) for t in there) for w in wanted]
    return all(fits) and filters.passes(picture) and filters.shows(picture.paths[0])


def full_ranking(gallery: Gallery, vector: Any, filters: Filters) -> dict[int, float]:
    """All that passes with its cosine, best first, by numpy."""
    ids, vectors = gallery.stored()
    exact = vectors.astype(np.float64)
    scores = exact @ vector / np.linalg.norm(exact, axis=1) / np.linalg.norm(vector)
    pictures = gallery.store.pictures(ids.tolist())
    return {
        int(ids[i]): float(scores[i])
        for i in np.lexsort((ids, -np.round(scores, 7)))
        if passes(filters, pictures[int(ids[i])])
    }


def assert_ranked(found: list[int], expected: dict[int, float], part: slice) -> None:
    """The same pictures in the same order, but where scores differ by rounding only."""
    assert len(set(found)) == len(found)
    wanted = list(expected)[part]
    scores = [expected.get(i) for i in found]
    assert scores == pytest.approx([expected[i] for i in wanted], abs=1e-6)


def some_filters(root: bytes) -> st.SearchStrategy[Filters]:
    folders = st.sampled_from([b"a", b"b", b"a/x", b"c/y", b"nowhere"])
    bounds = st.builds(Bound, st.integers(0, 1000).map(float), st.booleans())
    return st.builds(
        Filters,
        folders=st.lists(folders, max_size=2, unique=True).map(
            lambda names: tuple(os.path.join(root, name) for name in names)
        ),
        after=st.none() | bounds,
        before=st.none() | bounds,
        types=st.sampled_from([(), (), ("jpeg",), ("png", "raw")]),
        camera=st.sampled_from([None, None, "canon", "q2"]),
        near=st.none() | st.builds(Place, st.floats(-90, 90), st.floats(-180, 180), st.floats(0, 9000)),
        tags=st.sampled_from([(), (), ("sea",)]),
        min_size=st.none() | st.tuples(st.integers(0, 400), st.integers(0, 400)),
        orientation=st.sampled_from([None, None, "landscape", "square"]),
        where=st.sampled_from([(), (), (("print", "A4"),), (("keyword", "night"),)]),
        rating=st.none() | st.integers(-1, 5),
        words=st.sampled_from([None, None, "harbour", "Fog town", "NIGHT har*", "sea", "12 jpg"]),
        category=st.sampled_from([None, None, "food", "MOUNTAINS", "nothing"]),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(data=st.data())
@pytest.mark.usefixtures("road")
def test_filtered_answers_equal_filtering_the_full_ranking(
    data: st.DataObject, exact: Gallery
) -> None:
    filters = data.draw(some_filters(exact.root))
    text = data.draw(st.sampled_from(["sea", "sun", "fog"]))
    top, offset = data.draw(st.integers(1, 40)), data.draw(st.integers(0, 30))
    query = Query((Term("text", text),), filters, top, offset)
    answer = exact.searcher().search(query, exact.serving())
    vector = exact.words.encode([text])[0]
    expected = full_ranking(exact, vector, filters)
    assert_ranked(ids_of(answer), expected, slice(offset, offset + top))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_without_terms_filters_leave_the_newest(data: st.DataObject, exact: Gallery) -> None:
    filters = data.draw(some_filters(exact.root))
    answer = exact.searcher().search(Query((), filters, 50), exact.serving())
    pictures = exact.store.pictures(exact.stored()[0].tolist()).values()
    passing = [p for p in pictures if passes(filters, p)]
    times = {p.id: p.modified if p.metadata.taken is None else p.metadata.taken for p in passing}
    expected = sorted(times, key=lambda i: (-times[i], -i))[:50]
    assert ids_of(answer) == expected


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_the_compact_kind_is_exact_where_all_that_pass_are_asked_for(
    data: st.DataObject, compact: Gallery
) -> None:
    filters = data.draw(some_filters(compact.root))
    query = Query((Term("text", "sea"),), filters, ROWS)
    answer = compact.searcher().search(query, compact.serving())
    vector = compact.words.encode(["sea"])[0]
    assert_ranked(ids_of(answer), full_ranking(compact, vector, filters), slice(ROWS))


def test_the_compact_kind_finds_the_best_ten_among_candidates(compact: Gallery) -> None:
    kept = 0
    for seed in range(40):
        vector = unit(1, seed=100 + seed)[0]
        ranking = Ranking(compact.store, compact.model_id, compact.index, vector)
        found = np.concatenate([ids for ids, _ in _until(ranking, 10)])[:10]
        kept += len(set(found.tolist()) & set(list(full_ranking(compact, vector, Filters()))[:10]))
    assert kept >= 396


def test_the_larger_a_library_the_further_down_is_looked(
    compact: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept() -> int:
        held = 0
        for seed in range(20):
            vector = unit(1, seed=300 + seed)[0]
            ranking = Ranking(compact.store, compact.model_id, compact.index, vector)
            found = np.concatenate([ids for ids, _ in _until(ranking, 10)])[:10]
            held += len(set(found.tolist()) & set(ranking.of(compact.index.ids())[0][:10].tolist()))
        return held

    for name, value in {
        "PATIENCE": 12,
        "PATIENCE_EACH": 1,
        "FIRST_STEP": 12,
        "LEAST_STEP": 1,
    }.items():
        monkeypatch.setattr(ranking_module, name, value)
    short = kept()
    monkeypatch.setattr(ranking_module, "PATIENCE_SHARE", 0.1)
    assert short < kept() >= 198


def test_few_that_pass_come_in_their_order(compact: Gallery) -> None:
    ids = compact.stored()[0]
    for seed in range(60):
        few = np.random.default_rng(seed).choice(ids, 2 + seed % 8, replace=False)
        query = unit(1, seed=500 + seed)[0]
        ranking = Ranking(compact.store, compact.model_id, compact.index, query)
        walk = ranking.walk(1000, allowed=lambda some, few=few: some[np.isin(some, few)])
        found = np.concatenate([some for some, _ in walk])
        assert found.tolist() == ranking.of(few)[0].tolist()


def _until(ranking: Ranking, need: int) -> Iterator[tuple[Any, Any]]:
    count = 0
    for ids, scores in ranking.walk(need):
        yield ids, scores
        count += len(ids)
        if count >= need:
            return


@pytest.mark.parametrize("which", ["exact", "compact"])
def test_a_walk_to_the_end_yields_every_picture_once_best_first(
    which: str, request: pytest.FixtureRequest
) -> None:
    gallery: Gallery = request.getfixturevalue(which)
    ranking = Ranking(gallery.store, gallery.model_id, gallery.index, unit(1, seed=77)[0])
    chunks = list(ranking.walk(5))
    ids = np.concatenate([ids for ids, _ in chunks])
    scores = np.concatenate([scores for _, scores in chunks])
    assert sorted(ids.tolist()) == sorted(gallery.stored()[0].tolist())
    if which == "exact":
        assert (np.diff(scores) <= 0).all()


def test_a_filter_with_a_burst_of_equal_scores_pages_by_id(exact: Gallery) -> None:
    burst = sorted(exact.index.ids().tolist())[700:720]
    pages = []
    for offset in range(0, 20, 3):
        answer = exact.ask({"id": burst[0]}, top=3, offset=offset, types=["jpeg", "png", "raw"])
        pages += ids_of(answer)
    assert pages[:20] == burst


def test_equal_vectors_have_equal_scores_wherever_they_are() -> None:
    vectors = np.repeat(unit(1, seed=9, dim=DIM + 1), 999, axis=0)
    scores = ranking_module.cosines(vectors[1:], unit(1, seed=8, dim=DIM + 1)[0])
    assert len(set(scores.tolist())) == 1


def test_lists_that_hold_too_few_candidates_hide_no_picture(tmp_path: object) -> None:
    gallery = made(str(tmp_path), "IVF32,SQ8")
    assert gallery.index.kind == "IVF32,SQ8"
    vector = gallery.words.encode(["sea"])[0]
    for filters in (Filters(), Filters(tags=("sea",))):
        query = Query((Term("text", "sea"),), filters, 1000)
        answer = gallery.searcher().search(query, gallery.serving())
        assert_ranked(ids_of(answer), full_ranking(gallery, vector, filters), slice(1000))

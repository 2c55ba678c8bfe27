"""The vector index: answers, growth, changes while searching and rebuilding."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np
import pytest

from imgqd.errors import UsageError
from imgqd.records import Ids, Vectors
from imgqd.search import index as index_module
from imgqd.search import kinds
from imgqd.search.index import VectorIndex
from imgqd.search.part import Part

DIM = 64


def unit(rows: int, seed: int = 0, dim: int = DIM) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # As the library stores them.
    return vectors.astype(np.float16).astype(np.float32)


def some_ids(rows: int) -> Ids:
    return np.arange(rows, dtype=np.int64) * 3 + 7


def filled(rows: int, kind: str = "auto", seed: int = 0) -> tuple[VectorIndex, Ids, Vectors]:
    index = VectorIndex(DIM, kind=kind)
    ids, vectors = some_ids(rows), unit(rows, seed)
    index.rebuild([(ids, vectors)])
    return index, ids, vectors


def best(vectors: Vectors, query: Vectors, k: int) -> list[int]:
    return np.argsort(-(vectors @ query), kind="stable")[:k].tolist()


def wait_until(condition: object, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_exact_kind_ranks_as_numpy_does() -> None:
    index, ids, vectors = filled(500)
    for query in unit(20, seed=1):
        found, scores = index.search(query[None], 10)
        assert found[0].tolist() == ids[best(vectors, query, 10)].tolist()
        np.testing.assert_allclose(scores[0], np.sort(vectors @ query)[::-1][:10], atol=1e-5)
    assert index.exact and index.kind == "exact" and index.count == 500


def test_an_empty_index_answers_with_nothing() -> None:
    ids, scores = VectorIndex(DIM).search(unit(2), 3)
    assert ids.tolist() == [[-1] * 3] * 2
    assert np.isneginf(scores).all()


def test_more_than_there_is_is_padded() -> None:
    index, ids, _ = filled(4)
    found, scores = index.search(unit(1, seed=5), 6)
    assert sorted(found[0, :4].tolist()) == ids.tolist()
    assert found[0, 4:].tolist() == [-1, -1] and np.isneginf(scores[0, 4:]).all()


def test_compact_candidates_hold_the_best_ten() -> None:
    index, ids, vectors = filled(5000, "compact")
    assert index.kind == "compact" and not index.exact
    queries = unit(30, seed=1) * 0.3 + vectors[:30]
    kept = 0
    for query in queries:
        found, _ = index.search(query[None], 400)
        kept += len(set(ids[best(vectors, query, 10)].tolist()) & set(found[0].tolist()))
    assert kept >= 297


def test_few_vectors_are_exact_whatever_kind_is_wanted() -> None:
    for kind in ("auto", "compact", "IVF16,SQ8", "HNSW16"):
        index, ids, vectors = filled(50, kind)
        assert index.kind == "exact"
        assert index.search(vectors[:1], 1)[0][0, 0] == ids[0]


@pytest.mark.parametrize("kind", ["IVF16,SQ8", "HNSW16", "SQ8", "PCA32,Flat", "IVF16,RaBitQfs"])
def test_any_factory_string_finds_removes_and_finds_again(kind: str) -> None:
    index, ids, vectors = filled(1500, kind)
    assert index.kind == kind and index.count == 1500
    found, _ = index.search(vectors[:50], 10)
    assert sum(i in row for i, row in zip(ids[:50], found, strict=True)) >= 49
    index.remove(ids[:50])
    assert index.count == 1450
    found, _ = index.search(vectors[:50], 10)
    assert not np.isin(found, ids[:50]).any() and (found >= 0).all()
    assert sorted(index.ids().tolist()) == ids[50:].tolist()
    index.add(ids[:50], vectors[:50])
    assert index.count == 1500
    found, _ = index.search(vectors[:50], 10)
    assert sum(i in row for i, row in zip(ids[:50], found, strict=True)) >= 49


@pytest.mark.parametrize("kind", ["compact", "PQ64x4fs", "RaBitQfs", "SQ8"])
@pytest.mark.parametrize("removed", [1, 40, 64])
def test_what_is_added_after_a_removal_is_found_by_its_own_vector(kind: str, removed: int) -> None:
    index, ids, vectors = filled(2010, kind)
    index.remove(ids[:removed])
    late_ids, late = np.arange(100, dtype=np.int64) + 1_000_000, unit(100, seed=9)
    for start in range(0, 100, 25):
        index.add(late_ids[start : start + 25], late[start : start + 25])
    found, _ = index.search(late, 5)
    assert (found == late_ids[:, None]).any(axis=1).all()
    found, _ = index.search(vectors[removed:], 5)
    assert (found == ids[removed:, None]).any(axis=1).all()


def test_the_compact_kind_has_groups_of_any_number_of_dimensions() -> None:
    faiss.omp_set_num_threads(1)
    for dim in (40, 300, 600):
        vectors = unit(1200, seed=2, dim=dim)
        made = kinds.make_trained("compact", dim, vectors)
        made.add_with_ids(vectors, np.arange(1200))
        assert (made.search(vectors, 1)[1][:, 0] == np.arange(1200)).all()


def test_the_compact_kind_spends_its_bits_where_vectors_differ() -> None:
    faiss.omp_set_num_threads(1)
    spread = 0.985 ** np.arange(600, dtype=np.float32)
    generator = np.random.default_rng(4)
    turn, _ = np.linalg.qr(generator.standard_normal((600, 600)))
    vectors = generator.standard_normal((4000, 600), dtype=np.float32) * spread
    vectors = (vectors @ turn).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    made = kinds.make_trained("compact", 600, vectors, expected=kinds.MOST_FINE + 1)
    # 600 dimensions are divided among 256 groups, but 512 axes tell all that there is to tell.
    assert faiss.downcast_index(made.index).index.d == 512
    made.add_with_ids(vectors, np.arange(4000))
    held = 0
    for query in unit(100, seed=5, dim=600):
        candidates = made.search(query[None], 30)[1][0]
        held += len(set(best(vectors, query, 10)) & set(candidates.tolist()))
    # With axes in any direction, 30 candidates hold 74% of the best ten.
    assert held >= 980


def test_the_compact_kind_is_made_of_vectors_without_differences() -> None:
    same = np.repeat(unit(1, seed=3, dim=300), 1200, axis=0)
    made = kinds.make_trained("compact", 300, same)
    made.add_with_ids(same, np.arange(1200))
    assert np.allclose(made.search(same[:1], 1200)[0], 1.0, atol=0.02)


def test_a_snapshot_for_fewer_vectors_or_of_another_version_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded() -> VectorIndex | None:
        where, names = str(tmp_path), {"model_id": "m", "library_id": "l"}
        return VectorIndex.load(where, **names, dim=300, kind="compact", threads=1)

    index = VectorIndex(300, kind="compact")
    index.rebuild([(some_ids(1500), unit(1500, dim=300))])
    index.save(str(tmp_path), model_id="m", library_id="l")
    assert loaded() is not None
    monkeypatch.setattr(kinds, "GROUPS", ((1499, 384), (None, 216)))
    assert index.outgrown
    assert loaded() is None
    index.rebuild([(some_ids(1500), unit(1500, dim=300))], expected=1500)
    index.save(str(tmp_path), model_id="m", library_id="l")
    assert not index.outgrown
    assert loaded() is not None


@pytest.mark.parametrize("kind", ["nonsense", "IDMap,Flat", "IVF16,nope", "LSH", ""])
def test_a_kind_that_cannot_be_made_is_refused_by_name(kind: str) -> None:
    with pytest.raises(UsageError) as refusal:
        VectorIndex(DIM, kind=kind)
    assert "setting index" in refusal.value.message and repr(kind) in refusal.value.message


def test_an_id_that_is_added_again_is_there_once() -> None:
    index, ids, vectors = filled(100)
    replaced = unit(1, seed=9)
    index.add(ids[5:6], replaced)
    index.add(np.array([ids[6], ids[6]]), vectors[[6, 6]])
    assert index.count == 100
    assert sorted(index.ids().tolist()) == ids.tolist()
    assert index.search(replaced, 1)[0][0, 0] == ids[5]


def test_large_ids_come_back_whole() -> None:
    index = VectorIndex(DIM)
    ids = np.array([2**40 + 1, 2**62, 3], dtype=np.int64)
    index.add(ids, unit(3))
    assert index.search(unit(3), 1)[0][:, 0].tolist() == ids.tolist()


def test_removing_what_is_not_there_changes_nothing() -> None:
    index, ids, _ = filled(20)
    index.remove(np.array([1, 2, 10**9]))
    index.remove(np.array([], dtype=np.int64))
    assert sorted(index.ids().tolist()) == ids.tolist()


def test_vectors_that_are_no_numbers_are_left_out() -> None:
    index = VectorIndex(DIM)
    vectors = unit(3)
    vectors[1, 3] = np.nan
    index.add(some_ids(3), vectors)
    assert index.ids().tolist() == [7, 13]


def test_wrong_shapes_are_refused() -> None:
    index = VectorIndex(DIM)
    with pytest.raises(ValueError, match="64 dimensions"):
        index.add(some_ids(2), unit(3))
    with pytest.raises(ValueError, match="64 dimensions"):
        index.search(unit(1, dim=32), 1)


def test_reconcile_tells_missing_from_surplus() -> None:
    index, ids, _ = filled(10)
    wanted = np.concatenate([ids[3:], [1000, 1001]])
    missing, surplus = index.reconcile(wanted)
    assert missing.tolist() == [1000, 1001]
    assert surplus.tolist() == ids[:3].tolist()


def test_growth_switches_the_kind_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "EXACT_LIMIT", 2000)
    index, ids, vectors = filled(1900)
    assert index.kind == "exact"
    more = unit(400, seed=3)
    more_ids = np.arange(400, dtype=np.int64) + 100_000
    for start in range(0, 400, 40):
        index.add(more_ids[start : start + 40], more[start : start + 40])
    wait_until(lambda: index.kind == "compact" and not index.rebuilding)
    assert sorted(index.ids().tolist()) == [*ids.tolist(), *more_ids.tolist()]
    found, _ = index.search(np.concatenate([vectors, more]), 5)
    there = np.isin(np.concatenate([ids, more_ids])[:, None], found, assume_unique=False)
    assert there.all()


def test_a_rebuild_with_few_vectors_goes_back_to_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "EXACT_LIMIT", 2000)
    index, ids, vectors = filled(3000)
    assert index.kind == "compact"
    index.rebuild([(ids[:100], vectors[:100])])
    assert index.kind == "exact" and index.count == 100


def test_a_kind_that_cannot_be_trained_leaves_the_exact_one() -> None:
    # 60 dimensions cannot be cut into 16 parts, which only training finds out.
    index = VectorIndex(DIM, kind="PQ64x10")
    ids, vectors = some_ids(500), unit(500)
    index.rebuild([(ids, vectors)])
    assert index.kind == "exact"
    assert index.search(vectors[:1], 1)[0][0, 0] == ids[0]


@pytest.mark.parametrize("kind", ["exact", "compact", "HNSW16"])
def test_changes_during_a_rebuild_are_in_the_new_index(kind: str) -> None:
    index, ids, vectors = filled(3000, kind)
    late_ids, late = np.arange(50, dtype=np.int64) + 1_000_000, unit(50, seed=4)

    def batches() -> Iterator[tuple[Ids, Vectors]]:
        yield ids[:1500], vectors[:1500]
        assert index.rebuilding
        index.add(late_ids, late)
        index.remove(ids[:100])
        index.remove(ids[2000:2010])
        index.add(ids[:1], vectors[:1])
        assert index.search(late[:1], 1)[0][0, 0] == late_ids[0]
        yield ids[1500:], vectors[1500:]

    index.rebuild(batches())
    expected = {*ids.tolist(), *late_ids.tolist()} - {
        *ids[1:100].tolist(),
        *ids[2000:2010].tolist(),
    }
    assert set(index.ids().tolist()) == expected
    assert index.count == len(expected)
    assert index.kind == kind and not index.rebuilding


def test_a_rebuild_that_fails_leaves_the_old_index() -> None:
    index, ids, vectors = filled(200)

    def batches() -> Iterator[tuple[Ids, Vectors]]:
        yield ids[:10], vectors[:10]
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        index.rebuild(batches())
    assert index.count == 200 and not index.rebuilding
    index.add(np.array([10**6]), unit(1, seed=8))
    assert index.count == 201


@pytest.mark.parametrize("kind", ["exact", "compact"])
def test_searches_are_right_while_the_index_changes(kind: str) -> None:
    index, ids, vectors = filled(3000, kind)
    stop = threading.Event()
    wrong: list[object] = []
    searched = [0, 0, 0]

    def search(which: int) -> None:
        while not stop.is_set():
            # The first hundred stay throughout, so each must always find itself.
            row = searched[which] % 100
            found, _ = index.search(vectors[row : row + 1], 10)
            if ids[row] not in found[0]:
                wrong.append((row, found))
            searched[which] += 1

    threads = [threading.Thread(target=search, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    extra = unit(200, seed=6)
    for step in range(15):
        added = np.arange(200, dtype=np.int64) + 10_000 * (step + 2)
        index.add(added, extra)
        index.remove(added[:150])
        if step % 5 == 4:
            index.rebuild([(ids, vectors)])
    wait_until(lambda: min(searched) > 0)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_searching_lets_other_python_threads_run() -> None:
    index = VectorIndex(512, kind="exact")
    index.rebuild([(some_ids(40_000), unit(40_000, dim=512))])
    started, over = threading.Event(), threading.Event()

    def search() -> None:
        queries = unit(400, dim=512)
        started.set()
        index.search(queries, 10)
        over.set()

    thread = threading.Thread(target=search)
    thread.start()
    started.wait()
    steps = 0
    while not over.is_set():
        steps += 1
        time.sleep(0)
    thread.join()
    # Holding the GIL for the whole search would leave a handful of steps.
    assert steps > 100


@pytest.mark.parametrize("kind", ["exact", "compact"])
def test_removing_from_a_large_index_keeps_no_search_waiting(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "LARGE", 1000)
    index, ids, vectors = filled(3000, kind)
    removing, searched = threading.Event(), threading.Event()
    remove = Part.remove

    def slowly(part: Part, gone: Ids, *rest: object) -> None:
        removing.set()
        assert searched.wait(30)
        remove(part, gone)

    monkeypatch.setattr(Part, "remove", slowly)
    thread = threading.Thread(target=index.remove, args=(ids[:500],))
    thread.start()
    assert removing.wait(30)
    assert index.search(vectors[:1], 1)[0][0, 0] == ids[0]
    searched.set()
    thread.join()
    monkeypatch.setattr(Part, "remove", remove)
    assert sorted(index.ids().tolist()) == ids[500:].tolist()
    assert not np.isin(index.search(vectors[:500], 20)[0], ids[:500]).any()
    index.add(ids[:10], vectors[:10])
    assert index.count == 2510 and index.kind == kind

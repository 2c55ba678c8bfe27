"""The index stays in line with the library: opened, followed, rid of the dead, saved."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

from imgqd.library.commit import Gone, Known, commit
from imgqd.library.identity import signature_of
from imgqd.records import Job
from imgqd.search import keeper as keeper_module
from imgqd.search import kinds
from imgqd.search.keeper import IndexKeeper
from imgqd.search.snapshot import FILE
from tests.unit.gallery import DIM, Gallery, unit, wait_for


@pytest.fixture
def gallery(tmp_path: object) -> Gallery:
    gallery = Gallery(str(tmp_path))
    vectors = unit(60, seed=1)
    gallery.add_many([(f"{i:02}.jpg", vectors[i], None, (), {}) for i in range(60)])
    return gallery


@pytest.fixture
def opened(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[IndexKeeper]]:
    monkeypatch.setattr(keeper_module, "QUIET_S", 0.05)
    keepers: list[IndexKeeper] = []
    yield keepers
    for keeper in keepers:
        keeper.close(save=False)


def open_keeper(gallery: Gallery, opened: list[IndexKeeper], kind: str = "auto") -> IndexKeeper:
    keeper = IndexKeeper(
        gallery.store,
        os.path.join(os.path.dirname(gallery.store.path), "index"),
        model_name="test-model",
        model_id=gallery.model_id,
        dim=DIM,
        kind=kind,
        threads=1,
    )
    opened.append(keeper)
    return keeper


def ids(keeper: IndexKeeper) -> list[int]:
    return sorted(keeper.index.ids().tolist())


def delete(gallery: Gallery, keeper: IndexKeeper, name: str) -> None:
    keeper.apply(commit(gallery.store, [Gone(Job(0, gallery.path(name), 0, 0))]))


def put_back(gallery: Gallery, keeper: IndexKeeper, name: str, picture_id: int) -> None:
    path = gallery.path(name)
    known = Known(Job(0, path, 0, 0), signature_of(os.lstat(path)), picture_id)
    keeper.apply(commit(gallery.store, [known]))


@pytest.mark.parametrize("kind", ["auto", "HNSW16"])
def test_the_deleted_leave_the_index_when_deletions_stop(
    kind: str, gallery: Gallery, opened: list[IndexKeeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgqd.search.kinds.FACTORY_MINIMUM", 20)
    keeper = open_keeper(gallery, opened, kind)
    before = ids(keeper)
    assert len(before) == 60 and keeper.index.kind == ("exact" if kind == "auto" else kind)
    for name in ("03.jpg", "04.jpg"):
        delete(gallery, keeper, name)
    missing, surplus = keeper.compare()
    assert not len(missing) and not len(surplus)
    wait_for(lambda: ids(keeper) == before[:3] + before[5:])
    assert keeper.index.count == 58


def test_what_comes_back_is_found_again_whenever_it_does(
    gallery: Gallery, opened: list[IndexKeeper]
) -> None:
    keeper = open_keeper(gallery, opened)
    before = ids(keeper)
    vector = gallery.store.vectors(gallery.model_id, np.array([before[7]]))[1]
    for pause in (False, True, False, True):
        delete(gallery, keeper, "07.jpg")
        if pause:
            wait_for(lambda: before[7] not in ids(keeper))
        put_back(gallery, keeper, "07.jpg", before[7])
        assert keeper.index.search(vector, 1)[0][0, 0] == before[7]
    delete(gallery, keeper, "08.jpg")
    wait_for(lambda: ids(keeper) == before[:8] + before[9:])


def test_an_index_that_has_outgrown_its_kind_is_made_anew_when_all_is_quiet(
    gallery: Gallery, opened: list[IndexKeeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "SNAPSHOT_QUIET_S", 0.05)
    monkeypatch.setattr(kinds, "COMPACT_MINIMUM", 20)
    monkeypatch.setattr(kinds, "GROUPS", ((61, DIM), (None, DIM // 2)))
    keeper = open_keeper(gallery, opened, "compact")
    assert keeper.index.kind == "compact" and not keeper.index.outgrown
    new = [gallery.add(f"new{i}.jpg", unit(1, seed=90 + i)[0]) for i in range(2)]
    keeper.add_missing()
    assert keeper.index.outgrown
    wait_for(lambda: not keeper.index.outgrown)
    assert keeper.index.count == 62 and set(new) < set(ids(keeper))


def test_a_snapshot_is_brought_up_to_date_when_it_is_opened(
    gallery: Gallery, opened: list[IndexKeeper]
) -> None:
    keeper = open_keeper(gallery, opened)
    keeper.save()
    before = ids(keeper)
    keeper.close(save=False)
    gallery.forget("00.jpg")
    new = gallery.add("new.jpg", unit(1, seed=9)[0])
    again = open_keeper(gallery, opened)
    assert ids(again) == [*before[1:], new]
    again.close()
    assert ids(open_keeper(gallery, opened)) == [*before[1:], new]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
def test_a_damaged_snapshot_is_made_again_with_the_same_answers(
    damage: str, gallery: Gallery, opened: list[IndexKeeper]
) -> None:
    keeper = open_keeper(gallery, opened)
    keeper.close()
    keeper.save()
    query = unit(5, seed=4)
    expected = keeper.index.search(query, 20)
    path = os.path.join(os.path.dirname(gallery.store.path), "index", FILE)
    with open(path, "r+b") as stream:
        size = os.path.getsize(path)
        if damage == "flip":
            stream.seek(size // 2)
            byte = stream.read(1)[0]
            stream.seek(size // 2)
            stream.write(bytes([byte ^ 4]))
        else:
            stream.truncate({"cut": size // 3, "empty": 0, "gone": size}[damage])
    if damage == "gone":
        os.unlink(path)
    found = open_keeper(gallery, opened).index.search(query, 20)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], atol=1e-6)

"""The rolling backup follows what a person says, and a damaged library comes back from it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgqd.library import recovery, searches
from imgqd.library.recovery import RollingBackup, backup_path, open_library, write_backup
from imgqd.library.store import Store
from tests.unit.gallery import wait_for

FOLDER = b"/photos"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(os.fspath(tmp_path / "library.db"))
    yield made
    made.close()


def written(store: Store, number: int = 0) -> dict[str, object] | None:
    try:
        with open(backup_path(store.path, number), encoding="utf-8") as stream:
            found: dict[str, object] = json.load(stream)
            return found
    except FileNotFoundError:
        return None


def names(store: Store) -> list[str]:
    found = written(store)
    return [item["name"] for item in found["saved_searches"]] if found else []  # type: ignore[attr-defined]


def damaged_and_opened(store: Store) -> Store:
    store.close()
    with open(store.path, "r+b") as stream:
        stream.write(b"nonsense" * 4096)
    again, notice = open_library(store.path)
    assert notice is not None and "damaged" in notice
    return again


def test_a_change_is_in_the_backup_soon(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "DELAY_S", 0.05)
    backup = RollingBackup(store)
    backup.start()
    try:
        store.add_folder(FOLDER, filesystem="uuid:1", inode=7)
        wait_for(lambda: bool((written(store) or {}).get("folders")))
        for number in range(20):
            searches.save(store, f"q{number:02}", ["sea"])
        wait_for(lambda: len(names(store)) == 20)
        searches.forget(store, "q00")
        wait_for(lambda: len(names(store)) == 19)
    finally:
        backup.stop()
    searches.save(store, "late", ["sea"])
    assert "late" not in names(store)


def test_a_stop_just_as_a_backup_is_due_is_heard(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "DELAY_S", 0.01)
    backup = RollingBackup(store)
    stopping = backup._stopping

    class Due(threading.Event):
        """A delay that has run out when the stop comes, as the thread has yet to hear of it."""

        def wait(self, timeout: float | None = None) -> bool:
            waited = stopping.wait(timeout)
            stopper.start()
            wait_for(lambda: stopping.is_set() and backup._changed.is_set())
            return waited

    stopper = threading.Thread(target=backup.stop, daemon=True)
    due = Due()
    monkeypatch.setattr(due, "set", stopping.set)
    monkeypatch.setattr(due, "is_set", stopping.is_set)
    monkeypatch.setattr(backup, "_stopping", due)
    backup.start()
    searches.save(store, "one", ["sea"])
    wait_for(lambda: stopper.ident is not None)
    stopper.join(10)
    assert not stopper.is_alive()


def test_changes_do_not_push_out_the_backup_of_before(store: Store) -> None:
    backup = RollingBackup(store)
    backup.write()
    searches.save(store, "first", ["sea"])
    backup.write(keep=False)
    assert (names(store), written(store, 1)) == (["first"], None)
    searches.save(store, "second", ["sea"])
    backup.write()
    before = written(store, 1)
    assert before is not None and len(before["saved_searches"]) == 1  # type: ignore[arg-type]


def test_saved_questions_survive_damage_and_the_history_is_not_written_out(store: Store) -> None:
    searches.save(store, "cats", ["--in=/photos", "--", "cat"])
    searches.remember(store, "a question of mine", 3)
    before = searches.saved(store)
    write_backup(store)
    with open(backup_path(store.path), "rb") as stream:
        assert b"a question of mine" not in stream.read()
    again = damaged_and_opened(store)
    try:
        assert searches.saved(again) == before
        assert searches.history(again, 10) == []
    finally:
        again.close()


def test_a_backup_of_before_saved_questions_were_in_it_is_read(store: Store) -> None:
    store.add_folder(FOLDER, filesystem="uuid:1", inode=7)
    write_backup(store)
    old = written(store)
    assert old is not None
    del old["saved_searches"]
    with open(backup_path(store.path), "w", encoding="utf-8") as stream:
        json.dump(old, stream)
    again = damaged_and_opened(store)
    try:
        assert [folder.path for folder in again.folders()] == [FOLDER]
        assert searches.saved(again) == []
    finally:
        again.close()


def test_a_full_disk_is_no_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "DELAY_S", 0.01)
    tried: list[bool] = []
    real = recovery.write_backup

    def full(store: Store, *, keep: bool = True) -> None:
        tried.append(keep)
        if len(tried) == 1:
            raise OSError(28, "No space left on device")
        real(store, keep=keep)

    monkeypatch.setattr(recovery, "write_backup", full)
    backup = RollingBackup(store)
    backup.start()
    try:
        searches.save(store, "one", ["sea"])
        wait_for(lambda: len(tried) == 1)
        searches.save(store, "two", ["sea"])
        wait_for(lambda: names(store) == ["one", "two"])
    finally:
        backup.stop()

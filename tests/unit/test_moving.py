"""Relocating, backing up and restoring, on a real library."""

from __future__ import annotations

import os
import sqlite3
import threading
import time

import numpy as np
import pytest

from imgqd.errors import DatabaseError, ImgqError, NotFoundError, UsageError
from imgqd.library.commit import Failed, New, commit
from imgqd.library.identity import identify, signature_of
from imgqd.library.moving import back_up, read_backup, relocate, restore
from imgqd.library.store import Store
from imgqd.records import Job, Metadata

ODD = b"caf\xe9 %s 'x'.jpg"


class Filled:
    """A library of three pictures in two directories of one watched folder, one name not UTF-8."""

    def __init__(self, directory: str) -> None:
        self.photos = os.fsencode(os.path.join(directory, "photos"))
        self.names = [b"a.jpg", b"trip/b.jpg", b"trip/" + ODD]
        self.database = os.path.join(directory, "home", "library.db")
        os.makedirs(os.path.dirname(self.database))
        os.makedirs(os.path.join(self.photos, b"trip"))
        self.store = Store(self.database)
        found = identify(self.photos)
        self.store.add_folder(
            self.photos, filesystem=found.filesystem, inode=found.inode, exclude=["*.tmp"]
        )
        self.model = self.store.model_id("tiny", "local-dir:tiny", 4)
        self.add(*self.names)

    def add(self, *names: bytes) -> None:
        """Writes files and commits them as pictures with a vector each."""
        for number, name in enumerate(names):
            path = os.path.join(self.photos, name)
            with open(path, "wb") as stream:
                stream.write(name)
            commit(self.store, [self.new(path, name.ljust(32, b"."), number)])

    def new(self, path: bytes, content_hash: bytes, number: int) -> New:
        metadata = Metadata(pixel_hash=content_hash, width=10, height=20, format="jpeg")
        vector = np.eye(4, dtype=np.float32)[number % 4]
        job = self.job(path)
        return New(job, signature_of(os.lstat(path)), content_hash, metadata, self.model, vector)

    def job(self, path: bytes) -> Job:
        self.store.enqueue([path])
        return next(job for job in self.store.jobs_after(0, 1000) if job.path == path)

    def ids(self, root: bytes) -> list[int | None]:
        """The picture of each of the three names below a root."""
        rows = [self.store.file(os.path.join(root, name)) for name in self.names]
        return [row and row.picture_id for row in rows]


@pytest.fixture
def filled(tmp_path):
    library = Filled(str(tmp_path))
    yield library
    library.store.close()


def moved(filled: Filled, name: bytes = b"elsewhere") -> bytes:
    new = os.path.join(os.path.dirname(filled.photos), name)
    os.rename(filled.photos, new)
    return new


def test_a_moved_folder_keeps_its_ids_vectors_and_excludes(filled):
    before = filled.ids(filled.photos)
    vectors = dict(zip(*map(list, filled.store.vectors(filled.model, before)), strict=True))
    generation = filled.store.generation
    new = moved(filled)
    found = relocate(filled.store, filled.photos, new)
    assert (found.folders, found.files) == (1, 3)
    assert filled.ids(new) == before
    assert filled.ids(filled.photos) == [None, None, None]
    after = dict(zip(*map(list, filled.store.vectors(filled.model, before)), strict=True))
    assert all(np.array_equal(after[i], vectors[i]) for i in before)
    (folder,) = filled.store.folders()
    assert (folder.path, folder.exclude, folder.state) == (new, ("*.tmp",), "scanning")
    assert (folder.filesystem, folder.inode) == (identify(new).filesystem, identify(new).inode)
    assert filled.store.generation > generation
    assert filled.store.pending() == 0


def test_part_of_a_watched_folder_moves_alone(filled):
    before = filled.ids(filled.photos)
    new = os.path.join(filled.photos, b"journey")
    os.rename(os.path.join(filled.photos, b"trip"), new)
    found = relocate(filled.store, os.path.join(filled.photos, b"trip"), new)
    assert (found.folders, found.files) == (0, 2)
    assert filled.store.file(os.path.join(filled.photos, b"a.jpg")).picture_id == before[0]
    assert filled.store.file(os.path.join(new, b"b.jpg")).picture_id == before[1]
    assert filled.store.file(os.path.join(new, ODD)).picture_id == before[2]
    assert [folder.path for folder in filled.store.folders()] == [filled.photos]


def test_what_lies_above_several_folders_moves_them_all(filled, tmp_path):
    other = os.path.join(filled.photos, b"trip")
    filled.store.add_folder(other, filesystem=None, inode=None)
    home = os.path.dirname(filled.photos)
    new = os.fsencode(str(tmp_path)) + b"-new"
    os.makedirs(new)
    os.rename(filled.photos, os.path.join(new, b"photos"))
    assert relocate(filled.store, home, new).folders == 2
    photos = os.path.join(new, b"photos")
    assert [f.path for f in filled.store.folders()] == [photos, os.path.join(photos, b"trip")]


def test_a_name_that_only_begins_alike_stays(filled):
    alike = filled.photos + b"-2"
    os.mkdir(alike)
    filled.store.add_folder(alike, filesystem=None, inode=None)
    new = moved(filled)
    relocate(filled.store, filled.photos, new)
    assert {folder.path for folder in filled.store.folders()} == {new, alike}


def test_problems_and_waiting_jobs_move_too(filled):
    bad, waiting = (os.path.join(filled.photos, name) for name in (b"bad.jpg", b"new.jpg"))
    commit(filled.store, [Failed(filled.job(bad), None, "corrupt", "cut off")])
    begun = filled.job(waiting)
    new = moved(filled)
    relocate(filled.store, filled.photos, new)
    assert [problem.path for problem in filled.store.problems()] == [os.path.join(new, b"bad.jpg")]
    (job,) = filled.store.jobs_after(0, 10)
    assert job.path == os.path.join(new, b"new.jpg")
    # A look at the old path that was on its way does not answer for the new one.
    commit(filled.store, [Failed(begun, None, "unreadable", "it is gone")])
    assert filled.store.pending() == 1


def test_a_move_that_makes_no_sense_changes_nothing(filled, tmp_path):
    inside = os.path.join(filled.photos, b"trip")
    known = os.fsencode(str(tmp_path / "known"))
    os.mkdir(known)
    filled.store.add_folder(known, filesystem=None, inode=None)
    empty = os.fsencode(str(tmp_path / "empty"))
    os.mkdir(empty)
    generation = filled.store.generation
    for old, new, error, words in (
        (filled.photos, inside, UsageError, "within each other"),
        (inside, filled.photos, UsageError, "within each other"),
        (filled.photos, filled.photos, UsageError, "within each other"),
        (filled.photos, empty + b"/missing", UsageError, "not a folder"),
        (empty, known, NotFoundError, "nothing is known"),
        (filled.photos, known, ImgqError, "known already"),
    ):
        with pytest.raises(error, match=words):
            relocate(filled.store, old, new)
    assert None not in filled.ids(filled.photos)
    assert filled.store.generation == generation


def test_a_backup_is_one_file_for_its_owner_and_holds_everything(filled, tmp_path):
    target = str(tmp_path / "backup.db")
    with filled.store.write() as connection:
        connection.execute("INSERT INTO tags VALUES (?, 'cat')", (filled.ids(filled.photos)[0],))
    found = back_up(filled.database, target)
    assert (found.pictures, found.library_id) == (3, filled.store.library_id)
    assert found.generation == filled.store.generation
    assert found.reserved_ids >= filled.store.reserved_ids
    assert abs(found.written - time.time()) < 60
    assert read_backup(target) == found
    assert sorted(os.listdir(tmp_path)) == ["backup.db", "home", "photos"]
    assert os.stat(target).st_mode & 0o777 == 0o600


def test_a_backup_while_the_library_is_written_is_a_consistent_moment(filled, tmp_path):
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            filled.store.set_meta("left", number)
            with filled.store.write() as connection:
                for key in ("one", "two"):
                    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, number))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(10):
            target = str(tmp_path / f"{number}.db")
            back_up(filled.database, target)
            with sqlite3.connect(target) as connection:
                seen = connection.execute(
                    "SELECT DISTINCT value FROM meta WHERE key IN ('one', 'two')"
                ).fetchall()
            assert len(seen) <= 1
    finally:
        stop.set()
        writer.join()


def test_an_older_backup_is_replaced_and_nothing_else_is(filled, tmp_path):
    target = str(tmp_path / "backup.db")
    back_up(filled.database, target)
    filled.add(b"later.jpg")
    assert back_up(filled.database, target).pictures == 4
    letter = tmp_path / "letter.txt"
    letter.write_text("dear diary, this is not a database at all")
    foreign = str(tmp_path / "foreign.db")
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE t (x)")
    for path in (str(letter), foreign, str(tmp_path)):
        with pytest.raises(UsageError, match=r"backup|folder"):
            back_up(filled.database, path)
    with pytest.raises(UsageError, match="the library itself"):
        back_up(filled.database, filled.database)
    assert letter.read_text().startswith("dear diary")
    with pytest.raises(NotFoundError, match="no library"):
        back_up(str(tmp_path / "none.db"), target)


def test_a_restored_library_is_as_it_was_and_gives_no_id_twice(filled, tmp_path):
    target, index = str(tmp_path / "backup.db"), str(tmp_path / "home" / "index")
    before = filled.ids(filled.photos)
    back_up(filled.database, target)
    filled.add(b"later.jpg")
    later = filled.store.file(os.path.join(filled.photos, b"later.jpg")).picture_id
    generation = filled.store.generation
    filled.store.close()
    os.makedirs(index)
    found, aside = restore(target, filled.database, index=index)
    assert found.pictures == 3
    assert not os.path.exists(index)
    filled.store = Store(filled.database)
    assert filled.ids(filled.photos) == before
    assert filled.store.file(os.path.join(filled.photos, b"later.jpg")) is None
    assert filled.store.generation > generation
    assert filled.store.get_meta("backup") is None
    filled.add(b"later.jpg")
    again = filled.store.file(os.path.join(filled.photos, b"later.jpg")).picture_id
    assert again > later
    kept = Store(aside)
    assert kept.file(os.path.join(filled.photos, b"later.jpg")).picture_id == later
    kept.close()


def test_a_backup_brought_to_another_machine_gives_no_id_of_the_first_again(filled, tmp_path):
    target = str(tmp_path / "backup.db")
    last = filled.ids(filled.photos)[-1]
    back_up(filled.database, target)
    elsewhere = str(tmp_path / "other" / "library.db")
    _, aside = restore(target, elsewhere, index=str(tmp_path / "other" / "index"))
    assert aside is None
    store = Store(elsewhere)
    assert store.library_id == filled.store.library_id
    assert store.reserved_ids > last
    with store.write() as connection:
        given = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'pictures'").get
    assert given >= filled.store.reserved_ids
    store.close()


def test_a_damaged_cut_or_newer_backup_is_refused_and_the_library_stays(filled, tmp_path):
    whole = str(tmp_path / "backup.db")
    back_up(filled.database, whole)
    with open(whole, "rb") as stream:
        content = stream.read()
    cut, newer, empty = (str(tmp_path / name) for name in ("cut.db", "newer.db", "empty.db"))
    for path, data in ((cut, content[: len(content) // 2]), (newer, content), (empty, b"")):
        with open(path, "wb") as stream:
            stream.write(data)
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 999")
    before = filled.ids(filled.photos)
    for path, error, words in (
        (cut, DatabaseError, "damaged"),
        (newer, DatabaseError, "newer imgq"),
        (empty, UsageError, "not a backup"),
        (filled.database, UsageError, "not a backup"),
    ):
        with pytest.raises(error, match=words):
            restore(path, filled.database, index=str(tmp_path / "index"))
    with pytest.raises(FileNotFoundError):
        restore(str(tmp_path / "missing"), filled.database, index=str(tmp_path / "index"))
    assert filled.ids(filled.photos) == before
    assert not [name for name in os.listdir(tmp_path / "home") if "restor" in name]

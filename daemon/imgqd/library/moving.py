"""A library that moves: its photos to another path, itself to a file and back.

A backup is one SQLite file, copied online, that also says which picture ids were ever given, so
that a restored library gives none of them twice. Who may do this when (the lock, the running
daemon) is the business of the commands and of operations.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import apsw

from imgqd.errors import DatabaseError, ImgqError, NotFoundError, UsageError
from imgqd.library.database import APPLICATION_ID, SCHEMA_VERSION
from imgqd.library.identity import identify
from imgqd.library.store import Store, below, is_below

BACKUP_KEY = "backup"
_TABLES = ("folders", "directories", "mounts", "problems")


# -- another path


@dataclass(frozen=True, slots=True)
class Moved:
    """What was rewritten: watched folders, and files below the new path."""

    folders: int
    files: int


def relocate(store: Store, old: bytes, new: bytes) -> Moved:
    """Lets everything known at or below `old` be known at or below `new`, in one transaction.

    Pictures keep their ids and vectors; files that are not as they were are looked at again by the
    next walk, which knows them by their content. Both paths are absolute and normalised. Raises
    UsageError when `new` is no folder or lies within `old` (or the other way round), NotFoundError
    when nothing is known below `old`, ImgqError when something is known below `new` already.
    """
    shown_old, shown_new = _shown(old), _shown(new)
    if is_below(old, new) or is_below(new, old):
        raise UsageError(f"{shown_old} and {shown_new} lie within each other; name two places")
    if not os.path.isdir(new):
        raise UsageError(
            f"{shown_new} is not a folder; move or copy the photos there first, then relocate"
        )
    with store.write(durable=True) as connection:
        if not any(_paths(connection, table, old) for table in (*_TABLES, "jobs")):
            raise NotFoundError(
                f"nothing is known of {shown_old}; `imgqd folders` lists what is watched"
            )
        if any(_paths(connection, table, new) for table in _TABLES):
            raise ImgqError(
                f"pictures below {shown_new} are known already; forget them first: "
                f"imgqd remove {shown_new}",
                code="known-already",
            )
        for table in _TABLES:
            connection.executemany(
                f"UPDATE {table} SET path = ? WHERE path = ?",  # noqa: S608 - names from above
                [(_moved(p, old, new), p) for p in _paths(connection, table, old)],
            )
        folders = _paths(connection, "folders", new)
        for path in folders:
            filesystem, inode = _identity(path)
            connection.execute(
                "UPDATE folders SET filesystem = ?, inode = ?, state = 'scanning' WHERE path = ?",
                (filesystem, inode, path),
            )
        # Asked again under the new path: a look at the old one that has begun answers nothing.
        waiting = _paths(connection, "jobs", old) + _paths(connection, "jobs", new)
        connection.executemany("DELETE FROM jobs WHERE path = ?", [(p,) for p in waiting])
        files = connection.execute(
            "SELECT count(*) FROM files f JOIN directories d ON d.id = directory_id"
            " WHERE (d.path = ? OR d.path >= ? AND d.path < ?) AND state <> 'other'",
            (new, *below(new)),
        ).get
        store.bump(connection)
    store.enqueue(dict.fromkeys(_moved(path, old, new) for path in waiting))
    return Moved(len(folders), int(files))


def _paths(connection: apsw.Connection, table: str, root: bytes) -> list[bytes]:
    rows = connection.execute(
        f"SELECT path FROM {table} WHERE path = ? OR path >= ? AND path < ?",  # noqa: S608
        (root, *below(root)),
    )
    return [row[0] for row in rows]


def _moved(path: bytes, old: bytes, new: bytes) -> bytes:
    return new + path[len(old) :] if is_below(path, old) else path


def _identity(path: bytes) -> tuple[str | None, int | None]:
    """What a folder is on now; None where it is not there, to be taken as it comes."""
    try:
        found = identify(path)
    except OSError:
        return None, None
    return found.filesystem, found.inode


# -- a file, and back


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup says of itself. `written` is in seconds since the epoch."""

    library_id: str
    generation: int
    reserved_ids: int
    written: float
    pictures: int


def back_up(database: str, target: str) -> Backup:
    """Writes a backup of the library at `database`, which may be in use, to the file `target`.

    Beside it first, flushed and renamed. An older backup there is replaced, any other file is
    not. Raises NotFoundError, UsageError, DatabaseError, OSError.
    """
    if not os.path.exists(database):
        raise NotFoundError(f"there is no library at {database} to back up")
    if os.path.exists(target):
        if os.path.isdir(target):
            raise UsageError(f"{target} is a folder; give the name of a file")
        if os.path.samefile(target, database):
            raise UsageError(f"{target} is the library itself; give the name of another file")
        read_backup(target)
    reserved = 0
    with contextlib.suppress(OSError, ValueError), open(f"{database}.ids") as stream:
        reserved = int(stream.read())
    beside = f"{target}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside)
    try:
        with _opened(database, apsw.SQLITE_OPEN_READWRITE) as source:
            _copy(source, beside)
        with _opened(beside, apsw.SQLITE_OPEN_READWRITE) as copy:
            # One file, without companions, that can be carried anywhere.
            copy.execute("PRAGMA journal_mode = DELETE")
            said = {"written": time.time(), "reserved_ids": max(reserved, _last_id(copy))}
            copy.execute(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)", (BACKUP_KEY, json.dumps(said))
            )
        found = read_backup(beside)
        _flush(beside)
        os.chmod(beside, 0o600)
        os.replace(beside, target)
        _flush(os.path.dirname(os.path.abspath(target)))
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    return found


def read_backup(path: str) -> Backup:
    """What the backup in a file is, after SQLite has checked all of it.

    Raises UsageError when it is not a backup of ours, DatabaseError when it is damaged or was made
    by a newer imgq, OSError.
    """
    # SQLite's own words for a missing file help nobody.
    with open(path, "rb") as stream:
        if stream.read(16) != b"SQLite format 3\0":
            raise UsageError(f"{path} is not a backup made by `imgqd backup`")
    try:
        with _opened(path, apsw.SQLITE_OPEN_READONLY) as connection:
            said = None
            if connection.pragma("application_id") == APPLICATION_ID:
                said = _meta(connection, BACKUP_KEY)
            if said is None:
                raise UsageError(f"{path} is not a backup made by `imgqd backup`")
            version = int(connection.pragma("user_version"))
            if version > SCHEMA_VERSION:
                raise DatabaseError(
                    f"{path} was made by a newer imgq (schema {version}, this one knows "
                    f"{SCHEMA_VERSION}); upgrade imgq, then restore it"
                )
            result = connection.execute("PRAGMA quick_check(1)").get
            if result != "ok":
                raise DatabaseError(f"{path} is damaged: {result}; use an older backup")
            values = json.loads(str(said))
            return Backup(
                library_id=str(_meta(connection, "library_id")),
                generation=int(_meta(connection, "generation") or 0),
                reserved_ids=int(values["reserved_ids"]),
                written=float(values["written"]),
                pictures=int(
                    connection.execute("SELECT count(*) FROM pictures WHERE orphaned IS NULL").get
                ),
            )
    except (apsw.NotADBError, apsw.CorruptError, apsw.IOError) as error:
        raise DatabaseError(f"{path} is damaged: {error}; use an older backup") from error


def restore(path: str, database: str, *, index: str) -> tuple[Backup, str | None]:
    """Puts a backup in the place of the library at `database`, which nobody has open.

    The library that was there is kept beside it; returns what was restored and where the old one
    is now. The index in the folder `index` is thrown away: it is made again. Raises as
    `read_backup` does.
    """
    found = read_backup(path)
    os.makedirs(os.path.dirname(database), mode=0o700, exist_ok=True)
    beside = f"{database}.restoring"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside)
    try:
        with _opened(path, apsw.SQLITE_OPEN_READONLY) as source:
            _copy(source, beside)
        with _opened(beside, apsw.SQLITE_OPEN_READWRITE) as copy:
            copy.execute("DELETE FROM meta WHERE key = ?", (BACKUP_KEY,))
            copy.execute("PRAGMA journal_mode = DELETE")
        os.chmod(beside, 0o600)
        _flush(beside)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    newest = _generation(database)
    aside = _set_aside(database)
    os.replace(beside, database)
    _flush(os.path.dirname(database))
    shutil.rmtree(index, ignore_errors=True)
    store = Store(database)
    try:
        # Nothing that was ever given is given again: ids name one picture, generations grow.
        last = max(found.reserved_ids, store.reserved_ids)
        store.skip_ids_to(last)
        store.reserve_ids(last + 1)
        store.advance_generation(newest)
    finally:
        store.close()
    return found, aside


def _set_aside(database: str) -> str | None:
    if not os.path.exists(database):
        return None
    aside = f"{database}.before-restore-{time.strftime('%Y%m%d-%H%M%S')}"
    number = 1
    while os.path.exists(aside):
        number += 1
        aside = f"{aside.partition('+')[0]}+{number}"
    # The companions first: without its database a log is nothing, while a database that finds
    # another one's log is damaged.
    for suffix in ("-shm", "-wal", ""):
        if os.path.exists(database + suffix):
            os.replace(database + suffix, aside + suffix)
    return aside


def _generation(database: str) -> int:
    """The generation of the library that is there; 0 where none can be read."""
    if not os.path.exists(database):
        return 0
    try:
        with _opened(database, apsw.SQLITE_OPEN_READWRITE) as connection:
            return int(_meta(connection, "generation") or 0)
    except (apsw.Error, ValueError):
        return 0


def _meta(connection: apsw.Connection, key: str) -> Any:
    value: Any = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).get
    return value


def _last_id(connection: apsw.Connection) -> int:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'pictures'").get
    return int(row or 0)


def _copy(source: apsw.Connection, target: str) -> None:
    """SQLite's online backup, in one step: a snapshot that writers neither disturb nor wait for."""
    with _opened(target, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE) as copy:
        try:
            with copy.backup("main", source, "main") as running:
                running.step(-1)
        except apsw.FullError as error:
            raise ImgqError(f"{target}: no space left; free some, or use another disk") from error


@contextmanager
def _opened(path: str, flags: int) -> Iterator[apsw.Connection]:
    try:
        connection = apsw.Connection(path, flags=flags)
    except apsw.CantOpenError as error:
        raise ImgqError(
            f"{path} cannot be opened: {error}; is its folder there, and yours?"
        ) from error
    try:
        connection.set_busy_timeout(10_000)
        yield connection
    finally:
        connection.close()


def _flush(path: str) -> None:
    """Makes sure that a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _shown(path: bytes) -> str:
    return os.fsdecode(path).encode("utf-8", "replace").decode()

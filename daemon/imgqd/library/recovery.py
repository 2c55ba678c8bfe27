"""What happens when the library database is damaged: it is moved aside, and what only it knew comes
back from a small rolling backup, which follows every change within seconds. Pictures and vectors
are not in it: the disk has them. The history is not either: what is cleared must be gone.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from typing import Any

import apsw
import structlog

from imgqd.library import searches
from imgqd.library.database import DamagedError
from imgqd.library.store import Store

log = structlog.get_logger("library")

BACKUP_VERSION = 1
# What is said of many pictures one after the other is written once.
DELAY_S = 1.0
# A large backup is not written all the time: it takes at most this share of it.
SHARE = 0.05


def backup_path(database: str, number: int = 0) -> str:
    """Where the backup of a database is: number 0 the newest, 1 the one before it."""
    return f"{database}.backup.json" + (f".{number}" if number else "")


def write_backup(store: Store, *, keep: bool = True) -> None:
    """Writes what only the database knows beside it; with `keep` the backup before is kept too."""
    added = list(store.added_by_person())
    kept = [
        (bytes(row[0]), json.loads(row[1]))
        for row in store.read("SELECT content_hash, data FROM keepsakes")
    ]
    content = {
        "version": BACKUP_VERSION,
        "written": time.time(),
        "library_id": store.library_id,
        "generation": store.generation,
        "reserved_ids": store.reserved_ids,
        "model_spec": store.get_meta("model_spec"),
        "folders": [
            {
                "path": base64.b64encode(folder.path).decode(),
                "filesystem": folder.filesystem,
                "inode": folder.inode,
                "exclude": list(folder.exclude),
            }
            for folder in store.folders()
        ],
        "saved_searches": searches.for_backup(store),
        "added": [{"content_hash": c.hex(), **data} for c, data in kept + added],
    }
    target = backup_path(store.path)
    temporary = target + ".new"
    with open(temporary, "w", encoding="utf-8") as stream:
        json.dump(content, stream)
        stream.flush()
        os.fsync(stream.fileno())
    if keep and os.path.exists(target):
        os.replace(target, backup_path(store.path, 1))
    os.replace(temporary, target)


class RollingBackup:
    """Keeps the backup of a library in line with it, on a thread that sleeps while nothing changes.

    A full disk is logged, not raised: the next change tries again.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._follow, name="backup", daemon=True)

    def start(self) -> None:
        """Writes a backup soon after each change from now on."""
        self._store.on_durable = self._changed.set
        self._thread.start()

    def write(self, *, keep: bool = True) -> None:
        """Writes one now; see write_backup."""
        with self._lock:
            try:
                write_backup(self._store, keep=keep)
            except OSError as error:
                log.warning("the backup of the library cannot be written", error=str(error))

    def stop(self) -> None:
        """Follows no longer; what has not been written yet is for `write`."""
        self._store.on_durable = lambda: None
        self._stopping.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join()

    def _follow(self) -> None:
        delay = DELAY_S
        # Asked again each time round: a stop during the delay's last moment is wiped out with the
        # change below, and nothing else would end the wait for the next one.
        while not self._stopping.is_set():
            self._changed.wait()
            if self._stopping.wait(delay):
                return
            self._changed.clear()
            started = time.monotonic()
            try:
                self.write(keep=False)
            except apsw.Error as error:
                # Whoever asks next is told what is wrong with the database.
                log.warning("the backup of the library cannot be written", error=str(error))
            delay = max(DELAY_S, (time.monotonic() - started) / SHARE)


def open_library(path: str) -> tuple[Store, str | None]:
    """Opens the library; a damaged one is moved aside and made anew from the backup.

    Returns the store and, when something was wrong, a text for people. Raises DatabaseError for
    one that a newer imgq wrote, which is not touched.
    """
    try:
        store = Store(path)
        if os.path.exists(marker_path(path)):
            try:
                store.check()
            except DamagedError:
                store.close()
                raise
            os.unlink(marker_path(path))
        return store, None
    except DamagedError as error:
        aside = move_aside(path)
        store = Store(path)
        text = (
            f"{error.message}; it was moved to {aside}, and a new library is made from the backup"
            " and from the disk"
        )
        restored = _restore(store)
        if not restored:
            text += "; no backup could be read: add your folders again with `imgqd add`"
        log.error("the library was damaged", detail=text)
        return store, text


def marker_path(database: str) -> str:
    """A file that says: SQLite reported damage while running, look closely at the next start."""
    return database + ".suspect"


def mark_suspect(database: str) -> None:
    """Leaves the marker."""
    with open(marker_path(database), "w", encoding="ascii"):
        pass


def move_aside(path: str) -> str:
    """Renames a damaged database and its companions; returns the new name."""
    aside = f"{path}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    for suffix in ("", "-wal", "-shm", ".suspect"):
        if os.path.exists(path + suffix):
            os.replace(path + suffix, aside + suffix)
    return aside


def _restore(store: Store) -> bool:
    for number in (0, 1):
        try:
            with open(backup_path(store.path, number), encoding="utf-8") as stream:
                content = json.load(stream)
            if content["version"] != BACKUP_VERSION:
                continue
            _apply(store, content)
            return True
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("a backup of the library cannot be used", number=number, error=repr(error))
    return False


def _apply(store: Store, content: dict[str, Any]) -> None:
    folders = [(base64.b64decode(entry["path"]), entry) for entry in content["folders"]]
    added = [(bytes.fromhex(entry.pop("content_hash")), entry) for entry in content["added"]]
    last = max(int(content["reserved_ids"]), store.reserved_ids)
    for path, entry in folders:
        store.add_folder(
            path,
            filesystem=entry["filesystem"],
            inode=entry["inode"],
            exclude=entry["exclude"],
        )
    with store.write(durable=True) as connection:
        for content_hash, data in added:
            store.keep(connection, content_hash, data)
        searches.from_backup(connection, content.get("saved_searches", ()))
    store.skip_ids_to(last)
    store.reserve_ids(last + 1)
    store.advance_generation(int(content["generation"]))
    if content["model_spec"]:
        store.set_meta("model_spec", content["model_spec"])

"""One walk of a tree against the store: every path that differs is enqueued, and nothing else.

It streams: memory does not grow with the number of unchanged files. It deletes nothing: a path that
is gone is enqueued like any other, and only after the guard has said that its drive is there.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog

from imgqd.library import identity
from imgqd.library.guard import Guard
from imgqd.library.known import Seen, known_rows, wrapped
from imgqd.library.rules import Rules, join
from imgqd.library.store import Store, below

log = structlog.get_logger("library")

BATCH = 1000
PATH_MAX = 4095


@dataclass(slots=True)
class Progress:
    """How far a walk is, and in which directory. Read by other threads."""

    directories: int = 0
    files: int = 0
    changed: int = 0
    at: bytes = b""


@dataclass(frozen=True, slots=True)
class Result:
    """What a walk came to: `away` when its drive went, `watched` when no directory was left over."""

    away: bool
    watched: bool


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a walk calls: `watch(directory, follow)` before a directory is listed (False: it could
    not be watched), `between()` after each directory, `cancelled()` to learn that it should end."""

    watch: Callable[[bytes, bool], bool] = lambda directory, follow: True
    between: Callable[[], None] = lambda: None
    cancelled: Callable[[], bool] = lambda: False


class _Away(Exception):
    """The drive went during the walk."""


class Cancelled(Exception):
    """The walk was told to end."""


class Scan:
    """One walk, run once. `deep=False` compares the entries of one directory only."""

    def __init__(
        self,
        store: Store,
        guard: Guard,
        *,
        hooks: Hooks,
        progress: Progress,
        sink: Callable[[list[bytes]], object] | None = None,
    ) -> None:
        """`sink` gets the paths that differ, in batches; by default they are enqueued."""
        self._store = store
        self._sink = sink or store.enqueue
        self._guard = guard
        self._rules: Rules = guard.rules
        self._hooks = hooks
        self._progress = progress
        self._links_to = guard.links
        self._seen = Seen()
        self._changed: list[bytes] = []
        self._flushed = time.monotonic()
        self._links: list[bytes] = []
        # Places below which nothing counts as deleted: unreadable, or another drive that is away.
        self._barriers: set[bytes] = set()
        self._problems: dict[bytes, str] = {}
        self._known_problems: dict[bytes, str] = {}
        self._skip: set[bytes] = set()
        self._watched = True

    def run(self, root: bytes, *, deep: bool = True) -> Result:
        """Walks. Raises Cancelled, and what the database raises."""
        if not self._guard.all_there(root):
            return Result(True, self._watched)
        if deep:
            self._guard.record_mounts(root)
            self._skip = {m.path for m in identity.mounts_below(root) if m.type in identity.PSEUDO}
        for anchor in self._guard.anchors(root):
            if anchor.path != root and not self._guard.is_there(anchor):
                self._barriers.add(anchor.path)
        self._known_problems = {
            path: reason
            for path, reason in self._store.read(
                "SELECT path, reason FROM problems WHERE (path = ? OR path >= ? AND path < ?)"
                " AND reason IN ('unreadable', 'path-too-long')",
                (root, *below(root)),
            )
        }
        try:
            self._walk(root, deep)
            self._flush()
            if deep:
                self._unseen(root)
            self._insist(root)
            self._settle_problems(root, deep)
        except _Away:
            return Result(True, self._watched)
        return Result(False, self._watched)

    # -- walking

    def _walk(self, root: bytes, deep: bool) -> None:
        self._tree(root, self._links_to.real(root) if self._links_to else None, deep, set())
        # In order, and after all that is no link: which path a content gets must not change from
        # walk to walk. A link inside a linked tree belongs to that tree's visit.
        for path in sorted(self._links) if deep else ():
            visited: set[tuple[int, int]] = set()
            queue = [path]
            for link in queue:
                self._links = []
                self._tree(link, os.path.realpath(link), True, visited)
                queue.extend(sorted(self._links))

    def _tree(
        self, start: bytes, real: bytes | None, deep: bool, visited: set[tuple[int, int]]
    ) -> None:
        stack = [(start, real)]
        while stack:
            directory, place = stack.pop()
            if self._hooks.cancelled():
                raise Cancelled
            if directory in self._barriers or directory in self._skip:
                continue
            if place is not None and not self._first_visit(place, visited):
                continue
            self._progress.at = directory
            names = self._directory(directory, place is not None)
            self._progress.directories += 1
            if len(self._changed) >= BATCH or time.monotonic() > self._flushed + 0.25:
                self._flush()
            self._hooks.between()
            time.sleep(0)  # queries are answered meanwhile
            if deep:
                for name in sorted(names, reverse=True):
                    stack.append((join(directory, name), place and join(place, name)))

    def _first_visit(self, place: bytes, visited: set[tuple[int, int]]) -> bool:
        """Linked trees may lead into watched folders or back into themselves."""
        try:
            found = os.stat(place)
        except OSError:
            return True
        key = (found.st_dev, found.st_ino)
        if key in visited or (self._links_to and not self._links_to.follows(place, True)):
            return False
        visited.add(key)
        return True

    def _directory(self, directory: bytes, follow: bool) -> list[bytes]:
        """Compares the entries of one directory; returns the names of its subdirectories."""
        rules = self._rules.below(directory)
        if rules is None:
            return []
        if not self._hooks.watch(directory, follow or self._rules.is_root(directory)):
            self._watched = False
        try:
            with os.scandir(directory) as entries:
                return self._compare(directory, entries, rules.excludes)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._barriers.add(directory)
            code = error.errno or errno.EIO
            self._problem(
                directory, "unreadable", f"the folder cannot be read: {os.strerror(code)}"
            )
            return []

    def _compare(
        self,
        directory: bytes,
        entries: Iterator[os.DirEntry[bytes]],
        excludes: Callable[[bytes, bool], bool],
    ) -> list[bytes]:
        steady = self._steady_inodes(directory)
        rows = known_rows(self._store, directory, steady, self._seen)
        take = rows.take
        names = []
        room = PATH_MAX - len(join(directory, b""))
        for entry in entries:
            name = entry.name
            is_dir = entry.is_dir(follow_symlinks=False)
            if excludes(name, is_dir):
                continue
            if len(name) > room:
                self._problem(join(directory, name), "path-too-long", f"over {PATH_MAX} bytes")
                continue
            if is_dir:
                names.append(name)
                continue
            follow = entry.is_symlink()
            if follow:
                if not self._link(directory, name):
                    continue
            elif not entry.is_file(follow_symlinks=False):
                continue
            try:
                found = entry.stat(follow_symlinks=follow)
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EPERM):
                    raise
                take(name)
                self._add(join(directory, name))
                continue
            self._progress.files += 1
            row = take(name)
            now = (
                found.st_size,
                found.st_mtime_ns,
                found.st_ctime_ns,
                found.st_ino if steady else 0,
                0,
            )
            if row != now and row != wrapped(now):
                self._add(join(directory, name))
        gone = rows.left()
        if gone:
            self._insist(directory)
        for name in gone:
            self._add(join(directory, name))
        return names

    def _link(self, directory: bytes, name: bytes) -> bool:
        """A link that is followed: True for one to a file, which is compared like a file."""
        path = join(directory, name)
        if self._links_to is None:
            return False
        try:
            found = os.stat(path)
        except OSError:
            return False
        is_dir = stat.S_ISDIR(found.st_mode)
        if not self._links_to.follows(os.path.realpath(path), is_dir):
            return False
        if is_dir:
            self._links.append(path)
        return stat.S_ISREG(found.st_mode)

    def _steady_inodes(self, directory: bytes) -> bool:
        whose = max(self._guard.covering(directory), key=lambda a: len(a.path), default=None)
        return whose is None or whose.identity is None or whose.identity.steady_inodes

    # -- what is known

    def _unseen(self, root: bytes) -> None:
        """Known directories that the walk did not come to: their files are looked at one by one."""
        for anchor in self._guard.anchors(root):
            if anchor.path != root and not self._guard.is_there(anchor):
                self._barriers.add(anchor.path)
        gone = [
            (number, path)
            for number, path in self._store.read(
                "SELECT id, path FROM directories WHERE path = ? OR path >= ? AND path < ?",
                (root, *below(root)),
            )
            if number not in self._seen
            and path not in self._seen.new
            and not self._behind_barrier(path, root)
        ]
        if gone:
            self._insist(root)
        for number, path in gone:
            names = self._store.read("SELECT name FROM files WHERE directory_id = ?", (number,))
            for (name,) in list(names):
                self._add(join(path, name))
            if self._hooks.cancelled():
                raise Cancelled
        self._flush()

    def _behind_barrier(self, path: bytes, root: bytes) -> bool:
        while self._barriers and len(path) >= len(root):
            if path in self._barriers:
                return True
            path = os.path.dirname(path)
        return False

    def _insist(self, path: bytes) -> None:
        """Before anything counts as gone: the drive is still the one that it was."""
        if not self._guard.all_there(path):
            raise _Away

    # -- results

    def _add(self, path: bytes) -> None:
        self._changed.append(path)
        if len(self._changed) >= BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._hooks.cancelled():
            raise Cancelled
        self._sink(self._changed)
        self._progress.changed += len(self._changed)
        self._changed.clear()
        self._flushed = time.monotonic()

    def _problem(self, path: bytes, reason: str, detail: str) -> None:
        self._problems[path] = reason
        if self._known_problems.get(path) == reason:
            return
        if self._store.problem(path, reason, detail):
            log.warning("left out", path=path, reason=reason, detail=detail)

    def _settle_problems(self, root: bytes, deep: bool) -> None:
        """Forgets the problems of ours that are no more. Those of files in the queue's care stay."""
        for path, reason in self._known_problems.items():
            if path in self._problems or (not deep and path != root):
                continue
            if self._behind_barrier(path, root):
                continue
            try:
                found = os.lstat(path)
            except OSError as error:
                missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
                if missing or reason == "path-too-long":
                    self._store.clear_problem(path)
                continue
            row = None if stat.S_ISDIR(found.st_mode) else self._store.file(path)
            if stat.S_ISDIR(found.st_mode) or (row is not None and row.state != "problem"):
                self._store.clear_problem(path)

"""Watching folders through watchdog: events become hints where to look, and nothing more.

On Linux the emitter is ours (inotify.py) and a walk says which directories to watch; elsewhere
watchdog's own observer watches each folder as a whole. A hint is a path, or a directory to walk;
hints are collected for a moment, so that a file that is being written is told about a few times a
second at most. Nothing is decided here: only a look at the disk decides.
"""

from __future__ import annotations

import errno
import functools
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from imgqd.library.inotify import Inotify, Notices, TreeEmitter, WatchLimitError

log = structlog.get_logger("library")

# A path is told about at most this often; and events wait this long for those that follow.
COALESCE_S = 0.2
GATHER_S = 0.05
# With more hints than this, walking everything is cheaper than following them.
MOST_HINTS = 100_000
# What to look at: a path can be a file and a directory within a moment.
_FILE, _ENTRIES, _TREE = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told. All are called on threads of the watcher and must not raise.

    `paths`: files to look at. `directories`: directories to walk, (path, with all below it).
    `overflow`: hints were lost. `mounted`: something was mounted or unmounted.
    `ignored(path, is_dir)` says which paths to keep quiet about.
    """

    paths: Callable[[list[bytes]], None]
    directories: Callable[[list[tuple[bytes, bool]]], None]
    overflow: Callable[[], None]
    mounted: Callable[[], None]
    ignored: Callable[[bytes, bool], bool]


class Hints(FileSystemEventHandler):
    """Collects events and tells the listener, each path at most once in COALESCE_S, the last time
    after its last event."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._pending: dict[bytes, int] = {}
        self._condition = threading.Condition()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hints", daemon=True)
        self._thread.start()

    def dispatch(self, event: FileSystemEvent) -> None:
        """One event of watchdog's, on the observer's thread."""
        if event.event_type in ("opened", "closed_no_write"):
            return
        entries_only = event.is_directory and event.event_type in ("modified", "attrib")
        kind = _ENTRIES if entries_only else _TREE if event.is_directory else _FILE
        paths = [os.fsencode(p) for p in (event.src_path, event.dest_path) if p]
        if os.sep != "/":
            paths = [path.replace(os.fsencode(os.sep), b"/") for path in paths]
        with self._condition:
            for path in paths:
                if not self._listener.ignored(path, event.is_directory):
                    self._pending[path] = kind | self._pending.get(path, 0)
            if len(self._pending) > MOST_HINTS:
                self._pending.clear()
                self._listener.overflow()
            self._condition.notify()

    def alive(self) -> bool:
        """False when the thread that tells has died."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ends; hints that are not told yet are dropped (a walk at the next start finds them)."""
        self._stopped.set()
        with self._condition:
            self._condition.notify()
        self._thread.join(5)

    def _run(self) -> None:
        told = time.monotonic() - COALESCE_S
        while True:
            with self._condition:
                while not self._pending and not self._stopped.is_set():
                    self._condition.wait()
            if self._stopped.wait(max(GATHER_S, told + COALESCE_S - time.monotonic())):
                return
            with self._condition:
                pending, self._pending = self._pending, {}
            told = time.monotonic()
            directories = [(p, bool(k & _TREE)) for p, k in pending.items() if k & ~_FILE]
            files = [path for path, kinds in pending.items() if kinds & _FILE]
            if directories:
                self._listener.directories(directories)
            if files:
                self._listener.paths(files)


class Watcher:
    """The observer and its emitter, made again when they die. `start` and `stop` from one thread.

    `limit` is a text for a person, with its remedy, while not everything can be watched.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._inotify: Inotify | None = None
        self._observer: BaseObserver | None = None
        self._hints: Hints | None = None
        self._scheduled: dict[bytes, ObservedWatch] = {}
        self.limit: str | None = None

    def start(self) -> bool:
        """Begins; False when this machine cannot watch now (`limit` says why)."""
        hints: Hints | None = None
        try:
            if sys.platform == "linux":
                self._inotify = Inotify()
                hints = Hints(self._listener)
                emitter = functools.partial(
                    TreeEmitter,
                    inotify=self._inotify,
                    notices=Notices(self._listener.overflow, self._listener.mounted),
                    ignored=self._listener.ignored,
                )
                self._observer = BaseObserver(emitter)  # type: ignore[arg-type]
                # One nominal watch: the emitter watches what it is told to.
                self._observer.schedule(hints, "/", recursive=True)
            else:
                hints = Hints(self._listener)
                self._observer = Observer()
            self._observer.start()
        except OSError as error:
            if hints is not None:
                hints.stop()
            self.stop()
            self._limited(error)
            return False
        self._hints = hints
        return True

    def stop(self) -> None:
        """Ends all watching and every thread of it."""
        observer, self._observer = self._observer, None
        if observer is not None and observer.is_alive():
            observer.stop()
            observer.join(5)
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None
        if self._hints is not None:
            self._hints.stop()
            self._hints = None
        self._scheduled.clear()

    @property
    def running(self) -> bool:
        """True between a start that worked and a stop."""
        return self._hints is not None

    def alive(self) -> bool:
        """True while every thread that it takes to notice a change is alive."""
        observer = self._observer
        if observer is None or self._hints is None:
            return False
        wanted = 1 if sys.platform == "linux" else len(self._scheduled)
        living = [emitter for emitter in list(observer.emitters) if emitter.is_alive()]
        return observer.is_alive() and self._hints.alive() and len(living) >= wanted

    def watch(self, directory: bytes, *, follow: bool = False) -> bool:
        """Watches one directory (Linux), before it is listed. False when it could not be.

        A directory that is gone or not readable is no failure: listing it tells.
        """
        if sys.platform != "linux":
            return self.running
        inotify = self._inotify
        if inotify is None:
            return False
        try:
            inotify.watch(directory, follow=follow)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP):
                return True
            self._limited(error)
            return False
        return True

    def forget(self, directories: set[bytes]) -> None:
        """Ends the watches at and below directories."""
        if self._inotify is not None and directories:
            self._inotify.forget(directories)

    def prune(self, wanted: Callable[[bytes], bool]) -> None:
        """Ends the watches of directories that are no longer wanted (Linux)."""
        if self._inotify is not None:
            self._inotify.prune(wanted)

    def set_roots(self, roots: list[bytes]) -> None:
        """Elsewhere than on Linux: watches exactly these folders, each as a whole."""
        observer, hints = self._observer, self._hints
        if sys.platform == "linux" or observer is None or hints is None:
            return
        for root in [root for root in self._scheduled if root not in roots]:
            observer.unschedule(self._scheduled.pop(root))
        for root in roots:
            if root not in self._scheduled:
                try:
                    self._scheduled[root] = observer.schedule(
                        hints, os.fsdecode(root), recursive=True
                    )
                except OSError as error:
                    self._limited(error)

    def count(self) -> int:
        """How many directories are watched (Linux)."""
        return len(self._inotify) if self._inotify is not None else len(self._scheduled)

    def all_watched(self) -> None:
        """A walk could watch everything: there is nothing to complain of any more."""
        self.limit = None

    def _limited(self, error: OSError) -> None:
        if isinstance(error, WatchLimitError):
            text = (
                f"the limit of watched folders is reached ({self.count():,} are watched); the rest"
                " is walked at intervals instead. To raise it: sudo sysctl"
                " fs.inotify.max_user_watches=1048576 (and the same line without `sudo sysctl` in"
                " /etc/sysctl.d/60-imgq.conf to keep it)"
            )
        elif error.errno in (errno.EMFILE, errno.ENFILE):
            text = (
                "this user has no inotify instance (or file descriptor) left; folders are walked at"
                " intervals instead. To raise it: sudo sysctl fs.inotify.max_user_instances=1024"
            )
        else:
            text = f"folders cannot be watched ({error}); they are walked at intervals instead"
        if self.limit is None:
            log.warning("not everything can be watched", reason=text)
        self.limit = text

"""Linux: a watchdog emitter with one inotify descriptor for everything, one watch a directory.

It watches exactly the directories it is told to (a walk tells it, before it lists one), asks for no
events that reading a file would cause, and says when the kernel dropped events or a filesystem was
mounted. What an event means is decided in watch.py.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileSystemEvent,
)
from watchdog.observers.api import EventEmitter, EventQueue, ObservedWatch

log = structlog.get_logger("library")

IN_MODIFY = 0x00000002
IN_ATTRIB = 0x00000004
IN_CLOSE_WRITE = 0x00000008
IN_MOVED_FROM = 0x00000040
IN_MOVED_TO = 0x00000080
IN_CREATE = 0x00000100
IN_DELETE = 0x00000200
IN_DELETE_SELF = 0x00000400
IN_MOVE_SELF = 0x00000800
IN_UNMOUNT = 0x00002000
IN_Q_OVERFLOW = 0x00004000
IN_IGNORED = 0x00008000
IN_ONLYDIR = 0x01000000
IN_DONT_FOLLOW = 0x02000000
IN_EXCL_UNLINK = 0x04000000
IN_ISDIR = 0x40000000
_GONE = IN_DELETE | IN_MOVED_FROM
_NEW = IN_CREATE | IN_MOVED_TO
_ENDED = IN_IGNORED | IN_UNMOUNT
_ITSELF = IN_DELETE_SELF | IN_MOVE_SELF | _ENDED
# Neither IN_OPEN, IN_ACCESS nor IN_CLOSE_NOWRITE: a decoder must not set itself off.
MASK = (
    IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | _GONE | _NEW | IN_DELETE_SELF | IN_MOVE_SELF
    | IN_ONLYDIR | IN_EXCL_UNLINK
)  # fmt: skip
_HEAD = struct.Struct("iIII")
_READ = 1 << 18


class WatchLimitError(OSError):
    """The kernel gives no more watches (ENOSPC) or memory for them."""


@dataclass(frozen=True, slots=True)
class Notices:
    """What the emitter says beside events, on its own thread.

    `overflow`: the kernel dropped events. `mounted`: something was mounted or unmounted.
    """

    overflow: Callable[[], None]
    mounted: Callable[[], None]


class Inotify:
    """The descriptor, and which directory each watch is on. Thread-safe. Raises OSError."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self.fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self._paths: dict[int, bytes] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._paths)

    def watch(self, path: bytes, *, follow: bool = False) -> None:
        """Watches a directory (again, which costs nothing). Raises WatchLimitError or OSError."""
        mask = MASK if follow else MASK | IN_DONT_FOLLOW
        # Under the lock: an event of the new watch must find its path.
        with self._lock:
            if self.fd < 0:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            number = self._libc.inotify_add_watch(self.fd, path, mask)
            if number >= 0:
                self._paths[number] = path
                return
        code = ctypes.get_errno()
        kind = WatchLimitError if code in (errno.ENOSPC, errno.ENOMEM) else OSError
        raise kind(code, os.strerror(code), os.fsdecode(path))

    def forget(self, paths: set[bytes]) -> None:
        """Removes the watches at and below each of the paths."""
        prefixes = tuple(path if path.endswith(b"/") else path + b"/" for path in paths)
        with self._lock:
            for number, path in list(self._paths.items()):
                if path in paths or path.startswith(prefixes):
                    del self._paths[number]
                    if self.fd >= 0:
                        self._libc.inotify_rm_watch(self.fd, number)

    def prune(self, wanted: Callable[[bytes], bool]) -> None:
        """Removes the watches of directories that are no longer wanted."""
        self.forget({path for path in list(self._paths.values()) if not wanted(path)})

    def lost(self, number: int) -> bytes | None:
        """The kernel ended a watch by itself: returns the path that it was on."""
        with self._lock:
            return self._paths.pop(number, None)

    def path(self, number: int) -> bytes | None:
        """The directory that a watch is on."""
        with self._lock:
            return self._paths.get(number)

    def read(self) -> list[tuple[int, int, bytes]]:
        """(watch, mask, name) of the events there are now; doubles are left out."""
        try:
            data = os.read(self.fd, _READ)
        except BlockingIOError:
            return []
        found: dict[tuple[int, int, bytes], None] = {}
        at = 0
        while at < len(data):
            number, mask, _, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            found[number, mask, data[at : at + length].rstrip(b"\0")] = None
            at += length
        return list(found)

    def close(self) -> None:
        """Ends all watches."""
        with self._lock:
            if self.fd >= 0:
                os.close(self.fd)
            self.fd = -1
            self._paths.clear()


class TreeEmitter(EventEmitter):
    """Turns inotify's events into watchdog's, for every directory that `inotify` watches.

    An observer makes it through functools.partial(TreeEmitter, inotify=..., notices=...,
    ignored=...) for one nominal watch; `ignored(path, is_dir)` says what to leave out.
    """

    def __init__(
        self,
        event_queue: EventQueue,
        watch: ObservedWatch,
        *,
        inotify: Inotify,
        notices: Notices,
        ignored: Callable[[bytes, bool], bool],
        timeout: float = 1.0,
        event_filter: list[type[FileSystemEvent]] | None = None,
    ) -> None:
        super().__init__(event_queue, watch, timeout=timeout, event_filter=event_filter)
        self._inotify = inotify
        self._notices = notices
        self._ignored = ignored
        self._wake_read, wake_write = os.pipe2(os.O_CLOEXEC)
        self._wake_write: int | None = wake_write
        self._poll = select.poll()
        self._poll.register(inotify.fd, select.POLLIN)
        self._poll.register(self._wake_read, select.POLLIN)
        # The mount table announces its changes as an error condition (proc(5), mountinfo).
        self._mounts: int | None = None
        try:
            self._mounts = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
            self._poll.register(self._mounts, select.POLLPRI | select.POLLERR)
        except OSError:
            log.info("mounts are noticed only by looking", reason="no mountinfo")

    def queue_events(self, timeout: float) -> None:
        """Blocks until something happens, without a timeout: an idle daemon does not wake up."""
        ready = dict(self._poll.poll())
        if not self.should_keep_running():
            return
        if self._mounts in ready and ready[self._mounts] & (select.POLLPRI | select.POLLERR):
            self._notices.mounted()
        if self._inotify.fd in ready:
            self._translate(self._inotify.read())

    def run(self) -> None:
        try:
            super().run()
        finally:
            self._inotify.close()
            for fd in (self._wake_read, self._mounts):
                if fd is not None:
                    os.close(fd)

    def on_thread_stop(self) -> None:
        """Wakes the thread up (its end of the pipe hangs up), so that it ends."""
        if self._wake_write is not None:
            os.close(self._wake_write)
        self._wake_write = None

    def _translate(self, events: list[tuple[int, int, bytes]]) -> None:
        moved: set[bytes] = set()
        out: dict[tuple[bytes, bool], FileSystemEvent] = {}
        for number, mask, name in events:
            if mask & IN_Q_OVERFLOW:
                self._notices.overflow()
                continue
            ended = bool(mask & _ENDED)
            directory = self._inotify.lost(number) if ended else self._inotify.path(number)
            if directory is None:
                continue
            is_dir = bool(mask & (_ITSELF | IN_ISDIR))
            path = os.path.join(directory, name) if name else directory
            if self._ignored(path, is_dir):
                continue
            if is_dir and mask & IN_MOVED_FROM:
                moved.add(path)
            # Moved to the end: of several events of one path the last is told, in its order.
            out.pop((path, is_dir), None)
            out[path, is_dir] = _event(path, mask, is_dir)
        if moved:
            self._inotify.forget(moved)
        for event in out.values():
            self.queue_event(event)


def _event(path: bytes, mask: int, is_dir: bool) -> FileSystemEvent:
    # A watched directory that goes (moved, deleted, unmounted) tells so itself: of a watched
    # folder, or the target of a link, nobody else does.
    if mask & (_GONE | _ITSELF):
        return DirDeletedEvent(path) if is_dir else FileDeletedEvent(path)
    if mask & _NEW:
        return DirCreatedEvent(path) if is_dir else FileCreatedEvent(path)
    return DirModifiedEvent(path) if is_dir else FileModifiedEvent(path)

"""Whether the files of hits are still there, asked of the disk within a deadline.

A network drive that is gone makes `lstat` hang for minutes. So it is called on threads that belong
to one watched folder or mount each: a drive that hangs keeps only its own threads, and is not waited
for again until it answers. What follows from an answer is query.py's business.
"""

from __future__ import annotations

import errno
import os
import queue
import stat
import threading
import time
from collections.abc import Sequence

from imgqd.library.identity import signed
from imgqd.records import Signature

# Answers of `Liveness.check`.
ALIVE = "alive"  # as the library knows it
TOUCHED = "touched"  # the same size and time of change, but the inode was changed since
CHANGED = "changed"  # another content, as far as can be told without reading it
GONE = "gone"  # nothing there, or no regular file
UNKNOWN = "unknown"  # no answer in time, or one that says neither

THREADS = 4
IDLE_S = 30.0
# A drive that takes this long for one file is not asked again until it answers.
HANGS_S = 0.25
# Below this many paths one thread is faster than several.
SHARE = 16

File = tuple[bytes, Signature]


def look(path: bytes, known: Signature, *, follow_links: bool) -> str:
    """One look at one path, on the calling thread."""
    try:
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            if not follow_links:
                return GONE
            found = os.stat(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return GONE
        return UNKNOWN
    except ValueError:
        return GONE
    if not stat.S_ISREG(found.st_mode):
        return GONE
    if found.st_size != known.size or signed(found.st_mtime_ns) != known.mtime_ns:
        return CHANGED
    return ALIVE if signed(found.st_ctime_ns) == known.ctime_ns else TOUCHED


class _Answers:
    """What is known so far of one call's paths; threads fill it in."""

    def __init__(self, tasks: int) -> None:
        self.found: dict[bytes, str] = {}
        self._left = tasks
        self._lock = threading.Lock()
        self.complete = threading.Event()

    def done(self) -> None:
        with self._lock:
            self._left -= 1
            if not self._left:
                self.complete.set()


Task = tuple[Sequence[File], _Answers, float]


class _Drive:
    """The threads of one folder or mount. They end after a while without work."""

    def __init__(self, follow_links: bool) -> None:
        self._follow_links = follow_links
        self._tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        # When each thread began with the path it is at.
        self._since: dict[int, float] = {}

    def hangs(self) -> bool:
        """True while a thread has been at one path for too long."""
        now = time.monotonic()
        return any(now - since > HANGS_S for since in list(self._since.values()))

    def submit(self, task: Task) -> None:
        with self._lock:
            if self._idle <= self._tasks.qsize() and self._threads < THREADS:
                self._threads += 1
                threading.Thread(target=self._work, name="lstat", daemon=True).start()
        self._tasks.put(task)

    def _work(self) -> None:
        me = threading.get_ident()
        while True:
            with self._lock:
                self._idle += 1
            try:
                files, answers, deadline = self._tasks.get(timeout=IDLE_S)
            except queue.Empty:
                with self._lock:
                    self._idle -= 1
                    if self._tasks.empty():
                        self._threads -= 1
                        return
                continue
            with self._lock:
                self._idle -= 1
            for path, known in files:
                now = time.monotonic()
                if now > deadline:
                    break
                self._since[me] = now
                answers.found[path] = look(path, known, follow_links=self._follow_links)
            with self._lock:
                self._since.pop(me, None)
            answers.done()


class Liveness:
    """Looks at files on threads of their drives. Thread-safe."""

    def __init__(self, *, follow_links: bool = False) -> None:
        self._follow_links = follow_links
        self._drives: dict[bytes, _Drive] = {}
        self._lock = threading.Lock()

    def check(
        self, files: Sequence[File], prefixes: Sequence[bytes], deadline: float
    ) -> dict[bytes, str]:
        """What the disk says of each file by `deadline` (time.monotonic); UNKNOWN where it is late.

        `prefixes` are the watched folders and mounts: the longest one above a path is its drive.
        """
        answers: dict[bytes, str] = {path: UNKNOWN for path, _ in files}
        left = deadline - time.monotonic()
        if left <= 0:
            return answers
        by_drive: dict[bytes, list[File]] = {}
        for file in files:
            by_drive.setdefault(_drive_of(file[0], prefixes), []).append(file)
        tasks: list[tuple[_Drive, Sequence[File]]] = []
        for prefix, its_files in by_drive.items():
            drive = self._drive(prefix)
            if drive.hangs():
                continue
            size = max(SHARE, -(-len(its_files) // THREADS))
            tasks += [(drive, its_files[i : i + size]) for i in range(0, len(its_files), size)]
        if not tasks:
            return answers
        found = _Answers(len(tasks))
        for drive, share in tasks:
            drive.submit((share, found, deadline))
        found.complete.wait(left)
        # The threads may still add to it; a copy of what there is now is one atomic step.
        answers.update(found.found.copy())
        return answers

    def _drive(self, prefix: bytes) -> _Drive:
        with self._lock:
            drive = self._drives.get(prefix)
            if drive is None:
                drive = self._drives[prefix] = _Drive(self._follow_links)
            return drive


def _drive_of(path: bytes, prefixes: Sequence[bytes]) -> bytes:
    longest = b""
    for prefix in prefixes:
        if len(prefix) > len(longest) and path.startswith(prefix.rstrip(b"/") + b"/"):
            longest = prefix
    return longest

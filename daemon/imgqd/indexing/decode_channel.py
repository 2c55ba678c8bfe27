"""One worker process and the child it currently has, as the daemon sees them.

Starting, talking with a deadline, finding out how a child ended, killing. It knows frames and
processes, not pictures; the other end is decode_worker.py.
"""

from __future__ import annotations

import array
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import Protocol

from imgqd.indexing import decode_protocol as protocol
from imgqd.priority import Share

COMMAND = ("-S", "-P", "-B", "-m", "imgqd.indexing.decode_worker")
# One fork for each file would cost as much processor time as decoding a small JPEG does.
FILES_PER_CHILD = 16
START_TIMEOUT_S = 30.0
# glibc: what one picture frees is there for the next, where the system would have to clear pages anew.
_KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
    "MALLOC_TOP_PAD_": str(16 << 20),
}
_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMP", "TEMP")


class DeadlineError(Exception):
    """The file took longer than it may."""


class NotStarted(Exception):
    """No process could be started: no fault of any file."""


class WorkerFailed(Exception):
    """The worker process is gone, or the file could not be handed to it."""


class ChildDied(Exception):
    """The child ended in the middle of a file."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        if status == -getattr(signal, "SIGXCPU", 0) and status:
            self.reason = "timeout"
            self.detail = "decoding it used up the processor time that one file may take"
        elif status < 0:
            try:
                word = signal.Signals(-status).name
            except ValueError:
                word = f"signal {-status}"
            self.reason = "crashed"
            self.detail = f"the decoder was ended by {word}"
        else:
            self.reason = "crashed"
            self.detail = f"the decoder ended without an answer (exit code {status})"


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What every file must keep to: pixels, MiB, seconds."""

    max_pixels: int
    min_side: int
    memory_mb: int
    timeout_s: float


class Worker(Protocol):
    """A worker process, of whichever kind the platform has.

    Used by one thread at a time; only `terminate` may come from another. `libraries` are the format
    words whose libraries it has loaded.
    """

    libraries: set[str]

    @property
    def alive(self) -> bool: ...

    @property
    def pid(self) -> int: ...

    def ask(
        self, request: protocol.Fields, fd: int, most: int
    ) -> tuple[protocol.Fields, bytearray]:
        """Sends one request with its file; gives the header and a body of at most `most` bytes.

        Raises DeadlineError (the worker has been discarded), ChildDied, NotStarted, WorkerFailed,
        or MalformedError, after which the caller must discard the worker.
        """

    def load(self, library: str) -> bool:
        """Loads the library for a format. False when it cannot be loaded. Raises NotStarted."""

    def terminate(self) -> None:
        """Ends the processes at once, from any thread; whoever waits for an answer gets ChildDied
        or WorkerFailed."""

    def discard(self) -> None:
        """Ends the processes and closes everything; harmless when done already."""


class ForkingWorker:
    """A worker that forks children; it has at most one at a time."""

    def __init__(self, limits: ChildLimits, *, share: Share) -> None:
        self.libraries: set[str] = set()
        self._limits = limits
        self._child: socket.socket | None = None
        self._files = 0
        self._reaping = threading.Lock()
        self._control, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [
                        *(sys.executable, *COMMAND, str(theirs.fileno())),
                        *(str(share.nice), str(share.cores)),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env=environment(),
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                self._control.close()
                raise NotStarted(str(error)) from error
        self._control.setblocking(False)

    @property
    def alive(self) -> bool:
        with self._reaping:
            return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(
        self, request: protocol.Fields, fd: int, most: int
    ) -> tuple[protocol.Fields, bytearray]:
        child = self._waiting_child() or self._start_child()
        deadline = time.monotonic() + self._limits.timeout_s
        try:
            _send(child, protocol.pack(request), deadline, fd)
            self._files += 1
            head, length = protocol.HEADER.unpack(_receive(child, protocol.HEADER.size, deadline))
            if head > protocol.MAX_HEADER or length > most:
                raise protocol.MalformedError("it is too long")
            header = protocol.parse(bytes(_receive(child, head, deadline)))
            body = _receive(child, length, deadline)
        except DeadlineError:
            self.discard()
            raise
        except (EOFError, ConnectionError):
            raise ChildDied(self._end_of_child()) from None
        except OSError as error:
            # Not about the child: `fd` is no open file, or this process is out of something.
            self.discard()
            raise WorkerFailed(f"the file cannot be handed to a decoder: {error}") from error
        if self._files >= FILES_PER_CHILD:
            self._let_child_go()
        return header, body

    def load(self, library: str) -> bool:
        # A child may import nothing any more: the next one is forked with the library in it.
        self._let_child_go()
        self.libraries.add(library)
        self._start_child()
        return library in self.libraries

    def terminate(self) -> None:
        with self._reaping, contextlib.suppress(ProcessLookupError):
            # Its own session, so the group is the worker and its child and nobody else; and until
            # it is reaped, which only happens under this lock, the number is nobody else's.
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def discard(self) -> None:
        self.terminate()
        self._let_child_go()
        self._control.close()

    # -- the child --------------------------------------------------------------------------------

    def _waiting_child(self) -> socket.socket | None:
        """The child there is, if it has not been killed since its last file.

        Raises MalformedError when it has said something that it was not asked.
        """
        if self._child is None:
            return None
        try:
            if self._child.recv(1, socket.MSG_PEEK):
                raise protocol.MalformedError("it came before the question")
        except BlockingIOError:
            return self._child
        except OSError:
            pass
        self._let_child_go()
        return None

    def _start_child(self) -> socket.socket:
        limits = self._limits
        orders: protocol.Fields = {
            "libraries": sorted(self.libraries),
            "max_pixels": limits.max_pixels,
            "min_side": limits.min_side,
            "memory_mb": limits.memory_mb,
            "timeout_s": limits.timeout_s,
            "files": FILES_PER_CHILD,
        }
        deadline = time.monotonic() + START_TIMEOUT_S
        try:
            _send(self._control, protocol.pack(orders), deadline)
            while self._child is None:
                fields, fds = self._hear(deadline)
                if fds:
                    self._child = socket.socket(fileno=fds[0])
                    self._child.setblocking(False)
                    self.libraries -= set(protocol.texts(fields, "missing", 8, 32))
        except (EOFError, OSError, DeadlineError, protocol.MalformedError) as error:
            self.discard()
            raise NotStarted(f"the process ended before it was ready: {error!r}") from error
        self._files = 0
        return self._child

    def _hear(self, deadline: float) -> tuple[protocol.Fields, list[int]]:
        head, fds = _receive_with_fds(self._control, protocol.HEADER.size, deadline)
        length = protocol.HEADER.unpack(head)[0]
        return protocol.parse(bytes(_receive(self._control, length, deadline))), fds

    def _let_child_go(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _end_of_child(self) -> int:
        """How the child ended, as the worker tells: an exit code, or minus a signal."""
        self._let_child_go()
        deadline = time.monotonic() + START_TIMEOUT_S
        try:
            while True:
                fields, _ = self._hear(deadline)
                if "ended" in fields:
                    return protocol.integer(fields, "ended", -255, 255)
        except (EOFError, OSError, DeadlineError, protocol.MalformedError) as error:
            self.discard()
            raise WorkerFailed("the decoder process was ended from outside") from error


def start_worker(limits: ChildLimits, *, share: Share) -> Worker:
    """A new worker process of the kind this platform has. Raises NotStarted."""
    if sys.platform == "win32":
        from imgqd.indexing.decode_windows import PipeWorker

        return PipeWorker(limits, share=share)
    return ForkingWorker(limits, share=share)


def environment() -> dict[str, str]:
    """The little that a worker needs: where modules are, UTF-8, one thread."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONUTF8": "1",
        "OMP_NUM_THREADS": "1",
        **_KEEP_MEMORY,
    }


# -- sockets with a deadline ----------------------------------------------------------------------
# Always one attempt before the clock is looked at: after the daemon was stopped for a while (a
# suspended machine, SIGSTOP), an answer that has been there all along must not be a timeout.


def _wait(sock: socket.socket, events: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(sock, events)
    remaining = deadline - time.monotonic()
    if not poll.poll(max(0.0, remaining) * 1000) and remaining <= 0:
        raise DeadlineError


def _send(sock: socket.socket, data: bytes, deadline: float, fd: int | None = None) -> None:
    rights = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
    view = memoryview(data)
    while view:
        try:
            view = view[sock.sendmsg([view], rights) :]
            rights = []
        except BlockingIOError:
            _wait(sock, select.POLLOUT, deadline)


def _receive(sock: socket.socket, count: int, deadline: float) -> bytearray:
    data = bytearray(count)
    view = memoryview(data)
    while view:
        try:
            got = sock.recv_into(view)
        except BlockingIOError:
            _wait(sock, select.POLLIN, deadline)
            continue
        if not got:
            raise EOFError
        view = view[got:]
    return data


def _receive_with_fds(sock: socket.socket, count: int, deadline: float) -> tuple[bytes, list[int]]:
    fds = array.array("i")
    while True:
        try:
            data, ancillary, _, _ = sock.recvmsg(count, socket.CMSG_SPACE(fds.itemsize))
            break
        except BlockingIOError:
            _wait(sock, select.POLLIN, deadline)
    if not data:
        raise EOFError
    for level, kind, part in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(part[: len(part) - len(part) % fds.itemsize])
    return data + bytes(_receive(sock, count - len(data), deadline)), list(fds)

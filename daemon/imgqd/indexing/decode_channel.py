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
import time
from dataclasses import dataclass

from imgqd.indexing import decode_protocol as protocol

COMMAND = ("-S", "-P", "-B", "-m", "imgqd.indexing.decode_worker")
# One fork for each file would cost as much processor time as decoding a small JPEG does.
FILES_PER_CHILD = 16
START_TIMEOUT_S = 30.0


class DeadlineError(Exception):
    """The file took longer than it may."""


class WorkerFailed(Exception):
    """The worker process itself cannot be started or is gone."""


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


class Worker:
    """A worker process with at most one child. Used by one thread at a time, save `kill`."""

    def __init__(self, limits: ChildLimits, *, nice: int) -> None:
        self._limits = limits
        self._libraries: set[str] = set()
        self._child: socket.socket | None = None
        self._files = 0
        self.sandbox: tuple[str, ...] = ()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, *COMMAND, str(theirs.fileno()), str(nice)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env=environment(),
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise WorkerFailed(f"no decoder process can be started: {error}") from error
        self._control = ours
        ours.setblocking(False)

    @property
    def usable(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(
        self, request: protocol.Fields, fd: int, most: int
    ) -> tuple[protocol.Fields, bytearray]:
        """Sends one request with its file; the header and a body of at most `most` bytes.

        Raises DeadlineError, ChildDied, WorkerFailed or MalformedError; after the first and the
        last of these the worker must not be used again.
        """
        child = self._ready_child()
        deadline = time.monotonic() + self._limits.timeout_s
        try:
            _send(child, protocol.pack(request), deadline, fd)
            self._files += 1
            lengths = protocol.HEADER.unpack(_receive(child, protocol.HEADER.size, deadline))
            if lengths[0] > protocol.MAX_HEADER or lengths[1] > most:
                raise protocol.MalformedError("an answer that is too long")
            header = protocol.parse(bytes(_receive(child, lengths[0], deadline)))
            body = _receive(child, lengths[1], deadline)
        except DeadlineError:
            self.kill()
            raise
        except (EOFError, OSError):
            raise ChildDied(self._end_of_child()) from None
        if self._files >= FILES_PER_CHILD:
            self._let_child_go()
        return header, body

    def load(self, library: str) -> None:
        """Has the next child know the library that `library` (a format word) needs."""
        if library in self._libraries:
            raise WorkerFailed(f"the decoder cannot load what {library} pictures need")
        self._libraries.add(library)
        self._let_child_go()

    def kill(self) -> None:
        """Ends the worker and its child at once; harmless when they have ended."""
        with contextlib.suppress(OSError):
            # Its own session, so the group is the worker and its children, nobody else. The
            # process is not reaped before this, so the number cannot be another group's.
            if self._process.returncode is None:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._let_child_go()
        self._control.close()

    # -- the child --------------------------------------------------------------------------------

    def _ready_child(self) -> socket.socket:
        if self._child is None:
            try:
                self._child = self._start_child()
            except (EOFError, OSError, DeadlineError) as error:
                self.kill()
                raise WorkerFailed(f"the decoder process does not start: {error!r}") from error
            self._files = 0
        return self._child

    def _start_child(self) -> socket.socket:
        deadline = time.monotonic() + START_TIMEOUT_S
        limits = self._limits
        orders: protocol.Fields = {
            "libraries": sorted(self._libraries),
            "max_pixels": limits.max_pixels,
            "min_side": limits.min_side,
            "memory_mb": limits.memory_mb,
            "timeout_s": limits.timeout_s,
            "files": FILES_PER_CHILD,
        }
        _send(self._control, protocol.pack(orders), deadline)
        while True:
            fields, fds = self._hear(deadline)
            if "started" in fields and fds:
                child = socket.socket(fileno=fds[0])
                child.setblocking(False)
                return child

    def _hear(self, deadline: float) -> tuple[protocol.Fields, list[int]]:
        head, fds = _receive_with_fds(self._control, protocol.HEADER.size, deadline)
        length, _ = protocol.HEADER.unpack(head)
        return protocol.parse(bytes(_receive(self._control, length, deadline))), fds

    def _let_child_go(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _end_of_child(self) -> int:
        """How the child ended, as the worker tells: an exit code, or minus a signal."""
        self._let_child_go()
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while True:
                fields, _ = self._hear(deadline)
                if "ended" in fields:
                    return protocol.integer(fields, "ended", -255, 255)
        except (EOFError, OSError, DeadlineError, protocol.MalformedError) as error:
            self.kill()
            raise WorkerFailed("the decoder process was ended") from error


def environment() -> dict[str, str]:
    """The little that a worker needs: where modules are, UTF-8, one thread."""
    kept = {
        key: os.environ[key] for key in ("SYSTEMROOT", "TZ", "LD_LIBRARY_PATH") if key in os.environ
    }
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONUTF8": "1",
        "OMP_NUM_THREADS": "1",
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

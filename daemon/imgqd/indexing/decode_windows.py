"""Decoding where there is no fork: the worker itself decodes, over pipes, and is replaced on failure.

Both ends are here: PipeWorker for the daemon, `main` for the process. Open files cross as duplicated
handles. The deadline, the checks of answers and the disposable process are as elsewhere; rlimits,
Landlock and seccomp have no counterpart here.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from typing import IO, Any

from imgqd.indexing import decode_protocol as protocol
from imgqd.indexing.decode_channel import (
    COMMAND,
    FILES_PER_CHILD,
    ChildDied,
    ChildLimits,
    DeadlineError,
    NotStarted,
    environment,
)
from imgqd.priority import Share


class PipeWorker:
    """A worker process that decodes by itself. Same methods and errors as decode_channel.Worker."""

    def __init__(self, limits: ChildLimits, *, share: Share) -> None:
        self.libraries: set[str] = set()
        self._limits = limits
        self._share = share
        self._process: subprocess.Popen[bytes] | None = None
        self._files = 0
        self._start()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def ask(
        self, request: protocol.Fields, fd: int, most: int
    ) -> tuple[protocol.Fields, bytearray]:
        process = self._process
        if process is None or self._files >= FILES_PER_CHILD * 16:
            process = self._start()
        self._files += 1
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._limits.timeout_s, stop)
        timer.start()
        try:
            assert process.stdin is not None and process.stdout is not None
            orders = {"handle": hand_over(process, fd), "request": request, **self._orders()}
            process.stdin.write(protocol.pack(orders))
            process.stdin.flush()
            head, length = protocol.HEADER.unpack(_exactly(process.stdout, protocol.HEADER.size))
            if head > protocol.MAX_HEADER or length > most:
                raise protocol.MalformedError("it is too long")
            header = protocol.parse(_exactly(process.stdout, head))
            return header, bytearray(_exactly(process.stdout, length))
        except (EOFError, OSError) as error:
            status = process.wait()
            self.discard()
            if late.is_set():
                raise DeadlineError from error
            raise ChildDied(status) from error
        finally:
            timer.cancel()

    def load(self, library: str) -> bool:
        self.libraries.add(library)
        header, _ = self.ask({"kind": "load", "library": library}, -1, 0)
        if header.get("loaded") is not True:
            self.libraries.discard(library)
        return library in self.libraries

    def terminate(self) -> None:
        if self._process is not None:
            self._process.kill()

    def discard(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()

    def _orders(self) -> protocol.Fields:
        return {"max_pixels": self._limits.max_pixels, "min_side": self._limits.min_side}

    def _start(self) -> subprocess.Popen[bytes]:
        self.discard()
        flags = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0) if self._share.nice > 0 else 0
        flags |= getattr(subprocess, "CREATE_NO_WINDOW", 0)
        try:
            self._process = subprocess.Popen(
                [sys.executable, *COMMAND, "pipe", "0", "0"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment(),
                creationflags=flags,
            )
        except OSError as error:
            raise NotStarted(str(error)) from error
        self._files = 0
        self.libraries.clear()
        return self._process


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """The process's side: answers until its standard input ends."""
    from imgqd.indexing import decode_task, picture
    from imgqd.indexing.decode_worker import load_library

    loaded: set[str] = set()
    while True:
        try:
            length = protocol.HEADER.unpack(_exactly(requests, protocol.HEADER.size))[0]
        except EOFError:
            return
        orders = protocol.parse(_exactly(requests, length))
        request, body = orders["request"], b""
        if request["kind"] == "load":
            header: protocol.Fields = {"loaded": load_library(request["library"])}
            if header["loaded"]:
                loaded.add(request["library"])
        else:
            limits = picture.Limits(orders["max_pixels"], orders["min_side"])
            fd = take_over(orders["handle"])
            header, body = decode_task.answer(request, fd, limits, frozenset(loaded))
        answers.write(protocol.pack(header, len(body)) + body)
        answers.flush()


def hand_over(process: subprocess.Popen[bytes], fd: int) -> int:
    """A handle for `fd` that is valid in `process`; 0 for no file."""
    if fd < 0 or sys.platform != "win32":
        return max(fd, 0)
    import _winapi
    import msvcrt

    target: Any = process._handle
    return _winapi.DuplicateHandle(
        _winapi.GetCurrentProcess(),
        msvcrt.get_osfhandle(fd),
        target,
        0,
        False,
        _winapi.DUPLICATE_SAME_ACCESS,
    )


def take_over(handle: int) -> int:
    """The file descriptor for a handle that `hand_over` made for this process."""
    if sys.platform != "win32":
        return handle
    import msvcrt

    return msvcrt.open_osfhandle(handle, os.O_RDONLY | os.O_BINARY)


def _exactly(stream: IO[bytes], count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = stream.read(count - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)

"""The daemon's door to the decoder processes: DecoderPool.

Keeps up to so many workers, hands them open files, ends them when idle, and turns every failure into
a ProblemError with a reason word. Processes and deadlines are decode_channel.py's, checking answers
decode_answer.py's, and what happens inside the processes is in decode_worker.py and below.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from imgqd.errors import ProblemError, UnavailableError
from imgqd.indexing import decode_protocol as protocol
from imgqd.indexing.decode_answer import Sidecar, read_metadata, read_placeholder, read_sidecar
from imgqd.indexing.decode_channel import (
    ChildDied,
    ChildLimits,
    DeadlineError,
    NotStarted,
    Worker,
    WorkerFailed,
    start_worker,
)
from imgqd.indexing.formats import LIBRARIES
from imgqd.priority import ALL, Share
from imgqd.records import Decoded, Metadata, Pixels, Preprocess

IDLE_S = 30.0
MAX_THUMBNAIL = 32 * 1024 * 1024
MAX_THUMBNAIL_SIDE = 2048
_MAGIC = {"webp": b"RIFF", "jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n"}
T = TypeVar("T")
Read = Callable[[protocol.Fields, bytearray], T]


class DecoderPool:
    """Up to `workers` decoder processes, started when needed and ended after `idle_s` without work.

    `timeout_s` is the deadline for one file, `max_pixels` and `min_side` limits on its size in
    pixels, `memory_mb` the memory of one process in MiB, `share` how much of the machine all take.
    Thread-safe: up to `workers` calls run at once, others wait.

    Every method takes an open, readable file descriptor, reads it from its beginning whatever its
    position (which it moves), and leaves it open; `name` is the file's name, which tells RAW formats
    that look like TIFF apart. All raise ProblemError: `corrupt`, `unsupported`, `too-large`,
    `too-small`, `timeout`, `memory`, `crashed`, `unreadable`; and UnavailableError, which says
    nothing about the file, when no process can be started or the pool is closed.
    """

    def __init__(
        self,
        *,
        workers: int,
        timeout_s: float,
        max_pixels: int,
        memory_mb: int,
        min_side: int = 0,
        share: Share = ALL,
        idle_s: float = IDLE_S,
    ) -> None:
        self._limits = ChildLimits(max_pixels, min_side, memory_mb, timeout_s)
        self._share = share
        self._idle_s = idle_s
        self._slots = threading.BoundedSemaphore(max(1, workers))
        self._changed = threading.Condition()
        self._idle: list[tuple[float, Worker]] = []
        self._busy: set[Worker] = set()
        self._closed = False
        self._reaper: threading.Thread | None = None
        self._sandbox: tuple[str, ...] = ()

    @property
    def sandbox(self) -> tuple[str, ...]:
        """What locks decoders up here, of `rlimits`, `landlock`, `seccomp`; empty before the first
        file."""
        return self._sandbox

    def pids(self) -> list[int]:
        """The process ids of the workers there are now (not of their children)."""
        with self._changed:
            return [worker.pid for _, worker in self._idle] + [w.pid for w in self._busy]

    def decode(self, fd: int, preprocess: Preprocess, *, name: bytes = b"") -> Decoded:
        """The picture as (height, width, 3) uint8 RGB sized for `preprocess`, and its metadata."""
        height, width = preprocess.height, preprocess.width
        want = {
            "height": height,
            "width": width,
            "interpolation": preprocess.interpolation,
            "resize_mode": preprocess.resize_mode,
            "fill_color": preprocess.fill_color,
            "resize": preprocess.resize,
        }

        def read(header: protocol.Fields, body: bytearray) -> Decoded:
            if len(body) != height * width * 3:
                raise protocol.MalformedError("the wrong number of pixels")
            pixels: Pixels = np.frombuffer(body, dtype=np.uint8).reshape(height, width, 3)
            return Decoded(pixels, read_metadata(header), placeholder=read_placeholder(header))

        request = {"kind": "decode", "want": want}
        return self._ask(request, fd, name, height * width * 3, read)

    def inspect(self, fd: int, *, name: bytes = b"", like: bytes | None = None) -> Metadata:
        """What the file says of itself; the pixels are decoded only where nothing else identifies
        them (not for JPEG, PNG and WebP). The pixel hash is of the kind that `like` is of."""
        earlier = like is not None and len(like) == protocol.EARLIER_HASH_BYTES
        size = protocol.EARLIER_HASH_BYTES if earlier else protocol.HASH_BYTES
        request = {"kind": "inspect", "hash_bytes": size}
        return self._ask(request, fd, name, 0, lambda header, _: read_metadata(header, size))

    def thumbnail(self, fd: int, side: int, *, name: bytes = b"", format: str = "webp") -> bytes:
        """A `webp`, `jpeg` or `png` file of the oriented picture, its longer side at most `side`
        pixels (never enlarged). It comes out of a decoder: show it, do not trust it."""
        return self.miniature(fd, side, name=name, format=format)[0]

    def miniature(
        self, fd: int, side: int, *, name: bytes = b"", format: str = "webp"
    ) -> tuple[bytes, bytes]:
        """As `thumbnail`, and the picture's placeholder (see records.PLACEHOLDER_BYTES)."""
        if format not in _MAGIC or not 1 <= side <= MAX_THUMBNAIL_SIDE:
            raise ValueError(f"no thumbnail of {side} pixels as {format}")
        request = {"kind": "thumbnail", "side": side, "format": format}
        magic = _MAGIC[format]

        def read(header: protocol.Fields, body: bytearray) -> tuple[bytes, bytes]:
            if not body.startswith(magic):
                raise protocol.MalformedError(f"a thumbnail that is no {format}")
            return bytes(body), read_placeholder(header)

        return self._ask(request, fd, name, MAX_THUMBNAIL, read)

    def sidecar(self, fd: int) -> Sidecar:
        """What an `.xmp` file says; a file that is no XMP says nothing."""
        return self._ask({"kind": "sidecar"}, fd, b"", 0, lambda header, _: read_sidecar(header))

    def close(self) -> None:
        """Ends all processes, busy ones included; calls under way raise UnavailableError."""
        with self._changed:
            self._closed = True
            idle = [worker for _, worker in self._idle]
            busy = list(self._busy)
            self._idle.clear()
            self._changed.notify_all()
        for worker in idle:
            worker.discard()
        for worker in busy:
            worker.terminate()

    # -- asking -----------------------------------------------------------------------------------

    def _ask(self, request: protocol.Fields, fd: int, name: bytes, most: int, read: Read[T]) -> T:
        request["name"] = name[-64:].hex()
        try:
            with self._worker() as worker:
                return self._answered(worker, request, fd, most, read)
        except DeadlineError:
            raise ProblemError(
                "timeout",
                f"decoding took longer than {self._limits.timeout_s:g} s "
                "(setting decode_timeout_s)",
            ) from None
        except NotStarted as error:
            raise UnavailableError(
                f"no decoder process can be started ({error}); see `imgqd doctor`"
            ) from None
        except (ChildDied, WorkerFailed) as error:
            if self._closed:
                raise UnavailableError("the decoders are shut down") from None
            if isinstance(error, ChildDied):
                raise ProblemError(error.reason, error.detail) from None
            raise ProblemError("crashed", str(error)) from None
        except protocol.MalformedError as error:
            raise ProblemError(
                "crashed", f"the decoder gave an answer that makes no sense: {error}"
            ) from None

    def _answered(
        self, worker: Worker, request: protocol.Fields, fd: int, most: int, read: Read[T]
    ) -> T:
        try:
            for _ in range(1 + len(LIBRARIES)):
                header, body = worker.ask(request, fd, most)
                if not self._sandbox:
                    self._sandbox = protocol.texts(header, "sandbox", 8, 32)
                if "reason" in header:
                    raise _problem(header)
                library = protocol.optional_text(header, "library", 32)
                if library is None:
                    return read(header, body)
                if library not in LIBRARIES or library in worker.libraries:
                    break
                if not worker.load(library):
                    raise ProblemError(
                        "unsupported",
                        f"{library} pictures need the Python package {LIBRARIES[library]}, "
                        "which cannot be loaded: install it and run `imgqd retry`",
                    )
            raise protocol.MalformedError("it asks for a library that it has")
        except protocol.MalformedError:
            worker.discard()
            raise

    @contextlib.contextmanager
    def _worker(self) -> Iterator[Worker]:
        with self._slots:
            worker = self._take()
            try:
                yield worker
            finally:
                self._put_back(worker)

    def _take(self) -> Worker:
        while True:
            with self._changed:
                if self._closed:
                    raise UnavailableError("the decoders are shut down")
                worker = self._idle.pop()[1] if self._idle else None
                if worker is not None and worker.alive:
                    self._busy.add(worker)
                    return worker
            if worker is not None:
                worker.discard()
                continue
            worker = start_worker(self._limits, share=self._share)
            with self._changed:
                if not self._closed:
                    self._busy.add(worker)
                    return worker
            worker.discard()

    def _put_back(self, worker: Worker) -> None:
        with self._changed:
            self._busy.discard(worker)
            keep = not self._closed and worker.alive
            if keep:
                self._idle.append((time.monotonic(), worker))
                if self._reaper is None:
                    self._reaper = threading.Thread(
                        target=self._end_idle, name="imgqd-decoder-idle", daemon=True
                    )
                    self._reaper.start()
        if not keep:
            worker.discard()

    def _end_idle(self) -> None:
        """Ends workers that had nothing to do; ends itself when there is none left to watch."""
        while True:
            ended: list[Worker] = []
            with self._changed:
                due = time.monotonic() - self._idle_s
                while self._idle and self._idle[0][0] <= due:
                    ended.append(self._idle.pop(0)[1])
                if not ended:
                    if not self._idle:
                        self._reaper = None
                        return
                    self._changed.wait(self._idle[0][0] - due)
            for worker in ended:
                worker.discard()


def _problem(header: protocol.Fields) -> ProblemError:
    reason = protocol.text(header, "reason", 32)
    if reason not in protocol.REASONS:
        raise protocol.MalformedError("a reason that does not exist")
    return ProblemError(reason, protocol.text(header, "detail", 1000))

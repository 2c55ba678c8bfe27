"""The daemon's door to the decoder processes: DecoderPool.

Starts workers by exec (never by fork: the daemon has many threads), hands them open files, enforces
a deadline for each, and believes nothing that comes back until it is checked. What happens inside
the processes is in decode_worker.py and what it imports.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from imgqd.errors import ProblemError
from imgqd.indexing import decode_protocol as protocol
from imgqd.indexing import formats
from imgqd.indexing.decode_channel import (
    ChildDied,
    ChildLimits,
    DeadlineError,
    Worker,
    WorkerFailed,
)
from imgqd.records import Decoded, Metadata, Preprocess

IDLE_S = 30.0
MAX_THUMBNAIL = 8 * 1024 * 1024
T = TypeVar("T")


class DecoderPool:
    """Up to `workers` decoder processes, started when needed and ended after 30 s of idleness.

    `timeout_s` is the deadline for one file, `max_pixels` and `min_side` limits on its size in
    pixels, `memory_mb` the memory of one process in MiB, `nice` how far its priority is lowered.
    Thread-safe: up to `workers` calls run at once, others wait.
    """

    def __init__(
        self,
        *,
        workers: int,
        timeout_s: float,
        max_pixels: int,
        memory_mb: int,
        min_side: int = 0,
        nice: int = 10,
        idle_s: float = IDLE_S,
    ) -> None:
        self._limits = ChildLimits(max_pixels, min_side, memory_mb, timeout_s)
        self._nice = nice
        self._idle_s = idle_s
        self._slots = threading.BoundedSemaphore(max(1, workers))
        self._changed = threading.Condition()
        self._idle: list[tuple[float, Worker]] = []
        self._busy: set[Worker] = set()
        self._closed = False
        self._reaper: threading.Thread | None = None

    def decode(self, fd: int, preprocess: Preprocess, *, name: bytes = b"") -> Decoded:
        """The picture in `fd`, as (height, width, 3) uint8 RGB sized for `preprocess`.

        `fd` is read from its beginning, whatever its position. `name` is the file's name, which
        tells RAW formats that look like TIFF apart. Raises ProblemError.
        """
        height, width = preprocess.height, preprocess.width
        want = {
            "height": height,
            "width": width,
            "interpolation": preprocess.interpolation,
            "resize_mode": preprocess.resize_mode,
            "fill_color": preprocess.fill_color,
            "resize": preprocess.resize,
        }
        body = height * width * 3
        header, data = self._ask({"kind": "decode", "want": want}, fd, name, body, exactly=True)
        pixels = np.frombuffer(data, dtype=np.uint8).reshape(height, width, 3)
        return Decoded(pixels, _checked(_metadata, header))

    def inspect(self, fd: int, *, name: bytes = b"") -> Metadata:
        """What the file says of itself, without decoding it where the format allows.

        Raises ProblemError.
        """
        header, _ = self._ask({"kind": "inspect"}, fd, name, 0)
        return _checked(_metadata, header)

    def close(self) -> None:
        """Ends all processes, busy ones included; calls under way raise ProblemError."""
        with self._changed:
            self._closed = True
            workers = [worker for _, worker in self._idle] + list(self._busy)
            self._idle.clear()
            self._changed.notify_all()
        for worker in workers:
            worker.kill()

    # -- asking -----------------------------------------------------------------------------------

    def _ask(
        self, request: protocol.Fields, fd: int, name: bytes, most: int, *, exactly: bool = False
    ) -> tuple[protocol.Fields, bytearray]:
        request["name"] = name[-64:].hex()
        with self._worker() as worker:
            for _ in range(len(formats.FORMATS)):
                try:
                    header, body = worker.ask(request, fd, most)
                    library = protocol.optional_text(header, "library", 32)
                    if library is None:
                        if exactly and "reason" not in header and len(body) != most:
                            raise protocol.MalformedError("the wrong number of pixels")
                        break
                    worker.load(library)
                except DeadlineError:
                    raise ProblemError(
                        "timeout",
                        f"decoding it took longer than {self._limits.timeout_s:g} s "
                        "(setting decode_timeout_s)",
                    ) from None
                except ChildDied as error:
                    raise ProblemError(error.reason, error.detail) from None
                except WorkerFailed as error:
                    raise ProblemError("crashed", str(error)) from None
                except protocol.MalformedError as error:
                    worker.kill()
                    raise ProblemError(
                        "crashed", f"the decoder gave an answer that makes no sense: {error}"
                    ) from None
            else:
                worker.kill()
                raise ProblemError("crashed", "the decoder kept asking for more libraries")
        reason = header.get("reason")
        if reason is not None:
            detail = _checked(lambda h: protocol.text(h, "detail", 1000), header)
            if reason not in protocol.REASONS:
                raise ProblemError("crashed", "the decoder gave a reason that does not exist")
            raise ProblemError(reason, detail)
        return header, body

    @contextlib.contextmanager
    def _worker(self) -> Iterator[Worker]:
        with self._slots:
            with self._changed:
                if self._closed:
                    raise ProblemError("crashed", "the decoders are shut down")
                worker = self._idle.pop()[1] if self._idle else None
                if worker is None:
                    worker = Worker(self._limits, nice=self._nice)
                self._busy.add(worker)
            try:
                yield worker
            finally:
                with self._changed:
                    self._busy.discard(worker)
                    if self._closed or not worker.usable:
                        worker.kill()
                    else:
                        self._idle.append((time.monotonic(), worker))
                        self._watch_idle()

    # -- idleness ---------------------------------------------------------------------------------

    def _watch_idle(self) -> None:
        if self._reaper is None:
            self._reaper = threading.Thread(
                target=self._end_idle, name="imgqd-decoder-idle", daemon=True
            )
            self._reaper.start()

    def _end_idle(self) -> None:
        """Ends workers that had nothing to do; ends itself when none is left."""
        while True:
            ended: list[Worker] = []
            with self._changed:
                now = time.monotonic()
                while self._idle and self._idle[0][0] + self._idle_s <= now:
                    ended.append(self._idle.pop(0)[1])
                if not ended:
                    if not self._idle and not self._busy:
                        self._reaper = None
                        return
                    oldest = self._idle[0][0] + self._idle_s - now if self._idle else self._idle_s
                    self._changed.wait(oldest)
            for worker in ended:
                worker.kill()


def _checked(read: Callable[[protocol.Fields], T], header: protocol.Fields) -> T:
    try:
        return read(header)
    except protocol.MalformedError as error:
        raise ProblemError(
            "crashed", f"the decoder gave an answer that makes no sense: {error}"
        ) from None


def _metadata(header: protocol.Fields) -> Metadata:
    fields = header.get("metadata")
    if not isinstance(fields, dict):
        raise protocol.MalformedError("no metadata")
    word = protocol.text(fields, "format", 16)
    if word not in formats.FORMATS:
        raise protocol.MalformedError("a format that does not exist")
    try:
        pixel_hash = bytes.fromhex(protocol.text(fields, "pixel_hash", 32))
    except ValueError as error:
        raise protocol.MalformedError("pixel_hash is not hexadecimal") from error
    if len(pixel_hash) != 16:
        raise protocol.MalformedError("pixel_hash is not 16 bytes")
    latitude = protocol.optional_number(fields, "latitude", -90, 90)
    longitude = protocol.optional_number(fields, "longitude", -180, 180)
    return Metadata(
        width=protocol.integer(fields, "width", 1, protocol.MAX_SIDE),
        height=protocol.integer(fields, "height", 1, protocol.MAX_SIDE),
        format=word,
        pixel_hash=pixel_hash,
        taken=protocol.optional_number(fields, "taken", -1e11, 1e12),
        taken_offset=protocol.optional_integer(fields, "taken_offset", -1440, 1440),
        camera=protocol.optional_text(fields, "camera"),
        lens=protocol.optional_text(fields, "lens"),
        gps=None if latitude is None or longitude is None else (latitude, longitude),
        title=protocol.optional_text(fields, "title"),
        description=protocol.optional_text(fields, "description"),
        keywords=protocol.texts(fields, "keywords", protocol.MAX_KEYWORDS, protocol.MAX_KEYWORD),
        rating=protocol.optional_integer(fields, "rating", -1, 5),
    )

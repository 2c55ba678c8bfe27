"""What one connection may cost: how long it may take, how much may be open, how much is held.

aiohttp has no limit on the number of connections nor on how long a peer may take to read, and its
limit for headers differs between versions; here each connection has its own clock. Which requests
are allowed at all is for auth.py.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web

from imgqd.api.auth import Gate
from imgqd.errors import ImgqError, UnavailableError, UsageError

log = structlog.get_logger("api")

MESSAGE_LENGTH = 2000
# As Retry-After says.
BUSY_S = 1.0

# On every answer: it is not ours to say what runs here, and no web page's to use it.
SAFE_HEADERS = {
    "Server": "imgqd",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, bytes and counts. One connection pool is kept for each listener."""

    header_s: float = 8.0
    idle_s: float = 30.0
    write_s: float = 10.0
    body_s: float = 8.0
    # Past its first seconds a body must have arrived at this rate (bytes a second), so that 100 MB
    # may take their time and a trickle may not.
    body_rate: float = 1_000_000.0
    connections: int = 256
    bodies: int = 128 * 1024 * 1024
    # A body above `large` bytes takes time from everybody: one at a time, and on the average no
    # more than `large_rate` bytes a second of them once `large_burst` is used up.
    large: int = 2 * 1024 * 1024
    large_rate: float = 8_000_000.0
    large_burst: float = 110_000_000.0
    # Bodies that make no sense cost their sender: once `nonsense_burst` bytes of them are used up,
    # each is answered only when `nonsense_rate` bytes a second have made up for it. A small one
    # counts as `nonsense_least`, for what a request costs whatever its size.
    nonsense_burst: float = 40_000_000.0
    nonsense_least: float = 40_000.0
    nonsense_rate: float = 4_000_000.0
    nonsense_wait_s: float = 2.0
    header_bytes: int = 16_384


class BodyTooLargeError(ImgqError):
    code = "too-large"
    status = 413


class BodyTooSlowError(ImgqError):
    code = "too-slow"
    status = 408


class ConnectionPool:
    """The connections of one listener, oldest first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[GuardedHandler, None] = {}

    def enter(self, handler: GuardedHandler) -> bool:
        """False when there is no room. A connection that has asked nothing yet makes room."""
        if len(self._open) >= self._limit:
            waiting = next((other for other in self._open if not other.busy), None)
            if waiting is None:
                return False
            waiting.drop()
            self._open.pop(waiting, None)
        self._open[handler] = None
        return True

    def wait(self, handler: GuardedHandler) -> None:
        """It has had its answer: it is the newest of those that wait."""
        if handler in self._open:
            del self._open[handler]
            self._open[handler] = None

    def leave(self, handler: GuardedHandler) -> None:
        self._open.pop(handler, None)

    def __len__(self) -> int:
        return len(self._open)


class GuardedHandler(web.RequestHandler):
    """aiohttp's handler of one connection, with deadlines for whoever is at the other end."""

    def __init__(
        self,
        server: web.Server,
        *,
        gate: Gate,
        pool: ConnectionPool,
        limits: Limits,
        **options: Any,
    ) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=limits.idle_s,
            lingering_time=2.0,
            access_log=None,  # type: ignore[arg-type]  # aiohttp takes None for "no log"
            auto_decompress=False,
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
            **options,
        )
        self.gate = gate
        self.busy = False
        # What the gate has found out about the other end.
        self.memory: dict[str, bool] = {}
        self._pool = pool
        self._limits = limits
        self._fresh = True
        self._read_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._peer: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        self._peer = transport
        if not self._pool.enter(self):
            body = error_body("busy", "too many connections are open; try again in a moment")
            transport.write(
                b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
                b"Retry-After: 1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
                % (len(body), body)
            )
            self.force_close()
            return
        self._wait_for(self._limits.header_s)

    def data_received(self, data: bytes) -> None:
        if not self._fresh and not self.busy:
            self._fresh = True
            self._wait_for(self._limits.header_s)
        super().data_received(data)

    def request_started(self) -> None:
        """The headers of a request are there."""
        self.busy = True
        self.body_size = 0
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def request_ended(self) -> None:
        """Its answer is on the way; another request may follow."""
        self.busy = False
        self._fresh = False
        self._pool.wait(self)
        self._wait_for(self._limits.idle_s)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None and self._peer is not None:
            loop = asyncio.get_running_loop()
            self._write_timer = loop.call_later(self._limits.write_s, self.drop)

    def resume_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._pool.leave(self)
        for timer in (self._read_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._read_timer = self._write_timer = self._peer = None
        super().connection_lost(exc)

    def drop(self) -> None:
        """Ends the connection at once, whatever is still unsent."""
        if self._peer is not None:
            self._peer.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is not HTTP, or not within aiohttp's limits."""
        if request.writer.output_size > 0:
            raise ConnectionError("part of an answer is sent already")
        if status >= 500:
            log.error("a request failed", error=repr(exc))
            body = error_body("failed", "the daemon failed on this request; its log says why")
        else:
            reason = " ".join(str(message or "it cannot be parsed").split())[:200]
            body = error_body("bad-request", f"this is not a valid HTTP request: {reason}")
        response = web.Response(
            status=status, body=body, content_type="application/json", headers=SAFE_HEADERS
        )
        response.force_close()
        return response

    def _wait_for(self, seconds: float) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
        self._read_timer = asyncio.get_running_loop().call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        # A peer that is still taking its answer is under the clock for writing instead.
        if self._peer is not None and self._write_timer is None:
            self.force_close()


class BodyReader:
    """Reads bodies within limits of size, time and of what all of them hold together."""

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._held = 0
        self._large = False
        self._allowed, self._counted = limits.large_burst, clock()
        self._nonsense, self._judged = limits.nonsense_burst, clock()

    @contextmanager
    def room(self, size: int) -> Iterator[None]:
        """Holds `size` bytes of what all bodies may take. Raises UnavailableError when full."""
        large = size > self._limits.large
        if self._held + size > self._limits.bodies or (large and not self._allow(size)):
            raise UnavailableError(
                "other requests with large bodies are being answered; try again in a moment",
                code="busy",
            )
        self._held += size
        self._large = self._large or large
        try:
            yield
        finally:
            self._held -= size
            self._large = self._large and not large

    def _allow(self, size: int) -> bool:
        limits, now = self._limits, self._clock()
        earned = (now - self._counted) * limits.large_rate
        self._allowed = min(limits.large_burst, self._allowed + earned)
        self._counted = now
        if self._large or self._allowed < size:
            return False
        self._allowed -= size
        return True

    def delay(self, error: ImgqError, *, read: int, sent: int) -> float:
        """Seconds to wait before `error` is said to whoever sent a body of `sent` bytes, of which `read`
        were read."""
        if error.status == 400 and read:
            return self.nonsense(read)
        # What there is no room for is still drawn off the line: not again and again at full speed.
        return BUSY_S if error.code == "busy" and sent > self._limits.large else 0.0

    def nonsense(self, size: int) -> float:
        """Counts a body of `size` bytes that was refused; seconds to wait before saying so.

        Whoever sends such bodies in a loop would otherwise take the time of everybody who asks.
        """
        limits, now = self._limits, self._clock()
        earned = (now - self._judged) * limits.nonsense_rate
        self._nonsense = min(limits.nonsense_burst, self._nonsense + earned)
        self._nonsense -= max(size, limits.nonsense_least)
        self._judged = now
        return min(limits.nonsense_wait_s, max(0.0, -self._nonsense / limits.nonsense_rate))

    def expected(self, request: web.Request, limit: int) -> int:
        """How large the body can be at most. Raises at once when its length says too much."""
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UsageError("send the body as it is, without Content-Encoding")
        length = request.content_length
        if length is not None and length > limit:
            raise BodyTooLargeError(
                f"the body has {length} bytes; at most {limit} are allowed here"
            )
        if length is None:
            return limit if request.body_exists else 0
        return length

    async def read(self, request: web.Request, limit: int) -> bytearray:
        """The body, at most `limit` bytes. Raises BodyTooLargeError or BodyTooSlowError."""
        # Grows in place: joining 100 MB at the end would hold up everybody.
        body = bytearray()
        if not request.body_exists:
            return body
        loop = asyncio.get_running_loop()
        start = loop.time()
        while True:
            deadline = start + self._limits.body_s + len(body) / self._limits.body_rate
            try:
                async with asyncio.timeout_at(deadline):
                    part = await request.content.readany()
            except TimeoutError:
                raise BodyTooSlowError(
                    f"only {len(body)} bytes of the body came in {loop.time() - start:.0f} s; send it at once"
                ) from None
            except web.RequestPayloadError as error:
                raise UsageError(f"the body is broken: {error}") from None
            if not part:
                return body
            if len(body) + len(part) > limit:
                raise BodyTooLargeError(f"the body is larger than {limit} bytes")
            body += part


def error_body(code: str, message: str) -> bytes:
    """The JSON of an error. A message is for people: what is longer than a page is cut."""
    if len(message) > MESSAGE_LENGTH:
        message = message[:MESSAGE_LENGTH] + "…"
    return json.dumps({"error": {"code": code, "message": message}}).encode()

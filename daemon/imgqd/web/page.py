"""The page as a whole: its files, its sessions, and the loopback listener that is opened for it.

The port is remembered in the home, so that a bookmark leads here again after a restart; listening
itself is done by api/server.py, who asks is checked by api/auth.py.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from imgq.locations import Locations
from imgqd.errors import ImgqError, UsageError
from imgqd.web.pages import Pages
from imgqd.web.sessions import KEY_S, Sessions, sessions_file

log = structlog.get_logger("web")

# Opens a listener on a port (0 is any free one) and says the URL. Raises ImgqError.
Listen = Callable[[int], Awaitable[str]]


class Page:
    """What there is of the page in one daemon. Belongs to the event loop."""

    def __init__(self, locations: Locations, *, port: int = 0) -> None:
        """`port` is the setting web_port."""
        self.sessions = Sessions(sessions_file(locations))
        self.pages = Pages()
        self.url: str | None = None
        self._port = port
        self._remembered = os.path.join(locations.data, "web-port")
        self._lock = asyncio.Lock()

    async def enter(self, address: str, listen: Listen) -> dict[str, Any]:
        """A URL that lets one browser in, once: `{"url", "port", "valid_s"}`.

        `address` is the query that the page begins with: empty, or from its `?` on.
        """
        if address and (not address.startswith("?") or not address.isascii()):
            raise UsageError("address is the query of a URL: it begins with ? and is encoded")
        if "#" in address or any(ord(char) <= 32 or char in '"<>\\^`{|}' for char in address):
            raise UsageError("address holds characters that are not encoded as in a URL")
        url = await self.open(listen)
        return {
            "url": f"{url}/{address}#key={self.sessions.key()}",
            "port": int(url.rpartition(":")[2]),
            "valid_s": int(KEY_S),
        }

    async def open(self, listen: Listen) -> str:
        """Listens where that is not done yet; returns the URL. Raises ImgqError."""
        async with self._lock:
            if self.url is None:
                remembered = self._port or self._read_port()
                try:
                    self.url = await listen(remembered)
                except ImgqError:
                    if self._port or not remembered:
                        raise
                    # Somebody else has it by now; bookmarks are lost, the page is not.
                    self.url = await listen(0)
                self._write_port(int(self.url.rpartition(":")[2]))
            return self.url

    async def come_back(self, listen: Listen) -> None:
        """At the start of the daemon: listens again while a browser may come back."""
        if self.url is None and self.sessions.any():
            try:
                await self.open(listen)
            except ImgqError as error:
                log.warning("the page is not served", reason=error.message)

    def began(self, key: str) -> str | None:
        """The secret of a new session; None when the key is not good (any more)."""
        return self.sessions.begin(key)

    def told(self, secrets: list[str]) -> float | None:
        """When the session that one of `secrets` carries ends, in seconds since the epoch."""
        ends = [until for secret in secrets if (until := self.sessions.valid_until(secret))]
        return max(ends, default=None)

    def left(self, until: float) -> int:
        """The seconds until then."""
        return max(0, int(until - time.time()))

    def _read_port(self) -> int:
        try:
            with open(self._remembered, encoding="ascii") as stream:
                port = int(stream.read(10))
        except (OSError, ValueError):
            return 0
        return port if 1024 <= port <= 65535 else 0

    def _write_port(self, port: int) -> None:
        if port == self._read_port():
            return
        try:
            with open(self._remembered, "w", encoding="ascii") as stream:
                stream.write(str(port))
        except OSError as error:
            log.warning("the port of the page cannot be remembered", error=str(error))

"""The routes that tell how the daemon is used, and have it forget the words that were asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from imgqd.api.replies import json_reply
from imgqd.api.service import Service
from imgqd.api.workers import Lanes
from imgqd.errors import UsageError

Route = tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]]
MOST_DAYS = 400


class Using:
    """A part of routes.Api."""

    def __init__(self, service: Service, lanes: Lanes) -> None:
        self._service = service
        self._lanes = lanes

    def table(self) -> list[Route]:
        """Method, path and handler."""
        return [
            ("GET", "/v1/stats", self.get_stats),
            ("DELETE", "/v1/stats/words", self.delete_words),
        ]

    async def get_stats(self, request: web.Request) -> web.Response:
        digits = request.query.get("days", "14")
        if not (digits.isascii() and digits.isdigit() and 1 <= int(digits[:9]) <= MOST_DAYS):
            raise UsageError(f"days must be a whole number from 1 to {MOST_DAYS}")
        return json_reply(await self._lanes.control.run(self._service.stats, int(digits)))

    async def delete_words(self, request: web.Request) -> web.Response:
        return json_reply({"forgotten": await self._lanes.control.run(self._service.forget_words)})

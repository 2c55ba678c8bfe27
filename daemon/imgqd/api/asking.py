"""The routes about questions: what looks the same, what was asked, what is saved under a name."""

from __future__ import annotations

from aiohttp import web

from imgqd.api.describing import Read, Route
from imgqd.api.replies import json_reply
from imgqd.api.service import Service
from imgqd.api.workers import Lanes
from imgqd.errors import UsageError

MOST = 1000


class Asking:
    """A part of routes.Api."""

    def __init__(self, service: Service, lanes: Lanes, read: Read) -> None:
        self._service = service
        self._lanes = lanes
        self._read = read

    def table(self) -> list[Route]:
        """Method, path and handler."""
        return [
            ("POST", "/v1/duplicates", self.post_duplicates),
            ("GET", "/v1/history", self.get_history),
            ("DELETE", "/v1/history", self.delete_history),
            ("GET", "/v1/saved", self.get_all_saved),
            ("GET", "/v1/saved/{name}", self.get_saved),
            ("PUT", "/v1/saved/{name}", self.put_saved),
            ("DELETE", "/v1/saved/{name}", self.delete_saved),
            ("GET", "/v1/completions", self.get_completions),
        ]

    async def post_duplicates(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, "DuplicatesRequest")
        return json_reply(await self._lanes.slow.run(self._service.duplicates, wanted))

    async def get_history(self, request: web.Request) -> web.Response:
        digits = request.query.get("top", "20")
        if not (digits.isascii() and digits.isdigit() and 1 <= int(digits[:9]) <= MOST):
            raise UsageError(f"top must be a whole number from 1 to {MOST}")
        return json_reply(await self._lanes.control.run(self._service.history, int(digits)))

    async def delete_history(self, request: web.Request) -> web.Response:
        return json_reply(await self._lanes.control.run(self._service.clear_history))

    async def get_all_saved(self, request: web.Request) -> web.Response:
        return json_reply(await self._lanes.control.run(self._service.saved, None))

    async def get_saved(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return json_reply(await self._lanes.control.run(self._service.saved, name))

    async def put_saved(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, "SaveRequest")
        name = request.match_info["name"]
        return json_reply(
            await self._lanes.control.run(self._service.save, name, wanted["arguments"])
        )

    async def delete_saved(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return json_reply(await self._lanes.control.run(self._service.forget, name))

    async def get_completions(self, request: web.Request) -> web.Response:
        return json_reply(await self._lanes.control.run(self._service.completions))

"""The routes for what is said of pictures: changing it, moving it elsewhere, counting by it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from imgqd.api.replies import json_reply
from imgqd.api.service import Service
from imgqd.api.workers import Lanes
from imgqd.errors import UsageError

_HASH = re.compile(r"(?:[0-9a-f]{2}){0,64}\Z", re.ASCII)
Route = tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]]
# Reads and checks the body of a request: what the named schema allows.
Read = Callable[[web.Request, str], Awaitable[Any]]


class Describing:
    """A part of routes.Api."""

    def __init__(self, service: Service, lanes: Lanes, read: Read) -> None:
        self._service = service
        self._lanes = lanes
        self._read = read

    def table(self) -> list[Route]:
        """Method, path and handler."""
        return [
            ("POST", "/v1/annotate", self.post_annotate),
            ("GET", "/v1/export", self.get_export),
            ("POST", "/v1/import", self.post_import),
        ]

    async def post_annotate(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, "AnnotateRequest")
        return json_reply(await self._lanes.control.run(self._service.annotate, wanted))

    async def get_export(self, request: web.Request) -> web.Response:
        after = request.query.get("after", "")
        if not _HASH.match(after):
            raise UsageError("after is the `next` of the page before, hexadecimal")
        return json_reply(await self._lanes.slow.run(self._service.export, bytes.fromhex(after)))

    async def post_import(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, "ImportRequest")
        records = wanted["records"]
        return json_reply(await self._lanes.slow.run(self._service.import_records, records))

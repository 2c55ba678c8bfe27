"""The routes that the page needs beside those of all others: getting in, the grid, originals, and
what only a person at this machine is given."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from imgqd.api.asked import is_remote, picture_id
from imgqd.api.auth import RefusedError, TcpGate
from imgqd.api.describing import Read, Route
from imgqd.api.guard import GuardedHandler
from imgqd.api.jsontext import parse_path
from imgqd.api.replies import error_reply, json_reply
from imgqd.api.service import Service
from imgqd.api.workers import Lanes
from imgqd.errors import UsageError
from imgqd.web.desktop import can_reveal
from imgqd.web.originals import ChangedError, Original
from imgqd.web.page import Listen, Page
from imgqd.web.peers import is_loopback
from imgqd.web.sessions import SESSION_S

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})\Z", re.ASCII)


class WebRoutes:
    """A part of routes.Api. `page` is None where there is none."""

    def __init__(
        self,
        service: Service,
        lanes: Lanes,
        read: Read,
        search: Read,
        room: Callable[[web.Request], AbstractContextManager[None]],
        page: Page | None,
        listen: Listen,
    ) -> None:
        """`search` reads a body that may hold examples, while `room` is held for it."""
        self._service = service
        self._lanes = lanes
        self._read = read
        self._search = search
        self._room = room
        self._page = page
        self._listen = listen

    def table(self) -> list[Route]:
        """Method, path and handler."""
        return [
            ("POST", "/v1/web", self.post_web),
            ("POST", "/v1/session", self.post_session),
            ("GET", "/v1/session", self.get_session),
            ("DELETE", "/v1/session", self.delete_session),
            ("POST", "/v1/grid", self.post_grid),
            ("POST", "/v1/pictures", self.post_pictures),
            ("GET", "/v1/pictures/{id}/original", self.get_original),
            ("POST", "/v1/pictures/{id}/reveal", self.post_reveal),
            ("GET", "/v1/browse", self.get_browse),
        ]

    # -- getting in

    def _there(self) -> Page:
        if self._page is None:
            raise RefusedError("the page is switched off (setting web)", code="no-page")
        return self._page

    async def post_web(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, "WebRequest")
        return json_reply(await self._there().enter(wanted.get("address", ""), self._listen))

    async def post_session(self, request: web.Request) -> web.Response:
        page, gate = self._there(), _gate(request)
        wanted = await self._read(request, "SessionRequest")
        secret = page.began(wanted["key"])
        if secret is None:
            raise RefusedError(
                "this link was used already, or is older than a minute; make a new one: imgq --web",
                code="unauthorized",
                status=401,
            )
        response = web.Response(status=204)
        _set_cookie(response, gate.cookie, secret, SESSION_S)
        return response

    async def get_session(self, request: web.Request) -> web.Response:
        page, gate = self._there(), _gate(request)
        until = page.told(list(gate.secrets(request.headers)))
        ends = None if until is None else datetime.fromtimestamp(until, UTC)
        return json_reply(
            {
                "valid_until": None if ends is None else ends.isoformat(timespec="seconds"),
                "local": _is_local(request),
                "reveals": _is_local(request) and can_reveal(),
            }
        )

    async def delete_session(self, request: web.Request) -> web.Response:
        page, gate = self._there(), _gate(request)
        for secret in gate.secrets(request.headers):
            page.sessions.end(secret)
        response = web.Response(status=204)
        _set_cookie(response, gate.cookie, "", 0)
        return response

    # -- pictures

    async def post_grid(self, request: web.Request) -> web.Response:
        with self._room(request):
            wanted = await self._search(request, "GridRequest")
            lane = self._lanes.sync if wanted.get("sync") else self._lanes.search
            body = await lane.run(self._service.grid, wanted)
        return web.Response(
            body=body, content_type="application/json", headers={"Cache-Control": "no-store"}
        )

    async def post_pictures(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, "PicturesRequest")
        ids = list(dict.fromkeys(wanted["ids"]))
        return json_reply({"pictures": await self._lanes.control.run(self._service.pictures, ids)})

    async def get_original(self, request: web.Request) -> web.StreamResponse:
        number = picture_id(request)
        original = await self._lanes.pictures.run(self._service.original, number)
        try:
            return await self._send(request, original)
        finally:
            original.close()

    async def _send(self, request: web.Request, original: Original) -> web.StreamResponse:
        headers = {
            "Content-Disposition": original.disposition(download="download" in request.query),
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-cache",
            "ETag": original.tag,
        }
        if original.tag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        start, end = 0, original.size
        wanted = request.headers.get("Range")
        if wanted is not None and request.headers.get("If-Range", original.tag) == original.tag:
            part = _part(wanted, original.size)
            if part is None:
                response = error_reply(416, "no-such-range", f"the file has {original.size} bytes")
                response.headers["Content-Range"] = f"bytes */{original.size}"
                return response
            start, end = part
        status = 200 if (start, end) == (0, original.size) else 206
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{original.size}"
        reply = web.StreamResponse(status=status, headers=headers)
        reply.content_type = original.kind
        reply.content_length = end - start
        await reply.prepare(request)
        try:
            while start < end:
                data = await self._lanes.pictures.run(original.read, start, end - start)
                await reply.write(data)
                start += len(data)
        except (ChangedError, OSError):
            # Too late to say so: the answer ends short, which no client takes for the whole.
            if isinstance(request.protocol, GuardedHandler):
                request.protocol.drop()
            raise ConnectionError("the file changed while it was sent") from None
        await reply.write_eof()
        return reply

    # -- for a person at this machine

    async def post_reveal(self, request: web.Request) -> web.Response:
        number = picture_id(request)
        wanted = await self._read(request, "RevealRequest")
        _check_local(request)
        path = None
        if "path" in wanted or "path_b64" in wanted:
            path = parse_path(wanted, "path")
        await self._lanes.slow.run(self._service.reveal, number, path)
        return json_reply({"revealed": True})

    async def get_browse(self, request: web.Request) -> web.Response:
        _check_local(request)
        asked: Any = {name: request.query[name] for name in request.query}
        known = {"path", "path_b64"}
        if len(asked) > 1 or not known.issuperset(asked):
            raise UsageError("browse takes path or path_b64")
        path = parse_path(asked, "path") if asked else None
        return json_reply(await self._lanes.slow.run(self._service.browse, path))


def _gate(request: web.Request) -> TcpGate:
    connection = request.protocol
    if isinstance(connection, GuardedHandler) and isinstance(connection.gate, TcpGate):
        return connection.gate
    raise UsageError("sessions are for browsers, over TCP; the socket needs none")


def _set_cookie(response: web.Response, name: str, value: str, seconds: int) -> None:
    response.set_cookie(name, value, max_age=seconds, path="/v1/", httponly=True, samesite="Strict")


def _is_local(request: web.Request) -> bool:
    if not is_remote(request):
        return True
    transport = request.transport
    return transport is not None and is_loopback(transport.get_extra_info("socket"))


def _check_local(request: web.Request) -> None:
    if not _is_local(request):
        raise RefusedError("this is for a person at the daemon's own machine", code="not-local")


def _part(wanted: str, size: int) -> tuple[int, int] | None:
    """(start, end) of a Range header; all of it for what is not understood, None for no part."""
    found = _RANGE.match(wanted.strip())
    if found is None or found.groups() == ("", ""):
        return 0, size
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        return (size - length, size) if length else None
    start = int(first)
    end = min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return 0, size
    return (start, end) if start < size else None

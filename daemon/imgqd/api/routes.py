"""Every route of /v1/: reads and checks what is asked, calls the daemon, writes what it says.

Nothing is decided here but the form. Errors become `{"error": {"code", "message"}}` in one place,
the middleware; connections and listeners are server.py's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from aiohttp import web

from imgqd.api import openapi, schema
from imgqd.api.asked import is_remote
from imgqd.api.asked import picture_id as asked_picture_id
from imgqd.api.asked import side as asked_side
from imgqd.api.asking import Asking
from imgqd.api.auth import Knock, RefusedError
from imgqd.api.describing import Describing
from imgqd.api.events import encode
from imgqd.api.guard import SAFE_HEADERS, BodyReader, GuardedHandler, Limits
from imgqd.api.jsontext import parse_path, read_json
from imgqd.api.replies import error_reply as _error
from imgqd.api.replies import json_reply as _json
from imgqd.api.schemas import COMPONENTS
from imgqd.api.service import Service, Subscription
from imgqd.api.using import Using
from imgqd.api.workers import Lanes
from imgqd.errors import ImgqError, UsageError
from imgqd.metrics import CONTENT_TYPE, Metrics
from imgqd.records import Problem
from imgqd.web.page import Listen, Page
from imgqd.web.routes import WebRoutes

log = structlog.get_logger("api")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SEARCH_BODY = 100_000_000
OTHER_BODY = 8_000_000
# Below this a body is parsed on the event loop: that is quicker than changing threads.
PARSE_INLINE = 65_536
HEARTBEAT_S = 15.0
FORMATS = ("webp", "png", "jpeg")
# For these a client may simply wait and ask again.
SOON_OVER = frozenset({"busy", "model-not-ready", "starting"})

API_HEADERS = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}


@dataclass
class Api:
    """What the handlers share."""

    service: Service
    metrics: Metrics | None
    limits: Limits
    fetch_urls: bool = False
    page: Page | None = None
    # How the page's own listener is opened; server.py's.
    listen: Listen | None = None
    lanes: Lanes = field(default_factory=Lanes)
    subscriptions: set[Subscription] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.bodies = BodyReader(self.limits)

    def application(self) -> web.Application:
        """The routes and the middleware, ready for a runner."""
        app = web.Application(middlewares=[self.middleware], client_max_size=SEARCH_BODY)
        for method, path, handler in self.table():
            app.router.add_route(method, path, handler)
        app.on_response_prepare.append(_set_headers)
        return app

    def table(self) -> list[tuple[str, str, Handler]]:
        """Method, path and handler; openapi.PATHS describes exactly these."""
        return [
            ("GET", "/v1/openapi.json", self.get_openapi),
            ("POST", "/v1/search", self.post_search),
            ("POST", "/v1/facets", self.post_facets),
            ("GET", "/v1/status", self.get_status),
            ("GET", "/v1/folders", self.get_folders),
            ("POST", "/v1/folders", self.post_folders),
            ("DELETE", "/v1/folders", self.delete_folders),
            ("POST", "/v1/relocate", self.post_relocate),
            ("POST", "/v1/sync", self.post_sync),
            ("POST", "/v1/pause", self.post_pause),
            ("POST", "/v1/resume", self.post_resume),
            ("GET", "/v1/problems", self.get_problems),
            ("POST", "/v1/retry", self.post_retry),
            ("GET", "/v1/pictures/{id}", self.get_picture),
            ("GET", "/v1/pictures/{id}/thumbnail", self.get_thumbnail),
            ("GET", "/v1/model", self.get_model),
            ("PUT", "/v1/model", self.put_model),
            ("POST", "/v1/verify", self.post_verify),
            ("GET", "/v1/config", self.get_config),
            ("GET", "/v1/events", self.get_events),
            ("GET", "/v1/metrics", self.get_metrics),
            ("POST", "/v1/stop", self.post_stop),
            *Describing(self.service, self.lanes, self._request).table(),
            *Asking(self.service, self.lanes, self._request).table(),
            *Using(self.service, self.lanes).table(),
            *WebRoutes(
                self.service,
                self.lanes,
                self._request,
                self._query,
                self._room,
                self.page,
                self._listen,
            ).table(),
        ]

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The door, the clock and the form of errors."""
        connection = request.protocol
        assert isinstance(connection, GuardedHandler)
        connection.request_started()
        try:
            if not request.raw_path.startswith("/"):
                raise UsageError("send the path only, not a whole URL")
            _check(request)
            return await handler(request)
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            response = _error(405, "method-not-allowed", f"{request.path} allows {allowed} only")
            response.headers["Allow"] = allowed
            return response
        except web.HTTPNotFound:
            if self.page is not None and connection.gate.remote:
                reply = self.page.pages.reply(request)
                if reply is not None:
                    return reply
            return _error(
                404, "not-found", "there is nothing here; GET /v1/openapi.json lists it all"
            )
        except web.HTTPException as error:
            return _error(error.status, "bad-request", error.reason)
        except ImgqError as error:
            size = request.content_length or 0
            await asyncio.sleep(self.bodies.delay(error, read=connection.body_size, sent=size))
            response = _error(error.status, error.code, error.message)
            if isinstance(error, RefusedError):
                response.headers.update(error.headers)
                # What follows on this connection would be the body: it is not even read.
                response.force_close()
            if error.code in SOON_OVER:
                response.headers["Retry-After"] = "1"
            return response
        except ConnectionError:
            raise
        except Exception as error:
            log.exception("a request failed", method=request.method, path=request.path)
            return _error(
                500,
                "failed",
                f"the daemon failed on this request ({type(error).__name__}); its log says more",
            )
        finally:
            connection.request_ended()

    async def get_openapi(self, request: web.Request) -> web.Response:
        return _json(openapi.document())

    async def post_facets(self, request: web.Request) -> web.Response:
        with self._room(request):
            query = await self._query(request, "FacetsRequest")
            return _json(await self.lanes.search.run(self.service.facets, query))

    async def post_search(self, request: web.Request) -> web.Response:
        with self._room(request):
            query = await self._query(request)
            lane = self.lanes.sync if query.get("sync") else self.lanes.search
            start = time.perf_counter()
            try:
                answer = await lane.run(self.service.search, query)
            except ImgqError as error:
                if self.metrics is not None:
                    self.metrics.query_failed(error.code)
                raise
            if self.metrics is not None:
                self.metrics.query(time.perf_counter() - start)
            return _json(answer)

    async def get_status(self, request: web.Request) -> web.Response:
        return _json(await self.lanes.control.run(self.service.status))

    async def get_folders(self, request: web.Request) -> web.Response:
        return _json({"folders": await self.lanes.control.run(self.service.folders)})

    async def post_folders(self, request: web.Request) -> web.Response:
        wanted = await self._request(request, "FoldersRequest")
        paths = _paths(wanted["paths"])
        folders = await self.lanes.slow.run(
            self.service.add_folders, paths, wanted.get("exclude", [])
        )
        return _json({"folders": folders})

    async def delete_folders(self, request: web.Request) -> web.Response:
        wanted = await self._request(request, "PathsRequest")
        folders = await self.lanes.slow.run(self.service.remove_folders, _paths(wanted["paths"]))
        return _json({"folders": folders})

    async def post_relocate(self, request: web.Request) -> web.Response:
        wanted = await self._request(request, "RelocateRequest")
        old, new = parse_path(wanted["old"], "old"), parse_path(wanted["new"], "new")
        return _json(await self.lanes.slow.run(self.service.relocate, old, new))

    async def post_sync(self, request: web.Request) -> web.Response:
        wanted = await self._request(request, "SyncRequest")
        result = await self.lanes.sync.run(self.service.sync, wanted.get("timeout_s"))
        return _json(
            {
                "in_sync": result.in_sync,
                "offline": result.offline,
                "pending": result.pending,
                "paused": result.paused,
            }
        )

    async def post_pause(self, request: web.Request) -> web.Response:
        await self._request(request, "EmptyRequest")
        return _json(await self.lanes.control.run(self.service.pause))

    async def post_resume(self, request: web.Request) -> web.Response:
        await self._request(request, "EmptyRequest")
        return _json(await self.lanes.control.run(self.service.resume))

    async def get_problems(self, request: web.Request) -> web.Response:
        problems = await self.lanes.control.run(self.service.problems)
        return _json({"problems": [_problem(problem) for problem in problems]})

    async def post_retry(self, request: web.Request) -> web.Response:
        wanted = await self._request(request, "RetryRequest")
        paths = _paths(wanted.get("paths", [])) or None
        return _json({"retried": await self.lanes.control.run(self.service.retry, paths)})

    async def get_picture(self, request: web.Request) -> web.Response:
        picture_id = asked_picture_id(request)
        return _json(await self.lanes.control.run(self.service.picture, picture_id))

    async def get_thumbnail(self, request: web.Request) -> web.Response:
        picture_id, side = asked_picture_id(request), asked_side(request)
        form = request.query.get("format", "webp")
        if form not in FORMATS:
            raise UsageError(f"format must be one of {', '.join(FORMATS)}")
        data, tag = await self.lanes.pictures.run(self.service.thumbnail, picture_id, side, form)
        # With `v` the caller says which library it means: in one, an id shows the same for ever.
        kept = "max-age=86400, immutable" if request.query.get("v") else "no-cache"
        headers = {"ETag": tag, "Cache-Control": f"private, {kept}"}
        if tag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        return web.Response(body=data, content_type=f"image/{form}", headers=headers)

    async def get_model(self, request: web.Request) -> web.Response:
        return _json(await self.lanes.control.run(self.service.model))

    async def put_model(self, request: web.Request) -> web.Response:
        wanted = await self._request(request, "ModelRequest")
        change = self.service.set_model
        return _json(await self.lanes.slow.run(change, wanted["spec"], wanted.get("now", False)))

    async def post_verify(self, request: web.Request) -> web.Response:
        wanted = await self._request(request, "VerifyRequest")
        return _json(await self.lanes.slow.run(self.service.verify, wanted.get("repair", False)))

    async def get_config(self, request: web.Request) -> web.Response:
        return _json({"settings": await self.lanes.control.run(self.service.config)})

    async def get_metrics(self, request: web.Request) -> web.Response:
        text = await self.lanes.control.run(self.service.metrics)
        return web.Response(
            body=text.encode(), headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"}
        )

    async def get_events(self, request: web.Request) -> web.StreamResponse:
        subscription = self.service.subscribe()
        self.subscriptions.add(subscription)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        response.force_close()
        try:
            await response.prepare(request)
            await response.write(b"retry: 2000\n\n")
            events = aiter(subscription)
            waiting = asyncio.ensure_future(anext(events))
            try:
                while True:
                    done, _ = await asyncio.wait({waiting}, timeout=HEARTBEAT_S)
                    # Whoever was let in for a session or a token is not, once that has ended.
                    _check(request)
                    if not done:
                        await response.write(b": still here\n\n")
                        continue
                    await response.write(encode(waiting.result()))
                    waiting = asyncio.ensure_future(anext(events))
            except (StopAsyncIteration, RefusedError):
                await response.write_eof()
            finally:
                waiting.cancel()
        finally:
            self.subscriptions.discard(subscription)
            subscription.close()
        return response

    async def post_stop(self, request: web.Request) -> web.Response:
        await self._request(request, "EmptyRequest")
        self.service.stop()
        response = _json({"stopping": True})
        response.force_close()
        return response

    async def _listen(self, port: int) -> str:
        assert self.listen is not None
        return await self.listen(port)

    def _room(self, request: web.Request) -> AbstractContextManager[None]:
        """Holds a body that may hold examples, for as long as it is needed."""
        return self.bodies.room(self.bodies.expected(request, SEARCH_BODY))

    async def _query(self, request: web.Request, name: str = "SearchRequest") -> Any:
        query = await self._request(request, name, SEARCH_BODY)
        if (
            is_remote(request)
            and not self.fetch_urls
            and any("url" in term for term in query.get("terms", ()))
        ):
            raise RefusedError(
                "over TCP the daemon fetches no URLs (setting http_fetch_urls); send the picture "
                "itself as `image`",
                code="url-not-allowed",
            )
        return query

    async def _request(self, request: web.Request, name: str, limit: int = OTHER_BODY) -> Any:
        """The checked body: what `name` in schemas.REQUESTS allows. Raises UsageError."""
        kind = request.headers.get("Content-Type", "application/json").partition(";")[0].strip()
        if is_remote(request) and kind.lower() != "application/json":
            raise UsageError("send the body as application/json", code="not-json")
        self.bodies.expected(request, limit)
        body = await self.bodies.read(request, limit)
        assert isinstance(request.protocol, GuardedHandler)
        request.protocol.body_size = len(body)
        if len(body) <= PARSE_INLINE:
            return _parse(body, name)
        return await self.lanes.parsing.run(_parse, body, name)


def _parse(body: bytearray, name: str) -> Any:
    value = read_json(body)
    schema.check(value, COMPONENTS[name], COMPONENTS)
    return value


def _paths(items: list[str | dict[str, str]]) -> list[bytes]:
    return [parse_path(item, f"paths[{index}]") for index, item in enumerate(items)]


def _problem(problem: Problem) -> dict[str, Any]:
    since = datetime.fromtimestamp(problem.since).astimezone()
    return {
        "path": problem.path,
        "reason": problem.reason,
        "detail": problem.detail,
        "attempts": problem.attempts,
        "since": since.isoformat(timespec="seconds"),
    }


def _route(request: web.Request) -> str:
    """The route with its placeholders; the path where there is none."""
    resource = request.match_info.route.resource
    return request.path if resource is None else resource.canonical


async def _set_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in SAFE_HEADERS.items():
        response.headers[name] = value
    if request.path.startswith("/v1/"):
        for name, value in API_HEADERS.items():
            response.headers.setdefault(name, value)


def _check(request: web.Request) -> None:
    """Raises RefusedError where the door is closed to whoever asks."""
    connection, transport = request.protocol, request.transport
    assert isinstance(connection, GuardedHandler)
    peer = transport.get_extra_info("socket") if transport is not None else None
    headers, memory = request.headers, connection.memory
    connection.gate.check(Knock(headers, peer, request.method, _route(request), memory))

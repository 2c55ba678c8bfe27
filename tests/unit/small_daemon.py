"""A small daemon for tests of the API: the whole Service, kept in memory, behind real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from imgq.locations import Locations, locate, make_private
from imgqd import settings
from imgqd.api.events import EventHub, QueueSubscription
from imgqd.api.guard import Limits
from imgqd.api.server import ApiServer
from imgqd.api.service import SyncResult, cancelled
from imgqd.errors import NotFoundError, UsageError
from imgqd.library.identity import signature_of
from imgqd.metrics import Metrics
from imgqd.records import Problem
from imgqd.web.desktop import browse
from imgqd.web.originals import Original

NOT_UTF8 = b"/photos/caf\xe9.jpg"


class SmallDaemon:
    """Two pictures, one of them under a name that is not UTF-8, and whatever a test changes."""

    def __init__(self) -> None:
        self.hub = EventHub()
        self.metrics_room = Metrics()
        self.watched: dict[bytes, list[str]] = {}
        self.trouble = [Problem(NOT_UTF8, "corrupt", "cut off", 1, 1_700_000_000.0)]
        self.requests: list[dict[str, Any]] = []
        self.kept: dict[str, list[str]] = {}
        self.spec = "auto"
        self.in_sync = threading.Event()
        self.stopped = threading.Event()
        self.saw_cancellation = threading.Event()
        self.syncing = 0
        self.paused = False
        self.progress: dict[str, Any] = {"done": 0, "total": 0, "stage": "", "detail": ""}
        self.hold_searches: threading.Event | None = None

    def status(self) -> dict[str, Any]:
        return {
            "version": "0.1.0",
            "pid": os.getpid(),
            "uptime_s": 1.5,
            "state": "idle",
            "model": self.model(),
            "pictures": 2,
            "files": 3,
            "pending": 0,
            "problems": len(self.trouble),
            "generation": 7,
            "folders": self.folders(),
            "index": {"kind": "exact", "vectors": 2, "rebuilding": False},
            "queries": self.metrics_room.queries(),
            "memory_bytes": 90_000_000,
            "paused": self.paused,
            "paused_by": "request" if self.paused else None,
            "library_id": "abc",
            "home": "/home/me",
            "progress": self.progress,
        }

    def folders(self) -> list[dict[str, Any]]:
        return [
            {"path": path, "state": "watching", "files": 0, "exclude": exclude}
            for path, exclude in self.watched.items()
        ]

    def add_folders(self, paths: Sequence[bytes], exclude: Sequence[str]) -> list[dict[str, Any]]:
        for path in paths:
            if not os.path.isdir(path):
                raise UsageError(f"{path.decode('utf-8', 'replace')} is not a folder; check it")
        self.watched.update((path, list(exclude)) for path in paths)
        self.hub.publish("folder", {"path": paths[0], "state": "watching"})
        return self.folders()

    def remove_folders(self, paths: Sequence[bytes]) -> list[dict[str, Any]]:
        for path in paths:
            if self.watched.pop(path, None) is None:
                raise NotFoundError("that folder is not watched; `imgqd folders` lists them")
        return self.folders()

    def sync(self, timeout_s: float | None) -> SyncResult:
        self.syncing += 1
        deadline = time.monotonic() + (60.0 if timeout_s is None else timeout_s)
        while time.monotonic() < deadline:
            if self.in_sync.wait(0.01):
                return SyncResult(True, [], 0)
            if cancelled():
                self.saw_cancellation.set()
                break
        return SyncResult(False, [NOT_UTF8], 3)

    def search(self, request: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(request)
        if self.hold_searches is not None:
            self.hold_searches.wait(30)
        if not (request.get("terms") or request.get("q")):
            raise UsageError("there is nothing to look for; give at least one term")
        results = [{"rank": rank, "score": 0.5, **self.picture(rank)} for rank in (1, 2)]
        return {
            "query": {"terms": len(request.get("terms", ()))},
            "model": "builtin",
            "took_ms": 1.0,
            "generation": 7,
            "indexing": False,
            "results": results[: request.get("top", 10)],
        }

    def pause(self) -> dict[str, Any]:
        self.paused = True
        return {"paused": True, "paused_by": "request"}

    def resume(self) -> dict[str, Any]:
        self.paused = False
        return {"paused": False, "paused_by": None}

    def relocate(self, old: bytes, new: bytes) -> dict[str, Any]:
        if old not in self.watched:
            raise NotFoundError(f"nothing is known of {os.fsdecode(old)}")
        self.watched[new] = self.watched.pop(old)
        return {"files": 1, "folders": 1}

    def problems(self) -> list[Problem]:
        return list(self.trouble)

    def retry(self, paths: Sequence[bytes] | None) -> int:
        chosen = [p for p in self.trouble if paths is None or p.path in paths]
        self.trouble = [p for p in self.trouble if p not in chosen]
        return len(chosen)

    def picture(self, picture_id: int) -> dict[str, Any]:
        if picture_id not in (1, 2):
            raise NotFoundError(f"there is no picture {picture_id}")
        return {
            "id": picture_id,
            "path": NOT_UTF8 if picture_id == 1 else b"/photos/b.jpg",
            "copies": [b"/photos/copy.jpg", NOT_UTF8],
            "width": 10,
            "height": 20,
            "format": "jpeg",
            "bytes": 100,
            "taken": None,
            "modified": "2024-01-01T00:00:00+00:00",
            "camera": None,
            "gps": None,
            "tags": [],
        }

    def duplicates(self, request: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(request)
        file = {
            "id": 1,
            "path": b"/photos/caf\xe9.jpg",
            "bytes": 100,
            "width": 10,
            "height": 20,
            "modified": "2024-01-01T00:00:00+00:00",
        }
        group = {
            "kind": "exact",
            "similarity": 1.0,
            "files": [file, {**file, "path": b"/photos/\x1b[2Jcopy.jpg"}],
        }
        groups = [] if request.get("in") == ["/nothing"] else [group]
        return {"threshold": 0.95, "model": "test", "groups": groups}

    def history(self, top: int) -> dict[str, Any]:
        asked = {"asked": "2024-01-01T00:00:00+00:00", "typed": "cat \x1b[2J", "results": 2}
        return {"kept": True, "questions": [asked][:top]}

    def clear_history(self) -> dict[str, Any]:
        return {"forgotten": 1}

    def saved(self, name: str | None) -> dict[str, Any]:
        if name is not None and name not in self.kept:
            raise NotFoundError(f"nothing is saved as {name!r}")
        return {
            "saved": [
                {"name": key, "arguments": value, "saved": "2024-01-01T00:00:00+00:00"}
                for key, value in self.kept.items()
                if name in (None, key)
            ]
        }

    def save(self, name: str, arguments: Sequence[str]) -> dict[str, Any]:
        self.kept[name] = list(arguments)
        return self.saved(name)

    def forget(self, name: str) -> dict[str, Any]:
        self.saved(name)
        del self.kept[name]
        return {"forgotten": 1}

    def completions(self) -> dict[str, Any]:
        return {"tags": ["holiday"], "saved": list(self.kept)}

    def annotate(self, request: dict[str, Any]) -> dict[str, Any]:
        for picture_id in request["ids"]:
            self.picture(picture_id)
        self.requests.append(request)
        return {"changed": len(request["ids"]), "generation": 8}

    def facets(self, request: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(request)
        names = ("year", "month", "folder", "format", "camera", "category", "tag")
        counts: dict[str, Any] = {name: [] for name in names}
        counts["year"] = [{"value": "2024", "count": 2}]
        counts["folder"] = [{"value": NOT_UTF8, "count": 1}, {"value": b"/photos", "count": 1}]
        counts["tag"] = [{"value": "\x1b[31mred", "count": 1}]
        return {"query": {}, "total": 2, "facets": counts, "took_ms": 1.0, "generation": 7}

    def export(self, after: bytes) -> dict[str, Any]:
        if after:
            return {"records": [], "next": None}
        record = {"content_hash": "0a" * 20, "tags": ["a"], "path": NOT_UTF8}
        return {"records": [record], "next": "0a" * 20}

    def import_records(self, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {"here": len(records), "kept": 0}

    def thumbnail(self, picture_id: int, side: int, format: str = "webp") -> tuple[bytes, str]:
        self.picture(picture_id)
        return f"{format} {picture_id} {side}".encode(), f'"{picture_id}-{side}-{format}"'

    def grid(self, request: dict[str, Any]) -> bytes:
        self.requests.append(request)
        grid = {
            "total": 2,
            "ids": [1, 2],
            "ratios": [0.5, 0.5],
            "scores": None,
            "relevances": None,
            "placeholders": "iIiI",
            "stacks": {"1": 1},
            "shots": {},
            "alike": {"1": [3]},
            "generation": 7,
            "version": "abc",
            "took_ms": 1.0,
            "query": {},
        }
        return json.dumps(grid).encode()

    def pictures(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        return [self.picture(number) for number in ids if number in (1, 2)]

    def original(self, picture_id: int) -> Original:
        self.picture(picture_id)
        handle, path = tempfile.mkstemp()
        os.write(handle, b"\xff\xd8\xff" + bytes(range(256)))
        os.close(handle)
        stream = open(path, "rb", buffering=0)  # noqa: SIM115
        os.unlink(path)
        signature = signature_of(os.fstat(stream.fileno()))
        return Original(stream, signature, b'caf\xe9 "\r\n<b>.jpg', "jpeg", '"tag"')

    def reveal(self, picture_id: int, path: bytes | None) -> None:
        self.picture(picture_id)
        if path not in (None, NOT_UTF8):
            raise NotFoundError(f"picture {picture_id} has no file of that path")

    def browse(self, path: bytes | None) -> dict[str, Any]:
        return browse(path, self.watched)

    def model(self) -> dict[str, Any]:
        return {
            "spec": self.spec,
            "id": "builtin",
            "dim": 512,
            "runtime": "onnx",
            "device": "cpu",
            "fallback": None,
        }

    def set_model(self, spec: str, now: bool) -> dict[str, Any]:
        self.spec = spec
        return self.model()

    def verify(self, repair: bool) -> dict[str, Any]:
        differences = [{"kind": "missing", "detail": "gone", "path": NOT_UTF8}]
        return {"ok": False, "differences": differences}

    def config(self) -> list[dict[str, Any]]:
        return [
            {
                "name": setting.name,
                "value": setting.default,
                "default": setting.default,
                "source": "default",
                "help": setting.help,
            }
            for setting in settings.TABLE
        ]

    def metrics(self) -> str:
        reasons: dict[str, int] = {}
        for problem in self.trouble:
            reasons[problem.reason] = reasons.get(problem.reason, 0) + 1
        return self.metrics_room.render(self.status(), reasons)

    def stats(self, days: int) -> dict[str, Any]:
        day = {"day": "2024-06-30", "searches": 3, "p50_ms": 20.0, "p95_ms": 50.0}
        return {
            **{key: day[key] for key in ("searches", "p50_ms", "p95_ms")},
            "since": "2024-06-30",
            "days": [day][:days],
            "words": [{"word": "\x1b[31mbeach", "searches": 2}],
            "words_kept": True,
        }

    def forget_words(self) -> int:
        return 1

    def subscribe(self) -> QueueSubscription:
        return self.hub.subscribe()

    def stop(self) -> None:
        self.stopped.set()


class Running:
    """A SmallDaemon that listens; `ask` and `connect` talk to it."""

    def __init__(self, daemon: SmallDaemon, locations: Locations, server: ApiServer) -> None:
        self.daemon = daemon
        self.locations = locations
        self.server = server

    @property
    def port(self) -> int:
        assert self.server.http is not None
        return int(self.server.http.rpartition(":")[2])

    @property
    def token(self) -> str:
        with open(self.locations.token) as stream:
            return stream.read().strip()

    def connect(self, *, tcp: bool = False) -> socket.socket:
        if tcp:
            return socket.create_connection(("127.0.0.1", self.port), 30)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(30)
        connection.connect(self.locations.socket)
        return connection

    def ask(
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        headers: dict[str, str] | None = None,
        tcp: bool = False,
    ) -> Reply:
        """`body` is bytes as they stand, or anything else as JSON."""
        channel = http.client.HTTPConnection("127.0.0.1", self.port if tcp else 80)
        channel.sock = self.connect(tcp=tcp)
        sent = dict(headers or {})
        data = body if isinstance(body, bytes) else None
        if body is not None and data is None:
            data = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        with contextlib.closing(channel):
            channel.request(method, target, data, sent)
            response = channel.getresponse()
            return Reply(response.status, response.headers, response.read())


class Reply:
    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        code: str = self.json["error"]["code"]
        return code


@contextlib.contextmanager
def running(
    home: str,
    *,
    tcp: bool = False,
    limits: Limits | None = None,
    daemon: SmallDaemon | None = None,
    inherited: Sequence[socket.socket] = (),
    **options: Any,
) -> Iterator[Running]:
    """Serves a SmallDaemon with its home in `home`, on an event loop in a thread of its own."""
    daemon = daemon or SmallDaemon()
    locations = locate({"IMGQ_HOME": home, "HOME": home})
    make_private(locations.data)
    server = ApiServer(
        daemon,
        locations,
        http_port=free_port() if tcp else 0,
        metrics=daemon.metrics_room,
        limits=limits,
        inherited=inherited,
        **options,
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(30)
        try:
            yield Running(daemon, locations, server)
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

"""A small real HTTP server that speaks the daemon's API over a Unix socket or loopback TCP.

It answers from a fixed list of results and remembers every request; a test changes what a route
answers by putting a function into `routes`.
"""

from __future__ import annotations

import http.server
import json
import os
import socket
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


@dataclass
class Said:
    """One answer. `chunked` sends the body in chunks of a few bytes."""

    body: Any
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    chunked: bool = False

    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


Route = Callable[[Asked], Said]


def result(rank: int, path: str, score: float, **more: Any) -> dict[str, Any]:
    """A result with every key of the interface."""
    return {
        "rank": rank, "id": rank + 100, "score": score, "path": path, "copies": [],
        "width": 640, "height": 480, "format": "jpeg", "bytes": 12345, "taken": None,
        "modified": "2024-06-01T12:00:00+00:00", "camera": None, "gps": None, "tags": [], **more,
    }  # fmt: skip


def answer(results: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """The object of --json."""
    return {
        "query": {}, "model": "model-1", "took_ms": 3.2, "generation": 7, "indexing": False,
        "results": results, **more,
    }  # fmt: skip


def refusal(status: int, code: str, message: str, **headers: str) -> Said:
    """An error of the API."""
    return Said(
        {"error": {"code": code, "message": message}},
        status,
        tuple((name.replace("_", "-"), value) for name, value in headers.items()),
    )


STATUS = {
    "version": "0.1.0", "pid": 1, "uptime_s": 5, "state": "idle",
    "model": {"spec": "auto", "id": "model-1", "dim": 512, "runtime": "onnx", "device": "cpu",
              "fallback": None},
    "pictures": 2, "files": 2, "pending": 0, "problems": 0, "generation": 7,
    "folders": [{"path": "/photos", "state": "watching", "files": 2}],
    "index": {"kind": "exact", "vectors": 2, "rebuilding": False},
    "queries": {"count": 0, "p50_ms": 0, "p95_ms": 0}, "memory_bytes": 1,
    "progress": {"done": 0, "total": 0, "stage": "", "detail": ""},
}  # fmt: skip

RESULTS = [
    result(1, "/photos/2023/beach.jpg", 0.31271),
    result(2, "/photos/2021/cliffs at dusk.jpg", 0.28744),
]


class StandIn:
    """`with StandIn(path)`: answers until the block ends. `port` is set for TCP."""

    def __init__(self, path: str | None = None, *, token: str | None = None) -> None:
        self.path = path
        self.token = token
        # Whether another request may follow on a connection.
        self.stays_open = False
        self.asked: list[Asked] = []
        self.status: dict[str, Any] = json.loads(json.dumps(STATUS))
        self.results = list(RESULTS)
        self.routes: dict[tuple[str, str], Route] = {
            ("POST", "/v1/search"): self._search,
            ("GET", "/v1/status"): lambda asked: Said(self.status),
            ("GET", "/v1/folders"): lambda asked: Said({"folders": self.status["folders"]}),
            ("POST", "/v1/folders"): lambda asked: Said({"folders": self.status["folders"]}),
            ("POST", "/v1/sync"): lambda asked: Said(
                {"in_sync": True, "offline": [], "pending": 0, "paused": False}
            ),
        }
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                outer._handle(self)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any

            def address_string(self) -> str:
                return "client"

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
            address_family = socket.AF_UNIX if path else socket.AF_INET
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that went away in the middle

        self._server = Server(path or ("127.0.0.1", 0), Handler)  # type: ignore[arg-type]
        self.port = 0 if path else self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> StandIn:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)

    def bodies(self, path: str) -> list[Any]:
        """What was sent to a route, in order."""
        return [asked.body for asked in self.asked if asked.path == path]

    def _search(self, asked: Asked) -> Said:
        return Said(answer(self.results[: asked.body["top"]]))

    def _handle(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        raw = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        asked = Asked(
            handler.command,
            parts.path,
            parse_qs(parts.query),
            {name.lower(): value for name, value in handler.headers.items()},
            json.loads(raw) if raw else None,
        )
        self.asked.append(asked)
        if self.token and asked.headers.get("authorization") != f"Bearer {self.token}":
            said = refusal(401, "unauthorized", "the token is missing or wrong")
        elif route := self.routes.get((asked.method, asked.path)):
            said = route(asked)
        else:
            said = refusal(404, "not-found", f"there is no {asked.path}")
        self._say(handler, said)

    def _say(self, handler: http.server.BaseHTTPRequestHandler, said: Said) -> None:
        data = said.data()
        handler.send_response(said.status)
        for name, value in said.headers:
            handler.send_header(name, value)
        if said.chunked:
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            for at in range(0, len(data), 7):
                piece = data[at : at + 7]
                handler.wfile.write(f"{len(piece):x};ext=1\r\n".encode() + piece + b"\r\n")
            handler.wfile.write(b"0\r\nTrailer: x\r\n\r\n")
        else:
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)
        handler.close_connection = not self.stays_open

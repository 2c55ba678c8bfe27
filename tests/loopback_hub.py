"""A model hub on loopback: the part of the hub's protocol that a download uses, and its failures.

HEAD and GET of `/ORG/NAME/resolve/REVISION/FILE`, with the hub's headers (commit, ETag, size) and
byte ranges. Set HF_ENDPOINT to `url`.
"""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class LoopbackHub:
    """Serves `files`: {"org/name/file": bytes}. `requests` counts (method, file)."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.requests: Counter[tuple[str, str]] = Counter()
        self.status: int | None = None
        """Answer everything with this status."""
        self.reset = False
        """Reset every connection instead of answering."""
        self.silent = False
        """Accept connections and never answer."""
        self.cut_after: int | None = None
        """Close the connection after that many bytes of a body."""
        self.corrupt = False
        """Send other bytes than the ETag vouches for."""
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> LoopbackHub:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _handler(hub) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                self.answer(body=True)

            def answer(self, body: bool) -> None:
                repository, _, rest = self.path.lstrip("/").partition("/resolve/")
                name = f"{repository}/{rest.partition('/')[2]}"
                hub.requests[(self.command, name)] += 1
                if hub.silent:
                    hub._released.wait()
                    return
                if hub.reset:
                    linger = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.connection.close()
                    self.close_connection = True
                    return
                content = hub.files.get(name)
                status = hub.status or (200 if content is not None else 404)
                if status != 200 or content is None:
                    self.send_response(status)
                    if status == 404:
                        self.send_header("X-Error-Code", "EntryNotFound")
                        self.send_header("X-Repo-Commit", COMMIT)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                start = 0
                if "Range" in self.headers:
                    start = int(self.headers["Range"].removeprefix("bytes=").partition("-")[0])
                self.send_response(206 if start else 200)
                if start:
                    last = len(content) - 1
                    self.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
                self.send_header("Content-Length", str(len(content) - start))
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                self.send_header("X-Repo-Commit", COMMIT)
                self.end_headers()
                if not body:
                    return
                if hub.corrupt:
                    content = bytes(len(content))
                if hub.cut_after is not None:
                    self.wfile.write(content[start : hub.cut_after])
                    self.close_connection = True
                    return
                self.wfile.write(content[start:])

            def log_message(self, *_: object) -> None:
                pass

        return Handler

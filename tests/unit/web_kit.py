"""A browser for tests of the page: asks over loopback TCP as one would, with cookies and Origin."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from imgq.connection import Address, request
from tests.unit.small_daemon import Reply


def link(socket_path: str, address: str = "") -> str:
    """A link as `imgq --web` gets it."""
    body = json.dumps({"address": address}).encode()
    reply = request(Address(path=socket_path), "POST", "/v1/web", body)
    answer = json.loads(reply.read())
    assert reply.status == 200, answer
    url: str = answer["url"]
    return url


class Browser:
    """One browser with its cookies, pointed at the daemon that a link leads to."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname == "127.0.0.1" and parts.port is not None
        self.port = parts.port
        self.key = parts.fragment.removeprefix("key=")
        self.cookies: dict[str, str] = {}

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        headers: dict[str, str | None] | None = None,
        connection: socket.socket | None = None,
    ) -> Reply:
        """What a script of the page would send; `headers` change that, None leaves one out."""
        sent: dict[str, str | None] = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
        if method not in ("GET", "HEAD"):
            sent["Origin"] = self.origin
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        data = body if isinstance(body, bytes) else None
        if body is not None and data is None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        channel = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        channel.sock = connection or socket.create_connection(("127.0.0.1", self.port), 30)
        with contextlib.closing(channel):
            channel.request(method, target, data, {k: v for k, v in sent.items() if v is not None})
            response = channel.getresponse()
            reply = Reply(response.status, response.headers, response.read())
        for line in response.headers.get_all("Set-Cookie") or ():
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return reply

    def enter(self) -> Browser:
        """Turns the link's key into a session, as the page does."""
        reply = self.ask("POST", "/v1/session", {"key": self.key})
        assert (reply.status, reply.body) == (204, b"")
        return self

    def grid(self, **asked: Any) -> dict[str, Any]:
        """POST /v1/grid."""
        reply = self.ask("POST", "/v1/grid", asked)
        assert reply.status == 200, reply.body
        found: dict[str, Any] = reply.json
        return found

"""Who may ask: the user on the Unix socket, and on loopback TCP whoever has the token, or a browser
with a session of the page.

A browser can reach loopback TCP for any web page it shows, so there Host (against DNS rebinding)
and Origin (against cross-site requests) are looked at before token and cookie. Nothing of a request
but its headers has been read when these checks are made.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import socket
import struct
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from multidict import CIMultiDictProxy

from imgqd.errors import ImgqError
from imgqd.web.peers import may_be_another_user
from imgqd.web.sessions import Sessions

Headers = CIMultiDictProxy[str]

TOKEN_BYTES = 32
READING = ("GET", "HEAD")
SESSION_ROUTE = "/v1/session"
# What the page needs. Whoever has a session can do this and nothing else: neither stop the daemon
# nor take everything out or in, nor let another browser in.
COOKIE_ROUTES = frozenset(
    {("GET", route) for route in ("/v1/openapi.json", "/v1/status", "/v1/config", "/v1/events")}
    | {("GET", route) for route in ("/v1/problems", "/v1/completions", "/v1/stats", "/v1/browse")}
    | {("GET", "/v1/pictures/{id}" + rest) for rest in ("", "/thumbnail", "/original")}
    | {("POST", route) for route in ("/v1/search", "/v1/grid", "/v1/facets", "/v1/pictures")}
    | {("POST", route) for route in ("/v1/annotate", "/v1/duplicates", "/v1/sync", "/v1/retry")}
    | {("POST", route) for route in ("/v1/pause", "/v1/resume", "/v1/pictures/{id}/reveal")}
    | {(method, "/v1/folders") for method in ("GET", "POST", "DELETE")}
    | {(method, "/v1/model") for method in ("GET", "PUT")}
    | {(method, "/v1/history") for method in ("GET", "DELETE")}
    | {("GET", "/v1/saved"), ("DELETE", "/v1/stats/words")}
    | {(method, "/v1/saved/{name}") for method in ("GET", "PUT", "DELETE")}
    | {(method, SESSION_ROUTE) for method in ("GET", "DELETE")}
)


class RefusedError(ImgqError):
    """Not for this caller: HTTP 401 or 403, with the headers that go with it."""

    code = "forbidden"
    status = 403

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int = 403,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Knock:
    """A request as a gate sees it. `route` is a route of ours with its placeholders, else the path;
    `memory` lasts as long as the connection."""

    headers: Headers
    peer: socket.socket | None
    method: str = "GET"
    route: str = "/v1/"
    memory: dict[str, bool] = field(default_factory=dict)


class Gate(Protocol):
    """The door of one listener."""

    @property
    def remote(self) -> bool:
        """True where others than this user's own programs can knock."""

    def check(self, knock: Knock) -> None:
        """Raises RefusedError."""


class UnixGate:
    """Only this user and root, whatever the permissions of socket and folder have become."""

    remote = False

    def check(self, knock: Knock) -> None:
        user = peer_user(knock.peer) if knock.peer is not None else None
        if user is not None and user not in (0, os.geteuid()):
            raise RefusedError(
                f"this daemon belongs to user {os.geteuid()}, not to user {user}; start your own",
                code="wrong-user",
            )


class TcpGate:
    """Loopback TCP: Host, then Origin, then the token or the cookie."""

    remote = True

    def __init__(
        self,
        port: int,
        token: TokenFile,
        host: str = "127.0.0.1",
        sessions: Sessions | None = None,
    ) -> None:
        """`host` is the address that is listened on, as it stands in a URL; without `sessions`
        there is no page."""
        names = (host, "localhost")
        self._hosts = {f"{name}:{port}" for name in names} | (set(names) if port == 80 else set())
        self._origins = {f"http://{host}" for host in self._hosts}
        self._token = token
        self._sessions = sessions
        self.cookie = f"imgq-{port}"

    def check(self, knock: Knock) -> None:
        headers = knock.headers
        hosts = headers.getall("Host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            raise RefusedError(
                "the Host header does not name this daemon; use "
                + " or ".join(sorted(self._hosts)),
                code="wrong-host",
            )
        public = self._sessions is not None and not knock.route.startswith("/v1/")
        if public and knock.method in READING and _is_navigation(headers):
            # A link to the page, wherever it was: what is sent is the same for everybody.
            return
        origins = headers.getall("Origin", [])
        site = headers.get("Sec-Fetch-Site", "none")
        if any(origin.lower() not in self._origins for origin in origins) or site not in (
            "none",
            "same-origin",
        ):
            raise RefusedError(
                "web pages of other origins may not use this daemon", code="wrong-origin"
            )
        if public and knock.method in READING:
            return
        if "Authorization" in headers or self._sessions is None:
            self._check_token(headers)
        elif (knock.method, knock.route) == ("POST", SESSION_ROUTE):
            self._check_browser(knock)
        else:
            self._check_cookie(knock, self._sessions)

    def secrets(self, headers: Headers) -> Iterator[str]:
        """What the cookies of our name hold; there may be several, set by whoever could."""
        for line in headers.getall("Cookie", []):
            for part in line.split(";"):
                name, _, value = part.strip().partition("=")
                if name == self.cookie:
                    yield value

    def _check_token(self, headers: Headers) -> None:
        scheme, _, given = headers.get("Authorization", "").partition(" ")
        wanted = self._token.value()
        if scheme.lower() != "bearer" or not hmac.compare_digest(
            given.strip().encode("utf-8", "surrogateescape"), wanted.encode("ascii")
        ):
            raise self._unauthorized()

    def _check_cookie(self, knock: Knock, sessions: Sessions) -> None:
        if not any(sessions.valid_until(secret) for secret in self.secrets(knock.headers)):
            raise self._unauthorized()
        if (knock.method, knock.route) not in COOKIE_ROUTES:
            raise RefusedError("this is not for the page; use the token", code="not-for-the-page")
        self._check_browser(knock)

    def _check_browser(self, knock: Knock) -> None:
        if knock.method not in READING and not knock.headers.getall("Origin", []):
            raise RefusedError(
                "a browser says which page it acts for (Origin), and this request does not",
                code="wrong-origin",
            )
        if "stranger" not in knock.memory:
            knock.memory["stranger"] = may_be_another_user(knock.peer)
        if knock.memory["stranger"]:
            raise RefusedError(
                "the page is for the browser of the user whose daemon this is; start your own",
                code="wrong-user",
            )

    def _unauthorized(self) -> RefusedError:
        page = "; for the page: imgq --web" if self._sessions is not None else ""
        return RefusedError(
            f"a token is needed: send `Authorization: Bearer TOKEN` with the content of "
            f"{os.path.basename(self._token.path)}, the file beside the daemon's socket{page}",
            code="unauthorized",
            status=401,
            headers={"WWW-Authenticate": 'Bearer realm="imgq"'},
        )


def _is_navigation(headers: Headers) -> bool:
    return (
        headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    )


class TokenFile:
    """The token, kept in a file of mode 0600; a changed file counts from the next request on."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._seen: tuple[int, int, int, int] | None = None
        self._value = ""

    def value(self) -> str:
        """The token; made when there is none, when it is damaged or when others could read it."""
        try:
            info = os.stat(self.path, follow_symlinks=False)
            seen = (info.st_ino, info.st_mtime_ns, info.st_ctime_ns, info.st_mode)
            if seen == self._seen:
                return self._value
            with open(self.path, encoding="ascii") as stream:
                value = stream.read(200).strip()
            private = sys.platform == "win32" or (
                info.st_mode & 0o7777 == 0o600 and info.st_uid == os.geteuid()
            )
            if private and len(value) >= TOKEN_BYTES:
                self._seen, self._value = seen, value
                return value
        except (FileNotFoundError, UnicodeDecodeError):
            pass
        return self.rotate()

    def rotate(self) -> str:
        """Writes a new random token beside the old one and swaps it in. Raises OSError."""
        value = secrets.token_urlsafe(TOKEN_BYTES)
        beside = f"{self.path}.{os.getpid()}.{time.monotonic_ns()}"
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "w", encoding="ascii") as stream:
                stream.write(value + "\n")
            os.replace(beside, self.path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside)
            raise
        self._seen = None
        return value


def peer_user(peer: socket.socket) -> int | None:
    """The user id at the other end of a Unix socket; None where the system does not tell."""
    if sys.platform == "linux":
        size = struct.calcsize("3i")
        _, user, _ = struct.unpack(
            "3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        )
        return int(user)
    if sys.platform == "darwin" or "bsd" in sys.platform:
        # struct xucred: version, user, ... (SOL_LOCAL is 0, LOCAL_PEERCRED is 1).
        return int(struct.unpack_from("=II", peer.getsockopt(0, 1, 76))[1])
    return None

"""Who may ask: the user on the Unix socket, and on loopback TCP whoever has the token.

A browser can reach loopback TCP for any web page it shows, so there Host (against DNS rebinding)
and Origin (against cross-site requests) are looked at before the token. Nothing of a request but
its headers has been read when these checks are made.
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
from collections.abc import Mapping
from typing import Protocol

from multidict import CIMultiDictProxy

from imgqd.errors import ImgqError

Headers = CIMultiDictProxy[str]

TOKEN_BYTES = 32


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


class Gate(Protocol):
    """The door of one listener."""

    @property
    def remote(self) -> bool:
        """True where others than this user's own programs can knock."""

    def check(self, headers: Headers, peer: socket.socket | None) -> None:
        """Raises RefusedError."""


class UnixGate:
    """Only this user and root, whatever the permissions of socket and folder have become."""

    remote = False

    def check(self, headers: Headers, peer: socket.socket | None) -> None:
        user = peer_user(peer) if peer is not None else None
        if user is not None and user not in (0, os.geteuid()):
            raise RefusedError(
                f"this daemon belongs to user {os.geteuid()}, not to user {user}; start your own",
                code="wrong-user",
            )


class TcpGate:
    """Loopback TCP: Host, then Origin, then the token."""

    remote = True

    def __init__(self, port: int, token: TokenFile, host: str = "127.0.0.1") -> None:
        """`host` is the address that is listened on, as it stands in a URL."""
        names = (host, "localhost")
        self._hosts = {f"{name}:{port}" for name in names} | (set(names) if port == 80 else set())
        self._origins = {f"http://{host}" for host in self._hosts}
        self._token = token

    def check(self, headers: Headers, peer: socket.socket | None) -> None:
        hosts = headers.getall("Host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            raise RefusedError(
                "the Host header does not name this daemon; use "
                + " or ".join(sorted(self._hosts)),
                code="wrong-host",
            )
        origins = headers.getall("Origin", [])
        site = headers.get("Sec-Fetch-Site", "none")
        if any(origin.lower() not in self._origins for origin in origins) or site not in (
            "none",
            "same-origin",
        ):
            raise RefusedError(
                "web pages of other origins may not use this daemon", code="wrong-origin"
            )
        scheme, _, given = headers.get("Authorization", "").partition(" ")
        wanted = self._token.value()
        if scheme.lower() != "bearer" or not hmac.compare_digest(
            given.strip().encode("utf-8", "surrogateescape"), wanted.encode("ascii")
        ):
            raise RefusedError(
                f"a token is needed: send `Authorization: Bearer TOKEN` with the content of "
                f"{os.path.basename(self._token.path)}, the file beside the daemon's socket",
                code="unauthorized",
                status=401,
                headers={"WWW-Authenticate": 'Bearer realm="imgq"'},
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

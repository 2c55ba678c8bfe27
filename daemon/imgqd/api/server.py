"""The listeners: the Unix socket of this user, and TCP (loopback) where it is switched on.

Binds them so that nobody else can connect even for a moment, says in endpoint.json where they are,
and takes all of it back when stopping. The caller holds the instance lock (lock.py): that is what
makes an existing socket file a leftover.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
import stat
import sys
from collections.abc import Sequence

import structlog
from aiohttp import web

from imgq.locations import Locations, make_private, write_endpoint
from imgqd.api.auth import Gate, TcpGate, TokenFile, UnixGate
from imgqd.api.guard import ConnectionPool, GuardedHandler, Limits
from imgqd.api.routes import Api
from imgqd.api.service import Service
from imgqd.errors import AlreadyRunningError, ImgqError, UnavailableError, UsageError
from imgqd.metrics import Metrics
from imgqd.web.page import Page

log = structlog.get_logger("api")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LOOPBACK = "127.0.0.1"
BACKLOG = 512


class ApiServer:
    """Serves `service` from `start` to `stop`. Belongs to the event loop."""

    def __init__(
        self,
        service: Service,
        locations: Locations,
        *,
        http_port: int = 0,
        http_host: str = LOOPBACK,
        allow_lan: bool = False,
        fetch_urls: bool = False,
        web_page: bool = True,
        web_port: int = 0,
        metrics: Metrics | None = None,
        limits: Limits | None = None,
        inherited: Sequence[socket.socket] = (),
    ) -> None:
        """`inherited` are listening Unix sockets from a service manager, used instead of our own.

        `http_host` is an address of this machine, a loopback one unless `allow_lan`; `fetch_urls`
        lets callers over TCP have URLs fetched. Port 0: no TCP, until the page is asked for; it is
        served on `web_port` then, 0 being any free one, or where `http_port` is.
        """
        self._locations = locations
        self._http_port, self._http_host, self._allow_lan = http_port, http_host, allow_lan
        self._limits = limits or Limits()
        self._inherited = list(inherited)
        self._page = Page(locations, port=web_port) if web_page else None
        self._api = Api(
            service, metrics, self._limits, fetch_urls, self._page, self._listen_for_page
        )
        self._runner: web.AppRunner | None = None
        self._servers: list[asyncio.Server] = []
        self._socket_inode: int | None = None
        self._announced = False
        self.http: str | None = None

    async def start(self) -> None:
        """Listens. Raises ImgqError saying why it cannot; nothing is left behind then."""
        try:
            self._runner = web.AppRunner(
                self._api.application(), handler_cancellation=True, shutdown_timeout=2.0
            )
            await self._runner.setup()
            address = None
            if sys.platform != "win32":
                for listener in self._inherited or [self._bind_unix()]:
                    address = address or str(listener.getsockname())
                    await self._listen(listener, UnixGate())
            if self._http_port:
                host = checked_host(self._http_host, allow_lan=self._allow_lan)
                listener = bind_tcp(host, self._http_port)
                self.http = await self._listen_tcp(host, listener)
                if self._page is not None:
                    self._page.url = self.http
            write_endpoint(
                self._locations.endpoint,
                socket=address,
                http=self.http,
                pid=os.getpid(),
            )
            self._announced = True
            if self._page is not None:
                await self._page.come_back(self._listen_for_page)
        except BaseException as error:
            await self.stop()
            if isinstance(error, OSError):
                raise UnavailableError(f"cannot listen: {error}", code="listen") from error
            raise

    async def stop(self) -> None:
        """Accepts nothing more, lets answers be finished for a moment, then ends everything."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        self._forget_socket()
        for subscription in list(self._api.subscriptions):
            subscription.close()
        self._api.lanes.interrupt()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._api.lanes.close()

    def _bind_unix(self) -> socket.socket:
        make_private(self._locations.runtime)
        listener = bind_unix(self._locations.socket)
        self._socket_inode = os.stat(self._locations.socket).st_ino
        return listener

    async def _listen_for_page(self, port: int) -> str:
        host = checked_host(LOOPBACK, allow_lan=False)
        return await self._listen_tcp(host, bind_tcp(host, port, "web_port"))

    async def _listen_tcp(self, host: Address, listener: socket.socket) -> str:
        """Serves on a bound socket; returns its URL."""
        name = f"[{host}]" if host.version == 6 else str(host)
        port = listener.getsockname()[1]
        make_private(self._locations.runtime)
        token = TokenFile(self._locations.token)
        token.value()
        sessions = None if self._page is None else self._page.sessions
        await self._listen(listener, TcpGate(port, token, name, sessions))
        return f"http://{name}:{port}"

    async def _listen(self, listener: socket.socket, gate: Gate) -> None:
        assert self._runner is not None and self._runner.server is not None
        server, limits = self._runner.server, self._limits
        pool = ConnectionPool(limits.connections)

        def connection() -> GuardedHandler:
            return GuardedHandler(server, gate=gate, pool=pool, limits=limits)

        loop = asyncio.get_running_loop()
        if gate.remote:
            made = await loop.create_server(connection, sock=listener, backlog=BACKLOG)
        elif sys.version_info >= (3, 13):
            # The file of an inherited socket is the service manager's, and ours we remove ourselves.
            made = await loop.create_unix_server(
                connection, sock=listener, backlog=BACKLOG, cleanup_socket=False
            )
        else:
            made = await loop.create_unix_server(connection, sock=listener, backlog=BACKLOG)
        self._servers.append(made)
        log.info("listening", address=str(listener.getsockname()))

    def _forget_socket(self) -> None:
        """Removes what says where we are, unless it is another daemon's by now."""
        if self._socket_inode is not None:
            with contextlib.suppress(OSError):
                if os.stat(self._locations.socket).st_ino == self._socket_inode:
                    os.unlink(self._locations.socket)
        if self._socket_inode is not None or self._announced:
            with contextlib.suppress(OSError):
                os.unlink(self._locations.endpoint)
        self._socket_inode = None
        self._announced = False


def bind_unix(path: str) -> socket.socket:
    """A socket bound to `path`, mode 0600 from its first moment; the caller listens.

    A leftover of a daemon that died is removed. Raises AlreadyRunningError when somebody answers
    there, UsageError when the path is something else than a socket, OSError.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise UsageError(f"{path} is not a socket; move it away, the daemon listens there")
        if _answers(path):
            raise AlreadyRunningError(
                f"another daemon answers at {path}; stop it with `imgqd stop`, or set IMGQ_HOME"
            )
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    previous = os.umask(0o177)
    try:
        listener.bind(path)
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(previous)
    return listener


def checked_host(text: str, *, allow_lan: bool) -> Address:
    """The address to listen on. Raises UsageError for what is none, or more open than allowed."""
    try:
        host = ipaddress.ip_address(text)
    except ValueError:
        raise UsageError(
            f"http_host {text!r} is not an IP address; the default is {LOOPBACK}"
        ) from None
    if host.version == 6 and host.ipv4_mapped is not None:
        host = host.ipv4_mapped
    if host.is_unspecified:
        # Whatever Host a request named would have to be taken then, which lets DNS rebinding in.
        raise UsageError(f"http_host {text} is every address; name the one that you mean")
    if not host.is_loopback and not allow_lan:
        raise UsageError(
            f"http_host {text} can be reached by others, and nothing is encrypted there: reach "
            f"{LOOPBACK} through ssh -L or a proxy with TLS instead; if your network is yours "
            "alone, set http_allow_lan = true"
        )
    return host


def bind_tcp(host: Address, port: int, setting: str = "http_port") -> socket.socket:
    """A TCP socket on `host` only. Raises UsageError for a port that cannot be had."""
    if not 0 <= port <= 65535:
        raise UsageError(f"{setting} {port} is not a port; choose one from 1024 to 65535, or 0")
    family = socket.AF_INET6 if host.version == 6 else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(host), port))
    except OSError as error:
        listener.close()
        reason = "another program uses it" if error.errno == errno.EADDRINUSE else error.strerror
        raise ImgqError(
            f"{setting} {port} on {host}: {reason}; choose another, or 0",
            code="listen",
        ) from error
    return listener


def _answers(path: str) -> bool:
    """True when a process listens on the Unix socket at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            # No room in its queue, or not in time: somebody has it all the same.
            return True
    return True

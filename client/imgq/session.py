"""Finds the daemon, starts it where that is wanted, and makes calls to it.

Keeps a connection between questions, for which many may come. Turns an HTTP refusal into an error,
and waits where the daemon says that the reason will pass.
"""

from __future__ import annotations

import os
from time import monotonic, sleep

from imgq import connection, fastjson
from imgq.connection import Address
from imgq.errors import NoDaemonError, RefusedError, TooLateError
from imgq.locations import Locations, locate, read_endpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Self

    from imgq.connection import Reply

USAGE = (400,)
# What is asked of the daemon ends a little earlier than our own patience, so that its answer, which
# knows more, still arrives.
MARGIN_S = 0.5
MOST_S = 604_800.0


class Session:
    """A way to one daemon; see `imgq.Client`, which adds a method for everything it can do.

    `spawned` says whether a call has started the daemon.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        timeout: float | None = 60.0,
        spawn: bool = False,
        on_wait: Callable[[str], object] | None = None,
    ) -> None:
        self.timeout = timeout
        self.spawn = spawn
        self.on_wait = on_wait
        self.spawned = False
        self._locations: Locations | None = None
        self._address: Address | None = None
        self._kept = connection.Kept()
        text = address or os.environ.get("IMGQ_SOCKET")
        self._named = bool(text)
        if text:
            self._address = connection.parse_address(text)
            if self._address.host:
                self._address.token = self._token_file()

    @property
    def locations(self) -> Locations:
        """The paths that this environment means."""
        if self._locations is None:
            try:
                self._locations = locate()
            except OSError as error:
                raise NoDaemonError(str(error)) from None
        return self._locations

    def close(self) -> None:
        """Ends the connection that is kept; the next call makes another one."""
        self._kept.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(
        self,
        method: str,
        target: str,
        body: dict[str, Any] | None = None,
        *,
        timeout: float | None = None,
        wait: str = "",
        usage: tuple[int, ...] = USAGE,
        patient: bool = True,
    ) -> bytes:
        """One request; returns the body of the answer.

        A key `timeout_s` in `body` is filled with the seconds that are left. `wait` is what
        `on_wait` is told while the answer takes its time. A refusal whose status is in `usage`
        gets exit code 2. A `patient` call is made again where the daemon is not ready yet.
        """
        limit = self.timeout if timeout is None else timeout
        deadline = None if limit is None else monotonic() + limit
        on_wait = self.on_wait
        tick = (lambda: on_wait(wait)) if on_wait is not None and wait else None
        while True:
            if body is not None and "timeout_s" in body:
                left = MOST_S if deadline is None else max(deadline - monotonic(), 0.002)
                body["timeout_s"] = round(min(max(left - MARGIN_S, left / 2), MOST_S), 3)
            try:
                return self.open(method, target, body, deadline, tick, usage).read()
            except RefusedError as error:
                if not patient or error.retry_after is None or error.status != 503:
                    raise
                self._wait_for(error, deadline)

    def open(
        self,
        method: str,
        target: str,
        body: dict[str, Any] | None = None,
        deadline: float | None = None,
        tick: Callable[[], object] | None = None,
        usage: tuple[int, ...] = USAGE,
    ) -> Reply:
        """One request; returns the answer with its body still to be read. `deadline` is monotonic.

        Raises NoDaemonError, RefusedError for a status of 400 or more, TooLateError.
        """
        data = None if body is None else fastjson.dumps(body).encode("ascii")
        reply = self._send(method, target, data, deadline, tick)
        if reply.status >= 400:
            raise _refusal(reply, self._address, usage)
        return reply

    def _send(
        self,
        method: str,
        target: str,
        data: bytes | None,
        deadline: float | None,
        tick: Callable[[], object] | None,
    ) -> Reply:
        # What changes something is not asked twice because a kept connection broke.
        kept = self._kept if method == "GET" or target == "/v1/search" else None

        def at(address: Address) -> Reply:
            return connection.request(
                address, method, target, data, deadline=deadline, tick=tick, kept=kept
            )

        for address in self._candidates():
            try:
                reply = at(address)
            except (FileNotFoundError, ConnectionRefusedError):
                continue
            except RefusedError as error:
                # A daemon that was just stopping: the next one answers, where one may be started.
                if error.code == connection.GONE and self.spawn and not self._named:
                    break
                raise
            self._address = address
            return reply
        self._address = self._start(deadline)
        try:
            return at(self._address)
        except (FileNotFoundError, ConnectionRefusedError):
            raise NoDaemonError(
                f"the daemon started and stopped at once; its log is {self.locations.log}"
            ) from None

    def _candidates(self) -> Iterator[Address]:
        if self._address is not None:
            yield self._address
            if self._named:
                return
        locations = self.locations
        if _is_ours(locations.runtime):
            yield Address(path=locations.socket)
        written = read_endpoint(locations.endpoint) or {}
        path, http = written.get("socket"), written.get("http")
        if isinstance(path, str) and path not in ("", locations.socket):
            yield Address(path=path)
        if isinstance(http, str) and http:
            yield connection.parse_address(http, token=self._token_file())

    def _start(self, deadline: float | None) -> Address:
        named = self._address if self._named else None
        if named is not None and named.path != self.locations.socket:
            raise NoDaemonError(
                f"no daemon answers at {named}, which IMGQ_SOCKET or the caller names; "
                "start it there, or leave the name out"
            )
        if not self.spawn:
            raise NoDaemonError("no daemon is running; start it with: imgqd run --detach")
        from imgq import spawn

        def probe() -> Address | None:
            for address in self._candidates():
                try:
                    connection.connect(address, monotonic() + 1.0).close()
                except (FileNotFoundError, ConnectionRefusedError, TooLateError):
                    continue
                return address
            return None

        on_wait = self.on_wait
        tick = (lambda: on_wait("start")) if on_wait is not None else None
        address = spawn.start(self.locations, probe, deadline, tick)
        self.spawned = True
        return address

    def _token_file(self) -> str:
        written = read_endpoint(self.locations.endpoint) or {}
        path = written.get("socket")
        if isinstance(path, str) and path:
            return os.path.join(os.path.dirname(path), "token")
        return self.locations.token

    def _wait_for(self, error: RefusedError, deadline: float | None) -> None:
        """Sleeps for as long as the daemon said, at most two seconds."""
        until = monotonic() + min(max(error.retry_after or 0.0, 0.1), 2.0)
        while (now := monotonic()) < until:
            if deadline is not None and now >= deadline:
                raise TooLateError(f"not in time: {error.message}") from None
            if self.on_wait is not None:
                self.on_wait("model")
            sleep(min(connection.TICK_S, until - now))


def _is_ours(folder: str) -> bool:
    """False for a folder of another user, who could listen there and read what is asked."""
    try:
        return not hasattr(os, "geteuid") or os.lstat(folder).st_uid == os.geteuid()
    except OSError:
        return False


def _refusal(reply: Reply, address: Address | None, usage: tuple[int, ...]) -> RefusedError:
    """The error that an answer with a status of 400 or more means."""
    try:
        said = fastjson.loads(reply.read(1 << 20))["error"]
        code, message = str(said["code"]), str(said["message"])
    except (ValueError, KeyError, TypeError):
        code = "failed"
        message = f"the daemon answered with HTTP status {reply.status} and no reason"
    if reply.status == 401 and address is not None and address.token:
        message = f"{message} (the token is read from {address.token})"
    after = reply.headers.get("retry-after", "")
    error = RefusedError(
        message,
        status=reply.status,
        code=code,
        retry_after=float(after) if after.isascii() and after.isdigit() else None,
    )
    if reply.status in usage:
        error.exit_code = 2
    return error

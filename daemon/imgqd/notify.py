"""The daemon's side of what a service manager wants to hear: readiness, status, signs of life.

Speaks sd_notify(3) and takes the sockets of sd_listen_fds(3) with nothing but sockets. Without a
manager everything here does nothing. What the unit asks for is in systemd/; when the daemon is
ready is daemon.py's to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import socket
import stat
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, TypeVar

from imgqd.errors import ImgqError, UsageError

FIRST_FD = 3
# How often the manager's status is looked after: often enough for a person who watches.
BUSY_S = 2.0
IDLE_S = 10.0

T = TypeVar("T")


class Notifier:
    """A way to the manager that started this process; every method is harmless without one."""

    def __init__(self, address: str | None = None, watchdog_s: float = 0.0) -> None:
        """`address` is a Unix datagram socket (`@` begins an abstract one); `watchdog_s` is how
        long the manager waits for a sign of life before it ends the process, 0 for ever.
        """
        self.watchdog_s = watchdog_s
        self._address = "\0" + address[1:] if address and address[0] == "@" else address
        self._status = ""

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str] | None = None) -> Notifier:
        """What the manager said in the environment, taken from there: it is not for children."""
        environ = os.environ if environ is None else environ
        address = environ.pop("NOTIFY_SOCKET", "")
        usec, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        mine = not pid or pid == str(os.getpid())
        watchdog = int(usec) / 1e6 if mine and usec.isascii() and usec.isdigit() else 0.0
        # Anything else (vsock) is another machine's business.
        usable = address[:1] in ("/", "@") and hasattr(socket, "AF_UNIX")
        return cls(address if usable else None, watchdog)

    @property
    def listens(self) -> bool:
        """True where a manager wants to hear."""
        return self._address is not None

    def ready(self) -> None:
        """It answers now."""
        self._send("READY=1")

    def stopping(self) -> None:
        """It has begun to stop."""
        self._send("STOPPING=1\nSTATUS=stopping")

    def status(self, text: str) -> None:
        """What it is doing, in a few words for people; said only when it changed."""
        text = " ".join(text.split())
        if text != self._status and self._send(f"STATUS={text}"):
            self._status = text

    def alive(self) -> None:
        """A sign of life."""
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> bool:
        if self._address is None:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                # A manager that is busy must not hold up the event loop.
                out.setblocking(False)
                out.sendto(message.encode("utf-8", "replace"), self._address)
        except OSError:
            return False
        return True

    async def run(self, pulse: Callable[[], object], status: Callable[[], dict[str, Any]]) -> None:
        """Signs of life from the event loop, and the status whenever there is something to tell.

        `pulse` is a cheap question: None while there is work, else a value that stays the same for
        as long as nothing changes. `status` is the answer of GET /v1/status. Both are called in a
        thread. Ends by being cancelled.
        """
        if self._address is None:
            return
        signs = asyncio.create_task(self._signs())
        try:
            told: object = None
            while True:
                found = await asyncio.to_thread(_quietly, pulse)
                if found is None or found != told:
                    said = await asyncio.to_thread(_quietly, status)
                    if said is not None:
                        self.status(describe(said))
                        told = found
                await asyncio.sleep(BUSY_S if found is None else IDLE_S)
        finally:
            signs.cancel()

    async def _signs(self) -> None:
        if self.watchdog_s <= 0:
            return
        if sys.stderr is not None:
            # The manager's SIGABRT then tells in which line every thread was.
            with contextlib.suppress(OSError, ValueError):
                faulthandler.enable()
        while True:
            self.alive()
            await asyncio.sleep(self.watchdog_s / 2)


def _quietly(question: Callable[[], T]) -> T | None:
    """The answer, or None where there is none just now: a status is not worth a failure."""
    try:
        return question()
    except Exception:
        return None


def describe(status: dict[str, Any]) -> str:
    """One line for `systemctl status` out of the answer of GET /v1/status."""
    progress, problems = status["progress"], status["problems"]
    stage, done, total = progress["stage"], progress["done"], progress["total"]
    if status.get("paused"):
        why = "on battery power" if status.get("paused_by") == "battery" else "imgqd resume"
        text = f"paused: {status.get('failure') or why}"
    elif stage == "index":
        text = f"indexing {done:,} of {total:,}"
    elif stage == "embed":
        text = f"embedding for another model: {done:,} of {total:,}"
    elif stage == "scan":
        text = f"looking through the folders, {total:,} files so far"
    elif stage:
        text = f"preparing the model: {progress['detail'] or stage}"
    elif status["state"] == "starting":
        text = "waiting for the model"
    else:
        pictures, folders = status["pictures"], len(status["folders"])
        text = (
            f"{pictures:,} picture{'' if pictures == 1 else 's'} "
            f"in {folders} folder{'' if folders == 1 else 's'}"
        )
    return f"{text}; {problems:,} problem{'' if problems == 1 else 's'}" if problems else text


def inherited_sockets(environ: MutableMapping[str, str] | None = None) -> list[socket.socket]:
    """The listening Unix sockets that the manager handed over; [] without one.

    They are ours from now on: children do not get them, nor the variables that name them. Raises
    UsageError for anything but a listening Unix stream socket (a TCP socket would be without the
    checks that belong to it), ImgqError when a descriptor is not open.
    """
    environ = os.environ if environ is None else environ
    count, pid = environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_PID", "")
    environ.pop("LISTEN_FDNAMES", None)
    environ.pop("LISTEN_PIDFDID", None)
    if sys.platform == "win32" or pid != str(os.getpid()) or not count.isdigit():
        return []
    descriptors = range(FIRST_FD, FIRST_FD + int(count))
    for descriptor in descriptors:
        try:
            os.set_inheritable(descriptor, False)
            is_socket = stat.S_ISSOCK(os.fstat(descriptor).st_mode)
        except OSError as error:
            raise ImgqError(
                f"LISTEN_FDS={count}: descriptor {descriptor} is not open; "
                "start imgqd by its socket unit, or without LISTEN_FDS"
            ) from error
        if not is_socket:
            raise _unusable(descriptor)
    found = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    for listener in found:
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if (
            listener.family != socket.AF_UNIX
            or listener.type != socket.SOCK_STREAM
            or not listens
            or not isinstance(listener.getsockname(), str)
            or not listener.getsockname()
        ):
            raise _unusable(listener.fileno())
        listener.setblocking(False)
    return found


def _unusable(descriptor: int) -> UsageError:
    return UsageError(
        f"the service manager handed over something else than a listening Unix socket (descriptor "
        f"{descriptor}); mend ListenStream in imgqd.socket, and for TCP use the setting http_port"
    )

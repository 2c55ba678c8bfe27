"""A service manager's part of sd_notify(3) and sd_listen_fds(3), spoken with real sockets.

It starts a process as systemd does: listening sockets from descriptor 3 on, LISTEN_PID naming the
very process that runs the service, and a datagram socket to hear from it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

# The process that becomes the service: only it can know its own id.
LAUNCHER = """
import fcntl, os, sys
numbers, count = [int(n) for n in sys.argv[1].split(",") if n], sys.argv[2]
high = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 100) for number in numbers]
os.closerange(3, 50)
for place, number in enumerate(high, start=3):
    os.dup2(number, place)
os.environ.update(LISTEN_FDS=count, LISTEN_FDNAMES="imgqd.socket")
os.environ.setdefault("LISTEN_PID", str(os.getpid()))
os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execvp(sys.argv[3], sys.argv[3:])
"""


def activate(
    command: Sequence[str],
    sockets: Sequence[socket.socket],
    *,
    environ: dict[str, str] | None = None,
    count: int | None = None,
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Starts a command with sockets handed over; `count` other than theirs is a broken manager."""
    numbers = [listener.fileno() for listener in sockets]
    said = str(len(numbers) if count is None else count)
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, ",".join(map(str, numbers)), said, *command],
        pass_fds=numbers,
        env={**os.environ, **(environ or {})},
        **options,
    )


def listening(path: str) -> socket.socket:
    """A Unix socket that listens, as a socket unit makes it: for its user only."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    listener.listen(64)
    return listener


class NotifySocket:
    """The manager's end of NOTIFY_SOCKET; `heard` is every assignment that came, in order."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.heard: list[str] = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address[0] == "@" else address)

    def hear(self) -> str:
        """The next message."""
        self.socket.settimeout(30)
        message = self.socket.recv(65536).decode()
        self.heard += message.split("\n")
        return message

    def wait_for(self, what: Callable[[str], bool], timeout: float = 60) -> str:
        """The next assignment that is so; fails naming what came instead."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                message = self.socket.recv(65536).decode()
            except TimeoutError:
                break
            self.heard += message.split("\n")
            for line in message.split("\n"):
                if what(line):
                    return line
        raise AssertionError(f"not heard within {timeout} s; what came: {self.heard}")

    def close(self) -> None:
        self.socket.close()

"""One daemon for each library: a lock that the kernel lets go of when its holder is gone.

The file says who holds it, for messages only; whether it is held, the lock itself says, so a file
left by a crash is never in the way. The file is never removed (that would let two hold it).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import sys
import time
from dataclasses import dataclass

from imgqd.errors import AlreadyRunningError, ImgqError

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)
PATIENCE_S = 0.3


@dataclass(frozen=True, slots=True)
class Holder:
    """Who wrote the lock file last. `pid` is None when it does not say."""

    pid: int | None
    host: str
    home: str

    def __str__(self) -> str:
        where = f" on {self.host}" if self.host and self.host != socket.gethostname() else ""
        who = f"pid {self.pid}{where}" if self.pid is not None else "pid unknown"
        return f"{who}, library {self.home}"


class InstanceLock:
    """Held from `acquire` until `release` or the end of the process."""

    def __init__(self, path: str, home: str) -> None:
        """`path` is the lock file, in an existing folder; `home` is shown in messages."""
        self.path = path
        self.home = home
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def acquire(self) -> None:
        """Raises AlreadyRunningError saying who runs, ImgqError where locks do not work."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        # Somebody who only looks (is_held) has it for a moment, and a holder that has just begun
        # has not said who it is yet: look again before believing it.
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                _take(descriptor)
                break
            except OSError as error:
                if error.errno not in HELD:
                    os.close(descriptor)
                    raise ImgqError(
                        f"{self.path} cannot be locked ({error.strerror}); "
                        "set IMGQ_HOME to a folder on a local disk",
                        code="lock",
                    ) from error
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise AlreadyRunningError(
                    f"a daemon runs already ({holder(self.path, self.home)}); "
                    "ask it with imgq, or end it with `imgqd stop`"
                )
            time.sleep(0.02)
        who = {"pid": os.getpid(), "host": socket.gethostname(), "home": self.home}
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(who).encode() + b"\n")
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> InstanceLock:
        self.acquire()
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


def holder(path: str, home: str = "") -> Holder:
    """What the lock file says of its holder, current or last."""
    try:
        with open(path, "rb") as stream:
            said = json.loads(stream.read(65536))
        return Holder(int(said["pid"]), str(said["host"]), str(said["home"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Holder(None, "", home)


def is_held(path: str) -> bool:
    """True when a process holds the lock at `path` now. Takes nothing that outlasts the call."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        _take(descriptor)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def wait_until_free(path: str, timeout_s: float) -> bool:
    """Waits until nobody holds the lock. False when that took longer than `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while is_held(path):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True

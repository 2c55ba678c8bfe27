"""Starts the daemon when none answers, and waits until it does.

Two clients may do this at once, or a daemon may just be stopping: the library's lock tells, and
whoever holds it is waited for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from time import monotonic, sleep

from imgq.errors import NoDaemonError, TooLateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from imgq.connection import Address
    from imgq.locations import Locations

STARTING_S = 60.0


def start(
    locations: Locations,
    probe: Callable[[], Address | None],
    deadline: float | None,
    tick: Callable[[], object] | None = None,
) -> Address:
    """Runs `imgqd run --detach` with this interpreter; returns once `probe` finds the daemon.

    Raises NoDaemonError with imgqd's own last words, TooLateError after `deadline` (monotonic).
    """
    limit = monotonic() + STARTING_S
    child: subprocess.Popen[bytes] | None = None
    # A file, not a pipe: the daemon may keep it for longer than this process lives.
    with tempfile.TemporaryFile() as words:
        while True:
            if (address := probe()) is not None:
                return address
            code = None if child is None else child.poll()
            if child is None or code is not None:
                # Whoever holds the lock is starting, and will answer, or is stopping, and will
                # let go of it; only without a holder is it our turn, or our failure.
                if _is_held(locations.lock):
                    child = child if code == 0 else None
                elif child is None:
                    child = _run(locations, words)
                else:
                    raise NoDaemonError(_reason(words, locations, code))
            now = monotonic()
            if deadline is not None and now >= deadline:
                raise TooLateError(
                    f"the daemon is still starting; its log is {locations.log}; ask again shortly"
                )
            if now >= limit:
                raise NoDaemonError(_reason(words, locations, None))
            if tick is not None:
                tick()
            sleep(0.03)


def _is_held(lock: str) -> bool:
    """True while a daemon of this library runs, answering or not."""
    try:
        import fcntl
    except ImportError:  # Windows: a second daemon sees the lock and gives way
        return False
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        # Shared: clients that look at the same time do not take each other for a daemon.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _run(locations: Locations, words: IO[bytes]) -> subprocess.Popen[bytes]:
    environ = dict(os.environ)
    if locations.home is not None:
        environ["IMGQ_HOME"] = locations.home
    words.seek(0)
    words.truncate()
    try:
        return subprocess.Popen(
            # -P: a file imgqd.py in the current folder is not the daemon.
            [sys.executable, "-P", "-m", "imgqd", "run", "--detach"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=words,
            env=environ,
            start_new_session=True,
        )
    except OSError as error:
        raise NoDaemonError(
            f"the daemon cannot be started with {sys.executable}: {error.strerror or error}"
        ) from None


def _reason(words: IO[bytes], locations: Locations, code: int | None) -> str:
    words.seek(0)
    lines = words.read(65536).decode("utf-8", "replace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    said = said.removeprefix("imgqd: ")
    if code is None:
        reason = f"the daemon does not answer after {STARTING_S:g} s"
        if _is_held(locations.lock):
            reason += " (it holds the library); end it with: imgqd stop"
    else:
        silent = f"it exited with {code} and said nothing" if code else "it stopped at once"
        reason = f"the daemon did not start: {said or silent}"
    return f"{reason} (its log is {locations.log}; to see more: imgqd run)"

"""Starts the daemon when none answers, and waits until it does.

Two clients may do this at once: the library's lock lets one daemon win, and both clients then
talk to it.
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

# imgqd's exit code for "refused", here: another daemon of this library is running already.
REFUSED = 4
STARTING_S = 60.0
STOPPING_S = 15.0


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
    # A file, not a pipe: the daemon may keep it for longer than this process lives.
    with tempfile.TemporaryFile() as words:
        child = _run(locations, words)
        again = 0.0
        while True:
            if (address := probe()) is not None:
                return address
            now = monotonic()
            code = child.poll()
            if code == REFUSED and now + 1.0 < limit:
                # Another daemon holds the library: it is starting (and will answer), or it is
                # stopping (and one more attempt will succeed).
                again = again or now + 1.0
                if now >= again:
                    again = 0.0
                    limit = min(limit, now + STOPPING_S)
                    child = _run(locations, words)
            elif code not in (None, 0) or now >= limit:
                raise NoDaemonError(_reason(words, locations, code))
            if deadline is not None and now >= deadline:
                raise TooLateError(
                    f"the daemon is still starting; its log is {locations.log}; ask again shortly"
                )
            if tick is not None:
                tick()
            sleep(0.03)


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
    if not said and code in (None, 0):
        said = f"it did not answer within {STARTING_S:g} s"
    said = said or f"it exited with {code} and said nothing"
    return f"the daemon did not start: {said} (its log is {locations.log}; to see more: imgqd run)"

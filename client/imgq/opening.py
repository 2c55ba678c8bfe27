"""--open: hands the results to the desktop's own viewer.

A viewer lives on when imgq ends, and is waited for only long enough to hear that it cannot start.
"""

from __future__ import annotations

import os
import subprocess
import sys
from time import monotonic

from imgq.errors import OutputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Each may become a window of its own.
MOST = 20
# How long a starter may take to say that it cannot: without a desktop environment xdg-open becomes
# the viewer, and lasts as long as that is open.
FAILS_WITHIN_S = 1.5


def open_paths(
    paths: Sequence[bytes],
    platform: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> int:
    """Opens the first MOST of `paths`; returns how many. Raises OutputError."""
    platform = sys.platform if platform is None else platform
    environ = os.environ if environ is None else environ
    chosen = list(paths[:MOST])
    if not chosen:
        return 0
    if platform == "win32":
        for path in chosen:
            os.startfile(os.fsdecode(path))  # type: ignore[attr-defined,unused-ignore]  # noqa: S606
    elif platform == "darwin":
        _open([[b"open", *chosen]])
    elif not has_desktop(environ):
        raise OutputError(
            "--open: there is no desktop here (neither DISPLAY nor WAYLAND_DISPLAY is set);"
            " --preview shows pictures in the terminal"
        )
    else:
        _open([[b"xdg-open", path] for path in chosen])
    return len(chosen)


def has_desktop(environ: Mapping[str, str]) -> bool:
    """Whether windows can be shown; without them xdg-open would look for a browser of text."""
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def start(command: Sequence[str | bytes]) -> subprocess.Popen[bytes]:
    """Starts a program that outlives imgq, its terminal and a Ctrl-C. Raises OSError."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[bytes], within_s: float) -> int | None:
    """The exit code, or None for what still runs then."""
    try:
        return process.wait(within_s)
    except subprocess.TimeoutExpired:
        return None


def _open(commands: Sequence[Sequence[bytes]]) -> None:
    """One after the other, as windows should come; all at once when the first one stays."""
    staying: list[tuple[Sequence[bytes], subprocess.Popen[bytes]]] = []
    for command in commands:
        try:
            process = start(command)
        except OSError as error:
            raise _not_there(command[0].decode(), error) from None
        code = ended(process, 0.0 if staying else FAILS_WITHIN_S)
        if code is None:
            staying.append((command, process))
        else:
            _check(command, code)
    deadline = monotonic() + FAILS_WITHIN_S
    for command, process in staying[1:]:
        _check(command, ended(process, max(deadline - monotonic(), 0.0)))


def _check(command: Sequence[bytes], code: int | None) -> None:
    if code:
        from imgq.terminal import harmless_bytes

        # A Mac's `open` is given all of them at once, and does not say which it was.
        which = f" on {harmless_bytes(command[1])}" if len(command) == 2 else ""
        raise OutputError(
            f"--open: {command[0].decode()} failed with {code}{which};"
            " is there a viewer for such files?"
        )


def _not_there(name: str, error: OSError) -> OutputError:
    hint = "; it comes with xdg-utils" if name == "xdg-open" else ""
    return OutputError(f"--open: {name} cannot be run: {error.strerror or error}{hint}")

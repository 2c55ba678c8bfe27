"""--open: hands the results to the desktop's own viewer."""

from __future__ import annotations

import subprocess
import sys

from imgq.errors import OutputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Each may become a window of its own.
MOST = 20


def open_paths(paths: Sequence[bytes], platform: str | None = None) -> int:
    """Opens the first MOST of `paths`; returns how many. Raises OutputError."""
    platform = sys.platform if platform is None else platform
    chosen = list(paths[:MOST])
    if not chosen:
        return 0
    if platform == "win32":
        import os

        for path in chosen:
            os.startfile(os.fsdecode(path))  # type: ignore[attr-defined,unused-ignore]  # noqa: S606
    elif platform == "darwin":
        _run([b"open", *chosen])
    else:
        for path in chosen:
            _run([b"xdg-open", path])
    return len(chosen)


def _run(command: list[bytes]) -> None:
    name = command[0].decode()
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError as error:
        raise OutputError(
            f"--open: {name} cannot be run: {error.strerror or error}; it comes with xdg-utils"
            if name == "xdg-open"
            else f"--open: {name} cannot be run: {error.strerror or error}"
        ) from None
    if done.returncode:
        raise OutputError(
            f"--open: {name} failed with {done.returncode}; is there a desktop and a viewer?"
        )

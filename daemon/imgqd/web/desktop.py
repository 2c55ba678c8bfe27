"""What the page asks of the desktop and of the disk for a person who sits at this machine: showing
a file in the file manager, and which folders there are to choose from.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote_from_bytes

from imgqd.errors import NotFoundError, UnavailableError, UsageError

MOST_FOLDERS = 2000
PATIENCE_S = 10.0
# What a starter of file managers does not say so soon has worked.
FAILS_WITHIN_S = 1.5


def can_reveal(platform: str = sys.platform) -> bool:
    """False where a file manager certainly cannot be reached, as for a service without a desktop."""
    if platform in ("darwin", "win32"):
        return True
    bus = os.environ.get("DBUS_SESSION_BUS_ADDRESS", "")
    path = bus.partition("path=")[2].partition(",")[0].partition(";")[0]
    if shutil.which("dbus-send") and bus and (not path or os.access(path, os.R_OK | os.W_OK)):
        return True
    shown = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(shown and shutil.which("xdg-open"))


def reveal(path: bytes, platform: str = sys.platform) -> None:
    """Shows a file in the file manager. Raises UnavailableError where there is none."""
    for command in _commands(path, platform):
        if _runs(command):
            return
    raise UnavailableError(
        "no file manager answers here; copy the path instead", code="no-file-manager"
    )


def _commands(path: bytes, platform: str) -> list[Sequence[bytes]]:
    if platform == "darwin":
        return [(b"open", b"-R", path)]
    if platform == "win32":
        return [(b"explorer", b"/select," + path)]
    # A comma would begin another item of the list.
    url = b"file://" + quote_from_bytes(path, safe="/").encode()
    show: tuple[bytes, ...] = (
        b"dbus-send",
        b"--session",
        b"--print-reply",
        b"--dest=org.freedesktop.FileManager1",
        b"/org/freedesktop/FileManager1",
        b"org.freedesktop.FileManager1.ShowItems",
        b"array:string:" + url,
        b"string:",
    )
    return [show, (b"xdg-open", os.path.dirname(path))]


def _runs(command: Sequence[bytes]) -> bool:
    try:
        started = subprocess.Popen(
            [os.fsdecode(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return False
    # Without a desktop environment it becomes the file manager, and lasts as long as that is open.
    stays = command[0] == b"xdg-open"
    try:
        ended = started.wait(FAILS_WITHIN_S if stays else PATIENCE_S)
    except subprocess.TimeoutExpired:
        if not stays:
            started.kill()
        threading.Thread(target=started.wait, name="file manager", daemon=True).start()
        return stays
    # Explorer says 1 even when it has done it.
    return ended == 0 or command[0] == b"explorer"


def browse(path: bytes | None, watched: Iterable[bytes]) -> dict[str, Any]:
    """The folders in a folder (the home without one): `{"path", "parent", "folders", "more"}`.

    Hidden ones and those that cannot be entered are left out. Raises NotFoundError, UsageError.
    """
    path = os.path.normpath(os.fsencode(os.path.expanduser("~")) if path is None else path)
    shown = path.decode("utf-8", "replace")
    known = set(watched)
    found: list[dict[str, Any]] = []
    more = False
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith(b".") or not _is_folder(entry):
                    continue
                if len(found) == MOST_FOLDERS:
                    more = True
                    break
                found.append(
                    {"name": entry.name, "path": entry.path, "watched": entry.path in known}
                )
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"there is no folder {shown}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{shown} cannot be read: {reason}") from None
    parent = os.path.dirname(path)
    return {
        "path": path,
        "parent": None if parent == path else parent,
        "watched": path in known,
        "folders": sorted(found, key=lambda folder: folder["name"].lower()),
        "more": more,
    }


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir() and os.access(entry.path, os.R_OK | os.X_OK)
    except OSError:
        return False

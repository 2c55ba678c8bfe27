"""What the commands share: the way to the daemon, output for people and for programs, exit codes."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from typing import Any

from imgq import terminal
from imgq.client import Client
from imgqd.errors import UsageError

YES, NO, USAGE, NO_DAEMON, FAILED, INTERRUPTED = 0, 1, 2, 3, 4, 130


def client(*, timeout: float | None = 60.0, spawn: bool = False) -> Client:
    """A way to the running daemon. With `spawn` one is started, unless IMGQ_NO_SPAWN forbids it."""
    allowed = os.environ.get("IMGQ_NO_SPAWN", "") in ("", "0")
    return Client(timeout=timeout, spawn=spawn and allowed)


def print_json(value: Any) -> None:
    """One JSON document on standard output, in ASCII so that any terminal takes it."""
    print_text(json.dumps(value, indent=2))


def print_text(text: str) -> None:
    """Text on standard output; characters that it cannot show are escaped, never an error."""
    stream = sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def tell(message: str) -> None:
    """A message to the person, on standard error."""
    terminal.tell(message)


def path_of(entry: str | dict[str, Any]) -> bytes:
    """The exact bytes of a path in an answer."""
    if isinstance(entry, dict):
        if encoded := entry.get("path_b64"):
            import base64

            return base64.b64decode(encoded)
        entry = str(entry.get("path") or "")
    return entry.encode("utf-8", "surrogateescape")


def shown(entry: str | dict[str, Any]) -> str:
    """A path in an answer, for people: harmless, with `~` for the home folder."""
    return terminal.harmless_bytes(terminal.with_tilde(path_of(entry)))


def count(number: int, what: str) -> str:
    """`1 file`, `1,234 files`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def size(number: float) -> str:
    """`93 MB`, `1.4 GB`: in powers of ten, as disks are sold."""
    for unit in ("bytes", "kB", "MB"):
        if number < 999.5:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} GB" if number < 999.5 else f"{number / 1000:.1f} TB"


def folder_arguments(args: Namespace) -> list[bytes]:
    """The DIR arguments as absolute paths, exact bytes."""
    return [os.fsencode(os.path.abspath(os.path.expanduser(name))) for name in args.folders]


def existing_folders(args: Namespace) -> list[bytes]:
    """The same; UsageError for one that is not there, before a daemon is started for it."""
    folders = folder_arguments(args)
    for folder in folders:
        if not os.path.isdir(folder):
            reason = "is not a folder" if os.path.lexists(folder) else "does not exist"
            raise UsageError(f"{terminal.harmless_bytes(folder)} {reason}; check the spelling")
    return folders

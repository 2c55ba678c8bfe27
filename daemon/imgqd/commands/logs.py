"""`imgqd logs`: the daemon's log for a person, from its file or, for a service, from the journal."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections import deque
from collections.abc import Iterator
from typing import Any, BinaryIO

from imgq import terminal
from imgq.locations import locate
from imgqd.commands.common import NO, YES, print_text, tell
from imgqd.errors import ImgqError
from imgqd.lock import holder, is_held

LOOK_EVERY_S = 0.3
SHADES = {"warning": terminal.YELLOW, "error": terminal.RED, "critical": terminal.RED}
# Shown in their own places; what is left is shown as key=value.
PLACED = ("timestamp", "level", "logger", "event", "exception")


def lines_option(text: str) -> int:
    """A number of lines. Raises ValueError, which argparse turns into exit 2."""
    value = int(text)
    if not 0 <= value <= 1_000_000:
        raise ValueError(text)
    return value


def logs_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-n", "--lines", type=lines_option, default=50, metavar="N", help="the last N lines (50)"
    )
    parser.add_argument("--follow", action="store_true", help="go on with what comes, until Ctrl-C")
    parser.add_argument(
        "--json", action="store_true", help="the lines as they are in the file: JSON"
    )


def logs(args: Namespace) -> int:
    """Shows the last lines of the daemon's log; with --follow also what comes.

    Where systemd keeps the daemon the journal has them. Exit code 1 when there is no log.
    Example: imgqd logs --follow
    """
    path = locate().log
    if not args.json and (journal := journal_command(args.lines, follow=args.follow)):
        return subprocess.run(journal, check=False).returncode
    if not os.path.exists(path) and not args.follow:
        tell(f"there is no log yet: {path} is made when the daemon first runs")
        return NO
    for line in log_lines(path, args.lines, follow=args.follow):
        show(line, as_json=args.json)
    return YES


def journal_command(lines: int, *, follow: bool) -> list[str] | None:
    """The journalctl that shows the log, where the daemon of this library is systemd's."""
    locations = locate()
    if sys.platform != "linux" or not is_held(locations.lock) or not shutil.which("journalctl"):
        return None
    from imgqd.service_systemd import Systemd

    try:
        running = Systemd().status(None)["pid"]
    except ImgqError:
        return None
    if running is None or running != holder(locations.lock).pid:
        return None
    command = ["journalctl", "--user", "--unit=imgqd", f"--lines={lines}", "--quiet"]
    return [*command, "--follow"] if follow else command


def log_lines(path: str, number: int, *, follow: bool) -> Iterator[str]:
    """The last lines of the log, those of the file before it included; with `follow` also what is
    written from then on, through every rotation of the file. Raises OSError."""
    kept: deque[bytes] = deque(maxlen=number)
    with contextlib.suppress(FileNotFoundError), open(f"{path}.1", "rb") as before:
        kept.extend(before)
    stream = _opened(path)
    if stream is not None:
        kept.extend(stream)
    rest = b"" if not kept or kept[-1].endswith(b"\n") else kept.pop()
    yield from (line.decode("utf-8", "replace") for line in kept)
    while follow:
        rotated = stream is not None and not _is_still(stream.fileno(), path)
        if stream is not None:
            *whole, rest = (rest + stream.read()).split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in whole)
        if stream is not None and rotated:
            stream.close()
            stream = None
        if stream is None:
            stream = _opened(path)
        if stream is None or not rotated:
            time.sleep(LOOK_EVERY_S)


def _opened(path: str) -> BinaryIO | None:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        return None


def _is_still(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def show(line: str, *, as_json: bool) -> None:
    """One line of the file on standard output."""
    if as_json:
        print_text(terminal.harmless(line.rstrip("\n")))
        return
    coloured = terminal.is_terminal(1) and terminal.wants_colour()
    for part in readable(line, coloured=coloured):
        print_text(part)


def readable(line: str, *, coloured: bool) -> list[str]:
    """A JSON line for a person: time, level, event, the rest; a traceback below it."""
    try:
        entry: dict[str, Any] = json.loads(line)
        when, level = str(entry["timestamp"])[:19].replace("T", " "), str(entry["level"])
        event = str(entry["event"])
    except (ValueError, KeyError, TypeError):
        return [terminal.harmless(line.rstrip("\n"))]
    rest = " ".join(f"{key}={value}" for key, value in entry.items() if key not in PLACED)
    word = terminal.colour(f"{level:<8}", SHADES.get(level, ""), coloured and level in SHADES)
    said = [f"{when} {word} {terminal.harmless(f'{event}  {rest}'.rstrip())}"]
    trace = str(entry.get("exception") or "")
    return said + [f"    {terminal.harmless(part)}" for part in trace.splitlines()]

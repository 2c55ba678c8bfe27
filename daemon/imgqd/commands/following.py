"""`imgqd status`, also as it changes, and the progress that other commands show while they wait."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

from imgq import terminal
from imgq.client import Client
from imgq.errors import ClientError, NoDaemonError
from imgqd.bars import Live, Pace, duration, progress_line
from imgqd.commands.asking import folder_lines, json_option, model_lines, paused_why
from imgqd.commands.common import NO_DAEMON, YES, client, count, print_json, print_text, size, tell

FOLLOW_EVERY_S = 0.5
STAGES = {
    "download": "downloading the model",
    "load": "loading the model",
    "export": "converting the model",
    "check": "checking the model",
    "scan": "looking through the folders",
    "index": "indexing",
    "embed": "embedding with the new model",
}


def status_options(parser: ArgumentParser) -> None:
    json_option(parser)
    parser.add_argument("--follow", action="store_true", help="show it live, until Ctrl-C")


def status(args: Namespace) -> int:
    """Says what the daemon is doing: pictures, folders, model, index, memory.

    With --follow it goes on, with progress bars. Example: imgqd status --follow
    """
    asked = client(timeout=10.0)
    if args.follow:
        return follow(asked, as_json=args.json)
    found = asked.status()
    if args.json:
        print_json(found)
    else:
        for line in status_lines(found, 0.0, _width()):
            print_text(line)
    return YES


def follow(asked: Client, *, as_json: bool) -> int:
    """Shows the status again and again; ends when the daemon does."""
    live, pace = Live(sys.stdout), Pace()
    previous: dict[str, Any] = {}
    while True:
        try:
            found = asked.status()
        except NoDaemonError:
            if not previous:
                raise
            tell("the daemon has stopped")
            return NO_DAEMON
        if as_json:
            if _without_clock(found) != _without_clock(previous):
                print_text(json.dumps(found))
        else:
            progress = found.get("progress") or {}
            pace.add(time.monotonic(), int(progress.get("done") or 0))
            if live.moves:
                live.draw(_fitting(status_lines(found, pace.rate(), _width())))
            else:
                live.draw([state_line(found, pace.rate(), 100)])
        previous = found
        time.sleep(FOLLOW_EVERY_S)


def _without_clock(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key not in ("uptime_s", "memory_bytes")}


def _width() -> int:
    return min(terminal.width(1), 120) - 1


def _fitting(lines: list[str]) -> list[str]:
    """Lines that neither wrap nor scroll: what is drawn over itself must stay in its place."""
    try:
        rows = os.get_terminal_size(1).lines
    except OSError:
        rows = 0
    most = max((rows or 24) - 2, 3)
    if len(lines) > most:
        lines = [*lines[: most - 1], f"  ... and {len(lines) - most + 1} more"]
    return [terminal.shortened(line, max(terminal.width(1) - 1, 20)) for line in lines]


def status_lines(found: dict[str, Any], rate: float, width: int) -> list[str]:
    """The whole status for people, at most `width` columns where that can be helped."""
    index, queries = found.get("index") or {}, found.get("queries") or {}
    model = model_lines(found.get("model") or {})
    rows = [
        ("imgqd", f"{found['version']}, pid {found['pid']}, up {duration(found['uptime_s'])}"),
        ("state", state_line(found, rate, width - 11)),
        ("pictures", _pictures(found)),
        *[("model" if not number else "", line) for number, line in enumerate(model)],
        ("index", _index(index)),
        ("queries", _queries(queries)),
        ("memory", size(float(found.get("memory_bytes") or 0))),
    ]
    for key, label in (("failure", "failure"), ("notice", "notice"), ("watch_limit", "watching")):
        if found.get(key):
            rows.append((label, str(found[key])))
    lines = [f"{label:<9}  {terminal.harmless(text)}".rstrip() for label, text in rows]
    folders = found.get("folders") or []
    lines.append("folders" if folders else "folders    none yet; add one: imgqd add ~/Pictures")
    lines += [f"  {line}" for line in folder_lines(folders)]
    return lines


def state_line(found: dict[str, Any], rate: float, width: int) -> str:
    """`idle`, or what is being done with a bar."""
    progress = found.get("progress") or {}
    stage, detail = str(progress.get("stage") or ""), str(progress.get("detail") or "")
    state = str(found.get("state") or "")
    if found.get("paused"):
        state = paused_why(found)
    if not stage:
        return state
    label = state if found.get("paused") else STAGES.get(stage, stage)
    if detail and detail != "paused" and stage not in ("index", "scan"):
        label = f"{label} ({detail})"
    done, total = int(progress.get("done") or 0), int(progress.get("total") or 0)
    # A stage of one step has nothing to count.
    if total <= 1 and stage != "index":
        return terminal.shortened(label, max(width, 20))
    said = size if stage == "download" else "{:,}".format
    return progress_line(label, done, total, rate, width, said=said)


def _pictures(found: dict[str, Any]) -> str:
    text = f"{count(int(found.get('pictures') or 0), 'picture')} in "
    text += count(int(found.get("files") or 0), "file")
    if pending := int(found.get("pending") or 0):
        text += f"; {pending:,} pending"
    if problems := int(found.get("problems") or 0):
        text += f"; {count(problems, 'problem')} (imgqd problems)"
    return text


def _index(index: dict[str, Any]) -> str:
    if not index.get("kind"):
        return "not ready yet"
    rebuilding = ", being rebuilt" if index.get("rebuilding") else ""
    return f"{index['kind']}, {count(int(index.get('vectors') or 0), 'vector')}{rebuilding}"


def _queries(queries: dict[str, Any]) -> str:
    answered = int(queries.get("count") or 0)
    if not answered or queries.get("p50_ms") is None:
        return "none yet"
    return (
        f"{answered:,} answered; half within {queries['p50_ms']:.3g} ms, "
        f"95% within {queries['p95_ms']:.3g} ms"
    )


@contextlib.contextmanager
def waiting(asked: Client) -> Iterator[None]:
    """Shows how far the daemon is on standard error while calls of `asked` take their time."""
    live, pace = Live(sys.stderr), Pace()
    side = Client(timeout=5.0)
    due = time.monotonic() + FOLLOW_EVERY_S

    def tick(_: str) -> None:
        nonlocal due
        now = time.monotonic()
        if now < due or not live.moves:
            return
        due = now + FOLLOW_EVERY_S
        try:
            found = side.status()
        except ClientError:
            return
        pace.add(now, int((found.get("progress") or {}).get("done") or 0))
        live.draw([state_line(found, pace.rate(), min(terminal.width(2), 120) - 1)])

    asked.on_wait = tick
    try:
        yield
    finally:
        asked.on_wait = None
        live.clear()

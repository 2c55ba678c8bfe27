"""The answer of --facets as text: a table for people, tab-separated lines in a pipe, or JSON."""

from __future__ import annotations

import os

from imgq.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from imgq.arguments import Parsed
    from imgq.query import Request

# With TEXT the best so many results are counted, unless -n says otherwise.
TOP = 100
# A person sees so many lines of each facet; a pipe and --json have all.
MOST_LINES = 15


def prepare(parsed: Parsed, request: Request) -> None:
    """Makes a search request one for facets. Raises UsageError for output that is not for counts."""
    from imgq.together import counted

    counted(parsed)
    if parsed.format not in (None, "list", "json"):
        raise UsageError("--facets shows counts: as a table, or with --json")
    if "top" not in parsed.one:
        request["top"] = TOP


def render(answer: dict[str, Any], *, json: bool, terminal: bool) -> bytes:
    """The whole answer."""
    if json:
        from imgq.output import json_text

        return json_text(answer, terminal)
    if terminal:
        from imgq.output import terminal_encoded

        return b"".join(terminal_encoded(f"{line}\n") for line in table(answer))
    lines = [
        name.encode() + b"\t" + _exact(item) + b"\t%d\n" % item["count"]
        for name, items in answer["facets"].items()
        for item in items
    ]
    return b"".join(lines)


def table(answer: dict[str, Any]) -> list[str]:
    """For a person: `value  count`, under a heading for each facet that has something to tell."""
    from imgq import terminal
    from imgq.watch import count

    coloured = terminal.wants_colour()
    lines = [count(int(answer["total"]), "picture")]
    for name, items in answer["facets"].items():
        if not items:
            continue
        lines += ["", terminal.colour(name, terminal.BOLD, coloured)]
        shown = [(_shown(name, item), f"{item['count']:,}") for item in items[:MOST_LINES]]
        digits = max(len(number) for _, number in shown)
        room = max(terminal.width() - digits - 4, 16)
        lines += [f"  {number:>{digits}}  {terminal.shortened(v, room)}" for v, number in shown]
        if len(items) > MOST_LINES:
            lines.append(f"  {'':>{digits}}  and {len(items) - MOST_LINES:,} more: --json")
    return lines


def _exact(item: dict[str, Any]) -> bytes:
    if encoded := item.get("value_b64"):
        from binascii import a2b_base64

        return a2b_base64(encoded)
    value: str = item["value"]
    return value.encode("utf-8", "surrogateescape")


def _shown(name: str, item: dict[str, Any]) -> str:
    from imgq import terminal

    value = _exact(item)
    if name == "folder":
        value = terminal.with_tilde(value)
    return terminal.harmless(os.fsdecode(value))

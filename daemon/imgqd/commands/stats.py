"""`imgqd stats`: how the daemon is used and what the library holds, with bars, for a person."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from imgq import terminal
from imgqd.bars import bar
from imgqd.commands.asking import json_option
from imgqd.commands.common import YES, client, count, print_json, print_text, tell

MOST_LINES = 10
MOST_LABEL = 24
CELLS = 24
FACETS = (("year", "by year"), ("format", "by format"), ("camera", "by camera"))


def days(text: str) -> int:
    """A number of days within what is kept. Raises ValueError, which argparse makes exit 2."""
    value = int(text)
    if not 1 <= value <= 400:
        raise ValueError(text)
    return value


def stats_options(parser: ArgumentParser) -> None:
    json_option(parser)
    parser.add_argument(
        "--days", type=days, default=14, metavar="N", help="tell the last N days one by one (14)"
    )
    parser.add_argument(
        "--forget-words", action="store_true", help="forget the words of all searches"
    )


def stats(args: Namespace) -> int:
    """Says how the daemon is used: searches a day, times, words; and what the library holds.

    The words stay in the library; the setting count_words switches them off.
    Example: imgqd stats --days 30
    """
    asked = client()
    if args.forget_words:
        tell(f"{count(asked.forget_words(), 'word')} forgotten")
        return YES
    used = asked.stats(days=args.days)
    facets = asked.facets({"terms": []})
    counted = {name: facets["facets"][name] for name, _ in FACETS}
    if args.json:
        print_json({**used, "library": {"total": facets["total"], **counted}})
        return YES
    for line in lines(used, int(facets["total"]), counted):
        print_text(line)
    return YES


def lines(used: dict[str, Any], total: int, counted: dict[str, Any]) -> list[str]:
    """Everything for a person."""
    said = [count(int(used["searches"]), "search").replace("searchs", "searches")]
    if used["since"]:
        said[0] += (
            f" since {used['since']}; half within {used['p50_ms']:.3g} ms,"
            f" 95% within {used['p95_ms']:.3g} ms"
        )
    said += chart(
        "searches a day",
        [
            (day["day"], day["searches"], f"95% within {day['p95_ms']:.3g} ms")
            for day in used["days"]
        ],
        most=400,
    )
    if used["words_kept"] or used["words"]:
        said += chart("words", [(word["word"], word["searches"], "") for word in used["words"]])
    if not used["words_kept"]:
        said += ["", "words are not counted (setting count_words)"]
    said += ["", f"{count(total, 'picture')} in the library"]
    for name, title in FACETS:
        said += chart(title, [(item["value"], item["count"], "") for item in counted[name]])
    return said


def chart(title: str, rows: list[tuple[str, int, str]], *, most: int = MOST_LINES) -> list[str]:
    """A heading and a bar for each of `rows` (label, number, remark); nothing when there is none."""
    if not rows:
        return []
    shown = [
        (terminal.shortened(terminal.harmless(label), MOST_LABEL), number, remark)
        for label, number, remark in rows[:most]
    ]
    widest = max(terminal.columns_of(label) for label, _, _ in shown)
    largest = max(number for _, number, _ in shown)
    digits = max(len(f"{number:,}") for _, number, _ in shown)
    coloured = terminal.is_terminal(1) and terminal.wants_colour()
    drawn = ["", terminal.colour(title, terminal.BOLD, coloured)]
    for label, number, remark in shown:
        pad = " " * (widest - terminal.columns_of(label))
        line = f"  {label}{pad}  {bar(number, largest, CELLS)}  {number:>{digits},}  {remark}"
        drawn.append(line.rstrip())
    if len(rows) > most:
        drawn.append(f"  and {len(rows) - most:,} more: --json")
    return drawn

"""The commands that take what a person said of pictures elsewhere: export and import.

The file has one JSON object a line, for each content: it means the same on another machine, under
other paths and ids.
"""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from imgqd.commands.common import YES, count, print_text, shown, tell
from imgqd.errors import UsageError

KEYS = ("content_hash", "tags", "description", "fields", "category")
MOST_LINE = 1 << 20


def export_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "file", nargs="?", default="-", metavar="FILE", help="default: standard output"
    )


def export(args: Namespace) -> int:
    """Writes what you said of pictures (tags, descriptions, fields, categories) as JSON lines.

    Works without a running daemon too. Example: imgqd export ~/said.jsonl
    """
    from imgqd.commands.running import with_daemon

    records = with_daemon(lambda asked: {"records": list(asked.export())})["records"]
    lines = [json.dumps(record) for record in records]
    if args.file == "-":
        for line in lines:
            print_text(line)
        return YES
    target = os.path.abspath(os.path.expanduser(args.file))
    beside = f"{target}.new"
    with open(beside, "w", encoding="ascii") as stream:
        stream.writelines(f"{line}\n" for line in lines)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(beside, target)
    tell(f"{shown(target)}: what you said of {count(len(lines), 'picture')}")
    return YES


def import_(args: Namespace) -> int:
    """Takes in what `imgqd export` wrote, here or on another machine; nothing else is taken away.

    What belongs to files that are not here is kept for a month, until they come. `-` is standard
    input. Example: imgqd import ~/said.jsonl
    """
    from imgqd.commands.running import with_daemon

    if args.file == "-":
        records = read_records(sys.stdin.buffer, "standard input")
    else:
        path = os.path.expanduser(args.file)
        with open(path, "rb") as stream:
            records = read_records(stream, path)
    done = with_daemon(lambda asked: asked.import_records(records))
    later = f"; {done['kept']:,} more are kept until their files come" if done["kept"] else ""
    tell(f"{count(done['here'], 'picture')} changed{later}")
    return YES


def read_records(stream: Any, name: str) -> list[dict[str, Any]]:
    """The records in JSON lines, with the keys that matter. Raises UsageError naming the line."""
    records = []
    for number, line in enumerate(iter(lambda: stream.readline(MOST_LINE + 1), b""), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            if not isinstance(record, dict) or "content_hash" not in record:
                raise ValueError
        except (ValueError, RecursionError):
            raise UsageError(
                f"{shown(name)}, line {number}: this is not a line of `imgqd export`; "
                "nothing was changed"
            ) from None
        records.append({key: record[key] for key in KEYS if key in record})
    return records

"""Why an answer is empty or not complete yet: what the daemon's status and the options can tell.

What a plain answer needs is cli.py's; this costs a second request.
"""

from __future__ import annotations

import os

from imgq.errors import ClientError
from imgq.terminal import tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from imgq.arguments import Parsed
    from imgq.client import Client

NO_FOLDERS = "no folder is watched yet; start with: imgq --watch ~/Pictures TEXT"


def explain(parsed: Parsed, client: Client, *, nothing: bool, otherwise: str) -> None:
    """Tells the reason; `otherwise` (where there is such a word) when nothing is wrong.

    `nothing`: the answer is empty. Where the daemon does not say, nothing is said.
    """
    from imgq.watch import count

    client.spawn, client.timeout = False, 5.0
    try:
        status = client.status()
    except ClientError:
        return
    pending = int(status.get("pending") or 0)
    if not status.get("folders", True):
        tell(f"imgq: {NO_FOLDERS}")
    elif pending:
        empty = "Nothing found yet: " if nothing else ""
        tell(f"{empty}{count(pending, 'file')} still to be indexed; see: imgqd status")
    elif nothing and (why := _wrong_folder(parsed.all("in"), status)):
        tell(f"Nothing found: --in {why}")
    elif nothing and otherwise:
        tell(otherwise)


def nothing_found(parsed: Parsed) -> str:
    """What a person is told of an empty answer when there is no other reason."""
    if parsed.one.get("offset", "0").strip("0"):
        return f"Nothing found after the first {parsed.one['offset']} (--offset)."
    after, before = parsed.one.get("after", ""), parsed.one.get("before", "")
    if _is_date(after) and _is_date(before) and before <= after:
        return (
            f"Nothing found: --before {before} means until {before} begins, and --after {after}"
            f" from when {after} begins; no time is in both."
        )
    if "category" in parsed.one:
        return "Nothing found; imgq --facets lists the categories that there are."
    return "Nothing found."


def _is_date(text: str) -> bool:
    """True for 2024, 2024-06 and 2024-06-30, which stand in the order of time as texts do."""
    parts = text.split("-")
    return [len(part) for part in parts] == [4, 2, 2][: len(parts)] and all(
        part.isascii() and part.isdigit() for part in parts
    )


def _wrong_folder(folders: Sequence[str], status: dict[str, Any]) -> str | None:
    """What is wrong with the first folder that cannot hold results: more likely a slip than a wish."""
    from imgq.answers import exact_path
    from imgq.query import absolute

    watched = [os.path.realpath(exact_path(folder)) for folder in status.get("folders", ())]
    for folder in folders:
        path = absolute(folder)
        if not os.path.lexists(path):
            return f"{folder} does not exist"
        if not os.path.isdir(path):
            return f"{folder} is not a folder"
        real = os.fsencode(os.path.realpath(path))
        if not any(os.path.commonpath((real, above)) in (real, above) for above in watched):
            return f"{folder} is not watched; start with: imgq --watch {folder}"
    return None

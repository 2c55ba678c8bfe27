"""Which options go together: an option that would be passed over without a word is refused."""

from __future__ import annotations

from imgq.errors import UsageError
from imgq.options import SAY, TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from imgq.arguments import Parsed

# What each of these takes beside itself. All take --timeout, and --save takes a whole question.
_TAKES = {
    "completions": frozenset[str](),
    "duplicates": frozenset({"in", "threshold", "json", "paths", "print0"}),
    "forget": frozenset[str](),
    "history": frozenset({"top", "json"}),
    "saved": frozenset({"json"}),
}
_COMMANDS = frozenset({*_TAKES, "save"})
_NOT_COUNTED = ("preview", "offset", "open", "copy-to", "link-to", "web")


def asked_alone(parsed: Parsed) -> None:
    """For --history, --save and the others of asked.py. Raises UsageError."""
    given = [option.key for option in TABLE if option.key in _COMMANDS and parsed.has(option.key)]
    if "threshold" in parsed.one and "duplicates" not in given:
        raise UsageError("--threshold says how alike --duplicates are; add --duplicates")
    command = given[0]
    if command == "save":
        _refuse(parsed, "save", _COMMANDS.union(_keys(SAY)) - {"save"})
        return
    every = {option.key for option in TABLE}
    _refuse(parsed, command, every - _TAKES[command] - {command, "timeout"})
    if any(word.strip() for word in parsed.words) and command != "duplicates":
        raise UsageError(f"--{command} takes no TEXT, such as {parsed.words[0]!r}; leave it out")


def said_alone(parsed: Parsed, command: str) -> None:
    """For the options that say something of pictures. Raises UsageError."""
    every = {option.key for option in TABLE}
    why = "; it is for the pictures that are named, such as id:12"
    _refuse(parsed, command, every - _keys(SAY) - {"timeout"}, why)


def counted(parsed: Parsed) -> None:
    """For --facets. Raises UsageError."""
    _refuse(parsed, "facets", _NOT_COUNTED, ", which counts: as a table, or with --json")


def _keys(group: str) -> frozenset[str]:
    return frozenset(option.key for option in TABLE if option.group == group)


def _refuse(parsed: Parsed, command: str, keys: Iterable[str], why: str = "") -> None:
    unwanted = frozenset(keys)
    for option in TABLE:
        if option.key in unwanted and parsed.has(option.key):
            ending = why or "; leave one out"
            raise UsageError(f"{option.names[-1]} does not go with --{command}{ending}")

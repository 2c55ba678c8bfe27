"""Unit files as text: quoting as systemd reads it, lines replaced, a part left out.

What is written into them, and why, is service_systemd.py's and systemd/'s business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from imgqd.errors import UsageError
from imgqd.service import ServiceError

_NAMESPACES = "# -- Hardening that needs namespaces."
_LEFT_OUT = "# -- Left out, and why."
_WITHOUT = (
    "# -- Hardening that needs namespaces is left out: this machine does not let users make them.\n"
)


def specifiers(text: str) -> str:
    """Text that systemd takes literally. Raises UsageError for what a unit file cannot hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        shown = text.encode("utf-8", "backslashreplace").decode()
        raise UsageError(
            f"{shown} is not valid UTF-8, which systemd needs; set IMGQ_HOME"
        ) from None
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise UsageError(f"{text!r} has control characters, which systemd does not take")
    return text.replace("%", "%%")


def command_line(words: Sequence[str]) -> str:
    """A command of a unit file. Raises UsageError for a program whose path systemd refuses."""
    program, *arguments = words
    if set(program) & set("\"'\\"):
        raise UsageError(
            f"systemd starts no program whose path has quotes or backslashes: {program}; "
            "install imgq in another folder"
        )
    return " ".join([word(program), *(word(text.replace("$", "$$")) for text in arguments)])


def word(text: str) -> str:
    """One word of a unit file, quoted where that is needed."""
    text = specifiers(text)
    if text and not set(text) & set(" \t'\"\\;"):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def changed(text: str, changes: Mapping[str, Iterable[str]]) -> str:
    """A unit file with the lines of some keys replaced; each key must be there."""
    lines = text.splitlines()
    for key, values in changes.items():
        places = [i for i, line in enumerate(lines) if line.startswith(f"{key}=")]
        if not places:
            raise ServiceError(f"the unit has no {key}=; install imgq again")
        first, others = places[0], set(places)
        new = [f"{key}={value}" for value in values]
        kept = [line for i, line in enumerate(lines) if i not in others]
        lines = kept[:first] + new + kept[first:]
    return "\n".join(lines) + "\n"


def without_namespaces(text: str) -> str:
    """The unit for machines where users cannot make namespaces; other texts stay as they are."""
    before, found, rest = text.partition(_NAMESPACES)
    return f"{before}{_WITHOUT}\n{_LEFT_OUT}{rest.partition(_LEFT_OUT)[2]}" if found else text

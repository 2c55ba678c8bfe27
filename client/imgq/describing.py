"""The options that say something of pictures: from what was typed to one change, and a word on it."""

from __future__ import annotations

from imgq.errors import UsageError
from imgq.options import SAY, TABLE
from imgq.together import said_alone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from imgq.arguments import Parsed
    from imgq.client import Client

MOST_IDS = 1000


def change(parsed: Parsed) -> dict[str, Any]:
    """What `Client.annotate` takes. Raises UsageError."""
    given = [option for option in TABLE if option.group == SAY and option.key in parsed.one]
    if "describe" in parsed.one:
        if len(given) > 1:
            other = next(option.key for option in given if option.key != "describe")
            raise UsageError(f"--describe goes alone, its words are the text; leave out --{other}")
        if not parsed.words:
            raise UsageError('--describe id:N needs its text: imgq --describe id:12 "our cat"')
        ids = [picture_id(parsed.one["describe"], "--describe")]
        return {"ids": ids, "description": _text(" ".join(parsed.words), "--describe")}
    name = f"--{given[0].key}"
    ids = [picture_id(word, name) for word in parsed.words]
    if not ids:
        raise UsageError(f"{name} needs to know which pictures: {given[0].example}")
    if len(ids) > MOST_IDS:
        raise UsageError(
            f"{name}: {len(ids)} pictures are too many at once; {MOST_IDS} is the most"
        )
    asked: dict[str, Any] = {"ids": ids}
    if tags := parsed.all("tag-add"):
        asked["add_tags"] = [_text(tag, "--tag-add") for tag in tags]
    if tags := parsed.all("tag-remove"):
        asked["remove_tags"] = [_text(tag, "--tag-remove") for tag in tags]
    if pairs := parsed.all("set"):
        asked["fields"] = dict(pair(text, "--set") for text in pairs)
    if "set-category" in parsed.one:
        asked["category"] = _text(parsed.one["set-category"], "--set-category")
    return asked


def run(parsed: Parsed, client: Client) -> None:
    """Makes the change and says so."""
    from imgq.terminal import tell
    from imgq.watch import count

    asked = change(parsed)
    if parsed.format is not None:
        raise UsageError(f"--{parsed.format} has nothing to show: this is a change, not a question")
    said_alone(parsed, next(o.key for o in TABLE if o.group == SAY and o.key in parsed.one))
    changed = client.annotate(**asked)["changed"]
    tell(f"{count(int(changed), 'picture')} changed")


def picture_id(text: str, what: str) -> int:
    """The number in `id:N`. Raises UsageError."""
    digits = text[3:] if text[:3].lower() == "id:" else ""
    if not (digits.isascii() and digits.isdigit() and 0 < len(digits) <= 18):
        raise UsageError(
            f"{what}: {text!r} is not the id of a picture, such as id:12; imgq --json shows ids"
        )
    return int(digits)


def pair(text: str, what: str) -> tuple[str, str]:
    """`key=value`. Raises UsageError."""
    key, equals, value = _text(text, what).partition("=")
    if not equals or not key.strip():
        raise UsageError(f"{what}: {text!r} is not key=value; for example {what} print=A4")
    return key.strip(), value.strip()


def _text(text: str, what: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(f"{what} is not valid text in this terminal's encoding") from None
    return text

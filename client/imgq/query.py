"""From what was typed to the request that the daemon understands.

Owns the syntax of TEXT (` + `, `TERM^2`), of examples (file, URL, id:N, -) and of the filters'
values. Dates and formats are passed on as typed: the daemon knows them.
"""

from __future__ import annotations

import os
import sys

from imgq.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from imgq.arguments import Parsed

    Request = dict[str, Any]

# Base64 makes it a third larger on the way; far more than any photo, far less than memory.
EXAMPLE_BYTES = 64 * 1024 * 1024

SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-")


def number(text: str, what: str) -> float:
    """A finite number written in plain digits; UsageError naming `what` otherwise."""
    try:
        # float() also reads "1_0" and digits of other scripts, which nobody means.
        if "_" in text or not text.isascii() or text != text.strip():
            raise ValueError
        value = float(text)
    except ValueError:
        raise UsageError(f"{what}: {text!r} is not a number") from None
    if value - value != 0.0:
        raise UsageError(f"{what}: {text!r} is not a finite number")
    return value


def whole(text: str, what: str, least: int, most: int) -> int:
    """A whole number in least..most; UsageError naming `what` otherwise."""
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or not least <= int(text) <= most:
        raise UsageError(f"{what}: {text!r} is not a whole number from {least} to {most}")
    return int(text)


# What the page's search box and the API's `q` are called in messages; they know no options.
BOX = "the question"
_AS_IT_STANDS = {
    "TEXT": "; --literal takes ^ as it stands",
    "--not": "; --literal takes ^ as it stands",
    BOX: "; in quotes ^ is taken as it stands",
}


def weighted(text: str, what: str) -> tuple[str, float]:
    """Splits `TERM^W`; the weight is 1 when there is none. UsageError for a senseless weight."""
    term, caret, weight = text.rpartition("^")
    if not caret:
        return text, 1.0
    try:
        value = number(weight, what)
    except UsageError:
        value = 0.0
    if value <= 0.0:
        hint = _AS_IT_STANDS.get(what, "")
        raise UsageError(
            f"{what}: the weight {weight!r} in {text!r} is not a finite number above 0{hint}"
        )
    if not term.strip():
        raise UsageError(f"{what}: there is nothing before {caret + weight!r}")
    return term, value


def text_terms(text: str, *, literal: bool = False) -> list[Request]:
    """TEXT as terms: ` + ` joins several, `^W` weighs one. Raises UsageError."""
    text = checked_text(text, "TEXT")
    if literal:
        return [{"text": text}]
    terms = []
    for part in f" {text} ".split(" + "):
        part = part.strip()
        if not part or part == "+" or part.startswith("+ "):
            raise UsageError(
                f"TEXT: there is nothing to add on one side of + in {text!r}; "
                "--literal takes + as it stands"
            )
        terms.append(text_term(part, "TEXT"))
    return terms


def text_term(text: str, what: str, *, literal: bool = False) -> Request:
    """One `TERM[^W]`. Raises UsageError."""
    if literal:
        return {"text": checked_text(text, what)}
    term, weight = weighted(checked_text(text, what), what)
    return {"text": term} if weight == 1.0 else {"text": term, "weight": weight}


def checked_text(text: str, what: str) -> str:
    """`text` itself; UsageError when it is empty or holds bytes that are no characters."""
    if not text.strip():
        raise UsageError(f"{what} is empty; say what to look for")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(f"{what} is not valid text in this terminal's encoding") from None
    return text


class Examples:
    """Reads example pictures; remembers how much was read, and that standard input is used up."""

    def __init__(self) -> None:
        self.left = EXAMPLE_BYTES
        self.stdin_used = False

    def term(self, text: str, what: str) -> Request:
        """One `X[^W]`. A file that exists under the whole name wins. Raises UsageError."""
        name, weight = text, 1.0
        if "^" in text and (_is_special(text) or not os.path.lexists(text)):
            before = text.rpartition("^")[0]
            if before and (_is_special(text) or before == "-" or os.path.lexists(before)):
                name, weight = weighted(text, what)
        term = self._source(name, what)
        if weight != 1.0:
            term["weight"] = weight
        return term

    def _source(self, name: str, what: str) -> Request:
        lower = name.lower()
        if lower.startswith(("http://", "https://")):
            return {"url": checked_text(name, what)}
        if lower.startswith("id:"):
            digits = name[3:]
            if not (digits.isascii() and digits.isdigit() and 0 < len(digits) <= 18):
                raise UsageError(
                    f"{what}: {name!r} is not the id of a picture, such as id:12; "
                    f"for a file of that name: ./{name}"
                )
            return {"id": int(digits)}
        data = self._stdin(what) if name == "-" else self._file(name, what)
        return self.bytes_term(data, what, name)

    def bytes_term(self, data: bytes, what: str, name: str = "-") -> Request:
        """An example that is already in memory; `name` is for messages. Raises UsageError."""
        from binascii import b2a_base64

        if not data:
            raise UsageError(f"{what}: {_shown(name)} is empty; give a picture")
        self.left -= len(data)
        if self.left < 0:
            raise _too_large(name, what)
        return {
            "image": b2a_base64(data, newline=False).decode("ascii"),
            "name": os.fsencode(os.path.basename(name)).decode("utf-8", "replace"),
        }

    def _stdin(self, what: str) -> bytes:
        if self.stdin_used:
            raise UsageError(f"{what}: standard input can be an example only once")
        if sys.stdin is None or os.isatty(0):
            raise UsageError(f"{what}: standard input is no picture; pipe one: ... | imgq {what} -")
        self.stdin_used = True
        try:
            return self._bounded(0, "standard input", what)
        except OSError as error:
            raise _unreadable("standard input", what, error) from None

    def _file(self, name: str, what: str) -> bytes:
        try:
            descriptor = os.open(_home(name), os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except (OSError, ValueError) as error:
            raise _unreadable(name, what, error) from None
        try:
            return self._bounded(descriptor, name, what)
        except OSError as error:
            raise _unreadable(name, what, error) from None
        finally:
            os.close(descriptor)

    def _bounded(self, descriptor: int, name: str, what: str) -> bytes:
        parts = []
        left = self.left
        while part := os.read(descriptor, 1 << 20):
            left -= len(part)
            if left < 0:
                raise _too_large(name, what)
            parts.append(part)
        return b"".join(parts)


def _is_special(text: str) -> bool:
    lower = text.lower()
    return lower.startswith(("http://", "https://", "id:", "-^"))


def _shown(name: str) -> str:
    return "standard input" if name == "-" else name


def _too_large(name: str, what: str) -> UsageError:
    return UsageError(
        f"{what}: {_shown(name)} is too large: examples may have {EXAMPLE_BYTES >> 20} MB "
        "together; make it smaller"
    )


def _unreadable(name: str, what: str, error: Exception) -> UsageError:
    reason = getattr(error, "strerror", None) or str(error)
    hint = "check its name and permissions"
    if "://" in name:
        hint = "only http and https URLs are fetched"
    elif name != "-" and os.path.isdir(_home(name)):
        hint = "name a picture in it"
    return UsageError(f"{what}: {_shown(name)} cannot be read: {reason}; {hint}")


def path_value(path: str | bytes) -> str | dict[str, str]:
    """A path as the API takes it: text where it is valid UTF-8, else exact bytes in base64."""
    raw = os.fsencode(path)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        from binascii import b2a_base64

        return {"path_b64": b2a_base64(raw, newline=False).decode("ascii")}


def absolute(path: str) -> str:
    """`path` made absolute, with `~` as a shell would have replaced it after `--in=`."""
    return os.path.abspath(_home(path))


def _home(path: str) -> str:
    if path.startswith("~") and not os.path.lexists(path):
        return os.path.expanduser(path)
    return path


def folder_values(paths: Iterable[str]) -> list[str | dict[str, str]]:
    """Folders as the API takes them: as typed and, where links make it differ, as resolved."""
    values = []
    for path in paths:
        try:
            typed = absolute(path)
            values.append(path_value(typed))
            # Of what was typed: abspath has already taken out `..`, which links can make wrong.
            resolved = os.path.realpath(path if os.path.lexists(path) else typed)
        except OSError:
            continue
        except ValueError:
            raise UsageError(f"--in: {path!r} cannot be the name of a folder") from None
        if resolved != typed:
            values.append(path_value(resolved))
    return values


def build(parsed: Parsed) -> Request:
    """The body of POST /v1/search. Reads example files. Raises UsageError."""
    literal = "literal" in parsed.flags
    request: Request = {}
    # Everything that can be wrong without reading a file is looked at first.
    request["top"] = whole(parsed.one.get("top", "10"), "-n", 1, 1000)
    if "offset" in parsed.one:
        request["offset"] = whole(parsed.one["offset"], "--offset", 0, 10**9)
    request.update(filters(parsed))
    text = " ".join(parsed.words)
    terms = text_terms(text, literal=literal) if text.strip() else []
    for value in parsed.all("not"):
        terms.append({**text_term(value, "--not", literal=literal), "negative": True})
    examples = Examples()
    terms += [examples.term(value, "--like") for value in parsed.all("like")]
    for value in parsed.all("not-like"):
        terms.append({**examples.term(value, "--not-like"), "negative": True})
    request["terms"] = terms
    if "all" in parsed.flags:
        request["all"] = True
    if literal:
        request["literal"] = True
    for key in ("relevant", "diverse"):
        if key in parsed.flags:
            request[key] = True
    if "expand" in parsed.one:
        request["expand"] = parsed.one["expand"]
    return request


def filters(parsed: Parsed) -> Request:
    """The part of a request that says which pictures. Raises UsageError."""
    one = parsed.one
    request: Request = {}
    if folders := parsed.all("in"):
        request["in"] = folder_values(folders)
    for key in ("after", "before", "camera"):
        if key in one:
            request[key] = checked_text(one[key], f"--{key}")
    if types := parsed.all("type"):
        request["types"] = words = [
            word for value in types for part in value.split(",") if (word := part.strip().lower())
        ]
        if not words:
            raise UsageError("--type names no format; for example --type jpeg,png")
    if "near" in one:
        request["near"] = near(one["near"])
    if tags := parsed.all("tag"):
        request["tags"] = [checked_text(tag, "--tag") for tag in tags]
    if "category" in one:
        request["category"] = checked_text(one["category"], "--category")
    if "rating" in one:
        request["rating"] = stars(one["rating"])
    if words := parsed.all("text"):
        request["words"] = checked_text(" ".join(words), "--text")
    if pairs := parsed.all("where"):
        from imgq.describing import pair

        request["where"] = fields = [
            {"key": key, "value": value} for key, value in (pair(p, "--where") for p in pairs)
        ]
        if empty := next((field["key"] for field in fields if not field["value"]), None):
            raise UsageError(f"--where: {empty}= needs a value; for example --where print=A4")
    if "min-size" in one:
        request["min_size"] = size(one["min-size"])
    if "orientation" in one:
        request["orientation"] = one["orientation"]
    if "min-score" in one:
        request["min_score"] = score = number(one["min-score"], "--min-score")
        if not -1.0 <= score <= 1.0:
            raise UsageError(f"--min-score: {one['min-score']} is not between -1 and 1")
    return request


def stars(text: str) -> int:
    """A rating from -1 (rejected) to 5. Raises UsageError."""
    if text not in ("-1", "0", "1", "2", "3", "4", "5"):
        raise UsageError(f"--rating: {text!r} is not a number of stars from 0 to 5 (-1: rejected)")
    return int(text)


def quoted(arguments: list[str]) -> str:
    """Arguments as one line that a shell reads as the same arguments."""
    return " ".join(
        argument
        if argument and SAFE.issuperset(argument)
        else "'" + argument.replace("'", "'\"'\"'") + "'"
        for argument in arguments
    )


def typed(arguments: list[str]) -> str:
    """A command line as the history shows it."""
    return os.fsencode(quoted(arguments)).decode("utf-8", "replace")[:10_000]


def near(text: str) -> list[float]:
    """`LAT,LON,KM` as three numbers in degrees, degrees and kilometres. Raises UsageError."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3:
        raise UsageError(f"--near: {text!r} is not LAT,LON,KM; for example --near -33.9,18.4,10")
    latitude, longitude, radius = (number(part, "--near") for part in parts)
    if not -90.0 <= latitude <= 90.0:
        raise UsageError(f"--near: the latitude {parts[0]} is not between -90 and 90")
    if not -180.0 <= longitude <= 180.0:
        raise UsageError(f"--near: the longitude {parts[1]} is not between -180 and 180")
    if not 0.0 < radius <= 40_000.0:
        raise UsageError(
            f"--near: the distance {parts[2]} is not above 0 and at most 40000 kilometres"
        )
    return [latitude, longitude, radius]


def size(text: str) -> list[int]:
    """`WxH` in pixels. Raises UsageError."""
    width, cross, height = text.lower().replace("×", "x").partition("x")
    if not cross:
        raise UsageError(f"--min-size: {text!r} is not WxH; for example --min-size 1920x1080")
    return [whole(part.strip(), "--min-size", 0, 10**6) for part in (width, height)]

"""An answer as text: the terminal's list, paths, NUL, scores, JSON, JSON lines, CSV, own format.

Everything is made as bytes, because file names are bytes; `write` puts them out and says what went
wrong when it could not.
"""

from __future__ import annotations

import os
import sys

from imgq.errors import OutputError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imgq.answers import Answer, Result

CSV_COLUMNS = (
    "rank", "id", "score", "path", "width", "height", "format", "bytes", "taken", "modified",
    "camera", "latitude", "longitude", "tags", "copies", "relevance", "title", "description",
    "keywords", "rating", "lens", "category",
)  # fmt: skip


def render(answer: Answer, format: str, *, terminal: bool, template: str = "") -> bytes:
    """The whole answer in one of the formats. `terminal` makes file names harmless where they
    would be read by a person. Raises UsageError for a bad template."""
    if format == "json":
        return _json(answer.body, terminal)
    if format == "print0":
        # A terminal shows no NUL, and nothing there reads exact bytes.
        return b"".join(_name(result.path_bytes, terminal) + b"\0" for result in answer.results)
    if format == "list":
        return terminal_list(answer)
    if format == "csv":
        return _csv(answer, terminal)
    lines = []
    for result in answer.results:
        if format == "jsonl":
            lines.append(_json_line(result, terminal))
        elif format == "scores":
            lines.append(score_text(result).encode() + b"\t" + _name(result.path_bytes, terminal))
        elif format == "format":
            text = own_format(template, result)
            lines.append(_name(text.encode("utf-8", "surrogateescape"), terminal))
        else:
            lines.append(_name(result.path_bytes, terminal))
        lines.append(b"\n")
    return b"".join(lines)


def score_text(result: Result) -> str:
    """The score with 4 decimals; empty for an answer without scores."""
    if result.score is None:
        return ""
    return f"{result.score:.4f}".replace("-0.0000", "0.0000")


def _name(path: bytes, terminal: bool) -> bytes:
    if not terminal:
        return path
    from imgq.terminal import harmless_bytes

    return terminal_encoded(harmless_bytes(path))


def terminal_encoded(text: str) -> bytes:
    """Text in the encoding of standard output, with \\u escapes for what that cannot hold."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace")


def _json(body: bytes, terminal: bool) -> bytes:
    if not terminal:
        return body.strip() + b"\n"
    import json

    return _readable_json(json.dumps(json.loads(body), indent=2, ensure_ascii=False)) + b"\n"


def json_text(value: object, terminal: bool) -> bytes:
    """A value as JSON, indented and harmless where a person reads it."""
    import json

    if not terminal:
        return json.dumps(value).encode("ascii") + b"\n"
    return _readable_json(json.dumps(value, indent=2, ensure_ascii=False)) + b"\n"


def _json_line(result: Result, terminal: bool) -> bytes:
    import json

    text = json.dumps(result.raw, ensure_ascii=not terminal)
    return _readable_json(text) if terminal else text.encode("ascii")


def _readable_json(text: str) -> bytes:
    """The same JSON with everything escaped that a terminal would obey or cannot show."""
    escaped = "".join(
        character if character.isprintable() or character == "\n" else _json_escape(character)
        for character in text
    )
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        return escaped.encode(encoding)
    except UnicodeEncodeError:
        return "".join(c if c.isascii() else _json_escape(c) for c in escaped).encode("ascii")


def _json_escape(character: str) -> str:
    import json

    return json.dumps(character)[1:-1]


def _csv(answer: Answer, terminal: bool) -> bytes:
    import csv
    import io

    from imgq.terminal import harmless

    # For a person a row is a line: file names with line breaks are escaped before they are quoted.
    shown = harmless if terminal else str
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for result in answer.results:
        latitude, longitude = result.gps or ("", "")
        row = (
            result.rank,
            result.id,
            score_text(result),
            _text(result.path_bytes),
            result.width,
            result.height,
            result.format,
            result.bytes,
            result.taken,
            result.modified,
            result.camera,
            latitude,
            longitude,
            ";".join(result.tags),
            ";".join(_text(os.fsencode(copy)) for copy in result.copies),
            result.relevance,
            *(result.raw.get(name) for name in ("title", "description")),
            ";".join(result.raw.get("keywords", ())),
            *(result.raw.get(name) for name in ("rating", "lens", "category")),
        )
        writer.writerow("" if value is None else shown(str(value)) for value in row)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def check_template(template: str) -> None:
    """Raises UsageError for a --format that no result could fill."""
    own_format(template, None)


def own_format(template: str, result: Result | None) -> str:
    """`{name}` and `{name:spec}` replaced; `{{` and `}}` are braces. Raises UsageError.

    No attribute or index is ever followed: only the names of a result's fields are known. What a
    result does not have is empty.
    """
    from string import Formatter

    parts = []
    try:
        for text, name, spec, conversion in Formatter().parse(template):
            parts.append(text)
            if name is None:
                continue
            if name not in FIELDS:
                raise UsageError(f"--format: there is no {{{name}}}; there are {', '.join(FIELDS)}")
            if conversion or "{" in (spec or ""):
                raise UsageError(
                    f"--format: after {name} only a format such as :>20 or :.3f can follow,"
                    f" not {'!' + conversion if conversion else ':' + str(spec)}"
                )
            if any(int(number) > MOST_WIDE for number in _numbers(spec or "")):
                raise UsageError(f"--format: {{{name}:{spec}}} is wider than {MOST_WIDE}")
            value = _field(result, name)
            # What is not known is nothing, in whatever way it was to be written.
            parts.append("" if value is None else format(value, spec or ""))
    except ValueError as error:
        raise UsageError(f"--format: {template!r} cannot be understood: {error}") from None
    return "".join(parts)


def _numbers(spec: str) -> list[str]:
    return "".join(c if c.isdecimal() else " " for c in spec).split()


# A slip of some digits would fill the memory with blanks.
MOST_WIDE = 10_000
FIELDS = (
    "rank", "id", "score", "path", "name", "folder", "width", "height", "format", "bytes", "taken",
    "modified", "camera", "tags", "copies", "relevance", "title", "description", "keywords",
    "rating", "lens", "category", "latitude", "longitude",
)  # fmt: skip


_NUMBERS = frozenset({"rank", "id", "width", "height", "bytes", "copies", "rating"})
_FRACTIONS = frozenset({"score", "relevance", "latitude", "longitude"})


def _field(result: Result | None, name: str) -> str | float | int | None:
    """A field's value, None where the result has none; without a result one of the field's kind."""
    if result is None:
        return 0 if name in _NUMBERS else 0.0 if name in _FRACTIONS else ""
    path = _text(result.path_bytes)
    if name == "path":
        return path
    if name == "name":
        return os.path.basename(path)
    if name == "folder":
        return os.path.dirname(path)
    if name == "copies":
        return len(result.copies)
    if name in ("tags", "keywords"):
        return ",".join(result.raw.get(name, ()))
    if name in ("latitude", "longitude"):
        return result.gps[name == "longitude"] if result.gps else None
    value: str | float | int | None = result.raw.get(name)
    return float(value) if value is not None and name in _FRACTIONS else value


def terminal_list(answer: Answer) -> bytes:
    """`N  SCORE  PATH` lines for a person, within the terminal's width."""
    lines = terminal_lines(answer)
    return b"".join(terminal_encoded(line + "\n") for line in lines)


def terminal_lines(answer: Answer) -> list[str]:
    """The lines of `terminal_list`, one for each result."""
    from imgq import terminal

    width = terminal.width()
    coloured = terminal.wants_colour()
    linked = terminal.has_links()
    digits = max((len(str(result.rank)) for result in answer.results), default=1)
    scored = max((len(score_text(result)) for result in answer.results), default=0)
    lines = []
    for result in answer.results:
        rank = str(result.rank).rjust(digits)
        score = score_text(result).rjust(scored)
        more = f"  (+{len(result.copies)})" if result.copies else ""
        for other in dict.fromkeys(result.stack):
            more += f"  +{result.stack.count(other)} {terminal.harmless(other)}"
        start = f"{rank}  {score}  " if score else f"{rank}  "
        room = max(width - len(start) - len(more), 16)
        name = terminal.shortened(
            terminal.harmless_bytes(terminal.with_tilde(result.path_bytes)), room
        )
        # The name itself stays in the terminal's own colour: it is what is read and copied.
        lines.append(
            terminal.colour(rank, terminal.DIM, coloured)
            + "  "
            + (terminal.colour(score, terminal.CYAN, coloured) + "  " if score else "")
            + terminal.link(name, result.path_bytes, linked)
            + terminal.colour(more, terminal.DIM, coloured)
        )
    return lines


def write(data: bytes) -> None:
    """Puts bytes on standard output, all of them. Raises OutputError; BrokenPipeError as it is."""
    if sys.stdout is None:
        raise OutputError("standard output is closed; the answer has nowhere to go")
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"the answer could not be written to standard output: {reason}") from None

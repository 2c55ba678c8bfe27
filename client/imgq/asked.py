"""The options about questions: what looks the same, what was asked, questions under a name.

From what was typed to calls of `Client`, and from their answers to text. How a question itself is
asked is cli.py's.
"""

from __future__ import annotations

from imgq.arguments import Parsed, parse
from imgq.errors import UsageError
from imgq.options import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from imgq.client import Client

OURS = frozenset({"completions", "save", "saved", "forget", "history", "duplicates", "threshold"})
FOUND, NOTHING = 0, 1


def run(parsed: Parsed, client: Client, *, terminal: bool) -> int:
    """Does what one of these options asks for; returns the exit code. Raises UsageError."""
    from imgq.output import write
    from imgq.query import quoted
    from imgq.terminal import harmless_bytes, is_terminal, tell
    from imgq.together import asked_alone

    asked_alone(parsed)
    if "completions" in parsed.one:
        write(_completions(parsed.one["completions"], client))
        return FOUND
    if "save" in parsed.one:
        name = _bare(parsed.one["save"])
        client.save(name, typed_again(parsed))
        tell(f"saved; ask it again with: imgq @{name}")
        return FOUND
    if "forget" in parsed.one:
        name = _bare(parsed.one["forget"])
        client.forget(name)
        tell(f"@{name} is forgotten")
        return FOUND
    if parsed.one.get("history") == "clear":
        client.clear_history()
        tell("the history is empty now")
        return FOUND
    if parsed.format not in (None, "list", "paths", "print0", "json"):
        raise UsageError("this is shown as text, or with --json")
    if "history" in parsed.one:
        answer, key = client.history(_top(parsed, 20)), "questions"
        lines = [_question(item, terminal) for item in answer[key]]
    elif "saved" in parsed.flags:
        answer, key = {"saved": client.saved()}, "saved"
        lines = [f"@{item['name']}\t{quoted(item['arguments'])}" for item in answer[key]]
    else:
        answer, key = _duplicates(parsed, client), "groups"
        if parsed.format == "print0":
            groups = b"\0".join(_group_nul(group) for group in answer[key])
            write(harmless_bytes(groups).encode() + b"\n" if terminal and groups else groups)
        elif parsed.format != "json":
            write(_groups(answer[key], terminal))
        lines = []
    if parsed.format == "json":
        from imgq.output import json_text

        write(json_text(answer, terminal))
    elif lines:
        from imgq.output import terminal_encoded
        from imgq.terminal import harmless

        shown = [harmless(line).replace("\\t", "  ") if terminal else line for line in lines]
        write(b"".join(terminal_encoded(line + "\n") for line in shown))
    if not answer.get("kept", True):
        # Said to programs too: it is not what was asked for, and will not pass by itself.
        tell(_SWITCHED_OFF)
    elif not answer[key]:
        person = is_terminal(2)
        if key == "groups":
            from imgq import reasons

            alike = f"No pictures are alike, with a cosine of {answer['threshold']:g} or more."
            reasons.explain(parsed, client, nothing=True, otherwise=alike if person else "")
        elif person:
            tell(_NOTHING_YET[key])
    return FOUND if answer[key] else NOTHING


_SWITCHED_OFF = (
    "imgq: the history is switched off (history = false; imgqd config shows where that is set)."
    " Change it there and start the daemon anew: imgqd stop; imgqd run --detach"
)
_NOTHING_YET = {
    "saved": "Nothing is saved yet; keep a question with: imgq --save NAME TEXT",
    "questions": "Nothing was asked yet.",
}


def _bare(name: str) -> str:
    """A name without the @ that it is asked with."""
    return name[1:] if name[:1] == "@" and len(name) > 1 else name


def _completions(kind: str, client: Client) -> bytes:
    """What a shell may offer, one a line. Nothing is started or waited for."""
    from imgq.answers import exact_path
    from imgq.errors import ClientError

    client.spawn, client.timeout = False, 2.0
    try:
        if kind == "folders":
            items = [exact_path(folder) for folder in client.folders()]
        else:
            items = [item.encode() for item in client.completions()[kind]]
    except ClientError:
        return b""
    # A name with a line break or a control character cannot be offered.
    return b"".join(i + b"\n" for i in items if not any(b < 32 or b == 127 for b in i))


def _top(parsed: Parsed, otherwise: int) -> int:
    from imgq.query import whole

    return whole(parsed.one["top"], "-n", 1, 1000) if "top" in parsed.one else otherwise


def _question(item: dict[str, Any], terminal: bool) -> str:
    # A line is a question, whatever was in it.
    typed = item["typed"].replace("\n", " ") if not terminal else item["typed"]
    return f"{_here(item['asked'])}\t{item['results']}\t{typed}"


def _here(moment: str) -> str:
    """A moment as this machine's clock showed it."""
    from datetime import datetime

    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")


def _duplicates(parsed: Parsed, client: Client) -> dict[str, Any]:
    from imgq.query import number

    threshold = None
    if "threshold" in parsed.one:
        threshold = number(parsed.one["threshold"], "--threshold")
        if not 0.5 <= threshold <= 1:
            raise UsageError(f"--threshold: {parsed.one['threshold']} is not between 0.5 and 1")
    if any(word.strip() for word in parsed.words):
        raise UsageError("--duplicates takes no TEXT; narrow it with --in DIR")
    timeout = client.timeout if "timeout" in parsed.one else 600.0
    return client.duplicates(inside=parsed.all("in"), threshold=threshold, timeout=timeout)


def _paths(group: dict[str, Any]) -> list[bytes]:
    from imgq.answers import exact_path

    return [exact_path(file) for file in group["files"]]


def _group_nul(group: dict[str, Any]) -> bytes:
    """An empty name stands between groups."""
    return b"".join(path + b"\0" for path in _paths(group))


def _groups(groups: list[dict[str, Any]], terminal: bool) -> bytes:
    """A path a line and an empty line between groups; for a person with a heading."""
    from imgq import terminal as screen
    from imgq.output import terminal_encoded

    told = []
    coloured = terminal and screen.wants_colour()
    for group in groups:
        lines = b""
        if terminal:
            exact = group["kind"] == "exact"
            heading = (
                f"{len(group['files'])} copies"
                if exact
                else f"{len(group['files'])} alike ({group['similarity']:.3f})"
            )
            lines = terminal_encoded(screen.colour(heading, screen.BOLD, coloured) + "\n")
        for path in _paths(group):
            if terminal:
                name = screen.harmless_bytes(screen.with_tilde(path))
                lines += terminal_encoded(f"  {name}\n")
            else:
                lines += path + b"\n"
        told.append(lines)
    return b"\n".join(told)


def typed_again(parsed: Parsed) -> list[str]:
    """Arguments that mean the same wherever they are typed. Raises UsageError."""
    from imgq.query import absolute

    arguments = []
    for option in TABLE:
        if option.key in OURS:
            continue
        name = option.names[-1]
        if option.key in parsed.flags:
            arguments.append(name)
        values = parsed.all(option.key) if option.repeat else [parsed.one.get(option.key)]
        for value in values:
            if value is None:
                continue
            if option.complete == "file" and (value == "-" or value.startswith("-^")):
                raise UsageError(f"--save: standard input cannot be kept; name a file after {name}")
            is_file = option.complete == "file" and not _is_named(value)
            if option.complete == "dir" or is_file:
                value = absolute(value)
            arguments.append(f"{name}={value}")
    if not arguments and not any(word.strip() for word in parsed.words):
        raise UsageError("--save needs a question: imgq --save NAME TEXT")
    try:
        "".join([*arguments, *parsed.words]).encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError("--save: a name that is no valid UTF-8 cannot be kept") from None
    return [*arguments, "--", *parsed.words]


def _is_named(example: str) -> bool:
    return example.lower().startswith(("http://", "https://", "id:"))


def recalled(parsed: Parsed, client: Client) -> Parsed:
    """`parsed` with what was saved under each @NAME; what is typed now wins."""
    names = saved_names(parsed)
    if not names:
        return parsed
    whole = Parsed()
    whole.typed = parsed.typed
    for name in names:
        _add(whole, parse(client.saved(name[1:])[0]["arguments"]))
        parsed.words.remove(name)
    _add(whole, parsed)
    return whole


def saved_names(parsed: Parsed) -> list[str]:
    """The words @NAME that stand before `--`."""
    arguments = parsed.typed
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return [
        word
        for word in arguments[:end]
        if len(word) > 1 and word[0] == "@" and word in parsed.words
    ]


def _add(whole: Parsed, part: Parsed) -> None:
    whole.words += part.words
    whole.flags |= part.flags
    whole.one.update(part.one)
    for key, values in part.many.items():
        whole.many.setdefault(key, []).extend(values)
    whole.format = part.format or whole.format

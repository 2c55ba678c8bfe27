"""--web: the same question on the page, in the desktop's browser.

The daemon makes a link that lets one browser in, once; here it is given to the browser, or printed
where there is none. What the page does with its address is the page's.
"""

from __future__ import annotations

import os
import sys

from imgq import query
from imgq.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imgq.arguments import Parsed
    from imgq.client import Client

# What of the command line the page can be asked, and what it calls that in its address.
_ONE = {
    "after": "after",
    "before": "before",
    "camera": "camera",
    "near": "near",
    "rating": "rating",
    "category": "category",
    "orientation": "orientation",
    "min-size": "min_size",
    "min-score": "min_score",
}
_MANY = {"tag": "tag", "where": "where"}
_FLAGS = ("relevant", "diverse", "all")
# How many, and waiting first: the page shows all there is, as it comes.
_NEEDLESS = ("top", "sync")
_TAKEN = {*_ONE, *_MANY, *_FLAGS, *_NEEDLESS, "web", "watch", "timeout"}
_TAKEN |= {"literal", "in", "type", "text"}
_EXAMPLES = {"like": "like", "not-like": "unlike"}


def run(parsed: Parsed, client: Client, *, terminal: bool) -> int:
    """Opens the page, or prints the link where that cannot be done or a program reads it."""
    folders = parsed.all("watch")
    if folders:
        from imgq.watch import check_folders

        check_folders(folders)
    where = address(parsed)
    if folders:
        client.watch(*(query.absolute(folder) for folder in folders))
    link = client.web(where)
    from imgq.output import write
    from imgq.terminal import tell

    url = str(link["url"])
    if terminal and open_browser(url, sys.platform, os.environ):
        tell(f"The page is open in your browser: {url.partition('?')[0].partition('#')[0]}")
        return 0
    write(f"{url}\n".encode())
    tell(f"Open this link in a browser within {link['valid_s']} seconds; it works once.")
    return 0


def address(parsed: Parsed) -> str:
    """The query of the page's address, from its ? on; empty when nothing is asked.

    Raises UsageError for what the page cannot be asked.
    """
    given = {*parsed.flags, *parsed.one, *parsed.many}
    if unknown := sorted(given - _TAKEN - _EXAMPLES.keys() - {"not"}):
        raise UsageError(f"--web and --{unknown[0]} do not go together; leave one out")
    # What is wrong is said here, not by a page that opens with an error in it.
    query.filters(parsed)
    pairs: list[tuple[str, str | bytes]] = []
    box = _box(parsed)
    if box:
        pairs.append(("q", box))
    pairs += [(name, parsed.one[key]) for key, name in _ONE.items() if key in parsed.one]
    pairs += [(name, value) for key, name in _MANY.items() for value in parsed.all(key)]
    if words := parsed.all("text"):
        pairs.append(("words", " ".join(words)))
    for value in parsed.all("type"):
        pairs += [("type", part.strip().lower()) for part in value.split(",") if part.strip()]
    for folder in query.folder_values(parsed.all("in")):
        pairs.append(("in", folder if isinstance(folder, str) else f"b64:{folder['path_b64']}"))
    for key, name in _EXAMPLES.items():
        pairs += [(name, _example(value, key)) for value in parsed.all(key)]
    pairs += [(name, "1") for name in _FLAGS if name in parsed.flags]
    return "?" + "&".join(f"{name}={_encoded(value)}" for name, value in pairs) if pairs else ""


def _box(parsed: Parsed) -> str:
    """TEXT and what it must not be, as they are typed into the page's box."""
    literal = "literal" in parsed.flags
    text = " ".join(parsed.words).strip()
    said = []
    if text:
        query.text_terms(text, literal=literal)
        # A dash or id: in front of a word means something in the box.
        special = any(word[0] == "-" and len(word) > 1 for word in text.split())
        example = any(word[:3].lower() == "id:" for word in text.split())
        said.append(_quoted(text, "TEXT") if literal or special or example else text)
    for value in parsed.all("not"):
        query.text_term(value, "--not", literal=literal)
        term, caret, weight = (value, "", "") if literal else value.rpartition("^")
        if not caret:
            term, weight = value, ""
        quote = literal or len(term.split()) > 1 or "^" in term
        said.append(f"-{_quoted(term, '--not') if quote else term.strip()}{caret}{weight}")
    return " ".join(said)


def _quoted(text: str, what: str) -> str:
    if '"' in text:
        raise UsageError(f"{what}: with --web there can be no quotation marks in {text!r}")
    return f'"{text}"'


def _example(value: str, key: str) -> str:
    if value[:3].lower() != "id:":
        raise UsageError(
            f"--{key}: the page can be given an example of the library here, as id:12; drop"
            " a file of your own on the page"
        )
    query.Examples().term(value, f"--{key}")
    return value[3:]


def _encoded(value: str | bytes) -> str:
    from urllib.parse import quote

    return quote(value, safe="/,:")


def open_browser(url: str, platform: str, environ: Mapping[str, str]) -> bool:
    """Hands a URL to the desktop's browser. False when there is none, as far as can be told."""
    if platform == "win32":
        try:
            os.startfile(url)  # type: ignore[attr-defined,unused-ignore]  # noqa: S606
        except OSError:
            return False
        return True
    if platform == "darwin":
        return _starts(["open", url])
    from imgq.opening import has_desktop

    return has_desktop(environ) and _starts(["xdg-open", url])


def _starts(command: Sequence[str]) -> bool:
    """Some starters end at once, others with the browser: what does not fail soon has worked."""
    from imgq.opening import FAILS_WITHIN_S, ended, start

    try:
        return not ended(start(command), FAILS_WITHIN_S)
    except OSError:
        return False

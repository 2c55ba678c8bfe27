"""What a terminal can show, and how to keep it safe from what it is shown.

Widths, colours, links and the harmless form of file names; pictures are preview.py's.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"


def is_terminal(descriptor: int) -> bool:
    """True when the descriptor is open and a terminal."""
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def width(descriptor: int = 1) -> int:
    """Columns: COLUMNS where it is set, as in the shell's own programs, else the terminal's."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and 0 < int(columns[:6]) < 100_000:
        return int(columns)
    try:
        return os.get_terminal_size(descriptor).columns or 80
    except OSError:
        return 80


def wants_colour(environ: Mapping[str, str] | None = None) -> bool:
    """False with NO_COLOR (https://no-color.org) or a terminal that has no colours."""
    environ = os.environ if environ is None else environ
    return not environ.get("NO_COLOR") and environ.get("TERM", "dumb") not in ("dumb", "")


def colour(text: str, code: str, on: bool) -> str:
    """`text` in a colour where `on`."""
    return f"\x1b[{code}m{text}\x1b[0m" if on and text else text


def harmless(text: str) -> str:
    r"""`text` without anything a terminal would obey: controls and bad bytes appear as \x1b.

    Also replaced: the invisible marks that reorder text, and line separators.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_harmless_character(character) for character in text)


def _harmless_character(character: str) -> str:
    code = ord(character)
    if character.isprintable():
        return character
    if character == "\n":
        return "\\n"
    if character == "\t":
        return "\\t"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    # Joiners and variation selectors shape emoji and several scripts; they move nothing.
    if code in (0x200C, 0x200D) or 0xE0020 <= code <= 0xE007F:
        return character
    # Every kind of space but the plain one is not "printable" for Python.
    if code in (0xA0, 0x1680, 0x202F, 0x205F, 0x3000) or 0x2000 <= code <= 0x200A:
        return character
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def harmless_bytes(path: bytes) -> str:
    """The harmless form of a file name, with bytes that are no UTF-8 shown as \\xNN."""
    return harmless(path.decode("utf-8", "surrogateescape"))


def columns_of(text: str) -> int:
    """How many columns `text` takes: wide characters two, marks that combine none."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    total = 0
    joined = False
    for character in text:
        code = ord(character)
        if joined:
            # The second half of a joined emoji is drawn into the first.
            joined = False
        elif code == 0x200D:
            joined = True
        elif 0xFE00 <= code <= 0xFE0F or 0x1F3FB <= code <= 0x1F3FF:
            pass
        elif category(character) not in ("Mn", "Me", "Cf"):
            total += 2 if east_asian_width(character) in "WF" else 1
    return total


def shortened(text: str, room: int) -> str:
    """`text` in at most `room` columns, with … in its middle and its end kept longest."""
    if columns_of(text) <= room:
        return text
    if room < 2:
        return "…"[:room]
    tail = _take(text[::-1], (room - 1) * 2 // 3)[::-1]
    head = _take(text, room - 1 - columns_of(tail))
    return f"{head}…{tail}"


def _take(text: str, room: int) -> str:
    used = 0
    for at, character in enumerate(text):
        used += columns_of(character)
        if used > room:
            return text[:at]
    return text


def has_links(environ: Mapping[str, str] | None = None) -> bool:
    """True for terminals known to draw OSC 8 links; others may print them as rubbish.

    The list is https://github.com/Alhadis/OSC8-Adoption. Multiplexers are left out: what they pass
    on depends on their version and settings.
    """
    environ = os.environ if environ is None else environ
    term = environ.get("TERM", "")
    if environ.get("TMUX") or environ.get("STY") or term.startswith(("screen", "tmux")):
        return False
    if term in ("dumb", "", "linux"):
        return False
    vte = environ.get("VTE_VERSION", "")
    return bool(
        (vte.isdigit() and int(vte) >= 5000)
        or environ.get("TERM_PROGRAM", "").lower()
        in ("iterm.app", "wezterm", "vscode", "ghostty", "hyper", "rio", "tabby", "mintty")
        or environ.get("KITTY_WINDOW_ID")
        or environ.get("WT_SESSION")
        or environ.get("KONSOLE_VERSION")
        or environ.get("DOMTERM")
        or term.startswith(
            ("xterm-kitty", "xterm-ghostty", "alacritty", "foot", "wezterm", "contour")
        )
    )


_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")


def link(text: str, path: bytes, on: bool) -> str:
    """`text` as a link to a file, by OSC 8, where `on`."""
    if not on:
        return text
    quoted = "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in path)
    # With the host's name, a terminal on another machine knows that the file is not its own.
    host = os.uname().nodename if hasattr(os, "uname") else ""
    return f"\x1b]8;;file://{host}{quoted}\x1b\\{text}\x1b]8;;\x1b\\"


def with_tilde(path: bytes) -> bytes:
    """`path` with the home folder written as `~`."""
    home = os.fsencode(os.environ.get("HOME", "")).rstrip(b"/")
    if home and (path == home or path.startswith(home + b"/")):
        return b"~" + path[len(home) :]
    return path


def say(message: str) -> None:
    """A complaint on standard error, with our name before it."""
    tell(f"imgq: {message}")


def tell(message: str) -> None:
    """One message to standard error; harmless, and silent when standard error is closed."""
    write_error("".join(harmless(line) + "\n" for line in message.splitlines()))


def write_error(text: str) -> None:
    """Text as it is to standard error; trouble there is nobody's to hear."""
    stream = sys.stderr
    if stream is None:
        return
    try:
        encoding = getattr(stream, "encoding", None) or "utf-8"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding, "replace"))
        stream.flush()
    except (OSError, ValueError):
        pass

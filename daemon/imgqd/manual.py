"""The man pages of both programs, made from what --help is made from.

`python -m imgqd.manual DIR` writes imgq.1 and imgqd.1; a test holds docs/man against it.
"""

from __future__ import annotations

import argparse
import os
import sys

from imgq import helptext
from imgq.options import GROUPS, TABLE
from imgqd import __version__


def escaped(text: str) -> str:
    """Text as roff shows it letter by letter."""
    lines = text.replace("\\", "\\e").replace("-", "\\-").split("\n")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in lines)


def _head(name: str, summary: str, usage: str) -> list[str]:
    return [
        f'.TH {name.upper()} 1 "" "imgq {__version__}" "imgq"',
        ".SH NAME",
        f"{name} \\- {escaped(summary)}",
        ".SH SYNOPSIS",
        f".B {name}",
        escaped(usage),
    ]


def imgq_page() -> str:
    """imgq(1)."""
    lines = _head("imgq", "finds photos by what is in them", "[options] TEXT...")
    for group in GROUPS:
        lines.append(f'.SH "{escaped(group.upper())}"')
        for option in TABLE:
            if option.group == group:
                lines += [
                    ".TP",
                    f".B {escaped(helptext.spelled(option))}",
                    escaped(option.help),
                    ".br",
                    f"Example: {escaped(option.example)}",
                ]
    lines += [".SH DETAILS", ".nf", escaped(helptext.DETAILS.rstrip("\n")), ".fi"]
    lines += [".SH EXIT STATUS", escaped(helptext.EXITS.strip())]
    lines += [".SH SEE ALSO", ".BR imgqd (1)"]
    return "\n".join(lines) + "\n"


def imgqd_page(parser: argparse.ArgumentParser) -> str:
    """imgqd(1), from its parser."""
    lines = _head("imgqd", "runs and looks after the picture-search daemon", "COMMAND [options]")
    lines.append(".SH COMMANDS")
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        for name, sub in action.choices.items():
            positionals = [a for a in sub._actions if not a.option_strings]
            usage = " ".join([name, *(_metavar(a) for a in positionals)])
            lines += [".TP", f".B {escaped(usage)}", escaped(sub.description or "")]
            for option in sub._actions:
                if option.option_strings and "--help" not in option.option_strings:
                    spelled = ", ".join(option.option_strings)
                    value = f" {_metavar(option)}" if option.nargs != 0 else ""
                    lines += [".br", f"{escaped(spelled + value)}: {escaped(option.help or '')}"]
    lines += [".SH EXIT STATUS", ".nf", escaped((parser.epilog or "").strip()), ".fi"]
    lines += [".SH SEE ALSO", ".BR imgq (1)"]
    return "\n".join(lines) + "\n"


def _metavar(action: argparse.Action) -> str:
    if isinstance(action.metavar, str):
        word = action.metavar
    elif action.choices:
        word = "|".join(str(choice) for choice in action.choices)
    else:
        word = action.dest.upper()
    if action.option_strings:
        return word
    return {"*": f"[{word}...]", "+": f"{word}...", "?": f"[{word}]"}.get(str(action.nargs), word)


def pages() -> dict[str, str]:
    """File name and text of each page."""
    from imgqd.cli import parser

    return {"imgq.1": imgq_page(), "imgqd.1": imgqd_page(parser())}


def main() -> None:
    """Writes the pages into the folder that is named."""
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for name, text in pages().items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as stream:
            stream.write(text)


if __name__ == "__main__":
    main()

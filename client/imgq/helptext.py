"""The texts of --help and --help-all, made from the table of options."""

from __future__ import annotations

from imgq.options import GROUPS, TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imgq.options import Option

USAGE = """\
usage: imgq [options] TEXT...
Finds photos by what is in them. Start with: imgq --watch ~/Pictures "sunset"
"""

EXITS = """\
Exit codes: 0 found, 1 nothing found, 2 wrong usage, 3 no daemon, 4 failed.
"""

DETAILS = """\
TEXT
  The words are joined: imgq sunset over ocean
  ' + ' joins several texts, TERM^2 gives one more weight: imgq 'beach^2 + dog'
  Options may stand anywhere among the words; -- ends them: imgq -- -40 degrees

Environment
  IMGQ_HOME        a folder that everything is kept in
  IMGQ_SOCKET      where the daemon listens: a socket's path, http://127.0.0.1:PORT
  IMGQ_NO_SPAWN=1  never start a daemon
  NO_COLOR         no colours
"""


def spelled(option: Option) -> str:
    """`-n N, --top N`, `--preview[=HOW]`, `-l, --paths`."""
    names = []
    for name in option.names:
        if option.optional:
            names.append(f"{name}[={option.argument}]")
        elif option.argument:
            names.append(f"{name} {option.argument}")
        else:
            names.append(name)
    if len(names) == 2 and option.argument:
        names[0] = option.names[0]
    return ", ".join(names)


def everyday() -> str:
    """The options of every day; fits a screen of 24 lines by 80 columns."""
    lines = [USAGE]
    for option in TABLE:
        if option.everyday:
            lines.append(f"  {spelled(option):<17} {option.help}\n")
    lines.append(f"  {'--help-all':<17} all options, each with an example\n")
    lines.append(EXITS)
    return "".join(lines)


def complete() -> str:
    """Every option with an example, the syntax of TEXT, the environment and the exit codes."""
    parts = [USAGE, "\n"]
    for group in GROUPS:
        parts.append(f"{group}\n")
        for option in TABLE:
            if option.group == group:
                parts.append(f"  {spelled(option)}\n")
                parts.append(f"      {option.help}\n")
                parts.append(f"      {option.example}\n")
        parts.append("\n")
    parts += [DETAILS, "\n", EXITS]
    return "".join(parts)

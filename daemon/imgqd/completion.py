"""Completion for bash, zsh and fish, made from the tables that parse the command lines.

`imgq`'s options come from its table, `imgqd`'s commands from the parser. Tags, saved names and
watched folders are asked for while completing, of a daemon that runs anyway.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass

from imgq.options import TABLE, Option

SHELLS = ("bash", "zsh", "fish")
# What `complete` in the table of options means: ask imgq, or what the shell itself knows.
ASKED = {"tag": "tags", "saved": "saved"}


@dataclass(frozen=True, slots=True)
class Word:
    """One option of imgqd: its names, help, and the words or kind of file its value may be."""

    names: tuple[str, ...]
    help: str
    choices: tuple[str, ...]
    takes_value: bool


def script(shell: str, commands: argparse.ArgumentParser) -> str:
    """The completion script of both programs; `commands` is imgqd's parser."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands)


def places(shell: str, home: str, environ: dict[str, str]) -> list[str]:
    """The files to write for this user."""
    data = environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    if shell == "bash":
        folder = os.path.join(data, "bash-completion", "completions")
        return [os.path.join(folder, name) for name in ("imgq", "imgqd")]
    if shell == "fish":
        folder = os.path.join(config, "fish", "completions")
        return [os.path.join(folder, name) for name in ("imgq.fish", "imgqd.fish")]
    return [os.path.join(data, "zsh", "site-functions", "_imgq")]


def subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str, list[Word]]]:
    """(name, help, options) of every command."""
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for name, sub in action.choices.items():
            words = [
                Word(
                    tuple(option.option_strings),
                    option.help or "",
                    tuple(str(choice) for choice in option.choices or ()),
                    option.nargs != 0,
                )
                for option in sub._actions
                if option.option_strings
            ]
            yield name, helps.get(name, ""), words


def _values(option: Option) -> str:
    return " ".join(option.choices)


def _bash(parser: argparse.ArgumentParser) -> str:
    names = " ".join(name for option in TABLE for name in option.names)
    cases = []
    for option in TABLE:
        pattern = "|".join(option.names)
        if option.optional or not option.argument:
            continue
        if option.complete == "dir":
            cases.append(f'    {pattern}) COMPREPLY=($(compgen -d -- "$word")); return ;;')
        elif option.complete == "file":
            cases.append(f'    {pattern}) COMPREPLY=($(compgen -f -- "$word")); return ;;')
        elif option.complete in ASKED:
            cases.append(
                f"    {pattern}) _imgq_words"
                f' "$(imgq --completions {ASKED[option.complete]} 2>/dev/null)"; return ;;'
            )
        elif option.choices:
            cases.append(f'    {pattern}) _imgq_words "{_values(option)}"; return ;;')
    commands = list(subcommands(parser))
    options = "\n".join(
        f'    {name}) _imgq_words "{" ".join(n for word in words for n in word.names)}" ;;'
        for name, _, words in commands
    )
    return f"""\
# Completion of imgq and imgqd for bash; made by `imgqd completion bash`.
_imgq_words() {{
  local IFS=$' \\n'
  COMPREPLY=($(compgen -W "$1" -- "$word"))
}}
_imgq() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
  compopt -o filenames 2>/dev/null
  case $before in
{chr(10).join(cases)}
  esac
  compopt +o filenames 2>/dev/null
  case $word in
    @*) _imgq_words "$(imgq --completions saved 2>/dev/null | sed 's/^/@/')" ;;
    -*) _imgq_words "{names}" ;;
  esac
}}
_imgqd() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} command=${{COMP_WORDS[1]}}
  if ((COMP_CWORD == 1)); then
    _imgq_words "{" ".join(name for name, _, _ in commands)}"
    return
  fi
  case $word in
    -*) ;;
    *)
      if [[ $command == remove ]]; then
        local IFS=$'\\n'
        COMPREPLY=($(compgen -W "$(imgq --completions folders 2>/dev/null)" -- "$word"))
      else
        COMPREPLY=($(compgen -f -- "$word"))
      fi
      compopt -o filenames 2>/dev/null
      return ;;
  esac
  case $command in
{options}
  esac
}}
complete -F _imgq imgq
complete -F _imgqd imgqd
"""


def _zsh_text(text: str) -> str:
    return text.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def _zsh(parser: argparse.ArgumentParser) -> str:
    lines = []
    for option in TABLE:
        told = _zsh_text(option.help)
        action = ""
        if option.argument:
            action = f":{_zsh_text(option.argument)}:"
            if option.choices:
                action += f"({_values(option)})"
            elif option.complete == "dir":
                action += "_files -/"
            elif option.complete == "file":
                action += "_files"
            elif option.complete in ASKED:
                action += f"_imgq_{ASKED[option.complete]}"
        for name in option.names:
            equals = "=-" if option.optional else "=" if name[:2] == "--" and action else ""
            lines.append(f"    '*{name}{equals}[{told}]{action}'")
    commands = list(subcommands(parser))
    told = "\n".join(f"    '{name}:{_zsh_text(text)}'" for name, text, _ in commands)
    cases = "\n".join(
        f"    {name}) _arguments "
        + " ".join(
            f"'{option}[{_zsh_text(word.help)}]{':value:' if word.takes_value else ''}'"
            for word in words
            for option in word.names
        )
        + f" '*:path:{'_imgq_folders' if name == 'remove' else '_files'}' ;;"
        for name, _, words in commands
    )
    return f"""\
#compdef imgq imgqd
# Completion of imgq and imgqd for zsh; made by `imgqd completion zsh`.
_imgq_tags() {{ local -a found; found=(${{(f)"$(imgq --completions tags 2>/dev/null)"}}); compadd -a found }}
_imgq_saved() {{ local -a found; found=(${{(f)"$(imgq --completions saved 2>/dev/null)"}}); compadd -a found }}
_imgq_folders() {{ local -a found; found=(${{(f)"$(imgq --completions folders 2>/dev/null)"}}); compadd -f -a found }}
_imgq_text() {{
  local -a found
  if [[ $PREFIX == @* ]]; then
    found=(${{(f)"$(imgq --completions saved 2>/dev/null)"}})
    compadd -P @ -a found
  fi
}}
_imgq() {{
  _arguments -s \\
{" " + (chr(32) + chr(92) + chr(10) + " ").join(lines)} \\
    '*:text:_imgq_text'
}}
_imgqd() {{
  local -a commands
  commands=(
{told}
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
{cases}
  esac
}}
case $service in
  imgqd) _imgqd "$@" ;;
  *) _imgq "$@" ;;
esac
"""


def _fish_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fish(parser: argparse.ArgumentParser) -> str:
    lines = [
        "# Completion of imgq and imgqd for fish; made by `imgqd completion fish`.",
        "complete -c imgq -f",
    ]
    for option in TABLE:
        names = " ".join(
            f"-l {name[2:]}" if name[:2] == "--" else f"-s {name[1:]}" for name in option.names
        )
        line = f"complete -c imgq {names} -d {_fish_text(option.help)}"
        if option.argument and not option.optional:
            line += " -r"
        if option.choices:
            line += f" -a {_fish_text(_values(option))}"
        elif option.complete == "dir":
            line += " -a '(__fish_complete_directories)'"
        elif option.complete == "file":
            line += " -F"
        elif option.complete in ASKED:
            line += f" -a '(imgq --completions {ASKED[option.complete]} 2>/dev/null)'"
        lines.append(line)
    lines.append(
        "complete -c imgq -n 'string match -q \"@*\" -- (commandline -ct)'"
        " -a '(imgq --completions saved 2>/dev/null | string replace -r \"^\" @)'"
    )
    for name, text, words in subcommands(parser):
        lines.append(
            f"complete -c imgqd -f -n __fish_use_subcommand -a {name} -d {_fish_text(text)}"
        )
        for word in words:
            names = " ".join(f"-l {n[2:]}" if n[:2] == "--" else f"-s {n[1:]}" for n in word.names)
            lines.append(
                f"complete -c imgqd -n '__fish_seen_subcommand_from {name}' {names}"
                f" -d {_fish_text(word.help)}{' -r' if word.takes_value else ''}"
            )
    lines.append(
        "complete -c imgqd -n '__fish_seen_subcommand_from remove'"
        " -a '(imgq --completions folders 2>/dev/null)'"
    )
    return "\n".join(lines) + "\n"

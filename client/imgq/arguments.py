"""Splits a command line into words and options, as the table in options.py says.

Options may stand anywhere and are never abbreviated; an optional value is given with `=` only. What
a value means is decided in query.py and cli.py.
"""

from __future__ import annotations

from imgq.errors import UsageError
from imgq.options import FORMATS, TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgq.options import Option


class Parsed:
    """What was typed: `typed` as it stands, `words` of TEXT in order, and the options' values by key.

    `flags` holds the keys of flags; `one` the last value of each option with a value; `many` all
    values of repeatable ones. `format` is one of FORMATS, "format", or None when none was named.
    """

    __slots__ = ("flags", "format", "many", "one", "typed", "words")

    def __init__(self) -> None:
        self.typed: list[str] = []
        self.words: list[str] = []
        self.flags: set[str] = set()
        self.one: dict[str, str] = {}
        self.many: dict[str, list[str]] = {}
        self.format: str | None = None

    def all(self, key: str) -> list[str]:
        """Every value given for a repeatable option, in order."""
        return self.many.get(key, [])

    @property
    def asks(self) -> bool:
        """True when there is TEXT or an option that makes a query (or --watch) without it."""
        if any(word.strip() for word in self.words):
            return True
        return any(option.asks and self.has(option.key) for option in TABLE)

    def has(self, key: str) -> bool:
        """True when an option was given, with or without a value."""
        return key in self.one or key in self.flags


def parse(arguments: Sequence[str], table: tuple[Option, ...] = TABLE) -> Parsed:
    """Splits words from options, which may stand anywhere. Raises UsageError."""
    known = {name: option for option in table for name in option.names}
    parsed = Parsed()
    parsed.typed = list(arguments)
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        position += 1
        if len(argument) < 2 or argument[0] != "-":
            parsed.words.append(argument)
        elif argument == "--":
            parsed.words.extend(arguments[position:])
            break
        elif argument.startswith("--"):
            name, equals, value = argument.partition("=")
            option = known.get(name)
            if option is None:
                raise _unknown(name, known)
            if not option.argument:
                if equals:
                    raise UsageError(f"{name} takes no value; leave out {equals + value!r}")
                _flag(parsed, option)
            elif equals:
                _value(parsed, option, name, value)
            elif option.optional:
                _value(parsed, option, name, option.choices[0])
            else:
                position = _next(parsed, option, name, arguments, position, known)
        else:
            position = _cluster(parsed, argument, arguments, position, known)
    return parsed


def _cluster(
    parsed: Parsed,
    argument: str,
    arguments: Sequence[str],
    position: int,
    known: dict[str, Option],
) -> int:
    """`-l0`, `-n5`, `-n 5`: flags in a row, the last of which may take the rest as its value."""
    for at in range(1, len(argument)):
        name = "-" + argument[at]
        option = known.get(name)
        if option is None:
            # `-like` is more likely a slip for --like than three flags.
            raise _unknown("-" + argument if "-" + argument in known else name, known)
        if option.argument:
            rest = argument[at + 1 :]
            if rest:
                _value(parsed, option, name, rest)
                return position
            return _next(parsed, option, name, arguments, position, known)
        _flag(parsed, option)
    return position


def _next(
    parsed: Parsed,
    option: Option,
    name: str,
    arguments: Sequence[str],
    position: int,
    known: dict[str, Option],
) -> int:
    if position >= len(arguments):
        raise UsageError(f"{name} needs a value: {name} {option.argument}")
    value = arguments[position]
    # A forgotten value would otherwise swallow the next option without a word.
    if not option.number and (value == "--" or value.partition("=")[0] in known):
        raise UsageError(
            f"{name} needs a value, but {value} follows; when that is the value: {_equals(name, value)}"
        )
    _value(parsed, option, name, value)
    return position + 1


def _equals(name: str, value: str) -> str:
    return f"{name}={value}" if name.startswith("--") else f"{name}{value}"


def _flag(parsed: Parsed, option: Option) -> None:
    parsed.flags.add(option.key)
    if option.key in FORMATS and not (option.key == "paths" and parsed.format == "print0"):
        parsed.format = option.key


def _value(parsed: Parsed, option: Option, name: str, value: str) -> None:
    if option.choices and value not in option.choices:
        hint = "; give it as " + name + "=" + option.choices[0] if option.optional else ""
        raise UsageError(f"{name}: {value!r} is not one of {', '.join(option.choices)}{hint}")
    if not value:
        raise UsageError(f"{name} needs a value: {name} {option.argument}")
    parsed.one[option.key] = value
    if option.repeat:
        parsed.many.setdefault(option.key, []).append(value)
    if option.key == "format":
        parsed.format = "format"


def _unknown(name: str, known: dict[str, Option]) -> UsageError:
    from difflib import get_close_matches

    if name in known:
        return UsageError(f"there is no option {name[1:]}; did you mean {name}?")
    near = get_close_matches(name, known, n=1, cutoff=0.6) if name.startswith("--") else []
    hint = f"did you mean {near[0]}?" if near else "imgq --help-all lists them all"
    return UsageError(f"there is no option {name}; {hint} (-- ends the options: imgq -- {name})")

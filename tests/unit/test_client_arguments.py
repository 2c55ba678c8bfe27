"""The command line is split exactly as the interface says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgq.arguments import parse
from imgq.errors import UsageError
from imgq.helptext import complete, everyday
from imgq.options import TABLE


def test_words_are_joined_with_options_anywhere_among_them() -> None:
    parsed = parse(["sunset", "-l", "over", "-n", "5", "ocean", "--in=/x", "today"])
    assert parsed.words == ["sunset", "over", "ocean", "today"]
    assert (parsed.format, parsed.one["top"], parsed.all("in")) == ("paths", "5", ["/x"])


@pytest.mark.parametrize(
    ("arguments", "key", "value"),
    [
        (["-n5"], "top", "5"),
        (["-n", "5"], "top", "5"),
        (["--top", "5"], "top", "5"),
        (["--top=5"], "top", "5"),
        (["-ln5"], "top", "5"),
        (["-l0n", "5"], "top", "5"),
        (["-n", "-5"], "top", "-5"),
        (["--near", "-33.9,18.4,10"], "near", "-33.9,18.4,10"),
        (["--near=-33.9,18.4,10"], "near", "-33.9,18.4,10"),
        (["--min-score", "-0.1"], "min-score", "-0.1"),
        (["--min-score", "-0"], "min-score", "-0"),
        (["--like", "-"], "like", "-"),
        (["--like=-"], "like", "-"),
        (["--like", "--dashes.jpg"], "like", "--dashes.jpg"),
        (["--not=--json"], "not", "--json"),
        (["--in=a=b"], "in", "a=b"),
        (["--preview"], "preview", "auto"),
        (["--preview=kitty"], "preview", "kitty"),
    ],
)
def test_values_in_every_way_they_can_be_given(arguments: list[str], key: str, value: str) -> None:
    assert parse(arguments).one[key] == value
    assert parse(["x", *arguments, "y"]).one[key] == value


def test_an_optional_value_never_takes_the_next_word() -> None:
    parsed = parse(["--preview", "kitty"])
    assert (parsed.one["preview"], parsed.words) == ("auto", ["kitty"])


def test_two_dashes_end_the_options() -> None:
    parsed = parse(["-l", "--", "--json", "-n", "--"])
    assert (parsed.words, parsed.format) == (["--json", "-n", "--"], "paths")


def test_a_single_dash_is_a_word() -> None:
    assert parse(["cats", "-", "dogs"]).words == ["cats", "-", "dogs"]


@pytest.mark.parametrize(
    ("arguments", "format"),
    [
        (["-l0"], "print0"),
        (["-0l"], "print0"),
        (["--json", "--scores"], "scores"),
        (["--print0", "--json"], "json"),
        (["--jsonl"], "jsonl"),
        (["--format", "{id}"], "format"),
        ([], None),
    ],
)
def test_the_last_form_of_answer_counts_and_nul_refines_paths(
    arguments: list[str], format: str | None
) -> None:
    assert parse(arguments).format == format


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--jso"], "--jso; did you mean --json?"),
        (["--js=x"], "--js"),
        (["--limit", "3"], "--limit"),
        (["-x"], "-x"),
        (["-lx"], "-x"),
        (["-5"], "-5"),
        (["-like", "x"], "no option -like; did you mean --like?"),
        (["--json=yes"], "--json takes no value"),
        (["--preview=mosaic"], "'mosaic' is not one of auto, kitty"),
        (["--orientation", "up"], "'up' is not one of landscape"),
        (["-n"], "-n needs a value"),
        (["--in"], "--in needs a value: --in DIR"),
        (["--in", "--json", "cat"], "--json follows; when that is the value: --in=--json"),
        (["--in", "--"], "--in needs a value"),
        (["--in="], "--in needs a value"),
        (["--in", ""], "--in needs a value"),
    ],
)
def test_what_cannot_be_meant_is_named(arguments: list[str], named: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(arguments)
    assert named in caught.value.message
    assert caught.value.exit_code == 2


NAMES = {name for option in TABLE for name in option.names}


@pytest.mark.parametrize("name", sorted({name[:-1] for name in NAMES} - NAMES - {"-", "--"}))
def test_options_are_never_abbreviated(name: str) -> None:
    with pytest.raises(UsageError):
        parse([name, "x"])


@given(st.lists(st.text(max_size=8) | st.sampled_from([n for o in TABLE for n in o.names])))
def test_any_words_are_split_or_refused(arguments: list[str]) -> None:
    try:
        parsed = parse(arguments)
    except UsageError as error:
        assert error.message
    else:
        assert sum(map(len, parsed.words)) <= sum(map(len, arguments))


@pytest.mark.parametrize(
    ("arguments", "asks"),
    [
        ([], False),
        ([""], False),
        (["  ", "\t"], False),
        (["-l", "-n", "3", "--sync", "--min-score", "0.2", "--preview"], False),
        (["x"], True),
        (["--", "-x"], True),
        (["--like", "a.jpg"], True),
        (["--not", "x"], True),
        (["--in", "/x"], True),
        (["--after", "2024"], True),
        (["--watch", "/x"], True),
    ],
)
def test_what_makes_a_question(arguments: list[str], asks: bool) -> None:
    assert parse(arguments).asks is asks


def test_everyday_help_fits_a_screen() -> None:
    lines = everyday().splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


def test_complete_help_shows_every_option_with_an_example() -> None:
    text = complete()
    for option in TABLE:
        assert option.example in text
        assert all(name in text for name in option.names)
        assert option.names[-1] in option.example or option.names[0] in option.example


@pytest.mark.parametrize("option", TABLE, ids=lambda o: o.key)
def test_each_example_is_understood(option: object) -> None:
    import shlex

    words = shlex.split(option.example)  # type: ignore[attr-defined]
    words = words[words.index("imgq") + 1 :]
    ends = [words.index(mark) for mark in ("|", ">", "&&") if mark in words]
    parse(words[: min(ends)] if ends else words)

"""Duplicates, history and saved questions, typed against a real API with a small daemon behind it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator

import pytest

from imgq import arguments, asked, cli
from imgq.errors import UsageError
from tests.unit.client_kit import home
from tests.unit.client_process import environment, run_in_terminal
from tests.unit.small_daemon import SmallDaemon, running

__all__ = ["home"]

Captured = pytest.CaptureFixture[bytes]


@pytest.fixture
def small(home: str) -> Iterator[SmallDaemon]:
    with running(home) as daemon:
        yield daemon.daemon


def typed(*words: str) -> int:
    return cli.main(list(words))


def test_duplicates_are_groups_of_exact_paths(small: SmallDaemon, capfdbinary: Captured) -> None:
    assert typed("--duplicates", "--in", "/photos", "--threshold", "0.9") == 0
    assert capfdbinary.readouterr().out == b"/photos/caf\xe9.jpg\n/photos/\x1b[2Jcopy.jpg\n"
    assert small.requests[-1] == {"in": ["/photos"], "threshold": 0.9}
    assert typed("--duplicates", "-0") == 0
    assert capfdbinary.readouterr().out == b"/photos/caf\xe9.jpg\0/photos/\x1b[2Jcopy.jpg\0"
    assert typed("--duplicates", "--json") == 0
    group = json.loads(capfdbinary.readouterr().out)["groups"][0]
    assert (group["kind"], len(group["files"])) == ("exact", 2)


def test_on_a_terminal_no_name_is_obeyed(small: SmallDaemon, capfdbinary: Captured) -> None:
    from imgq.client import Client

    for options in (["--duplicates"], ["--history"], ["--history", "--json"]):
        assert asked.run(arguments.parse(options), Client(), terminal=True) == 0
        out = capfdbinary.readouterr().out
        assert b"\x1b[2J" not in out
        assert b"[2J" in out


@pytest.mark.parametrize(
    "options",
    [["--duplicates"], ["--duplicates", "--json"], ["--history"], ["--saved"]],
    ids=" ".join,
)
def test_in_a_real_terminal_only_our_own_colours_are_escapes(
    small: SmallDaemon, options: list[str]
) -> None:
    small.kept["odd"] = ["\x1b]0;owned\x07", "--", "cat"]
    environ = environment(
        IMGQ_HOME=os.environ["IMGQ_HOME"],
        IMGQ_NO_SPAWN="1",
        TERM="xterm-256color",
        LC_ALL="C.UTF-8",
    )
    output, code = run_in_terminal(*options, environ=environ)
    assert code == 0
    text = re.sub(rb"\x1b\[[0-9;]*m", b"", output).decode()
    assert all(character.isprintable() or character == "\n" for character in text), text
    assert "x1b" in text or "u001b" in text


def test_a_saved_question_is_asked_again_with_more(
    small: SmallDaemon, capfdbinary: Captured
) -> None:
    assert typed("--save", "cats", "two", "cats", "-n", "7", "--like", "id:3", "--scores") == 0
    assert typed("@cats", "asleep", "-n", "3") == 0
    request = small.requests[-1]
    assert request["terms"] == [{"text": "two cats asleep"}, {"id": 3}]
    assert request["top"] == 3
    assert b"\t" in capfdbinary.readouterr().out
    assert typed("--saved") == 0
    assert capfdbinary.readouterr().out.startswith(b"@cats\t")
    assert typed("--forget", "cats") == 0
    assert typed("@cats") == 2
    assert typed("--", "@cats") == 0
    assert small.requests[-1]["terms"] == [{"text": "@cats"}]


def test_folders_of_a_saved_question_stay_where_they_were() -> None:
    kept = asked.typed_again(arguments.parse(["--in", ".", "--after=2024", "sea"]))
    assert kept[0].startswith("--in=/") and kept[1:] == ["--after=2024", "--", "sea"]


@pytest.mark.parametrize(
    "words",
    [
        ["--save", "x"],
        ["--save", "x", "--like", "-"],
        ["--duplicates", "cat"],
        ["--duplicates", "--threshold", "2"],
        ["--duplicates", "--csv"],
        ["--duplicates", "--after", "2024"],
        ["--duplicates", "-n", "3"],
        ["--duplicates", "--history"],
        ["--threshold", "0.9", "cat"],
        ["--history", "cat"],
        ["--history", "--in", "/photos"],
        ["--saved", "--forget", "x"],
        ["--forget", "x", "y"],
        ["--completions", "tags", "--json"],
        ["--save", "x", "cat", "--tag-add", "t"],
        ["--facets", "--offset", "3"],
        ["--facets", "--copy-to", "/tmp/x", "cat"],
        ["--facets", "--preview", "cat"],
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_wrong_usage(
    small: SmallDaemon, words: list[str], capfdbinary: Captured
) -> None:
    assert typed(*words) == 2
    assert b"imgq: " in capfdbinary.readouterr().err


def test_what_is_changed_is_said(small: SmallDaemon, capfdbinary: Captured) -> None:
    assert typed("--save", "cats", "cat") == 0
    assert b"imgq @cats" in capfdbinary.readouterr().err
    assert typed("@cats", "-n", "3") == 0
    assert small.requests[-1]["remember"] == "@cats -n 3"
    capfdbinary.readouterr()
    assert typed("--forget", "cats") == 0
    assert b"@cats is forgotten" in capfdbinary.readouterr().err
    assert typed("--history=clear") == 0
    assert b"empty" in capfdbinary.readouterr().err


def test_names_between_nuls_are_harmless_on_a_terminal(
    small: SmallDaemon, capfdbinary: Captured
) -> None:
    from imgq.client import Client

    assert asked.run(arguments.parse(["--duplicates", "-0"]), Client(), terminal=True) == 0
    assert b"\x1b" not in capfdbinary.readouterr().out


def test_what_was_typed_is_kept_as_a_shell_reads_it(small: SmallDaemon) -> None:
    assert typed("it's", "a cat", "-n3") == 0
    assert small.requests[-1]["remember"] == "'it'\"'\"'s' 'a cat' -n3"


def test_history_is_shown_and_cleared(small: SmallDaemon, capfdbinary: Captured) -> None:
    assert typed("--history", "-n", "5") == 0
    assert capfdbinary.readouterr().out.startswith(b"2024-01-01 00:00\t2\tcat ")
    assert typed("--history=clear") == 0


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(UsageError):
        asked.typed_again(arguments.parse(["caf\udce9"]))

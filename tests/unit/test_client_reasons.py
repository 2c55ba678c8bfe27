"""What is said when there is nothing to show: to programs what is wrong, to people a word as well."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from imgq.cli import main
from tests.unit.client_kit import home
from tests.unit.client_process import environment, run, run_in_terminal
from tests.unit.small_daemon import SmallDaemon, running

__all__ = ["home"]

Captured = pytest.CaptureFixture[bytes]


@pytest.fixture
def small(home: str) -> Iterator[SmallDaemon]:
    with running(home) as daemon:
        daemon.daemon.watched[b"/"] = []
        yield daemon.daemon


def in_pipes(*words: str, **more: str) -> tuple[int, bytes, bytes]:
    environ = environment(IMGQ_HOME=os.environ["IMGQ_HOME"], IMGQ_NO_SPAWN="1", **more)
    done = run(*words, environ=environ)
    return done.returncode, done.stdout, done.stderr


def in_terminal(*words: str) -> tuple[int, bytes]:
    environ = environment(IMGQ_HOME=os.environ["IMGQ_HOME"], IMGQ_NO_SPAWN="1")
    output, code = run_in_terminal(*words, environ=environ)
    return code, output


def empty_search(request: dict[str, Any]) -> dict[str, Any]:
    return {
        "query": {}, "model": "builtin", "took_ms": 1.0, "generation": 7, "indexing": False,
        "results": [],
    }  # fmt: skip


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_history_that_is_switched_off_says_so_to_programs_too(
    small: SmallDaemon, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.setattr(small, "history", lambda top: {"kept": False, "questions": []})
    code, out, err = in_pipes("--history", *options)
    assert code == 1
    assert out == (b'{"kept": false, "questions": []}\n' if options else b"")
    assert b"switched off" in err and b"imgqd config" in err and err.count(b"\n") == 1
    code, out = in_terminal("--history", *options)
    assert code == 1 and b"switched off" in out


def test_what_was_asked_before_it_was_switched_off_is_still_shown(
    small: SmallDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = small.history(20)["questions"]
    monkeypatch.setattr(small, "history", lambda top: {"kept": False, "questions": kept})
    code, out, err = in_pipes("--history")
    assert (code, out.count(b"\n")) == (0, 1)
    assert b"switched off" in err


def test_a_history_in_which_nothing_is_yet_is_silent_to_programs(
    small: SmallDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small, "history", lambda top: {"kept": True, "questions": []})
    assert in_pipes("--history") == (1, b"", b"")
    assert in_terminal("--history") == (1, b"Nothing was asked yet.\n")


def test_where_nothing_is_saved_a_person_is_told_how(small: SmallDaemon) -> None:
    code, out = in_terminal("--saved")
    assert code == 1 and b"imgq --save NAME TEXT" in out
    assert in_pipes("--saved") == (1, b"", b"")


def test_the_history_has_the_time_of_this_machines_clock(small: SmallDaemon) -> None:
    assert in_pipes("--history", TZ="UTC-9")[1].startswith(b"2024-01-01 09:00\t2\tcat ")


@pytest.mark.parametrize("options", [["--duplicates"], ["--duplicates", "-0"]], ids=" ".join)
def test_duplicates_in_a_folder_that_is_not_there(small: SmallDaemon, options: list[str]) -> None:
    assert in_terminal(*options, "--in", "/nothing") == (
        1,
        b"Nothing found: --in /nothing does not exist\n",
    )
    assert in_pipes(*options, "--in", "/nothing") == (
        1,
        b"",
        b"Nothing found: --in /nothing does not exist\n",
    )


def test_where_nothing_is_alike_the_threshold_is_named(
    small: SmallDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = {"threshold": 0.95, "model": "test", "groups": []}
    monkeypatch.setattr(small, "duplicates", lambda request: empty)
    for options in ([], ["-0"]):
        code, out = in_terminal("--duplicates", *options)
        assert (code, out.count(b"0.95")) == (1, 1)
        assert in_pipes("--duplicates", *options) == (1, b"", b"")


def test_counts_of_nothing_have_a_reason(
    small: SmallDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {"query": {}, "total": 0, "facets": {"year": []}, "took_ms": 1.0, "generation": 7}
    monkeypatch.setattr(small, "facets", lambda request: counts)
    code, out, err = in_pipes("--facets", "--in", "/nowhere")
    assert (code, out) == (1, b"") and b"/nowhere does not exist" in err
    assert in_pipes("--facets", "--tag", "none") == (1, b"", b"")
    assert in_terminal("--facets", "--tag", "none") == (1, b"0 pictures\nNothing found.\n")
    small.watched.clear()
    assert b"no folder is watched" in in_pipes("--facets")[2]


def test_counts_as_json_are_readable_on_a_terminal(small: SmallDaemon) -> None:
    _, out = in_terminal("--facets", "--json")
    assert json.loads(out)["total"] == 2 and out.count(b"\n") > 10
    assert in_pipes("--facets", "--json")[1].count(b"\n") == 1


@pytest.mark.parametrize(
    ("options", "word"),
    [(["--offset", "36"], "after the first 36"), (["--category", "no"], "imgq --facets"),
     (["--offset", "0"], "Nothing found.\n"),
     (["--after", "2025", "--before", "2024"], "no time is in both"),
     (["--after", "2024", "--before", "2024"], "until 2024 begins"),
     (["--after", "2024-06", "--before", "2024"], "no time is in both"),
     (["--after", "2024", "--before", "2024-06"], "Nothing found.\n"),
     (["--after", "today", "--before", "2024"], "Nothing found.\n"),
     (["--before", "2024"], "Nothing found.\n")],
)  # fmt: skip
def test_people_are_told_what_may_be_wrong(
    small: SmallDaemon, monkeypatch: pytest.MonkeyPatch, options: list[str], word: str
) -> None:
    monkeypatch.setattr(small, "search", empty_search)
    code, out = in_terminal("cat", *options)
    assert code == 1 and word in out.decode()
    assert in_pipes("cat", *options) == (1, b"", b"")


@pytest.mark.parametrize("options", [["--history"], ["--saved"], ["--duplicates"], ["--facets"],
                                     ["--tag-add", "t", "id:1"], ["--web"], ["--save", "x", "cat"],
                                     ["@x"], ["cat"]], ids=" ".join)  # fmt: skip
@pytest.mark.parametrize("seconds", ["0", "-1", "x"])
def test_a_timeout_that_makes_no_sense_is_wrong_usage_everywhere(
    small: SmallDaemon, capfdbinary: Captured, options: list[str], seconds: str
) -> None:
    assert main([*options, "--timeout", seconds]) == 2
    out, err = capfdbinary.readouterr()
    assert out == b"" and err.startswith(b"imgq: --timeout: ")


def test_a_field_without_a_value_is_wrong_usage(small: SmallDaemon, capfdbinary: Captured) -> None:
    assert main(["--where", "print="]) == 2
    assert b"print= needs a value" in capfdbinary.readouterr().err


def test_the_name_of_a_question_may_be_given_as_it_is_asked(
    small: SmallDaemon, capfdbinary: Captured
) -> None:
    assert main(["--save", "@cats", "cat"]) == 0
    assert list(small.kept) == ["cats"]
    assert main(["--forget", "@cats"]) == 0
    assert small.kept == {}
    assert capfdbinary.readouterr().err.endswith(b"@cats is forgotten\n")


def test_what_does_not_go_with_a_description_is_named(
    small: SmallDaemon, capfdbinary: Captured
) -> None:
    assert main(["--describe", "id:1", "x", "--tag-add", "y"]) == 2
    assert b"leave out --tag-add" in capfdbinary.readouterr().err

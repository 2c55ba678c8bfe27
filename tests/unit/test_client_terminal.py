"""What a person sees: a real pseudo-terminal, hostile file names, widths, colours and links."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgq import terminal
from tests.unit.client_process import environment, run, run_in_terminal
from tests.unit.client_stand_in import Asked, Said, StandIn, answer, refusal, result

ESCAPES = re.compile(rb"\x1b\[[0-9;]*m|\x1b\]8;;[!-~]*\x1b\\")
HOSTILE = "/p/\x1b]0;owned\x07\x1b[2J\x9b31m\u202egpj.\n\r\t\x00\x7f.jpg"


@pytest.fixture
def home(tmp_path: os.PathLike[str]) -> str:
    return str(tmp_path)


@pytest.fixture
def stand_in(home: str) -> Iterator[StandIn]:
    with StandIn(os.path.join(home, "imgqd.sock")) as stand_in:
        yield stand_in


def test_a_list_for_a_person(stand_in: StandIn, home: str) -> None:
    stand_in.results = [
        result(9, f"{home}/a.jpg", 0.31271),
        result(10, "/elsewhere/b c.jpg", -0.1, copies=["/x", "/y"]),
    ]
    output, code = run_in_terminal(
        "x", environ=environment(IMGQ_HOME=home, HOME=home, NO_COLOR="1")
    )
    assert code == 0
    assert output.decode() == " 9   0.3127  ~/a.jpg\n10  -0.1000  /elsewhere/b c.jpg  (+2)\n"


def test_colours_unless_told_otherwise(stand_in: StandIn, home: str) -> None:
    coloured, _ = run_in_terminal("x", environ=environment(IMGQ_HOME=home))
    assert b"\x1b[36m0.3127\x1b[0m" in coloured
    for more in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        plain, _ = run_in_terminal("x", environ=environment(IMGQ_HOME=home, **more))
        assert b"\x1b" not in plain


@pytest.mark.parametrize(
    "arguments", [[], ["-l"], ["-0"], ["--scores"], ["--json"], ["--jsonl"], ["--csv"],
                  ["--format", "{rank} {path}"], ["--preview=blocks"]], ids=" ".join,
)  # fmt: skip
def test_no_escape_sequence_from_a_file_name_reaches_the_terminal(
    stand_in: StandIn, home: str, arguments: list[str]
) -> None:
    stand_in.results = [
        result(1, HOSTILE, 0.5, copies=[HOSTILE], camera="\x1b[5J", tags=["\x1b[6J"]),
        result(2, "/p/\ufffd.jpg", 0.5, path_b64="L3Av/xtbM0ouanBn"),
    ]
    environ = environment(IMGQ_HOME=home, TERM="xterm-kitty", LC_ALL="C.UTF-8")
    output, code = run_in_terminal("x", *arguments, environ=environ)
    assert code == 0
    shown = ESCAPES.sub(b"", output)
    text = shown.decode("utf-8")
    ours = "\n" + {"--scores": "\t", "-0": "\0"}.get(" ".join(arguments), "")
    assert all(character.isprintable() or character in ours for character in text), text
    assert "owned" in text and ("\\x1b" in text or "\\u001b" in text)
    if arguments == ["--json"]:
        assert json.loads(text) == answer(stand_in.results)


def test_errors_with_hostile_names_are_harmless_too(stand_in: StandIn, home: str) -> None:
    environ = environment(IMGQ_HOME=home, LC_ALL="C.UTF-8")
    done = run("--like", "/gone/\x1b[2J\u202e.jpg", environ=environ)
    assert done.returncode == 2
    assert b"\\x1b[2J\\u202e" in done.stderr and b"\x1b" not in done.stderr


def test_lines_keep_to_the_width(stand_in: StandIn, home: str) -> None:
    names = ["x" * 200, "日本" * 60, "e\u0301" * 150, "👩‍👩‍👧" * 40]
    stand_in.results = [
        result(rank, f"/photos/{name}.jpg", 0.5, copies=["/c"] * rank)
        for rank, name in enumerate(names, 1)
    ]
    for columns in (40, 80):
        output, _ = run_in_terminal(
            "x", environ=environment(IMGQ_HOME=home, LC_ALL="C.UTF-8"), columns=columns
        )
        lines = ESCAPES.sub(b"", output).decode().splitlines()
        assert len(lines) == 4
        # Joined emoji are measured piece by piece where a line is cut: on the safe side.
        assert min(map(terminal.columns_of, lines[:3])) >= columns - 4
        for line in lines:
            assert terminal.columns_of(line) <= columns
            assert "…" in line and ".jpg" in line


def test_links_where_they_are_supported(stand_in: StandIn, home: str) -> None:
    stand_in.results = [result(1, "/p/a b\x1b;é.jpg", 0.5)]
    environ = environment(IMGQ_HOME=home, VTE_VERSION="7600", LC_ALL="C.UTF-8")
    output, _ = run_in_terminal("x", environ=environ)
    host = os.uname().nodename.encode()
    assert b"\x1b]8;;file://%s/p/a%%20b%%1B%%3B%%C3%%A9.jpg\x1b\\" % host in output
    inside, _ = run_in_terminal("x", environ={**environ, "TMUX": "/tmp/tmux-0/default,1,0"})
    assert b"]8;;" not in inside


def test_a_terminal_of_another_encoding_gets_no_broken_text(stand_in: StandIn, home: str) -> None:
    stand_in.results = [result(1, "/p/日本é.jpg", 0.5)]
    environ = environment(IMGQ_HOME=home, PYTHONIOENCODING="ascii", NO_COLOR="1")
    for arguments in ([], ["-l"], ["--json"]):
        output, code = run_in_terminal("x", *arguments, environ=environ)
        assert (code, output.isascii()) == (0, True)


def test_what_is_pending_and_what_is_missing_is_told(stand_in: StandIn, home: str) -> None:
    environ = environment(IMGQ_HOME=home)
    stand_in.status["pending"] = 12
    stand_in.routes["POST", "/v1/search"] = lambda asked: Said(
        answer(stand_in.results, indexing=True)
    )
    output, code = run_in_terminal("x", environ=environ)
    assert code == 0 and b"12 files still to be indexed" in output
    stand_in.results = []
    output, code = run_in_terminal("x", environ=environ)
    assert code == 1 and b"Nothing found yet: 12 files" in output
    stand_in.status["pending"] = 0
    output, code = run_in_terminal("x", environ=environ)
    assert code == 1 and b"Nothing found." in output


def test_a_fallback_model_is_told_once(stand_in: StandIn, home: str) -> None:
    stand_in.status["model"]["fallback"] = "no hub can be reached: the built-in model answers"
    environ = environment(IMGQ_HOME=home)
    first, _ = run_in_terminal("x", environ=environ)
    second, _ = run_in_terminal("x", environ=environ)
    assert b"the built-in model answers" in first and b"built-in" not in second
    assert len([a for a in stand_in.asked if a.path == "/v1/status"]) == 1
    stand_in.routes["POST", "/v1/search"] = lambda asked: Said(
        answer(stand_in.results, model="model-2")
    )
    stand_in.status["model"].update(id="model-2", fallback="still the built-in one")
    third, _ = run_in_terminal("x", environ=environ)
    assert b"still the built-in one" in third


def test_waiting_for_a_model_shows_what_is_done_and_leaves_no_trace(
    stand_in: StandIn, home: str
) -> None:
    stand_in.status["model"]["spec"] = "builtin"
    stand_in.status["progress"] = {"done": 1, "total": 3, "stage": "export", "detail": "text tower"}
    ready = []

    def route(asked: Asked) -> Said:
        if ready:
            return Said(answer(stand_in.results))
        return refusal(503, "model-not-ready", "not ready", Retry_After="1")

    def seen(output: bytes, process: object) -> None:
        if b"1 of 3" in output:
            ready.append(1)

    stand_in.routes["POST", "/v1/search"] = route
    output, code = run_in_terminal("x", environ=environment(IMGQ_HOME=home), seen=seen)
    assert code == 0
    assert b"Preparing the built-in model, once: converting (text tower)" in output
    before, line = output.rsplit(b"\r\x1b[K", 1)
    assert b"beach.jpg" in line and b"beach.jpg" not in before


def test_interrupting_the_wait_is_quiet(stand_in: StandIn, home: str) -> None:
    stand_in.routes["POST", "/v1/search"] = lambda asked: refusal(
        503, "model-not-ready", "not ready", Retry_After="1"
    )
    sent = []

    def seen(output: bytes, process: object) -> None:
        if not sent:
            sent.append(process.send_signal(signal.SIGINT))  # type: ignore[attr-defined]

    stand_in.status["progress"]["stage"] = "load"
    output, code = run_in_terminal("x", environ=environment(IMGQ_HOME=home), seen=seen)
    assert code == 130 and b"Traceback" not in output
    assert output.endswith(b"\r\x1b[K")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain name.jpg", "plain name.jpg"),
        ("日本 é e\u0301 👩‍👧", "日本 é e\u0301 👩‍👧"),
        ("\x1b[0m\x07\n\t\x7f", "\\x1b[0m\\x07\\n\\t\\x7f"),
        ("\x9b\u2028\u202e\u2066\ufeff", "\\x9b\\u2028\\u202e\\u2066\\ufeff"),
        (os.fsdecode(b"\xff\xfe"), "\\xff\\xfe"),
        ("\U000e0001\ue000", "\\U000e0001\\ue000"),
    ],
)
def test_the_harmless_form(text: str, shown: str) -> None:
    assert terminal.harmless(text) == shown


@given(st.text())
def test_the_harmless_form_of_anything_is_obeyed_by_no_terminal(text: str) -> None:
    for character in terminal.harmless(text):
        assert character.isprintable() or character in "\u200c\u200d\u3000\xa0\u202f\u205f\u1680" \
            or "\u2000" <= character <= "\u200a" or "\U000e0020" <= character <= "\U000e007f"  # fmt: skip


@given(st.text(), st.integers(0, 30))
def test_shortening_never_exceeds_the_room(text: str, room: int) -> None:
    assert terminal.columns_of(terminal.shortened(text, room)) <= room


def test_columns() -> None:
    widths = {"abc": 3, "日本": 4, "e\u0301": 1, "👩‍👩‍👧": 2, "👍🏽": 2, "": 0}
    assert {text: terminal.columns_of(text) for text in widths} == widths


def test_the_home_folder_is_a_tilde_only_where_it_ends_a_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/ann/")
    assert terminal.with_tilde(b"/home/ann/x") == b"~/x"
    assert terminal.with_tilde(b"/home/annabel/x") == b"/home/annabel/x"
    monkeypatch.setenv("HOME", "/")
    assert terminal.with_tilde(b"/x") == b"/x"


def test_a_time_is_readable() -> None:
    from imgq.watch import duration

    assert [duration(seconds) for seconds in (0.2, 8, 59.6, 61, 3599, 7500)] == [
        "1 s", "8 s", "1 min", "1 min", "1 h 00 min", "2 h 05 min",
    ]  # fmt: skip

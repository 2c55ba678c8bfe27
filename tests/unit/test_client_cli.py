"""The command: what it prints, where, and with which exit code."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import time
from collections.abc import Iterator

import pytest

import imgq
from imgq import cli
from imgq.cli import main
from imgq.options import TABLE
from tests.unit.client_kit import home
from tests.unit.client_stand_in import Asked, Said, StandIn, answer, refusal, result

__all__ = ["home"]

Captured = pytest.CaptureFixture[bytes]


@pytest.fixture
def stand_in(home: str) -> Iterator[StandIn]:
    with StandIn(os.path.join(home, "imgqd.sock")) as stand_in:
        yield stand_in


ODD = [
    result(1, "/p/two\nlines.jpg", 0.5),
    result(2, "/p/caf\ufffd \x1b[31m.jpg", -0.00001, path_b64="L3AvY2Fm6SAbWzMxbS5qcGc="),
    result(3, "/p/日本.jpg", -0.25, copies=["/p/b.jpg", "/p/c.jpg"], tags=["a", "b"], gps=[1.5, 2]),
]
ODD_PATHS = [b"/p/two\nlines.jpg", b"/p/caf\xe9 \x1b[31m.jpg", "/p/日本.jpg".encode()]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], b"".join(path + b"\n" for path in ODD_PATHS)),
        (["-l"], b"".join(path + b"\n" for path in ODD_PATHS)),
        (["-0"], b"".join(path + b"\0" for path in ODD_PATHS)),
        (["-l0"], b"".join(path + b"\0" for path in ODD_PATHS)),
        (
            ["--scores"],
            b"".join(
                score + b"\t" + path + b"\n"
                for score, path in zip((b"0.5000", b"0.0000", b"-0.2500"), ODD_PATHS, strict=True)
            ),
        ),
        (
            ["--format", "{score:.2f} {{{id}}} {name} +{copies} {tags}"],
            b"0.50 {101} two\nlines.jpg +0 \n-0.00 {102} caf\xe9 \x1b[31m.jpg +0 \n"
            + "-0.25 {103} 日本.jpg +2 a,b\n".encode(),
        ),
    ],
)
def test_names_come_back_exact(
    stand_in: StandIn, capfdbinary: Captured, arguments: list[str], expected: bytes
) -> None:
    stand_in.results = ODD
    assert main(["x", *arguments]) == 0
    assert capfdbinary.readouterr() == (expected, b"")


def test_json_is_the_daemons_own_object(stand_in: StandIn, capfdbinary: Captured) -> None:
    stand_in.results = ODD
    assert main(["--json", "x"]) == 0
    out, err = capfdbinary.readouterr()
    assert json.loads(out) == answer(ODD)
    assert (out.count(b"\n"), out[-1:], err) == (1, b"\n", b"")


def test_json_lines_and_tables(stand_in: StandIn, capfdbinary: Captured) -> None:
    stand_in.results = ODD
    assert main(["--jsonl", "x"]) == 0
    lines = capfdbinary.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == ODD
    assert main(["--csv", "x"]) == 0
    text = capfdbinary.readouterr().out.decode("utf-8", "surrogateescape")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [os.fsencode(row["path"]) for row in rows] == ODD_PATHS
    assert (rows[2]["latitude"], rows[2]["tags"], rows[2]["copies"]) == (
        "1.5",
        "a;b",
        "/p/b.jpg;/p/c.jpg",
    )


def test_what_a_result_does_not_have_is_empty_in_tables(
    stand_in: StandIn, capfdbinary: Captured
) -> None:
    known = {"rating": 4, "title": "Sea", "keywords": ["a", "b"], "gps": [1.5, -2], "relevance": 1}
    stand_in.results = [result(1, "/p/a.jpg", 0.5, **known), result(2, "/p/b.jpg", None)]
    template = "{score:.3f}|{relevance:.1f}|{rating:>3d}|{title}|{keywords}|{longitude:.1f}"
    assert main(["--in", "/p", "--format", template]) == 0
    assert capfdbinary.readouterr().out == b"0.500|1.0|  4|Sea|a,b|-2.0\n|||||\n"
    assert main(["--in", "/p", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capfdbinary.readouterr().out.decode())))
    assert (rows[0]["title"], rows[0]["keywords"], rows[0]["rating"]) == ("Sea", "a;b", "4")
    assert (rows[1]["score"], rows[1]["rating"], rows[1]["title"]) == ("", "", "")


@pytest.mark.parametrize(
    "template", ["{nothing}", "{path.x}", "{path[0]}", "{path!r}", "{", "}", "{score:{id}}",
                 "{id:.2q}", "{}", "{0}", "{path:>1000000000}", "{score:.99999f}"],
)  # fmt: skip
def test_a_template_that_cannot_be_filled_is_wrong_usage(
    stand_in: StandIn, capfdbinary: Captured, template: str
) -> None:
    assert main(["x", "--format", template]) == 2
    out, err = capfdbinary.readouterr()
    assert out == b"" and b"--format" in err
    assert stand_in.asked == []


def test_what_is_wrong_in_a_template_is_named(stand_in: StandIn, capfdbinary: Captured) -> None:
    assert main(["x", "--format", "{path!r}"]) == 2
    err = capfdbinary.readouterr().err
    assert b"not !r" in err and b"there is no" not in err
    assert main(["x", "--format", "{nothing}"]) == 2
    assert b"there is no {nothing}" in capfdbinary.readouterr().err


def test_the_request_carries_what_was_typed(stand_in: StandIn) -> None:
    assert main(["sun", "-n", "3", "over", "--type", "png", "sea", "--timeout", "9"]) == 0
    (sent,) = stand_in.bodies("/v1/search")
    assert 8 < sent.pop("timeout_s") < 9
    assert sent.pop("remember") == "sun -n 3 over --type png sea --timeout 9"
    assert sent == {"terms": [{"text": "sun over sea"}], "top": 3, "types": ["png"]}


def test_sync_is_asked_of_the_daemon_without_a_limit(stand_in: StandIn) -> None:
    assert main(["x", "--sync"]) == 0
    (sent,) = stand_in.bodies("/v1/search")
    assert sent["sync"] is True and sent["timeout_s"] > 3600


def test_nothing_found_is_exit_1_and_silent_for_scripts(
    stand_in: StandIn, capfdbinary: Captured
) -> None:
    stand_in.results = []
    assert main(["x", "-l"]) == 1
    assert capfdbinary.readouterr() == (b"", b"")
    assert main(["x", "--json"]) == 1
    assert json.loads(capfdbinary.readouterr().out)["results"] == []


def test_nothing_found_says_what_is_missing(stand_in: StandIn, capfdbinary: Captured) -> None:
    stand_in.results = []
    stand_in.status["pending"] = 1234
    assert main(["x"]) == 1
    assert b"1,234 files still to be indexed" in capfdbinary.readouterr().err
    stand_in.status["folders"] = []
    assert main(["x"]) == 1
    assert b"imgq --watch ~/Pictures" in capfdbinary.readouterr().err


def test_a_folder_that_can_hold_nothing_is_named_when_nothing_is_found(
    stand_in: StandIn, home: str, capfdbinary: Captured
) -> None:
    stand_in.results = []
    inner, file = os.path.join(home, "inner"), os.path.join(home, "a.jpg")
    os.mkdir(inner)
    open(file, "w").close()
    stand_in.status["folders"] = [{"path": inner, "state": "watching", "files": 2}]
    for folders, said in (
        ([home, "/gone"], b"--in /gone does not exist"),
        ([file], b"a.jpg is not a folder"),
        ([inner, os.path.dirname(__file__)], b"is not watched; start with: imgq --watch"),
    ):
        assert main(["x", *(word for folder in folders for word in ("--in", folder))]) == 1
        assert said in capfdbinary.readouterr().err
    # Below a watched folder, or above one.
    for folder in (inner, os.path.join(inner, "..", "inner"), home):
        assert main(["x", "--in", folder]) == 1
        assert capfdbinary.readouterr().err == b""


def test_without_folders_the_first_model_is_not_waited_for(
    stand_in: StandIn, capfdbinary: Captured
) -> None:
    stand_in.status["folders"] = []
    stand_in.routes["POST", "/v1/search"] = lambda asked: refusal(
        503, "model-not-ready", "the model is being prepared", Retry_After="1"
    )
    assert main(["x"]) == 1
    assert b"imgq --watch" in capfdbinary.readouterr().err


@pytest.mark.parametrize("arguments", [[], [""], ["-l"], ["--sync"], ["--min-score", "0.2"]])
def test_nothing_to_ask_is_said_on_standard_error(
    stand_in: StandIn, capfdbinary: Captured, arguments: list[str]
) -> None:
    assert main(arguments) == 2
    out, err = capfdbinary.readouterr()
    expected = b"imgq: there is nothing to look for" if arguments else b"usage: imgq"
    assert out == b"" and err.startswith(expected)
    assert stand_in.asked == []


@pytest.mark.parametrize(
    ("arguments", "start"),
    [(["--help"], b"usage: imgq"), (["-h", "x"], b"usage: imgq"), (["--help-all"], b"usage: imgq"),
     (["--version"], b"imgq " + imgq.__version__.encode() + b"\n")],
)  # fmt: skip
def test_help_and_version_go_to_standard_output(
    capfdbinary: Captured, arguments: list[str], start: bytes
) -> None:
    assert main(arguments) == 0
    out, err = capfdbinary.readouterr()
    assert out.startswith(start) and err == b""


@pytest.mark.parametrize(
    "arguments",
    [["x", "--nope"], ["x", "-n", "0"], ["x^0"], ["--like", "/gone.jpg"], ["x", "--near", "1"],
     ["x", "--timeout", "0"], ["x", "--timeout", "-1"], ["x", "--timeout", "nan"],
     ["x", "--timeout", "soon"], ["x", "--watch", "/gone"], ["x", "--watch", "/dev/null"]],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_asks_nothing(
    stand_in: StandIn, capfdbinary: Captured, arguments: list[str]
) -> None:
    assert main(arguments) == 2
    out, err = capfdbinary.readouterr()
    assert out == b"" and err.startswith(b"imgq: ") and err.count(b"\n") == 1
    assert stand_in.asked == []


@pytest.mark.parametrize(
    ("status", "code"), [(400, 2), (404, 2), (413, 2), (401, 4), (403, 4), (500, 4), (503, 4)]
)
def test_refusals_become_exit_codes(
    stand_in: StandIn, capfdbinary: Captured, status: int, code: int
) -> None:
    stand_in.routes["POST", "/v1/search"] = lambda asked: refusal(status, "why", "the \x1b[2J sun")
    assert main(["x"]) == code
    assert capfdbinary.readouterr() == (b"", b"imgq: the \\x1b[2J sun\n")


def test_no_daemon_is_exit_3(home: str, capfdbinary: Captured) -> None:
    assert main(["x"]) == 3
    assert b"imgqd run" in capfdbinary.readouterr().err


@pytest.mark.parametrize(
    ("name", "code"),
    [("http://127.0.0.1:1", 3), ("/nowhere/imgqd.sock", 3), ("https://127.0.0.1:1", 2),
     ("http://127.0.0.1", 2)],
)  # fmt: skip
def test_imgq_socket_names_the_only_place_to_ask(
    stand_in: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: Captured,
    name: str,
    code: int,
) -> None:
    monkeypatch.setenv("IMGQ_SOCKET", name)
    monkeypatch.delenv("IMGQ_NO_SPAWN")
    assert main(["x"]) == code
    assert b"IMGQ_SOCKET" in capfdbinary.readouterr().err


def test_imgq_socket_takes_a_path_or_a_url(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    monkeypatch.setenv("IMGQ_HOME", os.path.join(tmp_path, "other"))
    monkeypatch.setenv("IMGQ_SOCKET", str(stand_in.path))
    assert main(["x"]) == 0
    with StandIn() as loopback:
        monkeypatch.setenv("IMGQ_SOCKET", f"http://127.0.0.1:{loopback.port}")
        assert main(["x"]) == 0
        assert len(loopback.asked) == 1


def test_the_timeout_is_exit_4(stand_in: StandIn, capfdbinary: Captured) -> None:
    def slow(asked: Asked) -> Said:
        time.sleep(1)
        return Said(answer([]))

    stand_in.routes["POST", "/v1/search"] = slow
    assert main(["x", "--timeout", "0.2"]) == 4
    assert b"--timeout 0.2" in capfdbinary.readouterr().err


def test_what_nobody_thought_of_is_one_line(
    stand_in: StandIn, capfdbinary: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*asked: object) -> int:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(cli, "_ask", broken)
    assert main(["x"]) == 4
    err = capfdbinary.readouterr().err
    assert b"ZeroDivisionError" in err and b"Traceback" not in err and err.count(b"\n") == 1


def test_trouble_without_words_of_its_own_is_named(
    stand_in: StandIn, capfdbinary: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*asked: object) -> int:
        raise MemoryError

    monkeypatch.setattr(cli, "_ask", broken)
    assert main(["x"]) == 4
    assert capfdbinary.readouterr().err == b"imgq: failed: MemoryError\n"


def test_any_command_line_ends_in_a_known_exit_code_and_one_message(
    stand_in: StandIn, home: str, capfdbinary: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("PATH", "/nowhere")
    noise = random.Random(7)
    names = [name for option in TABLE for name in option.names]
    values = [
        "", " ", "cat", "-", "--", "-1", "0", "5", "1001", "1e999", "nan", "a^2", "^", "a + b",
        "+", "id:3", "id:", "x,y", "1,2,3", "10x10", "{path}", "{", "kitty", "\udcff", "a\0b", "日本",
        "http://x/y.jpg", "imgqd.sock", ".", "/dev/null", "\x1b[2J", "--nope", "-lz", "-n", "2024",
    ]  # fmt: skip
    seen = set()
    for _ in range(1500):
        arguments = [
            noise.choice(names) + noise.choice(["", "", "=" + noise.choice(values)])
            if noise.random() < 0.5
            else noise.choice(values)
            for _ in range(noise.randrange(6))
        ]
        code = main(arguments)
        out, err = capfdbinary.readouterr()
        assert code in (0, 1, 2, 4), arguments
        assert b"nobody thought of" not in err and b"\x1b[2J" not in err, (arguments, err)
        # What is done with an answer is done after it has been shown.
        used = any(word.startswith(("--open", "--copy-to", "--link-to")) for word in arguments)
        assert code in (0, 1) or (err and (used or not out)), (arguments, out)
        seen.add(code)
    assert seen == {0, 2, 4}

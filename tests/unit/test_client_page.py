"""`imgq --web`: the link that is opened, or printed where there is no browser."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import parse_qsl

import pytest

from imgq import arguments, page
from imgq.cli import main
from imgq.errors import UsageError
from tests.unit.client_kit import home
from tests.unit.client_process import environment
from tests.unit.client_stand_in import Said, StandIn, refusal

__all__ = ["home"]

Captured = pytest.CaptureFixture[bytes]
URL = "http://127.0.0.1:4321/#key=abc"


@pytest.fixture
def stand_in(home: str) -> Iterator[StandIn]:
    with StandIn(os.path.join(home, "imgqd.sock")) as stand_in:
        stand_in.routes["POST", "/v1/web"] = lambda asked: Said(
            {"url": URL, "port": 4321, "valid_s": 60}
        )
        yield stand_in


def asked_for(*typed: str) -> list[tuple[str, str]]:
    return parse_qsl(page.address(arguments.parse(["--web", *typed])).removeprefix("?"))


def test_text_examples_and_filters_are_in_the_address() -> None:
    assert asked_for() == []
    assert asked_for("a", "cat", "--not", "two people", "--like", "id:3^2", "--not-like=id:4") == [
        ("q", 'a cat -"two people"'),
        ("like", "3^2"),
        ("unlike", "4"),
    ]
    assert asked_for("--after=2024", "--type", "JPEG, png", "--tag=a&b", "--where", "print=A4") == [
        ("after", "2024"),
        ("tag", "a&b"),
        ("where", "print=A4"),
        ("type", "jpeg"),
        ("type", "png"),
    ]
    assert asked_for("--near", "-33.9,18.4,10", "--min-size=640x480", "--relevant", "-n", "3") == [
        ("near", "-33.9,18.4,10"),
        ("min_size", "640x480"),
        ("relevant", "1"),
    ]
    assert asked_for("--text", "anna", "--text=birth*") == [("words", "anna birth*")]
    assert asked_for("--literal", "C^2 + 1") == [("q", '"C^2 + 1"')]


def test_folders_are_absolute_and_exact(tmp_path: os.PathLike[str], monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    odd = os.path.join(os.fsencode(tmp_path), b"caf\xe9")
    os.mkdir(odd)
    ((_, plain),) = asked_for("--in", ".")
    assert plain == os.path.realpath(tmp_path)
    ((_, exact),) = asked_for("--in", os.fsdecode(odd))
    assert exact.startswith("b64:")


@pytest.mark.parametrize(
    "typed",
    [
        ["--json"],
        ["--duplicates"],
        ["--open"],
        ["--like", "photo.jpg"],
        ["--like", "id:x"],
        ["--rating", "9"],
        ["cat^x"],
        ["cat", "+"],
        ["--literal", 'a "b"'],
    ],
)
def test_what_the_page_cannot_be_asked_is_wrong_usage(typed: list[str]) -> None:
    with pytest.raises(UsageError):
        page.address(arguments.parse(["--web", *typed]))


def test_in_a_pipe_the_link_is_printed_and_nothing_opened(
    stand_in: StandIn, capfdbinary: Captured
) -> None:
    assert main(["--web", "a cat"]) == 0
    told = capfdbinary.readouterr()
    assert told.out == URL.encode() + b"\n"
    assert b"60 seconds" in told.err
    assert [asked.body for asked in stand_in.asked] == [{"address": "?q=a%20cat"}]


def test_a_refusal_is_said(stand_in: StandIn, capfdbinary: Captured) -> None:
    stand_in.routes["POST", "/v1/web"] = lambda asked: refusal(403, "no-page", "switched off")
    assert main(["--web"]) == 4
    assert capfdbinary.readouterr() == (b"", b"imgq: switched off\n")


def test_folders_to_watch_are_added_and_not_waited_for(
    stand_in: StandIn, capfdbinary: Captured, tmp_path: os.PathLike[str]
) -> None:
    stand_in.routes["POST", "/v1/folders"] = lambda asked: Said({"folders": []})
    assert main(["--web", "--watch", str(tmp_path)]) == 0
    assert [asked.path for asked in stand_in.asked] == ["/v1/folders", "/v1/web"]
    assert main(["--web", "--watch", str(tmp_path) + "/nowhere"]) == 2


def in_a_terminal(home: str, starter: str | None, **environ: str) -> tuple[str, str]:
    """(what `imgq --web` writes in a terminal, what it gave to a starter of browsers)."""
    tools = os.path.join(home, "tools")
    given = os.path.join(home, "given")
    os.makedirs(tools)
    if starter is not None:
        script = os.path.join(tools, "open" if sys.platform == "darwin" else "xdg-open")
        with open(script, "w") as stream:
            stream.write(f'#!/bin/sh\nprintf %s "$1" > {given}\n{starter}\n')
        os.chmod(script, 0o755)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "imgq", "--web"],
        env=environment(IMGQ_HOME=home, PATH=tools, **environ),
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    told = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:
            break
        if not part:
            break
        told += part
    os.close(master)
    assert process.wait(30) == 0
    try:
        with open(given) as stream:
            return told.decode(), stream.read()
    except FileNotFoundError:
        return told.decode(), ""


def test_in_a_terminal_the_browser_is_opened_and_the_key_is_not_shown(
    stand_in: StandIn, home: str
) -> None:
    told, given = in_a_terminal(home, "exit 0", DISPLAY=":1")
    assert given == URL
    assert "http://127.0.0.1:4321/" in told and "key" not in told


def test_a_starter_that_stays_with_its_browser_is_not_waited_for(
    stand_in: StandIn, home: str
) -> None:
    told, given = in_a_terminal(home, "exec /bin/sleep 5", DISPLAY=":1")
    assert given == URL and "key" not in told


@pytest.mark.skipif(sys.platform == "darwin", reason="every Mac has a desktop")
def test_without_a_desktop_the_link_is_shown(stand_in: StandIn, home: str) -> None:
    told, given = in_a_terminal(home, "exit 0", DISPLAY="", WAYLAND_DISPLAY="")
    assert (given, URL in told) == ("", True)


def test_a_starter_that_fails_leaves_the_link(stand_in: StandIn, home: str) -> None:
    told, given = in_a_terminal(home, "exit 3", DISPLAY=":1")
    assert given == URL and URL in told


def test_a_desktop_without_a_starter_leaves_the_link(home: str, stand_in: StandIn) -> None:
    told, _ = in_a_terminal(home, None, DISPLAY=":1")
    assert URL in told

"""--open: a viewer on the PATH gets the exact names, is not waited for, and is missed aloud."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from imgq import opening
from imgq.errors import OutputError
from tests.unit.client_kit import home
from tests.unit.client_process import environment
from tests.unit.client_stand_in import StandIn, result

__all__ = ["home"]

DESKTOP = {"DISPLAY": ":1"}
ODD = [
    result(1, "/p/two\nlines and blanks.jpg", 0.5),
    result(2, "/p/caf\ufffd \x1b[31m.jpg", 0.4, path_b64="L3AvY2Fm6SAbWzMxbS5qcGc="),
    result(3, "/p/-dash.jpg", 0.3),
    result(4, "/p/100% #hash?.jpg", 0.2),
]
ODD_PATHS = [
    b"/p/two\nlines and blanks.jpg",
    b"/p/caf\xe9 \x1b[31m.jpg",
    b"/p/-dash.jpg",
    b"/p/100% #hash?.jpg",
]


@pytest.fixture
def stand_in(home: str) -> Iterator[StandIn]:
    with StandIn(os.path.join(home, "imgqd.sock")) as stand_in:
        yield stand_in


def viewer(folder: str, name: str = "xdg-open", then: str = "exit 0") -> None:
    """A program that notes what it was asked to open, each name ended by NUL."""
    path = os.path.join(folder, name)
    with open(path, "w") as stream:
        stream.write(f"#!/bin/sh\nprintf '%s\\0' \"$@\" >> '{folder}/opened'\n{then}\n")
    os.chmod(path, 0o755)


def opened(folder: str) -> list[bytes]:
    try:
        with open(os.path.join(folder, "opened"), "rb") as stream:
            return stream.read().split(b"\0")[:-1]
    except FileNotFoundError:
        return []


def imgq(home: str, *arguments: str, **environ: str) -> tuple[int, bytes, bytes]:
    """`imgq ARGUMENTS` as a process of its own: exit code, what it wrote, what it said."""
    given = environment(IMGQ_HOME=home, IMGQ_NO_SPAWN="1", PATH=home)
    given |= {"DISPLAY": "", "WAYLAND_DISPLAY": ""}
    # Standard error is a file: a pipe would be held open by a viewer that had inherited it.
    with open(os.path.join(home, "said"), "w+b") as said:
        done = subprocess.run(
            [sys.executable, "-m", "imgq", *arguments],
            env={**given, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            timeout=60,
        )
        said.seek(0)
        return done.returncode, done.stdout, said.read()


linux = pytest.mark.skipif(sys.platform != "linux", reason="a Mac has its own viewer and desktop")


@linux
def test_the_viewer_gets_exact_names_one_by_one(stand_in: StandIn, home: str) -> None:
    viewer(home)
    stand_in.results = ODD
    assert imgq(home, "x", "--open", "-0", WAYLAND_DISPLAY="wayland-0") == (
        0,
        b"".join(path + b"\0" for path in ODD_PATHS),
        b"",
    )
    assert opened(home) == ODD_PATHS


@linux
def test_a_viewer_that_stays_open_is_left_open_and_the_others_come(
    stand_in: StandIn, home: str
) -> None:
    viewer(home, then=f"echo $$ >> {home}/pids; exec /bin/sleep 600")
    assert imgq(home, "x", "--open", **DESKTOP)[0] == 0
    with open(os.path.join(home, "pids")) as stream:
        pids = [int(line) for line in stream]
    try:
        assert opened(home) == [b"/photos/2023/beach.jpg", b"/photos/2021/cliffs at dusk.jpg"]
        # Out of reach of a Ctrl-C and of the end of the terminal.
        assert all(os.getsid(pid) == pid for pid in pids) and len(pids) == 2
    finally:
        for pid in pids:
            os.kill(pid, 9)


@linux
def test_more_than_twenty_windows_are_not_opened(stand_in: StandIn, home: str) -> None:
    viewer(home)
    stand_in.results = [result(n, f"/p/{n}.jpg", 0.5) for n in range(1, 31)]
    code, out, err = imgq(home, "x", "--open", "-n", "30", **DESKTOP)
    assert (code, out.count(b"\n")) == (0, 30)
    assert b"first 20" in err
    assert opened(home) == [b"/p/%d.jpg" % n for n in range(1, opening.MOST + 1)]


@linux
def test_a_viewer_that_fails_is_exit_4_and_names_the_file(stand_in: StandIn, home: str) -> None:
    viewer(home, then="exit 3")
    stand_in.results = ODD[1:]
    code, out, err = imgq(home, "x", "--open", "-l", **DESKTOP)
    assert (code, out.count(b"\n")) == (4, 3)
    assert b"xdg-open failed with 3 on /p/caf" in err and b"\x1b" not in err
    assert len(opened(home)) == 1


@linux
def test_a_viewer_that_fails_beside_one_that_stays_is_heard(home: str) -> None:
    viewer(home, then='case "$1" in */bad) exit 4;; esac; exec /bin/sleep 3')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", home)
        with pytest.raises(OutputError, match="failed with 4 on /bad"):
            opening.open_paths([b"/good", b"/bad"], "linux", DESKTOP)


@linux
def test_without_a_viewer_or_a_desktop_that_is_said(stand_in: StandIn, home: str) -> None:
    code, out, err = imgq(home, "x", "--open", **DESKTOP)
    assert (code, out.count(b"\n"), b"xdg-utils" in err) == (4, 2, True)
    viewer(home)
    code, out, err = imgq(home, "x", "--open")
    assert (code, out.count(b"\n"), b"no desktop" in err) == (4, 2, True)
    assert opened(home) == []


def test_a_mac_gets_all_names_at_once(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer(home, "open")
    monkeypatch.setenv("PATH", home)
    assert opening.open_paths([b"/a", b"/b"], "darwin", {}) == 2
    assert opened(home) == [b"/a", b"/b"]


def test_nothing_found_opens_nothing(stand_in: StandIn, home: str) -> None:
    stand_in.results = []
    viewer(home)
    assert imgq(home, "x", "--open", **DESKTOP)[0] == 1
    assert opened(home) == []

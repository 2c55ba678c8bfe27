"""Showing a file in the file manager: what counts as done, and what is tried next."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imgqd.errors import UnavailableError
from imgqd.web import desktop


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def tool(tools: Path, name: str, does: str) -> Path:
    """A program that writes down what it was given, a word a line, before it does something."""
    given = tools / f"{name}.given"
    script = tools / name
    script.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {given}\n{does}\n")
    script.chmod(0o755)
    return given


def test_the_file_is_named_to_the_file_manager_of_the_desktop(tools: Path) -> None:
    given = tool(tools, "dbus-send", "exit 0")
    desktop.reveal(b"/a b/c,$(d)\n'.jpg", "linux")
    assert "array:string:file:///a%20b/c%2C%24%28d%29%0A%27.jpg" in given.read_text().splitlines()


def test_a_file_manager_that_stays_open_is_left_open(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desktop, "FAILS_WITHIN_S", 0.2)
    tool(tools, "dbus-send", "exit 1")
    given = tool(tools, "xdg-open", f"echo $$ > {tools}/pid; exec /bin/sleep 600")
    desktop.reveal(b"/photos/a.jpg", "linux")
    assert given.read_text() == "/photos\n"
    pid = int((tools / "pid").read_text())
    os.kill(pid, 9)


def test_where_nothing_answers_that_is_said(tools: Path) -> None:
    tool(tools, "dbus-send", "exit 1")
    tool(tools, "xdg-open", "exit 3")
    with pytest.raises(UnavailableError, match="no file manager"):
        desktop.reveal(b"/photos/a.jpg", "linux")

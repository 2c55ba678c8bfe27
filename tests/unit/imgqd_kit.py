"""Fixtures for the commands of imgqd: a home, a small daemon, and a command run in this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from imgqd import cli
from imgqd.settings import TABLE
from tests.unit.small_daemon import running


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A fresh IMGQ_HOME in which no daemon is ever started."""
    folder = str(tmp_path / "home")
    monkeypatch.setenv("IMGQ_HOME", folder)
    monkeypatch.setenv("IMGQ_NO_SPAWN", "1")
    monkeypatch.delenv("IMGQ_SOCKET", raising=False)
    for setting in TABLE:
        monkeypatch.delenv(f"IMGQ_{setting.name.upper()}", raising=False)
    return folder


@pytest.fixture
def api(home):
    with running(home) as running_api:
        yield running_api


class Said:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def imgqd(capsys):
    """Runs one command in this process."""

    def command(*words):
        try:
            code = cli.main(words)
        except SystemExit as exit:
            code = exit.code
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Said(code, out, err)

    return command


def whole(home, *words, **options):
    """Runs one command as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "imgqd", *words],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(home),
        **options,
    )
    assert "Traceback" not in done.stderr
    return Said(done.returncode, done.stdout, done.stderr)


def environment(home):
    path = os.pathsep.join(part for part in sys.path if part)
    return {**os.environ, "IMGQ_HOME": home, "PYTHONPATH": path}

"""Fixtures for the commands of imgq: a home in which no daemon is ever started."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def home(tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh IMGQ_HOME; returns its path."""
    monkeypatch.setenv("IMGQ_HOME", str(tmp_path))
    monkeypatch.setenv("IMGQ_NO_SPAWN", "1")
    monkeypatch.delenv("IMGQ_SOCKET", raising=False)
    return str(tmp_path)

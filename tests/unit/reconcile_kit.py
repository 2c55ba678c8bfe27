"""Fixtures for tests of the reconciler: one that is started and stopped, and what is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from imgqd.library import reconcile
from imgqd.library.reconcile import Reconciler, SyncWalk
from tests.unit.library_kit import (
    Library,
    library,
)

__all__ = ["library"]
Start = Callable[..., Reconciler]


@pytest.fixture
def start(library: Library, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a reconciler and waits for its first walk; all are stopped at the end."""
    monkeypatch.setattr(reconcile, "TICK_S", 0.2)
    started: list[Reconciler] = []

    def go(**settings: Any) -> Reconciler:
        made = library.reconciler(**settings)
        started.append(made)
        made.start()
        assert synced(made).offline == made.guard.offline()
        return made

    yield go
    for made in started:
        made.stop()


def synced(reconciler: Reconciler) -> SyncWalk:
    walk = reconciler.sync_walk(time.monotonic() + 60)
    assert walk is not None
    return walk


def state(library: Library) -> str:
    return library.store.folders()[0].state


def known(library: Library, *names: bytes) -> Callable[[], bool]:
    """True once exactly these files are known, as hints alone bring it about."""

    def look() -> bool:
        library.answer()
        return library.files() == set(names)

    return look

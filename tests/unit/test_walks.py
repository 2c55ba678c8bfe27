"""The thread that walks: who shares which walk, and what goes first."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from imgqd.library.walks import Unit, Walk, Walks
from tests.unit.library_kit import wait_for


class Slow:
    """Walks whose work waits until it is let go, to see who shares which."""

    def __init__(self) -> None:
        self.began: list[bytes | None] = []
        self.go = threading.Semaphore(0)
        self.partial: list[tuple[bytes, bool]] = []
        self.walks = Walks(self.unit, self.directory, lambda path, follow: True, lambda: None)

    def unit(self, unit: Unit, walk: Walk) -> int:
        self.began.append(unit.root)
        assert self.go.acquire(timeout=60)
        walk.hooks.between()
        return len(self.began)

    def directory(self, path: bytes, deep: bool, walk: Walk) -> None:
        self.partial.append((path, deep))


@pytest.fixture
def slow() -> Iterator[Slow]:
    made = Slow()
    made.walks.start()
    yield made
    made.go.release(100)
    made.walks.stop()


def test_who_asks_during_a_walk_gets_the_next_one_and_shares_it(slow: Slow) -> None:
    first = slow.walks.request(None)
    assert wait_for(lambda: len(slow.began) == 1)
    later = [slow.walks.request(None) for _ in range(5)]
    slow.go.release()
    assert first.wait(60)
    assert not any(ticket.wait(0) for ticket in later)
    slow.go.release()
    assert all(ticket.wait(60) for ticket in later)
    assert {ticket.watermark for ticket in later} == {2}
    assert len(slow.began) == 2


def test_directories_are_walked_in_between_and_once_with_all_below_them(slow: Slow) -> None:
    ticket = slow.walks.request(None)
    assert wait_for(lambda: len(slow.began) == 1)
    hints = [(b"/a/b", False), (b"/a", True), (b"/a/c", True), (b"/ab", False), (b"/z", False)]
    slow.walks.request_partial(hints)
    slow.walks.request_partial([(b"/z", True)])
    assert slow.walks.busy
    slow.go.release()
    assert ticket.wait(60)
    assert slow.partial == [(b"/a", True), (b"/ab", False), (b"/z", True)]
    assert wait_for(lambda: not slow.walks.busy)


def test_nobody_waits_for_a_quiet_walk(slow: Slow) -> None:
    slow.walks.request(b"/a", quiet=True)
    assert wait_for(lambda: slow.walks.walking)
    assert not slow.walks.busy
    slow.walks.request(b"/b")
    assert slow.walks.busy


def test_who_waits_is_let_go_when_the_walks_end(slow: Slow) -> None:
    tickets = [slow.walks.request(None), slow.walks.request(b"/a")]
    assert wait_for(lambda: len(slow.began) == 1)
    slow.go.release()
    slow.walks.stop()
    tickets.append(slow.walks.request(None))
    assert all(ticket.wait(60) and ticket.failure for ticket in tickets[1:])

"""Calls that wait for the same worker: who shares a batch, who leaves it, who must not wait long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar, copy_context

import numpy as np
import pytest

from imgqd.errors import ImgqError, ModelError, UnavailableError
from imgqd.models.together import Together
from imgqd.records import Vectors

WAIT_S = 30.0
away: ContextVar[bool] = ContextVar("away", default=False)


class Worker:
    """Turns numbers into vectors of them; the first batch waits until it is let go."""

    def __init__(self, **options: int) -> None:
        self.batches: list[list[int]] = []
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.together = Together(self._run, gone=away.get, **{"most": 6, "share": 2, **options})
        self.results: dict[str, Vectors | ImgqError] = {}
        self.threads: list[threading.Thread] = []
        self.start("first", [0])
        assert self.begun.wait(WAIT_S)

    def _run(self, items: list[int]) -> Vectors:
        self.batches.append(items)
        if not self.begun.is_set():
            self.begun.set()
            assert self.go_on.wait(WAIT_S)
        if 13 in items:
            raise ModelError("thirteen")
        return np.asarray(items, dtype=np.float32)[:, None]

    def start(self, name: str, items: list[int], *, gone: bool = False) -> None:
        waiting = len(self.together._calls)

        def call() -> None:
            away.set(gone)
            try:
                self.results[name] = self.together(items)
            except ImgqError as error:
                self.results[name] = error

        thread = threading.Thread(target=lambda: copy_context().run(call))
        thread.start()
        self.threads.append(thread)
        if name != "first":
            until(lambda: len(self.together._calls) > waiting)

    def finish(self) -> None:
        self.go_on.set()
        for thread in self.threads:
            thread.join(WAIT_S)
            assert not thread.is_alive()

    def answer(self, name: str) -> list[float]:
        found = self.results[name]
        assert not isinstance(found, ImgqError)
        numbers: list[float] = found[:, 0].tolist()
        return numbers


def until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(3000):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not happen")


def test_calls_that_wait_are_one_batch_and_get_their_own_answers() -> None:
    worker = Worker()
    for number in range(1, 6):
        worker.start(str(number), [number])
    worker.finish()
    assert worker.batches == [[0], [1, 2, 3, 4, 5]]
    assert all(worker.answer(str(number)) == [number] for number in range(1, 6))
    assert worker.answer("first") == [0]


def test_a_call_with_many_items_does_not_hold_up_the_others() -> None:
    worker = Worker()
    worker.start("many", list(range(100, 120)))
    worker.start("one", [1])
    worker.start("two", [2])
    worker.finish()
    # Two for the large call, one for each other, then the places that are left.
    assert worker.batches[1] == [100, 101, 1, 2, 102, 103]
    assert worker.answer("one") == [1] and worker.answer("two") == [2]
    assert worker.answer("many") == list(range(100, 120))


def test_a_caller_who_has_gone_away_leaves_the_batch() -> None:
    worker = Worker()
    worker.start("gone", [7], gone=True)
    worker.start("here", [8])
    worker.finish()
    assert worker.batches == [[0], [8]]
    assert isinstance(worker.results["gone"], UnavailableError)
    assert worker.answer("here") == [8]


def test_what_fails_fails_its_caller_and_no_others() -> None:
    worker = Worker(most=3, share=1)
    worker.start("bad", [13])
    worker.start("beside it", [1])
    worker.start("partly", [3, 13, 4])
    worker.start("later", [2])
    worker.finish()
    assert isinstance(worker.results["bad"], ModelError)
    assert isinstance(worker.results["partly"], ModelError)
    assert worker.answer("beside it") == [1]
    assert worker.answer("later") == [2]


class Panic(BaseException):
    """As what compiled code raises when it gives up."""


def test_nobody_waits_on_after_a_panic() -> None:
    def run(items: list[int]) -> Vectors:
        raise Panic

    together: Together[int] = Together(run, most=4, share=2)
    for _ in range(2):
        with pytest.raises(Panic):
            together([1, 2, 3])
    assert not together._calls


def test_one_caller_alone_runs_at_once_on_its_own_thread() -> None:
    ran: list[int] = []

    def run(items: list[int]) -> Vectors:
        ran.append(threading.get_ident())
        return np.zeros((len(items), 1), dtype=np.float32)

    assert Together(run, most=4, share=4)([1, 2, 3, 4, 5]).shape == (5, 1)
    assert ran == [threading.get_ident()] * 2


@pytest.mark.parametrize("threads", [8])
def test_every_call_is_answered_once_whatever_the_order(threads: int) -> None:
    together = Together(lambda items: np.asarray(items, dtype=np.float32)[:, None], most=5, share=2)
    wrong: list[object] = []

    def ask(start: int) -> None:
        for step in range(200):
            items = list(range(start, start + 1 + step % 7))
            if together(items)[:, 0].tolist() != items:
                wrong.append(items)

    asking = [threading.Thread(target=ask, args=(n * 1000,)) for n in range(threads)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(WAIT_S)
        assert not thread.is_alive()
    assert not wrong

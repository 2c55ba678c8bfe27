"""Callers on many threads whose work is done together: what waits when the worker is free is one batch.

Responsible for who runs a batch, whose work is in it and what each caller gets back. What the work
is, is the owner's (text.py: texts for the text tower).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Generic, TypeVar

import numpy as np

from imgqd.errors import UnavailableError
from imgqd.records import Vectors

Item = TypeVar("Item")


class _Call(Generic[Item]):
    """One caller's items: `left` has not begun, `parts` is done."""

    def __init__(self, items: Sequence[Item], gone: Callable[[], bool]) -> None:
        self.left = list(items)
        self.parts: list[Vectors] = []
        self.missing = len(self.left)
        self.error: BaseException | None = None
        self._context = copy_context()
        self._gone = gone

    def gone(self) -> bool:
        """Whether this caller has gone away; asked on another caller's thread as well."""
        return self._context.run(self._gone)

    @property
    def over(self) -> bool:
        return self.error is not None or not self.missing


class Together(Generic[Item]):
    """`run` turns up to `most` items into as many vectors, on the thread of one of the callers.

    There is no thread of its own and no waiting for company: a caller who is alone runs at once.
    While a batch runs, others queue up and are the next one. A call with many items has at most
    `share` places in a batch while others wait. `gone` tells in a caller's context that it has gone
    away: what of its items has not begun is left out.
    """

    def __init__(
        self,
        run: Callable[[list[Item]], Vectors],
        *,
        most: int,
        share: int,
        gone: Callable[[], bool] = lambda: False,
    ) -> None:
        self._run = run
        self._most = most
        self._share = share
        self._gone = gone
        self._condition = threading.Condition()
        self._calls: list[_Call[Item]] = []
        self._running = False

    def __call__(self, items: Sequence[Item]) -> Vectors:
        """(n, dim) for `items`, at least one. Raises what `run` raises for them, and
        UnavailableError for a caller who has gone away."""
        call = _Call(items, self._gone)
        with self._condition:
            self._calls.append(call)
            while not call.over:
                if self._running:
                    self._condition.wait()
                    continue
                self._running = True
                batch = self._next()
                self._condition.release()
                try:
                    done = self._done(batch)
                finally:
                    self._condition.acquire()
                    self._running = False
                    self._condition.notify_all()
                self._give(batch, done)
        if call.error is not None:
            raise call.error
        return np.concatenate(call.parts)

    def _next(self) -> list[tuple[_Call[Item], list[Item]]]:
        """What the next batch is: a share for each call in its order, then what is left of places."""
        for call in self._calls:
            if call.gone():
                call.error = UnavailableError("who asked for this has gone away; ask again")
        self._calls = [call for call in self._calls if not call.over]
        batch: list[tuple[_Call[Item], list[Item]]] = []
        places = self._most
        for most in (self._share, self._most):
            for call in self._calls:
                taken = call.left[: min(most, places)]
                if taken:
                    batch.append((call, taken))
                    del call.left[: len(taken)]
                    places -= len(taken)
        self._calls = [call for call in self._calls if call.left]
        return batch

    def _done(self, batch: list[tuple[_Call[Item], list[Item]]]) -> list[Vectors | BaseException]:
        """What each part of the batch has become. Where all of it fails, each is run by itself: what
        is wrong with one caller's items is not the others'."""
        if not batch:
            return []
        try:
            done = self._run([item for _, taken in batch for item in taken])
        except BaseException as error:  # a panic in compiled code is no Exception
            if len(batch) < 2:
                return [error]
            return [result for part in batch for result in self._done([part])]
        ends = np.cumsum([len(taken) for _, taken in batch])
        return [
            done[end - len(taken) : end]
            for (_, taken), end in zip(batch, ends.tolist(), strict=True)
        ]

    def _give(
        self,
        batch: list[tuple[_Call[Item], list[Item]]],
        done: list[Vectors | BaseException],
    ) -> None:
        for (call, taken), result in zip(batch, done, strict=True):
            if isinstance(result, BaseException):
                call.error = call.error or result
                call.left.clear()
                continue
            call.parts.append(result)
            call.missing -= len(taken)
        self._calls = [call for call in self._calls if not call.over]

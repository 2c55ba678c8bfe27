"""The threads that the daemon's blocking calls run on, in lanes that cannot block each other.

A search never waits behind somebody's `sync`. Each lane has a limit; past it the answer is "busy"
at once. A caller who goes away cancels what has not begun and raises a flag for what has.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

from imgqd.api.service import set_cancellation
from imgqd.errors import UnavailableError

P = ParamSpec("P")
T = TypeVar("T")


class Lane:
    """`threads` calls at once, at most `waiting` more in line. Used from the event loop."""

    def __init__(self, name: str, *, threads: int, waiting: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=f"imgqd-{name}")
        self._limit = threads + waiting
        self._lock = threading.Lock()
        self._flags: set[threading.Event] = set()
        self._closed = False

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(...)` on a thread. Raises UnavailableError when too many are in line."""
        flag = threading.Event()
        with self._lock:
            if self._closed:
                raise UnavailableError("the daemon is stopping; try again when it runs")
            if len(self._flags) >= self._limit:
                raise UnavailableError(
                    "too many requests of this kind are being answered; try again in a moment",
                    code="busy",
                )
            self._flags.add(flag)
        context = copy_context()
        context.run(set_cancellation, flag)
        try:
            future = self._executor.submit(lambda: context.run(function, *args, **kwargs))
        except BaseException:
            self._flags.discard(flag)
            raise

        def forget(_: Future[T]) -> None:
            with self._lock:
                self._flags.discard(flag)

        future.add_done_callback(forget)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            flag.set()
            raise

    def close(self) -> None:
        """Cancels everything; does not wait for what has begun."""
        with self._lock:
            self._closed = True
            for flag in self._flags:
                flag.set()
        self._executor.shutdown(wait=False, cancel_futures=True)


class Lanes:
    """One lane for each kind of call."""

    def __init__(self) -> None:
        # More threads than the machine has cores: those that wait for the text tower are encoded
        # together (models/together.py). The work after that takes turns in search/query.py.
        self.search = Lane("search", threads=12, waiting=56)
        # One at a time: what is parsed here is large, and holds the interpreter's lock.
        self.parsing = Lane("parsing", threads=1, waiting=64)
        self.control = Lane("control", threads=4, waiting=64)
        self.pictures = Lane("pictures", threads=4, waiting=512)
        # What sleeps most of the time: sync, and searches that wait for it.
        self.sync = Lane("sync", threads=16, waiting=0)
        # What may hang on a dead drive or take minutes: folders, verify, a model.
        self.slow = Lane("slow", threads=8, waiting=32)

    def close(self) -> None:
        for lane in (self.search, self.parsing, self.control, self.pictures):
            lane.close()
        self.interrupt()

    def interrupt(self) -> None:
        """Ends what would go on for long; searches and questions may still be answered."""
        for lane in (self.sync, self.slow):
            lane.close()

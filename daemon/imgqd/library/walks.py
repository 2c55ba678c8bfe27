"""The thread that walks: what was asked for, coalesced, one walk at a time.

Walks of single directories (a hint said so) go first and are fitted in between the directories of a
long walk. When a walk hangs in the kernel, its thread is left behind and another one goes on. What
a walk does is reconcile.py's and scan.py's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from imgqd.library.scan import Cancelled, Hooks, Progress

log = structlog.get_logger("library")

# With more directories to walk than this, walking everything is cheaper.
MOST_PARTIAL = 500


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """For status: the walk under way, if there is one that somebody may wait for."""

    scanning: bool
    directories: int
    files: int


@dataclass(frozen=True, slots=True)
class SyncWalk:
    """A walk that began after the call is done: all that differed is in the queue by `watermark`.

    `offline` are the folders (and drives mounted below them) that were left out.
    """

    watermark: int
    offline: list[bytes]


class Ticket:
    """For who waits: `wait` until a walk that began after the request has ended.

    `watermark` covers all that the walk asked for; `failure` is a text when it failed.
    """

    def __init__(self, *, renew: bool) -> None:
        self._ended = threading.Event()
        self.renew = renew
        self.watermark = 0
        self.failure: str | None = None

    def wait(self, timeout: float | None = None) -> bool:
        """True when the walk has ended, False after `timeout` seconds."""
        return self._ended.wait(timeout)

    def end(self, watermark: int, failure: str | None) -> None:
        """Lets those who wait go on."""
        self.watermark, self.failure = watermark, failure
        self._ended.set()


@dataclass(slots=True)
class Unit:
    """A walk that is asked for: a folder, or everything (None). `quiet`: nobody waits for it."""

    root: bytes | None
    quiet: bool
    tickets: list[Ticket] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk under way, as the code that does it sees it."""

    hooks: Hooks
    progress: Progress


class Walks:
    """Runs `unit(unit, walk)` and `partial(directory, deep, walk)` on its thread."""

    def __init__(
        self,
        unit: Callable[[Unit, Walk], int],
        partial: Callable[[bytes, bool, Walk], None],
        watch: Callable[[bytes, bool], bool],
        failed: Callable[[], None],
    ) -> None:
        self._do_unit = unit
        self._do_partial = partial
        self._watch = watch
        self._failed = failed
        self._condition = threading.Condition()
        self._units: dict[bytes | None, Unit] = {}
        self._partial: dict[bytes, bool] = {}
        self._current: Unit | None = None
        self._in_partial = False
        self._cancel = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._failing = False
        self.progress = Progress()

    def start(self) -> None:
        """Begins to walk."""
        self._cancel = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(self._cancel,), name="walk", daemon=True
        )
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Ends the walk under way; those who wait are let go with a failure."""
        with self._condition:
            self._stopped = True
            self._cancel.set()
            units = [*self._units.values(), *([self._current] if self._current else [])]
            self._units.clear()
            self._condition.notify_all()
        for unit in units:
            self._end(unit, 0, "imgqd is stopping")
        if self._thread is not None:
            self._thread.join(timeout)

    def request(self, root: bytes | None, *, quiet: bool = False, renew: bool = False) -> Ticket:
        """Asks for a walk that begins from now on; the same request waiting already is joined."""
        ticket = Ticket(renew=renew)
        with self._condition:
            if self._stopped:
                ticket.end(0, "imgqd is stopping")
                return ticket
            unit = self._units.setdefault(root, Unit(root, quiet))
            unit.quiet = unit.quiet and quiet
            unit.tickets.append(ticket)
            self._condition.notify_all()
        return ticket

    def request_partial(self, directories: list[tuple[bytes, bool]]) -> None:
        """Asks for walks of directories, (path, with all below it)."""
        with self._condition:
            for path, deep in directories:
                self._partial[path] = deep or self._partial.get(path, False)
            many = len(self._partial) > MOST_PARTIAL
            if many:
                self._partial.clear()
            self._condition.notify_all()
        if many:
            self.request(None)

    @property
    def busy(self) -> bool:
        """True while a walk that somebody may wait for is under way or waiting."""
        with self._condition:
            units = [*self._units.values(), *([self._current] if self._current else [])]
            partial = self._in_partial or bool(self._partial)
            return partial or any(not unit.quiet for unit in units)

    @property
    def walking(self) -> bool:
        """True while any folder is being walked."""
        return self._in_partial or self._current is not None

    def leave_behind(self, on_return: Callable[[], None]) -> None:
        """The thread hangs: another one does its work again. `on_return` when it comes back."""
        with self._condition:
            hanging, unit = self._thread, self._current
            self._cancel.set()
            if unit is not None:
                later = self._units.setdefault(unit.root, Unit(unit.root, unit.quiet))
                later.tickets.extend(unit.tickets)
                self._current = None
            self._in_partial = False

        def wait() -> None:
            if hanging is not None:
                hanging.join()
            on_return()

        threading.Thread(target=wait, name="walk-left-behind", daemon=True).start()
        self.progress = Progress()
        self.request(None, quiet=True)
        self.start()

    def _run(self, cancel: threading.Event) -> None:
        while True:
            with self._condition:
                while not self._units and not self._partial and not cancel.is_set():
                    self._condition.wait()
                if cancel.is_set():
                    return
            walk = Walk(
                Hooks(self._watch, lambda: self._partials(cancel), cancel.is_set), Progress()
            )
            self._partials(cancel)
            with self._condition:
                if cancel.is_set() or not self._units:
                    continue
                unit = self._units.pop(next(iter(self._units)))
                self._current = unit
                self.progress = walk.progress
            self._guarded(lambda: self._do_unit(unit, walk), unit, cancel)  # noqa: B023

    def _guarded(self, work: Callable[[], int], unit: Unit, cancel: threading.Event) -> None:
        watermark, failure = 0, None
        try:
            watermark = work()
            self._failing = False
        except Cancelled:
            return
        except Exception as error:
            failure = f"the folders could not be walked: {error}"
            if not self._failing and not cancel.is_set():
                log.exception("a walk failed")
            self._failing = True
        with self._condition:
            if cancel.is_set():
                return
            self._current = None
        self._end(unit, watermark, failure)
        if failure is not None:
            self._failed()

    def _end(self, unit: Unit, watermark: int, failure: str | None) -> None:
        for ticket in unit.tickets:
            ticket.end(watermark, failure)

    def _partials(self, cancel: threading.Event) -> None:
        """Walks the directories that hints told of."""
        while True:
            with self._condition:
                waiting, self._partial = self._partial, {}
            if not waiting:
                return
            walk = Walk(Hooks(self._watch, cancelled=cancel.is_set), Progress())
            covered = b"\0"
            outer, self.progress, self._in_partial = self.progress, walk.progress, True
            try:
                for path in sorted(waiting, key=lambda p: p + b"/"):
                    if path.startswith(covered):
                        continue
                    if waiting[path]:
                        covered = path.rstrip(b"/") + b"/"
                    self._do_partial(path, waiting[path], walk)
            except Cancelled:
                return
            except Exception as error:
                log.warning("a directory could not be walked; walking all", error=str(error))
                self._failed()
                return
            finally:
                if not cancel.is_set():
                    self.progress, self._in_partial = outer, False

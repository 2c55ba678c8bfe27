"""Keeps the library equal to the disk: when to walk, what to watch, which folders are there.

Hints from the watcher only ever lead to paths in the queue and to walks; walks are what proves the
library right, at the start, at intervals, for every `sync`, and whenever hints were lost. Looking
at the paths in the queue is the pipeline's business.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import structlog

from imgqd.errors import UnavailableError
from imgqd.library import identity
from imgqd.library.guard import Anchor, Guard
from imgqd.library.polls import Polls
from imgqd.library.rules import Rules
from imgqd.library.scan import Hooks, Progress, Scan
from imgqd.library.store import Store, below, is_below
from imgqd.library.walks import ScanProgress, SyncWalk, Ticket, Unit, Walk, Walks
from imgqd.library.watch import Listener, Watcher
from imgqd.settings import Settings

log = structlog.get_logger("library")

# Folders are looked at this often (two system calls each), and this is all that wakes an idle
# daemon up.
TICK_S = 2.0
# A walk of a network drive that makes no step for this long hangs.
STALL_S = 60.0
RETRY_S = 10.0
BURST_S = 10.0


class Reconciler:
    """Owns the watcher, the guard and the thread that walks. Thread-safe."""

    def __init__(self, store: Store, settings: Settings, *, own_folders: Sequence[bytes]) -> None:
        self._store = store
        self._patterns = settings.texts("exclude")
        self._own = list(own_folders)
        self._mode = settings.text("watch_mode")
        self._interval_s = settings.number("reconcile_interval_s")
        self._known: dict[bytes, tuple[str, ...]] = {}
        self.guard = Guard(
            store,
            self._rules(),
            follow_links=settings.flag("follow_links"),
            on_change=self._anchor_changed,
        )
        self.watcher = Watcher(
            Listener(
                paths=self._paths,
                directories=self._directories,
                overflow=self._overflow,
                mounted=self._mounted,
                ignored=lambda path, is_dir: self.guard.rules.excluded(path, is_dir),
            )
        )
        self._walks = Walks(self._walk_unit, self._walk_partial, self._watch, self._walk_failed)
        self._thread: threading.Thread | None = None
        self._condition = threading.Condition()
        self._stopping = False
        self._mounts_moved = self._watch_anew = False
        self._overflowed = self._try_watching = -BURST_S
        self._next_full = time.monotonic() + self._interval_s
        self._polls = Polls(settings.number("poll_interval_s"))
        self._step: tuple[tuple[int, int], float] = ((0, 0), time.monotonic())

    # -- life

    def start(self) -> None:
        """Watches, and walks every folder in the background."""
        for anchor in self.guard.anchors():
            if not anchor.network:
                self.guard.check(anchor)
        for folder in self._store.folders():
            if folder.state not in ("offline", "scanning"):
                self._store.update_folder(folder.id, state="scanning")
        self._start_watcher()
        self._walks.start()
        self._walks.request(None)
        self._thread = threading.Thread(target=self._run, name="reconcile", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends watching and walking."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(5)
        self._walks.stop()
        self.watcher.stop()

    def _start_watcher(self) -> None:
        if self._mode != "poll":
            self.watcher.start()
            self.watcher.set_roots(self.guard.rules.roots)

    # -- what is asked of it

    def owns(self, path: bytes) -> bool:
        """See Guard.owns."""
        return self.guard.owns(path)

    def is_away(self, path: bytes) -> bool:
        """See Guard.is_away."""
        return self.guard.is_away(path)

    def gone_for_sure(self, path: bytes) -> bool:
        """See Guard.gone_for_sure."""
        return self.guard.gone_for_sure(path)

    def hint_directory(self, path: bytes) -> None:
        """There is a directory at this path that may not be known."""
        self._walks.request_partial([(path, True)])

    def folders_changed(self) -> None:
        """The store's folders changed: watches and walks what is new, drops what is not ours now."""
        before = self._known
        rules = self._rules()
        self.guard.reload(rules)
        self._prune(rules)
        self.watcher.set_roots(rules.roots)
        if self._thread is None:
            return
        changed = {path for path, _ in before.items() ^ self._known.items()}
        for top in rules.tops():
            if any(is_below(p, top) for p in changed):
                self._walks.request(top)

    def sync_walk(
        self, deadline: float | None, cancelled: Callable[[], bool] = lambda: False
    ) -> SyncWalk | None:
        """Walks every folder that is there, from now on; calls at the same time share a walk.

        `deadline` is in seconds of the monotonic clock. None when it passed first (or the caller
        went away). Raises UnavailableError when the folders could not be walked.
        """
        if not self._store.folders():
            return SyncWalk(self._store.watermark(), [])
        ticket = self._walks.request(None, renew=True)
        while True:
            if cancelled():
                return None
            if ticket.wait(_left(deadline)):
                break
            if deadline is not None and time.monotonic() >= deadline:
                return None
        if ticket.failure is not None:
            raise UnavailableError(f"{ticket.failure}; the log says more")
        return SyncWalk(ticket.watermark, self.guard.offline())

    def differences(self, cancelled: Callable[[], bool] = lambda: False) -> list[bytes]:
        """Paths whose state on disk is not what is known and that nobody has asked for yet.

        Walks on the calling thread and changes nothing.
        """
        found: list[bytes] = []
        for top in self.guard.rules.tops():
            hooks = Hooks(cancelled=cancelled)
            Scan(
                self._store,
                self.guard,
                hooks=hooks,
                progress=Progress(),
                sink=lambda paths: found.extend(paths),
            ).run(top)
        return [path for path in found if not self._store.is_waiting(path)]

    def request(self, root: bytes | None = None) -> Ticket:
        """Asks for a walk of a watched folder, or of all."""
        return self._walks.request(root)

    def progress(self) -> ScanProgress:
        """How far the walk under way is."""
        walk = self._walks.progress
        return ScanProgress(self._walks.busy, walk.directories, walk.files)

    @property
    def watch_limit(self) -> str | None:
        """A text for a person, with the remedy, while not everything can be watched."""
        return self.watcher.limit

    # -- hints, on the watcher's threads

    def _paths(self, paths: list[bytes]) -> None:
        try:
            self._store.enqueue(paths)
            if self.guard.links is not None:
                # A link that went, or leads elsewhere now, takes a tree with it.
                linked = [path for path in paths if self._has_tree(path)]
                self._directories([(path, True) for path in linked])
        except Exception as error:
            log.warning("hints were lost; walking all folders", error=str(error))
            self._walk_failed()

    def _has_tree(self, path: bytes) -> bool:
        row = self._store.read_one(
            "SELECT 1 FROM directories WHERE path = ? OR path >= ? AND path < ? LIMIT 1",
            (path, *below(path)),
        )
        return row is not None

    def _directories(self, directories: list[tuple[bytes, bool]]) -> None:
        whole = {path for path, deep in directories if deep and self.guard.rules.is_root(path)}
        for path in whole:
            self._walks.request(self._top(path))
        self._walks.request_partial([hint for hint in directories if hint[0] not in whole])

    def _top(self, path: bytes) -> bytes | None:
        """The folder where the walk that comes to this path begins."""
        return next((top for top in self.guard.rules.tops() if is_below(path, top)), None)

    def _overflow(self) -> None:
        now = time.monotonic()
        if now - self._overflowed > BURST_S:
            log.warning("the kernel dropped events (queue overflow); walking all folders again")
        self._overflowed = now
        self._watch_anew = True
        self._walks.request(None)

    def _mounted(self) -> None:
        with self._condition:
            self._mounts_moved = True
            self._condition.notify_all()

    # -- the coordinating thread

    def _run(self) -> None:
        while True:
            with self._condition:
                if not self._mounts_moved and not self._stopping:
                    self._condition.wait(self._until_due())
                if self._stopping:
                    return
                moved, self._mounts_moved = self._mounts_moved, False
            try:
                self._tick(moved)
            except Exception:
                log.exception("looking after the folders failed; trying again")

    def _until_due(self) -> float:
        due = min([self._next_full, *self._polls.times()])
        return max(0.05, min(TICK_S, due - time.monotonic()))

    def _tick(self, mounts_moved: bool) -> None:
        now = time.monotonic()
        for anchor in self.guard.anchors():
            # A network drive may hang: only walks go there, and they are watched over.
            if not anchor.network:
                self.guard.is_there(anchor)
        if mounts_moved:
            self._find_mounts()
        if self._mode != "poll" and not self.watcher.alive():
            self._mend_watcher(now)
        for top in self._polls.take(now):
            self._walks.request(top, quiet=True)
        if self._next_full <= now:
            self._next_full = now + self._interval_s
            self._walks.request(None, quiet=True)
        self._look_for_stall(now)

    def _mend_watcher(self, now: float) -> None:
        if self.watcher.running:
            log.warning("the watcher died; starting it again and walking all folders")
            self.watcher.stop()
        elif now < self._try_watching:
            return
        self._try_watching = now + RETRY_S
        self._start_watcher()
        if self.watcher.running:
            self._walks.request(None)

    def _find_mounts(self) -> None:
        rules = self.guard.rules
        known = {anchor.path for anchor in self.guard.anchors()}
        for top in rules.tops():
            for mount in identity.mounts_below(top):
                ours = mount.type not in identity.PSEUDO and not rules.excluded(mount.path, True)
                if ours and mount.path not in known:
                    self._walks.request(top)

    def _look_for_stall(self, now: float) -> None:
        walk = self._walks.progress
        step = (walk.directories, walk.files)
        if step != self._step[0] or not self._walks.walking:
            self._step = (step, now)
        elif now - self._step[1] >= STALL_S:
            self._step = (step, now)
            hanging = [a for a in self.guard.covering(walk.at) if a.network and not a.stuck]
            if hanging:
                innermost = max(hanging, key=lambda a: len(a.path))
                self.guard.give_up(innermost)
                self._walks.leave_behind(lambda: self._answers_again(innermost))

    def _answers_again(self, anchor: Anchor) -> None:
        anchor.stuck = False
        self._walks.request(self._top(anchor.path), quiet=True)

    def _anchor_changed(self, anchor: Anchor) -> None:
        """On any thread: a folder or mount went, came back or is another directory now."""
        self.watcher.forget({anchor.path})
        if not anchor.offline:
            self._walks.request(self._top(anchor.path))

    # -- walking, on the walking thread

    def _walk_unit(self, unit: Unit, walk: Walk) -> int:
        if any(ticket.renew for ticket in unit.tickets):
            self._store.renew()
        rules = self.guard.rules
        tops = rules.tops()
        if unit.root is None and self._watch_anew:
            # Among the events that were dropped may be directories that went or moved.
            self._watch_anew = False
            self.watcher.forget(set(tops))
        for top in tops:
            if unit.root is None or top == unit.root:
                self._walk_top(top, walk)
        if unit.root is None:
            self._next_full = time.monotonic() + self._interval_s
        self._polls.keep(tops)
        if self.watcher.running and self._polls.all_watched:
            self.watcher.all_watched()
        if rules is not self.guard.rules:
            # The walk went by the old rules, and watched what is not ours any more.
            self._prune(self.guard.rules)
        return self._store.watermark()

    def _prune(self, rules: Rules) -> None:
        self.watcher.prune(lambda directory: rules.below(directory) is not None)

    def _walk_top(self, top: bytes, walk: Walk) -> None:
        began = time.monotonic()
        walk.progress.at = top
        for anchor in self.guard.anchors(top):
            self.guard.check(anchor)
        result = Scan(self._store, self.guard, hooks=walk.hooks, progress=walk.progress).run(top)
        anchors = self.guard.anchors(top)
        network = self._mode == "auto" and any(anchor.network for anchor in anchors)
        now = time.monotonic()
        watched = self._polls.walked(
            top,
            complete=result.watched and self.watcher.running,
            network=network,
            away=result.away,
            took_s=now - began,
            now=now,
        )
        state = "watching" if watched else "polling"
        online = {a.folder_id for a in anchors if not a.offline}
        for folder in self._store.folders():
            if folder.id in online and folder.state != state:
                self._store.update_folder(folder.id, state=state)

    def _walk_partial(self, directory: bytes, deep: bool, walk: Walk) -> None:
        if self.guard.rules.excluded(directory, True) and not self._has_tree(directory):
            return
        if not deep and self._store.has_problem(directory):
            deep = True
        walk.progress.at = directory
        scan = Scan(self._store, self.guard, hooks=walk.hooks, progress=walk.progress)
        result = scan.run(directory, deep=deep)
        top = self._top(directory)
        if not result.watched and top is not None and top not in self._polls:
            # Not all of it can be watched from now on.
            self._walks.request(top, quiet=True)

    def _watch(self, directory: bytes, follow: bool) -> bool:
        return self.watcher.watch(directory, follow=follow)

    def _walk_failed(self) -> None:
        """Hints or a walk were lost (the disk is full, say): everything is walked again soon."""
        self._next_full = min(self._next_full, time.monotonic() + RETRY_S)

    # -- rules

    def _rules(self) -> Rules:
        folders = [(folder.path, folder.exclude) for folder in self._store.folders()]
        self._known = dict(folders)
        return Rules(folders, patterns=self._patterns, own=self._own)


def _left(deadline: float | None) -> float:
    """How long to wait before looking whether the caller still wants to know."""
    return 0.25 if deadline is None else max(0.0, min(0.25, deadline - time.monotonic()))

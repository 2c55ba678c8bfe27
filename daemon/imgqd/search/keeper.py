"""Keeps the index in line with the library: opens it from its snapshot, follows commits, rebuilds
it a moment after deletions stop, and saves snapshots. What FAISS does is index.py's business.
"""

from __future__ import annotations

import threading
import time

import numpy as np
import structlog

from imgqd.library.commit import Changes
from imgqd.library.store import Store
from imgqd.records import Ids, Vectors
from imgqd.search.index import VectorIndex

log = structlog.get_logger("index")

# Deletions are answered from the database at once; the index follows when they have stopped.
QUIET_S = 2.0
# A rebuild may take at most this share of the time.
REBUILD_SHARE = 0.02
# A rebuild that failed, or during which more was deleted, is followed by another after this long.
RETRY_S = 30.0
SNAPSHOT_QUIET_S = 20.0


class IndexKeeper:
    """The index of one model. `index` may be searched from any thread."""

    def __init__(
        self,
        store: Store,
        directory: str,
        *,
        model_name: str,
        model_id: int,
        dim: int,
        kind: str,
        threads: int,
    ) -> None:
        self._store = store
        self._directory = directory
        self._model_name = model_name
        self._model_id = model_id
        self._lock = threading.Lock()
        self._condition = threading.Condition(self._lock)
        # Ids that are in the index though their picture is an orphan.
        self._dead: set[int] = set()
        self._changed_at = 0.0
        self._deleted_at = 0.0
        self._next_rebuild = 0.0
        self._dirty = False
        self._stopping = False
        self.index = self._open(dim, kind, threads)
        self._thread = threading.Thread(target=self._loop, name="index", daemon=True)
        self._thread.start()

    def _open(self, dim: int, kind: str, threads: int) -> VectorIndex:
        loaded = VectorIndex.load(
            self._directory,
            model_id=self._model_name,
            library_id=self._store.library_id,
            dim=dim,
            kind=kind,
            threads=threads,
        )
        wanted = self._store.vector_ids(self._model_id)
        if loaded is not None:
            missing, surplus = loaded.reconcile(wanted)
            if len(missing) + len(surplus) <= max(1000, len(wanted) // 10):
                if len(surplus):
                    loaded.remove(surplus)
                self._add_from_store(loaded, missing)
                self._dirty = bool(len(missing) or len(surplus))
                return loaded
        index = VectorIndex(dim, kind=kind, threads=threads)
        if len(wanted):
            log.info("the index is built from the library", vectors=len(wanted))
            index.rebuild(self._store.vector_batches(self._model_id), expected=len(wanted))
            self._dirty = True
        return index

    def _add_from_store(self, index: VectorIndex, ids: Ids) -> None:
        for start in range(0, len(ids), 5000):
            found, vectors = self._store.vectors(self._model_id, ids[start : start + 5000])
            if len(found):
                index.add(found, vectors)

    def apply(self, changes: Changes) -> None:
        """Follows a commit; called in commit order."""
        with self._condition:
            # A dead id that comes back is still in the index: it only stops being dead.
            revived = [
                i for i in changes.revived if i not in changes.vectors and i not in self._dead
            ]
            fresh = {i: v for i, v in changes.vectors.items() if i not in self._dead}
            self._dead.difference_update(changes.revived, changes.vectors)
            if fresh:
                ids = np.fromiter(fresh, dtype=np.int64)
                vectors: Vectors = np.stack(list(fresh.values())).astype(np.float32)
                self.index.add(ids, vectors)
            if revived:
                self._add_from_store(self.index, np.asarray(revived, dtype=np.int64))
            if changes.orphaned:
                self._dead.update(changes.orphaned)
                self._deleted_at = time.monotonic()
            if fresh or revived or changes.orphaned:
                self._changed_at = time.monotonic()
                self._dirty = True
                self._condition.notify()

    def add_missing(self) -> None:
        """Adds vectors that came to the library by another way (re-embedding)."""
        with self._condition:
            missing, _ = self.index.reconcile(self._store.vector_ids(self._model_id))
            if len(missing):
                self._add_from_store(self.index, missing)
                self._dirty = True
                self._changed_at = time.monotonic()
                self._condition.notify()

    def compare(self) -> tuple[Ids, Ids]:
        """(missing, surplus): ids that should be in the index, and ids that should not be."""
        with self._condition:
            missing, surplus = self.index.reconcile(self._store.vector_ids(self._model_id))
            dead = np.fromiter(self._dead, dtype=np.int64)
        return missing, np.setdiff1d(surplus, dead)

    def _loop(self) -> None:
        while True:
            with self._condition:
                if self._stopping:
                    return
                now = time.monotonic()
                waits = []
                if self._dead:
                    waits.append(max(self._deleted_at + QUIET_S, self._next_rebuild) - now)
                if self._dirty:
                    waits.append(self._changed_at + SNAPSHOT_QUIET_S - now)
                if not waits or min(waits) > 0:
                    self._condition.wait(min(waits) if waits else None)
                    continue
                rebuild = bool(self._dead) and waits[0] <= 0
            if rebuild and self.index.forgets:
                self._remove_dead()
            elif rebuild:
                self.rebuild()
            else:
                # Saving first: what changes after it asks for another look.
                self.save()
                if self.index.outgrown:
                    self.rebuild()
                    with self._condition:
                        self._dirty |= not self.index.outgrown

    def _remove_dead(self) -> None:
        """Makes the index anew from itself, off to the side, without the dead.

        A second for a million vectors, where making it from the library takes twenty. Commits wait
        for it, so that an id that is revived meanwhile is not removed; searches do not.
        """
        started = time.monotonic()
        with self._condition:
            try:
                self.index.remove(np.fromiter(self._dead, dtype=np.int64))
                self._dead.clear()
            except Exception:
                log.exception("the dead could not be removed from the index; it is tried again")
            self._rest(started)

    def rebuild(self) -> None:
        """Makes the index anew from the library, off to the side, without the dead."""
        started = time.monotonic()
        with self._condition:
            dead, self._dead = self._dead, set()
        try:
            self.index.rebuild(
                self._store.vector_batches(self._model_id), expected=self.index.count
            )
        except Exception:
            log.exception("the index could not be rebuilt; it is tried again")
            with self._condition:
                self._dead |= dead
        with self._condition:
            self._rest(started)

    def _rest(self, started: float) -> None:
        """Sets when the next rebuild may begin; the lock is held."""
        now = time.monotonic()
        rest = (now - started) / REBUILD_SHARE
        self._next_rebuild = now + (max(rest, RETRY_S) if self._dead else rest)

    def save(self) -> None:
        """Writes a snapshot; a failure (a full disk, say) is logged and tried after the next change."""
        with self._condition:
            self._dirty = False
        try:
            self.index.save(
                self._directory, model_id=self._model_name, library_id=self._store.library_id
            )
        except OSError as error:
            log.warning("the index snapshot could not be written", error=str(error))

    def close(self, *, save: bool = True) -> None:
        """Ends the thread and saves what changed."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self._thread.join(30)
        if save and self._dirty:
            self.save()

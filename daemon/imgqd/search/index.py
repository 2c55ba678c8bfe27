"""The vector index of one model: searched by any number of threads while it changes and grows.

Responsible for locking, for growing from the exact kind into the wanted one off to the side, for
rebuilding without losing what happens meanwhile, and for snapshots. The kinds are kinds.py's, the
FAISS calls part.py's, the file snapshot.py's; what is in the library is the caller's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import faiss
import numpy as np
import structlog

from imgqd.process import give_back_memory
from imgqd.records import Ids, Vectors
from imgqd.search.kinds import check_kind, fits, name_of, takes_over
from imgqd.search.part import Part
from imgqd.search.snapshot import Manifest, SnapshotError, read_snapshot, write_snapshot

log = structlog.get_logger("index")

# What happens during a rebuild is caught up with in rounds; after so many the rest is done while
# changes wait.
ROUNDS = 8
# Searches wait while vectors are added: for a few milliseconds at a time.
LIVE_CHUNK = 1_000
# Removing goes through everything: below this many vectors, in a few milliseconds.
LARGE = 20_000

# Ids and the vectors to add, None to remove.
Change = tuple[Ids, Vectors | None]


class _Gate:
    """Any number of searches, or one change. A change that waits lets no new search in before it.

    A search of a large index takes 10 ms, so readers must not shut each other out; a change takes
    microseconds, so copying the index for each one would cost far more than waiting.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._readers = 0
        self._changes = 0
        self._changing = False

    @contextmanager
    def searching(self) -> Iterator[None]:
        with self._condition:
            while self._changes:
                self._condition.wait()
            self._readers += 1
        try:
            yield
        finally:
            with self._condition:
                self._readers -= 1
                if not self._readers:
                    self._condition.notify_all()

    @contextmanager
    def changing(self) -> Iterator[None]:
        with self._condition:
            self._changes += 1
            while self._readers or self._changing:
                self._condition.wait()
            self._changing = True
        try:
            yield
        finally:
            with self._condition:
                self._changing = False
                self._changes -= 1
                self._condition.notify_all()


class VectorIndex:
    """An index of L2-normalised vectors (dim,) float32 under the ids of their pictures.

    `kind` is what is wanted: `auto`, `exact`, `compact` or a FAISS factory string (UsageError when
    FAISS cannot make it); `threads` is how many threads a search of several vectors at once and
    half of how many a rebuild may use. Thread-safe.
    """

    def __init__(self, dim: int, *, kind: str = "auto", threads: int = 1) -> None:
        check_kind(kind, dim)
        self.dim = dim
        self._wanted = kind
        self._threads = max(1, threads)
        self._gate = _Gate()
        # Held by whoever changes or saves the index, one at a time; searches do not take it.
        self._change = threading.RLock()
        self._rebuild = threading.Lock()
        self._log: list[Change] | None = None
        self._part = Part.empty(dim)
        self._failed_at = 0

    # -- what it is

    @property
    def kind(self) -> str:
        """The kind in use: `exact`, `compact` or a factory string; small indexes are exact."""
        return name_of(self._wanted, exact=self._part.exact)

    @property
    def exact(self) -> bool:
        """True when scores are those of the stored vectors and nothing is left out."""
        return self._part.exact

    @property
    def forgets(self) -> bool:
        """False where removed ids are only left out of answers, until the next rebuild (IVF, HNSW)."""
        return self._part.forgets

    @property
    def count(self) -> int:
        """How many vectors there are."""
        return self._part.count

    @property
    def outgrown(self) -> bool:
        """True when a compact index is of the kind for fewer or more vectors than it holds by now."""
        part = self._part
        return self.kind == "compact" and not fits(part.faiss, part.count)

    @property
    def rebuilding(self) -> bool:
        """True while another index is made off to the side."""
        return self._rebuild.locked()

    def ids(self) -> Ids:
        """A copy of the ids (n,) int64, in no promised order."""
        with self._gate.searching():
            return self._part.ids()

    def reconcile(self, ids: Ids) -> tuple[Ids, Ids]:
        """(missing, surplus): which of `ids` (distinct) are not in the index, and which ids of the
        index are not among `ids`; both ascending."""
        mine = self.ids()
        return (
            np.setdiff1d(ids, mine, assume_unique=True),
            np.setdiff1d(mine, ids, assume_unique=True),
        )

    # -- searching

    def search(self, vectors: Vectors, k: int) -> tuple[Ids, Vectors]:
        """The `k` best of each of `vectors` (nq, dim): ids (nq, k), padded with -1, and scores
        (nq, k), padded with -inf, best first.

        Scores are inner products; estimates unless `exact`. Releases the GIL.
        """
        wanted = np.ascontiguousarray(vectors, dtype=np.float32)
        if wanted.ndim != 2 or wanted.shape[1] != self.dim:
            raise ValueError(
                f"vectors of shape {wanted.shape} in an index of {self.dim} dimensions"
            )
        # The setting belongs to the calling thread. One query is one thread's work: a second one
        # would only wait, spinning, for the first.
        faiss.omp_set_num_threads(1 if len(wanted) == 1 else self._threads)
        with self._gate.searching():
            return self._part.search(wanted, k)

    # -- changing

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Adds vectors (n, dim) under ids (n,), replacing ids that are there. At once searchable.

        The growth beyond a kind's limit starts a rebuild as the next kind in the background.
        """
        # Copies: a rebuild may replay them later.
        added, given = self._checked(np.array(ids), np.array(vectors))
        if not len(added):
            return
        with self._change:
            if self._log is not None:
                self._log.append((added, given))
            faiss.omp_set_num_threads(1)
            for start in range(0, len(added), LIVE_CHUNK):
                piece = slice(start, start + LIVE_CHUNK)
                self._part.add(added[piece], given[piece], self._gate.changing)
            grown = self._outgrown(self._part) and not self._rebuild.locked()
        if grown:
            threading.Thread(target=self._grow, name="index growth", daemon=True).start()

    def remove(self, ids: Ids) -> None:
        """Removes a batch of ids; those that are not there are left out.

        Takes a second for a million vectors, whatever the batch; a large index is changed off to
        the side and swapped in, so searches go on meanwhile.
        """
        removed = np.unique(np.asarray(ids, dtype=np.int64))
        if not len(removed):
            return
        with self._change:
            if self._log is not None:
                self._log.append((removed, None))
            if not self._part.forgets or self._part.count < LARGE:
                self._part.remove(removed, self._gate.changing)
                return
            fresh = self._part.copy()
            fresh.remove(removed)
            with self._gate.changing():
                self._part = fresh
        give_back_memory()

    def rebuild(self, batches: Iterable[tuple[Ids, Vectors]], *, expected: int = 0) -> None:
        """Makes the index anew from (ids, vectors) off to the side and swaps it in.

        `expected` is about how many there are, where that is known. Searches and changes go on
        meanwhile; changes made after the call began are in the new index too. Whatever `batches`
        raises is raised, and the old index stays.
        """
        with self._rebuild:
            self._rebuild_from(batches, expected)
        give_back_memory()

    def _rebuild_from(self, batches: Iterable[tuple[Ids, Vectors]], expected: int) -> None:
        with self._change:
            self._log = []
        fresh = Part.empty(self.dim)

        def take(ids: Ids, vectors: Vectors) -> None:
            nonlocal fresh
            faiss.omp_set_num_threads(max(1, self._threads // 2))
            fresh.add(*self._checked(ids, vectors))
            fresh = self._converted(fresh, expected)

        try:
            # The next batch is read while the last one is added.
            with ThreadPoolExecutor(1, thread_name_prefix="index rebuild") as adding:
                taken: Future[None] | None = None
                for ids, vectors in batches:
                    if taken is not None:
                        taken.result()
                    taken = adding.submit(take, ids, vectors)
                if taken is not None:
                    taken.result()
            self._catch_up(fresh)
        finally:
            with self._change:
                self._log = None

    def _catch_up(self, fresh: Part) -> None:
        for last in range(ROUNDS):
            with self._change:
                changes = self._log or []
                self._log = []
                if len(changes) <= 1 or last == ROUNDS - 1:
                    self._replay(fresh, changes)
                    with self._gate.changing():
                        self._part = fresh
                    return
            self._replay(fresh, changes)

    def _replay(self, part: Part, changes: list[Change]) -> None:
        for ids, vectors in changes:
            if vectors is None:
                part.remove(ids)
            else:
                part.add(ids, vectors)

    # -- growing

    def _outgrown(self, part: Part) -> bool:
        limit = takes_over(self._wanted)
        if limit is None or not part.exact or part.count <= limit:
            return False
        # A kind that could not be trained is tried again when there is half as much again.
        return part.count > self._failed_at * 1.5

    def _converted(self, part: Part, expected: int) -> Part:
        if not self._outgrown(part):
            return part
        try:
            return part.converted(self._wanted, self.dim, expected)
        except RuntimeError as error:
            self._failed_at = part.count
            log.warning(
                "the index kind cannot be made yet; the exact kind answers",
                kind=self._wanted,
                vectors=part.count,
                reason=str(error).rsplit(": ", 1)[-1].strip(),
            )
            return part

    def _grow(self) -> None:
        try:
            with self._rebuild:
                if not self._outgrown(self._part):
                    return
                self._rebuild_from(self._own_vectors(), self._part.count)
            give_back_memory()
            log.info("the index has grown", kind=self.kind, vectors=self.count)
        except Exception:  # the thread has no caller; the exact index goes on answering
            log.exception("the index could not grow into another kind")

    def _own_vectors(self) -> Iterator[tuple[Ids, Vectors]]:
        with self._gate.searching():
            copy = self._part.copy()
        yield from copy.batches()

    def _checked(self, ids: Ids, vectors: Vectors) -> tuple[Ids, Vectors]:
        """The same as int64 and float32, without the vectors that are no numbers."""
        added = np.asarray(ids, dtype=np.int64)
        given = np.asarray(vectors, dtype=np.float32)
        if not len(added):
            return added, np.zeros((0, self.dim), dtype=np.float32)
        if added.ndim != 1 or given.shape != (len(added), self.dim):
            raise ValueError(
                f"{added.shape} ids and {given.shape} vectors in an index of {self.dim} dimensions"
            )
        # One number tells of all of them, at a tenth of the cost.
        with np.errstate(all="ignore"):
            if np.isfinite(given.sum()):
                return added, given
        sound = np.isfinite(given).all(axis=1)
        if not sound.all():
            log.warning(
                "vectors that are no numbers are not searchable", ids=added[~sound].tolist()
            )
            added, given = added[sound], given[sound]
        return added, given

    # -- snapshots

    def save(self, directory: str, *, model_id: str, library_id: str) -> None:
        """Writes a snapshot in place of the last one. Raises OSError; the last one then stays.

        Searches go on meanwhile, changes wait while the file is written (not for the disk).
        """
        with self._change:
            part = self._part
            manifest = Manifest(
                kind=self.kind,
                dim=self.dim,
                count=int(part.faiss.ntotal),
                model_id=model_id,
                library_id=library_id,
            )
            pending = write_snapshot(directory, part.faiss, manifest)
        pending.publish()

    @classmethod
    def load(
        cls,
        directory: str,
        *,
        model_id: str,
        library_id: str,
        dim: int,
        kind: str,
        threads: int,
    ) -> VectorIndex | None:
        """The index of the snapshot; None, with the reason in the log, when there is none that is
        sound, of this model and this library, and of a kind that fits `kind`.

        What is in it may be older or newer than the library: see `reconcile`.
        """
        index = cls(dim, kind=kind, threads=threads)
        try:
            loaded, manifest = read_snapshot(directory)
            index._check_manifest(manifest, model_id, library_id)
            if manifest.kind == "compact" and not fits(loaded, manifest.count):
                raise SnapshotError("it was made by another version, or for fewer vectors")
        except FileNotFoundError:
            log.info("there is no index snapshot yet", directory=directory)
            return None
        except SnapshotError as error:
            log.warning("the index snapshot is not used", directory=directory, reason=str(error))
            return None
        index._part = Part(loaded, exact=manifest.kind == "exact")
        return index

    def _check_manifest(self, manifest: Manifest, model_id: str, library_id: str) -> None:
        if manifest.model_id != model_id:
            raise SnapshotError(f"it is of the model {manifest.model_id}, not of {model_id}")
        if manifest.library_id != library_id:
            raise SnapshotError("it is of another library")
        if manifest.dim != self.dim:
            raise SnapshotError(f"it has {manifest.dim} dimensions, not {self.dim}")
        limit = takes_over(self._wanted)
        if manifest.kind == "exact":
            right = limit is None or manifest.count <= limit
        else:
            right = limit is not None and manifest.kind == name_of(self._wanted, exact=False)
        if not right:
            raise SnapshotError(f"it is of the kind {manifest.kind}, and {self._wanted} is wanted")

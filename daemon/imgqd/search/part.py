"""One FAISS index with the ids that are in it: adding without doubles, removing, searching.

Not thread-safe: index.py holds the locks. Starts as the exact kind and becomes the wanted kind by
`convert`, once there are enough vectors to train that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import faiss
import numpy as np

from imgqd.records import Ids, Vectors
from imgqd.search.kinds import (
    ROWS,
    TRAINING_LIMIT,
    codes_of,
    make_exact,
    make_trained,
    training_step,
)

CHUNK = 10_000
PIECE = 1 << 20

_callbacks: Any = faiss  # its type hints know nothing of reading and writing by callback

Guard = Callable[[], AbstractContextManager[None]]


class Part:
    """A FAISS `IndexIDMap`. `exact` tells whether its scores are those of the stored vectors."""

    def __init__(self, index: Any, *, exact: bool) -> None:
        self.faiss = index
        self.exact = exact
        ids = faiss.vector_to_array(index.id_map)
        self._highest = int(ids.max()) if len(ids) else -1
        # False where a removed id is only filtered from answers, until the index is made anew.
        self.forgets = _forgets(index.index)
        self.gone: set[int] = set()

    @classmethod
    def empty(cls, dim: int) -> Part:
        """The exact kind, for vectors (dim,)."""
        return cls(make_exact(dim), exact=True)

    @property
    def count(self) -> int:
        """How many vectors there are."""
        return int(self.faiss.ntotal) - len(self.gone)

    def ids(self) -> Ids:
        """A copy of the ids (n,), in no promised order."""
        ids: Ids = faiss.vector_to_array(self.faiss.id_map)
        if self.gone:
            ids = ids[~np.isin(ids, self._gone_array())]
        return ids

    def add(self, ids: Ids, vectors: Vectors, guard: Guard = nullcontext) -> None:
        """Adds vectors (n, dim) float32 under ids (n,); an id that is there is replaced.

        What takes long is done before `guard` is entered, which keeps searches out.
        """
        if not _ascending(ids):
            ids, last = np.unique(ids[::-1], return_index=True)
            vectors = vectors[::-1][last]
        known = self._known(ids)
        if len(known):
            self.remove(known, guard)
        if self.gone:
            # The vector of a picture never changes, so the one inside is still the right one.
            back = np.isin(ids, self._gone_array())
            self.gone = self.gone.difference(ids[back].tolist())
            ids, vectors = ids[~back], vectors[~back]
        if not len(ids):
            return
        vectors = np.ascontiguousarray(vectors)
        with guard():
            for start in range(0, len(ids), ROWS):
                piece = slice(start, start + ROWS)
                self.faiss.add_with_ids(vectors[piece], ids[piece])
        self._highest = max(self._highest, int(ids[-1]))

    def remove(self, ids: Ids, guard: Guard = nullcontext) -> None:
        """Removes ids; those that are not there are left out."""
        known = self._known(ids)
        if not len(known):
            return
        if self.forgets:
            with guard():
                self.faiss.remove_ids(known)
                _clear_tail(self.faiss.index)
            return
        self.gone = self.gone.union(known.tolist())

    def copy(self) -> Part:
        """A part of its own with the same content."""
        other = Part(_copied(self.faiss), exact=self.exact)
        other.gone = self.gone
        return other

    def _known(self, ids: Ids) -> Ids:
        """Those of `ids` that are inside. New pictures have higher ids than all before them."""
        older = ids[ids <= self._highest]
        return older[np.isin(older, self.ids())] if len(older) else older

    def search(self, vectors: Vectors, k: int) -> tuple[Ids, Vectors]:
        """(nq, k) ids, -1 padded, and scores, -inf padded, best first."""
        shape = (len(vectors), k)
        ids: Ids = np.full(shape, -1, dtype=np.int64)
        scores: Vectors = np.full(shape, -np.inf, dtype=np.float32)
        gone = self._gone_array()
        total = int(self.faiss.ntotal)
        if not total or not len(vectors) or k < 1:
            return ids, scores
        fetch = min(total, k + min(len(gone), k))
        while True:
            found_scores, found = self.faiss.search(vectors, fetch)
            alive = found >= 0
            if len(gone):
                alive &= ~np.isin(found, gone)
            most = min(total, k + len(gone))
            if fetch == most or (alive.sum(axis=1) >= min(k, total - len(gone))).all():
                break
            fetch = min(most, fetch * 4)
        for row, mask in enumerate(alive):
            places = np.flatnonzero(mask)[:k]
            ids[row, : len(places)] = found[row, places]
            scores[row, : len(places)] = found_scores[row, places]
        return ids, scores

    def batches(self) -> Iterator[tuple[Ids, Vectors]]:
        """Everything in an exact part: ids (n,) and the vectors (n, dim) that went in, as fp16."""
        ids: Ids = faiss.vector_to_array(self.faiss.id_map)
        for start in range(0, len(ids), CHUNK):
            size = min(CHUNK, len(ids) - start)
            yield ids[start : start + size], self.faiss.index.reconstruct_n(start, size)

    def converted(self, kind: str, dim: int, expected: int) -> Part:
        """A part of another kind that holds what this exact one does, for `expected` vectors.

        Raises RuntimeError when FAISS cannot train that kind on these vectors.
        """
        most = min(self.count, TRAINING_LIMIT)
        sample = self.faiss.index.reconstruct_batch(np.arange(0, most, training_step(kind, most)))
        other = Part(make_trained(kind, dim, sample, expected=expected), exact=False)
        del sample
        for ids, vectors in self.batches():
            other.add(ids, vectors)
        return other

    def _gone_array(self) -> Ids:
        return np.fromiter(self.gone, dtype=np.int64, count=len(self.gone))


def _copied(index: Any) -> Any:
    """A copy by writing and reading: FAISS's own `clone_index` does not know every kind."""
    pieces: deque[memoryview] = deque()
    _callbacks.write_index(index, _callbacks.PyCallbackIOWriter(pieces.append, PIECE))

    def read(size: int) -> bytes:
        if not pieces:
            return b""
        # What is read is given up, so that no third copy is there in the end.
        piece = memoryview(pieces.popleft())
        if len(piece) > size:
            pieces.appendleft(piece[size:])
        return bytes(piece[:size])

    return _callbacks.read_index(_callbacks.PyCallbackIOReader(read, PIECE))


def _ascending(ids: Ids) -> bool:
    return bool((ids[1:] > ids[:-1]).all())


def _forgets(inner: Any) -> bool:
    """True when `remove_ids` may be used under an IndexIDMap.

    IndexIDMap closes the gaps in its list of ids, so the index below must do the same. IVF does
    not renumber what stays, which then answers under wrong ids; graphs cannot remove at all.
    """
    return isinstance(codes_of(inner), faiss.IndexFlatCodes | faiss.IndexFastScan)


def _clear_tail(inner: Any) -> None:
    """Clears the places after the last vector of a fast-scan index from which some were removed.

    FAISS 1.15 leaves them as they were and joins the codes of what is added next by `or`, which
    then answers wrongly (found by adding after removing; RaBitQ has code of its own).
    """
    inner = codes_of(inner)
    rabitq = isinstance(inner, faiss.IndexRaBitQFastScan)
    if not isinstance(inner, faiss.IndexFastScan) or rabitq or not inner.ntotal % inner.bbs:
        return
    untyped: Any = inner  # the type hints know neither packers nor codes
    packer = untyped.get_CodePacker()
    codes = faiss.rev_swig_ptr(untyped.codes.get(), untyped.codes.size())
    start = inner.ntotal // inner.bbs * packer.block_size
    last = codes[start : start + packer.block_size].copy()
    nothing = np.zeros(packer.code_size, dtype=np.uint8)
    for place in range(inner.ntotal % inner.bbs, inner.bbs):
        packer.pack_1(nothing, place, last[None])
    codes[start : start + packer.block_size] = last

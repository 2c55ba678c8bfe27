"""Which pictures of a grid look so much alike that one of them stands for the others.

Of what was ranked each picture is compared with those before it. Of a whole library in the order of
time only neighbours are, as in a burst: once, off to the side where there are many, and again only
those that have become neighbours. Keeps linked pairs, no vectors. What is laid out is grid.py's.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import apsw
import numpy as np
import numpy.typing as npt
import structlog

from imgqd.errors import ImgqError
from imgqd.library.store import Store
from imgqd.records import Ids, Vectors
from imgqd.search.columns import Columns

log = structlog.get_logger("search")

Places = npt.NDArray[np.int64]

# As of duplicates.
THRESHOLD = 0.95
# A picture is compared with so many that follow it in time.
WINDOW = 4
# So many new pictures, of a library that is not larger, are compared before the answer: that takes
# some milliseconds.
AT_ONCE = 1000
SMALL = 20_000
BLOCK = 256
# Places looked at and pairs compared in one go: some megabytes each.
SPAN = 50_000
PAIRS = 4000
NICE = 10


def leaders(vectors: Vectors, threshold: float = THRESHOLD) -> Places:
    """For each of (n, dim) vectors the place of the one that stands for it, its own for those that
    stand for themselves.

    In their order: who stands for itself takes all later ones, not taken yet, whose cosine with it
    is at least `threshold`. So more vectors at the end never change what was said of those before.
    """
    count = len(vectors)
    vectors = _unit(vectors)
    found = np.arange(count)
    free = np.ones(count, dtype=bool)
    for start in range(0, count, BLOCK):
        waiting = np.flatnonzero(free[start : start + BLOCK]) + start
        alike = vectors[waiting] @ vectors[start:].T >= threshold
        several = np.flatnonzero(alike.sum(axis=1) > 1)
        for row in several.tolist():
            place = int(waiting[row])
            if found[place] != place:
                continue
            taken = np.flatnonzero(alike[row]) + start
            taken = taken[(taken > place) & free[taken]]
            found[taken] = place
            free[taken] = False
    return found


@dataclass(frozen=True, slots=True)
class Links:
    """Ids of neighbours that look alike, (n, 2), by vectors of one model."""

    model_id: int = -1
    pairs: Ids = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))

    def leaders(self, ids: Ids) -> Places:
        """As the function, for pictures in any order: who comes first of those that are linked, one
        to the next, stands for all of them."""
        count = len(ids)
        found = np.arange(count)
        if not count or not len(self.pairs):
            return found
        order = np.argsort(ids)
        at = np.minimum(np.searchsorted(ids, self.pairs, sorter=order), count - 1)
        places = order[at]
        left, right = places[(ids[places] == self.pairs).all(axis=1)].T
        while True:
            one, other = found[left], found[right]
            apart = one != other
            if not apart.any():
                return found
            left, right, one, other = left[apart], right[apart], one[apart], other[apart]
            np.minimum.at(found, np.maximum(one, other), np.minimum(one, other))
            while (found[found] != found).any():
                found = found[found]


class Neighbours:
    """The links of a library in the order of time. Thread-safe.

    `on_more` is called, on a thread of its own, when more is known than the last answer used.
    """

    def __init__(self, store: Store, on_more: Callable[[], object] = lambda: None) -> None:
        self._store = store
        self._on_more = on_more
        self._lock = threading.Lock()
        self._links = Links()
        # The order that was compared; -1 where there was no vector.
        self._order: Ids = np.zeros(0, dtype=np.int64)
        self._generation = -1
        # What was asked for meanwhile, and of which model.
        self._wanted: tuple[Columns, int] | None = None
        self._working = False
        self._closed = False

    def close(self) -> None:
        """Ends what is under way soon."""
        self._closed = True

    def links(self, columns: Columns, model_id: int) -> Links:
        """What is known now, all of it where little is new; the rest is begun."""
        with self._lock:
            known = self._links
            if known.model_id == model_id and self._generation >= columns.generation:
                return known
            if self._working:
                self._wanted = columns, model_id
                return known if known.model_id == model_id else Links(model_id)
            before = self._order if known.model_id == model_id else self._order[:0]
            if len(columns.ids) <= SMALL and _new(columns.ids, before) <= AT_ONCE:
                found = self._compared(columns.ids, model_id, before, known.pairs, rest=False)
                return self._keep(columns, model_id, *found)
            self._working = True
        threading.Thread(
            target=self._work, args=(columns, model_id), name="neighbours", daemon=True
        ).start()
        return known if known.model_id == model_id else Links(model_id)

    def _work(self, columns: Columns, model_id: int) -> None:
        told = self._links
        try:
            if sys.platform == "linux":
                # Of this thread only; whoever asks goes first.
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
            while True:
                known = self._links
                before = self._order if known.model_id == model_id else self._order[:0]
                pairs, order = self._compared(columns.ids, model_id, before, known.pairs, rest=True)
                with self._lock:
                    now = self._keep(columns, model_id, pairs, order)
                    wanted, self._wanted = self._wanted, None
                    if wanted is None or self._closed:
                        self._working = False
                        break
                    columns, model_id = wanted
            same = told.model_id == model_id and np.array_equal(told.pairs, now.pairs)
            if not same and not self._closed:
                self._on_more()
        except Exception as error:  # the thread has no caller; the next question tries again
            with self._lock:
                self._working, self._wanted = False, None
            if not self._closed:
                foreseen = isinstance(error, apsw.Error | ImgqError)
                tell = log.warning if foreseen else log.exception
                tell("neighbours could not be compared", error=str(error))

    def _keep(self, columns: Columns, model_id: int, pairs: Ids, order: Ids) -> Links:
        self._links = Links(model_id, pairs)
        self._order, self._generation = order, columns.generation
        return self._links

    def _compared(
        self, ids: Ids, model_id: int, before: Ids, known: Ids, *, rest: bool
    ) -> tuple[Ids, Ids]:
        """(pairs, order) of `ids`; `before` is the order in which the pairs of `known` were found."""
        was = _places_in(before, ids)
        found = [_still(known, ids) if len(before) else known[:0]]
        blind = [known[:0, 0]]
        for start in range(0, len(ids), SPAN):
            first, second = _fresh(was, start, start + SPAN)
            for part in range(0, len(first), PAIRS):
                if self._closed:
                    break
                began = time.monotonic()
                some = slice(part, part + PAIRS)
                linked, unseen = self._alike(ids, first[some], second[some], model_id)
                found.append(linked)
                blind.append(unseen)
                if rest:
                    # Half of the time at most, so that nobody waits for long.
                    time.sleep(min(0.2, time.monotonic() - began))
        without = np.concatenate(blind)
        # Those have been compared with nothing yet: they are looked at again.
        order = np.where(np.isin(ids, without), -1, ids) if len(without) else ids
        return np.unique(np.concatenate(found), axis=0), order

    def _alike(self, ids: Ids, first: Places, second: Places, model_id: int) -> tuple[Ids, Ids]:
        """(pairs of ids that look alike, ids without a vector) of these pairs of places."""
        wanted = np.unique(ids[np.concatenate([first, second])])
        known, vectors = self._store.vectors(model_id, wanted)
        order = np.argsort(known)
        known, vectors = known[order], vectors[order]
        pairs = np.stack([ids[first], ids[second]], axis=1)
        pairs = pairs[np.isin(pairs, known).all(axis=1)]
        at = np.searchsorted(known, pairs)
        if not len(pairs):
            return pairs, np.setdiff1d(wanted, known, assume_unique=True)
        vectors = _unit(vectors)
        cosines = np.einsum("ij,ij->i", vectors[at[:, 0]], vectors[at[:, 1]])
        return pairs[cosines >= THRESHOLD], np.setdiff1d(wanted, known, assume_unique=True)


def _unit(vectors: Vectors) -> Vectors:
    made: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return made


def _new(ids: Ids, before: Ids) -> int:
    return int(np.count_nonzero(~np.isin(ids, before)))


def _places_in(before: Ids, ids: Ids) -> Places:
    """Where each of `ids` was in `before`, far apart from all and each other where it was not."""
    far = len(before) + np.arange(len(ids)) * (WINDOW + 1) + WINDOW + 1
    if not len(before):
        return far
    order = np.argsort(before)
    at = order[np.minimum(np.searchsorted(before, ids, sorter=order), len(before) - 1)]
    return np.where(before[at] == ids, at, far)


def _fresh(was: Places, start: int, end: int) -> tuple[Places, Places]:
    """Places a < b of neighbours, a from `start` to `end`, that were none before; ascending."""
    firsts, seconds = [], []
    for step in range(1, WINDOW + 1):
        first = np.arange(start, min(end, len(was) - step))
        new = np.abs(was[first] - was[first + step]) > WINDOW
        firsts.append(first[new])
        seconds.append(first[new] + step)
    first, second = np.concatenate(firsts), np.concatenate(seconds)
    order = np.argsort(first, kind="stable")
    return first[order], second[order]


def _still(pairs: Ids, ids: Ids) -> Ids:
    """The pairs that are neighbours in `ids`."""
    if not len(pairs) or not len(ids):
        return pairs[:0]
    order = np.argsort(ids)
    at = order[np.minimum(np.searchsorted(ids, pairs, sorter=order), len(ids) - 1)]
    there = (ids[at] == pairs).all(axis=1)
    still: Ids = pairs[there & (np.abs(at[:, 0] - at[:, 1]) <= WINDOW)]
    return still

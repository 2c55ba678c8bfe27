"""Pictures by falling cosine similarity, exactly: from the index's candidates, or from a set of ids.

The index proposes, the vectors in the library decide. Whether a picture may be shown at all is
query.py's business.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from imgqd.library.store import Store
from imgqd.records import Ids, Vectors
from imgqd.search.index import VectorIndex
from imgqd.search.kinds import MOST_FINE
from imgqd.search.normal import tail, tail_of_one

Scores = npt.NDArray[np.float64]
Ranked = tuple[Ids, Scores]

FIRST_DEPTH = 2048
# So many candidates are read before the estimates' error is asked; half as many where the index
# keeps more bits of each.
FIRST_STEP = 200
LEAST_STEP = 50
SPARE = 16
READ = 4096
# How far scores of the exact kind can be off: fp16 shortens or lengthens a vector by 2**-11 at most.
EXACT_MARGIN = 1e-3
# Below the candidates that are known, there are e times as many for each so many standard
# deviations of the estimates' error, or more; where estimates hardly differ they tell nothing.
STEEPEST = 3.0
FARTHEST = 40.0
# Of fewer pictures the estimates' error says nothing: of one alone it would seem to be none.
FEWEST = 30
# The share of the results that may be expected to be missing when no more candidates are read.
# Chosen on other vectors and questions than those that are quoted (docs/performance.md).
LOSS = 0.004
# Where the candidates' estimates hardly differ, their slope against the scores is chance.
SLOPES = (0.5, 2.0)
# Reading ends after so many candidates, or so many for each result wanted, or this share of all: the
# ten best of more pictures are nearer to one another, and so further down.
PATIENCE = 2000
PATIENCE_EACH = 10
PATIENCE_SHARE = 1 / 800


class Ranking:
    """The pictures of one model by similarity to one query vector (dim,), L2-normalised."""

    def __init__(self, store: Store, model_id: int, index: VectorIndex, query: Vectors) -> None:
        self._store = store
        self._model_id = model_id
        self._index = index
        self._query = query
        # True when the last walk ended because nothing of interest was left.
        self.complete = False

    def of(self, ids: Ids) -> Ranked:
        """All of `ids` that have a vector, best first; equal scores by id."""
        found: list[Ids] = []
        scores: list[Scores] = []
        for start in range(0, len(ids), READ):
            some, vectors = self._store.vectors(self._model_id, ids[start : start + READ])
            found.append(some)
            scores.append(cosines(vectors, self._query))
        if not found:
            return np.zeros(0, np.int64), np.zeros(0)
        return _sorted(np.concatenate(found), np.concatenate(scores))

    def walk(
        self,
        need: int,
        *,
        allowed: Callable[[Ids], Ids] | None = None,
        least: float | None = None,
        deepest: int | None = None,
    ) -> Iterator[Ranked]:
        """Goes down the index's ranking; yields what is certain, best first, for as long as asked.

        With an exact index what is yielded is the exact ranking. Otherwise a picture is certain
        when no candidate that was not looked at yet can be expected to beat it: the error of
        the estimates is measured on those that were. `need` is how many will be taken, `allowed`
        reduces candidates to those that pass a filter, `least` is the lowest score of interest,
        `deepest` ends the walk after so many candidates even when there are more. Afterwards
        `complete` tells whether that was all.
        """
        self.complete = False
        share = int(PATIENCE_SHARE * self._index.count)
        walk = _Walk(self, need, least, max(PATIENCE, PATIENCE_EACH * need, share))
        depth = max(FIRST_DEPTH, 2 * need, share)
        position = 0
        while True:
            if deepest is not None:
                depth = min(depth, deepest)
            ids, estimates = self._candidates(depth)
            # An index of lists (IVF) may know no more candidates though it holds more vectors.
            no_more = len(ids) < depth or depth >= self._index.count
            inexact = not self._index.exact
            step = max(self._first_step(), need) if inexact else need + SPARE
            while position < len(ids):
                end = min(position + step, len(ids))
                fresh = walk.unseen(ids[position:end])
                if allowed is not None and len(fresh):
                    fresh = allowed(fresh)
                walk.look_at(fresh, ids[position:end], estimates[position:end])
                position = end
                step = max(walk.within_reach(estimates, end), LEAST_STEP) if inexact else 2 * step
                if not (no_more and position == len(ids)):
                    yield walk.certain(estimates[:end], exact=not inexact)
                    if walk.hopeless:
                        self.complete = True
                        return
            if no_more:
                yield walk.rest()
                self.complete = len(ids) >= self._index.count
                return
            if depth == deepest:
                return
            depth *= 4

    def _first_step(self) -> int:
        return FIRST_STEP // 2 if self._index.count <= MOST_FINE else FIRST_STEP

    def _candidates(self, depth: int) -> tuple[Ids, Vectors]:
        ids, estimates = self._index.search(self._query[None], depth)
        there = ids[0] >= 0
        return ids[0][there], estimates[0][there]


class _Walk:
    """What a walk has looked at, and what of it was not yielded yet."""

    def __init__(self, ranking: Ranking, need: int, least: float | None, patience: int) -> None:
        self._ranking = ranking
        self._need = need
        self._least = -2.0 if least is None else least
        self._patience = patience
        self._seen: set[int] = set()
        self._ids: Ids = np.zeros(0, np.int64)
        self._scores: Scores = np.zeros(0)
        # The best scores seen so far, as many as are needed, ascending.
        self._best: Scores = np.zeros(0)
        self._errors = _Errors()
        # True when the best are expected to be among what was looked at.
        self._enough = False
        # True once nothing of interest can come any more.
        self.hopeless = False

    def unseen(self, ids: Ids) -> Ids:
        """Those that were not looked at: candidates move when the index changes meanwhile."""
        fresh = ids[[i not in self._seen for i in ids.tolist()]]
        self._seen.update(fresh.tolist())
        return fresh

    def look_at(self, ids: Ids, candidates: Ids, estimates: Vectors) -> None:
        """Scores `ids`, a part of `candidates`, and measures how far the estimates are off."""
        if not len(ids):
            return
        found, scores = self._ranking.of(ids)
        order = np.argsort(candidates)
        places = order[np.searchsorted(candidates, found, sorter=order)]
        self._errors.add(estimates[places].astype(np.float64), scores)
        self._ids = np.concatenate([self._ids, found])
        self._scores = np.concatenate([self._scores, scores])
        self._best = np.sort(np.concatenate([self._best, scores]))[-self._need :]

    def within_reach(self, estimates: Vectors, start: int) -> int:
        """How many of the candidates from `start` on are to be read, for hardly any of the best to
        be expected among those after them, be they among the candidates or not."""
        self._enough = False
        if len(self._best) < self._need or self._errors.count < FEWEST:
            return max(FIRST_STEP, self._errors.count)
        score = float(self._best[0])
        chances = self._errors.chances(estimates[start:], score)
        beyond = self._errors.beyond(estimates, score)
        missed = np.cumsum(chances[::-1])[::-1] + beyond
        few = self._few()
        wanted = int(np.count_nonzero(missed > few))
        self._enough = not wanted and beyond <= few
        return min(wanted, self._patience - self._errors.count)

    def certain(self, estimates: Vectors, *, exact: bool) -> Ranked:
        """What nothing below `estimates`, those of all candidates so far, is expected to beat."""
        if exact:
            floor = float(estimates[-1]) + EXACT_MARGIN
        elif self._errors.count >= self._patience:
            floor = -2.0
        elif self._errors.count >= FEWEST:
            floor = self._errors.highest(estimates, self._few())
        else:
            return self._take(2.0)
        self.hopeless = floor < self._least and (exact or self._errors.count < self._patience)
        if self._enough:
            floor = min(floor, float(self._best[0]))
        return self._take(floor)

    def _few(self) -> float:
        """How many may be missed, whether they pass the filter or not."""
        return LOSS * self._need * len(self._seen) / max(self._errors.count, 1)

    def rest(self) -> Ranked:
        """Everything: there are no more candidates."""
        return self._take(-2.0)

    def _take(self, floor: float) -> Ranked:
        taken = self._scores >= floor
        answer = _sorted(self._ids[taken], self._scores[taken])
        self._ids, self._scores = self._ids[~taken], self._scores[~taken]
        return answer


class _Errors:
    """What the scores of the candidates that were looked at tell of those that were not.

    A straight line is fitted to the scores over the estimates: a quantizer shortens all vectors
    by about the same share, which changes the estimates but not their order.
    """

    def __init__(self) -> None:
        self.count = 0
        self._sums = np.zeros(2)
        self._products = np.zeros((2, 2))
        self._line = (0.0, 1.0, 0.0)

    def add(self, estimates: Scores, scores: Scores) -> None:
        """Learns from some candidates (n,)."""
        pairs = np.stack([estimates, scores])
        self.count += len(scores)
        self._sums += pairs.sum(axis=1)
        self._products += pairs @ pairs.T
        means = self._sums / self.count
        spread = self._products / self.count - np.outer(means, means)
        slope = min(max(spread[0, 1] / max(spread[0, 0], 1e-12), SLOPES[0]), SLOPES[1])
        rest = spread[1, 1] - 2 * slope * spread[0, 1] + slope * slope * spread[0, 0]
        self._line = (means[1] - slope * means[0], slope, max(rest, 0.0) ** 0.5)

    def chances(self, estimates: Vectors, score: float) -> Scores:
        """How likely each of the candidates with these estimates (n,) has at least this score."""
        start, slope, deviation = self._line
        likely = start + slope * estimates.astype(np.float64)
        return tail((score - likely) / max(deviation, 1e-9))

    def beyond(self, estimates: Vectors, score: float) -> float:
        """How many pictures below candidates with these estimates (n,), which fall, may be expected
        to have at least this score.

        The further down, the more pictures there are: their number is taken to grow as fast as it
        did down to here (exponentially, Hill 1975), and each to be off as the candidates were.
        """
        likely, deviation, steep = self._end(estimates)
        return len(estimates) * _more((score - likely) / deviation, steep)

    def highest(self, estimates: Vectors, few: float) -> float:
        """The score that `few` below candidates with these estimates are expected to have."""
        likely, deviation, steep = self._end(estimates)
        low, high = -FARTHEST, FARTHEST
        for _ in range(24):
            middle = (low + high) / 2
            more = len(estimates) * _more(middle, steep)
            low, high = (middle, high) if more > few else (low, middle)
        return likely + deviation * high

    def _end(self, estimates: Vectors) -> tuple[float, float, float]:
        """Of the last of these: its likely score, how far that is off, and how many times e more
        pictures there are for each such deviation below it."""
        start, slope, deviation = self._line
        deviation, last = max(deviation, 1e-9), float(estimates[-1])
        rise = slope * max(float(estimates.mean()) - last, 1e-12)
        return start + slope * last, deviation, min(deviation / rise, STEEPEST)


def _more(gap: float, steep: float) -> float:
    """How many, for each candidate, lie below the last one and reach `gap` deviations above it:
    the integral over t > 0 of steep * exp(steep * t) * Q(gap + t)."""
    shifted = math.exp(min(steep * (steep / 2 - gap), FARTHEST)) * tail_of_one(gap - steep)
    return max(shifted - tail_of_one(gap), 0.0)


def best_of(candidates: Iterable[Ranked], most: int, least: float | None) -> Ranked:
    """The first `most` of candidates that come best first, down to `least`; each once."""
    ids, scores = np.zeros(0, dtype=np.int64), np.zeros(0)
    for some, values in candidates:
        fresh = ~np.isin(some, ids)
        ids = np.concatenate([ids, some[fresh]])
        scores = np.concatenate([scores, values[fresh]])
        if len(ids) >= most or (least is not None and len(scores) and scores[-1] < least):
            break
    kept = np.ones(len(ids), dtype=bool) if least is None else scores >= least
    return ids[kept][:most], scores[kept][:most]


def cosines(vectors: Vectors, query: Vectors) -> Scores:
    """Cosine similarity of each of `vectors` (n, dim) with `query` (dim,), in -1..1, float64.

    Rounded to 7 decimals, so that equal vectors are equal wherever they are in memory.
    """
    if not len(vectors):
        return np.zeros(0)
    products = np.einsum("ij,j->i", vectors, query).astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors).astype(np.float64))
    scores: Scores = (
        products / np.maximum(lengths, 1e-12) / max(float(np.linalg.norm(query)), 1e-12)
    )
    return np.clip(np.round(scores, 7), -1.0, 1.0)


def _sorted(ids: Ids, scores: Scores) -> Ranked:
    order = np.lexsort((ids, -scores))
    return ids[order], scores[order]

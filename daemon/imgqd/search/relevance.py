"""How far a score stands above what unrelated texts score on this library, as a number in 0..1.

A cosine alone says little: every model and every query has its own scale. So each score is
normalised from both sides, as speaker verification does it (Z-norm and T-norm, averaged: S-norm;
Auckenthaler et al., Digital Signal Processing 10, 2000; Kenny, Odyssey 2010):

    picture side  (s - mean of the phrases' scores on this picture) / their standard deviation
    query side    (s - median of this query's scores on the library) / spread below the median
    z             the mean of the two

The spread below the median (median less the 15.87 % quantile: one standard deviation of a normal
distribution) is not widened by pictures that are what was asked for. An unrelated picture reaches z
with a probability p(z) of nearly the normal distribution's tail. Of the n pictures of the library
n p(z) would by chance, and N(z) do; the share of chance among them is q = n p(z) / N(z), made
monotone (Benjamini and Hochberg, J. R. Stat. Soc. B 57, 1995), and

    relevance = 1 - q

Everything is measured on the library and the model at hand; no constant belongs to a model.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from imgqd.records import Ids, Vectors
from imgqd.search.normal import tail
from imgqd.search.ranking import Scores, cosines

# Results of at least this relevance stand out: a tenth of them may be there by chance.
STANDS_OUT = 0.9
# A library is judged by at most so many of its pictures.
SAMPLE = 2048
# Below so many pictures a query's scores say nothing of its scale: the picture side is all there is.
FEWEST = 30
# A sample serves until the library has grown or shrunk by this share.
GROWTH = 0.1
_ONE_DEVIATION = 0.1587
_SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class Cohort:
    """Many vectors that are unrelated to a query, as their mean (dim,) and covariance (dim, dim)."""

    mean: Scores
    covariance: Vectors

    @classmethod
    def of(cls, vectors: Vectors) -> Cohort:
        """From vectors (n, dim)."""
        given = vectors.astype(np.float64)
        mean = given.mean(axis=0)
        centred = given - mean
        return cls(mean, (centred.T @ centred / len(given)).astype(np.float32))

    def scale(self, pictures: Vectors) -> tuple[Scores, Scores]:
        """Mean (n,) and standard deviation (n,) of the cohort's scores on pictures (n, dim)."""
        variance = np.einsum("ij,ij->i", pictures @ self.covariance, pictures).astype(np.float64)
        spread = np.sqrt(np.maximum(variance, 0.0))
        return pictures.astype(np.float64) @ self.mean, np.maximum(spread, _SMALLEST)


@dataclass(frozen=True, slots=True)
class Sample:
    """Some pictures of a library of `count`, with the scale of the cohort's scores on each.

    `vectors` (n, dim) are of length one.
    """

    generation: int
    count: int
    vectors: Vectors
    cohort: Cohort
    means: Scores
    deviations: Scores

    @classmethod
    def of(cls, generation: int, count: int, vectors: Vectors, cohort: Vectors) -> Sample:
        """From pictures (n, dim) and the cohort's vectors (m, dim)."""
        made = Cohort.of(cohort)
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
        unit = vectors / np.maximum(lengths, 1e-12)
        return cls(generation, count, unit, made, *made.scale(vectors))

    def scores(self, query: Vectors) -> Scores:
        """The cosines (n,) with `query` (dim,)."""
        length = max(float(np.linalg.norm(query)), 1e-12)
        found: Scores = (self.vectors @ query).astype(np.float64) / length
        return found


class Judge:
    """What stands out for one query vector (dim,)."""

    def __init__(self, sample: Sample, query: Vectors) -> None:
        self._sample = sample
        self._query = query
        self._count = max(1, sample.count)
        scores = sample.scores(query)
        self._centre = self._spread = 0.0
        self._one_sided = len(scores) < FEWEST
        if not self._one_sided:
            below, self._centre = _quantiles(scores, (_ONE_DEVIATION, 0.5))
            self._spread = max(self._centre - below, _SMALLEST)
        own = self._z(scores, sample.means, sample.deviations)
        self._levels = np.sort(own)[::-1]
        # By how many of the library each level is reached, and the share of chance among them.
        self._reached = np.arange(1, len(own) + 1) * (self._count / max(1, len(own)))
        shares = self._count * tail(self._levels) / np.maximum(self._reached, 1.0)
        self._shares = np.minimum.accumulate(shares[::-1])[::-1]

    def _z(self, scores: Scores, means: Scores, deviations: Scores) -> Scores:
        picture_side: Scores = (scores - means) / deviations
        if self._one_sided:
            return picture_side
        mean: Scores = (picture_side + (scores - self._centre) / self._spread) / 2
        return mean

    def relevance(self, pictures: Vectors) -> Scores:
        """(n,) in 0..1 for pictures (n, dim)."""
        z = self._z(cosines(pictures, self._query), *self._sample.cohort.scale(pictures))
        better = np.searchsorted(-self._levels, -z, side="left")
        reached = np.ones(len(z))
        known = better > 0
        reached[known] = np.maximum(self._reached[better[known] - 1], 1.0)
        share = self._count * tail(z) / reached
        lower = better < len(self._shares)
        share[lower] = np.minimum(share[lower], self._shares[better[lower]])
        return np.round(1.0 - np.clip(share, 0.0, 1.0), 4)

    def least(self) -> float:
        """A cosine below which nothing of the library stands out, as far as the sample tells."""
        z = NormalDist().inv_cdf(1 - (1 - STANDS_OUT) / self._count / 2)
        standing = np.flatnonzero(self._shares <= 1 - STANDS_OUT)
        if len(standing):
            z = min(z, float(self._levels[min(standing[-1] + 1, len(self._levels) - 1)]))
        means, deviations = self._sample.means, self._sample.deviations
        if not len(means):
            return -1.0
        if self._one_sided:
            needed = means + z * deviations
        else:
            slopes = 1 / deviations + 1 / self._spread
            needed = (2 * z + means / deviations + self._centre / self._spread) / slopes
        return float(max(-1.0, needed.min()))


def _quantiles(values: Scores, shares: tuple[float, ...]) -> list[float]:
    """As np.quantile, at a fifth of its cost."""
    places = np.asarray(shares) * (len(values) - 1)
    below = places.astype(np.int64)
    above = np.minimum(below + 1, len(values) - 1)
    ordered = np.partition(values, np.unique([below, above]))
    found: list[float] = (
        ordered[below] + (ordered[above] - ordered[below]) * (places - below)
    ).tolist()
    return found


class Samples:
    """The sample of the library that is used now, by model and cohort. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: dict[tuple[int, str], Sample] = {}
        self._refreshing: set[tuple[int, str]] = set()

    def get(
        self,
        model_id: int,
        kind: str,
        generation: int,
        ids: Callable[[], Ids],
        vectors: Callable[[Ids], Vectors],
        cohort: Callable[[Vectors], Vectors],
    ) -> Sample:
        """The sample for this generation, or a slightly older one while a new one is drawn.

        `ids` gives the library's, `vectors` reads some, `cohort` the unrelated vectors, given the
        sample's. A sample that is too far from the library's size is drawn anew at once.
        """
        key = (model_id, kind)

        def draw() -> Sample:
            everything = np.sort(ids())
            chosen = everything
            if len(everything) > SAMPLE:
                random = np.random.default_rng(len(everything))
                chosen = np.sort(random.choice(everything, SAMPLE, replace=False))
            found = vectors(chosen)
            sample = Sample.of(generation, len(everything), found, cohort(found))
            with self._lock:
                # Of one model only: the one that answers.
                self._samples = {k: s for k, s in self._samples.items() if k[0] == model_id}
                self._samples[key] = sample
            return sample

        with self._lock:
            known = self._samples.get(key)
            if known is not None and known.generation == generation:
                return known
        if known is None or known.count <= SAMPLE:
            return draw()
        if abs(len(ids()) - known.count) > GROWTH * known.count:
            return draw()
        with self._lock:
            if key in self._refreshing:
                return known
            self._refreshing.add(key)

        def refresh() -> None:
            try:
                draw()
            finally:
                with self._lock:
                    self._refreshing.discard(key)

        threading.Thread(target=refresh, name="sample", daemon=True).start()
        return known

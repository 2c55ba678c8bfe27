"""What is done to a ranking beside walking it: expansion, relevance, variety.

One Refiner serves a library; `plan` makes the Plan of one query, which says what to rank by, what to
leave out on the way and what to write into the hits. The methods themselves are in expansion.py,
relevance.py and diverse.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from imgqd.errors import UsageError
from imgqd.library.store import Store
from imgqd.records import Ids, Vectors
from imgqd.search.diverse import BLOCK, rearranged
from imgqd.search.expansion import WAYS, expanded, way_for
from imgqd.search.hits import Candidates, Hit
from imgqd.search.phrases import Phrases
from imgqd.search.ranking import cosines
from imgqd.search.relevance import STANDS_OUT, Judge, Samples
from imgqd.search.terms import Term, TextCache, Towers, query_vector

# `relevant` waits so long for a model's phrases; any other answer says null until they are there.
WAIT_S = 30.0
MOST_DIVERSE = 1000


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for beside terms and filters."""

    relevant: bool = False
    diverse: bool = False
    expand: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As given; what was not given is left out."""
        told: dict[str, Any] = {}
        if self.relevant:
            told["relevant"] = True
        if self.diverse:
            told["diverse"] = True
        if self.expand is not None:
            told["expand"] = self.expand
        return told


def parse_wishes(request: dict[str, Any], *, terms: bool, last: int) -> Wishes:
    """The wishes of a search request whose last result is number `last`. Raises UsageError."""
    wishes = Wishes(
        bool(request.get("relevant")), bool(request.get("diverse")), request.get("expand")
    )
    if wishes.relevant and not terms:
        raise UsageError("--relevant needs something to compare with: a text or an example")
    if wishes.expand is not None and wishes.expand not in WAYS:
        raise UsageError(f"--expand: {wishes.expand!r} is not one of {', '.join(WAYS)}")
    if wishes.diverse and last > MOST_DIVERSE:
        raise UsageError(
            f"--diverse rearranges the first {MOST_DIVERSE} results; ask for fewer, or without it"
        )
    return wishes


class Refiner:
    """Thread-safe. `directory` is where the phrases' vectors are kept, "" nowhere."""

    def __init__(self, store: Store, directory: str = "") -> None:
        self._store = store
        self._phrases = Phrases(directory)
        self._samples = Samples()

    def warm(self, towers: Towers) -> None:
        """Begins what the first answer of a model would have to wait for."""
        self._phrases.get(towers.model, towers.text)

    def plan(
        self,
        terms: tuple[Term, ...],
        wishes: Wishes,
        towers: Towers,
        cache: TextCache,
        *,
        model_id: int,
        min_score: float | None,
        ids: Callable[[], Ids],
    ) -> Plan:
        """The plan of one query. `ids` gives the ids of all pictures that have a vector."""
        plain = query_vector(terms, towers, cache)
        way = way_for(wishes.expand, towers.model)
        ranked = plain
        if way != "off":
            all_terms = expanded(
                terms,
                way,
                model=towers.model,
                tower=towers.text,
                cache=cache,
                phrases=self._phrases,
            )
            if len(all_terms) > len(terms):
                ranked = query_vector(all_terms, towers, cache)
        judge = self._judge(terms, wishes, towers, ranked, model_id, ids)
        return Plan(self._store, model_id, plain, ranked, judge, wishes, min_score)

    def _judge(
        self,
        terms: tuple[Term, ...],
        wishes: Wishes,
        towers: Towers,
        query: Vectors,
        model_id: int,
        ids: Callable[[], Ids],
    ) -> Judge | None:
        # Against an example, other pictures are what is unrelated: their cosines with a picture
        # are on quite another scale than texts'.
        pictorial = any(term.kind != "text" and not term.negative for term in terms)
        texts = None
        if not pictorial:
            texts = self._phrases.known(towers.model)
            if texts is None and wishes.relevant:
                texts = self._phrases.get(towers.model, towers.text, WAIT_S)
        if texts is None and not pictorial:
            if wishes.relevant:
                raise UsageError(
                    "--relevant: the model's own scale is still being measured; ask again soon",
                )
            return None
        sample = self._samples.get(
            model_id,
            "pictures" if pictorial else "texts",
            self._store.generation,
            ids,
            lambda some: self._store.vectors(model_id, some)[1],
            lambda pictures: pictures if texts is None else texts,
        )
        return Judge(sample, query) if len(sample.vectors) else None


@dataclass(frozen=True, slots=True)
class Plan:
    """One query: `ranked` is the vector to rank by, `plain` the one that scores are of."""

    store: Store
    model_id: int
    plain: Vectors
    ranked: Vectors
    judge: Judge | None
    wishes: Wishes
    min_score: float | None

    @property
    def _varied(self) -> bool:
        return self.ranked is not self.plain

    @property
    def least(self) -> float | None:
        """The lowest cosine with `ranked` that can be of interest."""
        bounds = []
        if self.min_score is not None:
            bound = self.min_score
            if self._varied:
                # Angles add up at most: whoever is near `plain` is not much farther from `ranked`.
                between = math.acos(min(1.0, max(-1.0, float(self.plain @ self.ranked))))
                bound = math.cos(min(math.pi, math.acos(bound) + between)) - 1e-5
            bounds.append(bound)
        if self.wishes.relevant and self.judge is not None:
            bounds.append(self.judge.least())
        return max(bounds, default=None)

    def reach(self, top: int, offset: int) -> tuple[int, int]:
        """(top, offset) to collect for these results: whole blocks where they are rearranged."""
        if not self.wishes.diverse:
            return top, offset
        return -(-(offset + top) // BLOCK) * BLOCK, 0

    def sifted(self, candidates: Candidates) -> Candidates:
        """Without what is not to be shown. Candidates below `least` stay: they end the walk."""
        relevant = self.wishes.relevant and self.judge is not None
        if not relevant and not (self._varied and self.min_score is not None):
            yield from candidates
            return
        least = self.least
        for ids, scores in candidates:
            vectors = self._vectors(ids)
            kept = np.ones(len(ids), dtype=bool)
            if relevant and self.judge is not None:
                kept &= self.judge.relevance(vectors) >= STANDS_OUT
            if self._varied and self.min_score is not None:
                kept &= cosines(vectors, self.plain) >= self.min_score
            if least is not None:
                kept |= scores < least
            yield ids[kept], scores[kept]

    def finished(self, hits: list[Hit], top: int, offset: int) -> list[Hit]:
        """The hits of the page with plain scores and relevance, rearranged where that is wished."""
        if not hits:
            return hits
        if self.wishes.diverse:
            vectors = self._vectors(np.asarray([hit.picture.id for hit in hits], dtype=np.int64))
            scores = np.asarray([hit.score for hit in hits], dtype=np.float64)
            order = rearranged(scores, vectors)[offset : offset + top].tolist()
            hits = [
                replace(hits[place], rank=offset + number)
                for number, place in enumerate(order, start=1)
            ]
            if not hits:
                return hits
        ids = np.asarray([hit.picture.id for hit in hits], dtype=np.int64)
        plain, judged = self.told(ids, [hit.score for hit in hits])
        return [
            replace(hit, score=score, relevance=relevance)
            for hit, score, relevance in zip(hits, plain, judged, strict=True)
        ]

    def told(
        self, ids: Ids, scores: Sequence[float | None]
    ) -> tuple[Sequence[float | None], Sequence[float | None]]:
        """(plain scores, relevances) of pictures whose cosines with `ranked` are `scores`."""
        judge = self.judge
        if not self._varied and judge is None:
            return scores, [None] * len(ids)
        vectors = self._vectors(ids)
        plain = cosines(vectors, self.plain).tolist() if self._varied else scores
        return plain, judge.relevance(vectors).tolist() if judge else [None] * len(ids)

    def _vectors(self, ids: Ids) -> Vectors:
        """The stored vectors (n, dim) in the order of `ids`; zeros for one that has gone."""
        found, vectors = self.store.vectors(self.model_id, ids)
        ordered: Vectors = np.zeros((len(ids), len(self.plain)), dtype=np.float32)
        if len(found):
            order = np.argsort(found)
            places = np.minimum(np.searchsorted(found[order], ids), len(found) - 1)
            there = found[order][places] == ids
            ordered[there] = vectors[order][places[there]]
        return ordered

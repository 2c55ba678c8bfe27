"""Answers a query: terms and filters in, ranked pictures that are there right now out.

Responsible for where candidates come from: the index, a filter's pictures alone, or the newest.
What a term means is terms.py's, what passes filters.py's, the order by similarity ranking.py's,
and what is shown of it hits.py's; the API turns the answer into text.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Protocol

import numpy as np
import structlog

from imgqd.errors import UsageError
from imgqd.library.store import Store
from imgqd.records import Ids, Preprocess, Vectors
from imgqd.search.filters import Filters, parse_filters
from imgqd.search.hits import Candidates, Collector, Hit
from imgqd.search.index import VectorIndex
from imgqd.search.liveness import Liveness
from imgqd.search.ranking import FIRST_DEPTH, Ranking, best_of
from imgqd.search.refine import Plan, Refiner, Wishes, parse_wishes
from imgqd.search.stacks import stack_of
from imgqd.search.terms import (
    Decoder,
    ImageTower,
    Term,
    TextCache,
    TextTower,
    Towers,
    boxed,
    parse_terms,
)

log = structlog.get_logger("search")

MOST_RESULTS = 1000
# A filter that leaves at most so many pictures is answered from their vectors alone.
FEW = 20_000
# A filter that leaves more is looked for so far down the ranking before all of them are compared.
DEEPEST = 65_536
NEWEST_BATCH = 256
# So many queries read candidates and rows at once; more would get in each other's way.
TURNS = 3


class Keeper(Protocol):
    """What holds the index of a model."""

    index: VectorIndex


class Artifact(Protocol):
    """The part of models.artifact.Artifact that is needed here."""

    @property
    def id(self) -> str: ...

    @property
    def preprocess(self) -> Preprocess: ...


class Serving(Protocol):
    """A model that answers: encoders, index and row id belong together and are swapped together."""

    @property
    def artifact(self) -> Artifact: ...

    @property
    def model_id(self) -> int: ...

    @property
    def text(self) -> TextTower: ...

    @property
    def image(self) -> ImageTower: ...

    @property
    def keeper(self) -> Keeper: ...


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked. Without terms: the newest pictures that pass. `given` is the request."""

    terms: tuple[Term, ...] = ()
    filters: Filters = field(default_factory=Filters)
    top: int = 10
    offset: int = 0
    min_score: float | None = None
    given: dict[str, Any] = field(default_factory=dict)
    wishes: Wishes = field(default_factory=Wishes)
    stacked: bool = True

    def to_json(self) -> dict[str, Any]:
        """As asked, without the bytes of examples."""
        told: dict[str, Any] = {
            "terms": [term.to_json() for term in self.terms],
            "top": self.top,
            "offset": self.offset,
            **self.filters.to_json(self.given),
            **self.wishes.to_json(),
        }
        if self.min_score is not None:
            told["min_score"] = self.min_score
        if not self.stacked:
            told["all"] = True
        return told


@dataclass(frozen=True, slots=True)
class Answer:
    """Hits, best first."""

    query: Query
    hits: list[Hit]

    def to_json(
        self, *, model: str, took_ms: float, generation: int, indexing: bool
    ) -> dict[str, Any]:
        """The object of `imgq --json`; paths are bytes."""
        return {
            "query": self.query.to_json(),
            "model": model,
            "took_ms": round(took_ms, 3),
            "generation": generation,
            "indexing": indexing,
            "results": [hit.to_json() for hit in self.hits],
        }


def parse_request(request: dict[str, Any]) -> Query:
    """The query of a search request (see the API's SearchRequest). Raises UsageError."""
    top, offset = request.get("top", 10), request.get("offset", 0)
    if not 1 <= top <= MOST_RESULTS or offset < 0:
        raise UsageError(f"top is within 1..{MOST_RESULTS} and offset not below 0")
    min_score = request.get("min_score")
    if min_score is not None and not -1 <= min_score <= 1:
        raise UsageError(f"--min-score: {min_score:g} is not within -1..1")
    terms = parse_terms([*(request.get("terms") or []), *boxed(request)])
    if min_score is not None and not terms:
        raise UsageError("--min-score needs something to compare with: a text or an example")
    wishes = parse_wishes(request, terms=bool(terms), last=top + offset)
    stacked = not request.get("all", False)
    return Query(terms, parse_filters(request), top, offset, min_score, request, wishes, stacked)


class Searcher:
    """Answers queries over one library. Thread-safe; make one and keep it.

    `verify_deadline_ms` is how long an answer may wait for `lstat` of its hits. `on_stale` is
    called, on a thread of its own, with paths whose files are not what the library says: they want
    a look. `cache_dir` is a folder for what each model has to be asked only once, "" none.
    """

    def __init__(
        self,
        store: Store,
        *,
        decoder: Decoder,
        verify_deadline_ms: float,
        follow_links: bool = False,
        on_stale: Callable[[list[bytes]], object] = lambda paths: None,
        cache_dir: str = "",
    ) -> None:
        self._store = store
        self._refiner = Refiner(store, cache_dir)
        self._decoder = decoder
        self._deadline_s = verify_deadline_ms / 1000
        self._on_stale = on_stale
        self._disk = Liveness(follow_links=follow_links)
        self._texts = TextCache()
        self._turns = threading.BoundedSemaphore(TURNS)

    def search(self, query: Query, serving: Serving) -> Answer:
        """Answers from the model that `serving` holds, whatever is swapped in meanwhile.

        Raises UsageError for terms that make no sense, and what the model raises.
        """
        # Whoever waits for the text tower needs no turn yet: its texts are encoded with others'.
        self._prepare(query, serving)
        with self._turns:
            return self._search(query, serving)

    def _search(self, query: Query, serving: Serving) -> Answer:
        if not query.terms:
            collector = self._collector(
                query.filters, query.top, query.offset, query.min_score, query.stacked
            )
            collector.take(self._newest(query.filters))
            self._report(collector)
            return Answer(query, collector.hits())
        index = serving.keeper.index
        plan = self._plan(query, serving)
        collector = self._collector(
            query.filters, *plan.reach(query.top, query.offset), plan.least, query.stacked
        )
        ranking = Ranking(self._store, serving.model_id, index, plan.ranked)
        self._search_similar(query, ranking, collector, plan)
        self._report(collector)
        return Answer(query, plan.finished(collector.hits(), query.top, query.offset))

    def rank(
        self, query: Query, serving: Serving, most: int, passing: Ids | None
    ) -> tuple[Ids, Sequence[float | None], Sequence[float | None]]:
        """(ids, scores, relevances) of the best `most`, without a look at the disk or at each
        picture: for many at once. `passing` are the ids that pass the filters, ascending; None all.

        Raises what `search` raises.
        """
        self._prepare(query, serving)
        with self._turns:
            return self._rank(query, serving, most, passing)

    def _rank(
        self, query: Query, serving: Serving, most: int, passing: Ids | None
    ) -> tuple[Ids, Sequence[float | None], Sequence[float | None]]:
        index = serving.keeper.index
        plan = self._plan(query, serving)
        ranking = Ranking(self._store, serving.model_id, index, plan.ranked)

        def allowed(ids: Ids) -> Ids:
            return ids if passing is None else ids[np.isin(ids, passing)]

        if passing is None or len(passing) > FEW:
            deepest = None if passing is None else DEEPEST
            walk = ranking.walk(most, allowed=allowed, least=plan.least, deepest=deepest)
            ids, scores = best_of(plan.sifted(walk), most, plan.least)
            if len(ids) >= most or ranking.complete:
                return ids, *plan.told(ids, scores.tolist())
        every = ranking.of(index.ids() if passing is None else passing)
        ids, scores = best_of(plan.sifted([every]), most, plan.least)
        return ids, *plan.told(ids, scores.tolist())

    def _plan(self, query: Query, serving: Serving) -> Plan:
        return self._refiner.plan(
            query.terms,
            query.wishes,
            self._towers(serving),
            self._texts,
            model_id=serving.model_id,
            min_score=query.min_score,
            ids=serving.keeper.index.ids,
        )

    def _prepare(self, query: Query, serving: Serving) -> None:
        texts = [str(term.value) for term in query.terms if term.kind == "text"]
        if texts:
            self._texts.get(serving.artifact.id, texts, serving.text)

    def warm(self, serving: Serving) -> None:
        """Begins what the first answer of a model would have to wait for."""
        self._refiner.warm(self._towers(serving))

    def pictures(self, ids: Sequence[int]) -> list[Hit]:
        """Those of `ids` that are on disk, in their order, as hits without a score."""
        return [
            replace(hit, stack=stack_of(self._store, hit.picture, hit.path, hit.modified))
            for hit in self._on_disk(ids, Filters())
        ]

    def gone(self, ids: Sequence[int], filters: Filters) -> Ids:
        """Those of `ids` of which no file that `filters` shows is on disk any more."""
        there = self._on_disk(ids, Filters(folders=filters.folders))
        return np.setdiff1d(ids, [hit.picture.id for hit in there])

    def _on_disk(self, ids: Sequence[int], filters: Filters) -> list[Hit]:
        collector = self._collector(filters, len(ids), 0, None)
        collector.take([(np.asarray(ids, dtype=np.int64), np.full(len(ids), np.nan))])
        self._report(collector)
        return collector.hits()

    def _collector(
        self, filters: Filters, top: int, offset: int, least: float | None, stacked: bool = False
    ) -> Collector:
        return Collector(
            self._store,
            self._disk,
            filters,
            top=top,
            offset=offset,
            least=least,
            deadline_s=self._deadline_s,
            stacked=stacked,
        )

    def _search_similar(
        self, query: Query, ranking: Ranking, collector: Collector, plan: Plan
    ) -> None:
        """Goes down the index's ranking, with a filter only so far; then compares all that pass.

        Each stage begins anew, because a later one may find what an earlier one could not.
        """
        filters, least = query.filters, plan.least
        if not filters.any:
            walk = ranking.walk(collector.need, least=least)
            if collector.take(plan.sifted(walk)) or ranking.complete:
                return
            collector.start_again()
            collector.take(plan.sifted([ranking.of(self._all_passing(filters, -1))]))
            return

        def allowed(ids: Ids) -> Ids:
            return self._passing(filters, ids)

        for deepest in (FIRST_DEPTH, DEEPEST):
            walk = ranking.walk(collector.need, allowed=allowed, least=least, deepest=deepest)
            if collector.take(plan.sifted(walk)) or ranking.complete:
                return
            collector.start_again()
            few = self._all_passing(filters, FEW + 1 if deepest == FIRST_DEPTH else -1)
            if len(few) <= FEW or deepest == DEEPEST:
                collector.take(plan.sifted([ranking.of(few)]))
                return

    def _passing(self, filters: Filters, ids: Ids) -> Ids:
        """Those of some candidates that may pass, in their order."""
        condition, bindings = filters.sql(folders=True)
        rows = self._store.read(
            "SELECT p.id FROM pictures p WHERE p.id IN (SELECT value FROM json_each(?))"  # noqa: S608
            f" AND {condition}",
            (json.dumps(ids.tolist()), *bindings),
        )
        return ids[np.isin(ids, np.fromiter((row[0] for row in rows), dtype=np.int64))]

    def _all_passing(self, filters: Filters, limit: int) -> Ids:
        """The ids of all pictures that may pass, or of `limit` of them (-1 is no limit)."""
        condition, bindings = filters.sql()
        below, folders = filters.folders_sql("d.path")
        source = "pictures p"
        if filters.folders:
            source = (
                "directories d CROSS JOIN files i ON i.directory_id = d.id"
                " CROSS JOIN pictures p ON p.id = i.picture_id"
            )
        rows = self._store.read(
            f"SELECT DISTINCT p.id FROM {source} WHERE {below} AND {condition} LIMIT ?",  # noqa: S608
            (*folders, *bindings, limit),
        )
        return np.fromiter((row[0] for row in rows), dtype=np.int64)

    def _newest(self, filters: Filters) -> Candidates:
        """What may pass by time taken, else the oldest file's own time, the newest first."""
        condition, bindings = filters.sql(folders=True)
        rows = self._store.read(
            "SELECT p.id FROM pictures p"  # noqa: S608
            f" WHERE {condition} ORDER BY coalesce(p.taken, (SELECT mtime_ns / 1e9 FROM files f"
            " WHERE f.picture_id = p.id ORDER BY f.id LIMIT 1)) DESC, p.id DESC",
            bindings,
        )
        while batch := [row[0] for row in islice(rows, NEWEST_BATCH)]:
            yield np.asarray(batch, dtype=np.int64), np.full(len(batch), np.nan)

    def _report(self, collector: Collector) -> None:
        stale = list(collector.stale)
        if not stale:
            return

        def report() -> None:
            try:
                self._on_stale(stale)
            except Exception:  # the answer is given already; a full disk must not spoil the next
                log.exception("files that changed could not be asked for again", files=len(stale))

        # Writing waits for whatever else is being written; the answer does not.
        threading.Thread(target=report, name="stale files", daemon=True).start()

    def _towers(self, serving: Serving) -> Towers:
        def stored(picture_id: int) -> Vectors | None:
            if not self._store.pictures([picture_id]):
                return None
            ids = np.asarray([picture_id], dtype=np.int64)
            found, vectors = self._store.vectors(serving.model_id, ids)
            return vectors[0] if len(found) else None

        return Towers(
            serving.artifact.id,
            serving.text,
            serving.image,
            serving.artifact.preprocess,
            self._decoder,
            stored,
        )

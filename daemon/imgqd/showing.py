"""The part of Operations that shows pictures: the grid and its counts, pictures one by one, thumbnails,
originals.

What is ranked is search.query's, what is laid out search.grid's, what is sent web.originals'.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from imgqd.api.jsontext import jsonable
from imgqd.errors import NotFoundError
from imgqd.library.store import Store
from imgqd.records import Ids, Picture
from imgqd.search import facets
from imgqd.search.grid import Grid
from imgqd.search.hits import Hit
from imgqd.search.query import Query, Searcher, parse_request
from imgqd.search.refine import MOST_DIVERSE
from imgqd.serving import Serving
from imgqd.thumbnails import Thumbnails
from imgqd.web import desktop
from imgqd.web.originals import Original, open_original

if TYPE_CHECKING:
    from imgqd.daemon import Daemon

Ranked = tuple[Ids, Sequence[float | None], Sequence[float | None]]

PAGING = ("top", "offset")
MOST_RANKED = 10_000
RANKED = 2000


class Showing:
    """A part of Operations; thread-safe."""

    _daemon: Daemon
    _store: Store
    _searcher: Searcher
    _grid: Grid
    _thumbnails: Thumbnails

    def _sync_first(self, request: dict[str, Any]) -> None:
        raise NotImplementedError

    def remember(self, typed: str | None, results: int) -> None:
        """See Asking."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends what is worked out beside the answers."""
        self._grid.neighbours.close()

    def grid(self, request: dict[str, Any]) -> bytes:
        """The JSON of all pictures that fit; see the API's GridRequest and Grid."""
        started = time.perf_counter()
        most = request.get("most")
        query = parse_request(request)
        sort = request.get("sort", "best")
        self._sync_first(request)
        serving = self._daemon.models.ready() if query.terms else self._daemon.models.current
        alike = serving.model_id if serving is not None and request.get("alike") else None
        if query.terms and serving is not None:
            self._searcher.warm(serving)
            top = min(RANKED if most is None else most, MOST_RANKED)
            ranked = self._ranked(query, serving, top)
            cells = self._grid.ranked(
                *ranked, query.filters, sort=sort, stacked=query.stacked, alike=alike
            )
        else:
            cells = self._grid.filtered(
                query.filters, most, sort=sort, stacked=query.stacked, alike=alike
            )
        took = time.perf_counter() - started
        if request.get("remember"):
            # A box is read while somebody types in it: only what was meant counts as a question.
            texts = [str(term.value) for term in query.terms if term.kind == "text"]
            self._daemon.usage.answered(took, texts)
            self.remember(request["remember"], cells.total)
        told = query.to_json()
        return cells.to_json(
            {
                "version": self._store.library_id[:12],
                "took_ms": round(took * 1000, 3),
                "query": jsonable({key: told[key] for key in told if key not in PAGING}),
            }
        )

    def facets(self, request: dict[str, Any]) -> dict[str, Any]:
        """Counts what a FacetsRequest finds: all that passes its filters, or with terms its hits."""
        started = time.perf_counter()
        query = dataclasses.replace(parse_request(request), stacked=False)
        self._sync_first(request)
        if query.terms and "most" in request:
            ids = self._ranked(query, self._daemon.models.ready(), request["most"])[0]
            rows = facets.of_ids(self._store, ids.tolist(), query.filters)
        elif query.terms:
            found = self._searcher.search(query, self._daemon.models.ready())
            rows = facets.of_hits(found.hits)
        else:
            rows = facets.of_all(self._store, query.filters)
        return {
            "query": query.to_json(),
            **facets.count(rows),
            "took_ms": round((time.perf_counter() - started) * 1000, 3),
            "generation": self._store.generation,
        }

    def _ranked(self, query: Query, serving: Serving, top: int) -> Ranked:
        """The best `top`: what a grid shows and what is counted of it."""
        if not query.wishes.diverse:
            return self._searcher.rank(query, serving, top, self._grid.passing(query.filters))
        first = dataclasses.replace(query, top=min(top, MOST_DIVERSE))
        hits = self._searcher.search(first, serving).hits
        ids = np.asarray([hit.picture.id for hit in hits], dtype=np.int64)
        return ids, [hit.score for hit in hits], [hit.relevance for hit in hits]

    def picture(self, picture_id: int) -> dict[str, Any]:
        """One picture as a result object without rank and score."""
        found = self.pictures([picture_id])
        if not found:
            raise NotFoundError(f"there is no picture {picture_id}")
        return found[0]

    def pictures(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """Several, in the order of `ids`; those that are not there are left out."""
        return [_told(hit) for hit in self._searcher.pictures(ids)]

    def _known(self, picture_id: int) -> Picture:
        picture = self._store.pictures([picture_id]).get(picture_id)
        if picture is None:
            raise NotFoundError(f"there is no picture {picture_id}")
        return picture

    def thumbnail(self, picture_id: int, side: int, format: str = "webp") -> tuple[bytes, str]:
        """A small picture of a picture, from the cache when it is there."""
        return self._thumbnails.get(self._known(picture_id), side, format)

    def original(self, picture_id: int) -> Original:
        """The picture's own file, open and as it was indexed."""
        follow = self._daemon.settings.flag("follow_links")
        return open_original(self._store, self._known(picture_id), follow_links=follow)

    def reveal(self, picture_id: int, path: bytes | None) -> None:
        """Shows one of the picture's files in the file manager."""
        paths = self._known(picture_id).paths
        if path is not None and path not in paths:
            raise NotFoundError(f"picture {picture_id} has no file of that path")
        desktop.reveal(paths[0] if path is None else path)

    def browse(self, path: bytes | None) -> dict[str, Any]:
        """The folders in a folder."""
        return desktop.browse(path, [folder.path for folder in self._store.folders()])


def _told(hit: Hit) -> dict[str, Any]:
    told = hit.to_json()
    return {key: value for key, value in told.items() if key not in ("rank", "score", "relevance")}

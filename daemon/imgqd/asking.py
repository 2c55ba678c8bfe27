"""The part of Operations that is about questions: what looks the same, what was asked, what is kept.

The comparison itself is search.duplicates', the rows are library.searches'.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import apsw
import numpy as np
import structlog

from imgqd.api.service import cancelled
from imgqd.errors import ImgqError, NotFoundError, UsageError
from imgqd.library import searches
from imgqd.library.store import Store
from imgqd.records import Picture
from imgqd.search.dates import iso
from imgqd.search.duplicates import alike, groups
from imgqd.search.filters import Filters, parse_filters

if TYPE_CHECKING:
    from imgqd.daemon import Daemon

log = structlog.get_logger("daemon")

THRESHOLD = 0.95
# Vectors of so many pictures fit in memory beside everything else.
MOST_COMPARED = 300_000
READ = 5_000
_NAME = re.compile(r"[^\W_][\w.-]{0,99}\Z")


class Asking:
    """A part of Operations; thread-safe."""

    _daemon: Daemon
    _store: Store

    # -- duplicates

    def duplicates(self, request: dict[str, Any]) -> dict[str, Any]:
        """Groups of pictures that look the same (see the API's DuplicatesRequest)."""
        threshold = request.get("threshold", THRESHOLD)
        filters = parse_filters({"in": request.get("in", ())})
        serving = self._daemon.models.ready()
        ids = self._wanted(filters, np.sort(serving.keeper.index.ids()))
        copies = self._groups_of_copies(filters)
        if len(ids) > MOST_COMPARED:
            raise UsageError(
                f"--duplicates: {len(ids):,} pictures are too many to compare at once, "
                f"{MOST_COMPARED:,} is the most; name a folder with --in"
            )
        found, parts = [], []
        for start in range(0, len(ids), READ):
            some, vectors = self._store.vectors(serving.model_id, ids[start : start + READ])
            if len(some):
                found.append(some)
                parts.append(vectors.astype(np.float16))
        near = []
        if found:
            known = np.concatenate(found)
            order = np.argsort(known)
            pairs = alike(np.concatenate(parts)[order], threshold, cancelled)
            near = groups(known[order], pairs)
        pictures = self._store.pictures([i for members, _ in near for i in members])
        told = list(copies)
        for members, least in near:
            files = [
                _file(pictures[i], path)
                for i in members
                if i in pictures
                and (path := next(filter(filters.shows, pictures[i].paths), None)) is not None
            ]
            if len(files) > 1:
                told.append({"kind": "near", "similarity": least, "files": files})
        return {"threshold": threshold, "model": serving.artifact.id, "groups": told}

    def _wanted(self, filters: Filters, ids: Any) -> Any:
        """Those of `ids` that have a file below one of the folders."""
        if not filters.folders:
            return ids
        below, folders = filters.folders_sql("d.path")
        rows = self._store.read(
            "SELECT DISTINCT f.picture_id FROM directories d JOIN files f ON f.directory_id = d.id"  # noqa: S608
            f" WHERE {below} AND f.picture_id IS NOT NULL",
            folders,
        )
        return np.intersect1d(ids, np.fromiter((row[0] for row in rows), dtype=np.int64))

    def _groups_of_copies(self, filters: Filters) -> list[dict[str, Any]]:
        rows = self._store.read(
            "SELECT picture_id FROM files WHERE picture_id IS NOT NULL"
            " GROUP BY picture_id HAVING count(*) > 1 ORDER BY picture_id"
        )
        ids = [int(row[0]) for row in rows]
        told = []
        for start in range(0, len(ids), READ):
            for picture in self._store.pictures(ids[start : start + READ]).values():
                files = [_file(picture, path) for path in picture.paths if filters.shows(path)]
                if len(files) > 1:
                    told.append({"kind": "exact", "similarity": 1.0, "files": files})
        return told

    # -- history and saved questions

    def remember(self, typed: str | None, results: int) -> None:
        """Adds what was typed to the history, where that is wanted, without holding up an answer."""
        if not typed or not self._daemon.settings.flag("history"):
            return

        def write() -> None:
            try:
                searches.remember(self._store, typed, results)
            except (apsw.Error, ImgqError) as error:
                log.warning("a question could not be kept in the history", error=str(error))

        threading.Thread(target=write, name="history", daemon=True).start()

    def history(self, top: int) -> dict[str, Any]:
        """The newest questions, the newest last."""
        return {
            "kept": self._daemon.settings.flag("history"),
            "questions": searches.history(self._store, top),
        }

    def clear_history(self) -> dict[str, Any]:
        """Forgets every question."""
        return {"forgotten": searches.clear_history(self._store)}

    def saved(self, name: str | None) -> dict[str, Any]:
        """The saved questions, or the one of that name. Raises NotFoundError."""
        found = searches.saved(self._store, name)
        if name is not None and not found:
            raise NotFoundError(f"nothing is saved as {name!r}; `imgq --saved` lists what is")
        return {"saved": found}

    def save(self, name: str, arguments: Sequence[str]) -> dict[str, Any]:
        """Keeps a question under a name. Raises UsageError for a name that cannot be typed."""
        if not _NAME.match(name):
            raise UsageError(
                f"--save: {name!r} is no name; it begins with a letter or digit and goes on with "
                "letters, digits, - . and _"
            )
        searches.save(self._store, name, list(arguments))
        return {"saved": searches.saved(self._store, name)}

    def forget(self, name: str) -> dict[str, Any]:
        """Removes a saved question. Raises NotFoundError."""
        if not searches.forget(self._store, name):
            raise NotFoundError(f"nothing is saved as {name!r}; `imgq --saved` lists what is")
        return {"forgotten": 1}

    def completions(self) -> dict[str, Any]:
        """What a shell may offer: tags and names of saved questions."""
        tags = [row[0] for row in self._store.read("SELECT DISTINCT tag FROM tags ORDER BY tag")]
        return {"tags": tags, "saved": [item["name"] for item in searches.saved(self._store)]}


def _file(picture: Picture, path: bytes) -> dict[str, Any]:
    return {
        "id": picture.id,
        "path": path,
        "bytes": picture.bytes,
        "width": picture.metadata.width,
        "height": picture.metadata.height,
        "modified": iso(picture.modified),
    }

"""From ranked ids to what is shown: joined with live rows, filtered, and asked of the disk.

One picture is one hit, however many files hold it. Goes on down a ranking until there are enough;
where the ranking comes from is query.py's business.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from imgqd.library.store import Store
from imgqd.records import Picture, Signature
from imgqd.search import liveness
from imgqd.search.dates import iso
from imgqd.search.filters import Filters
from imgqd.search.liveness import Liveness
from imgqd.search.ranking import Ranked
from imgqd.search.stacks import Member, Shown, stacks_of

# Results that are skipped (offset) are asked of the disk too, up to so many: then pages fit.
VERIFIED_BEFORE = 1000
LEAST_BATCH = 8

# Ids (n,) and their scores (n,), best first; a score that is no number is none.
Candidates = Iterable[Ranked]


@dataclass(frozen=True, slots=True)
class Hit:
    """One picture of an answer. `score` is the cosine similarity, None without terms;
    `relevance` says how far that stands out (relevance.py), None where that is not known.

    `path` is the file it is shown by (the oldest row that may be shown), `copies` are the others
    with the same content; `modified` is the shown file's, in seconds since the epoch. `stack` are
    the other files of the same shot, which are no hits of their own.
    """

    rank: int
    score: float | None
    picture: Picture
    path: bytes
    copies: tuple[bytes, ...]
    modified: float
    relevance: float | None = None
    stack: tuple[Member, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The result object of interface.md; paths are bytes."""
        return {
            "rank": self.rank,
            "score": self.score,
            "relevance": self.relevance,
            **picture_json(self.picture, self.path, self.copies, self.modified),
            "stack": [member.to_json() for member in self.stack],
        }


def picture_json(
    picture: Picture, path: bytes, copies: Sequence[bytes], modified: float
) -> dict[str, Any]:
    """What a result object says of a picture; paths are bytes, times ISO 8601."""
    facts = picture.metadata
    return {
        "id": picture.id,
        "path": path,
        "copies": list(copies),
        "width": facts.width,
        "height": facts.height,
        "format": facts.format,
        "bytes": picture.bytes,
        "taken": None if facts.taken is None else iso(facts.taken, facts.taken_offset),
        "modified": iso(modified),
        "camera": facts.camera,
        "gps": None if facts.gps is None else list(facts.gps),
        "tags": list(picture.tags),
        "title": facts.title,
        "description": picture.description or facts.description,
        "keywords": list(facts.keywords),
        "rating": facts.rating,
        "lens": facts.lens,
        "fields": dict(picture.fields),
        "category": picture.category,
    }


class Collector:
    """Collects `offset` + `top` hits of one query. `stale` are paths that want a look."""

    def __init__(
        self,
        store: Store,
        disk: Liveness,
        filters: Filters,
        *,
        top: int,
        offset: int,
        least: float | None,
        deadline_s: float,
        stacked: bool = False,
    ) -> None:
        """With `stacked` only the best of a stack (stacks.py) is a hit."""
        self._stacked = stacked
        self._folded: set[int] = set()
        self._store = store
        self._disk = disk
        self._filters = filters
        self._offset = offset
        self._least = least
        self._left_s = deadline_s
        self.need = offset + top
        self.stale: dict[bytes, None] = {}
        self._answers: dict[bytes, str] = {}
        self._prefixes = [path for path, _ in store.offline_prefixes()]
        self._seen: set[int] = set()
        self._hits: list[Hit] = []
        self._count = 0

    def start_again(self) -> None:
        """Forgets the hits, not what the disk said."""
        self._seen.clear()
        self._folded.clear()
        self._hits.clear()
        self._count = 0

    def hits(self) -> list[Hit]:
        """What was collected, without the first `offset`."""
        return self._hits

    def take(self, candidates: Candidates) -> bool:
        """Takes what may be shown; True when there is enough, or nothing more of interest."""
        waiting: list[tuple[int, float | None]] = []
        for ids, scores in candidates:
            for picture_id, number in zip(ids.tolist(), scores.tolist(), strict=True):
                score = None if math.isnan(number) else number
                if self._least is not None and score is not None and score < self._least:
                    self._resolve(waiting)
                    return True
                if picture_id not in self._seen:
                    self._seen.add(picture_id)
                    waiting.append((picture_id, score))
            while waiting and len(waiting) >= self.need - self._count:
                size = max(self.need - self._count, LEAST_BATCH)
                self._resolve(waiting[:size])
                del waiting[:size]
                if self._count >= self.need:
                    return True
        self._resolve(waiting)
        return self._count >= self.need

    def _resolve(self, ranked: Sequence[tuple[int, float | None]]) -> None:
        if not ranked or self._count >= self.need:
            return
        ids = [picture_id for picture_id, _ in ranked]
        pictures = {
            picture_id: picture
            for picture_id, picture in self._store.pictures(ids).items()
            if self._filters.passes(picture) and any(map(self._filters.shows, picture.paths))
        }
        files = self._signatures(list(pictures)) if pictures else {}
        if self._count + len(ranked) > self._offset - VERIFIED_BEFORE:
            self._ask_the_disk(pictures, files)
        shown: list[tuple[float | None, Shown]] = []
        for picture_id, score in ranked:
            picture = pictures.get(picture_id)
            path = None if picture is None else self._path(picture)
            if picture is not None and path is not None:
                known = files.get(path)
                modified = picture.modified if known is None else known.mtime_ns / 1e9
                shown.append((score, (picture, path, modified)))
        stacks = stacks_of(self._store, [one for _, one in shown]) if self._stacked else None
        for place, (score, one) in enumerate(shown):
            if self._count < self.need and one[0].id not in self._folded:
                self._show(score, *one, stacks[place] if stacks else ())

    def _signatures(self, ids: Sequence[int]) -> dict[bytes, Signature]:
        rows = self._store.read(
            "SELECT d.path, f.name, f.size, f.mtime_ns, f.ctime_ns, f.inode FROM files f"
            " JOIN directories d ON d.id = f.directory_id"
            " WHERE f.picture_id IN (SELECT value FROM json_each(?))",
            (json.dumps(ids),),
        )
        return {os.path.join(bytes(row[0]), bytes(row[1])): Signature(*row[2:]) for row in rows}

    def _ask_the_disk(self, pictures: dict[int, Picture], files: dict[bytes, Signature]) -> None:
        wanted = [
            (path, files[path])
            for picture in pictures.values()
            for path in picture.paths
            if path in files and path not in self._answers
        ]
        started = time.monotonic()
        self._answers |= self._disk.check(wanted, self._prefixes, started + self._left_s)
        self._left_s -= time.monotonic() - started
        for path, _ in wanted:
            if self._answers[path] in (liveness.GONE, liveness.CHANGED, liveness.TOUCHED):
                self.stale[path] = None

    def _there(self, picture: Picture) -> list[bytes]:
        gone = (liveness.GONE, liveness.CHANGED)
        return [path for path in picture.paths if self._answers.get(path) not in gone]

    def _path(self, picture: Picture) -> bytes | None:
        """The file it may be shown by, if there is one."""
        return next(filter(self._filters.shows, self._there(picture)), None)

    def _show(
        self,
        score: float | None,
        picture: Picture,
        path: bytes,
        modified: float,
        stack: tuple[Member, ...],
    ) -> None:
        self._count += 1
        self._folded.update(member.id for member in stack if member.id is not None)
        if self._count <= self._offset:
            return
        self._hits.append(
            Hit(
                rank=self._count,
                score=score,
                picture=picture,
                path=path,
                copies=tuple(other for other in self._there(picture) if other != path),
                modified=modified,
                stack=stack,
            )
        )

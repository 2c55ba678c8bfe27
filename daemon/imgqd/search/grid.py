"""All pictures that fit, with just what it takes to lay them out: for the page, which scrolls
through a hundred thousand of them.

What does not depend on the question is kept until the library changes (columns.py); a filter then
only says which pictures. Ranking is query.py's, what passes filters.py's.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imgqd.library.store import Store
from imgqd.records import Ids
from imgqd.search.columns import Columns, Floats, Mask, among, read_columns
from imgqd.search.dates import offset_of
from imgqd.search.filters import EARTH_KM, Filters, Place
from imgqd.search.near import Neighbours, leaders

QUARTER_S = 900.0
# What a window shows at first; the rest is what the library knows, which follows the disk.
SEEN = 100
BATCH = 500


@dataclass(frozen=True, slots=True)
class Cells:
    """An answer: places in the columns, and with terms a score and a relevance for each.

    `alike` names by id those that look like a picture of the answer, which stands for them; `total`
    counts them too.
    """

    columns: Columns
    places: Ids
    total: int
    scores: list[float | None] | None = None
    relevances: list[float | None] | None = None
    stacked: bool = True
    alike: dict[int, list[int]] = field(default_factory=dict)

    def to_json(self, more: dict[str, Any]) -> bytes:
        """The object of openapi's Grid; `more` are the keys that are not about cells."""
        columns = self.columns
        ids = columns.ids[self.places].tolist()
        names, which = np.unique(columns.ratios[self.places], return_inverse=True)
        texts = [f"{ratio / 100:g}" for ratio in names.tolist()]
        shots = columns.shots if self.stacked else {}
        several = np.fromiter({*columns.others, *shots}, dtype=np.int64)
        stacked = columns.ids[self.places[among(columns.ids[self.places], several)]].tolist()
        cells = columns.placeholders[self.places].tobytes()
        placeholders = base64.b64encode(cells).decode("ascii")
        parts = {
            "total": json.dumps(self.total),
            "ids": f"[{','.join(map(str, ids))}]",
            "ratios": f"[{','.join([texts[place] for place in which.tolist()])}]",
            "scores": json.dumps(self.scores),
            "relevances": json.dumps(self.relevances),
            "placeholders": f'"{placeholders}"',
            "stacks": json.dumps(
                {i: columns.others.get(i, 0) + len(shots.get(i, ())) for i in stacked}
            ),
            "shots": json.dumps({i: len(shots[i]) for i in stacked if i in shots}),
            "alike": json.dumps(self.alike),
            "generation": json.dumps(columns.generation),
        }
        known = ",".join(f'"{name}":{text}' for name, text in parts.items())
        return f"{{{known},{json.dumps(more)[1:]}".encode()


class Grid:
    """The grid over one library. Thread-safe."""

    def __init__(
        self,
        store: Store,
        on_more: Callable[[], object] = lambda: None,
        gone: Callable[[Sequence[int], Filters], Ids] | None = None,
    ) -> None:
        """`on_more` is called when more is known of what looks alike than was answered; `gone` tells
        of which ids no file that the filters show is on disk any more."""
        self._store = store
        self._gone = gone
        self.neighbours = Neighbours(store, on_more)
        self._lock = threading.Lock()
        self._columns: Columns | None = None

    def columns(self) -> Columns:
        """As the library is now."""
        with self._lock:
            known = self._columns
            if known is None or known.generation != self._store.generation:
                known = self._columns = read_columns(self._store)
            return known

    def filtered(
        self,
        filters: Filters,
        most: int | None = None,
        *,
        sort: str = "newest",
        stacked: bool = True,
        alike: int | None = None,
    ) -> Cells:
        """All that pass; with `stacked` one for each shot; with `alike`, the row id of a model, one for
        neighbours that look alike. `most` are left after that."""
        columns = self.columns()
        places = np.arange(len(columns.ids))
        if filters.any:
            places = places[self._mask(columns, filters)]
        if stacked and columns.shots:
            places = places[_folded(columns, places)]
        if sort == "oldest":
            places = places[::-1]
        places = places[self._there(columns.ids[places], columns.ids[places], filters)]
        total = len(places)
        behind: dict[int, list[int]] = {}
        if alike is not None:
            links = self.neighbours.links(columns, alike)
            kept, behind = _gathered(columns.ids[places], links.leaders(columns.ids[places]), most)
            places = places[kept]
        return Cells(columns, places[:most], total, stacked=stacked, alike=behind)

    def ranked(
        self,
        ids: Ids,
        scores: Sequence[float | None],
        relevances: Sequence[float | None],
        filters: Filters = Filters(),  # noqa: B008 - it never changes
        *,
        sort: str = "best",
        stacked: bool = True,
        alike: int | None = None,
    ) -> Cells:
        """The cells of pictures that were ranked, of those that pass; `best` is their own order. With `alike`, the row id
        of a model, the best of those that look alike stands for them."""
        columns = self.columns()
        there, places = columns.places(ids)
        kept = np.flatnonzero(there)
        if stacked and columns.shots:
            unfolded = _folded(columns, places)
            kept, places = kept[unfolded], places[unfolded]
        shown = places if sort == "best" else np.sort(places)[:: 1 if sort == "newest" else -1]
        on_disk = self._there(columns.ids[places], columns.ids[shown], filters)
        kept, places = kept[on_disk], places[on_disk]
        total = len(places)
        behind: dict[int, list[int]] = {}
        if alike is not None:
            ids = columns.ids[places]
            first, behind = _gathered(ids, self._leaders(ids, alike))
            kept, places = kept[first], places[first]
        if sort != "best":
            order = np.argsort(places) if sort == "newest" else np.argsort(-places)
            kept, places = kept[order], places[order]
        return Cells(
            columns,
            places,
            total,
            [None if (score := scores[at]) is None else round(score, 4) for at in kept.tolist()],
            [None if (far := relevances[at]) is None else round(far, 3) for at in kept.tolist()],
            stacked,
            behind,
        )

    def _there(self, ids: Ids, shown: Ids, filters: Filters) -> Mask:
        """Which are left when the first as they are `shown` have been looked for on disk."""
        if self._gone is None or not len(ids):
            return np.ones(len(ids), dtype=bool)
        return ~among(ids, self._gone(shown[:SEEN].tolist(), filters))

    def _leaders(self, ids: Ids, model_id: int) -> Ids:
        """As near.leaders; who has no vector stands for itself."""
        found = np.arange(len(ids))
        known, vectors = self._store.vectors(model_id, ids)
        if len(known):
            order = np.argsort(ids)
            at = order[np.searchsorted(ids, known, sorter=order)]
            ranked = np.argsort(at)
            found[at[ranked]] = at[ranked][leaders(vectors[ranked])]
        return found

    def passing(self, filters: Filters) -> Ids | None:
        """The ids of all that pass, ascending; None without a filter."""
        if not filters.any:
            return None
        columns = self.columns()
        return np.sort(columns.ids[self._mask(columns, filters)])

    def _mask(self, columns: Columns, filters: Filters) -> Mask:
        mask = np.ones(len(columns.ids), dtype=bool)
        if filters.near is not None:
            mask &= _near(columns, filters.near)
        rest = dataclasses.replace(filters, after=None, before=None, near=None, folders=())
        for wanted in (
            self._below(filters) if filters.folders else None,
            self._passing(rest) if rest.any else None,
        ):
            if wanted is not None:
                mask &= among(columns.ids, wanted)
        if filters.after is not None or filters.before is not None:
            in_time = _in_time(columns, filters)
            if filters.folders:
                self._as_shown(columns, filters, mask, in_time)
            mask &= in_time
        return mask

    def _as_shown(self, columns: Columns, filters: Filters, mask: Mask, in_time: Mask) -> None:
        """Corrects `in_time` for pictures whose time is that of the file which a folder shows."""
        several = among(columns.ids, np.fromiter(columns.others, dtype=np.int64))
        unsure = np.flatnonzero(mask & columns.by_file & several)
        for start in range(0, len(unsure), BATCH):
            part = unsure[start : start + BATCH]
            pictures = self._store.pictures(columns.ids[part].tolist())
            for place in part.tolist():
                picture = pictures.get(int(columns.ids[place]))
                in_time[place] = picture is not None and filters.passes(picture)

    def _below(self, filters: Filters) -> Ids:
        """The pictures with a file below one of the folders."""
        below, folders = filters.folders_sql("d.path")
        rows = self._store.read(
            "SELECT f.picture_id FROM directories d CROSS JOIN files f ON f.directory_id = d.id"  # noqa: S608
            f" WHERE {below} AND f.picture_id IS NOT NULL",
            folders,
        )
        return np.fromiter((row[0] for row in rows), dtype=np.int64)

    def _passing(self, filters: Filters) -> Ids:
        """The pictures that pass what is neither a time nor a place nor a folder."""
        condition, bindings = filters.sql()
        if filters.camera is None and filters.category is None:
            rows = self._store.read(f"SELECT p.id FROM pictures p WHERE {condition}", bindings)  # noqa: S608
            return np.fromiter((row[0] for row in rows), dtype=np.int64)
        rows = self._store.read(
            "SELECT p.id, p.camera, coalesce(n.category, l.label) FROM pictures p"  # noqa: S608
            " LEFT JOIN notes n ON n.picture_id = p.id LEFT JOIN categories c ON c.picture_id = p.id"
            f" LEFT JOIN labels l ON l.id = c.label_id WHERE {condition}",
            bindings,
        )
        return np.fromiter(
            (row[0] for row in rows if filters.passes_beyond_sql(0.0, 0, row[1], row[2], None)),
            dtype=np.int64,
        )


def _folded(columns: Columns, places: Ids) -> Mask:
    """False for those whose shot has come already."""
    folded: set[int] = set()
    kept = np.ones(len(places), dtype=bool)
    in_shots = np.isin(columns.ids[places], np.fromiter(columns.shots, dtype=np.int64))
    for position in np.flatnonzero(in_shots).tolist():
        number = int(columns.ids[places[position]])
        if number in folded:
            kept[position] = False
        else:
            folded |= columns.shots[number]
    return kept


def _gathered(ids: Ids, found: Ids, most: int | None = None) -> tuple[Ids, dict[int, list[int]]]:
    """(places of those that stand for themselves, who they stand for); of the first `most`."""
    own = found == np.arange(len(found))
    kept = np.flatnonzero(own)[:most]
    last = kept[-1] if len(kept) else -1
    members = np.flatnonzero(~own & (found <= last))
    members = members[np.argsort(found[members], kind="stable")]
    firsts, starts = np.unique(found[members], return_index=True)
    named, bounds = ids[members].tolist(), [*starts.tolist(), len(members)]
    gathered = {
        first: named[bounds[at] : bounds[at + 1]] for at, first in enumerate(ids[firsts].tolist())
    }
    return kept, gathered


def _walls(columns: Columns) -> Floats:
    """What the clock showed where each picture was taken, in seconds since 1970 began on it.

    This machine's own clock changes on quarters of hours only.
    """
    offsets = columns.offsets * 60
    unsaid = np.flatnonzero(np.isnan(offsets))
    quarters = np.nan_to_num(columns.times[unsaid] // QUARTER_S)
    found, which = np.unique(quarters, return_inverse=True)
    local = [offset_of(quarter * QUARTER_S, None) for quarter in found.tolist()]
    offsets[unsaid] = np.asarray(local, dtype=np.float64)[which]
    return columns.times + offsets


def _in_time(columns: Columns, filters: Filters) -> Mask:
    mask = np.ones(len(columns.ids), dtype=bool)
    for bound, reached in ((filters.after, True), (filters.before, False)):
        if bound is not None:
            times = _walls(columns) if bound.wall else columns.times
            mask &= (times >= bound.seconds) == reached
    return mask


def _near(columns: Columns, near: Place) -> Mask:
    """As Place.distance, for all at once."""
    a, b = np.radians(near.latitude), np.radians(columns.latitudes)
    east = np.radians(columns.longitudes - near.longitude)
    h = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(east / 2) ** 2
    distance = 2 * EARTH_KM * np.arcsin(np.minimum(1.0, np.sqrt(h)))
    inside: Mask = distance <= near.km
    return inside

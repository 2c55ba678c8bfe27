"""All pictures that fit, with just what it takes to lay them out: for the page, which scrolls
through a hundred thousand of them.

What does not depend on the question is read from the library in one pass and kept until it
changes; a filter then only says which pictures. Ranking is query.py's, what passes filters.py's.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from imgqd.library.pictures import is_offline
from imgqd.library.store import Store
from imgqd.records import PLACEHOLDER_BYTES, UNKNOWN_PLACEHOLDER, Ids
from imgqd.search.dates import offset_of
from imgqd.search.filters import EARTH_KM, Filters, Place
from imgqd.search.hits import Hit
from imgqd.search.stacks import LEADING, SAME_MODIFIED_S, SAME_TAKEN_S

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

QUARTER_S = 900.0
BATCH = 500


@dataclass(frozen=True, slots=True)
class Columns:
    """What is known of each picture, the newest first: time taken (else the oldest file's) in seconds
    since the epoch and on the clock where it was, whether that is the file's, place in degrees (nan
    without one), width by height in hundredths, placeholder. `order` sorts the ids.

    `others` counts further files of a picture, `shots` names the other pictures of the same shot.
    """

    generation: int
    ids: Ids
    times: Floats
    walls: Floats
    by_file: Mask
    latitudes: Floats
    longitudes: Floats
    ratios: Ids
    placeholders: Bytes
    order: Ids
    others: dict[int, int] = field(default_factory=dict)
    shots: dict[int, set[int]] = field(default_factory=dict)

    def places(self, ids: Ids) -> tuple[Mask, Ids]:
        """(which of `ids` are here, the places of those) in the order of `ids`."""
        if not len(self.ids):
            return np.zeros(len(ids), dtype=bool), np.zeros(0, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.ids, ids, sorter=self.order), len(self.ids) - 1)
        there = self.ids[self.order[at]] == ids
        return there, self.order[at[there]]


@dataclass(frozen=True, slots=True)
class Cells:
    """An answer: places in the columns, and with terms a score and a relevance for each."""

    columns: Columns
    places: Ids
    total: int
    scores: list[float | None] | None = None
    relevances: list[float | None] | None = None

    def to_json(self, more: dict[str, Any]) -> bytes:
        """The object of openapi's Grid; `more` are the keys that are not about cells."""
        columns = self.columns
        ids = columns.ids[self.places].tolist()
        names, which = np.unique(columns.ratios[self.places], return_inverse=True)
        texts = [f"{ratio / 100:g}" for ratio in names.tolist()]
        stacks = {}
        for number in ids if columns.others or columns.shots else ():
            count = columns.others.get(number, 0) + len(columns.shots.get(number, ()))
            if count:
                stacks[str(number)] = count
        cells = columns.placeholders[self.places].tobytes()
        placeholders = base64.b64encode(cells).decode("ascii")
        parts = {
            "total": json.dumps(self.total),
            "ids": f"[{','.join(map(str, ids))}]",
            "ratios": f"[{','.join([texts[place] for place in which.tolist()])}]",
            "scores": json.dumps(self.scores),
            "relevances": json.dumps(self.relevances),
            "placeholders": f'"{placeholders}"',
            "stacks": json.dumps(stacks),
            "generation": json.dumps(columns.generation),
        }
        known = ",".join(f'"{name}":{text}' for name, text in parts.items())
        return f"{{{known},{json.dumps(more)[1:]}".encode()


class Grid:
    """The grid over one library. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._columns: Columns | None = None

    def columns(self) -> Columns:
        """As the library is now."""
        with self._lock:
            known = self._columns
            if known is None or known.generation != self._store.generation:
                known = self._columns = _read(self._store)
            return known

    def filtered(self, filters: Filters, most: int | None, sort: str = "newest") -> Cells:
        """All that pass; one for each shot."""
        columns = self.columns()
        places = np.arange(len(columns.ids))
        if filters.any:
            places = places[self._mask(columns, filters)]
        if columns.shots:
            places = _folded(columns, places)
        if sort == "oldest":
            places = places[::-1]
        return Cells(columns, places[:most], len(places))

    def of_hits(self, hits: list[Hit], sort: str = "best") -> Cells:
        """The cells of a search's hits; `best` is their own order."""
        columns = self.columns()
        ids = np.asarray([hit.picture.id for hit in hits], dtype=np.int64)
        there, places = columns.places(ids)
        kept = [hit for hit, here in zip(hits, there.tolist(), strict=True) if here]
        if sort != "best":
            order = np.argsort(places) if sort == "newest" else np.argsort(-places)
            places, kept = places[order], [kept[place] for place in order.tolist()]
        return Cells(
            columns,
            places,
            len(places),
            [None if hit.score is None else round(hit.score, 4) for hit in kept],
            [None if hit.relevance is None else round(hit.relevance, 3) for hit in kept],
        )

    def _mask(self, columns: Columns, filters: Filters) -> Mask:
        mask = np.ones(len(columns.ids), dtype=bool)
        if filters.near is not None:
            mask &= _near(columns, filters.near)
        rest = dataclasses.replace(filters, after=None, before=None, near=None)
        if rest.any:
            _, places = columns.places(self._passing(rest))
            chosen = np.zeros(len(columns.ids), dtype=bool)
            chosen[places] = True
            mask &= chosen
        if filters.after is not None or filters.before is not None:
            in_time = _in_time(columns, filters)
            if filters.folders:
                self._as_shown(columns, filters, mask, in_time)
            mask &= in_time
        return mask

    def _as_shown(self, columns: Columns, filters: Filters, mask: Mask, in_time: Mask) -> None:
        """Corrects `in_time` for pictures whose time is that of the file which a folder shows."""
        several = np.isin(columns.ids, np.fromiter(columns.others, dtype=np.int64))
        unsure = np.flatnonzero(mask & columns.by_file & several)
        for start in range(0, len(unsure), BATCH):
            part = unsure[start : start + BATCH]
            pictures = self._store.pictures(columns.ids[part].tolist())
            for place in part.tolist():
                picture = pictures.get(int(columns.ids[place]))
                in_time[place] = picture is not None and filters.passes(picture)

    def _passing(self, filters: Filters) -> Ids:
        """The pictures that pass what is neither a time nor a place."""
        condition, bindings = filters.sql()
        below, folders = filters.folders_sql("d.path")
        source = "pictures p"
        if filters.folders:
            source = (
                "directories d CROSS JOIN files i ON i.directory_id = d.id"
                " CROSS JOIN pictures p ON p.id = i.picture_id"
            )
        if filters.camera is None and filters.category is None:
            rows = self._store.read(
                f"SELECT DISTINCT p.id FROM {source} WHERE {below} AND {condition}",  # noqa: S608
                (*folders, *bindings),
            )
            return np.fromiter((row[0] for row in rows), dtype=np.int64)
        rows = self._store.read(
            "SELECT DISTINCT p.id, p.camera, coalesce(n.category, l.label)"  # noqa: S608
            f" FROM {source} LEFT JOIN notes n ON n.picture_id = p.id"
            " LEFT JOIN categories c ON c.picture_id = p.id LEFT JOIN labels l ON l.id = c.label_id"
            f" WHERE {below} AND {condition}",
            (*folders, *bindings),
        )
        return np.fromiter(
            (row[0] for row in rows if filters.passes_beyond_sql(0.0, 0, row[1], row[2], None)),
            dtype=np.int64,
        )


def _read(store: Store) -> Columns:
    # Before the rows: what is committed meanwhile makes it older than it is, never newer.
    generation = store.generation
    rows = list(
        store.read(
            "SELECT id, taken, latitude, longitude, width, height, placeholder, taken_offset"
            " FROM pictures WHERE orphaned IS NULL"
        )
    )
    ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
    times = np.fromiter((_number(row[1]) for row in rows), np.float64, len(rows))
    columns = Columns(
        generation,
        ids,
        times,
        times,
        np.isnan(times),
        np.fromiter((_number(row[2]) for row in rows), np.float64, len(rows)),
        np.fromiter((_number(row[3]) for row in rows), np.float64, len(rows)),
        np.fromiter(
            (max(1, round(100 * row[4] / max(1, row[5]))) for row in rows), np.int64, len(rows)
        ),
        np.frombuffer(
            b"".join(
                row[6]
                if row[6] is not None and len(row[6]) == PLACEHOLDER_BYTES
                else UNKNOWN_PLACEHOLDER
                for row in rows
            ),
            dtype=np.uint8,
        ).reshape(len(rows), PLACEHOLDER_BYTES),
        np.argsort(ids),
    )
    if np.isnan(times).any():
        found = list(
            store.read(
                "SELECT picture_id, min(id), mtime_ns FROM files WHERE picture_id IS NOT NULL"
                " AND picture_id IN (SELECT id FROM pictures WHERE taken IS NULL)"
                " GROUP BY picture_id"
            )
        )
        known = np.fromiter((row[0] for row in found), np.int64, len(found))
        there, places = columns.places(known)
        modified = np.fromiter((row[2] / 1e9 for row in found), np.float64, len(found))[there]
        missing = np.isnan(times[places])
        times[places[missing]] = modified[missing]
    offsets = np.fromiter((_number(row[7]) for row in rows), np.float64, len(rows)) * 60
    walls = times + np.where(np.isnan(offsets) | columns.by_file, _local_offsets(times), offsets)
    live = _live(store, columns)
    chosen = np.arange(len(ids)) if live is None else np.flatnonzero(live)
    newest = chosen[np.lexsort((-ids[chosen], -np.nan_to_num(times[chosen])))]
    return dataclasses.replace(
        columns,
        ids=ids[newest],
        times=times[newest],
        walls=walls[newest],
        by_file=columns.by_file[newest],
        latitudes=columns.latitudes[newest],
        longitudes=columns.longitudes[newest],
        ratios=columns.ratios[newest],
        placeholders=columns.placeholders[newest],
        order=np.argsort(ids[newest]),
        others=_others(store),
        shots=_shots(store),
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _local_offsets(times: Floats) -> Floats:
    """Seconds east of UTC of this machine's clock at each time; clocks change on quarters of hours."""
    quarters = np.nan_to_num(times // QUARTER_S)
    found, which = np.unique(quarters, return_inverse=True)
    return np.asarray([offset_of(q * QUARTER_S, None) for q in found.tolist()])[which]


def _in_time(columns: Columns, filters: Filters) -> Mask:
    mask = np.ones(len(columns.ids), dtype=bool)
    for bound, reached in ((filters.after, True), (filters.before, False)):
        if bound is not None:
            times = columns.walls if bound.wall else columns.times
            mask &= (times >= bound.seconds) == reached
    return mask


def _live(store: Store, columns: Columns) -> Mask | None:
    """Which have a file on a drive that is there; None where all drives are."""
    guards = store.offline_prefixes()
    if not any(offline for _, offline in guards):
        return None
    here = [
        row[0]
        for row in store.read("SELECT id, path FROM directories")
        if not is_offline(os.path.join(bytes(row[1]), b"x"), guards)
    ]
    rows = store.read(
        "SELECT DISTINCT picture_id FROM files WHERE picture_id IS NOT NULL"
        " AND directory_id IN (SELECT value FROM json_each(?))",
        (json.dumps(here),),
    )
    return np.isin(columns.ids, np.fromiter((row[0] for row in rows), dtype=np.int64))


def _others(store: Store) -> dict[int, int]:
    return {
        row[0]: row[1] - 1
        for row in store.read(
            "SELECT picture_id, count(*) FROM files WHERE picture_id IS NOT NULL"
            " GROUP BY picture_id HAVING count(*) > 1"
        )
    }


def _shots(store: Store) -> dict[int, set[int]]:
    """The other pictures of each picture's shot (see stacks.py), for all of the library."""
    leading = json.dumps(sorted(LEADING))
    together: dict[tuple[int, bytes], list[tuple[int, str, float | None, float]]] = {}
    for directory, name, mtime_ns, number, form, taken in store.read(
        "SELECT f.directory_id, f.name, f.mtime_ns, p.id, p.format, p.taken FROM files f"
        " JOIN pictures p ON p.id = f.picture_id WHERE f.directory_id IN (SELECT o.directory_id"
        " FROM pictures q JOIN files o ON o.picture_id = q.id"
        " WHERE q.format IN (SELECT value FROM json_each(?)))",
        (leading,),
    ):
        stem = os.path.splitext(bytes(name))[0]
        together.setdefault((directory, stem), []).append((number, form, taken, mtime_ns / 1e9))
    shots: dict[int, set[int]] = {}
    for members in together.values():
        for one in members if len(members) > 1 else ():
            for other in members:
                if one[0] != other[0] and _same_shot(one, other):
                    shots.setdefault(one[0], set()).add(other[0])
    return shots


def _same_shot(
    one: tuple[int, str, float | None, float], other: tuple[int, str, float | None, float]
) -> bool:
    if one[1] == other[1] or not LEADING & {one[1], other[1]}:
        return False
    if one[2] is not None and other[2] is not None:
        return abs(one[2] - other[2]) <= SAME_TAKEN_S
    return abs(one[3] - other[3]) <= SAME_MODIFIED_S


def _folded(columns: Columns, places: Ids) -> Ids:
    """Without those whose shot has come already."""
    folded: set[int] = set()
    kept = np.ones(len(places), dtype=bool)
    in_shots = np.isin(columns.ids[places], np.fromiter(columns.shots, dtype=np.int64))
    for position in np.flatnonzero(in_shots).tolist():
        number = int(columns.ids[places[position]])
        if number in folded:
            kept[position] = False
        else:
            folded |= columns.shots[number]
    unfolded: Ids = places[kept]
    return unfolded


def _near(columns: Columns, near: Place) -> Mask:
    """As Place.distance, for all at once."""
    a, b = np.radians(near.latitude), np.radians(columns.latitudes)
    east = np.radians(columns.longitudes - near.longitude)
    h = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(east / 2) ** 2
    distance = 2 * EARTH_KM * np.arcsin(np.minimum(1.0, np.sqrt(h)))
    inside: Mask = distance <= near.km
    return inside

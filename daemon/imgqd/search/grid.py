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
    since the epoch, minutes east of UTC (nan: this machine's clock), whether the time is the file's,
    place in degrees (nan without one), width by height in hundredths, placeholder.

    `order` sorts the ids, `others` counts further files of a picture, `shots` names the other
    pictures of the same shot.
    """

    generation: int
    ids: Ids
    times: Floats
    offsets: Floats
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
    stacked: bool = True

    def to_json(self, more: dict[str, Any]) -> bytes:
        """The object of openapi's Grid; `more` are the keys that are not about cells."""
        columns = self.columns
        ids = columns.ids[self.places].tolist()
        names, which = np.unique(columns.ratios[self.places], return_inverse=True)
        texts = [f"{ratio / 100:g}" for ratio in names.tolist()]
        shots = columns.shots if self.stacked else {}
        several = np.fromiter({*columns.others, *shots}, dtype=np.int64)
        stacks = {
            str(number): columns.others.get(number, 0) + len(shots.get(number, ()))
            for number in columns.ids[
                self.places[_among(columns.ids[self.places], several)]
            ].tolist()
        }
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

    def filtered(
        self,
        filters: Filters,
        most: int | None = None,
        *,
        sort: str = "newest",
        stacked: bool = True,
    ) -> Cells:
        """All that pass; with `stacked` one for each shot."""
        columns = self.columns()
        places = np.arange(len(columns.ids))
        if filters.any:
            places = places[self._mask(columns, filters)]
        if stacked and columns.shots:
            places = _folded(columns, places)
        if sort == "oldest":
            places = places[::-1]
        return Cells(columns, places[:most], len(places), stacked=stacked)

    def of_hits(self, hits: list[Hit], *, sort: str = "best", stacked: bool = True) -> Cells:
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
            stacked,
        )

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
                mask &= _among(columns.ids, wanted)
        if filters.after is not None or filters.before is not None:
            in_time = _in_time(columns, filters)
            if filters.folders:
                self._as_shown(columns, filters, mask, in_time)
            mask &= in_time
        return mask

    def _as_shown(self, columns: Columns, filters: Filters, mask: Mask, in_time: Mask) -> None:
        """Corrects `in_time` for pictures whose time is that of the file which a folder shows."""
        several = _among(columns.ids, np.fromiter(columns.others, dtype=np.int64))
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


def _read(store: Store) -> Columns:
    # Before the rows: what is committed meanwhile makes it older than it is, never newer.
    generation = store.generation
    rows = list(
        store.read(
            "SELECT id, taken, taken_offset, latitude, longitude, width, height, placeholder"
            " FROM pictures WHERE orphaned IS NULL"
        )
    )
    parts: list[tuple[Any, ...]] = list(zip(*rows, strict=True)) or [()] * 8
    ids = np.asarray(parts[0], dtype=np.int64)
    # None becomes nan.
    times, offsets, latitudes, longitudes = (np.asarray(p, dtype=np.float64) for p in parts[1:5])
    sides = np.asarray(parts[5:7], dtype=np.float64)
    ratios = np.maximum(1, np.round(100 * sides[0] / np.maximum(1, sides[1]))).astype(np.int64)
    known = b"".join(
        cell if cell is not None and len(cell) == PLACEHOLDER_BYTES else UNKNOWN_PLACEHOLDER
        for cell in parts[7]
    )
    placeholders = np.frombuffer(known, dtype=np.uint8).reshape(len(ids), PLACEHOLDER_BYTES)
    by_file = np.isnan(times)
    if by_file.any():
        _fill_times(store, ids, times)
    live = _live(store, ids)
    chosen = np.arange(len(ids)) if live is None else np.flatnonzero(live)
    newest = chosen[np.lexsort((-ids[chosen], -np.nan_to_num(times[chosen])))]
    return Columns(
        generation,
        ids[newest],
        times[newest],
        np.where(by_file, np.nan, offsets)[newest],
        by_file[newest],
        latitudes[newest],
        longitudes[newest],
        ratios[newest],
        placeholders[newest],
        np.argsort(ids[newest]),
        _others(store),
        _shots(store),
    )


def _fill_times(store: Store, ids: Ids, times: Floats) -> None:
    """Gives pictures that do not say when they were taken the time of their oldest file."""
    found = list(
        store.read(
            "SELECT picture_id, min(id), mtime_ns FROM files WHERE picture_id IS NOT NULL"
            " AND picture_id IN (SELECT id FROM pictures WHERE taken IS NULL)"
            " GROUP BY picture_id ORDER BY picture_id"
        )
    )
    wanted = np.flatnonzero(np.isnan(times))
    with_file = np.asarray([row[0] for row in found], dtype=np.int64)
    if not len(with_file):
        return
    at = np.minimum(np.searchsorted(with_file, ids[wanted]), len(with_file) - 1)
    there = with_file[at] == ids[wanted]
    modified = np.asarray([row[2] for row in found], dtype=np.float64) / 1e9
    times[wanted[there]] = modified[at[there]]


def _among(ids: Ids, chosen: Ids) -> Mask:
    """Which of `ids` are among `chosen`."""
    return np.isin(ids, chosen) if len(chosen) else np.zeros(len(ids), dtype=bool)


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


def _live(store: Store, ids: Ids) -> Mask | None:
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
    return _among(ids, np.fromiter((row[0] for row in rows), dtype=np.int64))


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

"""What is known of every picture, by column: read from the library in one pass, for the grid.

Only reads; what passes a filter and how it is laid out is grid.py's.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import numpy.typing as npt

from imgqd.library.pictures import is_offline
from imgqd.library.store import Store
from imgqd.records import PLACEHOLDER_BYTES, UNKNOWN_PLACEHOLDER, Ids
from imgqd.search.stacks import LEADING, SAME_MODIFIED_S, SAME_TAKEN_S

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

BATCH = 20_000


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


def read_columns(store: Store) -> Columns:
    """The columns as the library is now."""
    # Before the rows: what is committed meanwhile makes it older than it is, never newer.
    generation = store.generation
    rows = store.read(
        "SELECT id, taken, taken_offset, latitude, longitude, width, height, placeholder"
        " FROM pictures WHERE orphaned IS NULL"
    )
    # In batches: as rows a million pictures would take half a gigabyte for a moment.
    numbers: list[Floats] = [np.zeros((7, 0))]
    placed: list[Bytes] = [np.zeros((0, PLACEHOLDER_BYTES), dtype=np.uint8)]
    while batch := list(islice(rows, BATCH)):
        *columns, cells = zip(*batch, strict=True)
        # None becomes nan; ids stay exact below 2**53.
        numbers.append(np.asarray(columns, dtype=np.float64))
        placed.append(_placeholders(cells))
    found = np.concatenate(numbers, axis=1)
    times, offsets, latitudes, longitudes = found[1:5]
    ids, sides = found[0].astype(np.int64), found[5:7]
    ratios = np.maximum(1, np.round(100 * sides[0] / np.maximum(1, sides[1]))).astype(np.int64)
    placeholders = np.concatenate(placed)
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


def _placeholders(cells: tuple[bytes | None, ...]) -> Bytes:
    known = b"".join(
        cell if cell is not None and len(cell) == PLACEHOLDER_BYTES else UNKNOWN_PLACEHOLDER
        for cell in cells
    )
    return np.frombuffer(known, dtype=np.uint8).reshape(len(cells), PLACEHOLDER_BYTES)


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


def among(ids: Ids, chosen: Ids) -> Mask:
    """Which of `ids` are among `chosen`."""
    return np.isin(ids, chosen) if len(chosen) else np.zeros(len(ids), dtype=bool)


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
    return among(ids, np.fromiter((row[0] for row in rows), dtype=np.int64))


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

"""Counts of a result set by year, month, folder, format, camera, category and tag.

Without terms the set is everything that passes the filters, counted in SQL's order without loading
pictures; with terms it is the hits of a search, which query.py has found.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from imgqd.library.pictures import is_offline
from imgqd.library.store import Store
from imgqd.search.dates import month
from imgqd.search.filters import Filters
from imgqd.search.hits import Hit

BATCH = 500
FACETS = ("year", "month", "folder", "format", "camera", "category", "tag")


class Row(NamedTuple):
    """What is counted of one picture; `month` as in 2024-06."""

    month: str
    folder: bytes
    format: str
    camera: str | None
    category: str | None
    tags: Sequence[str]


def of_hits(hits: Iterable[Hit]) -> Iterator[Row]:
    """The rows of a search's hits."""
    for hit in hits:
        picture, facts = hit.picture, hit.picture.metadata
        when = (hit.modified, None) if facts.taken is None else (facts.taken, facts.taken_offset)
        folder = os.path.dirname(hit.path)
        yield Row(month(*when), folder, facts.format, facts.camera, picture.category, picture.tags)


def of_ids(store: Store, ids: Sequence[int], filters: Filters) -> Iterator[Row]:
    """The rows of pictures that were ranked, each by its first file that passes."""
    for start in range(0, len(ids), BATCH):
        for picture in store.pictures(ids[start : start + BATCH]).values():
            facts = picture.metadata
            shown = next((at for at, path in enumerate(picture.paths) if filters.shows(path)), None)
            if shown is None:
                continue
            when = (
                (picture.times[shown], None)
                if facts.taken is None
                else (facts.taken, facts.taken_offset)
            )
            folder = os.path.dirname(picture.paths[shown])
            yield Row(
                month(*when), folder, facts.format, facts.camera, picture.category, picture.tags
            )


def of_all(store: Store, filters: Filters) -> Iterator[Row]:
    """The rows of every picture that passes and has a file that may be shown."""
    guards = store.offline_prefixes()
    any_offline = any(offline for _, offline in guards)
    # What is small or the same for many rows is read once rather than looked up for each.
    tags: dict[int, list[str]] = {}
    for picture_id, tag in store.read("SELECT picture_id, tag FROM tags"):
        tags.setdefault(picture_id, []).append(tag)
    chosen: dict[int, str] = dict(
        store.read("SELECT picture_id, category FROM notes WHERE category IS NOT NULL")
    )
    labels: dict[int | None, str] = dict(store.read("SELECT id, label FROM labels"))
    directories: dict[int, bytes] = dict(store.read("SELECT id, path FROM directories"))
    condition, bindings = filters.sql()
    last = -1
    for (
        number,
        taken,
        offset,
        format,
        camera,
        north,
        east,
        label,
        within,
        name,
        mtime_ns,
    ) in store.read(
        "SELECT p.id, p.taken, p.taken_offset, p.format, p.camera, p.latitude, p.longitude,"  # noqa: S608
        " c.label_id, f.directory_id, f.name, f.mtime_ns FROM pictures p"
        " JOIN files f ON f.picture_id = p.id LEFT JOIN categories c ON c.picture_id = p.id"
        f" WHERE {condition} ORDER BY p.id, f.id",
        bindings,
    ):
        if number == last:
            continue
        folder = directories.get(within)
        if folder is None:
            continue  # it has come since the directories were read
        if any_offline or filters.folders:
            path = os.path.join(folder, name)
            if not filters.shows(path) or (any_offline and is_offline(path, guards)):
                continue
        last = number
        if taken is None:
            taken, offset = mtime_ns / 1e9, None
        category = chosen.get(number) or labels.get(label)
        gps = None if north is None else (north, east)
        if filters.passes_beyond_sql(taken, offset, camera, category, gps):
            yield Row(month(taken, offset), folder, format, camera, category, tags.get(number, ()))


def count(rows: Iterable[Row]) -> dict[str, Any]:
    """`{"total", "facets": {NAME: [{"value", "count"}]}}`: times newest first, the rest by count.

    A folder is bytes. Pictures without a camera, category or tag are not counted in that facet.
    """
    counters: dict[str, Counter[Any]] = {name: Counter() for name in FACETS}
    total = 0
    of_what = [counters[name] for name in ("month", "folder", "format", "camera", "category")]
    for row in rows:
        total += 1
        for counter, value in zip(of_what, row, strict=False):
            if value is not None:
                counter[value] += 1
        if row.tags:
            counters["tag"].update(row.tags)
    for when, number in counters["month"].items():
        counters["year"][when[:4]] += number
    return {
        "total": total,
        "facets": {
            name: [
                {"value": value, "count": number}
                for value, number in _ordered(name, counters[name])
            ]
            for name in FACETS
        },
    }


def _ordered(name: str, counter: Counter[Any]) -> list[tuple[Any, int]]:
    if name in ("year", "month"):
        return sorted(counter.items(), reverse=True)
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))

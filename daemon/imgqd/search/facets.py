"""Counts of a result set by year, month, folder, format, camera, category and tag.

Without terms the set is everything that passes the filters, counted in SQL's order without loading
pictures; with terms it is the hits of a search, which query.py has found.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from imgqd.library.pictures import is_offline
from imgqd.library.store import Store
from imgqd.search.dates import iso
from imgqd.search.filters import Filters
from imgqd.search.hits import Hit

FACETS = ("year", "month", "folder", "format", "camera", "category", "tag")


@dataclass(frozen=True, slots=True)
class Row:
    """What is counted of one picture."""

    id: int
    when: str
    folder: bytes
    format: str
    camera: str | None
    category: str | None
    tags: tuple[str, ...]


def of_hits(hits: Iterable[Hit]) -> Iterator[Row]:
    """The rows of a search's hits."""
    for hit in hits:
        picture, facts = hit.picture, hit.picture.metadata
        when = iso(hit.modified) if facts.taken is None else iso(facts.taken, facts.taken_offset)
        folder = os.path.dirname(hit.path)
        yield Row(
            picture.id, when, folder, facts.format, facts.camera, picture.category, picture.tags
        )


def of_all(store: Store, filters: Filters) -> Iterator[Row]:
    """The rows of every picture that passes and has a file that may be shown."""
    guards = store.offline_prefixes()
    any_offline = any(offline for _, offline in guards)
    tags: dict[int, list[str]] = {}
    for picture_id, tag in store.read("SELECT picture_id, tag FROM tags"):
        tags.setdefault(picture_id, []).append(tag)
    condition, bindings = filters.sql()
    last = -1
    for (
        number,
        taken,
        offset,
        format,
        camera,
        category,
        *place,
        directory,
        name,
        mtime_ns,
    ) in store.read(
        "SELECT p.id, p.taken, p.taken_offset, p.format, p.camera,"  # noqa: S608
        " coalesce(n.category, l.label), p.latitude, p.longitude, d.path, f.name, f.mtime_ns"
        " FROM pictures p"
        " JOIN files f ON f.picture_id = p.id JOIN directories d ON d.id = f.directory_id"
        " LEFT JOIN notes n ON n.picture_id = p.id LEFT JOIN categories c ON c.picture_id = p.id"
        f" LEFT JOIN labels l ON l.id = c.label_id WHERE {condition} ORDER BY p.id, f.id",
        bindings,
    ):
        if number == last:
            continue
        folder = bytes(directory)
        path = os.path.join(folder, bytes(name))
        if not filters.shows(path) or (any_offline and is_offline(path, guards)):
            continue
        last = number
        if taken is None:
            taken, offset = mtime_ns / 1e9, None
        gps = None if place[0] is None else (place[0], place[1])
        if not filters.passes_beyond_sql(taken, offset, camera, category, gps):
            continue
        when = iso(taken, offset)
        yield Row(number, when, folder, format, camera, category, tuple(tags.get(number, ())))


def count(rows: Iterable[Row]) -> dict[str, Any]:
    """`{"total", "facets": {NAME: [{"value", "count"}]}}`: times newest first, the rest by count.

    A folder is bytes. Pictures without a camera, category or tag are not counted in that facet.
    """
    counters: dict[str, Counter[Any]] = {name: Counter() for name in FACETS}
    total = 0
    for row in rows:
        total += 1
        counters["year"][row.when[:4]] += 1
        counters["month"][row.when[:7]] += 1
        counters["folder"][row.folder] += 1
        counters["format"][row.format] += 1
        if row.camera is not None:
            counters["camera"][row.camera] += 1
        if row.category is not None:
            counters["category"][row.category] += 1
        counters["tag"].update(row.tags)
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

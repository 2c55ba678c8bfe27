"""What results must be besides alike: folder, time, format, camera, place, tags, words and the rest.

A filter is asked twice: `sql` finds the pictures that may pass among a million without loading
them, and leaves none out that does; `passes` decides, on a picture and the path it is shown by.
Only words are for `sql` alone, since the full-text index knows what a word is.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imgqd.errors import UsageError
from imgqd.indexing.formats import FORMATS, by_name
from imgqd.library.store import below, is_below
from imgqd.records import Picture
from imgqd.search.dates import Bound, parse_date
from imgqd.search.words import match_query

EARTH_KM = 6371.0088  # mean radius (IUGG)
KM_PER_DEGREE = EARTH_KM * math.pi / 180
ORIENTATIONS = ("landscape", "portrait", "square")


@dataclass(frozen=True, slots=True)
class Place:
    """Within `km` of a point, in degrees."""

    latitude: float
    longitude: float
    km: float

    def distance(self, latitude: float, longitude: float) -> float:
        """Great-circle distance in km by the haversine formula, right across the date line."""
        a, b = math.radians(self.latitude), math.radians(latitude)
        east = math.radians(longitude - self.longitude)
        h = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(east / 2) ** 2
        return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(h)))


@dataclass(frozen=True, slots=True)
class Filters:
    """All that is given must hold. `after` is from a bound on, `before` until just before one;
    `folders` are alternatives, `types` too; `min_size` is (width, height) in pixels. `where` are own fields with their values,
    `rating` the fewest stars, `words` texts that all occur in what is said of a picture or in its
    path, `category` a label in any case."""

    folders: tuple[bytes, ...] = ()
    after: Bound | None = None
    before: Bound | None = None
    types: tuple[str, ...] = ()
    camera: str | None = None
    near: Place | None = None
    tags: tuple[str, ...] = ()
    min_size: tuple[int, int] | None = None
    orientation: str | None = None
    where: tuple[tuple[str, str], ...] = ()
    rating: int | None = None
    words: str | None = None
    category: str | None = None

    @property
    def any(self) -> bool:
        """True when something is filtered at all."""
        return self != Filters()

    def shows(self, path: bytes) -> bool:
        """True for a path that may be shown: below one of the folders, where some are given."""
        return not self.folders or any(is_below(path, folder) for folder in self.folders)

    def passes(self, picture: Picture) -> bool:
        """True for a picture whose facts fit; where its files are is `shows`'s to decide.

        A picture that does not say when it was taken has the time of the file it is shown by.
        """
        facts = picture.metadata
        time, offset = facts.taken, facts.taken_offset
        if time is None:
            time, offset = picture.modified_as_shown(self.shows), None
        if not self.passes_beyond_sql(time, offset, facts.camera, picture.category, facts.gps):
            return False
        if self.types and facts.format not in self.types:
            return False
        if not set(self.tags) <= set(picture.tags):
            return False
        if any(not _has(picture, key, value) for key, value in self.where):
            return False
        if self.rating is not None and (facts.rating is None or facts.rating < self.rating):
            return False
        if self.min_size and (facts.width < self.min_size[0] or facts.height < self.min_size[1]):
            return False
        return not self.orientation or self.orientation == orientation(facts.width, facts.height)

    def passes_beyond_sql(
        self,
        time: float,
        offset: int | None,
        camera: str | None,
        category: str | None,
        gps: tuple[float, float] | None,
    ) -> bool:
        """What of `passes` is not decided by `sql`; `time` and `offset` as dates.iso takes them."""
        if self.after is not None and not self.after.reached(time, offset):
            return False
        if self.before is not None and self.before.reached(time, offset):
            return False
        if self.camera and self.camera.casefold() not in (camera or "").casefold():
            return False
        if self.category and not _same(self.category, category):
            return False
        return self.near is None or (gps is not None and self.near.distance(*gps) <= self.near.km)

    def sql(self, *, folders: bool = False) -> tuple[str, list[Any]]:
        """(conditions on `pictures p`, bindings): true for every picture that passes.

        With `folders` also that a file is below one of them; for many pictures `folders_sql` is faster.
        """
        conditions: list[str] = ["p.orphaned IS NULL"]
        bindings: list[Any] = []

        def need(condition: str, *values: Any) -> None:
            conditions.append(condition)
            bindings.extend(values)

        for bound, sign in (
            (None if self.after is None else self.after.earliest, ">="),
            (None if self.before is None else self.before.latest, "<="),
        ):
            if bound is not None:
                edge = _nanoseconds(bound - 1 if sign == ">=" else bound + 1)
                need(
                    f"(p.taken {sign} ? OR p.taken IS NULL AND EXISTS (SELECT 1 FROM files f"  # noqa: S608
                    f" WHERE f.picture_id = p.id AND f.mtime_ns {sign} ?))",
                    bound,
                    edge,
                )
        if self.types:
            need("p.format IN (SELECT value FROM json_each(?))", json.dumps(self.types))
        if self.camera:
            need("p.camera IS NOT NULL")
            if self.camera.isascii():
                # SQLite lowers ASCII letters only; other letters can fold to ASCII ones.
                need("(instr(lower(p.camera), ?) OR p.camera GLOB '*[^ -~]*')", self.camera.lower())
        if self.near:
            self._near_sql(self.near, need)
        for tag in self.tags:
            need("EXISTS (SELECT 1 FROM tags t WHERE t.picture_id = p.id AND t.tag = ?)", tag)
        for key, value in self.where:
            need(*_where_sql(key, value))
        if self.rating is not None:
            need("p.rating >= ?", self.rating)
        if self.words:
            need("p.id IN (SELECT rowid FROM texts WHERE texts MATCH ?)", match_query(self.words))
        if self.category:
            need(*_category_sql(self.category))
        if self.min_size:
            need("p.width >= ? AND p.height >= ?", *self.min_size)
        if self.orientation:
            sign = {"landscape": ">", "portrait": "<", "square": "="}[self.orientation]
            need(f"p.width {sign} p.height")
        if folders and self.folders:
            below_one, paths = self.folders_sql("d.path")
            need(
                "EXISTS (SELECT 1 FROM files i JOIN directories d ON d.id = i.directory_id"  # noqa: S608
                f" WHERE i.picture_id = p.id AND {below_one})",
                *paths,
            )
        return " AND ".join(conditions), bindings

    def _near_sql(self, near: Place, need: Any) -> None:
        # A little wider than the circle; the distance itself is checked by `passes`.
        reach = near.km / KM_PER_DEGREE * 1.001 + 1e-6
        south, north = near.latitude - reach, near.latitude + reach
        need("p.latitude BETWEEN ? AND ?", south, north)
        if south <= -90 or north >= 90:
            return  # round a pole: every longitude
        # The meridian that touches the circle lies this far east and west of its centre.
        ratio = math.sin(math.radians(reach)) / math.cos(math.radians(near.latitude))
        width = math.degrees(math.asin(min(1.0, ratio))) * 1.001 + 1e-6
        need(
            "min(abs(p.longitude - ?), 360 - abs(p.longitude - ?)) <= ?",
            near.longitude,
            near.longitude,
            width,
        )

    def folders_sql(self, directory: str) -> tuple[str, list[bytes]]:
        """(condition on the column `directory`, bindings): the directories below the folders."""
        parts, bindings = [], []
        for folder in self.folders:
            parts.append(f"({directory} = ? OR {directory} >= ? AND {directory} < ?)")
            bindings += [folder, *below(folder)]
        return _any_of(parts) if parts else "1", bindings

    def to_json(self, given: dict[str, Any]) -> dict[str, Any]:
        """The filters as they were given, for the answer's `query`."""
        names = ("after", "before", "camera", "near", "tags", "min_size", "orientation", "where")
        told: dict[str, Any] = {name: given[name] for name in names if given.get(name)}
        for name in ("rating", "words", "category"):
            if getattr(self, name) is not None:
                told[name] = getattr(self, name)
        if self.folders:
            told["in"] = list(self.folders)
        if self.types:
            told["types"] = list(self.types)
        return told


def _any_of(conditions: list[str]) -> str:
    """The conditions joined by OR, as a tree: SQLite takes no expression deeper than 1000."""
    if len(conditions) == 1:
        return conditions[0]
    middle = len(conditions) // 2
    return f"({_any_of(conditions[:middle])} OR {_any_of(conditions[middle:])})"


def _has(picture: Picture, key: str, value: str) -> bool:
    if picture.fields.get(key) == value:
        return True
    facts = picture.metadata
    return (key == "lens" and facts.lens == value) or (key == "keyword" and value in facts.keywords)


def _where_sql(key: str, value: str) -> tuple[Any, ...]:
    condition = (
        "EXISTS (SELECT 1 FROM fields o WHERE o.picture_id = p.id AND o.key = ? AND o.value = ?)"
    )
    if key == "lens":
        return f"({condition} OR p.lens = ?)", key, value, value
    if key == "keyword":
        inside = "EXISTS (SELECT 1 FROM json_each(p.keywords) k WHERE k.value = ?)"
        return f"({condition} OR {inside})", key, value, value
    return condition, key, value


def _same(wanted: str, category: str | None) -> bool:
    return category is not None and wanted.casefold() == category.casefold()


def _category_sql(category: str) -> tuple[Any, ...]:
    """A person's category, else the computed one. Letters beyond ASCII are left to `passes`."""
    fits = "(lower({0}) = ? OR {0} GLOB '*[^ -~]*')"
    return (
        f"(p.id IN (SELECT picture_id FROM notes n WHERE {fits.format('n.category')})"  # noqa: S608
        " OR p.id IN (SELECT picture_id FROM categories WHERE label_id IN"
        f" (SELECT id FROM labels l WHERE {fits.format('l.label')})"
        " AND picture_id NOT IN (SELECT picture_id FROM notes WHERE category IS NOT NULL)))",
        category.casefold(),
        category.casefold(),
    )


def orientation(width: int, height: int) -> str:
    """`landscape`, `portrait` or `square`, as shown."""
    return "landscape" if width > height else "portrait" if width < height else "square"


def _nanoseconds(seconds: float) -> int:
    return int(min(max(seconds * 1e9, -(2.0**62)), 2.0**62))


def parse_filters(request: dict[str, Any]) -> Filters:
    """The filters of a search request (see the API's SearchRequest). Raises UsageError."""
    after, before = request.get("after"), request.get("before")
    filters = Filters(
        folders=tuple(_folder(item) for item in request.get("in") or ()),
        after=parse_date(after, "--after") if after is not None else None,
        before=parse_date(before, "--before") if before is not None else None,
        types=tuple(dict.fromkeys(_format(item) for item in request.get("types") or ())),
        camera=request.get("camera") or None,
        near=_place(request["near"]) if request.get("near") else None,
        tags=tuple(dict.fromkeys(request.get("tags") or ())),
        min_size=_size(request["min_size"]) if request.get("min_size") else None,
        orientation=request.get("orientation") or None,
        where=tuple(dict.fromkeys((w["key"], w["value"]) for w in request.get("where") or ())),
        rating=request.get("rating"),
        words=request.get("words") or None,
        category=request.get("category") or None,
    )
    if filters.words:
        match_query(filters.words)
    if filters.orientation is not None and filters.orientation not in ORIENTATIONS:
        raise UsageError(
            f"--orientation: {filters.orientation!r} is not one of {', '.join(ORIENTATIONS)}"
        )
    return filters


def _folder(item: Any) -> bytes:
    path = b""
    if isinstance(item, dict) and "path_b64" in item:
        try:
            path = base64.b64decode(item["path_b64"], validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise UsageError("--in: path_b64 is not base64") from None
    else:
        text = item.get("path") if isinstance(item, dict) else item
        if isinstance(text, str):
            try:
                path = os.fsencode(text)
            except UnicodeEncodeError:
                path = b""
    if not os.path.isabs(path) or b"\0" in path:
        raise UsageError(f"--in: {item!r} is not an absolute path of a folder")
    return os.path.normpath(path)


def _format(word: str) -> str:
    plain = word.strip().lower().lstrip(".")
    if plain in FORMATS:
        return plain
    found = by_name(b"x." + plain.encode("utf-8", "replace"))
    if found is None:
        raise UsageError(f"--type: {word!r} is not a format; there are {', '.join(FORMATS)}")
    return found


def _numbers(values: Sequence[float], count: int) -> bool:
    return len(values) == count and all(
        isinstance(value, int | float) and math.isfinite(value) for value in values
    )


def _place(values: Sequence[float]) -> Place:
    if not _numbers(values, 3):
        raise UsageError("--near wants three numbers: LAT,LON,KM")
    latitude, longitude, km = (float(value) for value in values)
    if not -90 <= latitude <= 90 or not -180 <= longitude <= 180 or km < 0:
        raise UsageError(
            f"--near: {latitude:g},{longitude:g},{km:g} is no place: latitude is within -90..90,"
            " longitude within -180..180, and km not below 0"
        )
    return Place(latitude, longitude, km)


def _size(values: Sequence[int]) -> tuple[int, int]:
    if not _numbers(values, 2) or min(values) < 0:
        raise UsageError("--min-size wants two whole numbers: WIDTHxHEIGHT")
    return int(values[0]), int(values[1])

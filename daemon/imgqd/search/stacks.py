"""Stacks: files of one shot, such as a RAW and its JPEG or the parts of a Live Photo, as one result.

They are told by the same name in the same folder and the same moment; at least one is a RAW or a
HEIC, so that a PNG made of a JPEG stays a picture of its own. A film of a Live Photo is no picture,
but belongs to the stack.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from imgqd.library.database import Row
from imgqd.library.store import Store
from imgqd.records import Picture

# Cameras write the same second into both files; filesystems and copies are less exact.
SAME_TAKEN_S = 1.0
SAME_MODIFIED_S = 2.0
# A Live Photo's film is written when it ends.
SAME_FILM_S = 10.0
LEADING = frozenset({"raw", "heic"})
_FILMS = frozenset({b".mov", b".mp4"})
# Of so many pictures the library is asked at once.
AT_ONCE = 500

# A picture, the file that it is shown by, and when that was modified (seconds since the epoch).
Shown = tuple[Picture, bytes, float]


@dataclass(frozen=True, slots=True)
class Member:
    """Another file of a stack; `id` is None and `format` "video" for a film."""

    id: int | None
    path: bytes
    format: str

    def to_json(self) -> dict[str, Any]:
        """`{"id", "path", "format"}`; the path is bytes."""
        return {"id": self.id, "path": self.path, "format": self.format}


def stack_of(store: Store, picture: Picture, path: bytes, modified: float) -> tuple[Member, ...]:
    """The other files of the shot that is shown by `path`, modified then, by name."""
    return stacks_of(store, [(picture, path, modified)])[0]


def stacks_of(store: Store, shown: Sequence[Shown]) -> list[tuple[Member, ...]]:
    """What `stack_of` says of each."""
    stacks: list[tuple[Member, ...]] = []
    for start in range(0, len(shown), AT_ONCE):
        some = shown[start : start + AT_ONCE]
        members: list[list[Member]] = [[] for _ in some]
        for place, *row in _neighbours(store, some):
            member = _member(*some[place], *row)
            if member is not None:
                members[place].append(member)
        stacks += map(tuple, members)
    return stacks


def _neighbours(store: Store, shown: Sequence[Shown]) -> Iterator[Row]:
    """(place in `shown`, name, mtime_ns, picture's id, format, taken) of the files in the same
    folder whose names begin alike."""
    bindings: list[object] = []
    for place, (_, path, _) in enumerate(shown):
        directory, name = os.path.split(path)
        stem = os.path.splitext(name)[0]
        bindings += [place, directory, stem + b".", stem + b"/", name]
    # In one question for all of them: each would cost as much by itself.
    values = ", ".join(["(?, ?, ?, ?, ?)"] * len(shown))
    return store.read(
        f"WITH wanted (place, directory, low, high, name) AS (VALUES {values})"  # noqa: S608
        " SELECT place, f.name, f.mtime_ns, p.id, p.format, p.taken FROM wanted w"
        " CROSS JOIN directories d ON d.path = w.directory"
        " CROSS JOIN files f ON f.directory_id = d.id"
        " LEFT JOIN pictures p ON p.id = f.picture_id"
        " WHERE f.name > w.low AND f.name < w.high AND f.name <> w.name ORDER BY place, f.name",
        bindings,
    )


def _member(
    picture: Picture,
    path: bytes,
    modified: float,
    other: bytes,
    mtime_ns: int,
    number: int | None,
    format: str | None,
    taken: float | None,
) -> Member | None:
    """The file `other` beside `path`, where it is of the same shot."""
    directory, name = os.path.split(path)
    base, ending = os.path.splitext(other)
    if base != os.path.splitext(name)[0] or number == picture.id:
        return None
    facts = picture.metadata
    when = mtime_ns / 1e9
    if number is None:
        moments = (modified, facts.taken)
        near = any(m is not None and abs(when - m) <= SAME_FILM_S for m in moments)
        if ending.lower() in _FILMS and facts.format in ("heic", "jpeg") and near:
            return Member(None, os.path.join(directory, other), "video")
        return None
    if format is None or format == facts.format or not LEADING & {format, facts.format}:
        return None
    if taken is not None and facts.taken is not None:
        same = abs(taken - facts.taken) <= SAME_TAKEN_S
    else:
        same = abs(when - modified) <= SAME_MODIFIED_S
    return Member(number, os.path.join(directory, other), format) if same else None

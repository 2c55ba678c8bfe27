"""Stacks: files of one shot, such as a RAW and its JPEG or the parts of a Live Photo, as one result.

They are told by the same name in the same folder and the same moment; at least one is a RAW or a
HEIC, so that a PNG made of a JPEG stays a picture of its own. A film of a Live Photo is no picture,
but belongs to the stack.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from imgqd.library.store import Store
from imgqd.records import Picture

# Cameras write the same second into both files; filesystems and copies are less exact.
SAME_TAKEN_S = 1.0
SAME_MODIFIED_S = 2.0
# A Live Photo's film is written when it ends.
SAME_FILM_S = 10.0
LEADING = frozenset({"raw", "heic"})
_FILMS = frozenset({b".mov", b".mp4"})


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
    directory, name = os.path.split(path)
    stem = os.path.splitext(name)[0]
    facts = picture.metadata
    found: list[Member] = []
    rows = store.read(
        "SELECT f.name, f.mtime_ns, p.id, p.format, p.taken FROM directories d"
        " JOIN files f ON f.directory_id = d.id LEFT JOIN pictures p ON p.id = f.picture_id"
        " WHERE d.path = ? AND f.name > ? AND f.name < ? AND f.name <> ?",
        (directory, stem + b".", stem + b"/", name),
    )
    for other, mtime_ns, number, format, taken in rows:
        base, ending = os.path.splitext(other)
        if base != stem or number == picture.id:
            continue
        when = mtime_ns / 1e9
        if number is None:
            moments = (modified, facts.taken)
            near = any(m is not None and abs(when - m) <= SAME_FILM_S for m in moments)
            if ending.lower() in _FILMS and facts.format in ("heic", "jpeg") and near:
                found.append(Member(None, os.path.join(directory, other), "video"))
        elif format != facts.format and LEADING & {format, facts.format}:
            if taken is not None and facts.taken is not None:
                same = abs(taken - facts.taken) <= SAME_TAKEN_S
            else:
                same = abs(when - modified) <= SAME_MODIFIED_S
            if same:
                found.append(Member(number, os.path.join(directory, other), format))
    return tuple(found)

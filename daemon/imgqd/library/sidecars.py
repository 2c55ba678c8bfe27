"""Which sidecar belongs to which picture, by name, and the transactions that keep both in line.

`photo.jpg.xmp` (darktable, digiKam) is of one file, `photo.xmp` (Adobe) of every file of that name.
A sidecar is remembered in `files` like any other file that is no picture. Reading one is
indexing/sidecars.py's business.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import apsw

from imgqd.library.store import Store
from imgqd.records import Metadata, Signature

_ENDINGS = (b".xmp", b".XMP")


def is_sidecar(path: bytes) -> bool:
    """True for a path that is a sidecar by its name."""
    return path[-4:].lower() == b".xmp"


def names_beside(path: bytes) -> list[bytes]:
    """The paths at which a picture's sidecar may be, the most particular first."""
    return [stem + ending for stem in (path, os.path.splitext(path)[0]) for ending in _ENDINGS]


def described(connection: apsw.Connection, sidecar: bytes) -> Iterator[tuple[bytes, int]]:
    """(path, picture id) of the indexed files that a sidecar is of."""
    directory, name = os.path.split(sidecar)
    stem = name[:-4]
    rows = connection.execute(
        "SELECT name, picture_id FROM directories d JOIN files f ON f.directory_id = d.id"
        " WHERE d.path = ? AND name >= ? AND name < ? AND picture_id IS NOT NULL ORDER BY name",
        (directory, stem, stem + b"/"),
    )
    for found, picture_id in list(rows):
        if stem in (found, os.path.splitext(found)[0]):
            yield os.path.join(directory, found), picture_id


def redescribe(
    store: Store, connection: apsw.Connection, picture_id: int, metadata: Metadata
) -> bool:
    """Writes a picture's metadata; False when it says that already, or the picture is gone."""
    row = connection.execute(
        "SELECT content_hash, bytes FROM pictures WHERE id = ?", (picture_id,)
    ).get
    if row is None:
        return False
    known = store.pictures([picture_id]).get(picture_id)
    if known is not None and known.metadata == metadata:
        return False
    store._update_picture(connection, picture_id, bytes(row[0]), int(row[1]), metadata)
    return True


def remember(
    store: Store,
    connection: apsw.Connection,
    picture: bytes,
    used: tuple[bytes, Signature] | None,
) -> bool:
    """With a picture that is committed: remembers the sidecar that its metadata speaks for.

    Sidecars that are known in another state than that are asked for, before anybody's sync can
    pass. True when there are some.
    """
    asked = False
    for path in names_beside(picture):
        row = _known(connection, path)
        if used is not None and path == used[0] and row is None:
            store._put_file(connection, path, used[1], "other", None)
        elif row is not None and (used is None or (path, row) != used):
            connection.execute(
                "UPDATE files SET state = 'pending' WHERE name = ? AND directory_id ="
                " (SELECT id FROM directories WHERE path = ?)",
                os.path.split(path)[::-1],
            )
            store._ask_within(connection, path)
            asked = True
    return asked


def _known(connection: apsw.Connection, path: bytes) -> Signature | None:
    rows = connection.execute(
        "SELECT size, mtime_ns, ctime_ns, inode FROM directories d"
        " JOIN files f ON f.directory_id = d.id WHERE d.path = ? AND name = ?",
        os.path.split(path),
    )
    return next((Signature(*found) for found in rows), None)

"""Pictures by content and their vectors by model: reading them, and the transactions that change them.

A picture whose last file went is an orphan: invisible at once, kept for a while with its vector, so
that a move or a deletion that is undone costs no encoding. Vectors are stored as fp16.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import apsw
import numpy as np

from imgqd.library.added import Added
from imgqd.library.database import Row
from imgqd.records import Ids, Metadata, Picture, Vectors

_METADATA = (
    "pixel_hash, width, height, format, taken, taken_offset, camera, lens, latitude, longitude,"
    " title, description, keywords, rating"
)


def _metadata_row(metadata: Metadata) -> tuple[Any, ...]:
    latitude, longitude = metadata.gps if metadata.gps else (None, None)
    return (
        metadata.pixel_hash,
        metadata.width,
        metadata.height,
        metadata.format,
        metadata.taken,
        metadata.taken_offset,
        metadata.camera,
        metadata.lens,
        latitude,
        longitude,
        metadata.title,
        metadata.description,
        json.dumps(metadata.keywords) if metadata.keywords else None,
        metadata.rating,
    )


def _metadata(row: Sequence[Any]) -> Metadata:
    return Metadata(
        pixel_hash=row[0],
        width=row[1],
        height=row[2],
        format=row[3],
        taken=row[4],
        taken_offset=row[5],
        camera=row[6],
        lens=row[7],
        gps=None if row[8] is None else (row[8], row[9]),
        title=row[10],
        description=row[11],
        keywords=tuple(json.loads(row[12])) if row[12] else (),
        rating=row[13],
    )


class Pictures(Added):
    """What store.Store knows of pictures, models and vectors."""

    # -- models and vectors

    def model_id(self, name: str, spec: str, dim: int) -> int:
        """The row id of a model (an artifact's id), made when it is new."""
        row = self.read_one("SELECT id FROM models WHERE name = ?", (name,))
        if row is None:
            with self.write() as connection:
                connection.execute(
                    "INSERT INTO models (name, spec, dim, added) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (name, spec, dim, time.time()),
                )
            row = self.read_one("SELECT id FROM models WHERE name = ?", (name,))
        assert row is not None
        return int(row[0])

    def vectors(self, model_id: int, ids: Ids) -> tuple[Ids, Vectors]:
        """The stored vectors of some pictures: (ids (n,), vectors (n, dim) float32), unordered.

        Pictures without a vector of this model are left out.
        """
        return _of_one_row(
            self.read_one(
                "SELECT group_concat(picture_id), CAST(group_concat(vector, '') AS BLOB)"
                " FROM vectors"
                " WHERE model_id = ? AND picture_id IN (SELECT value FROM json_each(?))",
                (model_id, json.dumps(np.asarray(ids).tolist())),
            )
        )

    def vector_batches(self, model_id: int, size: int = 10_000) -> Iterator[tuple[Ids, Vectors]]:
        """All vectors of live pictures, in batches by ascending id."""
        last = -1
        while True:
            ids, vectors = _of_one_row(
                self.read_one(
                    "SELECT group_concat(picture_id), CAST(group_concat(vector, '') AS BLOB)"
                    " FROM (SELECT picture_id, vector FROM vectors"
                    " JOIN pictures p ON p.id = picture_id"
                    " WHERE model_id = ? AND picture_id > ? AND orphaned IS NULL"
                    " ORDER BY picture_id LIMIT ?)",
                    (model_id, last, size),
                )
            )
            if not len(ids):
                return
            last = int(ids[-1])
            yield ids, vectors

    def vector_ids(self, model_id: int) -> Ids:
        """The ids of live pictures that have a vector of this model, ascending."""
        rows = self.read(
            "SELECT picture_id FROM vectors WHERE model_id = ?1 AND picture_id NOT IN"
            " (SELECT id FROM pictures WHERE orphaned IS NOT NULL) ORDER BY picture_id",
            (model_id,),
        )
        return np.fromiter((row[0] for row in rows), dtype=np.int64)

    def missing_vectors(self, model_id: int, after: int, limit: int) -> list[int]:
        """Live pictures without a vector of this model, by ascending id after `after`."""
        rows = self.read(
            "SELECT id FROM pictures p WHERE id > ?2 AND orphaned IS NULL AND NOT EXISTS"
            " (SELECT 1 FROM vectors v WHERE v.model_id = ?1 AND v.picture_id = p.id)"
            " ORDER BY id LIMIT ?3",
            (model_id, after, limit),
        )
        return [int(row[0]) for row in rows]

    def missing_count(self, model_id: int) -> int:
        """How many live pictures have no vector of this model yet."""
        row = self.read_one(
            "SELECT count(*) FROM pictures p WHERE orphaned IS NULL AND NOT EXISTS"
            " (SELECT 1 FROM vectors v WHERE v.model_id = ? AND v.picture_id = p.id)",
            (model_id,),
        )
        return int(row[0]) if row else 0

    def put_vectors(self, model_id: int, ids: Sequence[int], vectors: Vectors) -> None:
        """Stores vectors (n, dim) of pictures that exist; others are left out."""
        with self.write() as connection:
            for picture_id, vector in zip(ids, vectors, strict=True):
                self._put_vector(connection, picture_id, model_id, vector)

    def broken_vectors(self, model_id: int, dim: int) -> list[int]:
        """Live pictures whose vector has a wrong length or a norm that is not 1."""
        broken = [
            int(row[0])
            for row in self.read(
                "SELECT picture_id FROM vectors WHERE model_id = ? AND length(vector) <> ?",
                (model_id, dim * 2),
            )
        ]
        if not broken:
            for ids, vectors in self.vector_batches(model_id):
                norms = np.linalg.norm(vectors, axis=1)
                broken.extend(int(i) for i in ids[~(np.abs(norms - 1) < 0.01)])
        return broken

    def drop_vectors(self, model_id: int, ids: Sequence[int]) -> None:
        """Deletes vectors, so that they are made again."""
        with self.write() as connection:
            connection.execute(
                "DELETE FROM vectors WHERE model_id = ?"
                " AND picture_id IN (SELECT value FROM json_each(?))",
                (model_id, json.dumps(list(ids))),
            )

    def drop_models_but(self, model_ids: Sequence[int]) -> int:
        """Deletes the vectors of all other models, in short transactions; returns how many."""
        dropped = 0
        keep = json.dumps(list(model_ids))
        while True:
            with self.write() as connection:
                connection.execute(
                    "DELETE FROM vectors WHERE rowid IN (SELECT rowid FROM vectors"
                    " WHERE model_id NOT IN (SELECT value FROM json_each(?)) LIMIT 5000)",
                    (keep,),
                )
                changed = connection.changes()
                if not changed:
                    connection.execute(
                        "DELETE FROM models WHERE id NOT IN (SELECT value FROM json_each(?))",
                        (keep,),
                    )
                    return dropped
            dropped += changed

    # -- pictures

    def picture_by_content(self, content_hash: bytes) -> int | None:
        """The id of the picture with this content, orphans included."""
        row = self.read_one("SELECT id FROM pictures WHERE content_hash = ?", (content_hash,))
        return int(row[0]) if row else None

    def pixel_hash(self, picture_id: int) -> bytes | None:
        """The hash of what a picture shows, None when there is no such picture."""
        row = self.read_one("SELECT pixel_hash FROM pictures WHERE id = ?", (picture_id,))
        return bytes(row[0]) if row else None

    def offline_prefixes(self) -> list[tuple[bytes, bool]]:
        """(path, offline) of every watched folder and known mount: the longest one above a path decides."""
        rows = self.read(
            "SELECT path, state = 'offline' FROM folders UNION ALL SELECT path, offline FROM mounts"
        )
        return [(row[0], bool(row[1])) for row in rows]

    def pictures(self, ids: Sequence[int]) -> dict[int, Picture]:
        """Pictures with their live paths, oldest row first; those without a live path are left out."""
        guards = self.offline_prefixes()
        any_offline = any(offline for _, offline in guards)
        wanted = json.dumps([int(i) for i in ids])
        found: dict[int, Picture] = {}
        for row in self.read(
            "SELECT p.id, content_hash, bytes, d.path, f.name, f.mtime_ns,"  # noqa: S608
            f" {_METADATA} FROM pictures p JOIN files f ON f.picture_id = p.id"
            " JOIN directories d ON d.id = f.directory_id"
            " WHERE p.id IN (SELECT value FROM json_each(?)) ORDER BY f.id",
            (wanted,),
        ):
            directory, name = bytes(row[3]), bytes(row[4])
            path = os.path.join(directory, name)
            if any_offline and is_offline(path, guards):
                continue
            picture = found.get(row[0])
            if picture is None:
                found[row[0]] = picture = Picture(
                    id=row[0],
                    content_hash=row[1],
                    bytes=row[2],
                    metadata=_metadata(row[6:]),
                    modified=row[5] / 1e9,
                )
            picture.paths.append(path)
            picture.times.append(row[5] / 1e9)
        if found:
            self._add_words(found, wanted)
        return found

    def _add_words(self, found: dict[int, Picture], wanted: str) -> None:
        """Fills in tags, own fields, the person's description and the category."""
        chosen = "(SELECT value FROM json_each(?))"
        tags: dict[int, list[str]] = {}
        for picture_id, tag in self.read(
            f"SELECT picture_id, tag FROM tags WHERE picture_id IN {chosen} ORDER BY tag",  # noqa: S608
            (wanted,),
        ):
            tags.setdefault(picture_id, []).append(tag)
        for picture_id, names in tags.items():
            if picture_id in found:
                found[picture_id].tags = tuple(names)
        for picture_id, key, value in self.read(
            f"SELECT picture_id, key, value FROM fields WHERE picture_id IN {chosen} ORDER BY key",  # noqa: S608
            (wanted,),
        ):
            if picture_id in found:
                found[picture_id].fields[key] = value
        for picture_id, label in self.read(
            "SELECT picture_id, label FROM categories JOIN labels l ON l.id = label_id"  # noqa: S608
            f" WHERE picture_id IN {chosen}",
            (wanted,),
        ):
            if picture_id in found:
                found[picture_id].category = label
        for picture_id, description, category in self.read(
            "SELECT picture_id, description, category FROM notes"  # noqa: S608
            f" WHERE picture_id IN {chosen}",
            (wanted,),
        ):
            if picture_id in found:
                picture = found[picture_id]
                picture.description = description
                picture.category = category or picture.category

    def purge_orphans(self, older_than: float, limit: int = 500) -> int:
        """Deletes orphans whose last file went before `older_than` (seconds since the epoch).

        What a person added to them is kept aside for a month.
        """
        with self.write() as connection:
            connection.execute("DELETE FROM keepsakes WHERE until < ?", (time.time(),))
            gone = [
                row[0]
                for row in connection.execute(
                    "SELECT id FROM pictures WHERE orphaned < ? LIMIT ?", (older_than, limit)
                )
            ]
            keys = json.dumps(gone)
            for content_hash, data in list(self.added_by_person(keys, connection)):
                self.keep(connection, content_hash, data)
            self._forget_added(connection, keys)
            for table, column in (
                ("vectors", "picture_id"),
                ("categories", "picture_id"),
                ("pictures", "id"),
            ):
                connection.execute(
                    f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))",  # noqa: S608
                    (keys,),
                )
        return len(gone)

    # -- parts of the pipeline's transaction (commit.py)

    def _put_vector(
        self, connection: apsw.Connection, picture_id: int, model_id: int, vector: Vectors
    ) -> bool:
        """Stores a vector of a picture that exists; False when it had one, which stays."""
        connection.execute(
            "INSERT INTO vectors (picture_id, model_id, vector)"
            " SELECT id, ?2, ?3 FROM pictures WHERE id = ?1"
            " ON CONFLICT (model_id, picture_id) DO NOTHING",
            (picture_id, model_id, vector.astype(np.float16).tobytes()),
        )
        return bool(connection.changes())

    def _insert_picture(
        self, connection: apsw.Connection, content_hash: bytes, size: int, metadata: Metadata
    ) -> int:
        self.reserve_ids(self._last_picture_id() + 1)
        connection.execute(
            f"INSERT INTO pictures (content_hash, bytes, {_METADATA})"  # noqa: S608
            f" VALUES ({', '.join('?' * 16)})",
            (content_hash, size, *_metadata_row(metadata)),
        )
        picture_id = connection.last_insert_rowid()
        self._bring_back(connection, picture_id, content_hash)
        return picture_id

    def _update_picture(
        self,
        connection: apsw.Connection,
        picture_id: int,
        content_hash: bytes,
        size: int,
        metadata: Metadata,
    ) -> None:
        columns = ", ".join(f"{name.strip()} = ?" for name in _METADATA.split(","))
        connection.execute(
            f"UPDATE pictures SET content_hash = ?, bytes = ?, {columns} WHERE id = ?",  # noqa: S608
            (content_hash, size, *_metadata_row(metadata), picture_id),
        )

    def put_placeholder(self, picture_id: int, placeholder: bytes) -> None:
        """Keeps what a grid shows of a picture first, where that is not known yet."""
        row = self.read_one("SELECT placeholder IS NULL FROM pictures WHERE id = ?", (picture_id,))
        if row is not None and row[0]:
            with self.write() as connection:
                self._put_placeholder(connection, picture_id, placeholder)

    def _put_placeholder(
        self, connection: apsw.Connection, picture_id: int, placeholder: bytes
    ) -> None:
        connection.execute(
            "UPDATE pictures SET placeholder = ? WHERE id = ? AND placeholder IS NULL",
            (placeholder, picture_id),
        )

    def _orphan_if_last(self, connection: apsw.Connection, picture_id: int) -> bool:
        connection.execute(
            "UPDATE pictures SET orphaned = ? WHERE id = ? AND orphaned IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM files WHERE picture_id = pictures.id)",
            (time.time(), picture_id),
        )
        return bool(connection.changes())

    def _revive(self, connection: apsw.Connection, picture_id: int) -> bool:
        connection.execute(
            "UPDATE pictures SET orphaned = NULL WHERE id = ? AND orphaned IS NOT NULL",
            (picture_id,),
        )
        return bool(connection.changes())


def is_offline(path: bytes, guards: list[tuple[bytes, bool]]) -> bool:
    """True when the longest guard (watched folder or mount) above the path is offline."""
    longest, answer = -1, False
    for prefix, offline in guards:
        if len(prefix) > longest and (
            path == prefix or path.startswith(prefix.rstrip(b"/") + b"/")
        ):
            longest, answer = len(prefix), offline
    return answer


def _of_one_row(row: Row | None) -> tuple[Ids, Vectors]:
    """The ids (n,) and vectors (n, dim) float32 that a question has put together in one row.

    For each row of its own the interpreter's lock would be given back and taken again, and who else
    waits for it changes threads each time; many small objects would leave holes in the heap as well.
    """
    if row is None or row[0] is None:
        return np.zeros(0, np.int64), np.zeros((0, 0), np.float32)
    ids = np.asarray(row[0].split(","), dtype=np.int64)
    return ids, np.frombuffer(row[1], np.float16).reshape(len(ids), -1).astype(np.float32)

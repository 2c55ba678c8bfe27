"""What a person added to pictures: tags, a description, own fields, a category of their choice.

It belongs to the content: it is kept aside when a picture goes and comes back with it, also on
another machine. In JSON, here and in exports and backups, it is an object with those of the keys
`tags` (list), `description`, `fields` (object of texts) and `category` that there is something for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw

from imgqd.errors import NotFoundError
from imgqd.library.database import Database

# "A deletion that is undone within a month" keeps what was added.
KEEP_ADDED_S = 31 * 86400.0

_ADDED_TO = (
    "SELECT picture_id FROM tags UNION SELECT picture_id FROM notes"
    " UNION SELECT picture_id FROM fields"
)


@dataclass(frozen=True, slots=True)
class Annotation:
    """A change of what was added. None leaves as it is; an empty text takes away."""

    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    description: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    category: str | None = None


class Added(Database):
    """What store.Store knows of additions."""

    def annotate(self, ids: Sequence[int], change: Annotation) -> list[int]:
        """Changes what was added to some pictures, all or none; returns those that are not as they
        were. Raises NotFoundError."""
        wanted = list(dict.fromkeys(ids))
        changed = []
        with self.write(durable=True) as connection:
            for picture_id in wanted:
                found = connection.execute(
                    "SELECT 1 FROM pictures WHERE id = ? AND orphaned IS NULL", (picture_id,)
                ).get
                if found is None:
                    raise NotFoundError(f"there is no picture {picture_id}; nothing was changed")
                before = _added(connection, picture_id)
                _annotate(connection, picture_id, change)
                if _added(connection, picture_id) != before:
                    changed.append(picture_id)
            if changed:
                self.bump(connection)
        return changed

    def tag_counts(self) -> dict[str, int]:
        """How many pictures have each tag, by tag."""
        rows = self.read(
            "SELECT tag, count(*) FROM tags JOIN pictures p ON p.id = picture_id"
            " WHERE orphaned IS NULL GROUP BY tag ORDER BY tag"
        )
        return {tag: count for tag, count in rows}

    # -- the whole of it, by content

    def added_by_person(
        self, keys: str | None = None, connection: apsw.Connection | None = None
    ) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """(content hash, what was added) of pictures to which something was added.

        `keys` is a JSON list of picture ids; None means all.
        """
        source = connection or self.reader()
        rows = source.execute(
            "SELECT p.id, content_hash FROM pictures p WHERE p.id IN"  # noqa: S608
            f" ({_ADDED_TO}) AND (?1 IS NULL OR p.id IN (SELECT value FROM json_each(?1)))"
            " ORDER BY content_hash",
            (keys,),
        )
        for picture_id, content_hash in list(rows):
            if data := _added(source, picture_id):
                yield bytes(content_hash), data

    def exported(self, after: bytes, limit: int) -> list[tuple[bytes, dict[str, Any]]]:
        """What was added, keepsakes included, by content hash beyond `after`, `limit` at most."""
        source = self.reader()
        rows = source.execute(
            "SELECT content_hash, id, NULL FROM pictures WHERE content_hash > ?1"  # noqa: S608
            f" AND id IN ({_ADDED_TO}) UNION ALL"
            " SELECT content_hash, NULL, data FROM keepsakes WHERE content_hash > ?1"
            " ORDER BY 1 LIMIT ?2",
            (after, limit),
        )
        return [
            (bytes(row[0]), json.loads(row[2]) if row[1] is None else _added(source, row[1]))
            for row in list(rows)
        ]

    def imported(self, records: Iterable[tuple[bytes, dict[str, Any]]]) -> tuple[int, int]:
        """Adds what was exported; what a record says wins, other tags and fields stay.

        Returns how many contents are here, and how many are kept until they come.
        """
        here = kept = 0
        with self.write(durable=True) as connection:
            for content_hash, data in records:
                picture_id = connection.execute(
                    "SELECT id FROM pictures WHERE content_hash = ?", (content_hash,)
                ).get
                if picture_id is not None:
                    _put(connection, picture_id, data, replace=True)
                    here += 1
                    continue
                before = connection.execute(
                    "SELECT data FROM keepsakes WHERE content_hash = ?", (content_hash,)
                ).get
                self.keep(connection, content_hash, _united(json.loads(before or "{}"), data))
                kept += 1
            self.bump(connection)
        return here, kept

    def keep(self, connection: apsw.Connection, content_hash: bytes, data: dict[str, Any]) -> None:
        """Sets aside what a person added, until the content is seen again."""
        connection.execute(
            "INSERT OR REPLACE INTO keepsakes VALUES (?, ?, ?)",
            (content_hash, json.dumps(data), time.time() + KEEP_ADDED_S),
        )

    # -- parts of other transactions

    def _bring_back(
        self, connection: apsw.Connection, picture_id: int, content_hash: bytes
    ) -> None:
        """Gives a picture that is seen again what a person once added to its content."""
        kept = connection.execute(
            "SELECT data FROM keepsakes WHERE content_hash = ?", (content_hash,)
        ).get
        if kept is not None:
            _put(connection, picture_id, json.loads(kept), replace=False)
            connection.execute("DELETE FROM keepsakes WHERE content_hash = ?", (content_hash,))

    def _copy_added(self, connection: apsw.Connection, source: int, target: int) -> None:
        """Gives one picture what was added to another; what it has already stays."""
        _put(connection, target, _added(connection, source), replace=False)

    def _forget_added(self, connection: apsw.Connection, keys: str) -> None:
        """Deletes what was added to some pictures (a JSON list of ids)."""
        for table in ("tags", "notes", "fields"):
            connection.execute(
                f"DELETE FROM {table} WHERE picture_id IN (SELECT value FROM json_each(?))",  # noqa: S608
                (keys,),
            )


def _annotate(connection: apsw.Connection, picture_id: int, change: Annotation) -> None:
    connection.executemany(
        "DELETE FROM tags WHERE picture_id = ? AND tag = ?",
        [(picture_id, tag) for tag in change.remove_tags],
    )
    connection.executemany(
        "INSERT OR IGNORE INTO tags VALUES (?, ?)", [(picture_id, tag) for tag in change.add_tags]
    )
    for key, value in change.fields.items():
        if value:
            _put_field(connection, picture_id, key, value)
        else:
            connection.execute(
                "DELETE FROM fields WHERE picture_id = ? AND key = ?", (picture_id, key)
            )
    for column, text in (("description", change.description), ("category", change.category)):
        if text is not None:
            _put_note(connection, picture_id, column, text or None)
    connection.execute(
        "DELETE FROM notes WHERE picture_id = ? AND description IS NULL AND category IS NULL",
        (picture_id,),
    )


def _put_field(connection: apsw.Connection, picture_id: int, key: str, value: str) -> None:
    connection.execute(
        "INSERT INTO fields VALUES (?, ?, ?)"
        " ON CONFLICT (picture_id, key) DO UPDATE SET value = excluded.value",
        (picture_id, key, value),
    )


def _put_note(connection: apsw.Connection, picture_id: int, column: str, value: str | None) -> None:
    connection.execute(
        f"INSERT INTO notes (picture_id, {column}) VALUES (?, ?)"  # noqa: S608 - two fixed names
        f" ON CONFLICT (picture_id) DO UPDATE SET {column} = excluded.{column}",
        (picture_id, value),
    )


def _added(connection: apsw.Connection, picture_id: int) -> dict[str, Any]:
    rows = connection.execute(
        "SELECT (SELECT json_group_array(tag ORDER BY tag) FROM tags WHERE picture_id = ?1),"
        " (SELECT description FROM notes WHERE picture_id = ?1),"
        " (SELECT json_group_object(key, value) FROM fields WHERE picture_id = ?1),"
        " (SELECT category FROM notes WHERE picture_id = ?1)",
        (picture_id,),
    )
    tags, description, fields, category = next(iter(rows))
    data = {
        "tags": json.loads(tags),
        "description": description,
        "fields": json.loads(fields),
        "category": category,
    }
    return {key: value for key, value in data.items() if value}


def _put(
    connection: apsw.Connection, picture_id: int, data: dict[str, Any], *, replace: bool
) -> None:
    if not replace:
        data = _united(data, _added(connection, picture_id))
    _annotate(
        connection,
        picture_id,
        Annotation(
            add_tags=tuple(data.get("tags", ())),
            description=data.get("description"),
            fields=data.get("fields", {}),
            category=data.get("category"),
        ),
    )


def _united(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Both; where they differ, what the second says."""
    data = {**first, **second}
    if tags := sorted({*first.get("tags", ()), *second.get("tags", ())}):
        data["tags"] = tags
    if fields := {**first.get("fields", {}), **second.get("fields", {})}:
        data["fields"] = fields
    return data

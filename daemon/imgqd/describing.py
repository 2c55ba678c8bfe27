"""What is said of pictures, as the API asks for it: changes by a person, exports.

A part of operations.py. What is stored is library/added.py's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from imgqd.errors import UsageError
from imgqd.library.added import Annotation
from imgqd.library.store import Store

if TYPE_CHECKING:
    from imgqd.daemon import Daemon

EXPORT_PAGE = 500
MOST_TAG, MOST_KEY, MOST_VALUE, MOST_DESCRIPTION = 200, 100, 4096, 10_000
# What takes a person's category back, so that the computed one holds again.
AUTO = "auto"
# No blank at either end and no control characters: what cannot be seen cannot be typed again.
_LINE = re.compile(r"[^\s\x00-\x1f\x7f-\x9f](?:[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?\Z")


class Describing:
    """The part of Operations that says something of pictures; thread-safe."""

    _daemon: Daemon
    _store: Store

    def annotate(self, request: dict[str, Any]) -> dict[str, Any]:
        """Changes what a person says of pictures (see the API's AnnotateRequest)."""
        fields = {item["key"]: item["value"] for item in request.get("fields", ())}
        change = _checked(
            add_tags=request.get("add_tags", ()),
            remove_tags=request.get("remove_tags", ()),
            description=request.get("description"),
            fields=fields,
            category=request.get("category"),
        )
        ids = list(dict.fromkeys(request["ids"]))
        changed = self._store.annotate(ids, change)
        pictures = self._store.pictures(changed)
        for picture_id in changed:
            picture = pictures.get(picture_id)
            path = picture.paths[0] if picture else None
            self._daemon.events.publish("picture-changed", {"id": picture_id, "path": path})
        return {"changed": len(changed), "generation": self._store.generation}

    def export(self, after: bytes) -> dict[str, Any]:
        """A page of what persons said, by content hash beyond `after`."""
        page = self._store.exported(after, EXPORT_PAGE)
        records = []
        for content_hash, data in page:
            record = {"content_hash": content_hash.hex(), **data}
            number = self._store.picture_by_content(content_hash)
            if number is not None and (known := self._store.pictures([number]).get(number)):
                record["path"] = known.paths[0]
            records.append(record)
        last = page[-1][0].hex() if len(page) == EXPORT_PAGE else None
        return {"records": records, "next": last}

    def import_records(self, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Takes in records of an export; all or none."""
        wanted = []
        for number, record in enumerate(records, start=1):
            fields = record.get("fields", {})
            if not all(isinstance(value, str) for value in fields.values()):
                raise UsageError(f"record {number}: the values of fields are texts")
            try:
                change = _checked(
                    add_tags=record.get("tags", ()),
                    remove_tags=(),
                    description=record.get("description"),
                    fields=fields,
                    category=record.get("category"),
                )
            except UsageError as error:
                raise UsageError(f"record {number}: {error.message}") from None
            data = {
                "tags": list(change.add_tags),
                "description": change.description,
                "fields": dict(change.fields),
                "category": change.category,
            }
            content_hash = bytes.fromhex(record["content_hash"])
            wanted.append((content_hash, {key: value for key, value in data.items() if value}))
        here, kept = self._store.imported(wanted)
        return {"here": here, "kept": kept}


def _checked(
    *,
    add_tags: Sequence[str],
    remove_tags: Sequence[str],
    description: str | None,
    fields: dict[str, str],
    category: str | None,
) -> Annotation:
    """The change, when all of it can be kept and typed again. Raises UsageError."""
    for tag in add_tags:
        check_word(tag, "a tag", MOST_TAG)
    for key, value in fields.items():
        check_word(key, "the key of a field", MOST_KEY)
        if "=" in key:
            raise UsageError(f"the key of a field has no '=' in it: {key!r}")
        if value:
            check_word(value, f"the value of {key}", MOST_VALUE)
    if category:
        check_word(category, "a category", MOST_TAG)
    if description is not None:
        if len(description) > MOST_DESCRIPTION:
            raise UsageError(f"a description has at most {MOST_DESCRIPTION:,} characters")
        if any((c < " " and c not in "\n\t") or "\x7f" <= c < "\xa0" for c in description):
            raise UsageError("a description has no control characters")
        description = description.strip()
    return Annotation(
        add_tags=tuple(add_tags),
        remove_tags=tuple(remove_tags),
        description=description,
        fields=fields,
        category="" if category == AUTO else category,
    )


def check_word(text: str, what: str, most: int) -> None:
    """Raises UsageError for a text that cannot be typed again as it is, or is too long."""
    if len(text) > most:
        raise UsageError(f"{what} has at most {most:,} characters, not {len(text):,}")
    if not _LINE.match(text):
        raise UsageError(
            f"{what} is one line without blanks at its ends or control characters, not {text!r}"
        )

"""Turns what a decoder process says into records, or into MalformedError.

Every type, range and length is checked: a process that has looked at hostile bytes may say anything.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from imgqd.indexing import decode_protocol as protocol
from imgqd.indexing import formats
from imgqd.indexing.decode_protocol import MalformedError
from imgqd.records import PLACEHOLDER_BYTES, Metadata

_EPOCH = datetime.datetime(1970, 1, 1)
_YEAR_1800, _YEAR_9999 = -5_364_662_400, 253_402_214_400


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What an XMP sidecar says of its picture; fields as in records.Metadata."""

    taken: float | None = None
    taken_offset: int | None = None
    camera: str | None = None
    lens: str | None = None
    gps: tuple[float, float] | None = None
    title: str | None = None
    description: str | None = None
    keywords: tuple[str, ...] = ()
    rating: int | None = None


def read_metadata(header: protocol.Fields, hash_bytes: int = protocol.HASH_BYTES) -> Metadata:
    """The Metadata in an answer, with a pixel hash of so many bytes. Raises MalformedError."""
    facts = _facts(header)
    word = protocol.text(facts, "format", 16)
    if word not in formats.FORMATS:
        raise MalformedError("a format that does not exist")
    try:
        pixel_hash = bytes.fromhex(protocol.text(facts, "pixel_hash", 2 * hash_bytes))
    except ValueError as error:
        raise MalformedError("pixel_hash is not hexadecimal") from error
    if len(pixel_hash) != hash_bytes:
        raise MalformedError(f"pixel_hash is not {hash_bytes} bytes")
    return Metadata(
        width=protocol.integer(facts, "width", 1, protocol.MAX_SIDE),
        height=protocol.integer(facts, "height", 1, protocol.MAX_SIDE),
        format=word,
        pixel_hash=pixel_hash,
        **_described(facts),
    )


def read_placeholder(header: protocol.Fields) -> bytes:
    """The placeholder in an answer. Raises MalformedError."""
    try:
        cells = bytes.fromhex(protocol.text(header, "placeholder", 2 * PLACEHOLDER_BYTES))
    except ValueError as error:
        raise MalformedError("placeholder is not hexadecimal") from error
    if len(cells) != PLACEHOLDER_BYTES:
        raise MalformedError(f"placeholder is not {PLACEHOLDER_BYTES} bytes")
    return cells


def read_sidecar(header: protocol.Fields) -> Sidecar:
    """The Sidecar in an answer. Raises MalformedError."""
    return Sidecar(**_described(_facts(header)))


def _facts(header: protocol.Fields) -> protocol.Fields:
    facts = header.get("facts")
    if not isinstance(facts, dict):
        raise MalformedError("no facts")
    return facts


def _described(facts: protocol.Fields) -> dict[str, Any]:
    latitude = protocol.optional_number(facts, "latitude", -90, 90)
    longitude = protocol.optional_number(facts, "longitude", -180, 180)
    offset = protocol.optional_integer(facts, "taken_offset", -14 * 60, 14 * 60)
    local = protocol.optional_number(facts, "taken_local", _YEAR_1800, _YEAR_9999)
    return {
        "taken": None if local is None else _instant(local, offset),
        "taken_offset": None if local is None else offset,
        "camera": protocol.optional_text(facts, "camera"),
        "lens": protocol.optional_text(facts, "lens"),
        "gps": None if latitude is None or longitude is None else (latitude, longitude),
        "title": protocol.optional_text(facts, "title"),
        "description": protocol.optional_text(facts, "description"),
        "keywords": protocol.texts(facts, "keywords", protocol.MAX_KEYWORDS, protocol.MAX_KEYWORD),
        "rating": protocol.optional_integer(facts, "rating", -1, 5),
    }


def _instant(local: float, offset: int | None) -> float | None:
    """Seconds since the epoch of a wall clock's time; without an offset, of a clock where we are."""
    if offset is not None:
        return local - offset * 60
    try:
        return (_EPOCH + datetime.timedelta(seconds=local)).timestamp()
    except (OverflowError, ValueError, OSError):
        return None  # before what this platform's time zone rules can tell

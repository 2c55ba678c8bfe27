"""How the daemon and its decoder processes talk: length-prefixed JSON and raw bytes.

Both ends use it. It imports nothing but the standard library (a decoder process must stay small)
and treats every answer as hostile: sizes are checked before anything is read, JSON is the only
notation, and a value of the wrong type or range raises MalformedError.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any

HEADER = struct.Struct(">II")  # length of the JSON header, length of the body
MAX_HEADER = 128 * 1024
MAX_REQUEST = 8 * 1024
MAX_TEXT = 4096
MAX_KEYWORDS = 256
MAX_KEYWORD = 256
MAX_SIDE = 1_000_000
# Of a pixel hash (fingerprint.py), and of those in libraries from before.
HASH_BYTES = 20
EARLIER_HASH_BYTES = 16
REASONS = frozenset(
    {"corrupt", "too-large", "too-small", "timeout", "crashed", "unsupported", "unreadable"}
    | {"memory"}
)
Fields = dict[str, Any]


class MalformedError(Exception):
    """What came over the channel is not what a decoder of ours would say."""


def pack(header: Fields, body_length: int = 0) -> bytes:
    """The frame's beginning: lengths and JSON header; the body follows it."""
    text = json.dumps(header, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return HEADER.pack(len(text), body_length) + text


def parse(text: bytes) -> Fields:
    """A JSON object. Raises MalformedError for anything else, NaN and deep nesting included."""
    try:
        value = json.loads(text.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise MalformedError("not JSON") from error
    if not isinstance(value, dict):
        raise MalformedError("not a JSON object")
    return value


def _refuse(word: str) -> None:
    raise ValueError(word)


def integer(fields: Fields, key: str, low: int, high: int) -> int:
    """The whole number under `key`, within low..high."""
    value = fields.get(key)
    if type(value) is not int or not low <= value <= high:
        raise MalformedError(f"{key} is not a whole number within {low}..{high}")
    return value


def optional_integer(fields: Fields, key: str, low: int, high: int) -> int | None:
    return None if fields.get(key) is None else integer(fields, key, low, high)


def optional_number(fields: Fields, key: str, low: float, high: float) -> float | None:
    value = fields.get(key)
    if value is None:
        return None
    if type(value) not in (int, float) or not math.isfinite(value) or not low <= value <= high:
        raise MalformedError(f"{key} is not a number within {low}..{high}")
    return float(value)


def text(fields: Fields, key: str, limit: int = MAX_TEXT) -> str:
    """The text under `key`: at most `limit` characters, encodable as UTF-8, without NUL."""
    return _checked(fields.get(key), key, limit)


def optional_text(fields: Fields, key: str, limit: int = MAX_TEXT) -> str | None:
    return None if fields.get(key) is None else text(fields, key, limit)


def texts(fields: Fields, key: str, count: int, limit: int) -> tuple[str, ...]:
    values = fields.get(key, [])
    if not isinstance(values, list) or len(values) > count:
        raise MalformedError(f"{key} is not a list of at most {count}")
    return tuple(_checked(value, key, limit) for value in values)


def _checked(value: object, key: str, limit: int) -> str:
    if not isinstance(value, str) or len(value) > limit or "\x00" in value:
        raise MalformedError(f"{key} is not a text of at most {limit} characters")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:  # lone surrogates would poison the database
        raise MalformedError(f"{key} is not valid Unicode") from error
    return value

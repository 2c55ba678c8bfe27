"""JSON in and out: bodies that cannot hurt, and paths that need not be text.

Reading refuses what no honest client sends (depth, numbers that are none, a million values) before
or while parsing it. What the values mean is for schema.py and the daemon.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import math
import os
import re
import secrets
from collections.abc import Iterator
from typing import Any

from imgqd.errors import UsageError

# Far above any request (1000 terms of 4 values each), far below what would stall the daemon: the
# count is made on the raw bytes, where it costs a hundredth of parsing them.
VALUE_LIMIT = 20_000
DEPTH_LIMIT = 32
# Texts longer than this are examples in base64; they need no parsing.
LONG_TEXT = 65_536
REST_LIMIT = 4_000_000
ESCAPES_LIMIT = 64
# A look at a large body goes in such pieces: between them other threads may run.
PIECE = 1 << 20

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_json(body: bytes | bytearray) -> Any:
    """The value in `body`; an empty one is an empty object. Raises UsageError saying what is wrong.

    A body of 100 MB that holds an example in base64 costs a few dozen milliseconds, in pieces short
    enough that other threads go on meanwhile.
    """
    if len(body) < 64 and not body.strip():
        return {}
    held: dict[str, str] = {}
    # Each value has at most a name and a text: four quotes.
    _limit(_count(body, b'"') // 4)
    if len(body) > LONG_TEXT:
        body = _hold_long_texts(body, held)
    if len(body) > REST_LIMIT:
        raise UsageError(
            f"the request has more than {REST_LIMIT} bytes beside its examples, which are base64 "
            "without escapes; ask for less at once"
        )
    _limit(body.count(b",") + body.count(b"[") + body.count(b"{"))
    try:
        value = json.loads(body, parse_constant=_no_constant, parse_float=_finite)
        if _too_deep(value, DEPTH_LIMIT):
            raise RecursionError
        if _SURROGATE.search(body):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise UsageError(f"the request is nested deeper than {DEPTH_LIMIT} levels") from None
    except UnicodeError:
        raise UsageError("the request is not valid Unicode text (JSON is sent as UTF-8)") from None
    except ValueError as error:
        raise UsageError(f"the request is not valid JSON: {error}") from None
    return _give_back(value, held) if held else value


def _limit(values: int) -> None:
    if values > VALUE_LIMIT:
        raise UsageError(f"the request has more than {VALUE_LIMIT} values; ask for less at once")


def _count(body: bytes | bytearray, byte: bytes) -> int:
    return sum(body.count(byte, at, at + PIECE) for at in range(0, len(body), PIECE))


def _hold_long_texts(body: bytes | bytearray, held: dict[str, str]) -> bytes:
    """`body` with every long plain text replaced by a short one that is a key of `held`.

    Only ASCII texts without escapes are held: they mean what they say. (A line break inside, which
    JSON forbids, is let pass in them.) What is no JSON is left for the parser to say so.
    """
    mark = secrets.token_hex(16)
    parts: list[bytes | bytearray] = []
    taken = 0
    for start, end in _texts(body):
        if end - start > LONG_TEXT and body.find(b"\\", start, end) < 0:
            with memoryview(body)[start + 1 : end] as text, contextlib.suppress(UnicodeDecodeError):
                key = f"{mark}{len(held)}"
                held[key] = str(text, "ascii")
                parts += (body[taken:start], f'"{key}"'.encode())
                taken = end + 1
    parts.append(body[taken:])
    return b"".join(parts)


def _texts(body: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Where the quotes of each text are, as far as a bounded number of looks goes."""
    end = -1
    start = None
    for _ in range(VALUE_LIMIT * 4):
        end = body.find(b'"', end + 1)
        if end < 0:
            return
        if start is None:
            start = end
            continue
        before = body[max(end - ESCAPES_LIMIT, 0) : end]
        escapes = len(before) - len(before.rstrip(b"\\"))
        if escapes == ESCAPES_LIMIT:
            return
        if escapes % 2 == 0:
            yield start, end
            start = None


def _give_back(value: Any, held: dict[str, str]) -> Any:
    if isinstance(value, str):
        return held.get(value, value)
    if isinstance(value, dict):
        return {held.get(key, key): _give_back(item, held) for key, item in value.items()}
    if isinstance(value, list):
        return [_give_back(item, held) for item in value]
    return value


_AS_IT_IS = frozenset((str, int, bool, type(None)))


def jsonable(value: Any) -> Any:
    """A copy of `value` in which every path (bytes) is text.

    A key whose path is not valid UTF-8 gets a sibling `KEY_b64` with the exact bytes; such a path
    in a list becomes `{"path": TEXT, "path_b64": BASE64}`.
    """
    if isinstance(value, dict):
        result: dict[str, Any] = {}
        for key, item in value.items():
            # Most of an answer: a call for each would be a tenth of what a question costs here.
            if type(item) in _AS_IT_IS:
                result[key] = item
                continue
            result[key] = _text(item) if isinstance(item, bytes) else jsonable(item)
            if isinstance(item, bytes) and not _is_text(item):
                result[f"{key}_b64"] = _base64(item)
        return result
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, bytes):
        if _is_text(value):
            return _text(value)
        return {"path": _text(value), "path_b64": _base64(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(value: Any) -> bytes:
    """`value` (see jsonable) as UTF-8 JSON text."""
    return json.dumps(jsonable(value), ensure_ascii=False, allow_nan=False).encode(
        "utf-8", "replace"
    )


def parse_path(item: str | dict[str, str], where: str) -> bytes:
    """A path from a request: text, or {"path": TEXT} / {"path_b64": BASE64}. Raises UsageError."""
    if isinstance(item, str):
        path = os.fsencode(item)
    elif "path_b64" in item:
        try:
            path = base64.b64decode(item["path_b64"], validate=True)
        except (binascii.Error, ValueError):
            raise UsageError(f"{where}: path_b64 is not base64") from None
    else:
        path = os.fsencode(item.get("path", ""))
    if not path or b"\0" in path:
        raise UsageError(f"{where}: a path is neither empty nor has it NUL bytes")
    if not os.path.isabs(path):
        shown = path.decode("utf-8", "replace")
        raise UsageError(f"{where}: {shown!r} is not an absolute path; send it from the root on")
    return os.path.normpath(path)


def show_path(path: bytes | str) -> str:
    """A path for people: one line, whatever bytes the name has."""
    text = path.decode("utf-8", "replace") if isinstance(path, bytes) else path
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _is_text(path: bytes) -> bool:
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _text(path: bytes) -> str:
    return path.decode("utf-8", "replace")


def _base64(path: bytes) -> str:
    return base64.b64encode(path).decode("ascii")


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not a number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is not a finite number")
    return number


def _too_deep(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        return levels == 0 or any(_too_deep(item, levels - 1) for item in value.values())
    if isinstance(value, list):
        return levels == 0 or any(_too_deep(item, levels - 1) for item in value)
    return False

"""JSON in and out: bodies that cannot hurt, and paths that need not be text.

Reading refuses what no honest client sends (depth, numbers that are none, a million values) before
or while parsing it. What the values mean is for schema.py and the daemon.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import os
import re
from typing import Any

from imgqd.errors import UsageError

# Far above any request (1000 terms of 4 values each), far below what would stall the daemon: the
# count is made on the raw bytes, where it costs a hundredth of parsing them.
VALUE_LIMIT = 20_000
DEPTH_LIMIT = 32

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_json(body: bytes) -> Any:
    """The value in `body`; an empty body is an empty object. Raises UsageError saying what is wrong."""
    if not body.strip():
        return {}
    count = body.count(b",") + body.count(b"[") + body.count(b"{")
    if count > VALUE_LIMIT:
        raise UsageError(f"the request has more than {VALUE_LIMIT} values; ask for less at once")
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
    return value


def jsonable(value: Any) -> Any:
    """A copy of `value` in which every path (bytes) is text.

    A key whose path is not valid UTF-8 gets a sibling `KEY_b64` with the exact bytes; such a path
    in a list becomes `{"path": TEXT, "path_b64": BASE64}`.
    """
    if isinstance(value, dict):
        result: dict[str, Any] = {}
        for key, item in value.items():
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

"""JSON for the client's own messages, without importing `json`, whose use of `re` costs 5 ms.

`loads` drives the C scanner that `json` itself uses; where an interpreter has none, `json` does
the work. `dumps` knows the plain types of a request and nothing else.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

try:
    from _json import encode_basestring_ascii, make_scanner
except ImportError:  # an interpreter without CPython's accelerator
    make_scanner = None  # type: ignore[assignment,misc]


class _Context:
    """The attributes that the scanner reads from a `json.JSONDecoder`."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float

    def __init__(self) -> None:
        self.memo: dict[str, str] = {}


def loads(data: bytes) -> Any:
    """Reads one UTF-8 JSON document. Raises ValueError for anything else."""
    text = data.decode("utf-8")
    if make_scanner is None:
        import json

        return json.loads(text)
    scan: Callable[[str, int], tuple[Any, int]] = make_scanner(_Context())  # type: ignore[arg-type]
    text = text.strip(" \t\r\n")
    try:
        value, end = scan(text, 0)
    except (StopIteration, RecursionError):
        raise ValueError("this is not JSON") from None
    if end != len(text):
        raise ValueError("there is more than one JSON document")
    return value


def dumps(value: object) -> str:
    """Writes None, bool, int, finite float, str, list, tuple and dict with str keys, as ASCII.

    Raises ValueError for a number that JSON cannot hold, TypeError for other types.
    """
    if make_scanner is None:
        import json

        return json.dumps(value, allow_nan=False)
    parts: list[str] = []
    _write(value, parts.append)
    return "".join(parts)


def _write(value: object, put: Callable[[str], object]) -> None:
    if isinstance(value, str):
        put(encode_basestring_ascii(value))
    elif value is None:
        put("null")
    elif isinstance(value, bool):
        put("true" if value else "false")
    elif isinstance(value, int):
        put(int.__repr__(value))
    elif isinstance(value, float):
        if value - value != 0.0:
            raise ValueError(f"{value} cannot be written as JSON")
        put(float.__repr__(value))
    elif isinstance(value, dict):
        separator = "{"
        for key, item in value.items():
            put(separator)
            put(encode_basestring_ascii(key))
            put(": ")
            _write(item, put)
            separator = ", "
        put("}" if value else "{}")
    elif isinstance(value, list | tuple):
        separator = "["
        for item in value:
            put(separator)
            _write(item, put)
            separator = ", "
        put("]" if value else "[]")
    else:
        raise TypeError(f"{type(value).__name__} cannot be written as JSON")

"""Checks a request against its JSON Schema, with messages for people.

The schemas are those of the OpenAPI document, so what is promised and what is checked cannot
differ. Only the keywords that the document's requests use are known: an unknown one is an error
when a schema is checked, never silently ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from imgqd.errors import UsageError

Schema = Mapping[str, Any]

ANNOTATIONS = frozenset({"title", "description", "default", "examples", "contentEncoding"})


def check(value: Any, schema: Schema, components: Mapping[str, Schema], where: str = "") -> None:
    """Raises UsageError that names the first part of `value` that `schema` does not allow."""
    if problem := _problem(value, schema, components, where):
        raise UsageError(problem)


def _problem(
    value: Any, schema: Schema, components: Mapping[str, Schema], where: str
) -> str | None:
    for keyword, wanted in schema.items():
        if keyword in ANNOTATIONS:
            continue
        if keyword == "$ref":
            found = _problem(value, components[wanted.rpartition("/")[2]], components, where)
        elif keyword in ("oneOf", "anyOf"):
            found = _alternatives(value, schema, components, where, keyword)
        elif keyword in ("properties", "additionalProperties", "required"):
            found = _object(value, schema, components, where)
        elif keyword == "items":
            found = _items(value, wanted, components, where)
        else:
            found = _SIMPLE[keyword](value, wanted, where or "the request")
        if found:
            return found
    return None


def _alternatives(
    value: Any, schema: Schema, components: Mapping[str, Schema], where: str, keyword: str
) -> str | None:
    branches = schema[keyword]
    problems = [_problem(value, branch, components, where) for branch in branches]
    fitting = problems.count(None)
    if fitting == 1 or (fitting and keyword == "anyOf"):
        return None
    names = [name for branch in branches for name in branch.get("required", ())]
    if len(names) == len(branches) and isinstance(value, dict):
        how = "exactly one" if keyword == "oneOf" else "at least one"
        return f"{where or 'the request'}: give {how} of {', '.join(names)}"
    return next(problem for problem in problems if problem)


def _object(value: Any, schema: Schema, components: Mapping[str, Schema], where: str) -> str | None:
    if not isinstance(value, dict):
        return None
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            return f"{_inside(where, name)} is missing"
    for name, item in value.items():
        if name in properties:
            if found := _problem(item, properties[name], components, _inside(where, name)):
                return found
        elif schema.get("additionalProperties") is False:
            known = ", ".join(properties) or "nothing"
            return f"{_inside(where, name[:50])} is not known here; what is known: {known}"
    return None


def _items(value: Any, schema: Schema, components: Mapping[str, Schema], where: str) -> str | None:
    if not isinstance(value, list):
        return None
    for index, item in enumerate(value):
        if found := _problem(item, schema, components, f"{where}[{index}]"):
            return found
    return None


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


_TYPES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "object": ("an object", lambda value: isinstance(value, dict)),
    "array": ("a list", lambda value: isinstance(value, list)),
    "string": ("a text", lambda value: isinstance(value, str)),
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "integer": ("a whole number", lambda v: isinstance(v, int) and not isinstance(v, bool)),
    "number": ("a number", lambda v: isinstance(v, int | float) and not isinstance(v, bool)),
}


def _type(value: Any, wanted: str, where: str) -> str | None:
    words, fits = _TYPES[wanted]
    return None if fits(value) else f"{where} must be {words}"


def _enum(value: Any, wanted: list[Any], where: str) -> str | None:
    return None if value in wanted else f"{where} must be one of {', '.join(map(str, wanted))}"


def _minimum(value: Any, wanted: float, where: str) -> str | None:
    return f"{where} must be at least {wanted}" if _is_number(value) and value < wanted else None


def _maximum(value: Any, wanted: float, where: str) -> str | None:
    return f"{where} must be at most {wanted}" if _is_number(value) and value > wanted else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _min_length(value: Any, wanted: int, where: str) -> str | None:
    if isinstance(value, str) and len(value) < wanted:
        return f"{where} must not be empty" if wanted == 1 else f"{where} is too short"
    return None


def _max_length(value: Any, wanted: int, where: str) -> str | None:
    if isinstance(value, str) and len(value) > wanted:
        return f"{where} has {len(value)} characters; at most {wanted} are allowed"
    return None


def _min_items(value: Any, wanted: int, where: str) -> str | None:
    if isinstance(value, list) and len(value) < wanted:
        return f"{where} needs at least {wanted} of them"
    return None


def _max_items(value: Any, wanted: int, where: str) -> str | None:
    if isinstance(value, list) and len(value) > wanted:
        return f"{where} has {len(value)} of them; at most {wanted} are allowed"
    return None


def _pattern(value: Any, wanted: str, where: str) -> str | None:
    if isinstance(value, str) and not re.search(wanted, value):
        return f"{where} does not have the right form ({wanted})"
    return None


_SIMPLE: Mapping[str, Callable[[Any, Any, str], str | None]] = {
    "type": _type,
    "enum": _enum,
    "minimum": _minimum,
    "maximum": _maximum,
    "minLength": _min_length,
    "maxLength": _max_length,
    "minItems": _min_items,
    "maxItems": _max_items,
    "pattern": _pattern,
}

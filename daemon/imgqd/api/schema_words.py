"""The words that JSON Schemas of this API are written in: short functions for what occurs again."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

ID_MAX = 2**63 - 1


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def text(description: str = "", **more: Any) -> Schema:
    return {"type": "string", **({"description": description} if description else {}), **more}


def number(description: str = "", **more: Any) -> Schema:
    return {"type": "number", **({"description": description} if description else {}), **more}


def integer(description: str = "", **more: Any) -> Schema:
    return {"type": "integer", **({"description": description} if description else {}), **more}


def boolean(description: str = "", **more: Any) -> Schema:
    return {"type": "boolean", **({"description": description} if description else {}), **more}


def listed(items: Schema, description: str = "", **more: Any) -> Schema:
    described = {"description": description} if description else {}
    return {"type": "array", "items": items, **described, **more}


def nullable(kind: str, description: str = "") -> Schema:
    return {"type": [kind, "null"], **({"description": description} if description else {})}


def path_item() -> Schema:
    """A path in a list: text, or an object where it is not valid UTF-8."""
    exact = answer({"path": text(), "path_b64": text("the exact bytes")})
    return {"anyOf": [text(), exact]}


def request(properties: Schema, required: tuple[str, ...] = (), **more: Any) -> Schema:
    closed = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**closed, **({"required": list(required)} if required else {}), **more}


def answer(required: Schema, optional: Schema | None = None, **more: Any) -> Schema:
    """An object in which all of `required` are present; others may be added."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required), **more}

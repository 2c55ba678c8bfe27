"""Answers as HTTP responses: JSON that is not stored, and errors in the form of all errors."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from imgqd.api.guard import error_body
from imgqd.api.jsontext import write_json


def json_reply(value: Any, status: int = 200) -> web.Response:
    """`value` (see jsontext.jsonable) as the body."""
    return _reply(write_json(value), status)


def error_reply(status: int, code: str, message: str) -> web.Response:
    """The error object of every route."""
    return _reply(error_body(code, message), status)


def _reply(body: bytes, status: int) -> web.Response:
    return web.Response(
        body=body,
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )

"""What is read of a request beside its body: ids, numbers, and where it came from."""

from __future__ import annotations

from aiohttp import web

from imgqd.api.guard import GuardedHandler
from imgqd.api.schemas import ID_MAX
from imgqd.errors import NotFoundError, UsageError

SIDES = (16, 2048)


def is_remote(request: web.Request) -> bool:
    """True over TCP."""
    connection = request.protocol
    return isinstance(connection, GuardedHandler) and connection.gate.remote


def picture_id(request: web.Request) -> int:
    """The id in the path. Raises NotFoundError for what is none."""
    digits = request.match_info["id"]
    if not (digits.isascii() and digits.isdigit() and 0 < len(digits) < 20):
        raise NotFoundError("there is no such picture; its id is a whole number")
    number = int(digits)
    if number > ID_MAX:
        raise NotFoundError(f"there is no picture {number}")
    return number


def side(request: web.Request) -> int:
    """The pixels of `side`. Raises UsageError."""
    digits = request.query.get("side", "256")
    least, most = SIDES
    if not (digits.isascii() and digits.isdigit() and least <= int(digits[:9]) <= most):
        raise UsageError(f"side must be a whole number of pixels from {least} to {most}")
    return int(digits)

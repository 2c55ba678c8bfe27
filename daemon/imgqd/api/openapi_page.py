"""The part of the OpenAPI document that describes the routes made for the page (web/routes.py)."""

from __future__ import annotations

from typing import Any

from imgqd.api.openapi_words import PICTURE_ID, operation
from imgqd.api.schemas import Schema, ref
from imgqd.web.originals import INLINE, SAVED

_PATH: list[Schema] = [
    {
        "name": name,
        "in": "query",
        "description": meaning,
        "schema": {"type": "string"},
    }
    for name, meaning in (
        ("path", "the folder; default: the home"),
        ("path_b64", "the same as base64 of its bytes"),
    )
]
_DOWNLOAD: Schema = {
    "name": "download",
    "in": "query",
    "description": "for saving, not for showing",
    "schema": {"type": "string"},
}
_FILE = {
    kind: {"schema": {"type": "string", "contentMediaType": kind}}
    for kind in sorted({*INLINE.values(), *SAVED.values(), "application/octet-stream"})
}
_NO_RANGE = {
    "description": "the file has no such part",
    "content": {"application/json": {"schema": ref("Error")}},
}

PAGE_PATHS: dict[str, dict[str, Any]] = {
    "/v1/web": {
        "post": operation(
            "web",
            "Serves the page on loopback, and lets one browser in.",
            "Web",
            body="WebRequest",
            description="The key in the URL works once. Not for the page itself.",
        )
    },
    "/v1/session": {
        "post": operation(
            "beginSession",
            "Turns the key of a link into a cookie.",
            {},
            body="SessionRequest",
            body_needed=True,
            done=204,
        ),
        "get": operation("session", "The browser's session.", "Session"),
        "delete": operation("endSession", "Ends the browser's session.", {}, done=204),
    },
    "/v1/grid": {
        "post": operation(
            "grid",
            "Every picture that fits, with what it takes to lay them out.",
            "Grid",
            body="GridRequest",
            description="In the order of a search; without terms all of them, newest first.",
        )
    },
    "/v1/pictures": {
        "post": operation(
            "pictures",
            "Several pictures; those that are not there are left out.",
            "Pictures",
            body="PicturesRequest",
            body_needed=True,
        )
    },
    "/v1/pictures/{id}/original": {
        "get": operation(
            "original",
            "The picture's own file, as long as it is what was indexed.",
            _FILE,
            parameters=[PICTURE_ID, _DOWNLOAD],
            description="Takes Range and If-Range; has an ETag. What browsers do not show as a"
            " picture is for saving only.",
            extra={
                "206": {"description": "a part of the file", "content": _FILE},
                "304": {"description": "the file has not changed"},
                "416": _NO_RANGE,
            },
        )
    },
    "/v1/pictures/{id}/reveal": {
        "post": operation(
            "reveal",
            "Shows one of the picture's files in the file manager of the daemon's machine.",
            "Revealed",
            body="RevealRequest",
            parameters=[PICTURE_ID],
            description="For callers on that machine only.",
        )
    },
    "/v1/browse": {
        "get": operation(
            "browse",
            "The folders in a folder, to choose one to watch.",
            "Browse",
            parameters=_PATH,
            description="For callers on the daemon's machine only. Files are not told.",
        )
    },
}

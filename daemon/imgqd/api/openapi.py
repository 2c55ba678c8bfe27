"""The OpenAPI 3.1 document of /v1/: which routes there are, what they take and what they answer.

The schemas themselves are in schemas.py. Tests hold every live answer against this document and
compare its routes with those that are served.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from imgqd import __version__
from imgqd.api.events import KINDS
from imgqd.api.schemas import COMPONENTS, ID_MAX, Schema, ref

ERRORS = {
    400: "the request makes no sense; the message says which part",
    401: "over TCP: no token, or a wrong one",
    403: "not for this caller: another user, a foreign Host or Origin",
    404: "there is no such thing",
    405: "not with this method",
    408: "the body came too slowly",
    413: "the body is too large",
    500: "the daemon failed; its log says more",
    503: "not now: starting, stopping, busy, or the model is still being made",
}

_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "the picture's stable id",
    "schema": {"type": "integer", "minimum": 0, "maximum": ID_MAX},
}
_SIDE = {
    "name": "side",
    "in": "query",
    "description": "the longer side is at most this many pixels",
    "schema": {"type": "integer", "minimum": 16, "maximum": 2048, "default": 256},
}

_DAYS = {
    "name": "days",
    "in": "query",
    "description": "how many days are told one by one",
    "schema": {"type": "integer", "minimum": 1, "maximum": 400, "default": 14},
}

_AFTER = {
    "name": "after",
    "in": "query",
    "description": "the `next` of the page before",
    "schema": {"type": "string"},
}

_FORM: dict[str, Any] = {
    "name": "format",
    "in": "query",
    "description": "how the picture is encoded",
    "schema": {"type": "string", "enum": ["webp", "png", "jpeg"], "default": "webp"},
}


def _operation(
    operation_id: str,
    summary: str,
    answer: str | dict[str, Any],
    *,
    body: str | None = None,
    body_needed: bool = False,
    parameters: list[Schema] | None = None,
    description: str = "",
    extra: dict[str, Any] | None = None,
) -> dict[str, Any]:
    content = {"application/json": {"schema": ref(answer)}} if isinstance(answer, str) else answer
    responses: dict[str, Any] = {"200": {"description": summary, "content": content}}
    responses.update(extra or {})
    for status in ERRORS:
        responses[str(status)] = {"$ref": f"#/components/responses/Error{status}"}
    operation: dict[str, Any] = {
        "operationId": operation_id,
        "summary": summary,
        "responses": responses,
    }
    if description:
        operation["description"] = description
    if parameters:
        operation["parameters"] = parameters
    if body:
        operation["requestBody"] = {
            "required": body_needed,
            "content": {"application/json": {"schema": ref(body)}},
        }
    return operation


_NAME: dict[str, Any] = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "letters, digits, - . and _",
    "schema": {"type": "string", "maxLength": 100},
}
_TOP: dict[str, Any] = {
    "name": "top",
    "in": "query",
    "description": "how many of the newest",
    "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 20},
}


PATHS: dict[str, dict[str, Any]] = {
    "/v1/openapi.json": {
        "get": _operation(
            "describe", "This document.", {"application/json": {"schema": {"type": "object"}}}
        )
    },
    "/v1/search": {
        "post": _operation(
            "search",
            "Pictures like the terms, best first.",
            "SearchAnswer",
            body="SearchRequest",
            body_needed=True,
            description="Terms are summed by weight. The body may have 100 MB, for examples.",
        )
    },
    "/v1/facets": {
        "post": _operation(
            "facets",
            "Counts pictures by year, month, folder, format, camera, category and tag.",
            "FacetsAnswer",
            body="SearchRequest",
            body_needed=True,
            description="Without terms all that passes the filters, with terms the `top` results.",
        )
    },
    "/v1/duplicates": {
        "post": _operation(
            "duplicates",
            "Groups of pictures that look the same.",
            "Duplicates",
            body="DuplicatesRequest",
        )
    },
    "/v1/history": {
        "get": _operation("history", "What was asked.", "History", parameters=[_TOP]),
        "delete": _operation("clearHistory", "Forgets what was asked.", "Forgotten"),
    },
    "/v1/saved": {"get": _operation("allSaved", "The questions that are saved.", "Saved")},
    "/v1/saved/{name}": {
        "get": _operation("saved", "One saved question.", "Saved", parameters=[_NAME]),
        "put": _operation(
            "save",
            "Saves the arguments of a question under a name.",
            "Saved",
            body="SaveRequest",
            body_needed=True,
            parameters=[_NAME],
        ),
        "delete": _operation(
            "forget", "Removes a saved question.", "Forgotten", parameters=[_NAME]
        ),
    },
    "/v1/completions": {
        "get": _operation("completions", "Tags and saved names, for a shell.", "Completions")
    },
    "/v1/status": {"get": _operation("status", "What the daemon is doing.", "Status")},
    "/v1/folders": {
        "get": _operation("folders", "The watched folders.", "Folders"),
        "post": _operation(
            "addFolders",
            "Watches folders; answers with all of them.",
            "Folders",
            body="FoldersRequest",
            body_needed=True,
        ),
        "delete": _operation(
            "removeFolders",
            "Forgets folders; answers with those that are left.",
            "Folders",
            body="PathsRequest",
            body_needed=True,
        ),
    },
    "/v1/relocate": {
        "post": _operation(
            "relocate",
            "Lets what is known below one path be known below another.",
            "Relocated",
            body="RelocateRequest",
            body_needed=True,
            description="For photos that were moved or copied: ids and vectors stay.",
        )
    },
    "/v1/sync": {
        "post": _operation(
            "sync",
            "Waits until every change made on disk before is searchable, or a problem.",
            "SyncAnswer",
            body="SyncRequest",
        )
    },
    "/v1/pause": {
        "post": _operation(
            "pause",
            "Pauses indexing until it is resumed, over restarts too.",
            "Pausing",
            body="EmptyRequest",
            description="Questions are answered as before; what is in hand is finished.",
        )
    },
    "/v1/resume": {
        "post": _operation(
            "resume",
            "Lets indexing go on, on battery power too.",
            "Pausing",
            body="EmptyRequest",
        )
    },
    "/v1/problems": {"get": _operation("problems", "Files that could not be indexed.", "Problems")},
    "/v1/retry": {
        "post": _operation("retry", "Tries problems again.", "Retried", body="RetryRequest")
    },
    "/v1/pictures/{id}": {
        "get": _operation("picture", "One picture.", "Picture", parameters=[_ID])
    },
    "/v1/pictures/{id}/thumbnail": {
        "get": _operation(
            "thumbnail",
            "One picture, small.",
            {
                f"image/{form}": {"schema": {"type": "string", "contentMediaType": f"image/{form}"}}
                for form in _FORM["schema"]["enum"]
            },
            parameters=[_ID, _SIDE, _FORM],
            description="Has an ETag; answers 304 to the same one in If-None-Match.",
            extra={"304": {"description": "the picture has not changed"}},
        )
    },
    "/v1/annotate": {
        "post": _operation(
            "annotate",
            "Changes what a person says of pictures: tags, description, own fields, category.",
            "Annotated",
            body="AnnotateRequest",
            body_needed=True,
            description="All or none. It belongs to the content and survives renames and copies.",
        )
    },
    "/v1/export": {
        "get": _operation(
            "export",
            "What persons said of pictures, by content, a page at a time.",
            "Exported",
            parameters=[_AFTER],
        )
    },
    "/v1/import": {
        "post": _operation(
            "import",
            "Takes in what was exported, here or on another machine.",
            "Imported",
            body="ImportRequest",
            body_needed=True,
        )
    },
    "/v1/model": {
        "get": _operation("model", "The model in use.", "Model"),
        "put": _operation(
            "setModel",
            "Changes the model; pictures are embedded again in the background.",
            "Model",
            body="ModelRequest",
            body_needed=True,
        ),
    },
    "/v1/verify": {
        "post": _operation(
            "verify",
            "Compares database, index and disk; mends what differs when asked to.",
            "Verified",
            body="VerifyRequest",
        )
    },
    "/v1/config": {"get": _operation("config", "The settings in effect.", "Config")},
    "/v1/events": {
        "get": _operation(
            "events",
            "Events as they happen, until either side ends it.",
            {"text/event-stream": {"schema": {"type": "string"}}},
            description="Server-sent events: each `data` is a JSON object. Kinds:\n\n"
            + "\n".join(f"- `{kind}`: {meaning}" for kind, meaning in KINDS.items()),
        )
    },
    "/v1/metrics": {
        "get": _operation(
            "metrics", "Prometheus text.", {"text/plain": {"schema": {"type": "string"}}}
        )
    },
    "/v1/stats": {
        "get": _operation(
            "stats",
            "How the daemon is used: searches a day, times, words.",
            "Stats",
            parameters=[_DAYS],
        )
    },
    "/v1/stats/words": {
        "delete": _operation("forgetWords", "Forgets the words of all searches.", "Forgotten")
    },
    "/v1/stop": {
        "post": _operation("stop", "Asks the daemon to stop.", "Stopping", body="EmptyRequest")
    },
}


@cache
def document() -> dict[str, Any]:
    """The whole document. Callers do not change it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "imgq",
            "version": __version__,
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": (
                "The picture-search daemon of this machine's user. On the Unix socket the caller "
                "is known by its user id; over loopback TCP a token is needed. A path that is not "
                "valid UTF-8 has replacement characters, and its exact bytes in base64 in "
                "`path_b64` beside it."
            ),
        },
        "servers": [{"url": "/", "description": "the socket, or http://127.0.0.1:PORT"}],
        "security": [{}, {"token": []}],
        "paths": PATHS,
        "components": {
            "schemas": COMPONENTS,
            "responses": {
                f"Error{status}": {
                    "description": meaning,
                    "content": {"application/json": {"schema": ref("Error")}},
                }
                for status, meaning in ERRORS.items()
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "the content of the file `token` beside the socket",
                }
            },
        },
    }

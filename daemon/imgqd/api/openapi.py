"""The OpenAPI 3.1 document of /v1/: which routes there are, what they take and what they answer.

The schemas themselves are in schemas.py. Tests hold every live answer against this document and
compare its routes with those that are served.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from imgqd import __version__
from imgqd.api.events import KINDS
from imgqd.api.openapi_page import PAGE_PATHS
from imgqd.api.openapi_words import ERRORS, PICTURE_ID, operation
from imgqd.api.schemas import COMPONENTS, Schema, ref

_SIDE = {
    "name": "side",
    "in": "query",
    "description": "the longer side is at most this many pixels",
    "schema": {"type": "integer", "minimum": 16, "maximum": 2048, "default": 256},
}

_VERSION: Schema = {
    "name": "v",
    "in": "query",
    "description": "the `version` of a grid: the answer can then be kept without asking again",
    "schema": {"type": "string"},
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
        "get": operation(
            "describe", "This document.", {"application/json": {"schema": {"type": "object"}}}
        )
    },
    "/v1/search": {
        "post": operation(
            "search",
            "Pictures like the terms, best first.",
            "SearchAnswer",
            body="SearchRequest",
            body_needed=True,
            description="Terms are summed by weight. The body may have 100 MB, for examples.",
        )
    },
    "/v1/facets": {
        "post": operation(
            "facets",
            "Counts pictures by year, month, folder, format, camera, category and tag.",
            "FacetsAnswer",
            body="FacetsRequest",
            body_needed=True,
            description="Without terms all that passes the filters, with terms the `top` results, or"
            " the best `most` as in a grid.",
        )
    },
    "/v1/duplicates": {
        "post": operation(
            "duplicates",
            "Groups of pictures that look the same.",
            "Duplicates",
            body="DuplicatesRequest",
        )
    },
    "/v1/history": {
        "get": operation("history", "What was asked.", "History", parameters=[_TOP]),
        "delete": operation("clearHistory", "Forgets what was asked.", "Forgotten"),
    },
    "/v1/saved": {"get": operation("allSaved", "The questions that are saved.", "Saved")},
    "/v1/saved/{name}": {
        "get": operation("saved", "One saved question.", "Saved", parameters=[_NAME]),
        "put": operation(
            "save",
            "Saves the arguments of a question under a name.",
            "Saved",
            body="SaveRequest",
            body_needed=True,
            parameters=[_NAME],
        ),
        "delete": operation("forget", "Removes a saved question.", "Forgotten", parameters=[_NAME]),
    },
    "/v1/completions": {
        "get": operation("completions", "Tags and saved names, for a shell.", "Completions")
    },
    "/v1/status": {"get": operation("status", "What the daemon is doing.", "Status")},
    "/v1/folders": {
        "get": operation("folders", "The watched folders.", "Folders"),
        "post": operation(
            "addFolders",
            "Watches folders; answers with all of them.",
            "Folders",
            body="FoldersRequest",
            body_needed=True,
        ),
        "delete": operation(
            "removeFolders",
            "Forgets folders; answers with those that are left.",
            "Folders",
            body="PathsRequest",
            body_needed=True,
        ),
    },
    "/v1/relocate": {
        "post": operation(
            "relocate",
            "Lets what is known below one path be known below another.",
            "Relocated",
            body="RelocateRequest",
            body_needed=True,
            description="For photos that were moved or copied: ids and vectors stay.",
        )
    },
    "/v1/sync": {
        "post": operation(
            "sync",
            "Waits until every change made on disk before is searchable, or a problem.",
            "SyncAnswer",
            body="SyncRequest",
        )
    },
    "/v1/pause": {
        "post": operation(
            "pause",
            "Pauses indexing until it is resumed, over restarts too.",
            "Pausing",
            body="EmptyRequest",
            description="Questions are answered as before; what is in hand is finished.",
        )
    },
    "/v1/resume": {
        "post": operation(
            "resume",
            "Lets indexing go on, on battery power too.",
            "Pausing",
            body="EmptyRequest",
        )
    },
    "/v1/problems": {"get": operation("problems", "Files that could not be indexed.", "Problems")},
    "/v1/retry": {
        "post": operation("retry", "Tries problems again.", "Retried", body="RetryRequest")
    },
    "/v1/pictures/{id}": {
        "get": operation("picture", "One picture.", "Picture", parameters=[PICTURE_ID])
    },
    "/v1/pictures/{id}/thumbnail": {
        "get": operation(
            "thumbnail",
            "One picture, small.",
            {
                f"image/{form}": {"schema": {"type": "string", "contentMediaType": f"image/{form}"}}
                for form in _FORM["schema"]["enum"]
            },
            parameters=[PICTURE_ID, _SIDE, _FORM, _VERSION],
            description="Has an ETag; answers 304 to the same one in If-None-Match.",
            extra={"304": {"description": "the picture has not changed"}},
        )
    },
    "/v1/annotate": {
        "post": operation(
            "annotate",
            "Changes what a person says of pictures: tags, description, own fields, category.",
            "Annotated",
            body="AnnotateRequest",
            body_needed=True,
            description="All or none. It belongs to the content and survives renames and copies.",
        )
    },
    "/v1/export": {
        "get": operation(
            "export",
            "What persons said of pictures, by content, a page at a time.",
            "Exported",
            parameters=[_AFTER],
        )
    },
    "/v1/import": {
        "post": operation(
            "import",
            "Takes in what was exported, here or on another machine.",
            "Imported",
            body="ImportRequest",
            body_needed=True,
        )
    },
    "/v1/model": {
        "get": operation("model", "The model in use.", "Model"),
        "put": operation(
            "setModel",
            "Changes the model; pictures are embedded again in the background.",
            "Model",
            body="ModelRequest",
            body_needed=True,
        ),
    },
    "/v1/verify": {
        "post": operation(
            "verify",
            "Compares database, index and disk; mends what differs when asked to.",
            "Verified",
            body="VerifyRequest",
        )
    },
    "/v1/config": {"get": operation("config", "The settings in effect.", "Config")},
    "/v1/events": {
        "get": operation(
            "events",
            "Events as they happen, until either side ends it.",
            {"text/event-stream": {"schema": {"type": "string"}}},
            description="Server-sent events: each `data` is a JSON object. Kinds:\n\n"
            + "\n".join(f"- `{kind}`: {meaning}" for kind, meaning in KINDS.items()),
        )
    },
    "/v1/metrics": {
        "get": operation(
            "metrics", "Prometheus text.", {"text/plain": {"schema": {"type": "string"}}}
        )
    },
    "/v1/stats": {
        "get": operation(
            "stats",
            "How the daemon is used: searches a day, times, words.",
            "Stats",
            parameters=[_DAYS],
        )
    },
    "/v1/stats/words": {
        "delete": operation("forgetWords", "Forgets the words of all searches.", "Forgotten")
    },
    "/v1/stop": {
        "post": operation("stop", "Asks the daemon to stop.", "Stopping", body="EmptyRequest")
    },
    **PAGE_PATHS,
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
        "security": [{}, {"token": []}, {"session": []}],
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
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "imgq-PORT",
                    "description": "a browser's, from POST /v1/session; opens what the page needs",
                },
            },
        },
    }

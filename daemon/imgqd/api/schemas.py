"""The JSON Schemas of every request and answer: the `components` of the OpenAPI document.

Requests allow nothing that is not listed, and are checked against these very schemas. Answers may
grow: more keys can appear in them at any time.
"""

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


# On Windows a path begins with a drive. NUL ends a path everywhere, so none holds it.
ABSOLUTE = text(pattern=r"^(/|[A-Za-z]:[\\/])[^\u0000]*$", maxLength=4096)
# The base64 of bytes that begin with a slash.
BASE64 = (
    "^L[w-z0-9+/](?:==|[A-Za-z0-9+/]=|[A-Za-z0-9+/]{2}(?:[A-Za-z0-9+/]{4})*"
    "(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$"
)
PATHS = listed(ref("PathInput"), "absolute paths", minItems=1, maxItems=1000)
PATH_B64 = {"path_b64": text("the exact bytes, where `path` is not valid UTF-8")}
TIMEOUT = number("seconds to wait at most", minimum=0, maximum=604_800)

REQUESTS: dict[str, Schema] = {
    "PathInput": {
        "description": "a path: text, or base64 of its bytes where it is not valid UTF-8",
        "anyOf": [
            ABSOLUTE,
            request({"path_b64": text(pattern=BASE64, maxLength=8192)}, ("path_b64",)),
            request({"path": ABSOLUTE}, ("path",)),
        ],
    },
    "Term": request(
        {
            "text": text("what the picture shows", maxLength=10_000),
            "image": text("an example picture: its file in base64", contentEncoding="base64"),
            "id": integer("an example picture: its id in the library", minimum=0, maximum=ID_MAX),
            "url": text("an example picture: where to fetch it (not over TCP)", maxLength=8192),
            "name": text("what to call the example in messages", maxLength=4096),
            "weight": number("how much this term counts", minimum=-1000, maximum=1000, default=1),
            "negative": boolean("what the pictures must not show", default=False),
        },
        oneOf=[{"required": [name]} for name in ("text", "image", "id", "url")],
    ),
    "SearchRequest": request(
        {
            "terms": listed(ref("Term"), "what to look for, summed by weight", maxItems=1000),
            "top": integer("how many results", minimum=1, maximum=1000, default=10),
            "offset": integer(
                "how many to leave out first", minimum=0, maximum=1_000_000, default=0
            ),
            "in": listed(ref("PathInput"), "only below one of these folders", maxItems=1000),
            "after": text("taken at or after: 2024, 2024-06-30, `2 weeks ago`", maxLength=100),
            "before": text("taken before", maxLength=100),
            "types": listed(text(maxLength=50), "formats: jpeg, png, heic, raw, ...", maxItems=100),
            "camera": text("part of the camera's name", maxLength=1000),
            "near": listed(
                number(minimum=-180, maximum=40_000),
                "latitude, longitude, kilometres",
                minItems=3,
                maxItems=3,
            ),
            "tags": listed(text(maxLength=1000), "all of these tags", maxItems=100),
            "min_size": listed(
                integer(minimum=0, maximum=1_000_000), "width, height", minItems=2, maxItems=2
            ),
            "orientation": text(enum=["landscape", "portrait", "square"]),
            "where": listed(
                request({"key": text(minLength=1), "value": text()}, ("key", "value")),
                "own fields (or lens, keyword) that have these values",
                maxItems=100,
            ),
            "rating": integer("at least so many stars", minimum=-1, maximum=5),
            "words": text("words in path, title, description, keywords, tags", maxLength=1000),
            "category": text("what it shows, as computed or corrected", maxLength=1000),
            "all": boolean("every file of a shot (RAW and JPEG, say) as a result of its own"),
            "min_score": number("cosine similarity", minimum=-1, maximum=1),
            "relevant": boolean("only what stands out from what unrelated texts score"),
            "diverse": boolean("good results that do not all show the same"),
            "remember": text("what a person typed, for the history", maxLength=10_000),
            "expand": text(
                "variations of the texts; default: what was measured to help for the model",
                enum=["words", "templates", "off"],
            ),
            "sync": boolean("answer once every change made on disk before is searchable"),
            "timeout_s": TIMEOUT,
            "literal": boolean("take texts as they stand"),
        },
        ("terms",),
    ),
    "AnnotateRequest": request(
        {
            "ids": listed(
                integer(minimum=0, maximum=ID_MAX), "which pictures", minItems=1, maxItems=1000
            ),
            "add_tags": listed(text(minLength=1), maxItems=100),
            "remove_tags": listed(text(minLength=1), maxItems=100),
            "description": text("a person's own; empty takes it away"),
            "fields": listed(
                request({"key": text(minLength=1), "value": text()}, ("key", "value")),
                "own fields; an empty value takes one away",
                maxItems=100,
            ),
            "category": text("in place of the computed one, which `auto` brings back", minLength=1),
        },
        ("ids",),
    ),
    "ImportRequest": request(
        {"records": listed(ref("Record"), minItems=1, maxItems=1000)}, ("records",)
    ),
    "Record": request(
        {
            "content_hash": text("BLAKE2b-160 of the file, hexadecimal", pattern="^[0-9a-f]{40}$"),
            "tags": listed(text(minLength=1), maxItems=1000),
            "description": text(),
            "fields": {"type": "object", "description": "own fields: texts by key"},
            "category": text(minLength=1),
            "path": text("where it is, for people"),
            "path_b64": text(),
        },
        ("content_hash",),
    ),
    "FoldersRequest": request(
        {
            "paths": PATHS,
            "exclude": listed(text(minLength=1, maxLength=4096), "glob patterns", maxItems=1000),
        },
        ("paths",),
    ),
    "PathsRequest": request({"paths": PATHS}, ("paths",)),
    "RelocateRequest": request({"old": ref("PathInput"), "new": ref("PathInput")}, ("old", "new")),
    "SyncRequest": request({"timeout_s": TIMEOUT}),
    "RetryRequest": request({"paths": listed(ref("PathInput"), "default: all", maxItems=1000)}),
    "ModelRequest": request(
        {
            "spec": text("see the README: auto, builtin, ARCH/PRETRAINED, ...", maxLength=4096),
            "now": boolean("re-embed even a large library", default=False),
        },
        ("spec",),
    ),
    "VerifyRequest": request({"repair": boolean("mend what differs", default=False)}),
    "EmptyRequest": request({}),
    "DuplicatesRequest": request(
        {
            "in": listed(ref("PathInput"), "only below one of these folders", maxItems=1000),
            "threshold": number("cosine similarity", minimum=0.5, maximum=1, default=0.95),
        }
    ),
    "SaveRequest": request(
        {
            "arguments": listed(
                text(maxLength=10_000), "of imgq, as typed", minItems=1, maxItems=1000
            )
        },
        ("arguments",),
    ),
}

_PICTURE = {
    "id": integer("stable: never names another picture"),
    "path": text(),
    "copies": listed(path_item(), "other files with the same content"),
    "width": integer("as shown, in pixels"),
    "height": integer("as shown, in pixels"),
    "format": text(),
    "bytes": integer(),
    "taken": nullable("string", "ISO 8601"),
    "modified": text("ISO 8601"),
    "camera": nullable("string"),
    "gps": {"type": ["array", "null"], "items": number(), "description": "latitude, longitude"},
    "tags": listed(text()),
}
_DESCRIBED = {
    **PATH_B64,
    "title": nullable("string"),
    "description": nullable("string", "a person's, else the file's"),
    "keywords": listed(text(), "the file's"),
    "rating": nullable("integer", "the file's: 0 to 5, -1 for rejected"),
    "lens": nullable("string"),
    "fields": {"type": "object", "description": "a person's own fields: texts by key"},
    "stack": listed(
        answer({"id": nullable("integer"), "path": text(), "format": text()}, PATH_B64),
        "other files of the same shot: a RAW beside its JPEG, the film of a Live Photo",
    ),
    "category": nullable("string", "a person's, else the computed one"),
}
_MODEL = {
    "spec": text(),
    "id": nullable("string", "null until the first model is ready"),
    "dim": nullable("integer"),
    "runtime": nullable("string"),
    "device": nullable("string"),
    "fallback": nullable("string", "why another model than the wanted one is used"),
}
_PAUSED_BY = nullable("string", "request or battery; null while indexing is not paused")
_TIMES = {
    "searches": integer("answered"),
    "p50_ms": nullable("number", "half were answered within; to 12%"),
    "p95_ms": nullable("number"),
}
_PROBLEM = {
    "path": text(),
    "reason": text("a short stable word: corrupt, too-large, timeout, ..."),
    "detail": text(),
    "attempts": integer(),
    "since": text("ISO 8601"),
}

ANSWERS: dict[str, Schema] = {
    "Error": answer(
        {"error": answer({"code": text("a short stable word"), "message": text("a sentence")})}
    ),
    "Picture": answer(_PICTURE, _DESCRIBED),
    "Annotated": answer({"changed": integer(), "generation": integer()}),
    "Exported": answer(
        {
            "records": listed(ref("Record")),
            "next": nullable("string", "what to give as `after` for the next page"),
        }
    ),
    "Imported": answer(
        {
            "here": integer("contents that are in the library"),
            "kept": integer("contents that are not: kept for a month, until they come"),
        }
    ),
    "Result": answer(
        {
            "rank": integer(),
            "score": nullable("number", "cosine similarity; null for filters alone"),
            **_PICTURE,
        },
        {
            "relevance": nullable(
                "number",
                "0 to 1: how far the score stands above what unrelated texts score here; null"
                " for filters alone, and until a new model's scale has been measured",
            ),
            **_DESCRIBED,
        },
    ),
    "SearchAnswer": answer(
        {
            "query": {"type": "object"},
            "model": text("the model's id"),
            "took_ms": number(),
            "generation": integer("grows with every change of what an answer can show"),
            "indexing": boolean(),
            "results": listed(ref("Result")),
        }
    ),
    "FacetsAnswer": answer(
        {
            "query": {"type": "object"},
            "total": integer("pictures that were counted"),
            "facets": answer(
                {
                    name: listed(ref("FacetCount"))
                    for name in ("year", "month", "folder", "format", "camera", "category", "tag")
                }
            ),
            "took_ms": number(),
            "generation": integer(),
        }
    ),
    "FacetCount": answer(
        {"value": text(), "count": integer()},
        {"value_b64": text("the exact bytes, where a folder's name is not valid UTF-8")},
    ),
    "Folder": answer(
        {
            "path": text(),
            "state": text(enum=["watching", "polling", "scanning", "offline"]),
            "files": integer(),
        },
        {"exclude": listed(text()), **PATH_B64},
    ),
    "Folders": answer({"folders": listed(ref("Folder"))}),
    "Relocated": answer(
        {"files": integer("below the new path"), "folders": integer("watched, below the new path")}
    ),
    "Model": answer(_MODEL),
    "Status": answer(
        {
            "version": text(),
            "pid": integer(),
            "uptime_s": number(),
            "state": text(enum=["starting", "indexing", "idle", "stopping"]),
            "model": ref("Model"),
            "pictures": integer("distinct contents that are indexed"),
            "files": integer("paths that look like pictures"),
            "pending": integer(),
            "problems": integer(),
            "generation": integer(),
            "folders": listed(ref("Folder")),
            "index": answer(
                {"kind": nullable("string"), "vectors": integer(), "rebuilding": boolean()}
            ),
            "queries": answer(
                {
                    "count": integer(),
                    "p50_ms": nullable("number", "of the last 1000; null before the first"),
                    "p95_ms": nullable("number"),
                }
            ),
            "memory_bytes": integer(),
        },
        {
            "paused": boolean("indexing is paused"),
            "paused_by": _PAUSED_BY,
            "watch_limit": nullable("string", "why not every folder is watched, and the remedy"),
            "library_id": text(),
            "home": text(),
            "progress": answer(
                {"done": integer(), "total": integer(), "stage": text(), "detail": text()}
            ),
        },
    ),
    "SyncAnswer": answer(
        {
            "in_sync": boolean(),
            "offline": listed(path_item(), "folders that were left out"),
            "pending": integer(),
            "paused": boolean(),
        }
    ),
    "Pausing": answer({"paused": boolean(), "paused_by": _PAUSED_BY}),
    "Problem": answer(_PROBLEM, PATH_B64),
    "Problems": answer({"problems": listed(ref("Problem"))}),
    "Retried": answer({"retried": integer()}),
    "Verified": answer(
        {
            "ok": boolean("nothing differs (any more)"),
            "differences": listed(
                answer({"kind": text(), "detail": text()}, {"path": text(), **PATH_B64})
            ),
        }
    ),
    "Config": answer(
        {
            "settings": listed(
                answer(
                    {
                        "name": text(),
                        "value": {},
                        "default": {},
                        "source": text("default, file, environment, flag or library"),
                        "help": text(),
                    }
                )
            )
        }
    ),
    "Stats": answer(
        {
            **_TIMES,
            "since": nullable("string", "the first day, YYYY-MM-DD"),
            "days": listed(answer({"day": text("YYYY-MM-DD"), **_TIMES})),
            "words": listed(answer({"word": text(), "searches": integer()})),
            "words_kept": boolean("setting count_words"),
        }
    ),
    "Forgotten": answer({"forgotten": integer("how many there were")}),
    "Stopping": answer({"stopping": boolean()}),
    "Duplicates": answer(
        {
            "threshold": number(),
            "model": text("the model's id"),
            "groups": listed(
                answer(
                    {
                        "kind": text(enum=["exact", "near"]),
                        "similarity": number("the lowest cosine of those that join the group"),
                        "files": listed(
                            answer(
                                {
                                    "id": integer("of the picture"),
                                    "path": text(),
                                    "bytes": integer(),
                                    "width": integer(),
                                    "height": integer(),
                                    "modified": text("ISO 8601"),
                                },
                                PATH_B64,
                            )
                        ),
                    }
                ),
                "exact copies first, then the largest groups",
            ),
        }
    ),
    "History": answer(
        {
            "kept": boolean("the setting history"),
            "questions": listed(
                answer({"asked": text("ISO 8601"), "typed": text(), "results": integer()})
            ),
        }
    ),
    "Saved": answer(
        {
            "saved": listed(
                answer({"name": text(), "arguments": listed(text()), "saved": text("ISO 8601")})
            )
        }
    ),
    "Completions": answer({"tags": listed(text()), "saved": listed(text())}),
}

COMPONENTS: dict[str, Schema] = {**REQUESTS, **ANSWERS}

"""The JSON Schemas of every answer, which may grow: more keys can appear in them at any time."""

from __future__ import annotations

from imgqd.api.schema_words import (
    Schema,
    answer,
    boolean,
    integer,
    listed,
    nullable,
    number,
    path_item,
    ref,
    text,
)

PATH_B64 = {"path_b64": text("the exact bytes, where `path` is not valid UTF-8")}
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
    "Grid": answer(
        {
            "total": integer("pictures that fit; with terms those that were ranked"),
            "ids": listed(integer(), "in the order of a search: best, or newest, first"),
            "ratios": listed(number(), "width by height, as shown"),
            "scores": {"type": ["array", "null"], "items": number(), "description": "cosines"},
            "relevances": {"type": ["array", "null"], "items": {"type": ["number", "null"]}},
            "placeholders": text("18 bytes for each picture, see docs/api.md; base64"),
            "stacks": {
                "type": "object",
                "description": "by id, where there are: other files with the same content or of"
                " the same shot",
            },
            "shots": {
                "type": "object",
                "description": "by id, where there are: how many of them are of the same shot",
            },
            "alike": {
                "type": "object",
                "description": "by id: the ids that it stands for, in order; `ids` and these are"
                " `total` together where nothing was cut off",
            },
            "generation": integer(),
            "version": text("`v` of thumbnails: they can be kept as long as it is the same"),
            "took_ms": number(),
            "query": {"type": "object"},
        }
    ),
    "Pictures": answer({"pictures": listed(ref("Picture"))}),
    "Revealed": answer({"revealed": boolean()}),
    "Browse": answer(
        {
            "path": text(),
            "parent": nullable("string"),
            "watched": boolean(),
            "folders": listed(
                answer(
                    {"name": text(), "path": text(), "watched": boolean()},
                    {**PATH_B64, "name_b64": text()},
                )
            ),
            "more": boolean("there are more than are told"),
        },
        {**PATH_B64, "parent_b64": text()},
    ),
    "Web": answer(
        {
            "url": text("lets one browser in, once"),
            "port": integer(),
            "valid_s": integer("how long it does"),
        }
    ),
    "Session": answer(
        {
            "valid_until": nullable("string", "ISO 8601; null with a token"),
            "local": boolean("the browser is on the daemon's own machine"),
            "reveals": boolean("files can be shown in a file manager there"),
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

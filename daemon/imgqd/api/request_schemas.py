"""The JSON Schemas of every request: nothing that is not listed is allowed, and requests are checked
against these very schemas (schema.py)."""

from __future__ import annotations

from imgqd.api.schema_words import (
    ID_MAX,
    Schema,
    boolean,
    integer,
    listed,
    number,
    ref,
    request,
    text,
)

# On Windows a path begins with a drive. NUL ends a path everywhere, so none holds it.
ABSOLUTE = text(pattern=r"^(/|[A-Za-z]:[\\/])[^\u0000]*$", maxLength=4096)
# The base64 of bytes that begin with a slash.
BASE64 = (
    "^L[w-z0-9+/](?:==|[A-Za-z0-9+/]=|[A-Za-z0-9+/]{2}(?:[A-Za-z0-9+/]{4})*"
    "(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$"
)
PATHS = listed(ref("PathInput"), "absolute paths", minItems=1, maxItems=1000)
TIMEOUT = number("seconds to wait at most", minimum=0, maximum=604_800)

# What every question is made of.
_ASKED: Schema = {
    "terms": listed(ref("Term"), "what to look for, summed by weight", maxItems=1000),
    "q": text(
        'one box of text: terms as in TEXT of imgq, id:N for an example, -WORD or -"WORDS" for'
        " what is not wanted",
        maxLength=10_000,
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
}
_SOMETHING = [{"required": ["terms"]}, {"required": ["q"]}]

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
            **_ASKED,
            "top": integer("how many results", minimum=1, maximum=1000, default=10),
            "offset": integer(
                "how many to leave out first", minimum=0, maximum=1_000_000, default=0
            ),
        },
        anyOf=_SOMETHING,
    ),
    "FacetsRequest": request(
        {
            **_ASKED,
            "top": integer("of how many results, with terms", minimum=1, maximum=1000, default=10),
            "most": integer(
                "instead: of how many pictures of a grid, with terms", minimum=1, maximum=10_000
            ),
        },
        anyOf=_SOMETHING,
    ),
    "GridRequest": request(
        {
            **_ASKED,
            "most": integer(
                "how many pictures; default: with terms 2,000, without all",
                minimum=1,
                maximum=1_000_000,
            ),
            "sort": text(
                "best is newest without terms", enum=["best", "newest", "oldest"], default="best"
            ),
            "alike": boolean(
                "one picture stands for those that look almost the same: with terms the best of them,"
                " without the first of neighbours in time"
            ),
        },
    ),
    "PicturesRequest": request(
        {
            "ids": listed(
                integer(minimum=0, maximum=ID_MAX), "which pictures", minItems=1, maxItems=200
            )
        },
        ("ids",),
    ),
    "RevealRequest": request(
        {
            "path": text("which of the picture's files; default: the first", maxLength=4096),
            "path_b64": text(maxLength=8192),
        }
    ),
    "WebRequest": request(
        {"address": text("the query that the page begins with, from its ? on", maxLength=8000)}
    ),
    "SessionRequest": request({"key": text("from the link", maxLength=200)}, ("key",)),
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

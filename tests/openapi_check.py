"""Holds a live answer against the OpenAPI document that the daemon itself serves."""

from __future__ import annotations

import re

from jsonschema import Draft202012Validator


def validator(document, fragment):
    """A validator of `fragment`, in which references are those of the document."""
    return Draft202012Validator({**fragment, "components": document["components"]})


def check_answer(document, method, target, reply):
    """Fails unless the reply is one that the document promises for this route."""
    bare = target.partition("?")[0]
    (path,) = [
        path for path in document["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), bare)
    ]
    operation = document["paths"][path][method.lower()]
    promised = operation["responses"][str(reply.status)]
    if "$ref" in promised:
        promised = document["components"]["responses"][promised["$ref"].rpartition("/")[2]]
    if "content" not in promised:
        assert reply.body == b""
        return
    kind = reply.headers["Content-Type"].partition(";")[0]
    assert kind in promised["content"]
    if kind == "application/json":
        validator(document, promised["content"][kind]["schema"]).validate(reply.json)

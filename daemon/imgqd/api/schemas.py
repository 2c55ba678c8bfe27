"""The JSON Schemas of every request and answer: the `components` of the OpenAPI document."""

from __future__ import annotations

from imgqd.api.answer_schemas import ANSWERS
from imgqd.api.request_schemas import REQUESTS
from imgqd.api.schema_words import ID_MAX, Schema, ref

__all__ = ["ANSWERS", "COMPONENTS", "ID_MAX", "REQUESTS", "Schema", "ref"]

COMPONENTS: dict[str, Schema] = {**REQUESTS, **ANSWERS}

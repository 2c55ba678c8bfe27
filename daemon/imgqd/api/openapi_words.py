"""The words that the OpenAPI document is written in: an operation, its errors, a picture's id."""

from __future__ import annotations

from typing import Any

from imgqd.api.schemas import ID_MAX, Schema, ref

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

PICTURE_ID: Schema = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "the picture's stable id",
    "schema": {"type": "integer", "minimum": 0, "maximum": ID_MAX},
}


def operation(
    operation_id: str,
    summary: str,
    answer: str | dict[str, Any],
    *,
    body: str | None = None,
    body_needed: bool = False,
    parameters: list[Schema] | None = None,
    description: str = "",
    extra: dict[str, Any] | None = None,
    done: int = 200,
) -> dict[str, Any]:
    """`answer` is a schema's name, or media types; `done` the status when all went well, which is
    without a body when it is 204; `extra` are other answers by status."""
    content = {"application/json": {"schema": ref(answer)}} if isinstance(answer, str) else answer
    body_told = {} if done == 204 else {"content": content}
    responses: dict[str, Any] = {str(done): {"description": summary, **body_told}}
    responses.update(extra or {})
    for status in ERRORS:
        responses[str(status)] = {"$ref": f"#/components/responses/Error{status}"}
    told: dict[str, Any] = {
        "operationId": operation_id,
        "summary": summary,
        "responses": responses,
    }
    if description:
        told["description"] = description
    if parameters:
        told["parameters"] = parameters
    if body:
        told["requestBody"] = {
            "required": body_needed,
            "content": {"application/json": {"schema": ref(body)}},
        }
    return told

"""What the daemon answers, as objects: a search's results, JSON documents, server-sent events.

Knows the shapes of the API's answers and nothing of how they were fetched.
"""

from __future__ import annotations

import os

from imgq import fastjson
from imgq.errors import RefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class Result:
    """One picture of an answer.

    `path` is text for `open()` and friends, `path_bytes` the exact bytes of the name; `score` is
    the cosine in -1..1 and `relevance`, 0..1, how far it stands out; `taken` and `modified` are ISO
    8601 text; `gps` is (latitude, longitude) in degrees; `stack` are the formats of the other files
    of the same shot ("raw", "video"). `raw` is the JSON object that it came from.
    """

    __slots__ = (
        "bytes",
        "camera",
        "copies",
        "format",
        "gps",
        "height",
        "id",
        "modified",
        "path",
        "path_bytes",
        "rank",
        "raw",
        "relevance",
        "score",
        "stack",
        "tags",
        "taken",
        "width",
    )

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.rank: int = raw.get("rank", 0)
        self.id: int = raw.get("id", 0)
        score = raw.get("score")
        # A question by filters alone has no score.
        self.score: float | None = None if score is None else float(score)
        self.relevance: float | None = raw.get("relevance")
        self.path_bytes = exact_path(raw)
        self.path: str = os.fsdecode(self.path_bytes)
        self.copies = [os.fsdecode(exact_path(copy)) for copy in raw.get("copies", ())]
        self.width: int | None = raw.get("width")
        self.height: int | None = raw.get("height")
        self.format: str | None = raw.get("format")
        self.bytes: int | None = raw.get("bytes")
        self.taken: str | None = raw.get("taken")
        self.modified: str | None = raw.get("modified")
        self.camera: str | None = raw.get("camera")
        gps = raw.get("gps")
        self.gps: tuple[float, float] | None = (gps[0], gps[1]) if gps else None
        self.tags: list[str] = list(raw.get("tags", ()))
        self.stack: list[str] = [str(other.get("format")) for other in raw.get("stack", ())]

    def __repr__(self) -> str:
        return f"<Result {self.rank} {self.score} {self.path!r}>"


class Answer:
    """What a search found: `results` in order, best first.

    `model` is the id of the model, `generation` the state of the library, `took_ms` the daemon's
    own time, `indexing` True while pictures are still being added. `raw` is the JSON object,
    `body` the bytes it came in.
    """

    __slots__ = ("body", "generation", "indexing", "model", "raw", "results", "took_ms")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.raw = as_object(body)
        self.model: str = self.raw.get("model", "")
        self.generation: int = self.raw.get("generation", 0)
        self.took_ms: float = self.raw.get("took_ms", 0.0)
        self.indexing: bool = self.raw.get("indexing", False)
        try:
            self.results = [Result(result) for result in self.raw["results"]]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise not_ours(error) from None

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)


def as_object(body: bytes) -> dict[str, Any]:
    try:
        value = fastjson.loads(body)
    except ValueError as error:
        raise not_ours(error) from None
    if not isinstance(value, dict):
        raise not_ours("no JSON object")
    return value


def not_ours(detail: object) -> RefusedError:
    return RefusedError(
        f"the daemon's answer cannot be understood ({detail}); are imgq and imgqd of one version?",
        code="garbled",
    )


def exact_path(value: str | dict[str, Any]) -> bytes:
    """The exact bytes of a path in an answer: `path_b64` where there is one."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if encoded := value.get("path_b64"):
        from binascii import a2b_base64

        return a2b_base64(encoded)
    path: str = value["path"]
    return path.encode("utf-8", "surrogateescape")


def events(pieces: Iterator[bytes]) -> Iterator[tuple[str, Any]]:
    """Server-sent events, as the HTML standard splits them: fields a line, an empty line ends."""
    name, data = "message", b""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            field, _, value = line.rstrip(b"\r").partition(b":")
            value = value.removeprefix(b" ")
            if field == b"event":
                name = value.decode("utf-8", "replace")
            elif field == b"data":
                data += value + b"\n"
            elif not field and not value and data:
                yield name, fastjson.loads(data)
                name, data = "message", b""

"""From what was asked to one query vector: texts, example pictures, weights and negatives.

The query vector is

    q = normalise( sum(w * v for the terms wanted) - sum(w * v for the terms not wanted) )

with every v L2-normalised: a text's or an example's embedding, or the stored vector of a picture of
the library. With negatives alone the best pictures are those least like them.
"""

from __future__ import annotations

import math
import os
import tempfile
import threading
from binascii import a2b_base64
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from imgq.box import box_terms
from imgq.errors import UsageError as ClientUsageError
from imgqd.errors import ProblemError, UsageError
from imgqd.records import Decoded, Pixels, Preprocess, Vectors
from imgqd.search.fetch import fetch

CACHED_TEXTS = 2000
BASE64_PIECE = 1 << 18
# Sums of unit vectors shorter than this are rounding errors, not a direction.
SHORTEST = 1e-4


@dataclass(frozen=True, slots=True)
class Term:
    """One thing to look for. `kind` is text, image (`value`: the file's bytes), id or url.

    `name` is what to call it in messages; `negative` is what the pictures must not show.
    """

    kind: str
    value: str | bytes | int
    weight: float = 1.0
    negative: bool = False
    name: str = ""

    def to_json(self) -> dict[str, Any]:
        """As asked, without the bytes of an example."""
        told: dict[str, Any] = (
            {"image": self.name} if self.kind == "image" else {self.kind: self.value}
        )
        return {**told, "weight": self.weight, "negative": self.negative}


class TextTower(Protocol):
    """The part of models.text.TextEncoder that is needed here."""

    def encode(self, texts: list[str]) -> Vectors: ...


class ImageTower(Protocol):
    """The part of models.image.ImageEncoder that is needed here."""

    def encode(self, pixels: Pixels) -> Vectors: ...


class Decoder(Protocol):
    """The part of indexing.decode.DecoderPool that is needed here."""

    def decode(self, fd: int, preprocess: Preprocess, *, name: bytes = b"") -> Decoded: ...


class TextCache:
    """The vectors of the texts asked last, by model and text. Thread-safe."""

    def __init__(self, size: int = CACHED_TEXTS) -> None:
        self._size = size
        self._vectors: OrderedDict[tuple[str, str], Vectors] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, model: str, texts: list[str], tower: TextTower) -> list[Vectors]:
        """The vectors (dim,) of `texts`; only those that are not known are encoded."""
        keys = [(model, text) for text in texts]
        with self._lock:
            known = {key: self._vectors[key] for key in keys if key in self._vectors}
        missing = [key for key in dict.fromkeys(keys) if key not in known]
        if missing:
            known.update(zip(missing, tower.encode([text for _, text in missing]), strict=True))
        with self._lock:
            for key in keys:
                self._vectors[key] = known[key]
                self._vectors.move_to_end(key)
            while len(self._vectors) > self._size:
                self._vectors.popitem(last=False)
        return [known[key] for key in keys]


@dataclass(frozen=True, slots=True)
class Towers:
    """What turns terms into vectors of one model. `stored` gives a picture's vector, or None."""

    model: str
    text: TextTower
    image: ImageTower
    preprocess: Preprocess
    decoder: Decoder
    stored: Callable[[int], Vectors | None]


def query_vector(terms: tuple[Term, ...], towers: Towers, cache: TextCache) -> Vectors:
    """The query vector (dim,) float32, L2-normalised, of at least one term.

    Raises UsageError for an example that cannot be read or terms that cancel each other out, and
    whatever the towers raise.
    """
    texts = [str(term.value) for term in terms if term.kind == "text"]
    encoded = iter(cache.get(towers.model, texts, towers.text)) if texts else iter(())
    total: Any = 0.0
    for term in terms:
        vector = next(encoded) if term.kind == "text" else _example(term, towers)
        length = float(np.linalg.norm(vector.astype(np.float64)))
        if not math.isfinite(length) or length < SHORTEST:
            raise UsageError(f"{_called(term)} has no direction to look in; ask for something else")
        weight = -term.weight if term.negative else term.weight
        total = total + weight / length * vector.astype(np.float64)
    length = float(np.linalg.norm(total))
    if length < SHORTEST * max(abs(term.weight) for term in terms) or length == 0.0:
        raise UsageError("the terms cancel each other out: nothing is left to look for")
    query: Vectors = (total / length).astype(np.float32)
    return query


def _called(term: Term) -> str:
    if term.kind == "text":
        return repr(term.value)
    if term.kind == "image":
        return term.name or "the example that was sent"
    return term.name or f"{term.kind} {term.value!r}"


def _example(term: Term, towers: Towers) -> Vectors:
    if isinstance(term.value, int):
        vector = towers.stored(term.value)
        if vector is None:
            raise UsageError(
                f"id:{term.value}: there is no picture of that id that can be an example;"
                " `imgq --json` shows the ids of pictures"
            )
        return vector
    data = term.value if isinstance(term.value, bytes) else fetch(term.value)
    with tempfile.TemporaryFile() as stream:
        stream.write(data)
        stream.flush()
        try:
            name = os.fsencode(term.name.encode("utf-8", "replace"))
            decoded = towers.decoder.decode(stream.fileno(), towers.preprocess, name=name)
        except ProblemError as problem:
            raise UsageError(
                f"the example {term.name or 'that was sent'} cannot be read as a picture"
                f" ({problem.reason}): {problem.message}"
            ) from problem
    vectors = towers.image.encode(decoded.pixels[None])
    return np.asarray(vectors[0], dtype=np.float32)


def parse_terms(items: list[dict[str, Any]]) -> tuple[Term, ...]:
    """The terms of a search request (see the API's SearchRequest). Raises UsageError."""
    return tuple(_term(item) for item in items)


def boxed(request: dict[str, Any]) -> list[dict[str, Any]]:
    """What `q` of a search request means, as the client reads it. Raises UsageError."""
    text = request.get("q", "")
    if not text.strip():
        return []
    try:
        return [{"text": text}] if request.get("literal") else box_terms(text)
    except ClientUsageError as error:
        raise UsageError(error.message) from None


def _term(item: dict[str, Any]) -> Term:
    kinds = [kind for kind in ("text", "image", "id", "url") if kind in item]
    if len(kinds) != 1:
        raise UsageError("a term has exactly one of text, image, id and url")
    kind = kinds[0]
    value: Any = item[kind]
    weight = item.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
        raise UsageError(f"the weight {weight!r} is not a finite number")
    fits = type(value) is int if kind == "id" else type(value) is str
    if not fits:
        raise UsageError(f"{kind}: {value!r} is not what a term of that kind holds")
    name = str(item.get("name") or "")
    if kind == "image":
        value = _from_base64(value, name or "picture")
    elif kind == "url":
        name = name or value
    return Term(kind, value, float(weight), bool(item.get("negative", False)), name)


def _from_base64(text: str, name: str) -> bytes:
    try:
        if len(text) % 4 or text.find("=", 0, -2) >= 0:
            raise ValueError
        # In pieces: decoding 100 MB at once would let no other thread run for half a second.
        data = b"".join(
            a2b_base64(text[start : start + BASE64_PIECE], strict_mode=True)
            for start in range(0, len(text), BASE64_PIECE)
        )
    except ValueError:
        raise UsageError(f"the example {name} is not base64") from None
    if not data:
        raise UsageError(f"the example {name} is empty; give a picture")
    return data

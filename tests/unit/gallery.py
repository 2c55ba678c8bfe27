"""For the tests of searching: a real store over real files, with vectors and facts as a test wants them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imgqd.library.commit import Gone, Known, New, Outcome, commit
from imgqd.library.identity import identify, signature_of
from imgqd.library.store import Store
from imgqd.records import Decoded, Ids, Job, Metadata, Picture, Pixels, Preprocess, Vectors
from imgqd.search.index import VectorIndex
from imgqd.search.query import Answer, Searcher, parse_request

DIM = 32
PREPROCESS = Preprocess(32, 32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def unit(rows: int, seed: int = 0, dim: int = DIM) -> Vectors:
    """Random unit vectors (rows, dim)."""
    vectors = np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)  # type: ignore[no-any-return]


class WordTower:
    """Gives every text a direction of its own; counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: list[str]) -> Vectors:
        """(n, DIM), one for each text."""
        self.asked += texts
        return np.concatenate(
            [unit(1, int.from_bytes(hashlib.sha256(t.encode()).digest()[:4], "big")) for t in texts]
        )


class NoTower:
    """For tests without example pictures."""

    def encode(self, pixels: Pixels) -> Vectors:
        raise AssertionError("no picture was to be encoded")

    def decode(self, fd: int, preprocess: Preprocess, *, name: bytes = b"") -> Decoded:
        raise AssertionError("no picture was to be decoded")


@dataclass(frozen=True)
class Model:
    id: str = "test-model"
    preprocess: Preprocess = PREPROCESS


@dataclass
class Keeper:
    index: VectorIndex


@dataclass
class Serving:
    """What a Searcher needs of a model."""

    artifact: Any
    model_id: int
    text: Any
    image: Any
    keeper: Keeper


class Gallery:
    """Pictures of one watched folder, `root`, each a small file with a vector."""

    def __init__(self, directory: str, *, kind: str = "auto") -> None:
        self.root = os.fsencode(os.path.join(directory, "photos"))
        os.makedirs(self.root, exist_ok=True)
        self.store = Store(os.path.join(directory, "library.db"))
        self.watch(self.root)
        self.model_id = self.store.model_id("test-model", "test", DIM)
        self.kind = kind
        self.words = WordTower()
        self.index = VectorIndex(DIM, kind=kind)
        self.stale: list[bytes] = []

    def watch(self, path: bytes) -> int:
        """Registers a folder; returns its row id."""
        found = identify(path)
        return self.store.add_folder(path, filesystem=found.filesystem, inode=found.inode).id

    def path(self, name: str | bytes) -> bytes:
        """Below the watched folder."""
        return os.path.join(self.root, os.fsencode(name))

    def add(
        self,
        name: str | bytes,
        vector: Vectors,
        *,
        modified: float | None = None,
        tags: Sequence[str] = (),
        **facts: Any,
    ) -> int:
        """Writes a file and indexes it; returns the picture's id."""
        return self.add_many([(name, vector, modified, tuple(tags), facts)])[0]

    def add_many(
        self,
        rows: Sequence[tuple[str | bytes, Vectors, float | None, Sequence[str], dict[str, Any]]],
    ) -> list[int]:
        """Many at once, in one transaction: (name, vector, modified, tags, facts)."""
        outcomes: list[Outcome] = []
        for name, vector, modified, _, facts in rows:
            path = self.path(name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as stream:
                stream.write(path + str(facts).encode())
            if modified is not None:
                os.utime(path, (modified, modified))
            metadata = Metadata(
                **{"width": 40, "height": 30, "format": "jpeg", "pixel_hash": path, **facts}
            )
            signature = signature_of(os.lstat(path))
            content = hashlib.sha256(path).digest()
            outcomes.append(
                New(Job(0, path, 0, 0), signature, content, metadata, self.model_id, vector)
            )
        changes = commit(self.store, outcomes)
        ids = list(changes.vectors)
        self.index.add(np.array(ids), np.stack(list(changes.vectors.values())))
        with self.store.write() as connection:
            for picture_id, row in zip(ids, rows, strict=True):
                connection.executemany(
                    "INSERT INTO tags VALUES (?, ?)", [(picture_id, tag) for tag in row[3]]
                )
        return ids

    def copy(self, picture_id: int, name: str | bytes) -> bytes:
        """Another file with the same content."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        source = self.store.pictures([picture_id])[picture_id].paths[0]
        with open(source, "rb") as there, open(path, "wb") as here:
            here.write(there.read())
        outcome = Known(Job(0, path, 0, 0), signature_of(os.lstat(path)), picture_id)
        commit(self.store, [outcome])
        return path

    def forget(self, name: str | bytes) -> None:
        """What the pipeline commits when a file is gone; the index is not told."""
        commit(self.store, [Gone(Job(0, self.path(name), 0, 0))])

    def picture(self, picture_id: int) -> Picture:
        """The picture as the library knows it."""
        return self.store.pictures([picture_id])[picture_id]

    def serving(self, **changed: Any) -> Serving:
        """The model, its words and its index."""
        parts = {
            "artifact": Model(),
            "model_id": self.model_id,
            "text": self.words,
            "image": NoTower(),
            "keeper": Keeper(self.index),
        }
        return Serving(**{**parts, **changed})

    def searcher(self, **changed: Any) -> Searcher:
        """A new searcher; what is stale is collected in `stale`."""
        options = {"decoder": NoTower(), "verify_deadline_ms": 5000, "on_stale": self.stale.extend}
        return Searcher(self.store, **{**options, **changed})

    def ask(self, *terms: dict[str, Any], **request: Any) -> Answer:
        """One query by a new searcher."""
        query = parse_request({"terms": list(terms), **request})
        return self.searcher().search(query, self.serving())

    def stored(self) -> tuple[Ids, Vectors]:
        """Everything that has a vector, as the library keeps it."""
        return self.store.vectors(self.model_id, self.store.vector_ids(self.model_id))


def ids_of(answer: Answer) -> list[int]:
    """The ids of the hits, in order."""
    return [hit.picture.id for hit in answer.hits]


def wait_for(true: Callable[[], bool]) -> None:
    """Waits until something is true."""
    import time

    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)

"""The category of each picture: the label whose text vector is nearest to the picture's own vector.

Zero-shot classification (Radford et al., arXiv 2103.00020, 3.1): nothing is decoded or encoded but
the labels, so 100,000 pictures take a few seconds. Computed after each commit, and for
all pictures when the labels or the model change. A person's own word for it is kept in `notes`.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from imgqd.library.store import Store
from imgqd.records import Ids, Vectors

BATCH = 5000
META = "categories_of"
# As in CLIP's own zero-shot use; the built-in model knows words rather than sentences.
TEMPLATE, PLAIN_TEMPLATE = "a photo of {}", "{}"


class Serving(Protocol):
    """A model that answers; see query.Serving."""

    @property
    def artifact(self) -> Any: ...

    @property
    def model_id(self) -> int: ...

    @property
    def text(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class _Labels:
    """The labels as one model sees them: row ids (n,) and vectors (n, dim)."""

    model_id: int
    ids: Ids
    vectors: Vectors


class Categories:
    """Keeps the computed categories of one library. Thread-safe."""

    def __init__(self, store: Store, labels: Sequence[str]) -> None:
        self._store = store
        self._names = list(dict.fromkeys(label.strip() for label in labels if label.strip()))
        self._lock = threading.Lock()
        self._labels: _Labels | None = None

    def fill(self, serving: Serving, stopped: Callable[[], bool] = lambda: False) -> int:
        """Gives every picture that has none its category; how many that were.

        Begins anew when the labels or the model are others than before.
        """
        with self._lock:
            labels = self._prepared(serving)
        done, last = 0, -1
        while not stopped():
            ids = self._missing(serving.model_id, last)
            if not len(ids):
                break
            last = int(ids[-1])
            vectors = self._store.vectors(serving.model_id, ids)
            with self._lock:
                if self._labels is not labels:
                    break  # another model has come; its own call goes on
                done += self._put(labels, *vectors)
        return done

    def add(self, serving: Serving, vectors: dict[int, Vectors]) -> None:
        """The same for pictures whose vectors (dim,) have just been stored; cheap.

        Does nothing while `fill` is still to come: it finds these too.
        """
        labels = self._labels
        if labels is None or labels.model_id != serving.model_id or not vectors:
            return
        ids = np.fromiter(vectors, dtype=np.int64, count=len(vectors))
        with self._lock:
            self._put(labels, ids, np.stack(list(vectors.values())))

    def _prepared(self, serving: Serving) -> _Labels:
        if self._labels is not None and self._labels.model_id == serving.model_id:
            return self._labels
        said = json.dumps([serving.artifact.id, self._names])
        digest = hashlib.blake2b(said.encode(), digest_size=16).hexdigest()
        if self._store.get_meta(META) != digest:
            self._begin_anew(digest)
        plain = str(serving.artifact.spec).startswith("builtin")
        template = PLAIN_TEMPLATE if plain else TEMPLATE
        rows = list(self._store.read("SELECT id, label FROM labels ORDER BY id"))
        vectors = np.zeros((0, 0), dtype=np.float32)
        if rows:
            vectors = serving.text.encode([template.format(row[1]) for row in rows])
        ids = np.fromiter((row[0] for row in rows), dtype=np.int64)
        self._labels = _Labels(serving.model_id, ids, vectors)
        return self._labels

    def _begin_anew(self, digest: str) -> None:
        with self._store.write() as connection:
            connection.execute("DELETE FROM categories")
            connection.execute("DELETE FROM labels")
            connection.executemany(
                "INSERT INTO labels (label) VALUES (?)", [(name,) for name in self._names]
            )
            connection.execute(
                "INSERT INTO meta VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (META, digest),
            )
            self._store.bump(connection)

    def _missing(self, model_id: int, after: int) -> Ids:
        rows = self._store.read(
            "SELECT v.picture_id FROM vectors v LEFT JOIN categories c USING (picture_id)"
            " WHERE v.model_id = ? AND v.picture_id > ? AND c.picture_id IS NULL"
            " ORDER BY v.picture_id LIMIT ?",
            (model_id, after, BATCH),
        )
        return np.fromiter((row[0] for row in rows), dtype=np.int64)

    def _put(self, labels: _Labels, ids: Ids, vectors: Vectors) -> int:
        if not len(ids) or not len(labels.ids):
            return 0
        best = labels.ids[np.argmax(vectors @ labels.vectors.T, axis=1)]
        with self._store.write() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO categories SELECT id, ?2 FROM pictures WHERE id = ?1",
                zip(ids.tolist(), best.tolist(), strict=True),
            )
            self._store.bump(connection)
        return len(ids)

"""The text tower, warm in the daemon: a text becomes a vector in milliseconds.

Responsible for tokenizing, for cutting texts where that is proven to change nothing, and for
keeping the tower small in memory. Where a model has no graph, a torch child runs the tower
(image.TowerProcess); this process imports no torch.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from imgqd.errors import ModelError, UsageError
from imgqd.models.artifact import Artifact
from imgqd.models.together import Together
from imgqd.models.tokenizer import Tokens, load_tokenizer
from imgqd.priority import ALL
from imgqd.records import Ids, Vectors

_LONGEST_TEXT = 20_000
# Eight texts at once cost half as much each as one alone, more hardly less; and who comes next
# waits for the batch that runs.
_BATCH = 16
_SHARE = 8
# What a run of the tower costs beside its tokens, in tokens: its weights are read from memory.
_RUN = 7


class TextEncoder:
    """Texts to vectors of one model. Thread-safe; texts that wait at the same time, of whatever
    calls, are encoded together."""

    def __init__(
        self, artifact: Artifact, *, threads: int = 2, gone: Callable[[], bool] = lambda: False
    ) -> None:
        """Loads the tower: tenths of a second, or seconds where torch runs it.

        `gone` tells in a caller's context that nobody waits for its texts any more. Raises
        ModelError when the tower cannot be run.
        """
        self.artifact = artifact
        self._tokenizer = load_tokenizer(artifact.path, artifact.manifest["tokenizer"])
        self._cut = bool(artifact.manifest["text"]["cut"])
        # Of the tokenizer; who holds the tower's may wait for it, never the other way round.
        self._words = threading.Lock()
        self._lock = threading.Lock()
        self._together = Together(self._encode, most=_BATCH, share=_SHARE, gone=gone)
        self._tower: _Graph | _Child | None
        if artifact.runtime == "torch":
            self._tower = _Child(artifact, threads)
        else:
            self._tower = _Graph(artifact, threads)
        # The first run is slow, and a tower that cannot run is better known now than then.
        self.encode(["warm"])

    def encode(self, texts: list[str]) -> Vectors:
        """(n, dim) float32, L2-normalised, in the order of `texts`.

        The same text has the same vector up to rounding (1e-6), whatever it is encoded with. Raises
        UsageError for a text that is empty, too long or not Unicode, ModelError when the tower
        fails or was closed, UnavailableError when the caller has gone away.
        """
        for text in texts:
            _check(text)
        if not texts:
            return np.zeros((0, self.artifact.dim), np.float32)
        return self._together(texts)

    def _encode(self, texts: list[str]) -> Vectors:
        with self._lock:
            if self._tower is None:
                raise ModelError(f"the text encoder of {self.artifact.id} is closed; ask again")
            with self._words:
                tokens = self._tokenizer(texts)
            vectors = np.empty((len(texts), self.artifact.dim), np.float32)
            for rows, length in self._runs(tokens):
                vectors[rows] = self._tower.run(np.ascontiguousarray(tokens[rows, :length]))
        return vectors

    def coverage(self, text: str) -> float:
        """The share, 0 to 1, of the words of `text` that the model's vocabulary knows."""
        _check(text)
        with self._words:
            return self._tokenizer.coverage(text)

    def close(self) -> None:
        """Frees the tower; encoding afterwards raises ModelError."""
        with self._lock:
            if self._tower is not None:
                self._tower.close()
                self._tower = None

    def _runs(self, tokens: Tokens) -> list[tuple[Ids, int]]:
        """(rows, length) of each run of the tower: texts of about the same length together, since
        all of a run are as long as its longest."""
        if not self._cut:
            return [(np.arange(len(tokens)), tokens.shape[1])]
        used = tokens != self._tokenizer.pad
        lengths = np.where(used.any(axis=1), tokens.shape[1] - used[:, ::-1].argmax(axis=1), 1)
        order = np.argsort(lengths, kind="stable")
        ends = _divided([int(length) for length in lengths[order]])
        return [(order[start:end], int(lengths[order[end - 1]])) for start, end in pairwise(ends)]


def _divided(lengths: list[int]) -> list[int]:
    """Where to divide ascending lengths into runs, the ends included, at the least cost."""
    costs, before = [0], [0]
    for end in range(1, len(lengths) + 1):
        cost, start = min(
            (costs[start] + _RUN + (end - start) * lengths[end - 1], start) for start in range(end)
        )
        costs.append(cost)
        before.append(start)
    ends = [len(lengths)]
    while ends[-1]:
        ends.append(before[ends[-1]])
    return ends[::-1]


class _Graph:
    """text.onnx in onnxruntime, on few threads that sleep between queries."""

    def __init__(self, artifact: Artifact, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, threads)
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Idle means idle: by default the threads spin for a while after each run.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # An arena would keep the memory of the longest batch there ever was.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        self._table = _Table(artifact)
        self._table.lend(onnxruntime, options)
        try:
            self._session = onnxruntime.InferenceSession(
                artifact.file("text.onnx"), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors share no base of their own
            raise ModelError(
                f"the text tower of {artifact.id} cannot be loaded: {error}; remove "
                f"{artifact.path} and start again"
            ) from error
        self._id = artifact.id

    def run(self, tokens: Tokens) -> Vectors:
        try:
            vectors: Vectors = self._session.run(None, {"tokens": tokens})[0]
        except Exception as error:
            raise ModelError(
                f"the text tower of {self._id} failed: {error}; start the daemon again"
            ) from error
        finally:
            self._table.forget()
        return vectors

    def close(self) -> None:
        del self._session


class _Table:
    """The token embedding, mapped from the artifact's file instead of loaded.

    A query reads a handful of its rows, but the kernel maps up to 2 MB around each of them (large
    folios in the page cache), and 70 words would count as 80 MB of this process's memory. So the
    mapping is ours, and is given back after every run; the page cache keeps the file.
    """

    def __init__(self, artifact: Artifact) -> None:
        where: dict[str, Any] | None = artifact.manifest["text"].get("embedding")
        self._map: mmap.mmap | None = None
        self._value: Any = None
        if where is None:
            return
        self._name = str(where["initializer"])
        with open(artifact.file(os.path.basename(where["file"])), "rb") as stream:
            self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        count = int(np.prod(where["shape"]))
        self._array = np.frombuffer(self._map, np.float32, count, int(where["offset"]))
        self._array = self._array.reshape(where["shape"])

    def lend(self, onnxruntime: Any, options: Any) -> None:
        if self._map is not None:
            self._value = onnxruntime.OrtValue.ortvalue_from_numpy(self._array)
            options.add_initializer(self._name, self._value)

    def forget(self) -> None:
        if self._map is not None and hasattr(self._map, "madvise"):
            self._map.madvise(mmap.MADV_DONTNEED)


class _Child:
    """The tower in a torch child, for models without a graph."""

    def __init__(self, artifact: Artifact, threads: int) -> None:
        from imgqd.models.image import TowerProcess

        self._process = TowerProcess(
            artifact, tower="text", device="cpu", threads=threads, share=ALL
        )

    def run(self, tokens: Tokens) -> Vectors:
        return self._process.run(tokens)

    def close(self) -> None:
        self._process.close()


def _check(text: str) -> None:
    if not text.strip():
        raise UsageError("an empty text describes no picture; say what is to be seen in it")
    if len(text) > _LONGEST_TEXT:
        raise UsageError(
            f"a text of {len(text)} characters is too long; at most {_LONGEST_TEXT} are read"
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(
            "the text is not valid Unicode; check the encoding of the terminal (LANG)"
        ) from None

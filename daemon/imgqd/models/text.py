"""The text tower, warm in the daemon: a text becomes a vector in milliseconds.

Responsible for tokenizing, for cutting texts where that is proven to change nothing, and for
keeping the tower small in memory. Where a model has no graph, a torch child runs the tower
(image.TowerProcess); this process imports no torch.
"""

from __future__ import annotations

import mmap
import os
import threading
from typing import Any

import numpy as np

from imgqd.errors import ModelError, UsageError
from imgqd.models.artifact import Artifact
from imgqd.models.tokenizer import Tokens, load_tokenizer
from imgqd.records import Vectors

_LONGEST_TEXT = 20_000
_BATCH = 32


class TextEncoder:
    """Texts to vectors of one model. Thread-safe; texts of one call are encoded together."""

    def __init__(self, artifact: Artifact, *, threads: int = 2) -> None:
        """Loads the tower: tenths of a second, or seconds where torch runs it.

        Raises ModelError when it cannot be run.
        """
        self.artifact = artifact
        self._tokenizer = load_tokenizer(artifact.path, artifact.manifest["tokenizer"])
        self._cut = bool(artifact.manifest["text"]["cut"])
        self._lock = threading.Lock()
        self._tower: _Graph | _Child | None
        if artifact.runtime == "torch":
            self._tower = _Child(artifact, threads)
        else:
            self._tower = _Graph(artifact, threads)
        # The first run is slow, and a tower that cannot run is better known now than then.
        self.encode(["warm"])

    def encode(self, texts: list[str]) -> Vectors:
        """(n, dim) float32, L2-normalised, in the order of `texts`.

        Raises UsageError for a text that is empty, too long or not Unicode, ModelError when the
        tower fails or was closed.
        """
        for text in texts:
            _check(text)
        if not texts:
            return np.zeros((0, self.artifact.dim), np.float32)
        with self._lock:
            if self._tower is None:
                raise ModelError(f"the text encoder of {self.artifact.id} is closed; ask again")
            tokens = self._tokenizer(texts)
            parts = [
                self._tower.run(self._shortened(tokens[start : start + _BATCH]))
                for start in range(0, len(texts), _BATCH)
            ]
        return np.concatenate(parts).astype(np.float32, copy=False)

    def coverage(self, text: str) -> float:
        """The share, 0 to 1, of the words of `text` that the model's vocabulary knows."""
        _check(text)
        with self._lock:
            return self._tokenizer.coverage(text)

    def close(self) -> None:
        """Frees the tower; encoding afterwards raises ModelError."""
        with self._lock:
            if self._tower is not None:
                self._tower.close()
                self._tower = None

    def _shortened(self, tokens: Tokens) -> Tokens:
        if not self._cut:
            return tokens
        used = np.flatnonzero((tokens != self._tokenizer.pad).any(axis=0))
        return np.ascontiguousarray(tokens[:, : (int(used[-1]) + 1 if used.size else 1)])


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

        self._process = TowerProcess(artifact, tower="text", device="cpu", threads=threads)

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

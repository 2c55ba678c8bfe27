"""One thread between the decoders and the commits: gathers decoded pictures and has them encoded.

What becomes of the outcomes, and of pictures whose encoder fails for now, is the pipeline's business.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import structlog

from imgqd.errors import ImgqError, ProblemError
from imgqd.indexing.look import problem_outcome
from imgqd.library.commit import Failed, New, Outcome
from imgqd.records import Job, Metadata, Pixels, Preprocess, Signature, Vectors

log = structlog.get_logger("indexing")

# Decoded pictures that may wait for the encoder.
MOST_DECODED = 64


class Encoder(Protocol):
    """The part of models.image.ImageEncoder that is used here."""

    def encode(self, pixels: Pixels) -> Vectors: ...


@dataclass(frozen=True, slots=True)
class Encoding:
    """A model as the pipeline needs it: its row in the library, preprocessing and encoder."""

    model_id: int
    preprocess: Preprocess
    encoder: Encoder
    batch: int


@dataclass(frozen=True, slots=True)
class Ready:
    """A decoded picture on its way to the encoder."""

    job: Job
    signature: Signature
    content_hash: bytes
    metadata: Metadata
    pixels: Pixels
    encoding: Encoding
    sidecar: tuple[bytes, Signature] | None
    placeholder: bytes | None


class EncodeRoom:
    """Encodes what is put in, in batches, in order. `encoded` counts pictures; `failure` says why
    pictures cannot be encoded now, None while they can.

    `finish` is called with each outcome and its content, `on_failure` with a batch that is to be
    tried again, `more_may_come` tells whether decoders are at work, and `on_encoded` is told the
    number of pictures and the seconds of each batch.
    """

    def __init__(
        self,
        *,
        finish: Callable[[Outcome, bytes], None],
        on_failure: Callable[[list[Ready]], None],
        more_may_come: Callable[[], bool],
        on_encoded: Callable[[int, float], None],
    ) -> None:
        self._finish = finish
        self._on_failure = on_failure
        self._more_may_come = more_may_come
        self._on_encoded = on_encoded
        self._queue: queue.Queue[Ready | None] = queue.Queue(maxsize=MOST_DECODED)
        self._thread = threading.Thread(target=self._run, name="encode", daemon=True)
        self.encoded = 0
        self.failure: str | None = None

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def put(self, item: Ready) -> None:
        """Adds a picture; waits while too many are there already."""
        self._queue.put(item)

    def stop(self, timeout: float) -> None:
        """Ends once what was put in is encoded, or after `timeout` seconds."""
        self._queue.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, ended = self._gather(first)
            self._encode_safely(batch)
            if ended:
                return

    def _gather(self, first: Ready) -> tuple[list[Ready], bool]:
        """A batch for the encoder: it waits for more only while decoders are at work."""
        batch = [first]
        deadline = time.monotonic() + 0.25
        while len(batch) < first.encoding.batch:
            try:
                wait = 0.01 if self._more_may_come() and time.monotonic() < deadline else 0.0
                item = self._queue.get(timeout=wait) if wait else self._queue.get_nowait()
            except queue.Empty:
                if wait:
                    continue
                break
            if item is None:
                return batch, True
            if item.encoding is not first.encoding:
                self._encode_safely(batch)
                batch, first = [item], item
                continue
            batch.append(item)
        return batch, False

    def _encode_safely(self, batch: list[Ready]) -> None:
        try:
            self._encode(batch)
        except Exception as error:  # a defect of ours must cost a batch, not the thread
            log.exception("a batch could not be encoded")
            for item in batch:
                detail = f"internal error: {error!r}"
                self._finish(Failed(item.job, None, "failed", detail), item.content_hash)

    def _encode(self, batch: list[Ready]) -> None:
        encoding = batch[0].encoding
        began = time.monotonic()
        try:
            vectors = encoding.encoder.encode(np.stack([item.pixels for item in batch]))
        except ImgqError as error:
            if self.failure != error.message:
                self.failure = error.message
                log.error("pictures cannot be encoded", reason=error.message)
            self._on_failure(batch)
            return
        self.failure = None
        self.encoded += len(batch)
        self._on_encoded(len(batch), time.monotonic() - began)
        for item, vector in zip(batch, vectors, strict=True):
            if not np.isfinite(vector).all():
                bad = ProblemError("corrupt", "the model gives no usable vector for it")
                self._finish(problem_outcome(item.job, item.signature, bad), item.content_hash)
                continue
            self._finish(
                New(
                    item.job,
                    item.signature,
                    item.content_hash,
                    item.metadata,
                    encoding.model_id,
                    vector,
                    item.sidecar,
                    item.placeholder,
                ),
                item.content_hash,
            )

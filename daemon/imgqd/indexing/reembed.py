"""Gives pictures that are already known their vectors of another model (or ones that went missing).

Reads each picture again from one of its files, decodes and encodes it, and stores the vectors. A
picture that cannot be read now is skipped; it is found missing again the next time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import structlog

from imgqd.errors import ProblemError
from imgqd.indexing.encoding import Encoding
from imgqd.indexing.look import Decoder
from imgqd.library.identity import signature_of
from imgqd.library.store import Store
from imgqd.records import Pixels

log = structlog.get_logger("indexing")


class Stopped(Exception):
    """The work was called off: another model was asked for, or the daemon stops."""


def embed_missing(
    store: Store,
    decoder: Decoder,
    encoding: Encoding,
    *,
    workers: int,
    stopped: Callable[[], bool],
    wait_while_paused: Callable[[], None],
    on_progress: Callable[[int], None],
    on_encoded: Callable[[int, float], None],
) -> list[int]:
    """Embeds every live picture without a vector of `encoding`'s model; returns the ids it skipped.

    `on_progress` gets the number of pictures embedded so far, `on_encoded` the number and the
    seconds of each batch. Raises Stopped when `stopped` says
    so, ModelError when the encoder fails for good.
    """
    skipped: list[int] = []
    done = 0
    with ThreadPoolExecutor(workers, thread_name_prefix="reembed") as pool:
        for ids in _batches(store, encoding):
            if stopped():
                raise Stopped
            wait_while_paused()
            decoded = list(pool.map(lambda i: _decode(store, decoder, encoding, i), ids))
            usable = [
                (picture_id, pixels)
                for picture_id, pixels in zip(ids, decoded, strict=True)
                if pixels is not None
            ]
            skipped.extend(set(ids) - {picture_id for picture_id, _ in usable})
            if not usable:
                continue
            began = time.monotonic()
            vectors = encoding.encoder.encode(np.stack([pixels for _, pixels in usable]))
            on_encoded(len(usable), time.monotonic() - began)
            store.put_vectors(encoding.model_id, [i for i, _ in usable], vectors)
            done += len(usable)
            on_progress(done)
    return skipped


def _batches(store: Store, encoding: Encoding) -> Iterator[list[int]]:
    after = 0
    while ids := store.missing_vectors(encoding.model_id, after, encoding.batch):
        yield ids
        after = ids[-1]


def _decode(store: Store, decoder: Decoder, encoding: Encoding, picture_id: int) -> Pixels | None:
    """The pixels of a picture from the first of its files that is still what it was."""
    picture = store.pictures([picture_id]).get(picture_id)
    for path in picture.paths if picture else []:
        row = store.file(path)
        try:
            fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError:
            continue
        try:
            if row is None or signature_of(os.fstat(fd)) != row.signature:
                continue
            return decoder.decode(fd, encoding.preprocess, name=os.path.basename(path)).pixels
        except ProblemError as error:
            log.warning("a picture cannot be embedded again", path=path, reason=error.reason)
        finally:
            os.close(fd)
    return None

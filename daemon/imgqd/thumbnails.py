"""The cache of thumbnails: made when first asked for, by the decoder processes, bounded on disk.

A thumbnail is named by the picture's content and its size, so it never goes stale. The oldest ones
are removed when the cache is too large.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import apsw
import structlog

from imgqd.errors import NotFoundError, ProblemError
from imgqd.indexing.decode import DecoderPool
from imgqd.library.identity import signature_of
from imgqd.library.store import Store
from imgqd.records import Picture

log = structlog.get_logger("daemon")

SIDES = (64, 128, 256, 512, 1024, 2048)
FORMATS = ("webp", "png", "jpeg")


class Thumbnails:
    """Thread-safe; `limit` in bytes."""

    def __init__(self, store: Store, directory: str, decoder: DecoderPool, *, limit: int) -> None:
        self._store = store
        self._directory = directory
        self._decoder = decoder
        self._limit = limit
        self._lock = threading.Lock()
        self._written = limit
        # A lock for each thumbnail that is being made, and how many hold it or wait for it.
        self._making: dict[str, tuple[threading.Lock, int]] = {}

    def get(self, picture: Picture, side: int, format: str = "webp") -> tuple[bytes, str]:
        """A thumbnail whose longer side is at most `side` pixels, and its entity tag.

        Raises NotFoundError when none of the picture's files can be read as what it was.
        """
        side = next((known for known in SIDES if known >= side), SIDES[-1])
        tag = f"{picture.content_hash.hex()}-{side}"
        folder = os.path.join(self._directory, tag[:2])
        path = os.path.join(folder, f"{tag}.{format}")
        data = _read(path)
        if data is None:
            with self._alone(path):
                data = _read(path)
                if data is None:
                    data = self._make(picture, side, format)
                    self._write(folder, path, data)
        return data, f'"{tag}-{format}"'

    @contextmanager
    def _alone(self, path: str) -> Iterator[None]:
        """One at a time for each thumbnail: who comes second finds it made."""
        with self._lock:
            lock, users = self._making.get(path, (threading.Lock(), 0))
            self._making[path] = lock, users + 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                _, users = self._making.pop(path)
                if users > 1:
                    self._making[path] = lock, users - 1

    def _write(self, folder: str, path: str, data: bytes) -> None:
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            temporary = f"{path}.{threading.get_ident()}"
            with open(temporary, "wb") as stream:
                stream.write(data)
            os.replace(temporary, path)
            self._count(len(data))
        except OSError:  # a full disk costs the cache, not the answer
            pass

    def _make(self, picture: Picture, side: int, format: str) -> bytes:
        for path in picture.paths:
            row = self._store.file(path)
            try:
                fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
            except OSError:
                continue
            try:
                if row is not None and signature_of(os.fstat(fd)) == row.signature:
                    data, cells = self._decoder.miniature(
                        fd, side, name=os.path.basename(path), format=format
                    )
                    self._keep(picture.id, cells)
                    return data
            except ProblemError:
                continue
            finally:
                os.close(fd)
        raise NotFoundError(f"picture {picture.id} cannot be read now; its files moved or changed")

    def _keep(self, picture_id: int, placeholder: bytes) -> None:
        """Pictures from before there were placeholders get theirs here."""
        try:
            self._store.put_placeholder(picture_id, placeholder)
        except apsw.Error as error:
            log.warning("a placeholder could not be kept", picture=picture_id, error=str(error))

    def _count(self, size: int) -> None:
        """Looks at the whole cache now and then, and removes the oldest tenth when it is too large."""
        with self._lock:
            self._written += size
            if self._written < self._limit // 20:
                return
            self._written = 0
        found = []
        for directory, _, names in os.walk(self._directory):
            for name in names:
                try:
                    status = os.stat(os.path.join(directory, name))
                except OSError:
                    continue
                found.append((status.st_mtime, status.st_size, os.path.join(directory, name)))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._limit * 9 // 10:
                break
            os.unlink(path)
            total -= size


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return None

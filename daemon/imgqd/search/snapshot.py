"""Snapshots of the index on disk: written beside, checked, and believed only when every bit is right.

FAISS does not report a full disk and loads a flipped byte silently, so the bytes go through a
writer of our own, and the checksum is verified before FAISS sees any of them. Memory-mapping is
not used: a file that is cut under a mapping kills the process.

One file: a line that names the format, a line of JSON (the manifest), what FAISS writes, and the
SHA-256 of all that.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

import faiss

FORMAT = b"imgq index snapshot 1\n"
FILE = "vectors.snapshot"
CHUNK = 1 << 20
LONGEST_MANIFEST = 1 << 16
_callbacks: Any = faiss  # its type hints know nothing of reading and writing by callback
DIGEST = hashlib.sha256().digest_size


class SnapshotError(Exception):
    """The snapshot cannot be used; the message says why. The index is then made anew."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot holds. `kind` is the kind in use: exact, compact or a factory string."""

    kind: str
    dim: int
    count: int
    model_id: str
    library_id: str


class _Hashed:
    """Writes to a file and hashes what it writes; FAISS calls it, so errors wait to be raised."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.hash = hashlib.sha256()
        self.error: OSError | None = None

    def __call__(self, data: bytes) -> int:
        try:
            self._stream.write(data)
        except OSError as error:
            self.error = error
            raise
        self.hash.update(data)
        return len(data)


def write_snapshot(directory: str, index: Any, manifest: Manifest) -> Unsynced:
    """Writes `index` beside the snapshot; `Unsynced.publish` puts it in its place.

    In two steps, because only the first needs the index to hold still. Raises OSError (a full disk
    included); then nothing is left behind and the last snapshot is as it was.
    """
    os.makedirs(directory, mode=0o700, exist_ok=True)
    temporary = os.path.join(directory, FILE + ".new")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o600)
    pending = Unsynced(directory, temporary, open(descriptor, "wb", buffering=CHUNK))  # noqa: SIM115
    try:
        writer = _Hashed(pending.stream)
        writer(FORMAT)
        writer(json.dumps(asdict(manifest)).encode() + b"\n")
        try:
            faiss.write_index(index, _callbacks.PyCallbackIOWriter(writer, CHUNK))
        except Exception:
            if writer.error is not None:
                raise writer.error from None
            raise
        pending.stream.write(writer.hash.digest())
        pending.stream.flush()
    except BaseException:
        pending.discard()
        raise
    return pending


class Unsynced:
    """A snapshot that is written but not yet on the disk, nor in its place."""

    def __init__(self, directory: str, temporary: str, stream: BinaryIO) -> None:
        self._directory = directory
        self._temporary = temporary
        self.stream = stream

    def publish(self) -> None:
        """Flushes to the disk and replaces the last snapshot. Raises OSError."""
        try:
            os.fsync(self.stream.fileno())
            self.stream.close()
            os.replace(self._temporary, os.path.join(self._directory, FILE))
        except BaseException:
            self.discard()
            raise
        _sync_directory(self._directory)

    def discard(self) -> None:
        """Leaves nothing behind."""
        with contextlib.suppress(OSError):
            self.stream.close()
        with contextlib.suppress(OSError):
            os.unlink(self._temporary)


def _sync_directory(directory: str) -> None:
    if os.name == "nt":
        return  # Windows opens no directories; its renames are journalled
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_snapshot(directory: str) -> tuple[Any, Manifest]:
    """The FAISS index and its manifest. Raises SnapshotError, and FileNotFoundError for none."""
    path = os.path.join(directory, FILE)
    try:
        with open(path, "rb") as stream:
            end = _verify(stream)
            stream.seek(0)
            manifest = _read_manifest(stream)
            return _read_faiss(stream, end, manifest), manifest
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SnapshotError(f"it cannot be read: {error}") from error


def _verify(stream: BinaryIO) -> int:
    """Reads everything once; returns where the checksum begins."""
    end = os.fstat(stream.fileno()).st_size - DIGEST
    if end <= len(FORMAT):
        raise SnapshotError("it is empty or cut")
    if stream.read(len(FORMAT)) != FORMAT:
        raise SnapshotError("it is damaged or of another version")
    seen = hashlib.sha256(FORMAT)
    left = end - len(FORMAT)
    while left:
        data = stream.read(min(CHUNK, left))
        if not data:
            raise SnapshotError("it was cut while it was read")
        seen.update(data)
        left -= len(data)
    if stream.read(DIGEST) != seen.digest():
        raise SnapshotError("its checksum is wrong: it is damaged or cut")
    return end


def _read_manifest(stream: BinaryIO) -> Manifest:
    stream.seek(len(FORMAT))
    try:
        return Manifest(**json.loads(stream.readline(LONGEST_MANIFEST)))
    except (ValueError, TypeError) as error:
        raise SnapshotError(f"its manifest makes no sense: {error}") from error


def _read_faiss(stream: BinaryIO, end: int, manifest: Manifest) -> Any:
    def read(size: int) -> bytes:
        return stream.read(min(size, end - stream.tell()))

    try:
        index = faiss.read_index(_callbacks.PyCallbackIOReader(read, CHUNK))
    except Exception as error:  # FAISS raises RuntimeError, or what the callback raised
        raise SnapshotError(f"FAISS cannot read it: {error}") from error
    if (
        not isinstance(index, faiss.IndexIDMap)
        or index.d != manifest.dim
        or index.ntotal != manifest.count
        or index.id_map.size() != manifest.count
    ):
        raise SnapshotError("what is in it is not what its manifest says")
    return index

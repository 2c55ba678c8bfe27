"""One look at one path: lstat, settle, read and hash once, and find out what has to be done.

A look never writes: it returns an Outcome for commit.py, or a Pending picture for the encoder, or
says when to look again. Decoding happens in disposable processes (decode.py).
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from imgqd.errors import ProblemError
from imgqd.indexing.decode_answer import Sidecar
from imgqd.indexing.formats import by_name, sniff
from imgqd.indexing.sidecars import read_beside
from imgqd.library.commit import Described, Failed, Gone, Known, Other, Outcome, Retouched, Same
from imgqd.library.identity import signature_of
from imgqd.library.sidecars import described, is_sidecar
from imgqd.library.store import Store
from imgqd.records import Decoded, FileRow, Job, Metadata, Preprocess, Signature

# Two writes within one tick of the filesystem's clock leave equal times (git calls it "racy"), so
# nothing younger than a tick is believed. FAT has ticks of two seconds and only whole ones.
TICK_S = 0.02
COARSE_TICK_S = 2.1


class Territory(Protocol):
    """What is ours: below a watched folder and not excluded."""

    def owns(self, path: bytes) -> bool:
        """True when a file at this path belongs in the library."""

    def is_away(self, path: bytes) -> bool:
        """True when the drive of this path is not there: what is at the path now says nothing."""

    def gone_for_sure(self, path: bytes) -> bool:
        """True when a path that lstat did not find is deleted, not merely on a drive that is away."""


class Decoder(Protocol):
    """The part of decode.DecoderPool that a look needs."""

    def decode(self, fd: int, preprocess: Preprocess, *, name: bytes = b"") -> Decoded: ...

    def inspect(self, fd: int, *, name: bytes = b"", like: bytes | None = None) -> Metadata: ...

    def sidecar(self, fd: int) -> Sidecar: ...


@dataclass(frozen=True, slots=True)
class Pending:
    """A picture that was read and hashed and wants decoding and encoding."""

    job: Job
    signature: Signature
    content_hash: bytes
    fd: int


@dataclass(frozen=True, slots=True)
class Later:
    """Look again after so many seconds: the file is still being written, or was just touched."""

    job: Job
    delay_s: float


class Looker:
    """Looks at paths. Thread-safe: the state that is shared is guarded."""

    def __init__(
        self,
        store: Store,
        territory: Territory,
        decoder: Decoder,
        *,
        settle_s: float,
        max_bytes: int,
        follow_links: bool,
        on_directory: Callable[[bytes], None],
    ) -> None:
        self._store = store
        self._territory = territory
        self._decoder = decoder
        self._settle_s = settle_s
        self._max_bytes = max_bytes
        self._follow_links = follow_links
        self._on_directory = on_directory
        self._flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
        if not follow_links:
            self._flags |= getattr(os, "O_NOFOLLOW", 0)
        # path -> (signature, monotonic time of the first look that saw it), for files whose times
        # lie in the future: those settle when two looks agree.
        self._seen: dict[bytes, tuple[Signature, float]] = {}
        self._lock = threading.Lock()

    def look(self, job: Job) -> Outcome | Pending | Later:
        """Looks once. OSErrors that may pass are raised; everything else has an answer."""
        path = job.path
        if not self._territory.owns(path):
            return Gone(job)
        if self._territory.is_away(path):
            return Same(job)
        try:
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode):
                if not self._follow_links:
                    return Gone(job)
                found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            if not self._territory.gone_for_sure(path):
                return Same(job)
            return self._describe(job, None) if is_sidecar(path) else Gone(job)
        except OSError as error:
            if error.errno == errno.ELOOP:
                return Gone(job)
            if error.errno in (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG):
                return Failed(job, None, "unreadable", f"{os.strerror(error.errno)}")
            raise
        if stat.S_ISDIR(found.st_mode):
            self._on_directory(path)
            return Gone(job)
        if not stat.S_ISREG(found.st_mode):
            return Gone(job)
        signature = signature_of(found)
        row = self._store.file(path)
        if row is not None and row.signature == signature and row.state != "pending":
            return Same(job)
        delay = self._unsettled(path, signature)
        if delay > 0:
            return Later(job, delay)
        if is_sidecar(path):
            return self._describe(job, signature)
        return self._read(job, signature, row)

    def _describe(self, job: Job, signature: Signature | None) -> Outcome:
        """A sidecar came, changed or went: its pictures' metadata is read again, nothing encoded."""
        read: list[tuple[int, Metadata | None]] = []
        for path, picture_id in described(self._store.reader(), job.path):
            metadata = None
            try:
                fd = os.open(path, self._flags)
            except OSError:
                read.append((picture_id, None))
                continue
            try:
                held = self._store.pixel_hash(picture_id)
                found = self._decoder.inspect(fd, name=os.path.basename(path), like=held)
                # Another content than the library knows of: a look of its own is to come.
                if found.pixel_hash == held:
                    metadata, _ = read_beside(self._decoder, path, found)
            except ProblemError:
                pass
            finally:
                os.close(fd)
            read.append((picture_id, metadata))
        return Described(job, signature, tuple(read))

    def _unsettled(self, path: bytes, signature: Signature) -> float:
        """Seconds until a file may be read; 0 when it has been the same for long enough."""
        coarse = signature.mtime_ns % 10**9 == 0 and signature.ctime_ns % 10**9 == 0
        wanted = max(self._settle_s, COARSE_TICK_S if coarse else TICK_S)
        now = time.time()
        changed = signature.ctime_ns / 1e9
        if signature.mtime_ns / 1e9 <= now:
            changed = max(changed, signature.mtime_ns / 1e9)
        age = now - changed
        with self._lock:
            if age >= wanted:
                self._seen.pop(path, None)
                return 0.0
            before = self._seen.get(path)
            if before is not None and before[0] == signature:
                waited = time.monotonic() - before[1]
                if waited >= wanted:
                    del self._seen[path]
                    return 0.0
                return wanted - waited + 0.005
            if len(self._seen) > 100_000:
                self._seen.clear()
            self._seen[path] = (signature, time.monotonic())
        return min(wanted, wanted - age + 0.005) if age >= 0 else wanted

    def _read(
        self, job: Job, signature: Signature, row: FileRow | None
    ) -> Outcome | Pending | Later:
        path, name = job.path, os.path.basename(job.path)
        if signature.size > self._max_bytes:
            if by_name(name) is None:
                return Other(job, signature)
            return Failed(
                job,
                signature,
                "too-large",
                f"{signature.size:,} bytes; see the setting max_file_mb",
            )
        try:
            fd = os.open(path, self._flags)
        except (PermissionError, FileNotFoundError) as error:
            if isinstance(error, PermissionError):
                return Failed(job, signature, "unreadable", "permission denied")
            return Later(job, 0.0)
        keep = False
        try:
            if signature_of(os.fstat(fd)) != signature:
                return Later(job, self._settle_s)
            head = os.pread(fd, 64, 0) if hasattr(os, "pread") else os.read(fd, 64)
            if sniff(head) is None and by_name(name) is None:
                return Other(job, signature)
            if signature.size == 0:
                return Failed(job, signature, "corrupt", "the file is empty")
            content_hash = hash_file(fd)
            if signature_of(os.fstat(fd)) != signature:
                return Later(job, self._settle_s)
            known = self._store.picture_by_content(content_hash)
            if known is not None:
                return Known(job, signature, known)
            if row is not None and row.picture_id is not None:
                held = self._store.pixel_hash(row.picture_id)
                metadata = self._decoder.inspect(fd, name=name, like=held)
                if metadata.pixel_hash == held:
                    joined, sidecar = read_beside(self._decoder, path, metadata)
                    return Retouched(job, signature, content_hash, joined, row.picture_id, sidecar)
            keep = True
            return Pending(job, signature, content_hash, fd)
        except ProblemError as error:
            return problem_outcome(job, signature, error)
        finally:
            if not keep:
                os.close(fd)

    def decode(self, pending: Pending, preprocess: Preprocess) -> Decoded | Outcome | Later:
        """Decodes a pending picture and closes its file."""
        try:
            decoded = self._decoder.decode(
                pending.fd, preprocess, name=os.path.basename(pending.job.path)
            )
            if signature_of(os.fstat(pending.fd)) != pending.signature:
                return Later(pending.job, self._settle_s)
            metadata, sidecar = read_beside(self._decoder, pending.job.path, decoded.metadata)
            return dataclasses.replace(decoded, metadata=metadata, sidecar=sidecar)
        except ProblemError as error:
            if signature_of(os.fstat(pending.fd)) != pending.signature:
                return Later(pending.job, self._settle_s)
            return problem_outcome(pending.job, pending.signature, error)
        finally:
            os.close(pending.fd)

    def abandon(self, pending: Pending) -> None:
        """Closes the file of a pending picture that is not decoded now."""
        os.close(pending.fd)


def problem_outcome(job: Job, signature: Signature, error: ProblemError) -> Outcome:
    """A file that is no picture or too small a one is left out; every other failure is a problem."""
    if error.reason == "too-small":
        return Other(job, signature)
    return Failed(job, signature, error.reason, error.message)


def hash_file(fd: int) -> bytes:
    """BLAKE2b-160 of the whole file, read in pieces from the start."""
    with open(fd, "rb", buffering=0, closefd=False) as stream:
        stream.seek(0)
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=20)).digest()

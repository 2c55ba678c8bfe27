"""Sidecars: the `.xmp` file beside a picture, in which programs write what they do not write in it.

Which file is read, and how what it says joins what the picture says of itself. Reading the XMP is
the decoder processes' work; which sidecar is of which picture is library/sidecars.py's.
"""

from __future__ import annotations

import dataclasses
import os
import stat
from typing import Protocol

import structlog

from imgqd.errors import ProblemError
from imgqd.indexing.decode_answer import Sidecar
from imgqd.library.identity import signature_of
from imgqd.library.sidecars import names_beside
from imgqd.records import Metadata, Signature

log = structlog.get_logger("indexing")

MOST_BYTES = 8 << 20


class Decoder(Protocol):
    """The part of decode.DecoderPool that is needed here."""

    def sidecar(self, fd: int) -> Sidecar: ...


def read_beside(
    decoder: Decoder, path: bytes, metadata: Metadata
) -> tuple[Metadata, tuple[bytes, Signature] | None]:
    """What a picture and its sidecar say together, and which sidecar that was, if any.

    A sidecar that cannot be read says nothing. Raises UnavailableError.
    """
    flags = os.O_RDONLY
    for flag in ("O_NONBLOCK", "O_CLOEXEC", "O_NOFOLLOW"):
        flags |= getattr(os, flag, 0)
    for name in names_beside(path):
        try:
            fd = os.open(name, flags)
        except OSError:
            continue
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
                continue
            try:
                metadata = joined(metadata, decoder.sidecar(fd))
            except ProblemError as error:
                log.warning("a sidecar cannot be read", path=name, reason=error.reason)
            return metadata, (name, signature_of(found))
        finally:
            os.close(fd)
    return metadata, None


def joined(metadata: Metadata, sidecar: Sidecar) -> Metadata:
    """Words, stars and place are the sidecar's where it has them: that is where they are edited.
    What the camera noted is the file's where it has it."""
    taken = (metadata.taken, metadata.taken_offset)
    if metadata.taken is None:
        taken = (sidecar.taken, sidecar.taken_offset)
    return dataclasses.replace(
        metadata,
        taken=taken[0],
        taken_offset=taken[1],
        camera=metadata.camera or sidecar.camera,
        lens=metadata.lens or sidecar.lens,
        gps=sidecar.gps or metadata.gps,
        title=sidecar.title or metadata.title,
        description=sidecar.description or metadata.description,
        keywords=sidecar.keywords or metadata.keywords,
        rating=metadata.rating if sidecar.rating is None else sidecar.rating,
    )

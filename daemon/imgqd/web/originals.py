"""An indexed picture's own file, opened so that nothing else can be sent in its place.

The file is opened first, then compared with what was indexed, and read from that descriptor only;
it is compared again before each piece, so that a file that is written to meanwhile is cut off.
"""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass
from urllib.parse import quote

from imgqd.errors import NotFoundError
from imgqd.library.identity import signature_of
from imgqd.library.store import Store
from imgqd.records import Picture, Signature

PIECE = 256 * 1024
# What browsers show as a picture and nothing but a picture; the rest is for saving.
INLINE = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "avif": "image/avif",
}
SAVED = {
    "tiff": "image/tiff",
    "bmp": "image/bmp",
    "jpeg2000": "image/jp2",
    "heic": "image/heic",
}


class ChangedError(Exception):
    """The file is no longer what was indexed: what was sent of it so far is not a picture."""


@dataclass(frozen=True, slots=True)
class Original:
    """An open file that is what was indexed. Closed by `close`, or when it is forgotten."""

    stream: io.FileIO
    signature: Signature
    name: bytes
    format: str
    tag: str

    @property
    def size(self) -> int:
        """In bytes."""
        return self.signature.size

    @property
    def kind(self) -> str:
        """Its media type."""
        return INLINE.get(self.format) or SAVED.get(self.format, "application/octet-stream")

    def disposition(self, *, download: bool) -> str:
        """What the browser should do with it, and its name (RFC 6266, RFC 8187)."""
        name = self.name.decode("utf-8", "replace")
        plain = "".join(c if c.isascii() and (c.isalnum() or c in " .-_()") else "_" for c in name)
        how = "inline" if self.format in INLINE and not download else "attachment"
        return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"

    def read(self, offset: int, size: int) -> bytes:
        """Up to PIECE bytes from `offset`. Raises ChangedError, OSError."""
        data = _pread(self.stream, min(size, PIECE), offset)
        if not data or signature_of(os.fstat(self.stream.fileno())) != self.signature:
            raise ChangedError
        return data

    def close(self) -> None:
        self.stream.close()


def open_original(store: Store, picture: Picture, *, follow_links: bool) -> Original:
    """The first of the picture's files that is as it was indexed. Raises NotFoundError."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if not follow_links:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    for path in picture.paths:
        row = store.file(path)
        if row is None or row.picture_id != picture.id:
            continue
        try:
            stream = open(os.open(path, flags), "rb", buffering=0)  # noqa: SIM115
        except OSError:
            continue
        found = os.fstat(stream.fileno())
        if stat.S_ISREG(found.st_mode) and signature_of(found) == row.signature:
            return Original(
                stream,
                row.signature,
                os.path.basename(path),
                picture.metadata.format,
                f'"{picture.content_hash.hex()}"',
            )
        stream.close()
    raise NotFoundError(f"picture {picture.id} cannot be read now; its files moved or changed")


def _pread(stream: io.FileIO, size: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(stream.fileno(), size, offset)
    stream.seek(offset)
    return stream.read(size)

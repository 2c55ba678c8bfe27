"""The pixel hash: equal for two files when what they show is the same.

Where the container allows, it is made from the compressed image data alone, skipping everything
that does not change what is shown (EXIF, XMP, IPTC, comments, thumbnails), which costs one pass over
the bytes and no decoding. Other formats are hashed by their decoded pixels. A picture compressed
again has another hash even if its pixels are equal.

It is BLAKE3, of decode_protocol.HASH_BYTES; libraries from before have BLAKE2b hashes, of
EARLIER_HASH_BYTES. Which of them a hash is, its size tells: what is to be compared with one is
hashed in the same way.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from blake3 import blake3

from imgqd.indexing.decode_protocol import EARLIER_HASH_BYTES, HASH_BYTES

if TYPE_CHECKING:
    from PIL import Image

_MAX_SEGMENTS = 20_000
_SCAN = b"\xff\xda"
# Found in less than half the time that bytes.find takes.
_END = re.compile(b"\xff\xd9")
_PNG_CHUNKS = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"gAMA", b"iCCP", b"sRGB", b"cHRM", b"cICP"}
)
_WEBP_CHUNKS = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ICCP", b"ANMF"})
_Part = bytes | memoryview


def of_file(word: str, data: bytes, orientation: int, size: int = HASH_BYTES) -> bytes | None:
    """The hash from the file's bytes; None when this format must be hashed by its pixels."""
    shown = _SHOWN.get(word)
    if shown is None:
        return None
    return of_parts(word.encode(), orientation, shown(data), size)


def of_pixels(image: Image.Image, orientation: int, size: int = HASH_BYTES) -> bytes:
    """The hash of decoded pixels (before any orientation is applied), mode, size and palette."""
    facts = repr((image.mode, image.size, image.info.get("transparency"))).encode()
    palette = bytes(image.getpalette() or ()) if image.mode == "P" else b""
    return of_parts(b"pixels", orientation, (facts, palette, image.tobytes()), size)


def of_parts(kind: bytes, orientation: int, parts: Iterable[_Part], size: int) -> bytes:
    """The hash of what is shown, held as the EXIF orientation says (1 where that is none)."""
    first = kind + bytes([orientation if 1 <= orientation <= 8 else 1])
    if size == EARLIER_HASH_BYTES:
        earlier = hashlib.blake2b(first, digest_size=size)
        for part in parts:
            earlier.update(part)
        return earlier.digest()
    digest = blake3(first)
    for part in parts:
        digest.update(part)
    return digest.digest(length=size)


def _jpeg(data: bytes) -> Iterator[_Part]:
    view = memoryview(data)
    at = 2
    for _ in range(_MAX_SEGMENTS):
        marker = data[at : at + 2]
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if len(marker) < 2 or marker[0] != 0xFF or marker == _SCAN or end < at + 4:
            break
        if marker[1] == 0xFF:
            at += 1  # fill bytes before a marker
            continue
        if _shapes_jpeg(marker[1], data[at + 4 : at + 16]):
            yield view[at:end]
        at = end
    # In scans FF D9 stands for nothing but the end; a second picture or a video may follow it.
    mark = _END.search(data, at)
    yield view[at:] if mark is None else view[at : mark.start()]


def _shapes_jpeg(marker: int, payload: bytes) -> bool:
    """Whether a segment bears on the pixels: all but comments and APPn, save colour profiles."""
    if marker == 0xE2:
        return payload.startswith(b"ICC_PROFILE\x00")
    if marker == 0xEE:
        return payload.startswith(b"Adobe")
    return not (0xE0 <= marker <= 0xEF or marker == 0xFE)


def _png(data: bytes) -> Iterator[_Part]:
    view = memoryview(data)
    at = 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if kind in _PNG_CHUNKS:
            if kind == b"IDAT":
                # How the stream is cut into chunks shows nothing.
                yield view[at + 8 : at + 8 + length]
            else:
                yield view[at : at + 8 + length]
        elif kind == b"IEND":
            break
        at += 12 + length


def png_has_late_text(data: bytes) -> bool:
    """Whether a PNG has metadata behind its pixels, where a reader of the header misses it."""
    at, pixels = 8, False
    while at + 8 <= len(data):
        kind = data[at + 4 : at + 8]
        pixels = pixels or kind == b"IDAT"
        if pixels and kind in (b"eXIf", b"iTXt", b"tEXt", b"zTXt"):
            return True
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return False


def _webp(data: bytes) -> Iterator[_Part]:
    view = memoryview(data)
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] in _WEBP_CHUNKS:
            yield view[at : at + 8 + length]
        at += 8 + length + (length & 1)


# What of a file's bytes bears on what it shows, by format.
_SHOWN = {"jpeg": _jpeg, "png": _png, "webp": _webp}

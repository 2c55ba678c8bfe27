"""RAW photographs: their embedded preview where it is good enough, else developed by LibRaw.

Runs only in decoder processes, in those that have loaded rawpy before the sandbox went up. Gives a
preview's bytes or developed pixels; opening the preview and everything after it is picture.py's.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

from PIL import Image

from imgqd.indexing import fingerprint
from imgqd.indexing.metadata import Tags

# A preview at least this large on its shorter side, or half as large as the picture, will do.
_ENOUGH = 512
# Developing at half size is four times as fast and wants no demosaicing.
_HALF_FROM = 2048
# LibRaw's `flip` as an EXIF orientation.
_ORIENTATIONS = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}
_CANON_METADATA = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")


class NotRaw(Exception):
    """LibRaw does not take this file for a RAW photograph."""


class RawFile:
    """`width` and `height` in pixels as shown; `preview` is a JPEG or None, and `orientation` the
    EXIF orientation to apply to it.

    Raises NotRaw, or whatever LibRaw makes of a broken file.
    """

    def __init__(self, data: bytes) -> None:
        import rawpy

        self._data = data
        self._raw: Any = rawpy.RawPy()  # rawpy.imread would import more, behind the sandbox
        try:
            self._raw.open_buffer(io.BytesIO(data))
        except rawpy.LibRawFileUnsupportedError as error:
            raise NotRaw(str(error)) from error
        sizes = self._raw.sizes
        self.width, self.height = sizes.width, sizes.height
        self.orientation = _ORIENTATIONS.get(sizes.flip, 1)
        if self.orientation >= 5:
            self.width, self.height = self.height, self.width
        self.preview: bytes | None = None
        with contextlib.suppress(rawpy.LibRawError, OSError, SyntaxError, ValueError):
            self._take_preview(self._raw.extract_thumb(), rawpy.ThumbFormat.JPEG)

    def _take_preview(self, thumbnail: Any, jpeg: Any) -> None:
        if thumbnail.format != jpeg:
            return
        preview = bytes(thumbnail.data)
        width, height = Image.open(io.BytesIO(preview), formats=["JPEG"]).size
        if min(width, height) < min(_ENOUGH, min(self.width, self.height) // 2):
            return
        self.preview = preview
        if self.orientation >= 5 and width != height:
            # Some cameras store the preview turned already.
            turned = (width > height) == (self.width > self.height)
            self.orientation = 1 if turned else self.orientation

    def develop(self) -> Image.Image:
        """The picture as LibRaw makes it with the camera's white balance, oriented, RGB."""
        half = min(self.width, self.height) >= _HALF_FROM
        pixels = self._raw.postprocess(half_size=half, use_camera_wb=True, output_bps=8)
        return Image.fromarray(pixels)

    def sensor_hash(self, size: int) -> bytes:
        """The pixel hash of what the sensor saw, for files without a preview."""
        return fingerprint.of_parts(b"", self.orientation, (self._raw.raw_image.tobytes(),), size)

    def tags(self) -> Tags:
        """The EXIF directories, for RAW files that are TIFF inside and for Canon's CR3."""
        with contextlib.suppress(Exception):
            if self._data[4:8] == b"ftyp":
                return _canon_tags(self._data)
            if self._data[:2] in (b"II", b"MM"):
                # ORF and RW2 are TIFF but for the magic number.
                order = self._data[:2]
                head = b"II*\x00" if order == b"II" else b"MM\x00*"
                exif = Image.Exif()
                exif.load_from_fp(io.BytesIO(head + self._data[4:]))
                return Tags.of(exif)
        return Tags()


def _canon_tags(data: bytes) -> Tags:
    """CMT1, CMT2 and CMT4 in moov/uuid are TIFF files with IFD0, Exif and GPS tags."""
    moov = _box(data, b"moov") or b""
    block = _box(moov, b"uuid", _CANON_METADATA) or b""
    directories = []
    for name in (b"CMT1", b"CMT2", b"CMT4"):
        exif = Image.Exif()
        with contextlib.suppress(Exception):
            exif.load(_box(block, name) or b"")
        directories.append(exif)
    main, photo, gps = directories
    return Tags(main, photo, gps)


def _box(data: bytes, name: bytes, user_type: bytes = b"") -> bytes | None:
    """The content of the first box of that name (ISO/IEC 14496-12), without its user type."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        start = at + 8
        if size == 1:
            size, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        elif size == 0:
            size = len(data) - at
        if size < 8:
            return None
        if data[at + 4 : at + 8] == name and data[start : at + size].startswith(user_type):
            return data[start + len(user_type) : at + size]
        at += size
    return None

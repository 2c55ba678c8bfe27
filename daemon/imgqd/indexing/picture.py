"""Opens one picture file inside a decoder process: format, limits, decoding, what to call failures.

Runs only in decoder processes, after the sandbox is up. Only allow-listed formats are tried, sizes
are checked from the header before anything is decoded, and every failure becomes a Refused with a
reason word. Turning pictures into a model's pixels and reading metadata is for others.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from imgqd.indexing import fingerprint, formats, pixels

# Named so that they are registered before the sandbox forbids importing anything.
PLUGINS = (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
_PILLOW_NAMES = {
    "jpeg": "JPEG",
    "png": "PNG",
    "webp": "WEBP",
    "gif": "GIF",
    "tiff": "TIFF",
    "bmp": "BMP",
    "avif": "AVIF",
    "jpeg2000": "JPEG2000",
    "heic": "HEIF",
}
_FROM_MEMORY = frozenset({"jpeg", "png", "webp", "avif", "heic", "raw"})
# Formats that need a library beside Pillow: imported by the worker, before the sandbox.
LIBRARIES = {"heic": "pillow_heif", "raw": "rawpy"}
ORIENTATION = 0x0112


class Refused(Exception):
    """This file is a problem. `reason` is the stable word, `detail` a sentence for a person."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class LibraryNeeded(Exception):
    """The format wants a library that this process has not loaded (and may no longer load)."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


@dataclass(frozen=True)
class Limits:
    """`max_pixels` as stored in the file, `min_side` of the shorter side; both in pixels."""

    max_pixels: int
    min_side: int


def configure() -> None:
    """Sets Pillow up for hostile files: our own pixel limit from the header, no threads."""
    Image.MAX_IMAGE_PIXELS = None
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    # Large colour profiles are legitimate; the memory limit bounds the rest.
    PngImagePlugin.MAX_TEXT_CHUNK = 16 * 1024 * 1024
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1


class PictureFile:
    """An opened picture: `format`, `image` (not decoded yet), `width` and `height` as shown."""

    def __init__(self, fd: int, name: bytes, limits: Limits, loaded: frozenset[str]) -> None:
        self.stream, self.data = _read(fd)
        head = self.data[: formats.SNIFF_BYTES]
        self.format = _format_of(head, name)
        if self.format in LIBRARIES and self.format not in loaded:
            raise LibraryNeeded(self.format)
        self.image = self._open()
        self.orientation = _orientation(self.image)
        width, height = self.image.size
        _check_size(width, height, limits)
        # Pillow's TIFF plug-in gives the size as shown, and turns the pixels when it loads them.
        if pixels.swaps_sides(self.orientation) and self.format != "tiff":
            width, height = height, width
        self.width, self.height = width, height

    def _open(self) -> ImageFile.ImageFile:
        source = io.BytesIO(self.data) if self.format in _FROM_MEMORY else self.stream
        try:
            return Image.open(source, formats=[_PILLOW_NAMES[self.format]])
        except UnidentifiedImageError as error:
            raise Refused("corrupt", f"its header is broken: not a valid {self.format}") from error

    def decoded(self, want: pixels.Wanted | None) -> tuple[Image.Image, pixels.Box | None]:
        """The oriented picture; for a JPEG at reduced scale when `want` leaves room for that.

        The box is the part of a reduced picture that stands for the whole (None: all of it).
        """
        box: pixels.Box | None = None
        if want is not None and self.format == "jpeg":
            width, height = pixels.draft_size((self.width, self.height), want)
            if pixels.swaps_sides(self.orientation):
                width, height = height, width
            drafted = self.image.draft(None, (width, height))
            box = _whole_box(drafted, self.image.size, self.orientation)
        self.image.load()
        # Plug-ins that turn the pixels by themselves take the mark away when they do.
        return pixels.oriented(self.image, _orientation(self.image)), box

    def pixel_hash(self) -> bytes:
        """See fingerprint.py. Decodes the picture only where the format leaves no other way."""
        found = fingerprint.of_file(self.format, self.data, self.orientation)
        if found is not None:
            return found
        self.image.load()
        return fingerprint.of_pixels(self.image, _orientation(self.image))


def _whole_box(
    drafted: tuple[str, pixels.Box] | None, size: pixels.Size, orientation: int
) -> pixels.Box | None:
    """What part of a reduced picture is picture, once the orientation is applied.

    Reduced sizes are rounded up, so the last column and row may hold less than a pixel's worth.
    """
    if drafted is None or drafted[1][2:] == size:
        return None
    (width, height), (right, bottom) = size, drafted[1][2:]
    across = (width - right, width) if orientation in (2, 3, 7, 8) else (0.0, right)
    down = (height - bottom, height) if orientation in (3, 4, 6, 7) else (0.0, bottom)
    if pixels.swaps_sides(orientation):
        across, down = down, across
    return across[0], down[0], across[1], down[1]


def _read(fd: int) -> tuple[io.BufferedReader, bytes]:
    try:
        stream = os.fdopen(fd, "rb")
        if stream.seekable():
            stream.seek(0)
        head = stream.read(formats.SNIFF_BYTES)
        word = formats.sniff(head)
        rest = stream.read() if word in _FROM_MEMORY else b""
    except OSError as error:
        raise Refused("unreadable", f"it cannot be read: {error.strerror or error}") from error
    if not head:
        raise Refused("corrupt", "the file is empty")
    return stream, head + rest


def _format_of(head: bytes, name: bytes) -> str:
    found = formats.sniff(head)
    if found is None:
        raise Refused("unsupported", "it is not a picture of a format that imgq reads")
    return found


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # broken metadata never stands in the way of the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.max_pixels:
        raise Refused(
            "too-large",
            f"{width} x {height} pixels are more than the {limits.max_pixels:,} allowed "
            "(setting max_pixels)",
        )
    if min(width, height) < limits.min_side:
        raise Refused(
            "too-small",
            f"{width} x {height} pixels: the shorter side is below {limits.min_side} "
            "(setting min_side)",
        )


def reason_of(error: Exception) -> Refused:
    """What to call an exception that came out of a decoder."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, MemoryError) or "out of memory" in str(error):
        return Refused("memory", "decoding it needs more memory than a decoder is allowed")
    message = " ".join(str(error).split())[:300]
    return Refused("corrupt", f"it cannot be decoded: {message or type(error).__name__}")

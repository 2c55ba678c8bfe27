"""Opens one picture file inside a decoder process: format, limits, decoding, what to call failures.

Runs only in decoder processes, after the sandbox is up. Only allow-listed formats are tried, sizes
are checked from the header before anything is decoded, and every failure becomes a Refused with a
reason word. Turning pictures into a model's pixels and reading metadata is for others.
"""

from __future__ import annotations

import codecs
import errno
import io
from dataclasses import dataclass
from typing import IO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageColor,
    ImageFile,
    ImagePalette,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from imgqd.indexing import fingerprint, formats, metadata, pixels, rawfile

# Imported before the sandbox forbids it, although named only here: plug-ins register themselves,
# and Pillow imports the others when a picture needs them.
NEEDED = (
    ImageCms,
    ImageColor,
    ImagePalette,
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
ORIENTATION = 0x0112
_DISK_ERRORS = frozenset({errno.EIO, errno.EISDIR, errno.ESTALE, errno.ENXIO, errno.ETIMEDOUT})


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
    # The first open and the first text of each encoding would import modules.
    Image.preinit()
    for name in ("ascii", "latin-1", "cp1252", "utf-8", "utf-16", "utf-16-le", "utf-16-be"):
        codecs.lookup(name)
    Image.MAX_IMAGE_PIXELS = None
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    # Large colour profiles are legitimate; the memory limit bounds the rest.
    PngImagePlugin.MAX_TEXT_CHUNK = 16 * 1024 * 1024
    PngImagePlugin.MAX_TEXT_MEMORY = 64 * 1024 * 1024
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1


class PictureFile:
    """An opened picture, not decoded yet.

    `format` is the word, `width` and `height` the size as shown, `facts` what it says of itself;
    `size` is the size of what `decoded` gives when not reduced (a RAW file's preview is smaller).
    `stream` must stay open while this is used. Raises Refused, LibraryNeeded, or whatever a decoder
    makes of a broken file (`reason_of`).
    """

    def __init__(
        self, stream: io.BufferedReader, name: bytes, limits: Limits, loaded: frozenset[str]
    ) -> None:
        self._raw: rawfile.RawFile | None = None
        self._image: Image.Image | None = None
        self.format, self._data = _read(stream, name)
        if self.format in formats.LIBRARIES and self.format not in loaded:
            raise LibraryNeeded(self.format)
        if self.format == "raw":
            self._open_raw(stream, limits)
        else:
            self._open(stream, limits)

    def _open(self, stream: io.BufferedReader, limits: Limits) -> None:
        source = io.BytesIO(self._data) if self.format in _FROM_MEMORY else stream
        self._image = image = _opened(source, self.format)
        _check_size(*image.size, limits)
        exif = _exif(image, self._data if self.format == "png" else b"")
        value = exif.get(ORIENTATION, 1) if exif is not None else 1
        self._orientation = value if isinstance(value, int) and 1 <= value <= 8 else 1
        self.width, self.height = image.size
        if pixels.swaps_sides(self._orientation) and self.format != "tiff":
            self.width, self.height = self.height, self.width
        self.size = (self.width, self.height)
        tags = metadata.Tags() if exif is None else metadata.Tags.of(exif)
        self.facts = metadata.read_picture(image.info, tags)

    def _open_raw(self, stream: io.BufferedReader, limits: Limits) -> None:
        try:
            self._raw = raw = rawfile.RawFile(self._data)
        except rawfile.NotRaw as error:
            if formats.sniff(self._data[: formats.SNIFF_BYTES]) != "tiff":
                raise Refused("unsupported", "LibRaw does not know this RAW format") from error
            self.format = "tiff"
            return self._open(stream, limits)
        self.size = self.width, self.height = raw.width, raw.height
        _check_size(self.width, self.height, limits)
        self._orientation = raw.orientation
        tags, info = raw.tags(), {}
        if raw.preview is not None:
            self._data = raw.preview
            self._image = image = _opened(io.BytesIO(raw.preview), "jpeg")
            self.size = image.size
            if pixels.swaps_sides(raw.orientation):
                self.size = image.size[1], image.size[0]
            exif = _exif(image, b"")
            info = image.info
            if not tags.main and exif is not None:
                tags = metadata.Tags.of(exif)
        self.facts = metadata.read_picture(info, tags)
        return None

    def decoded(self, least: pixels.Size | None) -> tuple[Image.Image, pixels.Box | None]:
        """The oriented picture; a JPEG may come at reduced scale, of at least the size `least`.

        The box is the part of a reduced picture that stands for the whole; None when not reduced.
        """
        if self._image is None:
            assert self._raw is not None
            self._image = self._raw.develop()
            return self._image, None
        image, box = self._image, None
        if least is not None and isinstance(image, JpegImagePlugin.JpegImageFile):
            if pixels.swaps_sides(self._orientation):
                least = least[1], least[0]
            full, drafted = image.size, image.draft(None, least)
            if drafted is not None and image.size != full:
                box = _whole_box(drafted[1], image.size, self._orientation)
            # It is in memory as a whole: in pieces, each would be joined to what is left of the last.
            image.decodermaxblock = len(self._data)
        image.load()
        # Pillow's TIFF plug-in turns the pixels itself.
        turn = 1 if self.format == "tiff" else self._orientation
        return pixels.oriented(image, turn), box

    def pixel_hash(self, size: int) -> bytes:
        """`size` bytes, see fingerprint.py. Decodes the picture only where the format leaves no other way.

        To be called before `decoded`.
        """
        if self._image is None:
            assert self._raw is not None
            return self._raw.sensor_hash(size)
        word = "jpeg" if self.format == "raw" else self.format
        found = fingerprint.of_file(word, self._data, self._orientation, size)
        if found is not None:
            return found
        self._image.load()
        return fingerprint.of_pixels(self._image, self._orientation, size)


def _opened(source: IO[bytes], word: str) -> Image.Image:
    try:
        return Image.open(source, formats=[_PILLOW_NAMES[word]])
    except UnidentifiedImageError as error:
        raise Refused("corrupt", f"its header is broken: this is no valid {word}") from error


def _exif(image: Image.Image, png: bytes) -> Image.Exif | None:
    """The EXIF of a picture that is not decoded yet. `png` are the bytes of a PNG file."""
    try:
        if png and not fingerprint.png_has_late_text(png):
            # The plug-in's own getexif would decode the whole picture to look behind it.
            return Image.Image.getexif(image)
        return image.getexif()
    except MemoryError:
        raise
    except Exception:  # broken metadata never stands in the way of the pixels
        return None


def _whole_box(drafted: pixels.Box, size: pixels.Size, orientation: int) -> pixels.Box:
    """What part of a reduced picture is picture, once the orientation is applied.

    Reduced sizes are rounded up, so the last column and row may hold less than a pixel's worth.
    """
    (width, height), (right, bottom) = size, drafted[2:]
    across = (width - right, width) if orientation in (2, 3, 7, 8) else (0.0, right)
    down = (height - bottom, height) if orientation in (3, 4, 6, 7) else (0.0, bottom)
    if pixels.swaps_sides(orientation):
        across, down = down, across
    return across[0], down[0], across[1], down[1]


def _read(stream: io.BufferedReader, name: bytes) -> tuple[str, bytes]:
    """The format word and, for formats that are decoded from memory, all bytes (else the first)."""
    try:
        if stream.seekable():
            stream.seek(0)
        data = stream.read(formats.SNIFF_BYTES)
        word = formats.sniff(data)
        if word in (None, "tiff") and formats.by_name(name) == "raw":
            word = "raw"
        if word in _FROM_MEMORY:
            # From the start where that can be: joining would copy everything once more.
            if stream.seekable():
                stream.seek(0)
                data = b""
            data += stream.read()
    except OSError as error:
        raise Refused("unreadable", f"it cannot be read: {error.strerror or error}") from error
    if not data:
        raise Refused("corrupt", "the file is empty")
    if word is None:
        raise Refused("unsupported", "it is not a picture of a format that imgq reads")
    return word, data


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
    if isinstance(error, MemoryError) or "memory" in str(error).lower():
        return Refused("memory", "decoding it needs more memory than a decoder is allowed")
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return Refused("unreadable", f"it cannot be read: {error.strerror}")
    message = " ".join(str(error).split())[:300]
    return Refused("corrupt", f"it cannot be decoded: {message or type(error).__name__}")

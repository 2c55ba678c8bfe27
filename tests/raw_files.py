"""Small RAW photographs (DNG) for tests, made from a photograph: no package ships real ones."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image

Tag = tuple[int, int, bytes]
_SHORT, _LONG = 3, 4


def _text(value: str) -> Tag:
    return 2, len(value) + 1, value.encode() + b"\x00"


def _bytes(*values: int) -> Tag:
    return 1, len(values), bytes(values)


def _short(*values: int) -> Tag:
    return _SHORT, len(values), struct.pack(f"<{len(values)}H", *values)


def _long(*values: int) -> Tag:
    return _LONG, len(values), struct.pack(f"<{len(values)}I", *values)


def _ratios(kind: int, *values: int) -> Tag:
    pairs = [number for value in values for number in (value, 10_000)]
    return kind, len(values), struct.pack(f"<{len(pairs)}i", *pairs)


def _directory(tags: dict[int, Tag], at: int) -> bytes:
    """One TIFF directory that starts at offset `at` and carries its long values behind it."""
    entries, values = b"", b""
    values_at = at + 2 + 12 * len(tags) + 4
    for number in sorted(tags):
        kind, count, value = tags[number]
        entries += struct.pack("<HHI", number, kind, count)
        if len(value) <= 4:
            entries += value.ljust(4, b"\x00")
        else:
            entries += struct.pack("<I", values_at + len(values))
            values += value + bytes(len(value) & 1)
    return struct.pack("<H", len(tags)) + entries + bytes(4) + values


def _sensor(image: Image.Image) -> bytes:
    """What a Bayer sensor (RGGB, 16 bits) sees of the picture."""
    linear = (np.asarray(image.convert("RGB"), dtype=np.float64) / 255) ** 2.2
    values = linear[:, :, 1].copy()
    values[0::2, 0::2] = linear[0::2, 0::2, 0]
    values[1::2, 1::2] = linear[1::2, 1::2, 2]
    return (values * 60_000).astype("<u2").tobytes()


def dng(image: Image.Image, *, preview: Image.Image | None = None, orientation: int = 1) -> bytes:
    """A DNG of `image` as the sensor saw it, with an embedded JPEG preview where one is given."""
    sensor = _sensor(image)
    stream = io.BytesIO()
    if preview is not None:
        preview.convert("RGB").save(stream, "JPEG", quality=92)
    jpeg = stream.getvalue()
    camera = {
        271: _text("Imgq"),
        272: _text("Imgq One"),
        274: _short(orientation),
        50706: _bytes(1, 4, 0, 0),
        50707: _bytes(1, 1, 0, 0),
        50708: _text("Imgq One"),
        50721: _ratios(10, 32404, -15371, -4985, -9693, 18760, 416, 556, -2040, 10572),
        50728: _ratios(5, 10_000, 10_000, 10_000),
        50778: _short(21),
    }
    exif = {
        0x9003: _text("2024:06:30 12:34:56"),
        0x9011: _text("+02:00"),
        0xA434: _text("Imgq 50mm F2"),
    }

    def layout(sensor_at: int, jpeg_at: int, exif_at: int, sub_at: int) -> tuple[bytes, bytes]:
        raw = {
            254: _long(0),
            256: _long(image.width),
            257: _long(image.height),
            258: _short(16),
            259: _short(1),
            262: _short(32803),
            273: _long(sensor_at),
            277: _short(1),
            278: _long(image.height),
            279: _long(len(sensor)),
            33421: _short(2, 2),
            33422: _bytes(0, 1, 1, 2),
            50714: _short(0),
            50717: _long(60_000),
        }
        main = {**camera, 34665: _long(exif_at)}
        if preview is None:
            return _directory({**main, **raw}, 8), b""
        shown = {
            254: _long(1),
            256: _long(preview.width),
            257: _long(preview.height),
            258: _short(8, 8, 8),
            259: _short(7),
            262: _short(6),
            273: _long(jpeg_at),
            277: _short(3),
            278: _long(preview.height),
            279: _long(len(jpeg)),
            330: _long(sub_at),
        }
        return _directory({**main, **shown}, 8), _directory(raw, sub_at)

    first, second = layout(0, 0, 0, 0)
    sub_at = 8 + len(first)
    exif_at = sub_at + len(second)
    jpeg_at = exif_at + len(_directory(exif, exif_at))
    sensor_at = jpeg_at + len(jpeg) + (len(jpeg) & 1)
    first, second = layout(sensor_at, jpeg_at, exif_at, sub_at)
    head = b"II*\x00\x08\x00\x00\x00" + first + second + _directory(exif, exif_at) + jpeg
    return head.ljust(sensor_at, b"\x00") + sensor

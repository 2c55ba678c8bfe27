"""What a picture file says of itself: when, with what, where, and in which words.

Reads EXIF, XMP and IPTC of an opened picture, or a sidecar file, into a dict of JSON values that the
daemon checks again (decode_answer.py). Runs only in decoder processes. Broken metadata is left out;
it never stands in the way of the picture.
"""

from __future__ import annotations

import contextlib
import datetime
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from PIL import Image

from imgqd.indexing.xmp import Properties, read_iptc, read_xmp

MAX_TITLE = 1024
MAX_DESCRIPTION = 4096
MAX_NAME = 256
MAX_KEYWORDS = 256
MAX_KEYWORD = 256
MAX_KEYWORDS_TOTAL = 8192

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_EPOCH = datetime.datetime(1970, 1, 1)
# \Z and ASCII: digits of other scripts and a trailing newline are not dates.
_EXIF_DATE = re.compile(r"(\d{4})[:/-](\d\d)[:/-](\d\d)[ T](\d\d):(\d\d):(\d\d)", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)\Z", re.ASCII)
_ISO_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?)?)?"
    r"(Z|[+-]\d\d:?\d\d)?\Z",
    re.ASCII,
)
_XMP_ANGLE = re.compile(r"(\d{1,3}),(\d{1,2}(?:\.\d+)?)(?:,(\d{1,2}(?:\.\d+)?))?([NSEW])\Z", re.A)
Facts = dict[str, Any]


@dataclass(frozen=True)
class Tags:
    """The three EXIF directories: IFD0, the Exif IFD and the GPS IFD, as Pillow reads them."""

    main: Mapping[int, Any] = field(default_factory=dict)
    photo: Mapping[int, Any] = field(default_factory=dict)
    gps: Mapping[int, Any] = field(default_factory=dict)
    endian: str = "<"

    @classmethod
    def of(cls, exif: Image.Exif) -> Tags:
        photo: Mapping[int, Any] = {}
        gps: Mapping[int, Any] = {}
        with contextlib.suppress(Exception):
            photo = exif.get_ifd(_EXIF_IFD)
        with contextlib.suppress(Exception):
            gps = exif.get_ifd(_GPS_IFD)
        return cls(exif, photo, gps, exif.endian or "<")


def read_picture(info: Mapping[Any, Any], tags: Tags) -> Facts:
    """The facts of an opened picture with Pillow's `info`; keys without a value are left out.

    Never raises.
    """
    xmp: Properties = {}
    iptc: Properties = {}
    with contextlib.suppress(Exception):
        packet = info.get("xmp") or info.get("XML:com.adobe.xmp") or tags.main.get(0x02BC) or b""
        xmp = read_xmp(packet.encode() if isinstance(packet, str) else bytes(packet))
    with contextlib.suppress(Exception):
        iptc = read_iptc(_iptc_block(info, tags))
    if not (xmp or iptc or tags.main or tags.photo or tags.gps):
        return {}
    return _merge(_Exif(tags), xmp, iptc)


def read_sidecar(data: bytes) -> Facts:
    """The facts of an XMP sidecar file. Never raises."""
    return _merge(_Exif(Tags()), read_xmp(data), {})


class _Exif:
    """EXIF tags as cleaned texts; everything broken is None."""

    def __init__(self, tags: Tags) -> None:
        self.main, self.photo, self.gps = tags.main, tags.photo, tags.gps

    def text(self, source: Mapping[int, Any], tag: int, limit: int = MAX_NAME) -> str | None:
        """EXIF calls its texts ASCII, programs write UTF-8, Pillow hands them over as Latin-1."""
        with contextlib.suppress(Exception):
            value = source.get(tag)
            raw = value if isinstance(value, bytes) else str(value or "").encode("latin-1")
            try:
                return clean(raw.decode("utf-8"), limit)
            except UnicodeDecodeError:
                return clean(raw.decode("latin-1"), limit)
        return None

    def wide(self, tag: int, limit: int) -> str | None:
        """The XP* tags of Windows: UTF-16 in bytes."""
        with contextlib.suppress(Exception):
            value = self.main.get(tag)
            if isinstance(value, tuple):
                value = bytes(value)
            if isinstance(value, bytes):
                return clean(value.decode("utf-16-le", "ignore"), limit)
        return None


def _merge(exif: _Exif, xmp: Properties, iptc: Properties) -> Facts:
    """XMP wins over IPTC and IPTC over EXIF for words (it is what editors write last); what the
    camera noted is taken from EXIF first."""

    def first(key: str, limit: int = MAX_NAME) -> str | None:
        return next((text for value in xmp.get(key, ()) if (text := clean(value, limit))), None)

    def iptc_first(key: str, limit: int) -> str | None:
        return next((text for value in iptc.get(key, ()) if (text := clean(value, limit))), None)

    facts: Facts = {
        "camera": _camera(exif, first),
        "lens": exif.text(exif.photo, 0xA434) or first("exifEX:LensModel") or first("aux:Lens"),
        "title": first("dc:title", MAX_TITLE)
        or iptc_first("title", MAX_TITLE)
        or exif.wide(0x9C9B, MAX_TITLE),
        "description": first("dc:description", MAX_DESCRIPTION)
        or iptc_first("caption", MAX_DESCRIPTION)
        or exif.text(exif.main, 0x010E, MAX_DESCRIPTION)
        or exif.wide(0x9C9C, MAX_DESCRIPTION),
        "keywords": _keywords(
            xmp.get("dc:subject", ()),
            iptc.get("keywords", ()),
            (exif.wide(0x9C9E, MAX_DESCRIPTION) or "").split(";"),
        ),
        "rating": _rating(exif, first),
    }
    with contextlib.suppress(Exception):
        facts.update(_position(exif, first))
    with contextlib.suppress(Exception):
        facts.update(_taken(exif, first, iptc))
    return {key: value for key, value in facts.items() if value not in (None, [])}


def clean(value: str, limit: int) -> str | None:
    """A text without control characters, surrogates and outer blanks, cut to `limit`, or None."""
    kept = (
        letter
        for letter in value[: 4 * limit].partition("\x00")[0]
        if letter.isprintable() or letter in "\n\t" or (letter.isspace() and letter > " ")
    )
    return "".join(kept).strip()[:limit].strip() or None


def _camera(exif: _Exif, first: Callable[[str], str | None]) -> str | None:
    make = exif.text(exif.main, 0x010F) or first("tiff:Make")
    model = exif.text(exif.main, 0x0110) or first("tiff:Model")
    if not make or not model:
        return model or make
    if model.lower().split()[0] == make.lower().split()[0]:
        return model
    return f"{make} {model}"[:MAX_NAME]


def _keywords(*sources: Iterable[str]) -> list[str]:
    """Each once, in order, however many places they are written in."""
    found: dict[str, None] = {}
    total = 0
    for source in sources:
        for value in source:
            word = clean(value, MAX_KEYWORD)
            if word is None or word in found:
                continue
            total += len(word)
            if total > MAX_KEYWORDS_TOTAL or len(found) >= MAX_KEYWORDS:
                return list(found)
            found[word] = None
    return list(found)


def _rating(exif: _Exif, first: Callable[[str], str | None]) -> int | None:
    """Stars: 0 to 5, or -1 for rejected (XMP)."""
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        return _stars(float(first("xmp:Rating") or ""))
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        return _stars(float(exif.main.get(0x4746)))  # type: ignore[arg-type]
    for value in (first("MicrosoftPhoto:Rating"), exif.main.get(0x4749)):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            percent = float(value)  # type: ignore[arg-type]
            return _stars(math.ceil(percent / 25) + 1 if percent > 1 else percent)
    return None


def _stars(value: float) -> int | None:
    return round(value) if -1 <= value <= 5 else None


# -- where ----------------------------------------------------------------------------------------


def _position(exif: _Exif, first: Callable[[str], str | None]) -> Facts:
    latitude = _angle(exif.gps.get(2), exif.gps.get(1), "NS", 90)
    longitude = _angle(exif.gps.get(4), exif.gps.get(3), "EW", 180)
    if latitude is None or longitude is None:
        latitude = _xmp_angle(first("exif:GPSLatitude"), "NS", 90)
        longitude = _xmp_angle(first("exif:GPSLongitude"), "EW", 180)
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        return {}  # 0, 0 is what receivers without a fix write
    return {"latitude": latitude, "longitude": longitude}


def _angle(value: Any, reference: Any, letters: str, most: float) -> float | None:
    try:
        parts = [float(part) for part in value]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    if isinstance(reference, bytes):
        reference = reference.decode("latin-1")
    letter = str(reference).strip("\x00 ").upper()[:1]
    if not parts or len(parts) > 3 or not letter or letter not in letters:
        return None
    return _degrees(parts, letter == letters[1], most)


def _xmp_angle(value: str | None, letters: str, most: float) -> float | None:
    found = _XMP_ANGLE.match(value or "")
    if found is None or found[4] not in letters:
        return None
    return _degrees([float(found[i] or 0) for i in (1, 2, 3)], found[4] == letters[1], most)


def _degrees(parts: list[float], negative: bool, most: float) -> float | None:
    degrees: float = sum(part / 60.0**power for power, part in enumerate(parts))
    if not math.isfinite(degrees) or not 0 <= degrees <= most:
        return None
    return round(-degrees if negative else degrees, 8)


# -- when -----------------------------------------------------------------------------------------


def _taken(exif: _Exif, first: Callable[[str], str | None], iptc: Properties) -> Facts:
    """`taken_local`: the wall clock's time as seconds since 1970-01-01 00:00 of the same clock;
    `taken_offset`: minutes east of UTC where the file says."""
    for date, offset, fraction in ((0x9003, 0x9011, 0x9291), (0x9004, 0x9012, 0x9292)):
        found = _exif_date(
            exif.text(exif.photo, date),
            exif.text(exif.photo, offset),
            exif.text(exif.photo, fraction),
        )
        if found:
            return found
    dates = [first(key) for key in ("exif:DateTimeOriginal", "photoshop:DateCreated")]
    day, time = (next(iter(iptc.get(key, ())), "").strip() for key in ("date", "time"))
    if len(day) == 8:
        clock = f"T{time[:2]}:{time[2:4]}:{time[4:6]}{time[6:]}" if len(time) >= 6 else ""
        dates.append(f"{day[:4]}-{day[4:6]}-{day[6:]}{clock}")
    for text in (*dates, first("xmp:CreateDate")):
        found = _iso_date(text)
        if found:
            return found
    return {}


def _exif_date(text: str | None, offset: str | None, fraction: str | None) -> Facts:
    found = _EXIF_DATE.match(text or "")
    if found is None:
        return {}
    numbers = [int(part) for part in found.groups()]
    digits = re.match(r"\d{1,9}", fraction or "", re.ASCII)
    return _moment(numbers, digits[0] if digits else "", offset)


def _iso_date(text: str | None) -> Facts:
    found = _ISO_DATE.match(text or "")
    if found is None:
        return {}
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    numbers = [int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0)]
    return _moment([*numbers, int(second or 0)], fraction or "", offset)


def _moment(numbers: list[int], fraction: str, offset: str | None) -> Facts:
    try:
        moment = datetime.datetime(*numbers)  # type: ignore[arg-type]
    except ValueError:
        return {}  # 0000:00:00 00:00:00, from a camera whose clock was never set
    if moment.year < 1800:
        return {}
    seconds = (moment - _EPOCH).total_seconds() + (float(f"0.{fraction}") if fraction else 0.0)
    facts: Facts = {"taken_local": seconds}
    east = _OFFSET.match((offset or "").strip().replace("Z", "+00:00"))
    if east is not None:
        minutes = int(east[2]) * 60 + int(east[3])
        if minutes <= 14 * 60 and int(east[3]) < 60:
            facts["taken_offset"] = -minutes if east[1] == "-" else minutes
    return facts


def _iptc_block(info: Mapping[Any, Any], tags: Tags) -> bytes:
    resources = info.get("photoshop")
    if isinstance(resources, dict) and isinstance(resources.get(0x0404), bytes):
        return bytes(resources[0x0404])
    value = tags.main.get(0x83BB)
    if isinstance(value, tuple):
        # Old programs called these bytes LONG: they are right again in the file's byte order.
        order: Literal["big", "little"] = "little" if tags.endian == "<" else "big"
        value = b"".join(int(part).to_bytes(4, order) for part in value)
    return value if isinstance(value, bytes) else b""

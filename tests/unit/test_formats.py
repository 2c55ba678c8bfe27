"""Formats are told apart by their first bytes, and by name only where bytes cannot tell."""

from __future__ import annotations

import io

import pillow_heif
import pytest
from PIL import Image

from imgqd.indexing.formats import FORMATS, RAW_EXTENSIONS, SNIFF_BYTES, by_name, sniff
from tests.photographs import photograph
from tests.raw_files import dng

pillow_heif.register_heif_opener()


@pytest.mark.parametrize(
    ("pillow", "word"),
    [
        ("JPEG", "jpeg"),
        ("MPO", "jpeg"),
        ("PNG", "png"),
        ("WEBP", "webp"),
        ("GIF", "gif"),
        ("TIFF", "tiff"),
        ("BMP", "bmp"),
        ("AVIF", "avif"),
        ("JPEG2000", "jpeg2000"),
        ("HEIF", "heic"),
    ],
)
def test_what_pillow_writes_is_recognised_by_its_first_bytes(pillow: str, word: str) -> None:
    stream = io.BytesIO()
    photograph("chelsea").save(stream, pillow)
    assert sniff(stream.getvalue()[:SNIFF_BYTES]) == word
    assert word in FORMATS


def test_a_bare_jpeg_2000_codestream_is_recognised() -> None:
    stream = io.BytesIO()
    photograph("chelsea").save(stream, "JPEG2000", no_jp2=True)
    assert sniff(stream.getvalue()[:SNIFF_BYTES]) == "jpeg2000"


@pytest.mark.parametrize("order", ["II", "MM"])
def test_both_byte_orders_of_tiff_and_bigtiff_are_recognised(order: str) -> None:
    stream = io.BytesIO()
    Image.new("L", (8, 8)).save(stream, "TIFF", big_tiff=True)
    assert sniff(stream.getvalue()[:SNIFF_BYTES]) == "tiff"
    assert (
        sniff({"II": b"II*\x00\x08\x00\x00\x00", "MM": b"MM\x00*\x00\x00\x00\x08"}[order]) == "tiff"
    )


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (b"II*\x00\x10\x00\x00\x00CR\x02\x00" + bytes(50), "raw"),
        (b"FUJIFILMCCD-RAW 0201FF393101", "raw"),
        (b"IIRO\x08\x00\x00\x00", "raw"),
        (b"IIU\x00\x18\x00\x00\x00", "raw"),
        (b"FOVb\x00\x00\x02\x00", "raw"),
        (b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom", "raw"),
        (b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1heicmiaf", "heic"),
        (b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1avifmiaf", "avif"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", None),
        (b"BMW is a car maker, and this is a text.", None),
        (b"GIF89 is a format", None),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", None),
        (b"%PDF-1.7", None),
        (b"<svg xmlns=", None),
        (b"\xff\xd8", None),
        (b"", None),
    ],
)
def test_first_bytes_decide(head: bytes, word: str | None) -> None:
    assert sniff(head) == word


def test_every_prefix_of_a_picture_is_answered_without_an_error() -> None:
    for pillow in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "HEIF", "JPEG2000"):
        stream = io.BytesIO()
        photograph("chelsea").resize((16, 16)).save(stream, pillow)
        for length in range(SNIFF_BYTES + 1):
            assert sniff(stream.getvalue()[:length]) in (None, *FORMATS)


def test_raw_that_is_tiff_inside_is_told_by_its_name() -> None:
    assert sniff(dng(photograph("coffee"))[:SNIFF_BYTES]) == "tiff"
    assert by_name(b"/photos/IMG_1.DNG") == "raw"


@pytest.mark.parametrize(
    ("name", "word"),
    [
        (b"a.jpg", "jpeg"),
        (b"/x/y.z/IMG.JPEG", "jpeg"),
        (b"a.HeIc", "heic"),
        (b"a.tar.png", "png"),
        (b"a.jp2", "jpeg2000"),
        (b"\xff\xfe\x00.webp", "webp"),
        (b"a.jpg.txt", None),
        (b"jpg", None),
        (b".jpg", None),
        (b"/folder.jpg/file", None),
        (b"a.", None),
        (b"", None),
    ],
)
def test_names_suggest_a_format(name: bytes, word: str | None) -> None:
    assert by_name(name) == word


def test_common_raw_extensions_are_known() -> None:
    for extension in (b"cr2", b"cr3", b"nef", b"arw", b"raf", b"orf", b"rw2", b"dng", b"pef"):
        assert extension in RAW_EXTENSIONS
        assert by_name(b"x." + extension.upper()) == "raw"

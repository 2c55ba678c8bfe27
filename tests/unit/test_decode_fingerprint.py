"""The pixel hash changes with what is shown, and with nothing else."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from imgqd.indexing import fingerprint
from imgqd.indexing.decode_protocol import EARLIER_HASH_BYTES, HASH_BYTES
from tests.photographs import photograph


def saved(pillow: str, image: Image.Image | None = None, **options: object) -> bytes:
    stream = io.BytesIO()
    (image or photograph("chelsea").resize((90, 60))).save(stream, pillow, **options)
    return stream.getvalue()


def hashed(word: str, data: bytes, orientation: int = 1) -> bytes:
    found = fingerprint.of_file(word, data, orientation)
    assert found is not None and len(found) == HASH_BYTES
    return found


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


@pytest.mark.parametrize(
    "added",
    [
        segment(0xE1, b"Exif\x00\x00MM\x00*" + bytes(20)),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00<x/>"),
        segment(0xED, b"Photoshop 3.0\x00"),
        segment(0xE2, b"MPF\x00" + bytes(10)),
        segment(0xEE, b"other"),
        segment(0xFE, b"a comment with \xff\xd9 in it"),
        segment(0xE0, b"JFXX\x00" + bytes(30)),
    ],
)
def test_jpeg_segments_that_show_nothing_do_not_count(added: bytes) -> None:
    plain = saved("JPEG")
    for progressive in (plain, saved("JPEG", progressive=True)):
        assert hashed("jpeg", progressive[:2] + added + progressive[2:]) == hashed(
            "jpeg", progressive
        )
    assert hashed("jpeg", plain) != hashed("jpeg", saved("JPEG", progressive=True))


def test_what_follows_the_end_of_a_jpeg_does_not_count() -> None:
    plain = saved("JPEG")
    assert hashed("jpeg", plain + saved("JPEG", quality=10)) == hashed("jpeg", plain)
    assert hashed("jpeg", plain + b"ftypmp42 a video") == hashed("jpeg", plain)


def test_colours_count() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for word, pillow in (("jpeg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")):
        assert hashed(word, saved(pillow)) != hashed(word, saved(pillow, icc_profile=profile))
    cmyk = photograph("chelsea").convert("CMYK")
    data = saved("JPEG", cmyk)
    at = data.index(b"Adobe")
    assert hashed("jpeg", data) != hashed("jpeg", data[:at] + b"adobe" + data[at + 5 :])


def test_every_byte_of_the_pixels_counts() -> None:
    for word, pillow in (("jpeg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")):
        data = saved(pillow)
        whole = hashed(word, data)
        for at in range(len(data) // 2, len(data) - 100, 97):
            broken = bytearray(data)
            broken[at] ^= 0x10
            assert hashed(word, bytes(broken)) != whole, (word, at)


def test_every_orientation_is_another_hash_and_nonsense_is_none() -> None:
    for word, pillow in (("jpeg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")):
        data = saved(pillow)
        assert len({hashed(word, data, turn) for turn in range(1, 9)}) == 8
        assert hashed(word, data, 0) == hashed(word, data, 9) == hashed(word, data, 1)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_how_a_png_is_cut_into_chunks_does_not_count() -> None:
    data = saved("PNG")
    pieces, packed, at = [data[:8]], b"", 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if kind == b"IDAT":
            packed += content
        else:
            if kind == b"IEND":
                pieces += [chunk(b"IDAT", packed[i : i + 500]) for i in range(0, len(packed), 500)]
            pieces.append(chunk(kind, content))
        at += 12 + length
    cut = b"".join(pieces)
    assert Image.open(io.BytesIO(cut)).tobytes() == Image.open(io.BytesIO(data)).tobytes()
    assert cut != data and hashed("png", cut) == hashed("png", data)


def test_png_texts_do_not_count_and_late_ones_are_noticed() -> None:
    data = saved("PNG")
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "a cat")
    with_text = saved("PNG", pnginfo=texts)
    assert hashed("png", with_text) == hashed("png", data)
    assert not fingerprint.png_has_late_text(data)
    assert not fingerprint.png_has_late_text(with_text)
    late = data[:-12] + chunk(b"tEXt", b"Title\x00a cat") + data[-12:]
    assert fingerprint.png_has_late_text(late)
    assert hashed("png", late) == hashed("png", data)


def test_webp_metadata_does_not_count_and_alpha_does() -> None:
    layered = photograph("chelsea").convert("RGBA")
    plain = saved("WEBP", layered)
    exif = Image.Exif()
    exif[0x010E] = "a cat"
    assert hashed("webp", saved("WEBP", layered, exif=exif, xmp=b"<x/>")) == hashed("webp", plain)
    layered.putalpha(100)
    assert hashed("webp", saved("WEBP", layered)) != hashed("webp", plain)


def test_decoded_pixels_count_with_their_palette_and_transparency() -> None:
    image = photograph("chelsea").resize((30, 20)).quantize(8)
    recoloured, clear = image.copy(), image.copy()
    recoloured.putpalette(bytes(24))
    clear.info["transparency"] = 3
    turned = image.transpose(Image.Transpose.ROTATE_90)
    hashes = [fingerprint.of_pixels(other, 1) for other in (image, recoloured, clear, turned)]
    assert len(set(hashes)) == 4
    assert fingerprint.of_pixels(image.copy(), 1) == hashes[0]
    assert fingerprint.of_pixels(image, 6) != hashes[0]


@pytest.mark.parametrize("word", ["jpeg", "png", "webp"])
def test_any_bytes_have_a_hash(word: str) -> None:
    whole = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}[word]
    data = saved(whole)
    for length in (0, 1, 2, 3, 8, 11, 12, 20, 100, len(data) - 1):
        hashed(word, data[:length])
    hashed(word, data[:2] + b"\xff\xc4\x00\x00" * 30_000)
    hashed(word, data[:8] + bytes(12 * 1000))


@pytest.mark.parametrize("word", ["gif", "tiff", "bmp", "avif", "jpeg2000", "heic"])
def test_other_formats_are_hashed_by_their_pixels(word: str) -> None:
    assert fingerprint.of_file(word, b"anything", 1) is None


def test_hashes_of_libraries_from_before_can_still_be_made() -> None:
    jpeg = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xdb\x00\x05abc\xff\xda\x00\x04xyscan\xff\xd9trailer"
    # As they were made and stored until November 2026.
    earlier = fingerprint.of_file("jpeg", jpeg, 6, EARLIER_HASH_BYTES)
    assert earlier == bytes.fromhex("561c607ec3e2dd6d15b477ef4bfa5453")
    pixels = fingerprint.of_pixels(Image.new("P", (2, 2)), 1, EARLIER_HASH_BYTES)
    assert pixels == bytes.fromhex("bf4c84fabbe35716419a1d1c0381ec45")

"""Pictures of every format through real decoder processes: pixels, sizes, hashes, thumbnails."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageOps

from imgqd.errors import ProblemError
from imgqd.indexing import pixels
from imgqd.indexing.decode import DecoderPool
from imgqd.indexing.picture import Limits, PictureFile, configure
from imgqd.records import Decoded, Metadata, Preprocess
from tests.photographs import photograph
from tests.raw_files import dng

pillow_heif.register_heif_opener()
WANT = Preprocess(224, 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": ("JPEG", {"quality": 95}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {"quality": 90}),
    "gif": ("GIF", {}),
    "tiff": ("TIFF", {}),
    "bmp": ("BMP", {}),
    "avif": ("AVIF", {"quality": 90}),
    "jpeg2000": ("JPEG2000", {}),
    "heic": ("HEIF", {"quality": 90}),
}
TIFFS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
HASHED_FROM_BYTES = ("jpeg", "png", "webp")


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    pool = DecoderPool(workers=1, timeout_s=30, max_pixels=50_000_000, memory_mb=1024, min_side=16)
    yield pool
    pool.close()


def open_bytes(data: bytes) -> int:
    fd = os.memfd_create("picture") if hasattr(os, "memfd_create") else _temporary()
    os.write(fd, data)
    return fd


def _temporary() -> int:
    import tempfile

    fd, path = tempfile.mkstemp()
    os.unlink(path)
    return fd


def with_bytes(call: Callable[[int], Any], data: bytes) -> Any:
    fd = open_bytes(data)
    try:
        return call(fd)
    finally:
        os.close(fd)


def decode(pool: DecoderPool, data: bytes, want: Preprocess = WANT, name: bytes = b"") -> Decoded:
    decoded: Decoded = with_bytes(lambda fd: pool.decode(fd, want, name=name), data)
    return decoded


def inspect(pool: DecoderPool, data: bytes, name: bytes = b"") -> Metadata:
    metadata: Metadata = with_bytes(lambda fd: pool.inspect(fd, name=name), data)
    return metadata


def saved(image: Image.Image, word: str, **options: Any) -> bytes:
    pillow, defaults = FORMATS[word]
    stream = io.BytesIO()
    image.save(stream, pillow, **{**defaults, **options})
    return stream.getvalue()


def oriented_exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def reference(data: bytes, want: Preprocess = WANT) -> np.ndarray[Any, Any]:
    """What the same Pillow makes of it without any process around."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(pixels.prepare(ImageOps.exif_transpose(image), want))


@pytest.mark.parametrize("word", FORMATS)
def test_every_format_decodes_to_the_same_pixels_as_pillow(pool: DecoderPool, word: str) -> None:
    data = saved(photograph("chelsea"), word)
    decoded = decode(pool, data)
    assert decoded.pixels.shape == (224, 224, 3) and decoded.pixels.dtype == np.uint8
    assert np.array_equal(decoded.pixels, reference(data))
    metadata = decoded.metadata
    assert (metadata.format, metadata.width, metadata.height) == (word, 451, 300)
    assert metadata == inspect(pool, data)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("word", ["jpeg", "png", "webp", "tiff", "avif", "heic"])
def test_orientation_is_applied_in_every_format_that_has_it(
    pool: DecoderPool, word: str, orientation: int
) -> None:
    image = photograph("chelsea")
    data = saved(image, word, exif=oriented_exif(orientation))
    decoded = decode(pool, data)
    shown = pixels.oriented(image, orientation)
    assert (decoded.metadata.width, decoded.metadata.height) == shown.size
    wanted = np.asarray(pixels.prepare(shown, WANT)).astype(int)
    assert np.abs(decoded.pixels - wanted).mean() < 6  # compression, not a mirrored picture
    if word != "heic":  # pillow-heif's plug-in hides the mark it has applied
        assert np.array_equal(decoded.pixels, reference(data))


@pytest.mark.parametrize("compression", TIFFS)
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_tiff_of_any_compression_is_turned_once(
    pool: DecoderPool, compression: str, orientation: int
) -> None:
    options = {"exif": oriented_exif(orientation), "compression": compression}
    data = saved(photograph("coffee"), "tiff", **options)
    assert np.array_equal(decode(pool, data).pixels, reference(data))


@pytest.mark.parametrize(
    ("size", "orientation"),
    # Sides that are no multiples of 8: the reduced picture's last row and column are partial.
    [*(((2403, 1605), turn) for turn in range(1, 9)), ((2400, 1600), 1), ((2400, 1600), 6)],
)
def test_a_large_jpeg_decoded_at_reduced_scale_stays_close(
    pool: DecoderPool, size: tuple[int, int], orientation: int
) -> None:
    image = photograph("coffee").resize(size, Image.Resampling.BICUBIC)
    data = saved(image, "jpeg", exif=oriented_exif(orientation))
    difference = np.abs(decode(pool, data).pixels.astype(int) - reference(data))
    assert difference.mean() < 1.5
    assert np.percentile(difference, 99) < 12


def test_reduced_scale_is_never_below_twice_the_models_size() -> None:
    configure()
    limits = Limits(100_000_000, 0)
    for size in ((4000, 3000), (3000, 4000), (1400, 933), (900, 600), (8000, 1000), (448, 448)):
        for want in (WANT, Preprocess(384, 384, WANT.mean, WANT.std, resize_mode="squash")):
            for orientation in (1, 6):
                image = Image.new("RGB", size)
                data = saved(image, "jpeg", quality=20, exif=oriented_exif(orientation))
                with io.BufferedReader(io.BytesIO(data)) as stream:
                    source = PictureFile(stream, b"", limits, frozenset())
                    target = pixels.resized_size(source.size, want)
                    decoded, box = source.decoded(pixels.draft_size(source.size, want))
                reduced = decoded.size != source.size
                assert reduced == (box is not None)  # by which the crop alone is resized
                assert (
                    not reduced or min(decoded.width / target[0], decoded.height / target[1]) >= 2
                )
                spare = min(source.size[0] / target[0], source.size[1] / target[1])
                assert reduced == (spare >= 4), (size, want.resize_mode, orientation)


@pytest.mark.parametrize("word", FORMATS)
def test_changed_metadata_keeps_the_pixel_hash(pool: DecoderPool, word: str) -> None:
    image = photograph("chelsea")
    if word in ("gif", "bmp", "jpeg2000"):
        options: list[dict[str, Any]] = [{}, {"comment": b"hello"}]
    else:
        exif = Image.Exif()
        exif[0x010E] = "another description"
        options = [{}, {"exif": exif}]
    plain, changed = (saved(image, word, **option) for option in options)
    other = saved(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), word)
    assert inspect(pool, plain).pixel_hash == inspect(pool, changed).pixel_hash
    assert inspect(pool, plain).pixel_hash != inspect(pool, other).pixel_hash


def test_another_orientation_is_another_picture(pool: DecoderPool) -> None:
    image = photograph("chelsea")
    for word in ("jpeg", "png", "webp", "tiff"):
        hashes = {
            inspect(pool, saved(image, word, exif=oriented_exif(turn))).pixel_hash
            for turn in (1, 3, 6)
        }
        assert len(hashes) == 3, word


@pytest.mark.parametrize(
    ("word", "mode"),
    [
        *(("png", mode) for mode in ("1", "L", "LA", "P", "RGBA", "I;16")),
        *(("tiff", mode) for mode in ("1", "L", "P", "RGBA", "CMYK", "LAB", "F", "I;16", "I;16B")),
        *(("jpeg", mode) for mode in ("L", "CMYK")),
        ("webp", "RGBA"),
        ("gif", "P"),
        ("bmp", "L"),
    ],
)
def test_every_mode_is_converted_as_open_clip_does(pool: DecoderPool, word: str, mode: str) -> None:
    image = photograph("coffee")
    if mode == "P":
        image = image.quantize(64)
    elif mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L"), dtype=np.uint16) * 257)
    elif mode == "I;16B":  # as a big-endian TIFF has it
        grey = np.asarray(image.convert("L"), dtype=">u2") * 257
        image = Image.frombytes(mode, image.size, grey.astype(">u2").tobytes())
    elif mode == "LAB":
        profiles = [ImageCms.createProfile(name) for name in ("sRGB", "LAB")]
        converted = ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
        assert converted is not None
        image = converted
    elif mode in ("LA", "RGBA"):
        image = image.convert(mode)
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    else:
        image = image.convert(mode)
    data = saved(image, word)
    assert np.array_equal(decode(pool, data).pixels, reference(data))


def test_the_first_frame_of_an_animation_is_shown(pool: DecoderPool) -> None:
    first, second = photograph("chelsea"), photograph("coffee").resize((451, 300))
    for word in ("gif", "webp"):
        data = saved(first, word, save_all=True, append_images=[second])
        difference = decode(pool, data).pixels.astype(int) - reference(saved(first, word))
        assert np.abs(difference).mean() < 3, word


def test_raw_shows_its_preview_when_that_is_large_enough(pool: DecoderPool) -> None:
    photo, preview = photograph("coffee"), photograph("chelsea")
    decoded = decode(pool, dng(photo, preview=preview), name=b"a.dng")
    assert (decoded.metadata.format, decoded.metadata.width) == ("raw", 600)
    wanted = np.asarray(pixels.prepare(preview, WANT)).astype(int)
    assert np.abs(decoded.pixels - wanted).mean() < 3


def test_raw_is_developed_when_there_is_no_useful_preview(pool: DecoderPool) -> None:
    photo = photograph("coffee")
    wanted = np.asarray(pixels.prepare(photo, WANT)).astype(float)
    for data in (dng(photo), dng(photo, preview=photograph("chelsea").resize((120, 80)))):
        decoded = decode(pool, data, name=b"a.DNG")
        grey, wanted_grey = decoded.pixels.mean(axis=2).ravel(), wanted.mean(axis=2).ravel()
        assert np.corrcoef(grey, wanted_grey)[0, 1] > 0.9
        assert decoded.metadata == inspect(pool, data, name=b"a.DNG")


@pytest.mark.parametrize("with_preview", [True, False])
def test_raw_is_turned_as_its_camera_was_held(pool: DecoderPool, with_preview: bool) -> None:
    photo = photograph("coffee")
    data = dng(photo, preview=photo if with_preview else None, orientation=6)
    decoded = decode(pool, data, name=b"a.dng")
    assert (decoded.metadata.width, decoded.metadata.height) == (400, 600)
    wanted = np.asarray(pixels.prepare(pixels.oriented(photo, 6), WANT)).astype(float)
    assert np.corrcoef(decoded.pixels.ravel(), wanted.ravel())[0, 1] > 0.85


def test_raw_metadata_comes_from_the_raw_file(pool: DecoderPool) -> None:
    metadata = inspect(pool, dng(photograph("coffee")), name=b"a.dng")
    assert (metadata.camera, metadata.lens) == ("Imgq One", "Imgq 50mm F2")
    assert (metadata.taken, metadata.taken_offset) == (1719743696.0, 120)


def test_a_picture_with_a_raw_files_name_is_what_it_is(pool: DecoderPool) -> None:
    for word in ("jpeg", "tiff"):
        data = saved(photograph("chelsea"), word)
        assert inspect(pool, data, name=b"a.nef").format == word


@pytest.mark.parametrize("format", ["webp", "jpeg", "png"])
def test_thumbnails_are_oriented_and_bounded(pool: DecoderPool, format: str) -> None:
    data = saved(photograph("chelsea"), "jpeg", exif=oriented_exif(6))
    made = with_bytes(lambda fd: pool.thumbnail(fd, 128, format=format), data)
    with Image.open(io.BytesIO(made)) as image:
        assert image.format == format.upper()
        assert image.size == (85, 128)
        wanted = pixels.oriented(photograph("chelsea"), 6).resize(image.size)
        assert np.abs(np.asarray(image.convert("RGB"), dtype=int) - np.asarray(wanted)).mean() < 8


def test_thumbnails_are_never_enlarged_and_show_transparency_on_white(pool: DecoderPool) -> None:
    image = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
    made = with_bytes(lambda fd: pool.thumbnail(fd, 512, format="png"), saved(image, "png"))
    with Image.open(io.BytesIO(made)) as shown:
        assert shown.size == (40, 30)
        assert shown.getpixel((5, 5)) == (255, 255, 255)


def test_sixteen_bit_greys_are_visible_in_thumbnails(pool: DecoderPool) -> None:
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    made = with_bytes(
        lambda fd: pool.thumbnail(fd, 64, format="png"), saved(Image.fromarray(ramp), "png")
    )
    with Image.open(io.BytesIO(made)) as shown:
        values = np.asarray(shown)[:, :, 0]
        assert values.min() < 8 and values.max() > 247 and 110 < values.mean() < 145


def test_the_position_of_the_file_does_not_matter(pool: DecoderPool) -> None:
    fd = open_bytes(saved(photograph("chelsea"), "jpeg"))
    os.lseek(fd, 1000, os.SEEK_SET)
    first = pool.decode(fd, WANT)
    second = pool.decode(fd, WANT)
    os.close(fd)
    assert np.array_equal(first.pixels, second.pixels)


def test_a_closed_file_descriptor_is_a_problem_of_that_file(pool: DecoderPool) -> None:
    fd = open_bytes(b"")
    os.close(fd)
    with pytest.raises(ProblemError):
        pool.decode(fd, WANT)
    assert inspect(pool, saved(photograph("chelsea"), "png")).width == 451

"""Placeholders: twelve cells of every kind of picture, upright, from pixels and from thumbnails."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from imgqd.indexing.decode import DecoderPool
from imgqd.records import PLACEHOLDER_BYTES, Preprocess
from tests.photographs import photograph
from tests.unit.test_decode import open_bytes, oriented_exif, saved

WANT = Preprocess(224, 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    pool = DecoderPool(workers=1, timeout_s=30, max_pixels=50_000_000, memory_mb=1024)
    yield pool
    pool.close()


def cells(pool: DecoderPool, data: bytes, shape: tuple[int, int]) -> np.ndarray:
    """(rows, columns, 3) in 0..255, after both ways there are have said nearly the same."""
    fd = open_bytes(data)
    try:
        decoded = pool.decode(fd, WANT).placeholder
        small = pool.miniature(fd, 256)[1]
    finally:
        os.close(fd)
    assert decoded is not None and len(decoded) == len(small) == PLACEHOLDER_BYTES
    one, other = (_unpacked(value).reshape(*shape, 3) for value in (decoded, small))
    assert np.abs(one.astype(int) - other).max() <= 2 * 17
    return one


def _unpacked(value: bytes) -> np.ndarray:
    packed = np.frombuffer(value, dtype=np.uint8)
    return np.stack([packed >> 4, packed & 15], axis=1).reshape(-1).astype(int) * 17


def corners(size: tuple[int, int]) -> Image.Image:
    """Red, green, blue and white quarters."""
    image = Image.new("RGB", size, (255, 0, 0))
    width, height = size[0] // 2, size[1] // 2
    image.paste((0, 255, 0), (width, 0, *size))
    image.paste((0, 0, 255), (0, height, *size))
    image.paste((255, 255, 255), (width, height, *size))
    return image


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "gif", "tiff", "avif", "heic"])
def test_cells_are_the_colours_of_the_picture_row_by_row(pool: DecoderPool, format: str) -> None:
    found = cells(pool, saved(corners((400, 300)), format), (3, 4))
    wanted = {(0, 0): (255, 0, 0), (0, 3): (0, 255, 0), (2, 0): (0, 0, 255), (2, 3): (255,) * 3}
    for place, colour in wanted.items():
        assert np.abs(found[place] - np.asarray(colour)).max() <= 34


def test_a_picture_that_is_turned_has_upright_cells_four_rows_of_three(pool: DecoderPool) -> None:
    found = cells(pool, saved(corners((400, 300)), "jpeg", exif=oriented_exif(6)), (4, 3))
    assert np.abs(found[0, 0] - np.asarray((0, 0, 255))).max() <= 34
    assert np.abs(found[0, 2] - np.asarray((255, 0, 0))).max() <= 34


def test_a_large_photo_at_reduced_scale_has_the_cells_of_the_whole(pool: DecoderPool) -> None:
    photo = photograph("chelsea").resize((3000, 2000))
    found = cells(pool, saved(photo, "jpeg"), (3, 4))
    wanted = np.asarray(photo.resize((4, 3), Image.Resampling.BOX), dtype=int)
    assert np.abs(found - wanted).max() <= 17


def test_transparency_and_sixteen_bits_are_shown_as_in_thumbnails(pool: DecoderPool) -> None:
    clear = Image.new("RGBA", (60, 45), (0, 0, 0, 0))
    assert cells(pool, saved(clear, "png"), (3, 4)).min() == 255
    ramp = np.linspace(0, 65535, 60 * 45).reshape(45, 60)
    little = Image.fromarray(ramp.astype(np.uint16))
    big = Image.frombytes("I;16B", (60, 45), ramp.astype(">u2").tobytes())
    for data in (saved(little, "png"), saved(little, "tiff"), saved(big, "tiff")):
        found = cells(pool, data, (3, 4))
        assert found[0].max() < 80 and found[2].min() > 175


def test_the_smallest_pictures_have_cells_too(pool: DecoderPool) -> None:
    assert cells(pool, saved(Image.new("RGB", (1, 1), (255, 0, 0)), "png"), (3, 4))[0, 0, 0] == 255
    assert cells(pool, saved(Image.new("P", (1, 500)), "png"), (4, 3)).shape == (4, 3, 3)

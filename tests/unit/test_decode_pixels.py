"""The pixels given to a model equal, bit by bit, those of open_clip's own inference transform."""

from __future__ import annotations

import numpy as np
import pytest
from open_clip.transform import image_transform
from PIL import Image, ImageOps
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from imgqd.indexing import pixels
from imgqd.records import Preprocess
from tests.photographs import photograph

MEAN = STD = (0.5, 0.5, 0.5)
MODES = ("RGB", "L", "LA", "RGBA", "P", "1", "CMYK", "I;16", "I", "F", "YCbCr", "PA")
SIZES = ((451, 300), (300, 451), (224, 224), (37, 500), (1000, 41), (225, 223), (3, 2), (640, 427))


def _want(height: int, width: int, **options: object) -> Preprocess:
    return Preprocess(height, width, MEAN, STD, **options)  # type: ignore[arg-type]


def _open_clip(image: Image.Image, want: Preprocess) -> np.ndarray:
    size = want.height if want.height == want.width else (want.height, want.width)
    transform = image_transform(
        size,
        is_train=False,
        mean=MEAN,
        std=STD,
        resize_mode=want.resize_mode,
        interpolation=want.interpolation,
        fill_color=want.fill_color,
    )
    before_tensor = [step for step in transform.transforms if type(step).__name__ != "Normalize"]
    out = Compose(before_tensor[:-1])(image)
    return np.asarray(out)


def _ours(image: Image.Image, want: Preprocess) -> np.ndarray:
    return np.asarray(pixels.prepare(image, want))


def _photograph(size: tuple[int, int]) -> Image.Image:
    return photograph("chelsea").resize(size)


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L"), dtype=np.uint16) * 257)
    if mode == "P":
        return image.quantize(64)
    if mode == "PA":
        return image.quantize(64).convert("PA")
    if mode in ("LA", "RGBA"):
        image = image.convert(mode)
        image.putalpha(Image.linear_gradient("L").resize(image.size))
        return image
    return image.convert("L").convert(mode) if mode in ("I", "F") else image.convert(mode)


@pytest.mark.parametrize("resize_mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", SIZES)
def test_pixels_equal_open_clips_for_any_size(
    size: tuple[int, int], interpolation: str, resize_mode: str
) -> None:
    image = _photograph(size)
    for height, width in ((224, 224), (256, 256), (378, 378), (224, 320), (320, 224)):
        want = _want(
            height, width, interpolation=interpolation, resize_mode=resize_mode, fill_color=127
        )
        assert np.array_equal(_ours(image, want), _open_clip(image, want)), (height, width)


@pytest.mark.parametrize("resize_mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("mode", MODES)
def test_pixels_equal_open_clips_for_any_mode(mode: str, resize_mode: str) -> None:
    image = _in_mode(_photograph((301, 200)), mode)
    want = _want(224, 224, resize_mode=resize_mode)
    try:
        expected = _open_clip(image, want)
    except (ValueError, KeyError) as error:
        with pytest.raises(type(error)):
            _ours(image, want)
        return
    assert np.array_equal(_ours(image, want), expected)


@pytest.mark.parametrize("size", SIZES)
def test_a_resize_larger_than_the_crop_equals_torchvisions(size: tuple[int, int]) -> None:
    image = _photograph(size)
    transform = Compose([Resize(292, InterpolationMode.BICUBIC), CenterCrop(260)])
    expected = np.asarray(transform(image))
    assert np.array_equal(_ours(image, _want(260, 260, resize=292)), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_as_exif_says(orientation: int) -> None:
    image = _photograph((60, 40))
    marked = image.copy()
    marked.getexif()[0x0112] = orientation
    expected = ImageOps.exif_transpose(marked)
    turned = pixels.oriented(image, orientation)
    assert turned.tobytes() == expected.tobytes()
    assert pixels.swaps_sides(orientation) == (turned.size != image.size)


def test_a_long_strip_is_resized_where_it_is_kept_only() -> None:
    strip = photograph("coffee").resize((60_000, 40))
    want = _want(224, 224)
    middle = strip.crop((29_900, 0, 30_100, 40))
    got = _ours(strip, want).astype(int)
    # The same crop from a shorter piece around the middle, resized as a whole.
    expected = _ours(middle, want).astype(int)
    assert got.shape == (224, 224, 3)
    assert np.abs(got - expected).max() <= 1

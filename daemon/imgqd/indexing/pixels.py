"""From a decoded picture to the pixels a model wants: orientation, resize, crop or pad, RGB.

The same Pillow operations in the same order as the inference transform of open_clip
(open_clip/transform.py, `image_transform`) up to and without its ToTensor and Normalize, so equal
bit by bit for a picture decoded in full. Opening and decoding files is for others.
"""

from __future__ import annotations

from typing import Any, Protocol

from PIL import Image, ImageOps

_FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
}
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# A strip of 60,000 x 32 pixels resized as a whole would take gigabytes to keep a 224 x 224 crop.
_LARGEST_RESIZED = 64_000_000
Size = tuple[int, int]
Box = tuple[float, float, float, float]


class Wanted(Protocol):
    """What is used here of records.Preprocess, which would bring numpy into decoder processes."""

    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def interpolation(self) -> str: ...
    @property
    def resize_mode(self) -> str: ...
    @property
    def fill_color(self) -> int: ...
    @property
    def resize(self) -> int | None: ...


def oriented(image: Image.Image, orientation: int) -> Image.Image:
    """The picture turned as EXIF orientation 1..8 says; other values mean 1."""
    method = _TRANSPOSE.get(orientation)
    return image if method is None else image.transpose(method)


def swaps_sides(orientation: int) -> bool:
    """Whether width and height change places when the orientation is applied."""
    return orientation in (5, 6, 7, 8)


def resized_size(size: Size, want: Wanted) -> Size:
    """(width, height) after the resize and before crop or padding, for a picture of `size`."""
    width, height = size
    if want.resize_mode == "squash":
        return want.width, want.height
    if want.resize is None and (want.resize_mode == "longest" or want.height != want.width):
        ratios = (height / want.height, width / want.width)
        ratio = max(ratios) if want.resize_mode == "longest" else min(ratios)
        return max(1, round(width / ratio)), max(1, round(height / ratio))
    side = want.resize if want.resize is not None else want.height
    if width <= height:
        return side, int(side * height / width)
    return int(side * width / height), side


def _filter(want: Wanted) -> Image.Resampling:
    if want.resize is None and want.resize_mode == "shortest" and want.height != want.width:
        # open_clip builds ResizeKeepRatio without passing the interpolation here.
        return Image.Resampling.BICUBIC
    return _FILTERS[want.interpolation]


def prepare(
    image: Image.Image, want: Wanted, *, box: Box | None = None, size: Size | None = None
) -> Image.Image:
    """The RGB picture of exactly want.width x want.height that the model is given.

    `image` has its orientation applied already. When it was decoded at reduced scale, `size` is its
    (width, height) in full and `box` what part of the reduced picture that is.
    """
    full = image.size if size is None else size
    target = resized_size(full, want)
    method = _filter(want)
    # A reduced picture is not equal bit by bit in any case, and the rest of it would be cut off.
    part = box is not None or target[0] * target[1] > _LARGEST_RESIZED
    if part and want.resize_mode != "squash":
        image = _resize_centre(image, target, want, method, box)
    elif box is not None or image.size != target:
        image = image.resize(target, method, box)
    if want.resize_mode != "squash":
        image = _centre(image, want)
    return image.convert("RGB")


def _resize_centre(
    image: Image.Image, target: Size, want: Wanted, method: Image.Resampling, box: Box | None
) -> Image.Image:
    """Resizes only what the centre crop will keep; equal but for the last bit of rounding."""
    left, top, right, bottom = box if box is not None else (0.0, 0.0, *image.size)
    width, height = min(target[0], want.width), min(target[1], want.height)
    across, down = (right - left) / target[0], (bottom - top) / target[1]
    x, y = round((target[0] - width) / 2.0), round((target[1] - height) / 2.0)
    part = (
        left + x * across,
        top + y * down,
        min(left + (x + width) * across, right),
        min(top + (y + height) * down, bottom),
    )
    return image.resize((width, height), method, part)


def _centre(image: Image.Image, want: Wanted) -> Image.Image:
    """torchvision's CenterCrop, or open_clip's CenterCropOrPad: pads first, then crops."""
    width, height = image.size
    missing_x, missing_y = max(0, want.width - width), max(0, want.height - height)
    if missing_x or missing_y:
        fill = want.fill_color if want.resize_mode == "longest" else 0
        padding = (missing_x // 2, missing_y // 2, (missing_x + 1) // 2, (missing_y + 1) // 2)
        image = _padded(image, padding, fill)
        width, height = image.size
        if (width, height) == (want.width, want.height):
            return image
    left = round((width - want.width) / 2.0)
    top = round((height - want.height) / 2.0)
    return image.crop((left, top, left + want.width, top + want.height))


def _padded(image: Image.Image, padding: tuple[int, int, int, int], fill: int) -> Image.Image:
    bands = len(image.getbands())
    color: Any = (fill,) * bands if bands > 1 else fill
    expanded = ImageOps.expand(image, border=padding, fill=color)
    palette = image.getpalette() if image.mode == "P" else None
    if palette is not None:
        expanded.putpalette(palette)
    return expanded


def draft_size(size: Size, want: Wanted) -> Size:
    """The least (width, height) a reduced decoding of a picture of `size` may have for `want`.

    Twice what the resize will make of it: the resize then still does the larger part of the
    filtering, and vectors stay close to those of the full picture.
    """
    width, height = resized_size(size, want)
    return 2 * width, 2 * height

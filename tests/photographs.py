"""Real photographs for tests, from packages that ship some (scikit-image and scikit-learn)."""

from __future__ import annotations

import functools
import os
import shutil

from PIL import Image


@functools.cache
def _skimage_data() -> str:
    import skimage

    return os.path.join(os.path.dirname(skimage.__file__), "data")


@functools.cache
def photograph(name: str) -> Image.Image:
    """A photograph by its name in skimage.data or sklearn.datasets, as an RGB image."""
    if name in ("china", "flower"):
        from sklearn.datasets import load_sample_image

        return Image.fromarray(load_sample_image(f"{name}.jpg"))
    import skimage.data

    data = getattr(skimage.data, name)()
    if name == "stereo_motorcycle":
        data = data[0]
    return Image.fromarray(data).convert("RGB")


# What the wheels of scikit-image and scikit-learn hold: nothing is downloaded.
NAMES = (
    "chelsea",
    "coffee",
    "rocket",
    "astronaut",
    "china",
    "flower",
    "camera",
    "coins",
    "page",
    "hubble_deep_field",
    "immunohistochemistry",
    "retina",
    "stereo_motorcycle",
)


def save(name: str, path: str, **options: object) -> str:
    """Writes a photograph to `path` in the format of its extension; returns the path."""
    photograph(name).save(path, **options)  # type: ignore[arg-type]
    return path


def variant(number: int, side: int = 96) -> Image.Image:
    """One of many different small pictures, cut from real photographs; equal for equal numbers."""
    source = photograph(("chelsea", "coffee", "china", "flower", "rocket")[number % 5])
    width, height = source.size
    left = (number * 37) % max(1, width - side)
    top = (number * 91) % max(1, height - side)
    piece = source.crop((left, top, left + side, top + side))
    piece.putpixel((number % side, (number // side) % side), (number % 256, number // 256 % 256, 7))
    return piece


def copy(source: str, target: str) -> str:
    """Copies a file with new times, as a person's `cp` does."""
    shutil.copyfile(source, target)
    return target

"""Photographs for the benchmarks: as many as wanted, no two alike, of one size, from a few real ones.

Taken from a folder of anyone's photographs, else from those that come with scikit-image. Each is cropped at another
place, so that contents differ and still look like photographs to a decoder.
"""

from __future__ import annotations

import glob
import os

import numpy as np
from PIL import Image

QUALITY = 90


def originals(directory: str | None) -> list[str]:
    """Paths of real photographs."""
    if directory is None:
        import skimage

        directory = os.path.join(os.path.dirname(skimage.__file__), "data")
        wanted = ("astronaut", "coffee", "chelsea", "rocket", "hubble", "retina", "motorcycle")
        found = [
            path
            for path in glob.glob(os.path.join(directory, "*"))
            if os.path.basename(path).startswith(wanted)
        ]
    else:
        found = [
            path
            for path in glob.glob(os.path.join(glob.escape(directory), "**"), recursive=True)
            if path.lower().endswith((".jpg", ".jpeg", ".png"))
        ]
    if not found:
        raise SystemExit(f"there are no photographs in {directory}")
    return sorted(found)


def photographs(work: str, count: int, size: tuple[int, int], directory: str | None) -> str:
    """A folder with `count` JPEGs of `size`, made once; returns its path."""
    width, height = size
    out = os.path.join(work, f"photos-{width}x{height}-{count}")
    if os.path.exists(f"{out}.complete"):
        return out
    os.makedirs(out, exist_ok=True)
    sources = originals(directory)
    random = np.random.default_rng(1)
    for number in range(count):
        with Image.open(sources[number % len(sources)]) as opened:
            picture = opened.convert("RGB")
        share = random.uniform(0.8, 0.97)
        part = (int(picture.width * share), int(picture.height * share))
        left = int(random.integers(0, picture.width - part[0] + 1))
        top = int(random.integers(0, picture.height - part[1] + 1))
        picture = picture.crop((left, top, left + part[0], top + part[1]))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
        if width * height > 2_000_000:
            picture = _grain(picture, random)
        picture.save(os.path.join(out, f"{number:06d}.jpg"), quality=QUALITY)
    with open(f"{out}.complete", "w"):
        pass
    return out


def _grain(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """What a sensor adds: an enlarged picture alone would be too easy for a decoder."""
    pixels = np.asarray(picture, dtype=np.int16)
    noise = random.integers(-6, 7, (512, 512, 1), dtype=np.int16)
    repeats = (-(-pixels.shape[0] // 512), -(-pixels.shape[1] // 512), 1)
    grain = np.tile(noise, repeats)[: pixels.shape[0], : pixels.shape[1]]
    return Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))

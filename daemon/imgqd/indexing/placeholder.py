"""A picture in twelve cells: what a grid shows, blurred, until the thumbnail is there.

Runs in decoder processes; what the bytes mean is said in records.PLACEHOLDER_BYTES.
"""

from __future__ import annotations

from PIL import Image

_LONG, _SHORT = 4, 3
# So many pixels a side are looked at: of 350 photographs every value was the one that looking at all
# gives, or beside it, in a fifteenth of the time.
_SAMPLED = 96


def placeholder(image: Image.Image, box: tuple[float, float, float, float] | None) -> bytes:
    """18 bytes for an oriented picture, of which `box` is the part that counts (None: all of it)."""
    width, height = image.size if box is None else (box[2] - box[0], box[3] - box[1])
    cells = (_LONG, _SHORT) if width >= height else (_SHORT, _LONG)
    sample = for_screen(image.resize((_SAMPLED, _SAMPLED), Image.Resampling.NEAREST, box))
    small = sample.resize(cells, Image.Resampling.BOX)
    nibbles = [(value * 15 + 127) // 255 for value in small.tobytes()]
    return bytes(high << 4 | low for high, low in zip(nibbles[::2], nibbles[1::2], strict=True))


def for_screen(image: Image.Image) -> Image.Image:
    """RGB, with what is transparent shown on white, and 16-bit greys (which Pillow would clip)."""
    if image.mode.startswith("I;16"):
        # By way of 32 bits: Pillow scales 16 bits of one byte order only.
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L").convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    ground = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    return Image.alpha_composite(ground, layer).convert("RGB")

"""What a decoder process does with one file: pixels for a model, facts, a thumbnail, a sidecar.

Turns one request into one answer, and every failure into a reason. It runs behind the sandbox;
sockets and processes are decode_worker.py's business.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass

from PIL import Image

from imgqd.indexing import decode_protocol as protocol
from imgqd.indexing import metadata, picture, pixels, xmp
from imgqd.indexing.placeholder import for_screen, placeholder

# A colour profile of a wide-gamut camera takes some hundred bytes, one for printing megabytes.
_MAX_PROFILE = 16 * 1024
Answer = tuple[protocol.Fields, bytes]


@dataclass(frozen=True)
class Want:
    """The part of records.Preprocess that concerns pixels (importing it would bring in numpy)."""

    height: int
    width: int
    interpolation: str
    resize_mode: str
    fill_color: int
    resize: int | None


def answer(
    request: protocol.Fields, fd: int, limits: picture.Limits, loaded: frozenset[str]
) -> Answer:
    """The header and the body for one request. Takes over `fd`; never raises."""
    try:
        # Closed whatever happens: the few descriptors there are must last for the whole batch.
        with os.fdopen(fd, "rb") as stream:
            if request["kind"] == "sidecar":
                stream.seek(0)
                return {"facts": metadata.read_sidecar(stream.read(xmp.MAX_PACKET + 1))}, b""
            name = bytes.fromhex(request["name"])
            return _work(picture.PictureFile(stream, name, limits, loaded), request)
    except picture.LibraryNeeded as error:
        return {"library": error.word}, b""
    except Exception as error:
        refused = picture.reason_of(error)
        return {"reason": refused.reason, "detail": refused.detail[:500]}, b""


def _work(source: picture.PictureFile, request: protocol.Fields) -> Answer:
    if request["kind"] == "thumbnail":
        return _thumbnail(source, request["side"], request["format"])
    facts = {
        **source.facts,
        "width": source.width,
        "height": source.height,
        "format": source.format,
        "pixel_hash": source.pixel_hash(request.get("hash_bytes", protocol.HASH_BYTES)).hex(),
    }
    if request["kind"] == "inspect":
        return {"facts": facts}, b""
    want = Want(**request["want"])
    image, box = source.decoded(pixels.draft_size(source.size, want))
    # Of a reduced picture, the box stands for the whole size; others speak for themselves.
    size = source.size if box is not None else None
    body = pixels.prepare(image, want, box=box, size=size).tobytes()
    return {"facts": facts, "placeholder": placeholder(image, box).hex()}, body


def _thumbnail(source: picture.PictureFile, side: int, encoding: str) -> Answer:
    width, height = source.size
    scale = min(1.0, side / max(width, height))
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    image, box = source.decoded((2 * target[0], 2 * target[1]))
    profile = image.info.get("icc_profile") if image.mode == "RGB" else None
    image = for_screen(image)
    if image.size != target or box is not None:
        image = image.resize(target, Image.Resampling.LANCZOS, box, reducing_gap=3.0)
    if not isinstance(profile, bytes) or len(profile) > _MAX_PROFILE:
        profile = None
    stream = io.BytesIO()
    if encoding == "png":
        image.save(stream, "PNG", icc_profile=profile)
    elif encoding == "jpeg":
        image.save(stream, "JPEG", quality=85, icc_profile=profile)
    else:
        image.save(stream, "WEBP", quality=80, method=2, icc_profile=profile)
    told = {"size": list(target), "placeholder": placeholder(image, None).hex()}
    return told, stream.getvalue()

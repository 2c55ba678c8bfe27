"""Mutated pictures of every format against the decoders: `python -m tests.fuzz_decoder [N] [SEED]`.

Prints how many inputs ended in which way and each that a decoder did not survive, with the bytes
written to a folder (`--keep DIR`). Only answers and problems with a known reason are allowed; anything
else ends the run.
"""

from __future__ import annotations

import argparse
import collections
import io
import os
import random
import threading
import time
import zlib
from collections.abc import Iterator

import pillow_heif
from PIL import Image

from imgqd.errors import ProblemError
from imgqd.indexing.decode import DecoderPool
from imgqd.indexing.decode_protocol import REASONS
from imgqd.records import Preprocess
from tests.photographs import photograph
from tests.raw_files import dng

WANT = Preprocess(64, 64, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
PATTERNS = (
    b"\xff\xff\xff\xff",
    bytes(4),
    b"\x7f\xff\xff\xff",
    b"\x00\x00\xff\xff",
    b"\xff\xff\0\0",
)
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag><rdf:li>cat</rdf:li>'
    b"</rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def seeds() -> dict[str, bytes]:
    """A small real picture in each format and its main variants; keys that begin with `raw` are
    RAW photographs, to be given such a name."""
    pillow_heif.register_heif_opener()
    image = photograph("coffee").resize((160, 120))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Canon"
    exif[0x8769] = {0x9003: "2024:06:30 12:00:00"}
    exif[0x8825] = {1: "N", 2: (1.0, 2.0, 3.0), 3: "E", 4: (4.0, 5.0, 6.0)}
    described = {"exif": exif.tobytes(), "xmp": XMP}

    def saved(pillow: str, picture: Image.Image = image, **options: object) -> bytes:
        stream = io.BytesIO()
        picture.save(stream, pillow, **options)
        return stream.getvalue()

    jpeg = saved("JPEG", **described)
    return {
        "jpeg": jpeg,
        "jpeg-progressive": saved("JPEG", progressive=True),
        "jpeg-cmyk": saved("JPEG", image.convert("CMYK")),
        "png": saved("PNG", exif=described["exif"]),
        "png-palette": saved("PNG", image.quantize(64)),
        "webp": saved("WEBP", **described),
        "webp-lossless": saved("WEBP", lossless=True),
        "gif": saved("GIF"),
        "tiff": saved("TIFF"),
        "tiff-lzw": saved("TIFF", compression="tiff_lzw"),
        "tiff-jpeg": saved("TIFF", compression="jpeg"),
        "tiff-fax": saved("TIFF", image.convert("1"), compression="group4"),
        "tiff-deflate": saved("TIFF", compression="tiff_adobe_deflate"),
        "bmp": saved("BMP"),
        "avif": saved("AVIF", **described),
        "jpeg2000": saved("JPEG2000"),
        "heic": saved("HEIF", **described),
        "raw": dng(image),
        "raw-preview": dng(image, preview=image),
    }


def mutated(data: bytes, chance: random.Random) -> bytes:
    """`data` with some bits, bytes, words or ranges changed, taken out or doubled, or cut short."""
    out = bytearray(data)
    reach = min(len(out), 600) if chance.random() < 0.6 else len(out)
    for _ in range(chance.choice((1, 1, 2, 4, 8, 32))):
        at, kind = chance.randrange(reach), chance.random()
        if kind < 0.3:
            out[at] ^= 1 << chance.randrange(8)
        elif kind < 0.6:
            out[at] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
        elif kind < 0.75:
            out[at : at + 4] = chance.choice(PATTERNS)
        elif kind < 0.85:
            del out[at : at + chance.randrange(1, 64)]
        elif kind < 0.95:
            start = chance.randrange(len(out))
            out[at:at] = out[start : start + chance.randrange(1, 64)]
        else:
            del out[chance.randrange(1, len(out)) :]
        reach = min(reach, len(out))
        if reach < 20:
            break
    return bytes(out)


def inputs(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    chance, known = random.Random(seed), seeds()
    words = list(known)
    for number in range(count):
        word = words[number % len(words)]
        data = mutated(known[word], chance)
        if word.startswith("png") and chance.random() < 0.8:
            data = with_right_checksums(data)  # or nothing behind the first change is looked at
        yield word, data


def with_right_checksums(png: bytes) -> bytes:
    out, at = bytearray(png), 8
    while at + 12 <= len(out):
        end = at + 8 + int.from_bytes(out[at : at + 4], "big")
        if end + 4 > len(out):
            break
        out[end : end + 4] = zlib.crc32(out[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(out)


def outcome(pool: DecoderPool, word: str, data: bytes) -> str:
    """`ok` or the reason; a reason that does not exist, or any other exception, raises."""
    fd = os.memfd_create("picture")
    try:
        os.write(fd, data)
        pool.decode(fd, WANT, name=b"a.dng" if word.startswith("raw") else b"a")
    except ProblemError as error:
        if error.reason not in REASONS or "not permitted" in error.message:
            raise AssertionError(f"{word}: {error.reason}: {error.message}") from error
        return error.reason
    finally:
        os.close(fd)
    return "ok"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("count", nargs="?", type=int, default=20_000)
    options.add_argument("seed", nargs="?", type=int, default=1)
    options.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options.add_argument("--keep", metavar="DIR")
    given = options.parse_args()
    pool = DecoderPool(workers=given.workers, timeout_s=10, max_pixels=300_000_000, memory_mb=1024)
    stream, lock = inputs(given.count, given.seed), threading.Lock()
    seen: collections.Counter[tuple[str, str]] = collections.Counter()

    def work() -> None:
        while True:
            with lock:
                word, data = next(stream, ("", b""))
            if not word:
                return
            reason = outcome(pool, word, data)
            with lock:
                seen[word, reason] += 1
                number = sum(seen.values())
            if reason in ("crashed", "timeout", "memory"):
                print(f"{word}: {reason}", flush=True)
                if given.keep:
                    os.makedirs(given.keep, exist_ok=True)
                    name = f"{word}-{reason}-{given.seed}-{number}"
                    with open(os.path.join(given.keep, name), "wb") as kept:
                        kept.write(data)

    began = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(given.workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool.close()
    total: collections.Counter[str] = collections.Counter()
    for (word, reason), number in sorted(seen.items()):
        print(f"{word:18} {reason:12} {number}")
        total[reason] += number
    answered = sum(total.values())
    print(
        f"{answered} of {given.count} answered in {time.monotonic() - began:.0f} s: {dict(total)}"
    )
    if answered != given.count:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

"""Picture files that no decoder should be alone with: broken, lying, enormous, endless.

Each function gives the bytes of one file; all are small and made in well under a second, and none
needs a hook in the code that is tested.
"""

from __future__ import annotations

import io
import struct
import zlib

from tests.photographs import photograph


def jpeg() -> bytes:
    """A good JPEG, for comparison and to be broken."""
    stream = io.BytesIO()
    photograph("chelsea").save(stream, "JPEG", quality=90)
    return stream.getvalue()


def truncated_jpeg() -> bytes:
    """A JPEG that ends in the middle of its pixels, as an interrupted copy does."""
    data = jpeg()
    return data[: len(data) // 2]


def text() -> bytes:
    """No picture at all; to be written with a picture's name."""
    return b"These are not the pixels you are looking for.\n" * 20


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(side: int = 30_000) -> bytes:
    """A valid black and white PNG of side x side pixels; 30,000 are 900 million in some 110 kB."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def huge_tiff(side: int = 2_000_000_000) -> bytes:
    """A TIFF of a few hundred bytes that claims side x side pixels in one strip."""
    tags = [
        (256, 4, 1, side),
        (257, 4, 1, side),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 200),
        (277, 3, 1, 1),
        (278, 4, 1, side),
        (279, 4, 1, 0xFFFFFFF0),
    ]
    directory = struct.pack("<H", len(tags))
    directory += b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return (b"II*\x00\x08\x00\x00\x00" + directory).ljust(300, b"\x00")


def _segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def _bits(codes: list[tuple[int, int]]) -> bytes:
    """Entropy-coded data of (value, number of bits), padded with ones, FF stuffed."""
    text = "".join(f"{value:0{count}b}" for value, count in codes)
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\x00")


def slow_jpeg(side: int = 10_000, scans: int = 20_000) -> bytes:
    """A progressive JPEG of side x side grey pixels in `scans` empty scans: minutes of decoding.

    Below any sensible pixel limit and valid but for its number of scans; each says "nothing new"
    in 150 bytes, and the decoder visits every block for it.
    """
    across = (side + 7) // 8
    blocks = across * across
    quantization = _segment(0xDB, bytes([0]) + bytes([16] * 64))
    frame = _segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + bytes([1, 0x11, 0]))
    # One code for "no difference", and one for "the next 16,384 to 32,767 blocks end here".
    dc_table = _segment(0xC4, bytes([0x00, 1]) + bytes(15) + bytes([0]))
    ac_table = _segment(0xC4, bytes([0x10, 1]) + bytes(15) + bytes([0xE0]))
    dc_scan = _segment(0xDA, bytes([1, 1, 0x00, 0, 0, 0])) + _bits([(0, 1)] * blocks)
    runs, left = [], blocks
    while left > 0:
        run = min(32_767, max(16_384, left))
        runs += [(0, 1), (run - 16_384, 14)]
        left -= run
    ac_scan = _segment(0xDA, bytes([1, 1, 0x00, 1, 63, 0])) + _bits(runs)
    start = b"\xff\xd8" + quantization + frame + dc_table + ac_table
    return start + dc_scan + ac_scan * scans + b"\xff\xd9"


def crashing_raw(depth: int = 500_000) -> bytes:
    """A "QuickTime" file of boxes in boxes in boxes, to be written with a RAW photograph's name.

    LibRaw (0.22 at least) follows them with one function call each, and its stack overflows:
    SIGSEGV.
    """
    first = struct.pack(">I", 16) + b"ftypqt  \x20\x00\x00\x00"
    sizes = range(8 * depth, 0, -8)
    return first + b"".join(struct.pack(">I4s", size, b"moov") for size in sizes) + bytes(64)

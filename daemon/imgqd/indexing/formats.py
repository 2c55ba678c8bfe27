"""Which picture formats there are, and how to tell one by its first bytes or by its name.

Used before anything is decoded, also in the daemon itself, so it is standard library only and looks
at no more than the first bytes. Whether a file really decodes is for the decoder to say.
"""

from __future__ import annotations

import struct

FORMATS = ("jpeg", "png", "webp", "gif", "tiff", "bmp", "avif", "jpeg2000", "heic", "raw")
SNIFF_BYTES = 64
# Python packages that a format needs beside Pillow.
LIBRARIES = {"heic": "pillow_heif", "raw": "rawpy"}

RAW_EXTENSIONS = frozenset(
    b"3fr ari arw bay cap cr2 cr3 crw dcr dcs dng erf fff gpr iiq k25 kdc mdc mef mos mrw nef nrw "
    b"orf ori pef ptx pxn r3d raf raw rw2 rwl rwz sr2 srf srw x3f".split()
)
_EXTENSIONS: dict[bytes, str] = {
    **{
        extension: word
        for word, extensions in (
            ("jpeg", b"jpg jpeg jpe jfif jif mpo"),
            ("png", b"png apng"),
            ("webp", b"webp"),
            ("gif", b"gif"),
            ("tiff", b"tif tiff"),
            ("bmp", b"bmp dib"),
            ("avif", b"avif avifs"),
            ("jpeg2000", b"jp2 j2k jpf jpx j2c jpc"),
            ("heic", b"heic heif heics heifs hif"),
        )
        for extension in extensions.split()
    },
    **{extension: "raw" for extension in RAW_EXTENSIONS},
}

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_RAW_MAGIC = (
    b"FUJIFILMCCD-RAW",  # RAF
    b"IIRO",  # ORF
    b"IIRS",
    b"MMOR",
    b"IIU\x00",  # RW2
    b"FOVb",  # X3F
    b"\x00MRM",  # MRW
    b"II\x1a\x00\x00\x00HEAPCCDR",  # CRW
)
_BMP_HEADER_SIZES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})


def by_name(name: bytes) -> str | None:
    """The format word that a file name (or path) suggests by its extension, else None."""
    base = name[name.rfind(b"/") + 1 :]
    dot = base.rfind(b".")
    return _EXTENSIONS.get(base[dot + 1 :].lower()) if dot > 0 else None


def sniff(head: bytes) -> str | None:
    """The format word of a file that starts with `head` (64 bytes are enough), else None.

    RAW formats that are TIFF inside and carry no mark of their own are `tiff` here; their names
    tell them apart (`by_name`).
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith(_RAW_MAGIC):
        return "raw"
    if head.startswith((b"II*\x00", b"MM\x00*", b"II+\x00\x08\x00", b"MM\x00+\x00\x08")):
        return "raw" if head[8:10] == b"CR" else "tiff"
    if head.startswith((b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")):
        return "jpeg2000"
    if head.startswith(b"BM") and len(head) >= 18:
        # Two letters alone would take many a text for a picture.
        return "bmp" if struct.unpack_from("<I", head, 14)[0] in _BMP_HEADER_SIZES else None
    if head[4:8] == b"ftyp":
        return _sniff_iso(head)
    return None


def _sniff_iso(head: bytes) -> str | None:
    """ISO base media: the brands of the `ftyp` box decide (ISO/IEC 14496-12, 23008-12)."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    major = head[8:12]
    brands = [major, *(head[at : at + 4] for at in range(16, end - 3, 4))]
    if major == b"crx ":
        return "raw"
    if any(brand in _AVIF_BRANDS for brand in brands):
        return "avif"
    if any(brand in _HEIC_BRANDS for brand in brands):
        return "heic"
    return None

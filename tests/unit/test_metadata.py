"""What pictures and sidecars say of themselves, read by real decoder processes."""

from __future__ import annotations

import io
import os
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from imgqd.indexing.decode import DecoderPool
from imgqd.indexing.decode_answer import Sidecar
from imgqd.records import Metadata
from tests.photographs import photograph
from tests.unit.test_decode import inspect, open_bytes, saved

NOON = 1719748800.0  # 2024-06-30 12:00:00 UTC
IN_EVERY_EXIF = ("jpeg", "png", "webp", "tiff", "avif", "heic")


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    pool = DecoderPool(workers=1, timeout_s=30, max_pixels=50_000_000, memory_mb=1024)
    yield pool
    pool.close()


def exif(
    main: dict[int, Any] | None = None,
    photo: dict[int, Any] | None = None,
    gps: dict[int, Any] | None = None,
) -> bytes:
    """EXIF with these tags in IFD0, the Exif and the GPS directory."""
    made = Image.Exif()
    for number, value in (main or {}).items():
        made[number] = value
    if photo:
        made[0x8769] = photo
    if gps:
        made[0x8825] = gps
    return made.tobytes()


def xmp(properties: str, attributes: str = "") -> bytes:
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" {attributes}
    xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
    xmlns:aux="http://ns.adobe.com/exif/1.0/aux/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
    xmlns:MicrosoftPhoto="http://ns.microsoft.com/photo/1.0/">
   {properties}
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>""".encode()


def alt(name: str, *texts: tuple[str, str]) -> str:
    items = "".join(f'<rdf:li xml:lang="{language}">{text}</rdf:li>' for language, text in texts)
    return f"<{name}><rdf:Alt>{items}</rdf:Alt></{name}>"


def bag(name: str, *texts: str) -> str:
    items = "".join(f"<rdf:li>{text}</rdf:li>" for text in texts)
    return f"<{name}><rdf:Bag>{items}</rdf:Bag></{name}>"


def of(pool: DecoderPool, word: str = "jpeg", **options: Any) -> Metadata:
    return inspect(pool, saved(photograph("chelsea").resize((60, 40)), word, **options))


def sidecar(pool: DecoderPool, data: bytes) -> Sidecar:
    fd = open_bytes(data)
    try:
        return pool.sidecar(fd)
    finally:
        os.close(fd)


CAMERA = {0x010F: "Canon", 0x0110: "Canon EOS 5D Mark III"}
PHOTO = {
    0x9003: "2024:06:30 14:00:00",
    0x9011: "+02:00",
    0x9291: "25",
    0xA434: "EF50mm f/1.4 USM",
}
GPS = {1: "S", 2: (33.0, 55.0, 30.0), 3: "E", 4: (18.0, 25.0, 12.0)}


@pytest.mark.parametrize("word", [word for word in IN_EVERY_EXIF if word != "tiff"])
def test_exif_is_read_in_every_format_that_has_it(pool: DecoderPool, word: str) -> None:
    found = of(pool, word, exif=exif(CAMERA, PHOTO, GPS))
    assert found.taken == NOON + 0.25
    assert found.taken_offset == 120
    assert found.camera == "Canon EOS 5D Mark III"
    assert found.lens == "EF50mm f/1.4 USM"
    assert found.gps == (-33.925, 18.42)


def test_exif_of_a_tiff_is_its_own_directory(pool: DecoderPool) -> None:
    image = photograph("chelsea").resize((60, 40))
    stream = io.BytesIO()
    tags = Image.Exif()
    tags[0x010F], tags[0x0110], tags[0x010E] = "NIKON CORPORATION", "NIKON D750", "A cat"
    image.save(stream, "TIFF", tiffinfo=dict(tags))
    found = inspect(pool, stream.getvalue())
    assert (found.camera, found.description) == ("NIKON D750", "A cat")


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("NIKON CORPORATION", "NIKON D750", "NIKON D750"),
        ("Apple", "iPhone 15 Pro", "Apple iPhone 15 Pro"),
        ("SONY", "ILCE-7M4", "SONY ILCE-7M4"),
        ("", "Pixel 8", "Pixel 8"),
        ("Google", "", "Google"),
        ("  Canon \x00garbage", "EOS\x00", "Canon EOS"),
        ("", "", None),
        ("\x00", " ", None),
    ],
)
def test_camera_is_make_and_model_without_repeating_itself(
    pool: DecoderPool, make: str, model: str, camera: str | None
) -> None:
    assert of(pool, exif=exif({0x010F: make, 0x0110: model})).camera == camera


@pytest.mark.parametrize(
    ("tags", "taken", "offset"),
    [
        ({0x9003: "2024:06:30 12:00:00", 0x9011: "+00:00"}, NOON, 0),
        ({0x9003: "2024:06:30 12:00:00", 0x9011: "Z"}, NOON, 0),
        ({0x9003: "2024:06:30 06:30:00", 0x9011: "-05:30"}, NOON, -330),
        ({0x9004: "2024:06:30 12:00:00", 0x9012: "+00:00"}, NOON, 0),
        ({0x9003: "2024-06-30 12:00:00", 0x9011: "+00:00"}, NOON, 0),
        ({0x9003: "0000:00:00 00:00:00", 0x9004: "2024:06:30 12:00:00", 0x9012: "+00:00"}, NOON, 0),
        ({0x9003: "2024:06:30 12:00:00", 0x9011: "+00:00", 0x9291: "abc"}, NOON, 0),
        ({0x9003: "0000:00:00 00:00:00"}, None, None),
        ({0x9003: "2024:13:45 99:99:99"}, None, None),
        ({0x9003: "    :  :     :  :  "}, None, None),
        ({0x9003: "yesterday"}, None, None),
        ({0x9003: ""}, None, None),
        ({}, None, None),
    ],
)
def test_the_time_taken(
    pool: DecoderPool, tags: dict[int, str], taken: float | None, offset: int | None
) -> None:
    found = of(pool, exif=exif(photo=tags))
    assert (found.taken, found.taken_offset) == (taken, offset)


def test_a_time_without_an_offset_is_local_time_here(
    pool: DecoderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = saved(photograph("chelsea"), "jpeg", exif=exif(photo={0x9003: "2024:06:30 12:00:00"}))
    for zone, hours in (("UTC0", 0), ("America/New_York", 4), ("Asia/Tokyo", -9)):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        try:
            found = inspect(pool, data)
        finally:
            monkeypatch.undo()
            time.tzset()
        assert (found.taken, found.taken_offset) == (NOON + hours * 3600, None), zone


@pytest.mark.parametrize(
    "offset", ["+25:00", "+99:99", "02:00", "+2", "\uff0b02:00", "+02:00 or so", "   :  "]
)
def test_a_broken_offset_is_no_offset(pool: DecoderPool, offset: str) -> None:
    tags = {0x9003: "2024:06:30 12:00:00", 0x9011: offset}
    assert of(pool, exif=exif(photo=tags)).taken_offset is None


@pytest.mark.parametrize(
    ("tags", "place"),
    [
        ({1: "N", 2: (51.0, 30.0, 0.0), 3: "W", 4: (0.0, 7.0, 30.0)}, (51.5, -0.125)),
        ({1: "N", 2: (51.5, 0.0, 0.0), 3: "W", 4: (0.125, 0.0, 0.0)}, (51.5, -0.125)),
        ({2: (51.0, 30.0, 0.0), 4: (0.0, 7.0, 30.0)}, None),
        ({1: "N", 2: (91.0, 0.0, 0.0), 3: "E", 4: (1.0, 0.0, 0.0)}, None),
        ({1: "N", 2: (1.0, 0.0, 0.0), 3: "E", 4: (181.0, 0.0, 0.0)}, None),
        ({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)}, None),
        ({1: "X", 2: (1.0, 0.0, 0.0), 3: "Y", 4: (1.0, 0.0, 0.0)}, None),
        ({1: "N", 2: (1.0, 0.0, 0.0)}, None),
    ],
)
def test_the_place(
    pool: DecoderPool, tags: dict[int, Any], place: tuple[float, float] | None
) -> None:
    assert of(pool, exif=exif(gps=tags)).gps == place


def test_a_place_with_a_zero_denominator_is_no_place(pool: DecoderPool) -> None:
    data = exif(gps={1: "N", 2: (7.0, 0.0, 0.0), 3: "E", 4: (7.0, 0.0, 0.0)})
    broken = data.replace(struct.pack(">II", 7, 1), struct.pack(">II", 7, 0))
    broken = broken.replace(struct.pack("<II", 7, 1), struct.pack("<II", 7, 0))
    assert broken != data
    assert of(pool, exif=data).gps == (7.0, 7.0)
    assert of(pool, exif=broken).gps is None


WORDS = xmp(
    alt("dc:title", ("de", "Die Katze"), ("x-default", "The cat"))
    + alt("dc:description", ("x-default", "Chelsea &amp; the <![CDATA[<camera>]]>"))
    + bag("dc:subject", "cat", "Katze", "cat", " ", "日本")
    + "<xmp:Rating>4</xmp:Rating>"
)


@pytest.mark.parametrize("word", ["jpeg", "webp", "avif", "heic"])
def test_xmp_is_read_in_every_format_that_has_it(pool: DecoderPool, word: str) -> None:
    found = of(pool, word, xmp=WORDS)
    assert found.title == "The cat"
    assert found.description == "Chelsea & the <camera>"
    assert found.keywords == ("cat", "Katze", "日本")
    assert found.rating == 4


def test_xmp_is_read_in_png_before_and_behind_the_pixels(pool: DecoderPool) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", WORDS.decode())
    data = saved(photograph("chelsea").resize((60, 40)), "png", pnginfo=texts)
    assert inspect(pool, data).title == "The cat"
    start = data.index(b"iTXt") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    iend = data.index(b"IEND") - 4
    behind = data[:start] + data[end:iend] + data[start:end] + data[iend:]
    assert inspect(pool, behind).title == "The cat"


def test_xmp_properties_may_be_attributes(pool: DecoderPool) -> None:
    packet = xmp(
        "", 'xmp:Rating="3" photoshop:DateCreated="2024-06-30T12:00:00Z" tiff:Make="Leica"'
    )
    found = of(pool, xmp=packet)
    assert (found.rating, found.taken, found.camera) == (3, NOON, "Leica")


def iptc(*datasets: tuple[int, bytes]) -> bytes:
    """A Photoshop APP13 segment with an IPTC block of these datasets of record 2."""
    block = b"".join(
        struct.pack(">BBBH", 0x1C, 2, number, len(value)) + value for number, value in datasets
    )
    resource = b"8BIM\x04\x04\x00\x00" + struct.pack(">I", len(block)) + block
    segment = b"Photoshop 3.0\x00" + resource + bytes(len(block) & 1)
    return b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment


def test_iptc_is_read_in_utf8_and_in_latin1(pool: DecoderPool) -> None:
    plain = saved(photograph("chelsea").resize((60, 40)), "jpeg")
    segment = iptc(
        (5, "Überschrift".encode()),
        (120, "Das Café".encode("latin-1")),
        (25, b"cat"),
        (25, b"pet"),
        (55, b"20240630"),
        (60, b"140000+0200"),
    )
    found = inspect(pool, plain[:2] + segment + plain[2:])
    assert (found.title, found.description) == ("Überschrift", "Das Café")
    assert found.keywords == ("cat", "pet")
    assert (found.taken, found.taken_offset) == (NOON, 120)


def test_xmp_wins_over_iptc_and_iptc_over_exif_for_words(pool: DecoderPool) -> None:
    image = photograph("chelsea").resize((60, 40))
    tags = exif({0x010E: "from exif", 0x9C9B: "titel".encode("utf-16-le"), 0x4746: 2})
    packet = xmp(alt("dc:title", ("x-default", "from xmp")) + bag("dc:subject", "one"))
    words = iptc((5, b"from iptc"), (120, b"from iptc"), (25, b"two"))
    plain = saved(image, "jpeg", exif=tags)
    assert inspect(pool, plain).title == "titel"
    assert inspect(pool, plain).description == "from exif"
    assert inspect(pool, plain).rating == 2
    with_iptc = plain[:2] + words + plain[2:]
    assert inspect(pool, with_iptc).title == "from iptc"
    both = saved(image, "jpeg", exif=tags, xmp=packet)
    found = inspect(pool, both[:2] + words + both[2:])
    assert (found.title, found.description) == ("from xmp", "from iptc")
    assert found.keywords == ("one", "two")


@pytest.mark.parametrize(
    ("value", "rating"),
    [("0", 0), ("5", 5), ("-1", -1), ("3.0", 3), ("6", None), ("nan", None), ("many", None)],
)
def test_ratings_are_stars(pool: DecoderPool, value: str, rating: int | None) -> None:
    assert of(pool, xmp=xmp(f"<xmp:Rating>{value}</xmp:Rating>")).rating == rating


@pytest.mark.parametrize(("percent", "rating"), [(1, 1), (25, 2), (50, 3), (75, 4), (99, 5)])
def test_windows_ratings_in_percent_are_stars_too(
    pool: DecoderPool, percent: int, rating: int
) -> None:
    packet = xmp(f"<MicrosoftPhoto:Rating>{percent}</MicrosoftPhoto:Rating>")
    assert of(pool, xmp=packet).rating == rating
    assert of(pool, exif=exif({0x4749: percent})).rating == rating


def test_texts_are_cleaned_and_cut(pool: DecoderPool) -> None:
    dirty = "\x1b[31mred\x07 \u202e" + "x" * 100_000
    found = of(pool, exif=exif({0x0110: "M" * 5000}), xmp=xmp("", f'aux:Lens="{"l" * 9000}"'))
    assert found.camera == "M" * 256 and found.lens == "l" * 256
    found = of(pool, exif=exif({0x010E: "Caf\u00e9\x1b[31m\nnext".encode()}))
    assert found.description == "Café[31m\nnext"
    side = sidecar(pool, xmp(bag("dc:subject", *[f"w{n}" for n in range(3000)])))
    assert len(side.keywords) == 256
    text = dirty.replace("\x1b", "").replace("\x07", "")
    side = sidecar(pool, xmp(alt("dc:description", ("x-default", text))))
    assert side.description is not None
    assert len(side.description) == 4096 and side.description.startswith("[31mred x")


def test_the_longest_texts_in_the_widest_letters_still_fit_an_answer(pool: DecoderPool) -> None:
    wide = "\U0001f408"
    packet = xmp(
        alt("dc:title", ("x-default", wide * 9000))
        + alt("dc:description", ("x-default", wide * 9000))
        + bag("dc:subject", *[wide * 200 + str(n) for n in range(300)])
    )
    found = sidecar(pool, packet)
    assert found.title == wide * 1024 and found.description == wide * 4096
    assert 30 < len(found.keywords) < 50


def test_entities_are_not_expanded(pool: DecoderPool) -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
    stolen = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    for doctype in (bomb, stolen):
        packet = doctype + xmp(alt("dc:title", ("x-default", "x &a; y"))).partition(b"?>\n")[2]
        assert sidecar(pool, packet) == Sidecar()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 1000,
        b"no xml at all",
        b"<" * 10_000,
        b"<a>" * 200_000,
        b"<?xml version='1.0' encoding='no-such'?><a/>",
        b"\xff\xfe<\x00a\x00",
        xmp("")[:200],
        xmp("<dc:title>" + "<rdf:Alt>" * 500),
    ],
)
def test_sidecars_that_make_no_sense_say_nothing(pool: DecoderPool, data: bytes) -> None:
    assert sidecar(pool, data) == Sidecar()


def test_sidecars_are_read(pool: DecoderPool) -> None:
    packet = xmp(
        alt("dc:title", ("x-default", "Title"))
        + "<exif:DateTimeOriginal>2024-06-30T14:00:00.500+02:00</exif:DateTimeOriginal>"
        + "<exif:GPSLatitude>33,55.5S</exif:GPSLatitude>"
        + "<exif:GPSLongitude>18,25,12E</exif:GPSLongitude>"
        + "<tiff:Make>FUJIFILM</tiff:Make><tiff:Model>X-T5</tiff:Model><aux:Lens>XF35</aux:Lens>"
        + "<xmp:Rating>-1</xmp:Rating>"
    )
    for data in (packet, packet.decode().encode("utf-16")):
        assert sidecar(pool, data) == Sidecar(
            taken=NOON + 0.5,
            taken_offset=120,
            camera="FUJIFILM X-T5",
            lens="XF35",
            gps=(-33.925, 18.42),
            title="Title",
            rating=-1,
        )


@pytest.mark.parametrize("word", ["jpeg", "webp", "avif", "heic"])
def test_broken_exif_never_stands_in_the_way_of_the_pixels(pool: DecoderPool, word: str) -> None:
    good = exif(CAMERA, PHOTO, GPS)
    data = saved(photograph("chelsea").resize((60, 40)), word, exif=good)
    start = data.index(good[6:])  # behind "Exif\0\0", which some formats leave out
    whole = inspect(pool, data)
    # libavif itself refuses EXIF that does not begin like a TIFF file.
    for offset in range(9 if word == "avif" else 0, len(good) - 6, 3):
        broken = bytearray(data)
        broken[start + offset] ^= 0xFF
        found = inspect(pool, bytes(broken))
        assert {found.width, found.height} == {whole.width, whole.height}

"""Metadata of real photographs, written by exiftool: kept, changed, filtered and counted by."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import apsw
import pytest

from imgqd.indexing import fingerprint
from imgqd.indexing.decode_protocol import EARLIER_HASH_BYTES
from tests import photographs
from tests.harness import Home, fresh_home

pytestmark = pytest.mark.skipif(
    shutil.which("exiftool") is None,
    reason="exiftool is not installed (Debian: libimage-exiftool-perl)",
)

PHOTOS: dict[str, tuple[str, ...]] = {
    "2023/cat.jpg": ("-DateTimeOriginal=2023:05:01 10:00:00", "-OffsetTimeOriginal=+02:00",
                     "-Make=Canon", "-Model=Canon EOS R5", "-LensModel=RF50mm F1.2", "-Rating=5",
                     "-GPSLatitude=52.52", "-GPSLatitudeRef=N", "-GPSLongitude=13.405",
                     "-GPSLongitudeRef=E", "-XMP-dc:Title=Grüße vom Kater",
                     "-XMP-dc:Subject=cat", "-XMP-dc:Subject=pet"),
    "2023/coffee.jpg": ("-DateTimeOriginal=2023:12:31 23:30:00", "-OffsetTimeOriginal=-05:00",
                        "-Model=Pixel 7", "-Rating=3", "-IPTC:Caption-Abstract=a cup at night"),
    "2024/rocket.jpg": ("-DateTimeOriginal=2024:06:30 12:00:00", "-OffsetTimeOriginal=+00:00",
                        "-Make=NIKON CORPORATION", "-Model=NIKON Z 6", "-Rating=1",
                        "-GPSLatitude=28.6", "-GPSLatitudeRef=N", "-GPSLongitude=80.6",
                        "-GPSLongitudeRef=W"),
    "2024/china.jpg": ("-DateTimeOriginal=2024:03:01 00:00:00", "-OffsetTimeOriginal=+08:00",
                       "-Model=NIKON D1", "-IPTC:Keywords=temple"),
    "plain.png": (),
}  # fmt: skip
SOURCES = {"cat": "chelsea", "plain": "coins"}


def exiftool(*arguments: str) -> bytes:
    done = subprocess.run(["exiftool", *arguments], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def exif_answer(home: Home, condition: str) -> set[str]:
    """The photos for which exiftool itself finds a condition true."""
    done = subprocess.run(
        ["exiftool", "-q", "-n", "-r", "-if", condition, "-p", "$FileName", home.photos],
        capture_output=True,
    )
    return set(done.stdout.decode().split())


@pytest.fixture
def album(tiny_home: Home) -> Home:
    for name, tags in PHOTOS.items():
        path = tiny_home.path(*name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        stem = os.path.basename(name).partition(".")[0]
        photographs.save(SOURCES.get(stem, stem), path)
        if tags:
            exiftool("-q", "-overwrite_original", *tags, path)
    tiny_home.start(tiny_home.photos)
    tiny_home.sync()
    return tiny_home


def found(home: Home, name: str) -> dict[str, Any]:
    """The result object of one photo."""
    results = home.json("--in", home.photos, "-n", "100")["results"]
    return next(r for r in results if os.path.basename(r["path"]) == name)


def test_filters_answer_as_exiftool_does(album: Home) -> None:
    for arguments, condition in (
        (["--rating", "3"], "$Rating >= 3"),
        (["--rating", "5", "--camera", "eos"], "$Rating >= 5 and $Model =~ /eos/i"),
        (["--camera", "nikon"], "$Model =~ /nikon/i"),
        (["--where", "keyword=pet"], "$Subject =~ /pet/"),
        (["--where", "lens=RF50mm F1.2"], "$LensModel eq 'RF50mm F1.2'"),
        (["--type", "png"], "$FileType eq 'PNG'"),
        (["--min-size", "500x0"], "$ImageWidth >= 500"),
        (["--orientation", "portrait"], "$ImageWidth < $ImageHeight"),
        (["--near", "52.5,13.4,50"], "$GPSLatitude and abs($GPSLatitude - 52.5) < 0.1"),
        (["--after", "2024", "--camera", "nikon"],
         "$Model =~ /nikon/i and $DateTimeOriginal ge '2024'"),
        # A date is what the clock showed where the picture was taken.
        (["--after", "2024", "--type", "jpeg"], "$DateTimeOriginal ge '2024'"),
        (["--after", "2023-12", "--before", "2024"], "$DateTimeOriginal =~ /^2023:12/"),
        (["--after", "2024-03-01", "--before", "2024-03-02"],
         "$DateTimeOriginal =~ /^2024:03:01/"),
        (["--text", "temple"], "$Keywords =~ /temple/"),
        (["--text", "CUP night"], "$Caption-Abstract =~ /cup/"),
        (["--text", "GRÜßE kat*"], "$Title =~ /Kater/"),
    ):  # fmt: skip
        names = album.names("-n", "100", *arguments)
        assert set(names) == exif_answer(album, condition), arguments
        assert len(names) == len(set(names))
        # The same with TEXT: all that passes, in some order.
        assert sorted(album.names("a photo", "-n", "100", *arguments)) == sorted(names)


def test_what_the_file_says_is_listed(album: Home) -> None:
    cat = found(album, "cat.jpg")
    assert cat["taken"] == "2023-05-01T10:00:00+02:00"
    assert (cat["camera"], cat["lens"], cat["rating"]) == ("Canon EOS R5", "RF50mm F1.2", 5)
    assert (cat["title"], cat["keywords"]) == ("Grüße vom Kater", ["cat", "pet"])
    assert cat["gps"] == pytest.approx([52.52, 13.405], abs=1e-4)
    assert found(album, "coffee.jpg")["description"] == "a cup at night"
    assert found(album, "plain.png")["title"] is None


def test_facets_count_what_is_there(album: Home) -> None:
    done = album.imgq("--facets", "--json")
    answer = json.loads(done.stdout)
    counts = {
        name: {item["value"]: item["count"] for item in items}
        for name, items in answer["facets"].items()
    }
    assert answer["total"] == 5
    assert counts["year"]["2023"] == 2 and counts["month"]["2023-12"] == 1
    assert counts["folder"] == {
        album.path("2023"): 2, album.path("2024"): 2, album.photos: 1,
    }  # fmt: skip
    assert counts["format"] == {"jpeg": 4, "png": 1}
    assert counts["camera"]["Canon EOS R5"] == 1
    assert sum(counts["category"].values()) == 5
    category = max(counts["category"])
    assert len(album.names("--category", category)) == counts["category"][category]
    lines = album.imgq("--facets", "--rating", "3").stdout.splitlines()
    assert b"year\t2023\t2" in lines


def test_an_edit_of_the_metadata_keeps_id_and_words_and_encodes_nothing(album: Home) -> None:
    before = found(album, "cat.jpg")
    encoded = album.status()["encoded"]
    ids = f"id:{before['id']}"
    assert album.imgq("--tag-add", "pet", "--set", "print=A4", ids).returncode == 0
    assert album.imgq("--describe", ids, "our old cat").returncode == 0
    # As people use exiftool: it leaves cat.jpg_original, which is no picture of ours.
    exiftool("-Rating=2", "-XMP-dc:Title=Mieze", album.path("2023", "cat.jpg"))
    album.sync()
    after = found(album, "cat.jpg")
    assert (after["rating"], after["title"]) == (2, "Mieze")
    assert after["id"] == before["id"] and after["copies"] == []
    assert (after["tags"], after["fields"]) == (["pet"], {"print": "A4"})
    assert after["description"] == "our old cat"
    assert album.status()["encoded"] == encoded
    assert album.names("--text", "mieze old pet") == ["cat.jpg"]
    assert album.names("--text", "kater") == []
    os.rename(album.path("2023", "cat.jpg"), album.path("renamed.jpg"))
    album.sync()
    moved = found(album, "renamed.jpg")
    assert (moved["id"], moved["tags"]) == (before["id"], ["pet"])
    assert album.names("--tag", "pet", "--where", "print=A4", "--text", "renamed") == [
        "renamed.jpg"
    ]
    assert album.status()["encoded"] == encoded


def test_a_library_with_hashes_of_before_knows_its_pictures_after_an_edit(album: Home) -> None:
    cat, china = found(album, "cat.jpg"), found(album, "china.jpg")
    encoded = album.status()["encoded"]
    album.stop()
    library = apsw.Connection(os.path.join(album.home, "library.db"))
    for picture in (cat, china):
        with open(picture["path"], "rb") as stream:
            earlier = fingerprint.of_file("jpeg", stream.read(), 1, EARLIER_HASH_BYTES)
        library.execute("UPDATE pictures SET pixel_hash = ? WHERE id = ?", (earlier, picture["id"]))
        assert library.changes() == 1
    library.close()
    album.start()
    exiftool("-q", "-overwrite_original", "-Rating=2", cat["path"])
    exiftool("-q", "-Rating=4", china["path"] + ".xmp")
    album.sync()
    assert (found(album, "cat.jpg")["id"], found(album, "cat.jpg")["rating"]) == (cat["id"], 2)
    assert (found(album, "china.jpg")["id"], found(album, "china.jpg")["rating"]) == (
        china["id"],
        4,
    )
    assert album.status()["encoded"] == 0 < encoded


def test_sidecars_are_read_noticed_and_forgotten_without_encoding(album: Home) -> None:
    first = found(album, "china.jpg")
    encoded = album.status()["encoded"]
    short, long = album.path("2024", "china.xmp"), album.path("2024", "china.jpg.xmp")
    exiftool("-q", "-Rating=4", "-XMP-dc:Title=Pagoda", "-XMP-dc:Subject=shrine", short)
    album.sync()
    described = found(album, "china.jpg")
    assert (described["rating"], described["title"]) == (4, "Pagoda")
    assert (described["keywords"], described["id"]) == (["shrine"], first["id"])
    exiftool("-q", "-overwrite_original", "-Rating=3", short)
    album.sync()
    assert found(album, "china.jpg")["rating"] == 3
    exiftool("-q", "-Rating=5", long)
    album.sync()
    assert (found(album, "china.jpg")["rating"], found(album, "china.jpg")["title"]) == (5, None)
    os.unlink(long)
    album.sync()
    assert found(album, "china.jpg")["rating"] == 3
    # A picture that comes with its sidecar, in either order.
    shutil.copy(short, album.path("new.xmp"))
    photographs.save("flower", album.path("new.jpg"))
    album.sync()
    assert found(album, "new.jpg")["title"] == "Pagoda"
    os.unlink(short)
    album.sync()
    last = found(album, "china.jpg")
    assert {**last, "rank": 0} == {**first, "rank": 0}
    assert album.names("--text", "pagoda") == ["new.jpg"]
    assert album.status()["encoded"] == encoded + 1


def test_what_was_said_goes_to_another_machine(album: Home, tiny_model: str) -> None:
    number = found(album, "rocket.jpg")["id"]
    album.imgq("--tag-add", "Reise", "--set", "print=A4", f"id:{number}")
    album.imgq("--describe", f"id:{number}", "auf dem Weg")
    album.imgq("--set-category", "ship", f"id:{number}")
    said = os.path.join(album.directory, "said.jsonl")
    assert album.imgqd("export", said).returncode == 0
    with open(said) as stream:
        (line,) = stream.read().splitlines()
    assert json.loads(line)["path"] == album.path("2024", "rocket.jpg")
    settings = {k: album.environ[f"IMGQ_{k.upper()}"] for k in ("models_dir", "settle_ms")}
    with fresh_home(model=tiny_model, **settings) as other:
        shutil.copy(album.path("2024", "rocket.jpg"), other.path("other name.jpg"))
        other.start(other.photos)
        other.sync()
        done = other.imgqd("import", said)
        assert done.returncode == 0, done.stderr
        there = found(other, "other name.jpg")
        assert (there["tags"], there["fields"]) == (["Reise"], {"print": "A4"})
        assert (there["description"], there["category"]) == ("auf dem Weg", "ship")
        bad = other.imgqd("import", "-", input=b"{}\n")
        assert bad.returncode == 2 and b"line 1" in bad.stderr

"""File names are bytes: whatever they are, they are indexed or a problem."""

from __future__ import annotations

import os
import unicodedata

from tests import photographs
from tests.faults.library import assert_equals_disk, indexed
from tests.harness import Home

NAMES = [
    b"\xff\xfe\x80.png",
    b"new\nline.png",
    b"tab\tand 'quotes' \"double\".png",
    b"-n.png",
    b"$(rm).png",
    b"\x1b[31mred.png",
    b"%s%n.png",
    b"a" * 251 + b".png",
    "snow☃🎿.png".encode(),
    unicodedata.normalize("NFC", "é.png").encode(),
    unicodedata.normalize("NFD", "é.png").encode(),
    b" .png",
    b"a.PNG",
    b"A.png",
]


def test_every_name_is_indexed_and_comes_back_exactly(tiny_home: Home) -> None:
    home = tiny_home
    folder = os.fsencode(home.photos)
    for number, name in enumerate(NAMES):
        with open(os.path.join(folder, name), "wb") as stream:
            photographs.variant(number).save(stream, "PNG")
    home.start(home.photos)
    assert_equals_disk(home)
    done = home.imgq("-0", "-n", "1000", "anything")
    found = {os.path.basename(path) for path in done.stdout.split(b"\0") if path}
    assert found == set(NAMES)


def test_a_change_of_case_is_a_rename(tiny_home: Home) -> None:
    home = tiny_home
    photographs.variant(1).save(home.path("picture.png"))
    home.start(home.photos)
    home.sync()
    os.rename(home.path("picture.png"), home.path("PICTURE.PNG"))
    assert_equals_disk(home)
    assert set(indexed(home)) == {os.fsencode(home.path("PICTURE.PNG"))}
    assert home.status()["encoded"] == 1


def test_a_path_too_long_is_a_problem(tiny_home: Home) -> None:
    home = tiny_home
    photographs.variant(1).save(home.path("short.png"))
    deep = os.open(home.photos, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=deep)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = inner
    with open(os.open("deep.png", os.O_WRONLY | os.O_CREAT, dir_fd=deep), "wb") as stream:
        photographs.variant(2).save(stream, "PNG")
    os.close(deep)
    home.start(home.photos)
    home.sync()
    assert set(indexed(home)) == {os.fsencode(home.path("short.png"))}
    assert "path-too-long" in home.problems().values()
    assert home.imgqd("verify").returncode == 0

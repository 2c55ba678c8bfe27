"""RAW and JPEG of a shot, and a Live Photo's parts: real files, one result each."""

from __future__ import annotations

import io
import json
import os
from typing import Any

import pillow_heif
import pytest
from PIL import Image

from tests import photographs
from tests.harness import Home
from tests.raw_files import dng
from tests.unit.client_process import run_in_terminal

# When tests.raw_files' camera took its picture: 2024-06-30 12:34:56 +02:00.
TAKEN, OFFSET, EPOCH = "2024:06:30 12:34:56", "+02:00", 1_719_743_696.0
# ISO base media: a QuickTime film that holds nothing.
FILM = b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00qt  \x00\x00\x00\x08wide\x00\x00\x00\x08mdat"


def exif(image: Image.Image) -> bytes:
    tags = image.getexif()
    tags.get_ifd(0x8769).update({0x9003: TAKEN, 0x9011: OFFSET})
    return tags.tobytes()


def write(path: str, content: bytes, when: float = EPOCH) -> None:
    with open(path, "wb") as stream:
        stream.write(content)
    os.utime(path, (when, when))


@pytest.fixture
def shots(tiny_home: Home) -> Home:
    """DSC_1 as RAW and JPEG, IMG_2 as a Live Photo (HEIC and film), IMG_3 a JPEG alone."""
    first, second, third = (
        photographs.photograph(name).convert("RGB").resize((320, 240))
        for name in ("rocket", "chelsea", "coffee")
    )
    write(tiny_home.path("DSC_1.DNG"), dng(first, preview=first))
    stream = io.BytesIO()
    first.save(stream, "JPEG", exif=exif(first))
    write(tiny_home.path("DSC_1.JPG"), stream.getvalue(), EPOCH + 60)
    stream = io.BytesIO()
    pillow_heif.from_pillow(second).save(stream, format="HEIF", exif=exif(second), quality=80)
    write(tiny_home.path("IMG_2.HEIC"), stream.getvalue())
    write(tiny_home.path("IMG_2.MOV"), FILM, EPOCH + 3)
    stream = io.BytesIO()
    third.save(stream, "JPEG")
    write(tiny_home.path("IMG_3.JPG"), stream.getvalue(), EPOCH - 86_400)
    tiny_home.start(tiny_home.photos)
    tiny_home.sync()
    assert tiny_home.problems() == {}
    return tiny_home


def stacks(home: Home, *arguments: str) -> dict[str, list[str]]:
    """The name of each result with the names and formats of its stack."""
    results: list[dict[str, Any]] = home.json("-n", "100", *arguments)["results"]
    return {
        os.path.basename(result["path"]): [
            f"{os.path.basename(other['path'])} {other['format']}" for other in result["stack"]
        ]
        for result in results
    }


def test_a_shot_is_one_result_and_all_shows_each(shots: Home) -> None:
    for question in ([], ["a rocket"], ["--like", shots.path("DSC_1.JPG")]):
        found = stacks(shots, *question, "--in", shots.photos)
        assert len(found) == 3
        assert found.get("DSC_1.DNG") == ["DSC_1.JPG jpeg"] or (
            found.get("DSC_1.JPG") == ["DSC_1.DNG raw"]
        )
        assert found["IMG_2.HEIC"] == ["IMG_2.MOV video"]
        assert found["IMG_3.JPG"] == []
    every = stacks(shots, "a rocket", "--all")
    assert sorted(every) == ["DSC_1.DNG", "DSC_1.JPG", "IMG_2.HEIC", "IMG_3.JPG"]
    assert not any(every.values())
    assert list(stacks(shots, "--type", "raw")) == ["DSC_1.DNG"]
    # Both say when: in the same second, by their EXIF.
    taken = {result["taken"] for result in shots.json("--all", "--text", "dsc")["results"]}
    assert taken == {"2024-06-30T12:34:56+02:00"}


def test_the_list_says_what_belongs_to_a_result(shots: Home) -> None:
    output, code = run_in_terminal(
        "--like", shots.path("DSC_1.JPG"), environ={**shots.environ, "NO_COLOR": "1"}, columns=200
    )
    assert code == 0
    lines = {line.rpartition("/")[2] for line in output.decode().splitlines()}
    assert lines == {"DSC_1.JPG  +1 raw", "IMG_2.HEIC  +1 video", "IMG_3.JPG"}


def test_parts_that_go_or_change_leave_the_stack(shots: Home) -> None:
    os.unlink(shots.path("IMG_2.MOV"))
    os.rename(shots.path("DSC_1.DNG"), shots.path("other.DNG"))
    shots.sync()
    found = stacks(shots, "--in", shots.photos)
    assert found == {"DSC_1.JPG": [], "other.DNG": [], "IMG_2.HEIC": [], "IMG_3.JPG": []}
    counted = json.loads(shots.imgq("--facets", "--json").stdout)
    assert counted["total"] == 4

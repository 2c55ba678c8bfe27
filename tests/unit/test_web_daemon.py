"""The page over a real daemon with real pictures: entered from the command line, asked as it asks."""

from __future__ import annotations

import base64
import io
import os
import sys

import pytest
from PIL import Image

from imgq import Client
from imgqd.records import PLACEHOLDER_BYTES, UNKNOWN_PLACEHOLDER
from tests.harness import Home, wait_until
from tests.photographs import photograph
from tests.unit.web_kit import Browser

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the harness is for POSIX")
NAMES = ("astronaut", "chelsea", "coffee", "rocket")


def entered(home: Home, *arguments: str) -> Browser:
    """What a person gets with `imgq --web` in a pipe, opened in a browser."""
    done = home.imgq("--web", *arguments)
    assert done.returncode == 0, done.stderr
    return Browser(done.stdout.decode().strip()).enter()


def filled(home: Home) -> None:
    for name in NAMES:
        photograph(name).save(home.path(f"{name}.jpg"), quality=90)


def test_imgq_web_starts_the_daemon_and_lets_the_browser_in(tiny_home: Home) -> None:
    filled(tiny_home)
    tiny_home.environ["IMGQ_NO_SPAWN"] = "0"
    browser = entered(tiny_home, "--watch", tiny_home.photos)
    wait_until(lambda: len(browser.grid()["ids"]) == len(NAMES), 120)
    assert browser.ask("GET", "/").status == 200
    tiny_home.environ["IMGQ_NO_SPAWN"] = "1"
    assert tiny_home.imgqd("stop").returncode == 0
    # The bookmark of yesterday: same port, same session.
    tiny_home.start()
    assert len(browser.grid()["ids"]) == len(NAMES)


def test_what_the_page_asks_is_what_the_command_line_answers(tiny_home: Home) -> None:
    filled(tiny_home)
    os.mkdir(tiny_home.path("below"))
    photograph("chelsea").save(tiny_home.path("below", "copy.png"))
    tiny_home.start(tiny_home.photos)
    tiny_home.sync()
    browser = entered(tiny_home)
    client = Client(os.path.join(tiny_home.home, "imgqd.sock"))

    for arguments, asked in (
        (["a cat"], {"q": "a cat"}),
        (["a cat + dog^2", "--not", "snow"], {"q": "a cat + dog^2 -snow"}),
        (["--like", f"id:{browser.grid()['ids'][0]}"], {"q": f"id:{browser.grid()['ids'][0]}"}),
        (["a cat", "--type", "png"], {"q": "a cat", "types": ["png"]}),
        (["--type", "jpeg"], {"types": ["jpeg"]}),
        (["--in", tiny_home.path("below")], {"in": [tiny_home.path("below")]}),
    ):
        answer = tiny_home.json(*arguments)
        found = browser.grid(**asked)
        assert found["ids"] == [result["id"] for result in answer["results"]], arguments
        if found["scores"] is not None:
            scores = [result["score"] for result in answer["results"]]
            assert found["scores"] == pytest.approx(scores, abs=1e-4)

    grid = browser.grid()
    placeholders = base64.b64decode(grid["placeholders"])
    assert len(placeholders) == PLACEHOLDER_BYTES * len(grid["ids"])
    assert UNKNOWN_PLACEHOLDER not in [
        placeholders[at : at + PLACEHOLDER_BYTES]
        for at in range(0, len(placeholders), PLACEHOLDER_BYTES)
    ]
    told = browser.ask("POST", "/v1/pictures", {"ids": [*grid["ids"], 10**9]}).json["pictures"]
    assert [picture["id"] for picture in told] == grid["ids"]
    for picture, ratio in zip(told, grid["ratios"], strict=True):
        assert ratio == pytest.approx(picture["width"] / picture["height"], abs=0.006)
        assert client.picture(picture["id"]).path == picture["path"]
        reply = browser.ask("GET", f"/v1/pictures/{picture['id']}/original")
        with open(picture["path"], "rb") as stream:
            assert (reply.status, reply.body) == (200, stream.read())
        small = browser.ask("GET", f"/v1/pictures/{picture['id']}/thumbnail?side=128")
        with Image.open(io.BytesIO(small.body)) as image:
            assert max(image.size) == 128

    before = client.history()
    browser.grid(q="seldom typed", remember="seldom typed")
    wait_until(lambda: client.history()["questions"][-1]["typed"] == "seldom typed")
    assert len(client.history()["questions"]) == len(before["questions"]) + 1
    assert browser.ask("POST", "/v1/grid", {"q": "cat^x"}).status == 400


def test_an_original_that_was_swapped_is_not_there(tiny_home: Home) -> None:
    filled(tiny_home)
    tiny_home.start(tiny_home.photos)
    tiny_home.sync()
    browser = entered(tiny_home)
    by_name = {
        os.path.basename(picture["path"]): picture["id"]
        for picture in browser.ask("POST", "/v1/pictures", {"ids": browser.grid()["ids"]}).json[
            "pictures"
        ]
    }
    tiny_home.imgqd("pause")
    os.unlink(tiny_home.path("chelsea.jpg"))
    os.symlink("/etc/passwd", tiny_home.path("chelsea.jpg"))
    with open(tiny_home.path("coffee.jpg"), "wb") as stream:
        stream.write(b"something else")
    for name in ("chelsea.jpg", "coffee.jpg"):
        reply = browser.ask("GET", f"/v1/pictures/{by_name[name]}/original")
        assert (reply.status, reply.code) == (404, "not-found")
        assert b"root:" not in reply.body
    assert browser.ask("GET", f"/v1/pictures/{by_name['rocket.jpg']}/original").status == 200


def test_pictures_from_before_there_were_placeholders_get_theirs_with_a_thumbnail(
    tiny_home: Home,
) -> None:
    filled(tiny_home)
    tiny_home.start(tiny_home.photos)
    tiny_home.sync()
    tiny_home.stop()
    import apsw

    connection = apsw.Connection(os.path.join(tiny_home.home, "library.db"))
    connection.execute("UPDATE pictures SET placeholder = NULL")
    connection.close()
    tiny_home.start()
    browser = entered(tiny_home)
    grid = browser.grid()
    assert base64.b64decode(grid["placeholders"]) == UNKNOWN_PLACEHOLDER * len(NAMES)
    number = grid["ids"][0]
    assert browser.ask("GET", f"/v1/pictures/{number}/thumbnail?side=1024").status == 200
    # Not by itself a change that an answer waits for; with the next one it is told.
    browser.ask("POST", "/v1/annotate", {"ids": [number], "add_tags": ["favourite"]})
    first = base64.b64decode(browser.grid()["placeholders"])[:PLACEHOLDER_BYTES]
    assert first != UNKNOWN_PLACEHOLDER

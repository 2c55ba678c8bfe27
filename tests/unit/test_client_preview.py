"""Pictures in the terminal: each protocol carries the picture, and detection makes no mess."""

from __future__ import annotations

import base64
import io
import os
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image as Pillow

from imgq import preview
from tests.unit.client_process import environment, run, run_in_terminal
from tests.unit.client_stand_in import Asked, Said, StandIn


def photo(width: int = 40, height: int = 26, mode: str = "RGB") -> Pillow.Image:
    """A picture with smooth and rough parts, so that PNG uses several filters."""
    noise = random.Random(1)
    image = Pillow.new("RGB", (width, height))
    image.putdata(
        [
            (x * 255 // width, y * 255 // height, noise.randrange(256) if y % 5 == 0 else x ^ y)
            for y in range(height)
            for x in range(width)
        ]
    )
    return image.convert(mode)


def png(image: Pillow.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P"])
@pytest.mark.parametrize("size", [(40, 26), (1, 1), (3, 200), (256, 171)])
def test_png_is_decoded_as_pillow_does(mode: str, size: tuple[int, int]) -> None:
    image = photo(*size, mode=mode)
    decoded = preview.decode(png(image))
    expected = image.convert("RGB")
    assert decoded.width == size[0]
    assert b"".join(decoded.rows) == expected.tobytes()


def damaged(kind: str) -> bytes:
    data = png(photo())
    at = data.index(b"IDAT") + 4
    changed = {
        "no png": b"\xff\xd8\xff" + data,
        "empty": b"",
        "only a signature": data[:8],
        "cut": data[: len(data) // 2],
        "flipped": data[: at + 20] + bytes(byte ^ 255 for byte in data[at + 20 : at + 60])
        + data[at + 60 :],
        "huge": data[:16] + b"\x7f\xff\xff\xff" * 2 + data[24:],
        "no pixels": data[:16] + bytes(8) + data[24:],
        "16 bits": png(Pillow.new("I;16", (4, 4))),
        "1 bit": png(Pillow.new("1", (9, 4))),
    }  # fmt: skip
    return changed[kind]


@pytest.mark.parametrize(
    "kind",
    ["no png", "empty", "only a signature", "cut", "flipped", "huge", "no pixels", "16 bits",
     "1 bit"],
)  # fmt: skip
def test_a_damaged_or_strange_png_is_refused(kind: str) -> None:
    with pytest.raises(ValueError):
        preview.decode(damaged(kind))


def test_random_damage_is_refused_or_decoded_to_the_right_size() -> None:
    data = bytearray(png(photo()))
    noise = random.Random(2)
    for _ in range(500):
        mutated = bytearray(data)
        for _ in range(noise.randrange(1, 6)):
            mutated[noise.randrange(8, len(mutated))] = noise.randrange(256)
        try:
            image = preview.decode(bytes(mutated))
        except ValueError:
            continue
        assert {len(row) for row in image.rows} == {image.width * 3}


def test_kitty_gets_the_png_in_small_parts() -> None:
    data = png(photo(200, 200))
    sent = preview.draw(data, "kitty")
    parts = re.findall(rb"\x1b_G([^;]*);([^\x1b]*)\x1b\\", sent)
    assert len(parts) > 1 and max(len(part) for _, part in parts) <= 4096
    assert base64.b64decode(b"".join(part for _, part in parts)) == data
    assert parts[0][0] == b"a=T,f=100,q=2,r=12,m=1"
    assert [control for control, _ in parts[1:]] == [b"m=1"] * (len(parts) - 2) + [b"m=0"]
    assert sent.endswith(b"\x1b\\\n")


def test_iterm_gets_the_png() -> None:
    data = png(photo())
    match = re.fullmatch(
        rb"\x1b\]1337;File=inline=1;size=(\d+);height=12;preserveAspectRatio=1:([^\x07]*)\x07\n",
        preview.draw(data, "iterm"),
    )
    assert match is not None
    assert (int(match[1]), base64.b64decode(match[2])) == (len(data), data)


def unsixel(data: bytes) -> list[list[tuple[int, ...]]]:
    """A reader of sixel: rows of colours in percent."""
    match = re.fullmatch(rb'\x1bP0;1q"1;1;(\d+);(\d+)(.*)\x1b\\\n', data, re.DOTALL)
    assert match is not None
    width, height = int(match[1]), int(match[2])
    rows: list[list[tuple[int, ...]]] = [[()] * width for _ in range(height)]
    colours: dict[int, tuple[int, ...]] = {}
    current = column = top = 0
    tokens = re.findall(rb"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|(?:!(\d+))?([?-~])|([$-])", match[3])
    for define, red, green, blue, select, repeat, character, move in tokens:
        if define:
            colours[int(define)] = (int(red), int(green), int(blue))
        elif select:
            current = int(select)
        elif character:
            for _ in range(int(repeat or 1)):
                for bit in range(6):
                    if (character[0] - 63) >> bit & 1:
                        rows[top + bit][column] = colours[current]
                column += 1
        else:
            column = 0
            top += 6 if move == b"-" else 0
    return rows


def test_sixel_shows_each_pixel_in_the_nearest_colour() -> None:
    image = photo(40, 26)
    rows = unsixel(preview.draw(png(image), "sixel"))
    pixels = [image.getpixel((x, y)) for y in range(26) for x in range(40)]
    shown = [colour for row in rows for colour in row]
    assert len(shown) == len(pixels)
    for colour, pixel in zip(shown, pixels, strict=True):
        for percent, level in zip(colour, pixel, strict=True):
            assert abs(percent * 2.55 - level) <= 26


def cells(text: str) -> list[list[tuple[str, str, str]]]:
    """Half blocks as (foreground, background, character)."""
    rows = []
    for line in text.split("\n")[:-1]:
        row, fore, back = [], "", ""
        for style, character in re.findall(r"\x1b\[([0-9;]*)m|(.)", line):
            if character:
                row.append((fore, back, character))
            elif style == "0":
                fore = back = ""
            else:
                match = re.fullmatch(r"38;(2;\d+;\d+;\d+|5;\d+);(?:48;([\d;]+)|49)", style)
                assert match is not None, style
                fore, back = match[1], match[2] or ""
        rows.append(row)
    return rows


def test_half_blocks_show_two_pixels_a_character(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("COLORTERM", "truecolor")
    image = photo(30, 13)
    rows = cells(preview.draw(png(image), "blocks").decode())
    assert (len(rows), {len(row) for row in rows}) == (7, {30})
    for line, row in enumerate(rows):
        for column, (fore, back, character) in enumerate(row):
            upper = image.getpixel((column, line * 2))
            lower = image.getpixel((column, line * 2 + 1)) if line < 6 else None
            assert character == "▀"
            assert fore == "2;" + ";".join(map(str, upper))
            assert back == ("2;" + ";".join(map(str, lower)) if lower else "")


def test_half_blocks_without_true_colour_use_the_256(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("COLORTERM", raising=False)
    image = Pillow.new("RGB", (3, 2))
    image.putdata([(0, 0, 0), (255, 0, 95), (135, 175, 215)] * 2)
    ((black, pink, blue),) = cells(preview.draw(png(image), "blocks").decode())
    assert [black[0], pink[0], blue[0]] == ["5;16", "5;197", "5;110"]
    assert black[1] == "5;16"


@pytest.mark.parametrize("size", [(400, 100), (100, 400), (48, 32), (1, 300), (300, 1)])
def test_half_blocks_fit_the_terminal(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    rows = cells(preview.draw(png(photo(*size)), "blocks").decode())
    assert 1 <= len(rows) <= preview.ROWS
    assert 1 <= len(rows[0]) <= 28


def test_fitting_averages() -> None:
    image = preview.Image(4, [bytes((0, 10, 20)) * 2 + bytes((100, 110, 120)) * 2] * 4)
    small = preview.fitted(image, 2, 2)
    assert small.rows == [bytes((0, 10, 20, 100, 110, 120))] * 2
    assert preview.fitted(image, 4, 100) is image


@pytest.mark.parametrize(
    ("environ", "how"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "mlterm-256color"}, "sixel"),
        ({"TERM": "xterm-256color"}, "blocks"),
        ({}, "blocks"),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}, "blocks"),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux-0/default,1,0"}, "blocks"),
        ({"TERM": "screen", "TERM_PROGRAM": "iTerm.app"}, "blocks"),
        ({"TERM": "xterm-kitty", "STY": "1.pts"}, "blocks"),
    ],
)
def test_detection(environ: dict[str, str], how: str) -> None:
    assert preview.detect(environ) == how


@pytest.fixture
def home(tmp_path: os.PathLike[str]) -> str:
    return str(tmp_path)


@pytest.fixture
def stand_in(home: str) -> Iterator[StandIn]:
    with StandIn(os.path.join(home, "imgqd.sock")) as stand_in:
        for found in stand_in.results:
            route = ("GET", f"/v1/pictures/{found['id']}/thumbnail")
            stand_in.routes[route] = lambda asked: Said(png(photo()))
        yield stand_in


def test_a_preview_stands_above_each_line(stand_in: StandIn, home: str) -> None:
    environ = environment(IMGQ_HOME=home, TERM="xterm-kitty", NO_COLOR="1")
    output, code = run_in_terminal("x", "--preview", environ=environ)
    assert code == 0
    shown = re.sub(rb"\x1b_G[^\x1b]*\x1b\\", b"<picture>", output)
    shown = re.sub(rb"\x1b\]8;;[^\x1b]*\x1b\\", b"", shown)
    assert shown.decode() == (
        "<picture>\n1  0.3127  /photos/2023/beach.jpg\n"
        "<picture>\n2  0.2874  /photos/2021/cliffs at dusk.jpg\n"
    )
    asked = [a for a in stand_in.asked if a.path.endswith("thumbnail")]
    assert [a.query for a in asked] == [{"side": ["256"], "format": ["png"]}] * 2


def test_a_missing_thumbnail_leaves_the_line(stand_in: StandIn, home: str) -> None:
    def webp(asked: Asked) -> Said:
        return Said(b"RIFF0000WEBP")

    del stand_in.routes["GET", "/v1/pictures/101/thumbnail"]
    stand_in.routes["GET", "/v1/pictures/102/thumbnail"] = webp
    output, code = run_in_terminal(
        "x", "--preview=blocks", environ=environment(IMGQ_HOME=home, NO_COLOR="1"), columns=200
    )
    assert code == 0
    assert re.fullmatch(
        r"1  0\.3127  \S+  \(no preview: there is no .*\)\n"
        r"2  0\.2874  .*  \(no preview: the daemon sent no PNG\)\n",
        output.decode(),
    )


def test_auto_shows_nothing_in_a_pipe_and_a_named_way_does(stand_in: StandIn, home: str) -> None:
    environ = environment(IMGQ_HOME=home, TERM="xterm-kitty")
    done = run("x", "--preview", environ=environ)
    assert done.stdout.startswith(b"/photos/2023/beach.jpg\n")
    assert b"\x1b_G" in run("x", "--preview=kitty", environ=environ).stdout
    assert b"\x1b" not in run("x", "--preview=kitty", "--json", environ=environ).stdout
    assert b"\x1b" not in run("x", "--preview=off", environ=environ).stdout

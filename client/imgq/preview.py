"""Pictures in the terminal: kitty, iTerm2, sixel, or half blocks, from the daemon's thumbnails.

The daemon sends PNG; kitty and iTerm2 take that as it is, for the other two it is decoded here.
"""

from __future__ import annotations

import os
import zlib
from binascii import b2a_base64

from imgq import output, terminal
from imgq.errors import ClientError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgq.answers import Answer
    from imgq.client import Client

PNG = b"\x89PNG\r\n\x1a\n"
ROWS = 12
SIDES = {"kitty": 256, "iterm": 256, "sixel": 192, "blocks": 48}
MOST_PIXELS = 4_000_000


class Image:
    """Pixels: `rows` are `bytes` of RGB, `width` * 3 each."""

    __slots__ = ("rows", "width")

    def __init__(self, width: int, rows: list[bytes]) -> None:
        self.width = width
        self.rows = rows


def detect(environ: Mapping[str, str] | None = None) -> str:
    """The best way this terminal is known to have. Inside tmux and screen: half blocks.

    Multiplexers drop or misplace graphics unless configured to pass them on.
    """
    environ = os.environ if environ is None else environ
    term = environ.get("TERM", "")
    program = environ.get("TERM_PROGRAM", "").lower()
    if environ.get("TMUX") or environ.get("STY") or term.startswith(("screen", "tmux")):
        return "blocks"
    if environ.get("KITTY_WINDOW_ID") or term in ("xterm-kitty", "xterm-ghostty"):
        return "kitty"
    if program == "ghostty":
        return "kitty"
    if program in ("iterm.app", "wezterm", "mintty") or environ.get("LC_TERMINAL") == "iTerm2":
        return "iterm"
    if "sixel" in term or term.startswith(("foot", "mlterm", "contour", "yaft")):
        return "sixel"
    return "blocks"


def show(client: Client, answer: Answer, how: str) -> None:
    """Writes each result's picture with its line below. Raises OutputError."""
    if how == "auto":
        how = detect()
    client.timeout = 10.0
    for result, line in zip(answer.results, output.terminal_lines(answer), strict=True):
        try:
            data = client.thumbnail(result.id, SIDES[how], format="png")
            picture = draw(data, how)
        except (ClientError, ValueError) as error:
            picture = b""
            line += f"  (no preview: {terminal.harmless(str(error))})"
        output.write(picture + output.terminal_encoded(line + "\n"))


def draw(data: bytes, how: str) -> bytes:
    """What to send to a terminal for one PNG, with a line's end. ValueError when it is no PNG."""
    if not data.startswith(PNG):
        raise ValueError("the daemon sent no PNG")
    if how == "kitty":
        return _kitty(data)
    if how == "iterm":
        return _iterm(data)
    image = decode(data)
    if how == "sixel":
        return _sixel(image)
    return _blocks(fitted(image, max(terminal.width() - 2, 2), ROWS * 2))


def _kitty(data: bytes) -> bytes:
    """https://sw.kovidgoyal.net/kitty/graphics-protocol/: direct transmission in 4096-byte parts.

    With only the rows given the terminal keeps the aspect; q=2 asks it not to answer.
    """
    encoded = b2a_base64(data, newline=False)
    parts = [encoded[at : at + 4096] for at in range(0, len(encoded), 4096)]
    commands = []
    for number, part in enumerate(parts):
        control = b"a=T,f=100,q=2,r=%d," % ROWS if number == 0 else b""
        more = number < len(parts) - 1
        commands.append(b"\x1b_G%sm=%d;%s\x1b\\" % (control, more, part))
    return b"".join(commands) + b"\n"


def _iterm(data: bytes) -> bytes:
    """https://iterm2.com/documentation-images.html"""
    return b"\x1b]1337;File=inline=1;size=%d;height=%d;preserveAspectRatio=1:%s\x07\n" % (
        len(data),
        ROWS,
        b2a_base64(data, newline=False),
    )


def _blocks(image: Image) -> bytes:
    """Two pixels a character: the upper half block in one colour on the other."""
    exact = os.environ.get("COLORTERM", "") in ("truecolor", "24bit")
    rows = image.rows
    lines = []
    for top in range(0, len(rows), 2):
        upper = rows[top]
        lower = rows[top + 1] if top + 1 < len(rows) else None
        line = []
        before = ""
        for at in range(0, image.width * 3, 3):
            style = _colour(upper[at : at + 3], 38, exact)
            style += ";" + _colour(lower[at : at + 3], 48, exact) if lower else ";49"
            line.append(f"\x1b[{style}m▀" if style != before else "▀")
            before = style
        lines.append("".join(line) + "\x1b[0m\n")
    return output.terminal_encoded("".join(lines))


def _colour(pixel: bytes, layer: int, exact: bool) -> str:
    red, green, blue = pixel
    if exact:
        return f"{layer};2;{red};{green};{blue}"
    return f"{layer};5;{16 + 36 * _sixth(red) + 6 * _sixth(green) + _sixth(blue)}"


def _sixth(level: int) -> int:
    """The nearest of xterm's six levels 0, 95, 135, 175, 215, 255."""
    return 0 if level < 48 else 1 if level < 115 else (level - 35) // 40


def _sixel(image: Image) -> bytes:
    """DEC sixel graphics: bands of six rows, each colour of the 6 x 6 x 6 cube in turn."""
    bands = [b'\x1bP0;1q"1;1;%d;%d' % (image.width, len(image.rows))]
    indexed = [
        bytes(
            36 * ((row[at] * 5 + 127) // 255)
            + 6 * ((row[at + 1] * 5 + 127) // 255)
            + (row[at + 2] * 5 + 127) // 255
            for at in range(0, image.width * 3, 3)
        )
        for row in image.rows
    ]
    for colour in sorted(set().union(*indexed)):
        red, green, blue = colour // 36 * 20, colour // 6 % 6 * 20, colour % 6 * 20
        bands.append(b"#%d;2;%d;%d;%d" % (colour, red, green, blue))
    for top in range(0, len(indexed), 6):
        band = indexed[top : top + 6]
        cells: dict[int, bytearray] = {}
        for bit, row in enumerate(band):
            for column, colour in enumerate(row):
                if colour not in cells:
                    cells[colour] = bytearray(image.width)
                cells[colour][column] |= 1 << bit
        bands.append(
            b"$".join(b"#%d%s" % (colour, _packed(bits)) for colour, bits in cells.items()) + b"-"
        )
    return b"".join(bands) + b"\x1b\\\n"


def _packed(bits: bytearray) -> bytes:
    """Sixel characters with runs of four and more written as `!N`."""
    parts = []
    start = 0
    for at in range(1, len(bits) + 1):
        if at == len(bits) or bits[at] != bits[start]:
            run = at - start
            character = bytes((bits[start] + 63,))
            parts.append(b"!%d%s" % (run, character) if run > 3 else character * run)
            start = at
    return b"".join(parts)


def fitted(image: Image, width: int, height: int) -> Image:
    """The image made small enough by averaging whole boxes of pixels; never larger."""
    tall = len(image.rows)
    scale = min(width / image.width, height / tall, 1.0)
    if scale == 1.0:
        return image
    columns, lines = max(int(image.width * scale), 1), max(int(tall * scale), 1)
    lefts = [column * image.width // columns for column in range(columns + 1)]
    tops = [line * tall // lines for line in range(lines + 1)]
    rows = []
    for line in range(lines):
        band = image.rows[tops[line] : tops[line + 1]]
        row = bytearray()
        for column in range(columns):
            left, right = lefts[column] * 3, lefts[column + 1] * 3
            box = b"".join(source[left:right] for source in band)
            count = len(box) // 3
            row += bytes(sum(box[channel::3]) // count for channel in range(3))
        rows.append(bytes(row))
    return Image(columns, rows)


def decode(data: bytes) -> Image:
    """A PNG of 8 bits a channel without interlacing, alpha left out. ValueError otherwise.

    https://www.w3.org/TR/png-3/, sections 5, 7 and 9.
    """
    if not data.startswith(PNG):
        raise ValueError("this is no PNG")
    header, palette, packed = b"", b"", []
    at = 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, chunk = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += length + 12
        if kind == b"IHDR":
            header = chunk
        elif kind == b"PLTE":
            palette = chunk
        elif kind == b"IDAT":
            packed.append(chunk)
        elif kind == b"IEND":
            break
    if len(header) != 13:
        raise ValueError("the PNG has no header")
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    depth, colour_type, interlaced = header[8], header[9], header[12]
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour_type, 0)
    if depth != 8 or not channels or interlaced or not 0 < width * height <= MOST_PIXELS:
        raise ValueError("this kind of PNG is not understood")
    stride = width * channels
    try:
        raw = zlib.decompressobj().decompress(b"".join(packed), (stride + 1) * height)
    except zlib.error as error:
        raise ValueError(f"the PNG is damaged: {error}") from None
    if len(raw) != (stride + 1) * height:
        raise ValueError("the PNG is cut short")
    rows = []
    before = bytearray(stride)
    for line in range(height):
        start = line * (stride + 1)
        row = bytearray(raw[start + 1 : start + 1 + stride])
        _unfilter(raw[start], row, before, channels)
        rows.append(_rgb(row, channels, palette if colour_type == 3 else b""))
        before = row
    return Image(width, rows)


def _unfilter(kind: int, row: bytearray, before: bytearray, step: int) -> None:
    if kind == 0:
        return
    if kind > 4:
        raise ValueError("the PNG is damaged")
    for at in range(len(row)):
        left = row[at - step] if at >= step else 0
        above = before[at]
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = above
        elif kind == 3:
            guess = (left + above) // 2
        else:
            corner = before[at - step] if at >= step else 0
            to_left, to_above = abs(above - corner), abs(left - corner)
            to_corner = abs(left + above - 2 * corner)
            if to_left <= to_above and to_left <= to_corner:
                guess = left
            else:
                guess = above if to_above <= to_corner else corner
        row[at] = (row[at] + guess) & 255


def _rgb(row: bytearray, channels: int, palette: bytes) -> bytes:
    if palette:
        return b"".join(palette[index * 3 : index * 3 + 3] for index in row)
    if channels == 3:
        return bytes(row)
    out = bytearray(len(row) // channels * 3)
    for channel in range(3):
        out[channel::3] = row[min(channel, channels - 1) if channels == 4 else 0 :: channels]
    return bytes(out)

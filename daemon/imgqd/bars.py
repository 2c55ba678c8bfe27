"""Progress bars and lines that move in place, for `imgqd status --follow` and `imgqd index`.

Draws text only; what is drawn is the caller's. On anything but a terminal each change is a line.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import TextIO

from imgq import terminal

EIGHTHS = " ▏▎▍▌▋▊▉█"
PACE_OVER_S = 30.0


def bar(done: int, total: int, cells: int) -> str:
    """A bar of exactly `cells` columns; empty for an unknown total."""
    share = min(max(done / total, 0.0), 1.0) if total > 0 else 0.0
    eighths = int(share * cells * 8)
    full, part = divmod(eighths, 8)
    text = EIGHTHS[8] * full + (EIGHTHS[part] if part else "")
    return text.ljust(cells)


class Pace:
    """How fast something goes, over the last half minute."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, now: float, done: int) -> None:
        """`now` in seconds of any clock that only goes forward."""
        if self._samples and done < self._samples[-1][1]:
            self._samples.clear()
        self._samples.append((now, done))
        while len(self._samples) > 2 and now - self._samples[0][0] > PACE_OVER_S:
            self._samples.popleft()

    def rate(self) -> float:
        """Per second; 0 while that cannot be told."""
        if len(self._samples) < 2:
            return 0.0
        (start, before), (end, after) = self._samples[0], self._samples[-1]
        return (after - before) / (end - start) if end - start >= 1.0 else 0.0


def progress_line(
    label: str,
    done: int,
    total: int,
    rate: float,
    width: int,
    *,
    said: Callable[[float], str] = "{:,}".format,
) -> str:
    """`label  |████▌     |  1,234 of 20,000  12/s  25 min left`, in at most `width` columns.

    `said` turns a count into words.
    """
    ending = f"{said(done)} of {said(total)}" if total else said(done)
    if rate > 0:
        ending += f"  {said(round(rate, 1) if rate < 10 else round(rate))}/s"
        if total > done:
            ending += f"  {duration((total - done) / rate)} left"
    label = terminal.harmless(label)
    room = width - terminal.columns_of(label) - len(ending) - 6
    if total and room >= 8:
        drawn = bar(done, total, min(room, 40))
        return f"{label}  |{drawn}|  {ending}"
    return terminal.shortened(f"{label}  {ending}", max(width, 20))


def duration(seconds: float) -> str:
    """`8 s`, `3 min`, `2 h 05 min`, `3 days`."""
    if seconds < 59.5:
        return f"{max(round(seconds), 0)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} days"


class Live:
    """A block of lines that is drawn over itself."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._height = 0
        self._last: list[str] = []
        self.moves = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def draw(self, lines: Sequence[str]) -> None:
        """Shows `lines` in place of the last ones; elsewhere than on a terminal, what is new."""
        if list(lines) == self._last:
            return
        self._last = list(lines)
        if self.moves:
            up = f"\x1b[{self._height}F" if self._height else ""
            body = "".join(f"{line}\x1b[K\n" for line in lines)
            self._stream.write(f"{up}{body}\x1b[J")
            self._height = len(lines)
        else:
            self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()

    def clear(self) -> None:
        """Takes the block away."""
        if self.moves and self._height:
            self._stream.write(f"\x1b[{self._height}F\x1b[J")
            self._stream.flush()
        self._height = 0
        self._last = []

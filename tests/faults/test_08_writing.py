"""Files that are written while they are looked at are encoded once, as their final content."""

from __future__ import annotations

import io
import os
import threading
import time

import numpy as np
from PIL import Image

from tests import photographs
from tests.faults.library import assert_equals_disk, indexed
from tests.harness import Home, wait_until


def large_png(seed: int) -> bytes:
    """About 10 MB that do not compress."""
    pixels = np.random.default_rng(seed).integers(0, 256, (1800, 1900, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=0)
    return out.getvalue()


def test_a_file_written_slowly_is_encoded_once(tiny_home: Home) -> None:
    home = tiny_home
    home.start(home.photos)
    data = large_png(1)
    assert len(data) > 10_000_000
    with open(home.path("slow.png"), "wb") as stream:
        for start in range(0, len(data), len(data) // 100 + 1):
            stream.write(data[start : start + len(data) // 100 + 1])
            stream.flush()
            time.sleep(0.08)
    home.sync()
    assert len(indexed(home)) == 1
    assert home.problems() == {}
    assert home.status()["encoded"] == 1


def test_a_file_replaced_while_it_is_read_ends_as_the_new_one(tiny_home: Home) -> None:
    home = tiny_home
    home.start(home.photos)
    data = large_png(2)
    target = home.path("picture.png")
    stop = threading.Event()

    def replace() -> None:
        number = 0
        while not stop.is_set():
            with open(home.path(".new"), "wb") as stream:
                stream.write(data)
            os.replace(home.path(".new"), target)
            number += 1
            time.sleep(0.05)

    thread = threading.Thread(target=replace)
    thread.start()
    time.sleep(3)
    stop.set()
    thread.join()
    photographs.variant(7).save(home.path(".last.png"))
    os.replace(home.path(".last.png"), target)
    assert_equals_disk(home)
    result = home.json("-n", "1", "anything")["results"][0]
    assert (result["width"], result["height"]) == (96, 96)


def test_an_edit_of_the_same_size_in_the_same_tick_is_noticed(tiny_home: Home) -> None:
    home = tiny_home
    home.start(home.photos)
    one, other = (np.full((64, 64, 3), shade, np.uint8) for shade in (50, 200))
    path = home.path("tick.bmp")
    Image.fromarray(one).save(path)
    Image.fromarray(other).save(path)
    home.sync()
    first = indexed(home)[os.fsencode(path)]
    Image.fromarray(one).save(path)
    home.sync()
    second = indexed(home)[os.fsencode(path)]
    assert first != second
    # And where even the times are put back: only ctime tells.
    before = os.stat(path)
    with open(path, "r+b") as stream:
        stream.seek(-100, os.SEEK_END)
        stream.write(b"\x11" * 100)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    home.sync()
    assert indexed(home)[os.fsencode(path)] not in (first, second)
    wait_until(lambda: home.status()["state"] == "idle")

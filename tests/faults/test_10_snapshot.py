"""A damaged index snapshot is noticed and made again, with the same answers."""

from __future__ import annotations

import os
import random
import shutil

from tests import photographs
from tests.harness import Home


def test_a_damaged_snapshot_changes_no_answer(tiny_home: Home) -> None:
    home, random_ = tiny_home, random.Random(10)
    for number in range(60):
        photographs.variant(number).save(home.path(f"{number}.png"))
    home.start(home.photos)
    home.sync()
    right = home.json("-n", "60", "anything")["results"]
    assert len(right) == 60
    assert home.stop() == 0
    folder = os.path.join(home.home, "index")
    saved = os.path.join(home.directory, "saved")
    shutil.copytree(folder, saved)
    files = [name for name in os.listdir(saved) if os.path.getsize(os.path.join(saved, name))]
    assert files
    for damage in ("flip", "flip", "flip", "flip", "cut", "empty", "missing"):
        shutil.rmtree(folder)
        shutil.copytree(saved, folder)
        path = os.path.join(folder, random_.choice(files))
        with open(path, "rb") as stream:
            data = bytearray(stream.read())
        if damage == "flip":
            data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
        elif damage == "cut":
            del data[len(data) // 2 :]
        else:
            data.clear()
        if damage == "missing":
            os.unlink(path)
        else:
            with open(path, "wb") as stream:
                stream.write(data)
        home.start()
        again = home.json("-n", "60", "anything")["results"]
        assert [(r["id"], r["score"]) for r in again] == [(r["id"], r["score"]) for r in right]
        assert home.stop() == 0


def test_a_snapshot_older_or_newer_than_the_database(tiny_home: Home) -> None:
    home = tiny_home
    folder = os.path.join(home.home, "index")
    old = os.path.join(home.directory, "old")
    for number in range(40):
        photographs.variant(number).save(home.path(f"{number}.png"))
    home.start(home.photos)
    home.sync()
    assert home.stop() == 0
    shutil.copytree(folder, old)
    for number in range(20):
        os.unlink(home.path(f"{number}.png"))
        photographs.variant(100 + number).save(home.path(f"new-{number}.png"))
    home.start()
    home.sync()
    right = home.json("-n", "100", "anything")["results"]
    assert len(right) == 40
    home.kill()
    shutil.rmtree(folder)
    shutil.copytree(old, folder)
    home.start()
    again = home.json("-n", "100", "anything")["results"]
    assert [(r["id"], r["score"]) for r in again] == [(r["id"], r["score"]) for r in right]

"""A damaged library database is moved aside and comes back; a newer one is refused, untouched."""

from __future__ import annotations

import glob
import os
import subprocess
import sys

import apsw
import pytest

from tests import photographs
from tests.faults.library import assert_equals_disk, indexed, rows
from tests.harness import Home, wait_until


def filled(home: Home) -> dict[bytes, int]:
    for number in range(300):
        photographs.variant(number, 48).save(home.path(f"{number}.png"))
    os.makedirs(home.path("kept out"))
    photographs.variant(999, 48).save(home.path("kept out", "no.png"))
    home.start()
    assert home.imgqd("add", home.photos, "--exclude", "kept out").returncode == 0
    home.sync()
    before = indexed(home)
    assert len(before) == 300
    assert home.stop() == 0
    return before


@pytest.mark.parametrize("damage", ["header", "middle page", "cut"])
def test_a_damaged_database_is_moved_aside_and_made_again(tiny_home: Home, damage: str) -> None:
    home = tiny_home
    before = filled(home)
    path = os.path.join(home.home, "library.db")
    size = os.path.getsize(path)
    with open(path, "r+b") as stream:
        if damage == "cut":
            stream.truncate(size // 2)
        else:
            # Every page from the second on but the last few, for "a middle page" of any table.
            stream.seek(0 if damage == "header" else size // 3)
            stream.write(os.urandom(100 if damage == "header" else size // 3))
    home.start()
    assert "damaged" in home.status()["notice"]
    assert "damaged" in home.output()
    os.unlink(home.path("0.png"))
    home.sync()
    after = indexed(home)
    assert set(after) == set(before) - {os.fsencode(home.path("0.png"))}
    # No id is given twice, and the folder and its pattern came back from the backup.
    assert not set(after.values()) & set(before.values())
    assert glob.glob(path + ".damaged-*")
    assert rows(home, "SELECT exclude FROM folders") == [('["kept out"]',)]
    assert home.imgqd("verify").returncode == 0


def test_what_a_person_said_seconds_before_a_kill_and_damage_comes_back(tiny_home: Home) -> None:
    home = tiny_home
    for name in ("one", "two"):
        photographs.variant(len(name) + ord(name[0]), 48).save(home.path(f"{name}.png"))
    home.start(home.photos)
    home.sync()
    (number,) = (r["id"] for r in home.json("--text", "one")["results"])
    for said in (
        ("--tag-add", "holiday", "--set", "print=A4", f"id:{number}"),
        ("--describe", f"id:{number}", "Anna and the goat"),
        ("--set-category", "goats", f"id:{number}"),
        ("--save", "goats", "--tag=holiday", "goat"),
    ):
        assert home.imgq(*said).returncode == 0
    backup = os.path.join(home.home, "library.db.backup.json")

    def all_is_written() -> bool:
        if not os.path.exists(backup):
            return False
        with open(backup, encoding="utf-8") as stream:
            text = stream.read()
        return all(word in text for word in ("holiday", "A4", "Anna", '"name": "goats"'))

    wait_until(all_is_written, timeout=10)
    home.kill()
    # The write-ahead log alone would bring every page back.
    for name in ("library.db", "library.db-wal"):
        path = os.path.join(home.home, name)
        with open(path, "r+b") as stream:
            stream.write(os.urandom(os.path.getsize(path)))
    home.start()
    assert "damaged" in home.status()["notice"]
    home.sync()
    (result,) = home.json("@goats")["results"]
    assert os.path.basename(result["path"]) == "one.png" and result["id"] != number
    assert (result["tags"], result["fields"]) == (["holiday"], {"print": "A4"})
    assert (result["description"], result["category"]) == ("Anna and the goat", "goats")


def test_a_database_damaged_while_running_comes_back_at_the_next_start(tiny_home: Home) -> None:
    home = tiny_home
    before = filled(home)
    home.start()
    home.sync()
    path = os.path.join(home.home, "library.db")
    with open(path, "r+b") as stream:
        stream.write(os.urandom(os.path.getsize(path)))
    photographs.variant(5000, 48).save(home.path("new.png"))
    # SQLite may answer from its cache for a while; whether it notices or is stopped is one.
    home.imgqd("sync", "--timeout", "3")
    home.imgqd("stop")
    assert home.process is not None
    home.process.wait(60)
    home.process = None
    home.start()
    assert_equals_disk_but(home, "kept out")
    assert not set(indexed(home).values()) & set(before.values())


def assert_equals_disk_but(home: Home, excluded: str) -> None:
    """As assert_equals_disk, once the excluded folder is gone."""
    os.unlink(home.path(excluded, "no.png"))
    os.rmdir(home.path(excluded))
    assert_equals_disk(home)


def test_a_newer_database_is_refused_and_not_touched(tiny_home: Home) -> None:
    home = tiny_home
    filled(home)
    path = os.path.join(home.home, "library.db")
    connection = apsw.Connection(path)
    connection.pragma("user_version", 999)
    connection.pragma("wal_checkpoint(truncate)")
    connection.close()
    with open(path, "rb") as stream:
        before = stream.read()
    done = subprocess.run(
        [sys.executable, "-m", "imgqd", "run"],
        env=home.environ,
        capture_output=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 4
    assert b"newer" in done.stderr
    assert b"Traceback" not in done.stderr
    with open(path, "rb") as stream:
        assert stream.read() == before

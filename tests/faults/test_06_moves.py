"""A folder moved in, within and out: moves cost no encoding, and nothing is left behind."""

from __future__ import annotations

import os

from tests import photographs
from tests.faults.library import assert_equals_disk, indexed
from tests.harness import Home


def test_a_folder_of_500_moved_in_within_and_out(tiny_home: Home) -> None:
    home = tiny_home
    outside = os.path.join(home.directory, "elsewhere", "album")
    os.makedirs(outside)
    for number in range(500):
        photographs.variant(number, 48).save(os.path.join(outside, f"{number}.png"))
    home.start(home.photos)
    home.sync()
    assert indexed(home) == {}

    os.rename(outside, home.path("album"))
    home.sync()
    assert len(indexed(home)) == 500
    photographs.variant(1000, 48).save(home.path("album", "one more.png"))
    home.sync()
    before = indexed(home)
    assert len(before) == 501
    assert home.status()["encoded"] == 501

    os.makedirs(home.path("deeper"))
    os.rename(home.path("album"), home.path("deeper", "album"))
    home.sync()
    after = indexed(home)
    assert sorted(after.values()) == sorted(before.values())
    assert all(b"/deeper/album/" in path for path in after)
    assert home.status()["encoded"] == 501
    photographs.variant(1001, 48).save(home.path("deeper", "album", "and another.png"))
    home.sync()
    assert len(indexed(home)) == 502

    os.rename(home.path("deeper", "album"), outside)
    home.sync()
    assert indexed(home) == {}
    photographs.variant(1002, 48).save(os.path.join(outside, "not ours.png"))
    assert_equals_disk(home)
    assert home.status()["files"] == 0

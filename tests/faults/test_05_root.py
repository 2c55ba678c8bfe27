"""The watched root is removed and made again: events resume by themselves."""

from __future__ import annotations

import os
import shutil

from tests import photographs
from tests.faults.library import assert_equals_disk, indexed
from tests.harness import Home, wait_until


def test_events_resume_after_the_root_was_made_again(tiny_home: Home) -> None:
    home = tiny_home
    photographs.variant(1).save(home.path("1.png"))
    home.start(home.photos)
    home.sync()
    shutil.rmtree(home.photos)
    wait_until(lambda: home.status()["folders"][0]["state"] == "offline")
    os.makedirs(home.photos)
    photographs.variant(2).save(home.path("2.png"))
    wait_until(lambda: os.fsencode(home.path("2.png")) in indexed(home), timeout=10)
    photographs.variant(3).save(home.path("3.png"))
    wait_until(lambda: os.fsencode(home.path("3.png")) in indexed(home), timeout=10)
    assert_equals_disk(home)
    assert set(indexed(home)) == {os.fsencode(home.path(name)) for name in ("2.png", "3.png")}

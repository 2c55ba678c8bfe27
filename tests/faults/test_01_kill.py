"""Promise 1: killed at any instant, nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import time

from tests import photographs
from tests.faults.library import assert_equals_disk, indexed, rows
from tests.harness import Home

KILLS = 50


def change_something(home: Home, random_: random.Random, number: int) -> None:
    """Adds, replaces, renames, copies or deletes a picture."""
    names = sorted(os.listdir(home.photos))
    what = random_.choice(["add", "add", "add", "replace", "rename", "copy", "delete"])
    if what == "add" or len(names) < 5:
        photographs.variant(number).save(home.path(f"{number}.png"))
    elif what == "replace":
        photographs.variant(number).save(home.path(random_.choice(names)), format="PNG")
    elif what == "rename":
        os.rename(home.path(random_.choice(names)), home.path(f"renamed-{number}.png"))
    elif what == "copy":
        photographs.copy(home.path(random_.choice(names)), home.path(f"copy-{number}.png"))
    else:
        os.unlink(home.path(random_.choice(names)))


def test_killed_at_random_instants_the_library_equals_the_disk(tiny_home: Home) -> None:
    home, random_ = tiny_home, random.Random(20)
    number = 0
    given: dict[int, bytes] = {}
    for _ in range(KILLS):
        home.start(home.photos)
        until = time.monotonic() + random_.uniform(0.05, 1.2)
        while time.monotonic() < until:
            change_something(home, random_, number)
            number += 1
        home.kill()
        for picture_id, content in rows(home, "SELECT id, hex(content_hash) FROM pictures"):
            # An id that was given once never names another content.
            assert given.setdefault(picture_id, content) == content  # type: ignore[arg-type,comparison-overlap]
    home.start()
    assert_equals_disk(home)
    assert len(indexed(home)) == len(os.listdir(home.photos))

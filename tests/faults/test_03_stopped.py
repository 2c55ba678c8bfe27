"""What changed while the daemon was not running is exact after start and sync."""

from __future__ import annotations

import os

from tests import photographs
from tests.faults.library import assert_equals_disk
from tests.harness import Home

EACH = 1000


def test_changes_made_while_stopped_are_exact_after_start(tiny_home: Home) -> None:
    home = tiny_home
    for number in range(3 * EACH):
        photographs.variant(number, 48).save(home.path(f"{number}.png"))
    home.start(home.photos)
    home.sync(280)
    assert home.stop() == 0

    for number in range(EACH):
        photographs.variant(10_000 + number, 48).save(home.path(f"added-{number}.png"))
        photographs.variant(20_000 + number, 48).save(home.path(f"{number}.png"))
        os.unlink(home.path(f"{EACH + number}.png"))
        os.rename(home.path(f"{2 * EACH + number}.png"), home.path(f"renamed-{number}.png"))

    home.start()
    assert_equals_disk(home)
    status = home.status()
    assert status["files"] == 3 * EACH
    assert status["encoded"] == 2 * EACH

"""A drive that goes away is offline, not deleted; one that comes back costs nothing."""

from __future__ import annotations

import os

from tests import photographs
from tests.faults.library import assert_equals_disk, indexed
from tests.harness import Home, wait_until
from tests.unit.library_kit import Drive, needs_mounts


def folder_state(home: Home) -> str:
    return str(home.status()["folders"][0]["state"])


@needs_mounts
def test_a_drive_unmounted_and_mounted_again_under_another_number(tiny_home: Home) -> None:
    home = tiny_home
    drive, spare = Drive(home.directory), None
    try:
        drive.mount(os.fsencode(home.photos))
        for number in range(40):
            photographs.variant(number).save(home.path(f"{number}.png"))
        home.start(home.photos)
        home.sync()
        before = indexed(home)
        assert len(before) == 40
        number = os.stat(home.photos).st_dev

        drive.unmount()
        assert os.listdir(home.photos) == []
        wait_until(lambda: folder_state(home) == "offline")
        done = home.imgqd("sync", "--timeout", "60")
        assert done.returncode == 0
        assert indexed(home) == before
        assert home.paths("anything") == []

        # Another loop device holds the lowest free number meanwhile, as after a reboot.
        spare_folder = os.path.join(home.directory, "spare")
        os.makedirs(spare_folder)
        os.makedirs(os.path.join(home.directory, "other"))
        spare = Drive(os.path.join(home.directory, "other"))
        spare.mount(os.fsencode(spare_folder))
        drive.mount(os.fsencode(home.photos))
        assert os.stat(home.photos).st_dev != number
        wait_until(lambda: folder_state(home) == "watching")
        assert_equals_disk(home)
        assert indexed(home) == before
        assert home.status()["encoded"] == 40
        assert len(home.paths("-n", "100", "anything")) == 40
    finally:
        home.close()
        drive.unmount()
        if spare is not None:
            spare.unmount()


def test_a_folder_moved_away_and_back(tiny_home: Home) -> None:
    home = tiny_home
    for number in range(40):
        photographs.variant(number).save(home.path(f"{number}.png"))
    home.start(home.photos)
    home.sync()
    before = indexed(home)
    os.rename(home.photos, home.photos + "-away")
    wait_until(lambda: folder_state(home) == "offline")
    assert home.paths("anything") == []
    assert home.stop() == 0
    home.start()
    home.sync()
    assert folder_state(home) == "offline"
    assert indexed(home) == before
    os.rename(home.photos + "-away", home.photos)
    wait_until(lambda: folder_state(home) == "watching")
    assert_equals_disk(home)
    assert indexed(home) == before
    assert home.status()["encoded"] == 0

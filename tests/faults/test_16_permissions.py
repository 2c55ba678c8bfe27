"""What cannot be read is a problem, and is picked up when it can be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests import photographs
from tests.faults.library import indexed
from tests.harness import Home, wait_until

# Root reads everything, unless it gives up the capabilities that let it.
CAPABILITIES = "-dac_override,-dac_read_search"
PREFIX = ["setpriv", f"--bounding-set={CAPABILITIES}", f"--inh-caps={CAPABILITIES}"]


def permissions_can_stop_us() -> bool:
    if os.geteuid() != 0:
        return True
    if shutil.which("setpriv") is None:
        return False
    return subprocess.run([*PREFIX, sys.executable, "-c", ""], capture_output=True).returncode == 0


@pytest.mark.skipif(not permissions_can_stop_us(), reason="root, and no setpriv")
def test_unreadable_files_and_folders(tiny_home: Home) -> None:
    home = tiny_home
    if os.geteuid() == 0:
        home.prefix = PREFIX
    for number in range(3):
        photographs.variant(number).save(home.path(f"{number}.png"))
    os.makedirs(home.path("closed"))
    photographs.variant(10).save(home.path("closed", "in.png"))
    os.chmod(home.path("0.png"), 0)
    os.chmod(home.path("closed"), 0)
    home.start(home.photos)
    home.sync()
    assert len(indexed(home)) == 2
    assert home.problems() == {"0.png": "unreadable", "closed": "unreadable"}

    os.chmod(home.path("0.png"), 0o644)
    os.chmod(home.path("closed"), 0o755)
    home.sync()
    assert len(indexed(home)) == 4
    assert home.problems() == {}

    # What is known of a folder that is closed for a while is not forgotten.
    os.chmod(home.path("closed"), 0)
    home.sync()
    assert home.problems() == {"closed": "unreadable"}
    assert os.fsencode(home.path("closed", "in.png")) in indexed(home)
    os.chmod(home.path("closed"), 0o755)
    wait_until(lambda: home.problems() == {})
    assert home.status()["encoded"] == 4

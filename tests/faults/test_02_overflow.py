"""The kernel's event queue overflows while the daemon is stopped by SIGSTOP."""

from __future__ import annotations

import os
import signal

import pytest

from tests import photographs
from tests.faults.library import assert_equals_disk
from tests.harness import Home

FOLDERS, EACH = 200, 100


@pytest.mark.parametrize("folders", ["watched already", "new"])
def test_20000_files_made_while_stopped_are_all_known(tiny_home: Home, folders: str) -> None:
    home = tiny_home
    home.environ["IMGQ_MIN_SIDE"] = "8"
    if folders == "watched already":
        for folder in range(FOLDERS):
            os.makedirs(home.path(f"{folder:03}"))
    home.start(home.photos)
    home.sync()
    # Few contents: what is counted here is files, and copies cost no encoding.
    contents = []
    for number in range(10):
        path = os.path.join(home.directory, f"{number}.png")
        photographs.variant(number, 48).save(path)
        with open(path, "rb") as stream:
            contents.append(stream.read())
    os.kill(home.pid, signal.SIGSTOP)
    for folder in range(FOLDERS):
        os.makedirs(home.path(f"{folder:03}"), exist_ok=True)
        for number in range(EACH):
            with open(home.path(f"{folder:03}", f"{number}.png"), "wb") as stream:
                stream.write(contents[number % 10])
    os.kill(home.pid, signal.SIGCONT)
    assert_equals_disk(home, timeout=280)
    assert home.status()["files"] == FOLDERS * EACH
    if folders == "watched already":
        assert home.output().count("queue overflow") == 1

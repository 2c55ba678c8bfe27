"""The disk that holds IMGQ_HOME fills up: questions are answered, and all goes on when there is room."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable

from tests import photographs
from tests.faults.library import assert_equals_disk
from tests.harness import Home, wait_until
from tests.unit.library_kit import needs_mounts


@needs_mounts
def test_a_full_disk_stops_nothing_for_good(
    make_home: Callable[..., Home], tiny_model: str
) -> None:
    home = make_home(model=tiny_model)
    os.makedirs(home.home)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "none", home.home], check=True
    )
    ballast = os.path.join(home.home, "ballast")
    try:
        for number in range(100):
            photographs.variant(number, 48).save(home.path(f"{number}.png"))
        home.start(home.photos)
        home.sync()
        # Unbuffered: what a buffer could not write it tries again, and fails again, when it is closed.
        with open(ballast, "wb", buffering=0) as stream:
            try:
                while True:
                    stream.write(bytes(1 << 16))
            except OSError:
                pass
        for number in range(100, 1200):
            photographs.variant(number, 48).save(home.path(f"{number}.png"))
        wait_until(lambda: home.status()["failure"], timeout=60)
        synced = home.imgqd("sync", "--timeout", "3")
        assert synced.returncode in (1, 4)
        assert b"full" in synced.stderr or synced.returncode == 1
        assert len(home.paths("-n", "100", "anything")) == 100
        assert "full" in home.status()["failure"]
        done = home.imgqd("doctor", "--json")
        assert done.returncode == 1
        findings = json.loads(done.stdout)
        disk = [f for f in findings["findings"] if f["check"] == "disk"]
        assert disk and disk[0]["state"] != "ok"

        os.unlink(ballast)
        assert_equals_disk(home)
        wait_until(lambda: home.status()["failure"] is None)
        assert len(home.paths("-n", "1000", "anything")) == 1000
    finally:
        home.close()
        subprocess.run(["umount", "-l", home.home], check=True)

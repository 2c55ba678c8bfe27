"""Exactly one daemon runs, however many are started, and what a crash left is recovered."""

from __future__ import annotations

import os
import subprocess
import sys

from tests import photographs
from tests.faults.library import assert_equals_disk
from tests.harness import Home, wait_until


def test_twenty_started_together_are_one(tiny_home: Home) -> None:
    home = tiny_home
    photographs.variant(1).save(home.path("1.png"))
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "imgqd", "run", home.photos],
            env=home.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for _ in range(20)
    ]
    try:
        wait_until(lambda: sum(p.poll() is None for p in started) == 1, timeout=120)
        running = next(p for p in started if p.poll() is None)
        wait_until(lambda: home.imgqd("status").returncode == 0, timeout=60)
        assert home.status()["pid"] == running.pid
        for process in started:
            if process is not running:
                assert process.returncode == 4
                assert process.stderr is not None
                assert b"Traceback" not in process.stderr.read()
        assert_equals_disk(home)
    finally:
        for process in started:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=60)


def test_what_a_crash_left_behind_is_recovered(tiny_home: Home) -> None:
    home = tiny_home
    photographs.variant(1).save(home.path("1.png"))
    home.start(home.photos)
    home.sync()
    home.kill()
    assert os.path.exists(os.path.join(home.home, "imgqd.sock"))
    assert os.path.exists(os.path.join(home.home, "imgqd.lock"))
    assert home.imgq("anything").returncode == 3
    home.start()
    assert_equals_disk(home)
    assert home.imgqd("stop").returncode == 0
    assert home.process is not None
    assert home.process.wait(30) == 0
    home.process = None
    assert not os.path.exists(os.path.join(home.home, "imgqd.sock"))

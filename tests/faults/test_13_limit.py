"""The kernel's limit of watches is reached: what could not be watched is walked instead."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests import photographs
from tests.faults.library import assert_equals_disk, indexed
from tests.harness import Home, wait_until

LIMIT = "/proc/sys/fs/inotify/max_user_watches"


@pytest.fixture
def few_watches() -> Iterator[None]:
    """Lowers the limit for the test; put back whatever happens."""
    try:
        with open(LIMIT) as stream:
            before = stream.read()
        with open(LIMIT, "w") as stream:
            stream.write("30")
    except OSError:
        pytest.skip("the limit of watches can only be changed by root on Linux")
    try:
        yield
    finally:
        with open(LIMIT, "w") as stream:
            stream.write(before)


@pytest.mark.alone
@pytest.mark.usefixtures("few_watches")
def test_beyond_the_limit_the_library_stays_complete(tiny_home: Home) -> None:
    home = tiny_home
    home.environ["IMGQ_POLL_INTERVAL_S"] = "1"
    for number in range(100):
        os.makedirs(home.path(f"{number:03}"))
        photographs.variant(number, 48).save(home.path(f"{number:03}", "a.png"))
    home.start(home.photos)
    home.sync()
    assert len(indexed(home)) == 100
    assert home.status()["folders"][0]["state"] == "polling"
    assert "max_user_watches" in home.output()
    assert "fs.inotify.max_user_watches=" in home.status()["watch_limit"]
    assert b"fs.inotify.max_user_watches=" in home.imgqd("status").stdout
    for number in range(100):
        photographs.variant(1000 + number, 48).save(home.path(f"{number:03}", "b.png"))
    wait_until(lambda: len(indexed(home)) == 200, timeout=30)
    assert_equals_disk(home)
    doctor = home.imgqd("doctor")
    assert doctor.returncode == 1
    assert b"max_user_watches" in doctor.stdout + doctor.stderr

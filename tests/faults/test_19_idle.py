"""Idle means idle: no jobs, no encoder, and hardly any processor time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import pytest

from tests import photographs
from tests.harness import Home, wait_until


def processor_time(pid: int) -> float:
    """Seconds of processor time a process has used so far."""
    with open(f"/proc/{pid}/stat", "rb") as stream:
        fields = stream.read().rsplit(b")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """The processes that a process has started and that still run."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", "rb") as stream:
                if int(stream.read().rsplit(b")", 1)[1].split()[1]) == pid:
                    found.append(int(name))
        except OSError:
            continue
    return found


@pytest.mark.alone
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_after_indexing_a_thousand_files_nothing_happens(
    make_home: Callable[..., Home], tiny_model: str
) -> None:
    home = make_home(model=tiny_model, idle_unload_s=2)
    for number in range(1000):
        photographs.variant(number, 48).save(home.path(f"{number}.png"))
    home.start(home.photos)
    home.sync()
    wait_until(lambda: children(home.pid) == [], timeout=60)
    # The index snapshot is written 20 s after the last change.
    time.sleep(25)
    before, started = processor_time(home.pid), time.monotonic()
    time.sleep(30)
    used, wall = processor_time(home.pid) - before, time.monotonic() - started
    # A tick of the kernel's accounting is 10 ms: one of them in 30 s is 0.03 %.
    assert used <= 0.001 * wall + 0.01
    status = home.status()
    assert status["state"] == "idle"
    assert status["pending"] == 0
    assert status["encoded"] == 1000
    assert children(home.pid) == []

"""The wall clock jumps a year either way: nothing is encoded again, and timers go on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests import photographs
from tests.faults.library import assert_equals_disk, indexed
from tests.harness import Home

YEAR_S = 365 * 86_400
SOURCE = os.path.join(os.path.dirname(__file__), "clock_shift.c")


@pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="needs a C compiler on Linux"
)
@pytest.mark.parametrize("jump", [YEAR_S, -YEAR_S])
def test_a_clock_that_jumps_a_year(
    make_home: Callable[..., Home], tiny_model: str, jump: int
) -> None:
    home = make_home(model=tiny_model)
    library = os.path.join(home.directory, "clock_shift.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    shift = os.path.join(home.directory, "shift")
    with open(shift, "w") as stream:
        stream.write("0")
    faked = {"LD_PRELOAD": library, "CLOCK_SHIFT": shift}
    for number in range(50):
        photographs.variant(number).save(home.path(f"{number}.png"))
    home.start(home.photos, environ=faked)
    home.sync()
    before = indexed(home)
    assert len(before) == 50
    with open(shift, "w") as stream:
        stream.write(str(jump))
    for number in range(50, 60):
        photographs.variant(number).save(home.path(f"{number}.png"))
    assert_equals_disk(home, timeout=60)
    after = indexed(home)
    assert len(after) == 60
    assert {path: after[path] for path in before} == before
    assert home.status()["encoded"] == 60
    home.stop()
    home.start(environ=faked)
    assert_equals_disk(home, timeout=60)
    assert home.status()["encoded"] == 0
    assert indexed(home) == after

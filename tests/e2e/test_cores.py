"""Indexing keeps to the cores it is given; questions do not."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import psutil
import pytest

from imgqd.priority import cores
from tests import photographs
from tests.harness import Home

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or cores() < 2,
    reason="binding is Linux's, and one core is all there is",
)


def bound(pid: int) -> list[bool]:
    """For each thread of a process, whether it keeps to one core."""
    tasks = os.listdir(f"/proc/{pid}/task")
    return [len(os.sched_getaffinity(int(task))) == 1 for task in tasks]


def test_reading_decoding_and_encoding_keep_to_one_core(
    make_home: Callable[..., Home], tiny_model: str
) -> None:
    home = make_home(model=tiny_model, cores=1)
    photographs.save("chelsea", home.path("cat.jpg"))
    home.start(home.photos)
    home.sync()
    children = psutil.Process(home.pid).children(recursive=True)
    assert len(children) >= 2  # the encoder and a decoder, of which there is only one
    for child in children:
        assert all(bound(child.pid)), child.cmdline()
    threads = bound(home.pid)
    # Two that read and hash, and the one that ends idle decoders, which they start.
    assert 2 <= sum(threads) <= 3 < len(threads)
    assert home.names("a cat") == ["cat.jpg"]

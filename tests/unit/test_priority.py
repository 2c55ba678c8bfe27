"""What indexing leaves to others: disk, processor and cores, of one thread or of a process and its children."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import psutil
import pytest

from imgqd.priority import ALL, Share, cores

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into Linux's own accounts")


def in_thread(share: Share) -> tuple[set[int], int, int]:
    """(cores, nice, place in the disk's queue) of a thread that has bound itself."""
    found = []

    def bound() -> None:
        share.bind_thread()
        own = threading.get_native_id()
        found.append(
            (
                os.sched_getaffinity(0),
                os.getpriority(os.PRIO_PROCESS, own),
                int(psutil.Process(own).ionice().value),
            )
        )

    thread = threading.Thread(target=bound)
    thread.start()
    thread.join()
    return found[0]


def test_a_thread_is_last_at_the_disk_and_keeps_to_its_cores_alone() -> None:
    before = os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0), psutil.Process().ionice()
    bound, nice, place = in_thread(Share(10, 1))
    assert (len(bound) == 1 and bound < before[0]) or cores() == 1
    assert (nice, place) == (before[1], 7)
    assert before == (
        os.sched_getaffinity(0),
        os.getpriority(os.PRIO_PROCESS, 0),
        psutil.Process().ionice(),
    )


@pytest.mark.parametrize("share", [ALL, Share(0, 100_000)])
def test_all_is_as_it_was(share: Share) -> None:
    before = psutil.Process().ionice()
    assert in_thread(share) == (
        os.sched_getaffinity(0),
        os.getpriority(os.PRIO_PROCESS, 0),
        int(before.value),
    )


def test_a_process_hands_its_share_down() -> None:
    program = (
        "import os, subprocess, sys\n"
        "from imgqd.priority import Share, cores\n"
        "Share(3, 1).bind_process()\n"
        "told = 'import os; print(os.nice(0), len(os.sched_getaffinity(0)))'\n"
        "subprocess.run([sys.executable, '-c', told], check=True)\n"
        "print(cores())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.split() == [b"%d" % min(19, os.nice(0) + 3), b"1", b"1"]

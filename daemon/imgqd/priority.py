"""What indexing leaves to others: it goes last, for the processor and for the disk, and takes so many cores."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass

# ioprio_set(2): glibc has no function for it.
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_WHO_PROCESS, _BEST_EFFORT_LAST = 1, 2 << 13 | 7
# setiopolicy_np(3) of macOS.
_TYPE_DISK, _SCOPE_THREAD, _UTILITY = 0, 1, 4


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the machine work takes.

    `nice` is how far its priority is lowered (0: not at all), `cores` on how many of the cores it
    stays (0: all; systems that cannot bind a process leave it at that).
    """

    nice: int = 0
    cores: int = 0

    def bind_process(self) -> None:
        """For a process that has no threads yet: those it starts have the same."""
        if self.nice > 0 and hasattr(os, "nice"):
            with contextlib.suppress(OSError):
                os.nice(self.nice)
        self.bind_thread()

    def bind_thread(self) -> None:
        """For the calling thread of a process that does other work, too.

        Its processor priority stays: questions would wait for a thread that holds the interpreter's
        lock and is not let run.
        """
        if self.nice > 0:
            _lower_disk()
        if hasattr(os, "sched_setaffinity"):
            usable = sorted(os.sched_getaffinity(0))
            if 0 < self.cores < len(usable):
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(0, usable[-self.cores :])


# Everything there is, like any other program.
ALL = Share()


def _lower_disk() -> None:
    """Of the calling thread. The lowest of what is served in turn, not "idle": that one can wait
    for ever on a busy disk, and files would fail with a timeout."""
    import ctypes

    if sys.platform == "linux":
        number = _IOPRIO_SET.get(os.uname().machine)
        if number is not None:
            ctypes.CDLL(None).syscall(number, _WHO_PROCESS, 0, _BEST_EFFORT_LAST)
    elif sys.platform == "darwin":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).setiopolicy_np(_TYPE_DISK, _SCOPE_THREAD, _UTILITY)

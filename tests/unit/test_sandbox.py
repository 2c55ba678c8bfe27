"""What a decoder process can no longer do once it is locked up: each attempt made for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nothing to lock up with")

ATTEMPTS = """
import ctypes, errno, json, mmap, os, resource, signal, socket, sys, threading, zlib
from imgqd.indexing import sandbox

threads = sys.argv[1] == "threads"
parent, own = os.getppid(), os.open(sys.argv[2], os.O_RDONLY)
executable = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
libc = ctypes.CDLL(None, use_errno=True)


def own_signal():
    fcntl_setown = libc.fcntl(own, 8, parent)
    if fcntl_setown:
        raise OSError(ctypes.get_errno(), "F_SETOWN")


def write_file():
    os.write(os.memfd_create("x"), b"x")


def start_thread():
    thread = threading.Thread(target=zlib.crc32, args=(b"x",))
    thread.start()
    thread.join()


attempts = {
    "read another file": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "list a folder": lambda: os.listdir("/"),
    "make a file": lambda: os.open(sys.argv[2] + ".new", os.O_CREAT | os.O_WRONLY),
    "remove a file": lambda: os.unlink(sys.argv[2]),
    "write a memory file": write_file,
    "open a socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "open a local socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "fork": os.fork,
    "run a program": lambda: os.execv("/bin/true", ["true"]),
    "signal the parent": lambda: os.kill(parent, 0),
    "send signals by files": own_signal,
    "make memory executable": lambda: mmap.mmap(-1, 4096, prot=executable),
    "raise the parent's limits": lambda: resource.prlimit(parent, resource.RLIMIT_NOFILE),
    "raise the memory limit": lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)),
    "take much memory": lambda: bytearray(600 * 1024 * 1024),
    "take some memory": lambda: bytearray(100 * 1024 * 1024),
    "read the own file": lambda: os.pread(own, 5, 0),
    "move in the own file": lambda: os.lseek(own, 2, os.SEEK_SET),
    "start a thread": start_thread,
    "set a nearer processor limit": lambda: sandbox.allow_cpu(2),
}
out = {"words": sandbox.apply(memory_mb=500, cpu_s=20, threads=threads)}
for name, attempt in attempts.items():
    try:
        attempt()
        out[name] = "done"
    except (OSError, MemoryError, RuntimeError, ValueError) as error:
        out[name] = type(error).__name__
print(json.dumps(out), flush=True)
if sys.argv[3] == "abort":
    os.abort()
if sys.argv[3] == "spin":
    while True:
        pass
"""


def attempt_all(path: str, *, threads: bool = False, then: str = "") -> tuple[dict[str, str], int]:
    ran = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, "threads" if threads else "", path, then],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
    )
    return json.loads(ran.stdout), ran.returncode


@pytest.fixture(scope="module")
def own_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("sandbox") / "picture"
    path.write_bytes(b"picture")
    yield str(path)
    assert path.read_bytes() == b"picture"


@pytest.fixture(scope="module")
def seen(own_file: str) -> dict[str, str]:
    return attempt_all(own_file)[0]


def seccomp_is_there() -> bool:
    try:
        with open("/proc/self/status") as stream:
            return "Seccomp:" in stream.read() and os.uname().machine in ("x86_64", "aarch64")
    except OSError:
        return False


needs_seccomp = pytest.mark.skipif(not seccomp_is_there(), reason="no seccomp in this kernel")


@needs_seccomp
@pytest.mark.parametrize(
    "attempt",
    [
        "read another file",
        "list a folder",
        "make a file",
        "remove a file",
        "write a memory file",
        "open a socket",
        "open a local socket",
        "fork",
        "run a program",
        "signal the parent",
        "send signals by files",
        "make memory executable",
        "raise the parent's limits",
    ],
)
def test_a_locked_up_process_cannot(attempt: str, seen: dict[str, str]) -> None:
    assert seen[attempt] == "PermissionError"


def test_a_locked_up_process_cannot_take_more_memory(seen: dict[str, str]) -> None:
    assert seen["take much memory"] == "MemoryError"


def test_a_locked_up_process_cannot_raise_its_limits_even_as_root(seen: dict[str, str]) -> None:
    assert seen["raise the memory limit"] == "ValueError"


@needs_seccomp
def test_a_locked_up_process_cannot_start_threads_unless_it_must(
    seen: dict[str, str], own_file: str
) -> None:
    assert seen["start a thread"] == "RuntimeError"
    with_threads, _ = attempt_all(own_file, threads=True)
    assert with_threads["start a thread"] == "done"
    assert {name for name in seen if seen[name] != with_threads[name]} == {"start a thread"}


@pytest.mark.parametrize(
    "attempt",
    [
        "take some memory",
        "read the own file",
        "move in the own file",
        "set a nearer processor limit",
    ],
)
def test_a_locked_up_process_can_still_do_its_work(attempt: str, seen: dict[str, str]) -> None:
    assert seen[attempt] == "done"


def test_what_is_in_force_is_said(seen: dict[str, str]) -> None:
    assert seen["words"][0] == "rlimits"
    assert ("seccomp" in seen["words"]) == seccomp_is_there()


def test_a_locked_up_process_can_abort(own_file: str) -> None:
    assert attempt_all(own_file, then="abort")[1] == -6


def test_used_up_processor_time_ends_the_process(own_file: str) -> None:
    from signal import SIGXCPU

    assert attempt_all(own_file, then="spin")[1] == -SIGXCPU

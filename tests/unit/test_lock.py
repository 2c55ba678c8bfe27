"""One daemon for each library, however many are started and however the last one ended."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading

import pytest

from imgqd.errors import AlreadyRunningError
from imgqd.lock import InstanceLock, holder, is_held, wait_until_free

HOLD = (
    "import sys\n"
    "from imgqd.lock import InstanceLock\n"
    "from imgqd.errors import AlreadyRunningError\n"
    "try:\n"
    "    InstanceLock(sys.argv[1], 'the library').acquire()\n"
    "except AlreadyRunningError as error:\n"
    "    print(error, flush=True)\n"
    "    sys.exit(4)\n"
    "print('held', flush=True)\n"
    "sys.stdin.read()\n"
)


def start(path):
    """A process that holds the lock until its standard input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "imgqd.lock")


def test_the_second_is_told_who_runs(path):
    with InstanceLock(path, "/home/me/imgq"):
        assert is_held(path)
        with pytest.raises(AlreadyRunningError) as refusal:
            InstanceLock(path, "/home/me/imgq").acquire()
    assert f"pid {os.getpid()}" in refusal.value.message
    assert "/home/me/imgq" in refusal.value.message
    assert "imgqd stop" in refusal.value.message


def test_the_lock_of_a_killed_process_is_no_obstacle(path):
    process = start(path)
    assert process.stdout.readline() == "held\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert holder(path).pid == process.pid
    assert not is_held(path)
    with InstanceLock(path, "home") as lock:
        assert holder(path).pid == os.getpid()
        assert lock.held


def test_of_twenty_started_together_exactly_one_runs(path):
    processes = [start(path) for _ in range(20)]
    first_words = [process.stdout.readline() for process in processes]
    assert first_words.count("held\n") == 1
    winner = processes[first_words.index("held\n")]
    for process in processes:
        process.communicate(timeout=60)
    codes = sorted(process.returncode for process in processes)
    assert codes == [0] + [4] * 19
    refusals = [words for words in first_words if words != "held\n"]
    assert all(f"pid {winner.pid}" in words for words in refusals)


def test_whoever_only_looks_keeps_nobody_from_starting(path):
    with InstanceLock(path, "home"):
        pass
    looking = threading.Event()

    def look():
        while not looking.is_set():
            is_held(path)

    watchers = [threading.Thread(target=look) for _ in range(2)]
    for watcher in watchers:
        watcher.start()
    try:
        for _ in range(50):
            with InstanceLock(path, "home"):
                pass
    finally:
        looking.set()
        for watcher in watchers:
            watcher.join()


def test_a_child_process_does_not_inherit_the_lock(path):
    with InstanceLock(path, "home"):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert not is_held(path)
    finally:
        child.communicate(b"\n")


def test_waiting_ends_when_the_holder_does(path):
    process = start(path)
    assert process.stdout.readline() == "held\n"
    assert not wait_until_free(path, 0.05)
    threading.Timer(0.1, process.stdin.close).start()
    assert wait_until_free(path, 60)
    process.wait(60)
    process.stdout.close()


@pytest.mark.parametrize("content", [b"", b"12", b"{", b"\xff", b'{"pid": "x"}', b"[]"])
def test_an_unreadable_lock_file_says_nothing_and_blocks_nothing(path, content):
    with open(path, "wb") as stream:
        stream.write(content)
    assert holder(path, "home").pid is None
    assert "pid unknown" in str(holder(path, "home"))
    with InstanceLock(path, "home"):
        assert holder(path).pid == os.getpid()


def test_the_file_is_this_users_and_stays(path):
    with InstanceLock(path, "home"):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert os.path.exists(path)
    assert not is_held(path)
    assert not is_held(path + ".missing")

"""The pool as a keeper of processes: limits, deaths, lies, idleness, priority, inheritance."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from imgqd.errors import ImgqError, ProblemError, UnavailableError
from imgqd.indexing import decode_channel
from imgqd.indexing.decode import DecoderPool
from imgqd.priority import Share
from tests import hostile_files
from tests.unit import lying_decoder
from tests.unit.test_decode import WANT, decode, open_bytes

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers fork on POSIX only")


def make_pool(**options: float) -> DecoderPool:
    settings = {"workers": 1, "timeout_s": 30.0, "max_pixels": 10**9, "memory_mb": 1024, **options}
    return DecoderPool(**settings)  # type: ignore[arg-type]


@pytest.fixture
def pool() -> Iterator[DecoderPool]:
    pool = make_pool()
    yield pool
    pool.close()


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


class Slow:
    """A decode of the endless JPEG in a thread; `process` is the child that is at work on it."""

    def __init__(self, pool: DecoderPool) -> None:
        self.problem: ImgqError | None = None
        self._fd = open_bytes(hostile_files.slow_jpeg())
        self._pool = pool
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        wait_until(lambda: self._busy() is not None)
        found = self._busy()
        assert found is not None
        self.process = found

    def _busy(self) -> psutil.Process | None:
        for pid in self._pool.pids():
            for child in psutil.Process(pid).children():
                if child.cpu_times().user > 0.05:
                    return child
        return None

    def _run(self) -> None:
        try:
            self._pool.decode(self._fd, WANT)
        except ImgqError as error:
            self.problem = error

    def end(self) -> ImgqError:
        self._thread.join(20)
        os.close(self._fd)
        assert self.problem is not None
        return self.problem


def test_a_child_killed_from_outside_costs_one_file(pool: DecoderPool) -> None:
    slow = Slow(pool)
    worker = pool.pids()
    slow.process.send_signal(signal.SIGSEGV)
    problem = slow.end()
    assert problem.code == "crashed" and "SIGSEGV" in problem.message
    assert decode(pool, hostile_files.jpeg()).metadata.width == 451
    assert pool.pids() == worker


def test_a_worker_killed_while_busy_is_replaced(pool: DecoderPool) -> None:
    slow = Slow(pool)
    worker = pool.pids()
    os.kill(worker[0], signal.SIGKILL)
    assert slow.end().code == "crashed"
    wait_until(lambda: not slow.process.is_running())
    assert decode(pool, hostile_files.jpeg()).metadata.width == 451
    assert pool.pids() != worker


def test_a_worker_killed_while_idle_is_noticed_by_nobody(pool: DecoderPool) -> None:
    decode(pool, hostile_files.jpeg())
    os.kill(pool.pids()[0], signal.SIGKILL)
    psutil.Process(pool.pids()[0]).wait(10)
    assert decode(pool, hostile_files.jpeg()).metadata.width == 451


def test_a_child_killed_between_two_files_costs_none(pool: DecoderPool) -> None:
    decode(pool, hostile_files.jpeg())
    (child,) = psutil.Process(pool.pids()[0]).children()
    child.kill()
    wait_until(lambda: not child.is_running())
    assert decode(pool, hostile_files.jpeg()).metadata.width == 451


def test_a_hanging_child_is_gone_after_its_deadline() -> None:
    pool = make_pool(timeout_s=1)
    try:
        slow = Slow(pool)
        assert slow.end().code == "timeout"
        wait_until(lambda: not slow.process.is_running())
        assert decode(pool, hostile_files.jpeg()).metadata.width == 451
    finally:
        pool.close()


def test_closing_ends_busy_processes_too() -> None:
    pool = make_pool()
    slow = Slow(pool)
    worker = psutil.Process(pool.pids()[0])
    pool.close()
    assert isinstance(slow.end(), UnavailableError)  # which is no problem of that file
    wait_until(lambda: not slow.process.is_running() and not worker.is_running())
    with pytest.raises(UnavailableError):
        decode(pool, hostile_files.jpeg())


def test_processes_end_when_the_daemon_is_killed() -> None:
    script = (
        "import os, sys, threading\n"
        "from tests.unit.test_decode_pool import Slow, make_pool\n"
        "pool = make_pool()\n"
        "slow = Slow(pool)\n"
        "print(pool.pids()[0], slow.process.pid, flush=True)\n"
        "threading.Event().wait()\n"
    )
    daemon = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    )
    assert daemon.stdout is not None
    with daemon.stdout:
        processes = [psutil.Process(int(pid)) for pid in daemon.stdout.readline().split()]
    daemon.kill()
    daemon.wait()
    assert len(processes) == 2
    psutil.wait_procs(processes, timeout=20)
    assert not any(process.is_running() for process in processes)


def test_idle_workers_are_ended_and_started_again() -> None:
    pool = make_pool(idle_s=0.2)
    try:
        decode(pool, hostile_files.jpeg())
        (worker,) = [psutil.Process(pid) for pid in pool.pids()]
        wait_until(lambda: not worker.is_running() and not pool.pids())
        wait_until(lambda: "imgqd-decoder-idle" not in [t.name for t in threading.enumerate()])
        assert decode(pool, hostile_files.jpeg()).metadata.width == 451
    finally:
        pool.close()


def test_many_threads_share_few_workers() -> None:
    pool = make_pool(workers=2)
    most: list[int] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(30):
                assert decode(pool, hostile_files.jpeg()).metadata.width == 451
                most.append(len(pool.pids()))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool.close()
    assert not failures and len(most) == 240 and max(most) <= 2


def test_children_are_replaced_after_a_batch(pool: DecoderPool) -> None:
    children = set()
    for _ in range(2 * decode_channel.FILES_PER_CHILD):
        decode(pool, hostile_files.jpeg())
        children |= {child.pid for child in psutil.Process(pool.pids()[0]).children()}
    assert len(children) >= 2


def test_an_answer_before_the_question_is_a_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_channel, "COMMAND", (lying_decoder.__file__, "the next answer too"))
    pool = make_pool(timeout_s=10)
    try:
        assert decode(pool, b"anything").metadata.width == 4
        with pytest.raises(ProblemError) as caught:
            decode(pool, b"anything")
        assert caught.value.reason == "crashed"
    finally:
        pool.close()


@pytest.mark.parametrize("lie", sorted(set(lying_decoder.LIES) - {"honest", "the next answer too"}))
def test_a_lying_decoder_is_a_crashed_one(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_channel, "COMMAND", (lying_decoder.__file__, lie))
    pool = make_pool(timeout_s=10)
    fd = open_bytes(b"anything")
    try:
        for _ in range(2):
            with pytest.raises(ProblemError) as caught:
                pool.decode(fd, WANT)
            assert caught.value.reason == "crashed"
            assert len(caught.value.message) < 400
        assert pool.pids() == []
    finally:
        os.close(fd)
        pool.close()


def test_the_stand_in_for_a_liar_can_be_honest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_channel, "COMMAND", (lying_decoder.__file__, "honest"))
    pool = make_pool(timeout_s=10)
    try:
        assert decode(pool, b"anything").metadata.format == "png"
    finally:
        pool.close()


@pytest.mark.parametrize("command", [("-c", "import sys; sys.exit(3)"), ("-c", "pass")])
def test_a_worker_that_does_not_start_is_no_fault_of_the_file(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_channel, "COMMAND", command)
    pool = make_pool()
    try:
        with pytest.raises(UnavailableError) as caught:
            decode(pool, hostile_files.jpeg())
        assert "can be started" in caught.value.message
    finally:
        pool.close()


def test_an_answer_that_is_there_is_no_timeout_however_late_we_look() -> None:
    # As after SIGSTOP and SIGCONT, or a suspended machine: the deadline is long over.
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.sendall(b"answer")
        over = time.monotonic() - 100
        assert bytes(decode_channel._receive(ours, 6, over)) == b"answer"
        with pytest.raises(decode_channel.DeadlineError):
            decode_channel._receive(ours, 1, over)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_workers_inherit_no_files_and_no_secrets(
    pool: DecoderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGQ_TEST_SECRET", "hunter2")
    fd = open_bytes(hostile_files.jpeg())
    os.set_inheritable(fd, True)
    try:
        decode(pool, hostile_files.jpeg())
        pid = pool.pids()[0]
        with open(f"/proc/{pid}/environ", "rb") as stream:
            assert b"hunter2" not in stream.read()
        links = [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]
        assert sum(link != "/dev/null" for link in links) <= 3  # control, the child's pipe, 1 spare
        assert not any("picture" in link for link in links)
        assert os.getsid(pid) == pid
    finally:
        os.close(fd)


def test_workers_run_at_low_priority() -> None:
    for nice in (0, 10):
        pool = make_pool(share=Share(nice))
        try:
            decode(pool, hostile_files.jpeg())
            own = os.getpriority(os.PRIO_PROCESS, 0)
            assert os.getpriority(os.PRIO_PROCESS, pool.pids()[0]) == min(19, own + nice)
            if sys.platform == "linux":
                assert (psutil.Process(pool.pids()[0]).ionice().value == 7) == (nice > 0)
        finally:
            pool.close()


def test_files_are_decoded_behind_the_sandbox(pool: DecoderPool) -> None:
    assert pool.sandbox == ()
    decode(pool, hostile_files.jpeg())
    assert "rlimits" in pool.sandbox
    if sys.platform == "linux":
        (child,) = psutil.Process(pool.pids()[0]).children()
        with open(f"/proc/{child.pid}/status") as stream:
            status = stream.read()
        assert ("Seccomp:\t2" in status) == ("seccomp" in pool.sandbox)
        assert "NoNewPrivs:\t1" in status

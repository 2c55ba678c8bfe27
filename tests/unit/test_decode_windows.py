"""Decoding without fork, run where there is fork: the protocol, the deadline, the replacement.

Only how an open file crosses to the process differs on Windows; here the test's worker inherits it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from imgqd.indexing import decode_windows
from imgqd.indexing.decode_channel import ChildDied, ChildLimits, DeadlineError
from imgqd.indexing.decode_windows import PipeWorker
from imgqd.priority import ALL
from imgqd.records import Preprocess
from tests import hostile_files
from tests.photographs import photograph
from tests.unit.test_decode import open_bytes, saved

WANT = {
    name: getattr(Preprocess(224, 224, (0.5,) * 3, (0.5,) * 3), name)
    for name in ("height", "width", "interpolation", "resize_mode", "fill_color", "resize")
}
PIXELS = 224 * 224 * 3


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[PipeWorker]:
    if sys.platform != "win32":

        def reopened(process: subprocess.Popen[bytes], fd: int) -> int:
            """A number for the process to open `fd` by; it stands for the duplicated handle."""
            return fd

        patch = (
            "import os\n"
            "from imgqd.indexing import decode_windows, decode_worker\n"
            "decode_windows.take_over = lambda fd: os.open(\n"
            "    f'/proc/{os.getppid()}/fd/{fd}', os.O_RDONLY)\n"
            "decode_worker.main()\n"
        )
        monkeypatch.setattr(decode_windows, "hand_over", reopened)
        monkeypatch.setattr(decode_windows, "COMMAND", ("-c", patch))
        if not os.path.isdir("/proc/self/fd"):
            pytest.skip("needs /proc")
    worker = PipeWorker(ChildLimits(300_000_000, 0, 1024, 3.0), share=ALL)
    yield worker
    worker.discard()


def ask(worker: PipeWorker, data: bytes) -> dict[str, object]:
    fd = open_bytes(data)
    try:
        header, body = worker.ask({"kind": "decode", "want": WANT, "name": ""}, fd, PIXELS)
    finally:
        os.close(fd)
    assert "reason" in header or "library" in header or len(body) == PIXELS
    return header


def test_pictures_are_decoded_one_after_another(worker: PipeWorker) -> None:
    pid = worker.pid
    for _ in range(3):
        facts = ask(worker, hostile_files.jpeg())["facts"]
        assert isinstance(facts, dict) and facts["width"] == 451
    assert ask(worker, hostile_files.truncated_jpeg())["reason"] == "corrupt"
    assert worker.pid == pid and worker.alive


def test_a_hanging_worker_is_killed_at_the_deadline_and_replaced(worker: PipeWorker) -> None:
    pid = worker.pid
    with pytest.raises(DeadlineError):
        ask(worker, hostile_files.slow_jpeg())
    assert "facts" in ask(worker, hostile_files.jpeg())
    assert worker.pid != pid


def test_a_worker_that_dies_is_replaced(worker: PipeWorker) -> None:
    worker.terminate()
    with pytest.raises(ChildDied):
        ask(worker, hostile_files.jpeg())
    assert "facts" in ask(worker, hostile_files.jpeg())


def test_libraries_are_loaded_when_asked_for(worker: PipeWorker) -> None:
    data = saved(photograph("chelsea"), "heic")
    assert ask(worker, data) == {"library": "heic"}
    assert worker.load("heic")
    assert "facts" in ask(worker, data)
    assert not worker.load("no-such")

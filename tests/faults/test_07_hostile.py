"""No file can stop the daemon: it is indexed or it is a problem with a reason."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from tests import hostile_files, photographs
from tests.faults.library import assert_equals_disk, indexed
from tests.faults.test_19_idle import children, processor_time
from tests.harness import Home, wait_until

GOOD = 960
HOSTILE = {
    "bomb.png": (hostile_files.png_bomb, "too-large"),
    "huge.tif": (hostile_files.huge_tiff, "too-large"),
    "text.jpg": (hostile_files.text, "unsupported"),
    "empty.jpg": (bytes, "corrupt"),
    "hangs.jpg": (hostile_files.slow_jpeg, "timeout"),
}


def test_a_thousand_files_with_hostile_ones_among_them(tiny_home: Home) -> None:
    home = tiny_home
    home.environ["IMGQ_DECODE_TIMEOUT_S"] = "4"
    for number in range(GOOD):
        photographs.variant(number, 48).save(home.path(f"good-{number}.png"))
    broken = hostile_files.truncated_jpeg()
    for number in range(40 - len(HOSTILE)):
        with open(home.path(f"truncated-{number}.jpg"), "wb") as stream:
            stream.write(broken[: len(broken) - number])
    for name, (make, _) in HOSTILE.items():
        with open(home.path(name), "wb") as stream:
            stream.write(make())
    home.start(home.photos)
    assert_equals_disk(home)
    assert len(indexed(home)) == GOOD
    problems = home.problems()
    assert {name: problems.pop(name) for name in HOSTILE} == {
        name: reason for name, (_, reason) in HOSTILE.items()
    }
    assert set(problems.values()) == {"corrupt"}
    assert len(problems) == 40 - len(HOSTILE)
    assert home.status()["memory_bytes"] < 450 << 20

    # A decoder that is ended by a signal in the middle of a file.
    with open(home.path("crashes.jpg"), "wb") as stream:
        stream.write(hostile_files.slow_jpeg(scans=19_000))
    wait_until(lambda: end_busy_decoder(home), timeout=30)
    home.sync()
    assert home.problems()["crashes.jpg"] == "crashed"

    # Walks do not try them again; `retry` does, once.
    before = sorted(_attempts(home))
    home.sync()
    home.sync()
    assert sorted(_attempts(home)) == before
    attempts = {os.path.basename(os.fsdecode(path)): count for path, count in before}
    assert max(attempts.values()) <= 2
    assert home.imgqd("retry", home.path("truncated-3.jpg")).returncode == 0
    home.sync()
    again = {os.path.basename(os.fsdecode(path)): count for path, count in _attempts(home)}
    assert again == {**attempts, "truncated-3.jpg": 2}

    photographs.save("coffee", home.path("text.jpg"))
    home.sync()
    assert "text.jpg" not in home.problems()
    assert os.fsencode(home.path("text.jpg")) in indexed(home)


def end_busy_decoder(home: Home) -> bool:
    """Sends SIGSEGV to the decoder that is at work; False when there is none."""
    found = [child for worker in children(home.pid) for child in children(worker)]
    with contextlib.suppress(OSError):
        before = {pid: processor_time(pid) for pid in found}
        time.sleep(0.4)
        for pid, used in before.items():
            if processor_time(pid) - used > 0.1:
                os.kill(pid, signal.SIGSEGV)
                return True
    return False


def _attempts(home: Home) -> list[tuple[bytes, int]]:
    from tests.faults.library import rows

    return rows(home, "SELECT path, attempts FROM problems")  # type: ignore[return-value]

"""A very large library that has not changed: walking it takes little memory and stops no question.

IMGQ_TEST_FILES=1000000 python -m pytest tests/faults/test_20_many.py
"""

from __future__ import annotations

import os
import sys
import threading
import time

import pytest

from tests import photographs
from tests.faults.library import rows
from tests.harness import Home, wait_until

FILES = int(os.environ.get("IMGQ_TEST_FILES", "100000"))
EACH = 2000


def resident(pid: int) -> int:
    """Resident memory in bytes."""
    with open(f"/proc/{pid}/statm") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def fill(home: Home) -> None:
    """Hard links to a few pictures, and the rows that say so, made in the database itself."""
    from imgqd.indexing.look import signature_of
    from imgqd.library.store import Store

    store = Store(os.path.join(home.home, "library.db"))
    pictures = {bytes(p): n for p, n in store.read(
        "SELECT f.name, picture_id FROM files f WHERE state = 'indexed'")}  # fmt: skip
    sources = sorted(pictures)
    made = 0
    while made < FILES:
        folder = os.fsencode(home.path(f"{made:07}"))
        os.makedirs(folder)
        for number in range(EACH):
            # A few thousand links to a file are what ext4 allows.
            source = sources[(made // 20_000) % len(sources)]
            os.link(os.path.join(os.fsencode(home.photos), source), folder + b"/%d.png" % number)
        made += EACH
    with store.write() as connection:
        for folder in sorted(os.listdir(os.fsencode(home.photos))):
            path = os.path.join(os.fsencode(home.photos), folder)
            if not os.path.isdir(path):
                continue
            connection.execute("INSERT INTO directories (path) VALUES (?)", (path,))
            directory_id = connection.last_insert_rowid()
            source = sources[(int(folder) // 20_000) % len(sources)]
            connection.executemany(
                "INSERT INTO files (directory_id, name, size, mtime_ns, ctime_ns, inode, state,"
                " picture_id) VALUES (?, ?, ?, ?, ?, ?, 'indexed', NULL)",
                (
                    (directory_id, entry.name, s.size, s.mtime_ns, s.ctime_ns, s.inode)
                    for entry in os.scandir(path)
                    for s in (signature_of(entry.stat()),)
                ),
            )
        # The links have moved the sources' ctime.
        for name in sources:
            s = signature_of(os.lstat(os.path.join(os.fsencode(home.photos), name)))
            connection.execute(
                "UPDATE files SET ctime_ns = ? WHERE inode = ?", (s.ctime_ns, s.inode)
            )
    store.close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_unchanged_library_of_very_many_files(tiny_home: Home) -> None:
    home = tiny_home
    for number in range(max(5, FILES // 20_000 + 1)):
        photographs.variant(number).save(home.path(f"{number}.png"))
    home.start(home.photos)
    home.sync()
    encoded = home.status()["pictures"]
    assert home.stop() == 0
    fill(home)

    home.environ["IMGQ_WATCH_MODE"] = "poll"
    home.environ["IMGQ_POLL_INTERVAL_S"] = "3600"
    home.start()
    wait_until(lambda: home.status()["state"] == "idle", timeout=120)
    settled = resident(home.pid)
    most, waited = [settled], []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            most[0] = max(most[0], resident(home.pid))
            began = time.monotonic()
            assert home.imgq("-n", "3", "anything").returncode == 0
            waited.append(time.monotonic() - began)

    thread = threading.Thread(target=watch)
    thread.start()
    home.sync(200)
    stop.set()
    thread.join()
    assert most[0] - settled < 100 << 20
    assert waited
    assert rows(home, "SELECT count(*) FROM files") == [(FILES + encoded,)]
    assert home.status()["encoded"] == 0

"""The reconciler with drives that go and come, limits of watching, changed folders and rules."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from imgqd.errors import UnavailableError
from imgqd.library import reconcile
from tests.unit.fuse_that_hangs import HangingDrive
from tests.unit.library_kit import (
    Drive,
    Library,
    library,
    needs_mounts,
    nobody,
    open_to_all,
    wait_for,
    write,
)
from tests.unit.reconcile_kit import Start, known, start, state, synced
from tests.unit.test_watch import limited

__all__ = ["library", "start"]


@needs_mounts
def test_a_drive_that_goes_and_returns_is_offline_meanwhile(
    library: Library, start: Start, tmp_path: object
) -> None:
    drive = Drive(str(tmp_path))
    try:
        drive.mount(library.root)
        library.store.remove_folder(library.root)
        library.add()
        for number in range(30):
            write(library.root + b"/x/%d" % number)
        made = start()
        library.answer()
        files = library.files()
        assert len(files) == 30
        drive.unmount()
        assert wait_for(lambda: state(library) == "offline")
        assert os.listdir(library.root) == []
        assert synced(made).offline == [library.root]
        assert library.queued() == set()
        drive.mount(library.root)
        assert wait_for(lambda: state(library) == "watching")
        assert synced(made).offline == []
        assert library.queued() == set()
        write(library.root + b"/x/new")
        assert wait_for(known(library, *files, b"x/new"))
        made.stop()
    finally:
        drive.unmount()


@needs_mounts
def test_a_drive_mounted_below_a_folder_is_found_missed_and_found_again(
    library: Library, start: Start, tmp_path: object
) -> None:
    drive = Drive(str(tmp_path))
    place = library.root + b"/drive"
    try:
        drive.mount(place)
        write(place + b"/x/a")
        drive.unmount()
        write(library.root + b"/here")
        made = start()
        assert wait_for(known(library, b"here"))
        drive.mount(place)
        assert wait_for(known(library, b"here", b"drive/x/a"))
        write(place + b"/x/b")
        assert wait_for(known(library, b"here", b"drive/x/a", b"drive/x/b"))
        drive.unmount()
        assert wait_for(lambda: made.guard.offline() == [place])
        assert library.store.offline_prefixes() == [(library.root, False), (place, True)]
        assert synced(made).offline == [place]
        assert library.queued() == set()
        drive.mount(place)
        assert wait_for(lambda: made.guard.offline() == [])
        synced(made)
        assert library.queued() == set()
        write(place + b"/x/c")
        assert wait_for(known(library, b"here", *(b"drive/x/%c" % c for c in b"abc")))
        made.stop()
    finally:
        drive.unmount()


@needs_mounts
def test_a_network_drive_that_hangs_stops_nothing_else(
    library: Library, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "STALL_S", 0.5)
    place = library.root + b"-network"
    os.mkdir(place)
    drive = HangingDrive(place)
    try:
        library.add(place)
        made = start(poll_interval_s=1)
        states = {f.path: f.state for f in library.store.folders()}
        assert states == {library.root: "watching", place: "polling"}
        drive.hang()
        write(library.root + b"/a")
        assert synced(made).offline == [place]
        assert drive.hanging.is_set()
        assert library.queued() == {b"a"}
        write(library.root + b"/b")
        assert synced(made).offline == [place]
        assert library.queued() == {b"a", b"b"}
        drive.answer_again()
        assert wait_for(lambda: made.guard.offline() == [])
        assert synced(made).offline == []
        made.stop()
    finally:
        drive.unmount()


def test_a_folder_that_becomes_readable_is_picked_up(library: Library, start: Start) -> None:
    open_to_all(library)
    write(library.root + b"/locked/deep/a")
    os.chmod(library.root + b"/locked", 0o000)
    with nobody():
        made = start()
        assert library.problems() == {b"locked": "unreadable"}
        assert library.queued() == set()
    os.chmod(library.root + b"/locked", 0o755)
    with nobody():
        assert wait_for(known(library, b"locked/deep/a"))
        assert wait_for(lambda: library.problems() == {})
        assert made.watcher.count() == 3


def test_polling_needs_no_watcher(library: Library, start: Start) -> None:
    made = start(watch_mode="poll", poll_interval_s=1)
    assert state(library) == "polling"
    assert not made.watcher.running
    write(library.root + b"/new/a")
    assert wait_for(known(library, b"new/a"))
    os.unlink(library.root + b"/new/a")
    assert wait_for(known(library))


LIMITED = """
import os, sys, time
from imgqd.library import reconcile
from tests.unit.library_kit import Library, wait_for, write
reconcile.TICK_S = 0.2
library = Library(sys.argv[1])
for number in range(12):
    write(library.root + b"/%d/a" % number)
library.add()
made = library.reconciler(poll_interval_s=1)
made.start()
made.sync_walk(None)
library.answer()
print(len(library.files()), made.watcher.count(), library.store.folders()[0].state)
print(made.watch_limit)
for number in range(12):
    write(library.root + b"/%d/b" % number)
def complete():
    library.answer()
    return len(library.files()) == 24
print(wait_for(complete))
with open("/proc/sys/user/max_inotify_watches", "w") as stream:
    stream.write("1000")
print(wait_for(lambda: library.store.folders()[0].state == "watching"), made.watch_limit)
made.stop()
"""


def test_a_folder_that_cannot_be_watched_as_a_whole_is_walked_until_it_can(
    tmp_path: object,
) -> None:
    done = limited(6, LIMITED, str(tmp_path))
    lines = [line for line in done.stdout.splitlines() if not line.startswith("20")]
    assert lines[0] == "12 6 polling", done
    assert "sysctl" in lines[1]
    assert lines[2:] == ["True", "True None"]
    assert done.stdout.count("not everything can be watched") == 1


def test_a_watcher_that_died_is_made_again(library: Library, start: Start) -> None:
    made = start()
    observer = made.watcher._observer
    assert observer is not None
    next(iter(observer.emitters)).stop()
    write(library.root + b"/meanwhile/a")
    assert wait_for(known(library, b"meanwhile/a"))
    assert wait_for(made.watcher.alive)
    assert wait_for(lambda: state(library) == "watching")
    write(library.root + b"/meanwhile/b")
    assert wait_for(known(library, b"meanwhile/a", b"meanwhile/b"))


OVERFLOW = """
import os, sys, time
from tests.unit.library_kit import Library, wait_for, write
library = Library(sys.argv[1])
library.add()
made = library.reconciler()
made.start()
made.sync_walk(None)
print("ready", made.watcher.count(), flush=True)
sys.stdin.readline()
walk = made.sync_walk(None)
print("queued", library.store.pending_through(walk.watermark), flush=True)
made.stop()
"""


@pytest.mark.parametrize("new_folders", [False, True])
def test_after_an_overflow_everything_is_known_and_it_is_logged_once(
    tmp_path: object, new_folders: bool
) -> None:
    root = os.path.join(str(tmp_path), "photos")
    folders = [os.path.join(root, str(number)) for number in range(200)]
    for folder in [] if new_folders else folders:
        os.makedirs(folder)
    process = subprocess.Popen(
        [sys.executable, "-c", OVERFLOW, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == (b"ready 1\n" if new_folders else b"ready 201\n")
        process.send_signal(signal.SIGSTOP)
        for folder in folders:
            os.makedirs(folder, exist_ok=True)
            for number in range(100):
                os.mknod(os.path.join(folder, str(number)))
        process.send_signal(signal.SIGCONT)
        process.stdin.write(b"\n")
        process.stdin.flush()
        out = process.stdout.read()
    finally:
        process.kill()
        process.wait()
    assert b"queued 20000\n" in out
    assert out.count(b"overflow") == (0 if new_folders else 1)


def test_folders_can_be_added_and_removed_while_running(library: Library, start: Start) -> None:
    write(library.root + b"/a")
    made = start()
    library.answer()
    other = library.root + b"-other"
    write(other + b"/x/b")
    library.add(other)
    made.folders_changed()
    assert wait_for(known(library, b"a", b"../photos-other/x/b"))
    assert made.watcher.count() == 3
    library.store.remove_folder(other)
    made.folders_changed()
    assert made.watcher.count() == 1
    write(other + b"/x/c")
    write(library.root + b"/d")
    assert wait_for(known(library, b"a", b"d"))


def test_a_hidden_folder_that_is_watched_itself_goes_when_it_is_removed(
    library: Library, start: Start
) -> None:
    hidden = library.root + b"/.hidden"
    write(hidden + b"/a")
    made = start()
    assert library.queued() == set()
    library.add(hidden)
    made.folders_changed()
    assert wait_for(known(library, b".hidden/a"))
    library.store.remove_folder(hidden)
    made.folders_changed()
    assert wait_for(known(library))
    assert made.watcher.count() == 1


def test_new_patterns_take_effect_at_once(library: Library, start: Start) -> None:
    write(library.root + b"/a.jpg")
    write(library.root + b"/raw/b.jpg")
    made = start()
    library.answer()
    library.add(library.root, "raw/")
    made.folders_changed()
    assert wait_for(known(library, b"a.jpg"))
    assert made.watcher.count() == 1


def test_a_link_that_goes_takes_its_tree_with_it(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(str(tmp_path), follow_links=True)
    write(library.root + b"-outside/sub/a")
    library.add()
    made = library.reconciler()
    made.start()
    try:
        assert synced(made).offline == []
        os.symlink(library.root + b"-outside", library.root + b"/link")
        made.hint_directory(library.root + b"/link")
        assert wait_for(known(library, b"link/sub/a"))
        write(library.root + b"-outside/sub/b")
        assert wait_for(known(library, b"link/sub/a", b"link/sub/b"))
        os.unlink(library.root + b"/link")
        assert wait_for(known(library))
    finally:
        made.stop()
        library.store.close()


@pytest.mark.alone
def test_an_idle_reconciler_sleeps(library: Library, start: Start, monkeypatch: Any) -> None:
    monkeypatch.setattr(reconcile, "TICK_S", 2.0)
    for number in range(100):
        write(library.root + b"/%d/a" % number)
    before = {thread.native_id for thread in threading.enumerate()}
    start()
    library.answer()
    time.sleep(1)
    threads = {t.native_id: t.name for t in threading.enumerate() if t.native_id not in before}

    def switches() -> dict[str, int]:
        found = {}
        for number, name in threads.items():
            with open(f"/proc/self/task/{number}/status") as stream:
                lines = dict(line.split(":", 1) for line in stream if ":" in line)
            found[name] = int(lines["voluntary_ctxt_switches"])
        return found

    earlier = switches()
    time.sleep(4.5)
    woken = {name: count - earlier[name] for name, count in switches().items()}
    assert {name for name, count in woken.items() if count} == {"reconcile"}, woken


def test_a_database_that_fails_is_tried_again(
    library: Library, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "RETRY_S", 0.2)
    made = start()
    with library.store.write() as connection:
        connection.execute("ALTER TABLE jobs RENAME TO jobs_away")
    write(library.root + b"/a")
    with pytest.raises(UnavailableError, match="could not be walked"):
        synced(made)
    with library.store.write() as connection:
        connection.execute("ALTER TABLE jobs_away RENAME TO jobs")
    assert wait_for(known(library, b"a"))

"""The reconciler with real folders and real inotify: the queue gets all that differs."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from contextlib import suppress

import pytest

from imgqd.errors import UnavailableError
from imgqd.library.reconcile import SyncWalk
from tests.unit.library_kit import (
    Library,
    library,
    wait_for,
    write,
)
from tests.unit.reconcile_kit import Start, known, start, state, synced

__all__ = ["library", "start"]


def test_the_first_walk_asks_for_everything_and_the_folder_is_watched(
    library: Library, start: Start
) -> None:
    write(library.root + b"/x/a")
    made = start()
    assert library.queued() == {b"x/a"}
    assert state(library) == "watching"
    assert made.watcher.count() == 2
    assert not made.progress().scanning
    assert made.watch_limit is None


def test_changes_are_noticed_while_running(library: Library, start: Start) -> None:
    start()
    write(library.root + b"/a")
    assert wait_for(known(library, b"a"))
    write(library.root + b"/new/deep/b")
    assert wait_for(known(library, b"a", b"new/deep/b"))
    write(library.root + b"/new/deep/c")
    assert wait_for(known(library, b"a", b"new/deep/b", b"new/deep/c"))
    os.rename(library.root + b"/new", library.root + b"/moved")
    assert wait_for(known(library, b"a", b"moved/deep/b", b"moved/deep/c"))
    os.unlink(library.root + b"/moved/deep/b")
    os.unlink(library.root + b"/a")
    assert wait_for(known(library, b"moved/deep/c"))


def test_a_folder_moved_in_within_and_out_leaves_nothing_behind(
    library: Library, start: Start
) -> None:
    outside = library.root + b"-outside"
    for number in range(50):
        write(outside + b"/sub/%d" % number)
    made = start()
    inside = {b"album/sub/%d" % number for number in range(50)}
    os.rename(outside, library.root + b"/album")
    assert wait_for(known(library, *inside))
    write(library.root + b"/album/sub/later")
    assert wait_for(known(library, *inside, b"album/sub/later"))
    os.rename(library.root + b"/album", library.root + b"/b")
    moved = {name.replace(b"album", b"b") for name in inside} | {b"b/sub/later"}
    assert wait_for(known(library, *moved))
    write(library.root + b"/b/sub/again")
    assert wait_for(known(library, *moved, b"b/sub/again"))
    os.rename(library.root + b"/b", outside)
    assert wait_for(known(library))
    write(outside + b"/sub/ghost")
    write(library.root + b"/real")
    assert wait_for(known(library, b"real"))
    assert made.watcher.count() == 1


def test_sync_covers_every_change_made_before_the_call(library: Library, start: Start) -> None:
    made = start()
    for number in range(20):
        name = library.root + b"/%d" % number
        write(name + b"/a/b/c")
        os.link(name + b"/a/b/c", name + b"/hard")
        os.utime(write(name + b"/old"), (1, 1))
        walk = synced(made)
        assert walk.offline == []
        wanted = {b"%d/a/b/c" % number, b"%d/hard" % number, b"%d/old" % number}
        assert wanted <= library.queued()
        assert library.store.pending_through(walk.watermark) == library.store.pending()
        library.answer()
        os.utime(name + b"/old", (2, 2))
        os.rename(name + b"/a", name + b"/z")
        synced(made)
        wanted = {b"%d/a/b/c" % number, b"%d/z/b/c" % number, b"%d/old" % number}
        assert wanted <= library.queued()
        library.answer()


def test_a_look_that_had_begun_before_a_sync_does_not_answer_it(
    library: Library, start: Start
) -> None:
    write(library.root + b"/a")
    made = start()
    job = library.store.jobs_after(0, 10)[0]
    synced(made)
    again = library.store.job(job.id)
    assert again is not None
    assert again.token > job.token


class Disorder:
    """Random changes of all kinds in a folder, from a seed."""

    def __init__(self, library: Library, seed: int) -> None:
        self.root = library.root
        self.out = library.root + b"-out"
        self.random = random.Random(seed)
        os.makedirs(self.out)

    def change(self) -> None:
        pick = self.random.choice
        directories = [place for place, _, _ in os.walk(self.root)]
        files = [os.path.join(p, f) for p, _, names in os.walk(self.root) for f in names]
        outside = [os.path.join(self.out, name) for name in os.listdir(self.out)]
        there = os.path.join(pick(directories), pick([b"a", b"b", b"c.jpg", b"\xff", b".h"]))
        folder = pick([d for d in directories if d != self.root] or [there])
        file = pick(files or [there])
        changes = [
            lambda: write(there + b"%d" % self.random.randrange(4), self.random.randbytes(5)),
            lambda: os.makedirs(there),
            lambda: os.unlink(file),
            lambda: os.rename(file, there),
            lambda: os.link(file, there),
            lambda: os.utime(file, (1, self.random.randrange(10**9))),
            lambda: os.symlink(folder, there),
            lambda: os.rename(folder, there),
            lambda: shutil.rmtree(folder),
            lambda: os.rename(folder, os.path.join(self.out, b"%d" % self.random.randrange(9))),
            lambda: os.rename(pick(outside or [there]), there),
        ]
        with suppress(OSError):
            self.random.choices(changes, [6, 3, 1, 2, 1, 1, 1, 1, 1, 1, 2])[0]()

    def truth(self) -> dict[bytes, tuple[int, int, int, int]]:
        found = {}
        for place, names, files in os.walk(self.root):
            names[:] = [name for name in names if not name.startswith(b".")]
            for name in files:
                path = os.path.join(place, name)
                if not name.startswith(b".") and not os.path.islink(path):
                    s = os.lstat(path)
                    found[path] = (s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino)
        return found


@pytest.mark.parametrize("seed", range(3))
def test_after_each_sync_the_library_equals_the_disk(
    library: Library, start: Start, seed: int
) -> None:
    made = start()
    disorder = Disorder(library, seed)
    ended = threading.Event()

    def answering() -> None:
        while not ended.is_set():
            library.answer()
            ended.wait(0.005)

    thread = threading.Thread(target=answering)
    thread.start()
    try:
        for _ in range(15):
            for _ in range(40):
                disorder.change()
            walk = synced(made)
            assert wait_for(lambda w=walk: library.store.pending_through(w.watermark) == 0)
            rows = library.store.read(
                "SELECT d.path, name, size, mtime_ns, ctime_ns, inode"
                " FROM files JOIN directories d ON d.id = directory_id"
            )
            assert {os.path.join(row[0], row[1]): row[2:] for row in rows} == disorder.truth()
    finally:
        ended.set()
        thread.join()


def test_a_watched_folder_may_be_a_link_itself(library: Library, start: Start) -> None:
    os.rename(library.root, library.root + b"-real")
    os.symlink(library.root + b"-real", library.root)
    write(library.root + b"/x/a")
    start()
    assert wait_for(known(library, b"x/a"))
    write(library.root + b"-real/x/b")
    assert wait_for(known(library, b"x/a", b"x/b"))


def test_no_folders_at_all_are_in_sync(library: Library, start: Start) -> None:
    library.store.remove_folder(library.root)
    made = start()
    assert synced(made) == SyncWalk(library.store.watermark(), [])


def test_a_sync_that_is_too_late_or_not_wanted_any_more_says_so(
    library: Library, start: Start
) -> None:
    made = start()
    assert made.sync_walk(time.monotonic() - 1) is None
    assert made.sync_walk(None, lambda: True) is None


def test_a_sync_while_stopping_is_told(library: Library, start: Start) -> None:
    made = start()
    made.stop()
    with pytest.raises(UnavailableError):
        made.sync_walk(None)


def test_a_folder_removed_and_made_again_is_watched_again(library: Library, start: Start) -> None:
    write(library.root + b"/a")
    start()
    library.answer()
    shutil.rmtree(library.root)
    assert wait_for(lambda: state(library) == "offline")
    os.mkdir(library.root)
    assert wait_for(lambda: state(library) == "watching")
    write(library.root + b"/b")
    assert wait_for(known(library, b"b"))
    write(library.root + b"/sub/c")
    assert wait_for(known(library, b"b", b"sub/c"))


def test_a_folder_replaced_within_an_instant_is_watched_again(
    library: Library, start: Start
) -> None:
    write(library.root + b"/a")
    start()
    library.answer()
    for number in range(3):
        os.rename(library.root, library.root + b"-%d" % number)
        write(library.root + b"/%d" % number)
        assert wait_for(known(library, b"%d" % number))
        write(library.root + b"/later")
        assert wait_for(known(library, b"%d" % number, b"later"))


def test_a_folder_moved_away_and_back_needs_no_look(library: Library, start: Start) -> None:
    write(library.root + b"/x/a")
    made = start()
    library.answer()
    os.rename(library.root, library.root + b"-away")
    assert synced(made).offline == [library.root]
    assert state(library) == "offline"
    assert library.queued() == set()
    os.rename(library.root + b"-away", library.root)
    assert wait_for(lambda: state(library) == "watching")
    assert synced(made).offline == []
    assert library.queued() == set()
    write(library.root + b"/x/b")
    assert wait_for(known(library, b"x/a", b"x/b"))

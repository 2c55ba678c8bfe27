"""The watcher on real inotify: what is told, how often, and what is not."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from imgqd.library.inotify import Inotify, WatchLimitError
from imgqd.library.rules import Rules
from imgqd.library.watch import Listener, Watcher
from tests.unit.library_kit import needs_mounts, run, wait_for, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


class Told:
    """Collects what a watcher tells about one folder."""

    def __init__(self, root: bytes, *exclude: str) -> None:
        self.root = root
        self.paths: list[bytes] = []
        self.directories: list[tuple[bytes, bool]] = []
        self.overflows = 0
        self.mounts = 0
        self.hold: threading.Event | None = None
        self.held = threading.Event()
        self.rules = Rules([(root, exclude)])
        self.watcher = Watcher(
            Listener(
                paths=lambda paths: self.paths.extend(map(self.short, paths)),
                directories=lambda found: self.directories.extend(
                    (self.short(path), deep) for path, deep in found
                ),
                overflow=self._overflow,
                mounted=self._mounted,
                ignored=self._ignored,
            )
        )

    def short(self, path: bytes) -> bytes:
        return os.path.relpath(path, self.root)

    def _overflow(self) -> None:
        self.overflows += 1

    def _mounted(self) -> None:
        self.mounts += 1

    def _ignored(self, path: bytes, is_dir: bool) -> bool:
        if self.hold is not None:
            self.held.set()
            self.hold.wait(60)
        return self.rules.excluded(path, is_dir)

    def watch(self, *names: bytes) -> None:
        for name in names:
            assert self.watcher.watch(os.path.join(self.root, name).rstrip(b"/"))

    def barrier(self) -> None:
        """Returns when everything before it has been told: events keep their order."""
        name = b"barrier-%d.tmp" % time.monotonic_ns()
        write(os.path.join(self.root, name))
        assert wait_for(lambda: name in self.paths)
        self.paths = [path for path in self.paths if not path.startswith(b"barrier-")]


@pytest.fixture
def told(tmp_path: object) -> Iterator[Told]:
    root = os.fsencode(str(tmp_path)) + b"/photos"
    os.mkdir(root)
    made = Told(root, "*.log")
    assert made.watcher.start()
    made.watch(b"")
    yield made
    made.watcher.stop()


def test_changes_of_files_are_told_by_path(told: Told) -> None:
    path = write(told.root + b"/a.jpg")
    told.barrier()
    assert told.paths == [b"a.jpg"]
    changes = (
        lambda: write(path, b"more"),
        lambda: os.utime(path, (1, 1)),
        lambda: os.chmod(path, 0o600),
        lambda: os.link(path, told.root + b"/hard.jpg"),
        lambda: os.symlink(path, told.root + b"/soft.jpg"),
        lambda: os.truncate(path, 1),
        lambda: os.rename(path, told.root + b"/b.jpg"),
        lambda: os.unlink(told.root + b"/b.jpg"),
    )
    expected = [{b"a.jpg"}, {b"a.jpg"}, {b"a.jpg"}, {b"hard.jpg"}, {b"soft.jpg"}, {b"a.jpg"}]
    expected += [{b"a.jpg", b"b.jpg"}, {b"b.jpg"}]
    for change, names in zip(changes, expected, strict=True):
        told.paths.clear()
        change()
        told.barrier()
        assert set(told.paths) == names
    assert told.directories == []


def test_names_are_bytes(told: Told) -> None:
    names = {b"caf\xe9.jpg", b"new\nline.jpg", b"'\".jpg", b"x" * 255}
    for name in names:
        write(told.root + b"/" + name)
    told.barrier()
    assert set(told.paths) == names


def test_reading_is_not_told(told: Told) -> None:
    path = write(told.root + b"/a.jpg")
    os.mkdir(told.root + b"/dir")
    told.watch(b"dir")
    told.barrier()
    told.paths.clear()
    told.directories.clear()
    for _ in range(3):
        with open(path, "rb") as stream:
            stream.read()
        os.listdir(told.root)
        os.listdir(told.root + b"/dir")
        os.stat(path)
    told.barrier()
    assert told.paths == []
    assert told.directories == []


def test_what_is_left_out_is_not_told(told: Told) -> None:
    write(told.root + b"/.hidden.jpg")
    write(told.root + b"/busy.log")
    os.mkdir(told.root + b"/.thumbnails")
    os.mkdir(told.root + b"/@eaDir")
    told.barrier()
    assert told.paths == []
    assert told.directories == []


def test_a_file_that_is_written_again_and_again_is_told_a_few_times(told: Told) -> None:
    with open(told.root + b"/a.jpg", "wb", buffering=0) as stream:
        for _ in range(20_000):
            stream.write(b"x")
    told.barrier()
    assert 1 <= told.paths.count(b"a.jpg") <= 100


def test_the_last_change_is_told_however_soon_it_follows(told: Told) -> None:
    path = write(told.root + b"/a.jpg")
    assert wait_for(lambda: b"a.jpg" in told.paths)
    for _ in range(5):
        told.paths.clear()
        write(path, b"again")
        assert wait_for(lambda: b"a.jpg" in told.paths)


def test_a_new_directory_is_to_be_walked_with_all_below_it(told: Told) -> None:
    write(told.root + b"/new/deep/a.jpg")
    told.barrier()
    assert told.directories == [(b"new", True)]


def test_a_file_in_the_place_of_a_directory_is_told_as_both(told: Told) -> None:
    os.mkdir(told.root + b"/x")
    os.rmdir(told.root + b"/x")
    write(told.root + b"/x")
    told.barrier()
    assert told.paths == [b"x"]
    assert told.directories == [(b"x", True)]


def test_changed_permissions_of_a_directory_mean_a_look_at_its_entries(told: Told) -> None:
    os.mkdir(told.root + b"/dir")
    told.watch(b"dir")
    told.barrier()
    told.directories.clear()
    os.chmod(told.root + b"/dir", 0o700)
    told.barrier()
    assert told.directories == [(b"dir", False)]


def test_a_directory_that_moves_within_is_told_at_both_places(told: Told) -> None:
    write(told.root + b"/dir/sub/a.jpg")
    told.watch(b"dir", b"dir/sub")
    told.barrier()
    told.directories.clear()
    os.rename(told.root + b"/dir", told.root + b"/moved")
    told.barrier()
    assert {(b"dir", True), (b"moved", True)} <= set(told.directories)
    told.watch(b"moved", b"moved/sub")
    told.barrier()
    told.paths.clear()
    write(told.root + b"/moved/sub/b.jpg")
    told.barrier()
    assert told.paths == [b"moved/sub/b.jpg"]


def test_a_directory_that_moved_out_is_watched_no_more(told: Told) -> None:
    write(told.root + b"/dir/sub/a.jpg")
    told.watch(b"dir", b"dir/sub")
    assert told.watcher.count() == 3
    os.rename(told.root + b"/dir", told.root + b"-out")
    told.barrier()
    assert told.watcher.count() == 1
    assert (b"dir", True) in told.directories
    told.paths.clear()
    write(told.root + b"-out/sub/ghost.jpg")
    told.barrier()
    assert told.paths == []


def test_a_watched_folder_that_goes_says_so(told: Told) -> None:
    os.rmdir(told.root)
    assert wait_for(lambda: (b".", True) in told.directories)
    assert wait_for(lambda: told.watcher.count() == 0)


def test_a_folder_made_again_can_be_watched_again(told: Told) -> None:
    os.rmdir(told.root)
    os.mkdir(told.root)
    told.watch(b"")
    told.barrier()


def test_watches_that_are_not_wanted_any_more_go(told: Told) -> None:
    for name in (b"a", b"ab", b"b"):
        os.mkdir(told.root + b"/" + name)
    told.watch(b"a", b"ab", b"b")
    told.watcher.forget({told.root + b"/a"})
    assert told.watcher.count() == 3
    told.watcher.prune(lambda path: not path.endswith(b"/b"))
    assert told.watcher.count() == 2
    told.barrier()


def test_a_directory_that_is_gone_is_no_failure_to_watch(told: Told) -> None:
    assert told.watcher.watch(told.root + b"/none")
    assert told.watcher.watch(write(told.root + b"/file"))
    assert told.watcher.limit is None


def test_a_link_is_watched_only_when_it_is_to_be_followed(told: Told) -> None:
    os.mkdir(told.root + b"-real")
    os.symlink(told.root + b"-real", told.root + b"/link")
    assert told.watcher.watch(told.root + b"/link")
    assert told.watcher.count() == 1
    assert told.watcher.watch(told.root + b"/link", follow=True)
    assert told.watcher.count() == 2


def test_events_that_the_kernel_dropped_are_told(told: Told) -> None:
    with open("/proc/sys/fs/inotify/max_queued_events") as stream:
        most = int(stream.read())
    if most > 50_000:
        pytest.skip("the kernel's queue is very long here")
    told.hold = threading.Event()
    write(told.root + b"/first.jpg")
    assert told.held.wait(20)
    for number in range(most + 10):
        os.mknod(told.root + b"/%d.jpg" % number)
    told.hold.set()
    assert wait_for(lambda: told.overflows == 1)
    told.hold = None
    told.barrier()
    assert told.overflows == 1


@needs_mounts
def test_mounting_and_unmounting_is_told(told: Told) -> None:
    place = os.fsdecode(told.root) + "/mnt"
    os.mkdir(place)
    run("mount", "-t", "tmpfs", "tmpfs", place)
    try:
        assert wait_for(lambda: told.mounts > 0)
        told.watch(b"mnt")
        assert told.watcher.count() == 2
        before = told.mounts
    finally:
        run("umount", "-l", place)
    assert wait_for(lambda: told.mounts > before)
    assert wait_for(lambda: (b"mnt", True) in told.directories)


def test_a_dead_emitter_is_noticed(told: Told) -> None:
    assert told.watcher.alive()
    observer = told.watcher._observer
    assert observer is not None
    next(iter(observer.emitters)).stop()
    assert wait_for(lambda: not told.watcher.alive())
    assert told.watcher.running
    assert not told.watcher.watch(told.root)
    told.watcher.stop()
    assert told.watcher.start()
    assert told.watcher.alive()
    told.watch(b"")
    told.barrier()


def test_a_stopped_watcher_leaves_nothing_behind(tmp_path: object) -> None:
    root = os.fsencode(str(tmp_path))
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        made = Told(root)
        assert made.watcher.start()
        made.watch(b"")
        made.watcher.stop()
        assert not made.watcher.alive()
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == files


LIMITED = """
import sys
from imgqd.library.inotify import Inotify, WatchLimitError
from imgqd.library.watch import Listener, Watcher
watcher = Watcher(Listener(lambda p: None, lambda d: None, lambda: None, lambda: None, lambda p, d: False))
assert watcher.start(), watcher.limit
done = [watcher.watch(place.encode()) for place in sys.argv[1:]]
again = watcher.watch(sys.argv[1].encode())
print(sum(done), again, watcher.count(), watcher.limit)
watcher.stop()
"""


def limited(watches: int, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a script in a user namespace with so many inotify watches; skips where there is none."""
    shell = f'echo {watches} > /proc/sys/user/max_inotify_watches && exec "$@"'
    prefix = ["unshare", "--user", "--map-root-user", "sh", "-c"]
    try:
        able = subprocess.run([*prefix, shell, "sh", "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        able = False
    if not able:
        pytest.skip("user namespaces are not allowed here")
    return subprocess.run(
        [*prefix, shell, "sh", sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def test_the_watch_limit_is_told_with_its_remedy(tmp_path: object) -> None:
    places = [f"{tmp_path}/{number}" for number in range(8)]
    for place in places:
        os.mkdir(place)
    done = limited(5, LIMITED, *places)
    assert done.stderr == "" or "warning" in done.stderr, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("5 True 5 the limit of watched folders is reached (5 are watched)")
    assert "sysctl fs.inotify.max_user_watches" in last


def test_the_limit_is_an_error_of_its_own_and_a_closed_descriptor_another() -> None:
    inotify = Inotify()
    inotify.watch(b"/tmp")
    inotify.close()
    with pytest.raises(OSError) as caught:
        inotify.watch(b"/tmp")
    assert not isinstance(caught.value, WatchLimitError)

"""One walk against the store: what differs is asked for, and nothing else."""

from __future__ import annotations

import os
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from imgqd.library import known
from imgqd.library.scan import Cancelled, Hooks
from tests.unit.library_kit import Drive, Library, library, needs_mounts, write

__all__ = ["library"]


def settle(library: Library) -> None:
    library.scan()
    library.answer()


def test_a_walk_of_an_unchanged_folder_asks_for_nothing(library: Library) -> None:
    for name in (b"a.jpg", b"x/b.jpg", b"x/y/c.txt", b"caf\xe9\n'\".jpg", b"n" * 255):
        write(library.root + b"/" + name)
    result = library.scan()
    assert (result.away, result.watched) == (False, True)
    assert len(library.queued()) == 5
    library.answer()
    assert len(library.files()) == 5
    library.scan()
    assert library.queued() == set()


def test_each_kind_of_change_is_asked_for(library: Library) -> None:
    def at(name: bytes) -> bytes:
        return library.root + b"/" + name

    for name in (b"same", b"size", b"mtime", b"ctime", b"inode", b"gone", b"old", b"dir/file"):
        write(at(name))
    settle(library)
    write(at(b"size"), b"longer text")
    os.utime(at(b"mtime"), (1, 1))
    os.chmod(at(b"ctime"), 0o600)
    os.replace(write(at(b"tmp")), at(b"inode"))
    os.unlink(at(b"gone"))
    os.rename(at(b"old"), at(b"new"))
    os.rename(at(b"dir"), at(b"moved"))
    write(at(b"deep/er/added"))
    library.scan()
    assert library.queued() == {
        b"size",
        b"mtime",
        b"ctime",
        b"inode",
        b"gone",
        b"old",
        b"new",
        b"dir/file",
        b"moved/file",
        b"deep/er/added",
    }
    library.answer()
    names = {b"same", b"size", b"mtime", b"ctime", b"inode", b"new", b"moved/file"}
    assert library.files() == names | {b"deep/er/added"}


def test_a_directory_in_the_place_of_a_file_and_the_other_way_round(library: Library) -> None:
    write(library.root + b"/a")
    write(library.root + b"/b/file")
    settle(library)
    os.unlink(library.root + b"/a")
    write(library.root + b"/a/file")
    os.unlink(library.root + b"/b/file")
    os.rmdir(library.root + b"/b")
    write(library.root + b"/b")
    settle(library)
    assert library.files() == {b"a/file", b"b"}


def test_what_is_left_out_now_is_forgotten(library: Library) -> None:
    for name in (b"a.jpg", b"a.gif", b"raw/b.jpg"):
        write(library.root + b"/" + name)
    settle(library)
    library.add(library.root, "*.gif", "raw")
    settle(library)
    assert library.files() == {b"a.jpg"}


def test_only_regular_files_count(library: Library) -> None:
    os.mkfifo(library.root + b"/pipe.jpg")
    os.symlink(b"/etc/passwd", library.root + b"/link.jpg")
    os.symlink(b"nowhere", library.root + b"/dangling.jpg")
    library.scan()
    assert library.queued() == set()


def test_a_shallow_walk_compares_the_entries_of_one_directory(library: Library) -> None:
    write(library.root + b"/a")
    write(library.root + b"/x/b")
    settle(library)
    os.unlink(library.root + b"/a")
    os.unlink(library.root + b"/x/b")
    write(library.root + b"/c")
    library.scan(deep=False)
    assert library.queued() == {b"a", b"c"}


def test_a_walk_of_a_directory_that_is_gone_asks_for_its_files(library: Library) -> None:
    write(library.root + b"/x/a")
    write(library.root + b"/x/y/b")
    write(library.root + b"/xx/c")
    settle(library)
    os.rename(library.root + b"/x", library.root + b"-out")
    library.scan(library.root + b"/x")
    assert library.queued() == {b"x/a", b"x/y/b"}


def test_directories_are_watched_before_they_are_listed(library: Library) -> None:
    write(library.root + b"/x/y/a")
    write(library.root + b"/.hidden/b")
    watched: list[bytes] = []

    def watch(directory: bytes, follow: bool) -> bool:
        watched.append(os.path.relpath(directory, library.root))
        if directory.endswith(b"/y"):
            write(directory + b"/made-just-then")
        return True

    library.scan(hooks=Hooks(watch=watch))
    assert watched == [b".", b"x", b"x/y"]
    assert library.queued() == {b"x/y/a", b"x/y/made-just-then"}


def test_a_directory_that_cannot_be_watched_is_told(library: Library) -> None:
    write(library.root + b"/x/a")
    result = library.scan(hooks=Hooks(watch=lambda path, follow: not path.endswith(b"x")))
    assert not result.watched
    assert library.queued() == {b"x/a"}


def test_a_walk_that_is_told_to_end_ends(library: Library) -> None:
    write(library.root + b"/a")
    with pytest.raises(Cancelled):
        library.scan(hooks=Hooks(cancelled=lambda: True))
    assert library.queued() == set()


def test_a_walk_below_another_does_its_own_part(library: Library) -> None:
    """A hint that arrives in the middle of a walk is followed between two directories."""
    for name in (b"a/1", b"b/2"):
        write(library.root + b"/" + name)
    inner: list[object] = []

    def between() -> None:
        if not inner:
            inner.append(library.scan(library.root + b"/b"))

    library.scan(hooks=Hooks(between=between))
    assert library.queued() == {b"a/1", b"b/2"}


# -- names and paths


def test_a_path_beyond_what_the_system_takes_is_a_problem(library: Library) -> None:
    deep = library.root
    fd = os.open(library.root, os.O_RDONLY)
    while len(deep) < 4300:
        os.mkdir(b"d" * 200, dir_fd=fd)
        inner = os.open(b"d" * 200, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd, deep = inner, deep + b"/" + b"d" * 200
    os.close(os.open(b"a.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    write(library.root + b"/ok")
    settle(library)
    assert library.files() == {b"ok"}
    assert list(library.problems().values()) == ["path-too-long"]
    first = library.store.problems()
    library.scan()
    assert library.store.problems() == first
    os.rename(library.root + b"/" + b"d" * 200, library.root + b"-out")
    library.scan()
    assert library.problems() == {}


def test_times_and_inodes_that_do_not_fit_sqlite_are_no_change(library: Library) -> None:
    path = write(library.root + b"/future")
    try:
        os.utime(path, ns=(13 * 10**18, 13 * 10**18))
    except OverflowError:
        pytest.skip("this system has no such times")
    settle(library)
    library.scan()
    assert library.queued() == set()


# -- links


@pytest.fixture
def following(tmp_path: object) -> Iterator[Library]:
    made = Library(str(tmp_path), follow_links=True)
    made.add()
    yield made
    made.store.close()


def test_links_are_not_followed_by_default(library: Library) -> None:
    write(library.root + b"-outside/a.jpg")
    os.symlink(library.root + b"-outside", library.root + b"/link")
    os.symlink(library.root + b"-outside/a.jpg", library.root + b"/link.jpg")
    os.symlink(b".", library.root + b"/loop")
    library.scan()
    assert library.queued() == set()


def test_links_out_of_the_folder_are_followed_when_that_is_wanted(following: Library) -> None:
    write(following.root + b"-outside/a.jpg")
    write(following.root + b"-outside/sub/b.jpg")
    os.symlink(following.root + b"-outside", following.root + b"/link")
    os.symlink(following.root + b"-outside/a.jpg", following.root + b"/link.jpg")
    os.symlink(b"nowhere", following.root + b"/dangling")
    settle(following)
    assert following.files() == {b"link/a.jpg", b"link/sub/b.jpg", b"link.jpg"}
    following.scan()
    assert following.queued() == set()
    os.unlink(following.root + b"/link")
    settle(following)
    assert following.files() == {b"link.jpg"}


def test_links_to_what_is_watched_already_add_nothing(following: Library) -> None:
    write(following.root + b"/real/a.jpg")
    os.symlink(b"real", following.root + b"/aaa")
    os.symlink(b"real/a.jpg", following.root + b"/b.jpg")
    settle(following)
    assert following.files() == {b"real/a.jpg"}


@pytest.mark.parametrize("target", [b".", b"..", b"/", b"sub/loop"])
def test_loops_end(following: Library, target: bytes) -> None:
    if target == b"/":
        os.symlink(os.path.dirname(following.root), following.root + b"/loop")
    else:
        os.symlink(target, following.root + b"/loop")
    write(following.root + b"/sub/a.jpg")
    os.symlink(b"..", following.root + b"/sub/loop")
    outside = following.root + b"-outside"
    write(outside + b"/o.jpg")
    os.symlink(outside, following.root + b"/out")
    os.symlink(outside, outside + b"/self")
    os.symlink(following.root, outside + b"/back")
    settle(following)
    files = following.files()
    assert b"sub/a.jpg" in files
    assert b"out/o.jpg" in files
    assert sum(name.endswith(b"a.jpg") for name in files) == 1
    following.scan()
    assert following.queued() == set()


def test_hard_links_are_files(library: Library) -> None:
    write(library.root + b"/a.jpg")
    os.link(library.root + b"/a.jpg", library.root + b"/b.jpg")
    settle(library)
    assert library.files() == {b"a.jpg", b"b.jpg"}


# -- what cannot be read


@contextmanager
def nobody() -> Iterator[None]:
    """As a user without root's power to read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def open_to_all(library: Library) -> None:
    above = os.path.dirname(library.root)
    while len(above) > 1:
        if os.stat(above).st_mode & 0o005 != 0o005:
            os.chmod(above, 0o755)
        above = os.path.dirname(above)


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111])
def test_an_unreadable_folder_is_a_problem_and_nothing_below_is_forgotten(
    library: Library, mode: int
) -> None:
    open_to_all(library)
    write(library.root + b"/ok")
    write(library.root + b"/locked/a")
    write(library.root + b"/locked/deep/b")
    settle(library)
    os.chmod(library.root + b"/locked", mode)
    with nobody():
        library.scan()
        assert library.queued() == set()
        assert library.problems() == {b"locked": "unreadable"}
        before = library.store.problems()
        library.scan()
        assert library.store.problems() == before
    os.chmod(library.root + b"/locked", 0o755)
    with nobody():
        settle(library)
    assert library.problems() == {}
    assert library.files() == {b"ok", b"locked/a", b"locked/deep/b"}


def test_the_problem_of_an_unreadable_folder_goes_with_it(library: Library) -> None:
    open_to_all(library)
    os.mkdir(library.root + b"/locked", 0o000)
    with nobody():
        library.scan()
    assert library.problems() == {b"locked": "unreadable"}
    os.rmdir(library.root + b"/locked")
    library.scan()
    assert library.problems() == {}


def test_an_unreadable_root_is_a_problem_and_nothing_is_forgotten(library: Library) -> None:
    open_to_all(library)
    write(library.root + b"/a")
    settle(library)
    os.chmod(library.root, 0o000)
    with nobody():
        library.scan()
    os.chmod(library.root, 0o755)
    assert library.queued() == set()
    assert library.problems() == {b".": "unreadable"}


# -- drives


def test_a_folder_that_went_away_is_not_walked(library: Library) -> None:
    write(library.root + b"/a")
    settle(library)
    os.rename(library.root, library.root + b"-away")
    assert library.scan().away
    assert library.queued() == set()


def test_a_folder_that_goes_away_in_the_middle_forgets_nothing(library: Library) -> None:
    for name in (b"a/1", b"b/2", b"c/3"):
        write(library.root + b"/" + name)
    settle(library)

    def between() -> None:
        if os.path.exists(library.root):
            os.rename(library.root, library.root + b"-away")

    assert library.scan(hooks=Hooks(between=between)).away
    assert library.queued() == set()


@needs_mounts
def test_a_nested_drive_that_goes_in_the_middle_forgets_nothing(
    library: Library, tmp_path: object
) -> None:
    drive = Drive(str(tmp_path))
    drive.mount(library.root + b"/z-drive")
    try:
        write(library.root + b"/a/1")
        write(library.root + b"/z-drive/x/2")
        settle(library)
        gone: list[Callable[[], None]] = [drive.unmount]

        def between() -> None:
            if gone:
                gone.pop()()

        os.unlink(library.root + b"/a/1")
        assert not library.scan(hooks=Hooks(between=between)).away
        assert library.queued() == {b"a/1"}
        library.answer()
        assert library.files() == {b"z-drive/x/2"}
        drive.mount(library.root + b"/z-drive")
        library.scan()
        assert library.queued() == set()
    finally:
        drive.unmount()


# -- size


def test_a_directory_of_very_many_files_is_compared_without_holding_them(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "LARGE", 50)
    for number in range(120):
        write(library.root + b"/many/%d" % number)
    settle(library)
    library.scan()
    assert library.queued() == set()
    os.unlink(library.root + b"/many/7")
    write(library.root + b"/many/8", b"changed")
    write(library.root + b"/many/new")
    library.scan()
    assert library.queued() == {b"many/7", b"many/8", b"many/new"}


def test_memory_does_not_grow_with_the_number_of_unchanged_files(library: Library) -> None:
    def peak() -> int:
        tracemalloc.start()
        library.scan()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    def fill(numbers: range) -> None:
        for number in numbers:
            write(library.root + b"/%d/%d" % (number % 20, number))
        settle(library)

    fill(range(400))
    peak()
    few = peak()
    fill(range(400, 4000))
    many = peak()
    assert library.queued() == set()
    # Ten times the files, in the same number of directories: what is held is one directory.
    assert many - few < 3600 * sys.getsizeof((1, 2, 3, 4, 5)), (few, many)

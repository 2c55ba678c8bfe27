"""One walk against the store: what differs is asked for, and nothing else."""

from __future__ import annotations

import os

import pytest

from imgqd.library.scan import Cancelled, Hooks
from tests.unit.library_kit import (
    Library,
    library,
    settle,
    write,
)

__all__ = ["library"]


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

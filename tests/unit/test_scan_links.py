"""One walk over links, unreadable folders, drives that go, and very many files."""

from __future__ import annotations

import os
import sys
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from imgqd.library import known
from imgqd.library.scan import Hooks
from tests.unit.library_kit import (
    Drive,
    Library,
    library,
    needs_mounts,
    nobody,
    open_to_all,
    settle,
    write,
)

__all__ = ["library"]


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

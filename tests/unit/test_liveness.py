"""Whether files are still there: right at once, and never waiting for a drive that hangs."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from imgqd.library.identity import signature_of
from imgqd.records import Signature
from imgqd.search.liveness import (
    ALIVE,
    CHANGED,
    GONE,
    HANGS_S,
    TOUCHED,
    UNKNOWN,
    Liveness,
)
from tests.unit.fuse_that_hangs import HangingDrive

SOME = Signature(4, 1, 1, 1)


@pytest.fixture
def folder(tmp_path: object) -> bytes:
    return os.fsencode(str(tmp_path))


def made(path: bytes, content: bytes = b"text") -> tuple[bytes, Signature]:
    with open(path, "wb") as stream:
        stream.write(content)
    return path, signature_of(os.lstat(path))


def ask(files: list[tuple[bytes, Signature]], *prefixes: bytes, links: bool = False) -> list[str]:
    found = Liveness(follow_links=links).check(files, prefixes, time.monotonic() + 10)
    return [found[path] for path, _ in files]


def test_what_became_of_files_is_seen_at_once(folder: bytes) -> None:
    files = [made(os.path.join(folder, name)) for name in (b"a", b"b", b"c", b"d", b"e", b"\xff\n")]
    os.unlink(files[1][0])
    made(files[2][0], b"longer text")
    stat = os.lstat(files[3][0])
    os.utime(files[3][0], ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    os.unlink(files[4][0])
    os.mkdir(files[4][0])
    assert ask(files, folder) == [ALIVE, GONE, CHANGED, CHANGED, GONE, ALIVE]


def test_a_file_in_a_folder_that_became_a_file_is_gone(folder: bytes) -> None:
    os.mkdir(os.path.join(folder, b"d"))
    file = made(os.path.join(folder, b"d", b"x"))
    os.unlink(file[0])
    os.rmdir(os.path.join(folder, b"d"))
    made(os.path.join(folder, b"d"))
    assert ask([file]) == [GONE]


def test_new_permissions_touch_but_do_not_change(folder: bytes) -> None:
    file = made(os.path.join(folder, b"a"))
    os.chmod(file[0], 0o640 if os.lstat(file[0]).st_mode & 0o777 != 0o640 else 0o600)
    assert ask([file]) == [TOUCHED]


def test_a_link_is_a_file_only_where_links_are_followed(folder: bytes) -> None:
    target = made(os.path.join(folder, b"target"))
    link, dangling = os.path.join(folder, b"link"), os.path.join(folder, b"dangling")
    os.symlink(target[0], link)
    os.symlink(b"nowhere", dangling)
    files = [(link, target[1]), (dangling, target[1])]
    assert ask(files, links=False) == [GONE, GONE]
    assert ask(files, links=True) == [ALIVE, GONE]


def test_a_name_that_is_too_long_or_impossible_does_no_harm(folder: bytes) -> None:
    assert ask([(os.path.join(folder, b"x" * 5000), SOME)]) == [UNKNOWN]
    assert ask([(b"/a\0b", SOME)]) == [GONE]


def test_many_files_and_many_askers_at_once(folder: bytes) -> None:
    files = [made(os.path.join(folder, b"%d" % i)) for i in range(500)]
    for path, _ in files[::3]:
        os.unlink(path)
    expected = [GONE if i % 3 == 0 else ALIVE for i in range(500)]
    disk = Liveness()
    answers: list[list[str]] = []

    def check() -> None:
        found = disk.check(files, [folder], time.monotonic() + 30)
        answers.append([found[path] for path, _ in files])

    threads = [threading.Thread(target=check) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [expected] * 8


def test_too_late_is_unknown(folder: bytes) -> None:
    file = made(os.path.join(folder, b"a"))
    assert Liveness().check([file], [folder], time.monotonic() - 1) == {file[0]: UNKNOWN}


@pytest.fixture
def drive(folder: bytes) -> Iterator[HangingDrive]:
    if sys.platform != "linux" or os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        pytest.skip("mounting a filesystem that hangs needs Linux, root and /dev/fuse")
    path = os.path.join(folder, b"drive")
    os.mkdir(path)
    try:
        mounted = HangingDrive(path)
    except OSError as error:
        pytest.skip(f"cannot mount here: {error}")
    yield mounted
    mounted.unmount()


def test_a_drive_that_hangs_holds_up_nobody_for_long(folder: bytes, drive: HangingDrive) -> None:
    local, removed = made(os.path.join(folder, b"a")), made(os.path.join(folder, b"b"))
    os.unlink(removed[0])
    away = os.path.join(drive.path, b".")
    files = [local, (away, SOME), removed]
    disk = Liveness()
    drive.hang()
    expected = {local[0]: ALIVE, away: UNKNOWN, removed[0]: GONE}
    assert disk.check(files, [folder, drive.path], time.monotonic() + 0.3) == expected
    assert drive.hanging.wait(10)
    wait_until = time.monotonic() + HANGS_S
    while time.monotonic() < wait_until:
        time.sleep(0.01)
    # From now on it is not even asked: with an hour to spare the answer comes all the same.
    assert disk.check(files, [folder, drive.path], time.monotonic() + 3600) == expected
    drive.answer_again()
    deadline = time.monotonic() + 20
    while disk.check([files[1]], [drive.path], time.monotonic() + 5)[away] != GONE:
        assert time.monotonic() < deadline

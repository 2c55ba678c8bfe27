"""Filesystem identity, and the guard that keeps a drive that is away from looking emptied."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from imgqd.library import identity
from imgqd.library.guard import Anchor
from imgqd.library.identity import identify, same_filesystem
from tests.unit.library_kit import Drive, Library, library, needs_mounts, run, write

__all__ = ["library"]


@pytest.fixture
def drive(tmp_path: object) -> Iterator[Drive]:
    made = Drive(str(tmp_path))
    yield made
    made.unmount()


def only(anchors: list[Anchor]) -> Anchor:
    assert len(anchors) == 1
    return anchors[0]


def test_a_folder_is_known_again(tmp_path: object) -> None:
    place = os.fsencode(str(tmp_path))
    first, second = identify(place), identify(place)
    assert first == second
    assert same_filesystem(first.filesystem, second.filesystem)
    assert first.inode == os.stat(place).st_ino
    assert first.type and not first.network and first.steady_inodes


def test_a_file_is_no_folder(tmp_path: object) -> None:
    path = write(os.fsencode(str(tmp_path)) + b"/file")
    for look in (identify, identity.glance):
        with pytest.raises(NotADirectoryError):
            look(path)
    with pytest.raises(FileNotFoundError):
        identify(path + b"2")


def test_the_steadiest_word_that_both_have_decides() -> None:
    assert same_filesystem("type=ext4 uuid=1 fsid=2", "type=ext4 uuid=1 fsid=3")
    assert not same_filesystem("type=ext4 uuid=1 fsid=2", "type=ext4 uuid=2 fsid=2")
    assert same_filesystem("type=ext4 fsid=2", "type=ext4 uuid=1 fsid=2")
    assert same_filesystem("type=nfs4 source=nas:/x", "type=nfs source=nas:/x")
    assert not same_filesystem("type=nfs4 source=nas:/x", "type=nfs4 source=nas:/y")
    assert not same_filesystem("type=vfat dev=7", "type=vfat dev=8")
    assert not same_filesystem("type=vfat dev=7", "type=vfat uuid=7")


def test_network_filesystems_are_told_apart() -> None:
    for name in ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse", "fuse.sshfs", "fuse.rclone"):
        assert identity.is_network(name), name
    for name in ("ext4", "xfs", "btrfs", "vfat", "fuseblk", "tmpfs", "zfs", ""):
        assert not identity.is_network(name), name
    assert not identity.Identity("type=vfat dev=1", 1).steady_inodes
    assert not identity.Identity("type=fuse.sshfs source=x", 1).steady_inodes


@pytest.mark.parametrize("number", [0, 1, -5, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 13 * 10**18])
def test_numbers_fit_sqlite(number: int) -> None:
    kept = identity.signed(number)
    assert -(2**63) <= kept < 2**63
    assert (kept - number) % 2**64 == 0


@needs_mounts
def test_a_drive_is_known_again_under_another_device_number(drive: Drive, tmp_path: object) -> None:
    place = os.fsencode(str(tmp_path)) + b"/mnt"
    drive.mount(place)
    before, device = identify(place), os.stat(place).st_dev
    drive.unmount()
    other = Drive(str(tmp_path), "other")
    other.mount(place + b"2")
    try:
        drive.mount(place)
        assert os.stat(place).st_dev != device
        assert identify(place) == before
        assert not same_filesystem(identify(place + b"2").filesystem, before.filesystem)
    finally:
        other.unmount()


@needs_mounts
def test_mounts_below_a_folder_are_found_whatever_their_name(tmp_path: object) -> None:
    root = os.fsencode(str(tmp_path))
    place = root + b"/a b\n\xff"
    os.mkdir(place)
    run("mount", "-t", "tmpfs", "tmpfs", os.fsdecode(place))
    try:
        os.symlink(root, root + b"-link")
        assert [m.path for m in identity.mounts_below(root)] == [place]
        linked = identity.mounts_below(root + b"-link")
        assert [m.path for m in linked] == [root + b"-link/a b\n\xff"]
        assert [m.path for m in identity.mounts_below(place)] == [place]
    finally:
        run("umount", "-l", os.fsdecode(place))


# -- the guard


def test_a_folder_that_is_there_is_there(library: Library) -> None:
    guard = library.guard()
    assert guard.all_there(library.root + b"/a.jpg")
    assert guard.offline() == []


def test_a_missing_folder_is_offline_and_comes_back(library: Library) -> None:
    changes: list[tuple[bytes, bool]] = []
    guard = library.guard(on_change=lambda a: changes.append((a.path, a.offline)))
    anchor = only(guard.anchors())
    assert guard.check(anchor)
    generation = library.store.generation
    os.rename(library.root, library.root + b"-away")
    assert not guard.is_there(anchor)
    assert guard.offline() == [library.root]
    assert library.store.folders()[0].state == "offline"
    assert library.store.generation > generation
    assert guard.is_away(library.root + b"/a.jpg")
    os.rename(library.root + b"-away", library.root)
    assert guard.is_there(anchor)
    assert library.store.folders()[0].state == "scanning"
    assert changes == [(library.root, True), (library.root, False)]


def test_a_file_in_the_place_of_a_folder_is_no_folder(library: Library) -> None:
    os.rmdir(library.root)
    write(library.root)
    guard = library.guard()
    assert not guard.check(only(guard.anchors()))


def test_a_folder_made_again_on_the_same_filesystem_is_that_folder(library: Library) -> None:
    changes: list[Anchor] = []
    guard = library.guard(on_change=changes.append)
    assert guard.check(only(guard.anchors()))
    os.rename(library.root, library.root + b"-old")
    os.mkdir(library.root)
    assert guard.is_there(only(guard.anchors()))
    assert len(changes) == 1
    assert library.store.folders()[0].inode == os.stat(library.root).st_ino


def test_a_deleted_file_is_gone_for_sure_only_while_its_folder_is_there(library: Library) -> None:
    path = write(library.root + b"/x/a.jpg")
    guard = library.guard()
    assert not guard.gone_for_sure(path)
    os.unlink(path)
    assert guard.gone_for_sure(path)
    assert guard.gone_for_sure(path + b"/below-a-file")
    os.rename(library.root, library.root + b"-away")
    assert not guard.gone_for_sure(path)
    os.mkdir(library.root)
    assert guard.gone_for_sure(path)


def test_what_is_below_a_link_or_left_out_is_not_ours(library: Library) -> None:
    outside = write(library.root + b"-outside/a.jpg")
    os.symlink(os.path.dirname(outside), library.root + b"/link")
    guard = library.guard()
    assert guard.owns(library.root + b"/a.jpg")
    assert not guard.owns(library.root + b"/link/a.jpg")
    assert not guard.owns(library.root + b"/.hidden/a.jpg")
    assert not guard.owns(outside)


def test_names_that_differ_in_case_are_two_files_where_the_disk_says_so(library: Library) -> None:
    write(library.root + b"/A.JPG")
    os.link(library.root + b"/A.JPG", library.root + b"/a.jpg")
    guard = library.guard()
    assert guard.owns(library.root + b"/A.JPG")
    assert guard.owns(library.root + b"/a.jpg")


@needs_mounts
def test_an_empty_mount_point_left_behind_is_offline(library: Library, drive: Drive) -> None:
    place = library.root + b"/drive"
    drive.mount(place)
    library.store.remove_folder(library.root)
    library.add(place)
    path = write(place + b"/a.jpg")
    assert not library.scan(place).away
    library.answer()
    drive.unmount()
    guard = library.guard()
    assert not guard.check(only(guard.anchors()))
    assert not guard.gone_for_sure(path)
    write(path, b"someone else's file in the mount point")
    assert guard.is_away(path)
    before = library.store.file(path)
    library.store.enqueue([path])
    library.answer()
    assert library.store.file(path) == before
    os.unlink(path)
    drive.mount(place)
    assert guard.check(only(guard.anchors()))
    assert not guard.is_away(path)
    assert library.files() == {b"drive/a.jpg"}


@needs_mounts
def test_the_same_files_on_a_drive_with_a_new_number_are_the_same_drive(library: Library) -> None:
    place = os.fsdecode(library.root)
    run("mount", "-t", "tmpfs", "tmpfs", place)
    try:
        library.store.remove_folder(library.root)
        library.add()
        for number in range(4):
            os.utime(write(library.root + b"/d/%d.jpg" % number), ns=(1, 10**18 + number))
        library.scan()
        library.answer()
        before = library.store.folders()[0].filesystem
        run("umount", "-l", place)
        run("mount", "-t", "tmpfs", "tmpfs", place)
        guard = library.guard()
        assert not guard.check(only(guard.anchors()))
        for number in range(2):
            os.utime(write(library.root + b"/d/%d.jpg" % number), ns=(1, 10**18 + number))
        assert guard.check(only(guard.anchors()))
        after = library.store.folders()[0]
        assert after.filesystem != before
        assert after.state == "scanning"
    finally:
        run("umount", "-l", place)


@needs_mounts
def test_too_few_of_the_files_on_another_drive_are_not_enough(library: Library) -> None:
    place = os.fsdecode(library.root)
    for number in range(5):
        os.utime(write(library.root + b"/d/%d.jpg" % number), ns=(1, 10**18 + number))
    library.scan()
    library.answer()
    run("mount", "-t", "tmpfs", "tmpfs", place)
    try:
        for number in range(2):
            os.utime(write(library.root + b"/d/%d.jpg" % number), ns=(1, 10**18 + number))
        guard = library.guard()
        assert not guard.check(only(guard.anchors()))
    finally:
        run("umount", "-l", place)


@needs_mounts
def test_a_mount_below_a_folder_is_missed_when_it_goes(library: Library, drive: Drive) -> None:
    place = library.root + b"/nested"
    write(library.root + b"/here.jpg")
    drive.mount(place)
    path = write(place + b"/a.jpg")
    library.scan()
    library.answer()
    assert library.files() == {b"here.jpg", b"nested/a.jpg"}
    drive.unmount()
    guard = library.guard()
    assert not guard.gone_for_sure(path)
    assert guard.offline() == [place]
    assert not guard.is_away(library.root + b"/here.jpg")
    os.rmdir(place)
    assert not guard.gone_for_sure(path)
    drive.mount(place)
    assert not guard.is_away(path)
    assert guard.offline() == []


@needs_mounts
def test_a_bind_mount_from_the_same_filesystem_is_missed_too(library: Library) -> None:
    place, source = library.root + b"/bound", library.root + b"-source"
    write(source + b"/a.jpg")
    os.mkdir(place)
    run("mount", "--bind", os.fsdecode(source), os.fsdecode(place))
    try:
        library.scan()
        library.answer()
        assert library.files() == {b"bound/a.jpg"}
    finally:
        run("umount", "-l", os.fsdecode(place))
    guard = library.guard()
    assert not guard.gone_for_sure(place + b"/a.jpg")
    assert guard.offline() == [place]


@needs_mounts
def test_a_mount_without_known_files_is_not_missed(library: Library, drive: Drive) -> None:
    drive.mount(library.root + b"/nested")
    library.scan()
    library.answer()
    assert [a.path for a in library.guard().anchors()] == [library.root, library.root + b"/nested"]
    drive.unmount()
    guard = library.guard()
    guard.all_there(library.root + b"/nested/x")
    assert [a.path for a in guard.anchors()] == [library.root]
    assert guard.offline() == []

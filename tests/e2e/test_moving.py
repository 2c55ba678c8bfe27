"""Backup, restore and relocate with the installed commands and a real daemon."""

from __future__ import annotations

import os
import stat
import subprocess

import pytest

from tests import photographs
from tests.documented import programs, shell_blocks
from tests.harness import Home

NAMES = ("chelsea", "coffee", "rocket")


@pytest.fixture
def album(tiny_home: Home) -> Home:
    """A running daemon in sync with three photographs, one in a folder of its own."""
    os.makedirs(tiny_home.path("trip"))
    for name in NAMES:
        folder = ("trip",) if name == "rocket" else ()
        photographs.save(name, tiny_home.path(*folder, f"{name}.jpg"))
    tiny_home.start(tiny_home.photos)
    tiny_home.sync()
    return tiny_home


def ids(home: Home) -> dict[str, int]:
    """Path below the home's directory -> picture id, as answers have it."""
    results = home.json("-n", "100", "x")["results"]
    return {os.path.relpath(item["path"], home.directory): item["id"] for item in results}


def test_a_running_daemon_follows_its_photos_without_embedding_them_again(album: Home) -> None:
    before, encoded = ids(album), album.status()["encoded"]
    new = os.path.join(album.directory, "elsewhere")
    os.rename(album.photos, new)
    done = album.imgqd("relocate", album.photos, new)
    assert done.returncode == 0, done.stderr.decode()
    assert b"3 files, 1 watched folder" in done.stderr
    album.photos = new
    album.sync()
    after = ids(album)
    assert after == {path.replace("photos", "elsewhere", 1): n for path, n in before.items()}
    assert album.status()["encoded"] == encoded
    # It is watched there from now on.
    photographs.save("coins", album.path("coins.jpg"))
    album.sync()
    assert "elsewhere/coins.jpg" in ids(album)
    os.unlink(album.path("coffee.jpg"))
    album.sync()
    assert "elsewhere/coffee.jpg" not in ids(album)
    verified = album.imgqd("verify")
    assert verified.returncode == 0, verified.stdout.decode() + verified.stderr.decode()


def test_a_stopped_library_follows_a_copy_on_another_disk(album: Home) -> None:
    before = ids(album)
    assert album.stop() == 0
    new = os.path.join(album.directory, "copied")
    # A copy: other inodes, other times.
    os.makedirs(os.path.join(new, "trip"))
    for path in before:
        source = os.path.join(album.directory, path)
        photographs.copy(source, source.replace(album.photos, new, 1))
        os.unlink(source)
    done = album.imgqd("relocate", album.photos, new)
    assert done.returncode == 0, done.stderr.decode()
    album.start()
    album.sync()
    assert ids(album) == {path.replace("photos", "copied", 1): n for path, n in before.items()}
    assert album.status()["encoded"] == 0


def test_a_backup_of_a_running_daemon_moves_the_library_to_another_machine(album: Home) -> None:
    before = ids(album)
    target = os.path.join(album.directory, "backup.db")
    done = album.imgqd("backup", target)
    assert done.returncode == 0, done.stderr.decode()
    assert b"3 pictures" in done.stderr
    assert stat.S_IMODE(os.stat(target).st_mode) == 0o600
    refused = album.imgqd("restore", target)
    assert refused.returncode == 4 and b"imgqd stop" in refused.stderr
    # The other machine: another home, photos at another path, the index not there.
    assert album.stop() == 0
    album.environ["IMGQ_HOME"] = album.home = os.path.join(album.directory, "other-home")
    new = os.path.join(album.directory, "there")
    os.rename(album.photos, new)
    restored = album.imgqd("restore", target)
    assert restored.returncode == 0, restored.stderr.decode()
    moved = album.imgqd("relocate", album.photos, new)
    assert moved.returncode == 0, moved.stderr.decode()
    album.start()
    album.sync()
    assert ids(album) == {path.replace("photos", "there", 1): n for path, n in before.items()}
    assert album.status()["encoded"] == 0


def test_a_restored_library_catches_up_with_the_disk(album: Home) -> None:
    target = os.path.join(album.directory, "backup.db")
    assert album.imgqd("backup", target).returncode == 0
    os.unlink(album.path("coffee.jpg"))
    photographs.save("coins", album.path("coins.jpg"))
    album.sync()
    coins = ids(album)["photos/coins.jpg"]
    generation = album.status()["generation"]
    assert album.stop() == 0
    done = album.imgqd("restore", target)
    assert done.returncode == 0 and b"before-restore" in done.stderr
    album.start()
    album.sync()
    found = ids(album)
    assert sorted(found) == ["photos/chelsea.jpg", "photos/coins.jpg", "photos/trip/rocket.jpg"]
    assert found["photos/coins.jpg"] > coins
    assert album.status()["generation"] > generation


def test_what_cannot_be_done_is_said_in_a_sentence(album: Home) -> None:
    def refused(*arguments: str) -> tuple[int, str]:
        done = album.imgqd(*arguments)
        said = done.stderr.decode()
        assert "Traceback" not in said and said.startswith("imgqd: ")
        return done.returncode, said

    missing = album.path("missing")
    assert refused("relocate", album.photos, missing)[0] == 2
    os.makedirs(missing)
    code, said = refused("relocate", os.path.join(album.directory, "never"), album.home)
    assert (code, "nothing is known" in said) == (4, True)
    code, said = refused("backup", os.path.join(album.directory, "no", "such", "folder", "file"))
    assert (code, "no/such/folder" in said) == (4, True)
    assert album.stop() == 0
    code, said = refused("restore", album.path("chelsea.jpg"))
    assert (code, "not a backup" in said) == (2, True)
    code, said = refused("restore", os.path.join(album.directory, "nothing"))
    assert (code, "No such file" in said) == (4, True)


def test_the_documented_commands_work_as_they_stand(tiny_home: Home) -> None:
    """Those of docs/operating.md, in their order, in the home folder of somebody."""
    tiny_home.photos = os.path.join(tiny_home.directory, "Pictures")
    os.makedirs(tiny_home.photos)
    photographs.save("chelsea", tiny_home.path("chelsea.jpg"))
    path = f"{programs(tiny_home.directory)}{os.pathsep}{os.environ['PATH']}"
    environ = {**tiny_home.environ, "HOME": tiny_home.directory, "PATH": path}
    tiny_home.start(tiny_home.photos)
    tiny_home.sync()
    ran = []
    for block in shell_blocks("operating.md"):
        if "service" in block:
            continue  # tests/e2e/test_service.py
        if "relocate" in block:
            os.rename(tiny_home.photos, os.path.join(tiny_home.directory, "Photos"))
            tiny_home.start()
        done = subprocess.run(["sh", "-ec", block], env=environ, capture_output=True, timeout=120)
        assert done.returncode == 0, (block, done.stderr.decode())
        ran += block.split()
    assert {"backup", "stop", "restore", "relocate"} <= set(ran)
    tiny_home.sync()
    assert list(ids(tiny_home)) == ["Photos/chelsea.jpg"]

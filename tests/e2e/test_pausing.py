"""Pausing indexing by command: nothing waits for ever, nothing is lost, a restart stays paused."""

from __future__ import annotations

from tests import photographs
from tests.harness import Home


def test_paused_indexing_is_said_survives_a_restart_and_goes_on(tiny_home: Home) -> None:
    photographs.variant(1, 64).save(tiny_home.path("before.png"))
    tiny_home.start(tiny_home.photos)
    tiny_home.sync()
    assert tiny_home.imgqd("pause").returncode == 0
    photographs.variant(2, 64).save(tiny_home.path("during.png"))

    done = tiny_home.imgqd("sync", timeout=60)
    assert done.returncode == 1
    assert b"paused" in done.stderr and b"imgqd resume" in done.stderr
    done = tiny_home.imgq("--watch", tiny_home.photos, "anything", timeout=60)
    assert done.returncode == 4
    assert b"indexing is paused, with 1 file waiting; go on with: imgqd resume" in done.stderr
    done = tiny_home.imgq("--sync", "anything", timeout=60)
    assert done.returncode == 4
    assert b"paused" in done.stderr and b"imgqd resume" in done.stderr
    # Questions are answered as before.
    assert tiny_home.names("anything") == ["before.png"]

    tiny_home.stop()
    tiny_home.start()
    status = tiny_home.status()
    assert (status["paused"], status["paused_by"]) == (True, "request")
    assert tiny_home.imgqd("sync", timeout=60).returncode == 1
    assert b"paused" in tiny_home.imgqd("status").stdout

    assert tiny_home.imgqd("resume").returncode == 0
    tiny_home.sync()
    assert sorted(tiny_home.names("anything")) == ["before.png", "during.png"]
    assert tiny_home.status()["paused"] is False


def test_a_paused_library_without_changes_is_in_sync(tiny_home: Home) -> None:
    photographs.variant(1, 64).save(tiny_home.path("one.png"))
    tiny_home.start(tiny_home.photos)
    tiny_home.sync()
    assert tiny_home.imgqd("pause").returncode == 0
    assert tiny_home.imgqd("sync", timeout=60).returncode == 0

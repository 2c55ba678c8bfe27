"""Starting, stopping and looking after the daemon, with the installed commands as processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import apsw
import psutil
import pytest
from PIL import Image

from tests.harness import Home, wait_until


def pictures(home: Home, number: int, *, start: int = 0) -> None:
    """Small pictures that all differ."""
    for shade in range(start, start + number):
        Image.new("RGB", (64, 48), (shade, 255 - shade, shade * 7 % 256)).save(
            home.path(f"{shade}.png")
        )


def daemon_of(home: Home) -> psutil.Process:
    return psutil.Process(home.status()["pid"])


def said(done: subprocess.CompletedProcess[bytes]) -> str:
    text = (done.stdout + done.stderr).decode()
    assert "Traceback" not in text
    return text


def test_detach_returns_when_it_answers_and_stop_when_it_has_stopped(tiny_home: Home) -> None:
    done = tiny_home.imgqd("run", "--detach", tiny_home.photos)
    assert done.returncode == 0, said(done)
    status = tiny_home.status()
    assert [folder["path"] for folder in status["folders"]] == [tiny_home.photos]
    process = daemon_of(tiny_home)
    assert os.getsid(process.pid) == process.pid
    # The folder it was started in can be unmounted, and nobody's terminal is held.
    assert process.cwd() == "/"
    assert {os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in (0, 1)} == {"/dev/null"}

    done = tiny_home.imgqd("stop")
    assert done.returncode == 0, said(done)
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    left = os.listdir(tiny_home.home)
    assert "imgqd.sock" not in left
    assert "endpoint.json" not in left
    assert tiny_home.imgqd("stop").returncode == 3


def test_the_second_is_told_who_runs_and_the_first_goes_on(tiny_home: Home) -> None:
    tiny_home.start()
    for words in (["run"], ["run", "--detach"]):
        done = tiny_home.imgqd(*words)
        assert done.returncode == 4
        assert f"pid {tiny_home.pid}" in said(done)
        assert tiny_home.home in said(done)
    assert tiny_home.status()["pid"] == tiny_home.pid


def test_of_many_started_together_one_runs(tiny_home: Home) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "imgqd", "run", "--detach"],
            env=tiny_home.environ,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(8)
    ]
    codes = sorted(process.wait(120) for process in started)
    assert codes == [0] + [4] * 7
    assert tiny_home.status()["state"] != "stopping"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0(tiny_home: Home, number: signal.Signals) -> None:
    tiny_home.start()
    assert tiny_home.process is not None
    tiny_home.process.send_signal(number)
    assert tiny_home.process.wait(30) == 0
    tiny_home.process = None
    assert "Traceback" not in tiny_home.output()


def test_what_a_crash_leaves_behind_is_recovered(tiny_home: Home) -> None:
    tiny_home.start()
    tiny_home.kill()
    assert os.path.exists(os.path.join(tiny_home.home, "imgqd.sock"))
    assert tiny_home.imgqd("status").returncode == 3
    tiny_home.start()
    assert tiny_home.status()["pid"] == tiny_home.pid


def test_a_folder_that_is_not_there_keeps_it_from_starting(tiny_home: Home) -> None:
    for words in (["run"], ["run", "--detach"]):
        done = tiny_home.imgqd(*words, tiny_home.path("nowhere"))
        assert done.returncode == 2
        assert "nowhere does not exist" in said(done)


def test_add_starts_the_daemon_unless_that_is_forbidden(tiny_home: Home) -> None:
    assert tiny_home.imgqd("add", tiny_home.photos).returncode == 3
    done = tiny_home.imgqd("add", tiny_home.photos, environ={"IMGQ_NO_SPAWN": "0"})
    assert done.returncode == 0, said(done)
    assert [folder["path"] for folder in tiny_home.status()["folders"]] == [tiny_home.photos]


def test_index_leaves_a_library_and_no_process(tiny_home: Home) -> None:
    pictures(tiny_home, 5)
    done = tiny_home.imgqd("index", tiny_home.photos, timeout=300)
    assert done.returncode == 0, said(done)
    assert "5 pictures can be found" in said(done)
    assert tiny_home.imgqd("status").returncode == 3

    tiny_home.start()
    tiny_home.sync()
    status = tiny_home.status()
    assert status["pictures"] == 5
    assert status["encoded"] == 0
    pictures(tiny_home, 2, start=100)
    done = tiny_home.imgqd("index", tiny_home.photos)
    assert "7 pictures can be found" in said(done)
    assert tiny_home.status()["pid"] == tiny_home.pid


def test_verify_works_on_a_stopped_library_and_mends_it(tiny_home: Home) -> None:
    pictures(tiny_home, 5)
    assert tiny_home.imgqd("index", tiny_home.photos, timeout=300).returncode == 0
    assert tiny_home.imgqd("verify").returncode == 0
    connection = apsw.Connection(os.path.join(tiny_home.home, "library.db"))
    connection.execute("UPDATE files SET size = size + 1, picture_id = NULL WHERE name = '0.png'")
    connection.execute("DELETE FROM vectors WHERE picture_id = 2")
    connection.close()
    tiny_home.imgqd("verify", "--repair")
    done = tiny_home.imgqd("verify", "--json")
    assert done.returncode == 0, said(done)
    assert json.loads(done.stdout)["ok"] is True
    assert tiny_home.imgqd("status").returncode == 3


def test_a_setting_given_to_the_daemon_is_shown_as_a_flag(tiny_home: Home) -> None:
    tiny_home.imgqd("run", "--detach", "--settle-ms", "250", "--exclude=*.tmp", "--log-queries")
    rows = json.loads(tiny_home.imgqd("config", "--json").stdout)["settings"]
    flags = {row["name"]: row["value"] for row in rows if row["source"] == "flag"}
    assert flags == {"settle_ms": 250, "exclude": ["*.tmp"], "log_queries": True}


def test_loopback_http_wants_the_token(tiny_home: Home) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = tiny_home.imgqd("run", "--detach", f"--http-port={port}")
    assert done.returncode == 0, said(done)
    address = f"http://127.0.0.1:{port}"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{address}/v1/status")
    token = tiny_home.imgqd("token").stdout.decode().strip()
    request = urllib.request.Request(
        f"{address}/v1/status", headers={"Authorization": f"Bearer {token}"}
    )
    assert json.load(urllib.request.urlopen(request))["pid"] == tiny_home.status()["pid"]
    over_tcp = tiny_home.imgqd("status", "--json", environ={"IMGQ_SOCKET": address})
    assert over_tcp.returncode == 0, said(over_tcp)


def test_a_port_that_is_taken_is_named(tiny_home: Home) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = tiny_home.imgqd("run", "--detach", f"--http-port={port}")
    assert done.returncode == 4
    assert f"http_port {port}" in said(done)
    assert not os.path.exists(os.path.join(tiny_home.home, "imgqd.sock"))


def test_follow_shows_indexing_until_the_daemon_stops(tiny_home: Home) -> None:
    tiny_home.start(tiny_home.photos)
    follower = subprocess.Popen(
        [sys.executable, "-m", "imgqd", "status", "--follow", "--json"],
        env=tiny_home.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert follower.stdout is not None
    assert json.loads(follower.stdout.readline())["pictures"] == 0
    pictures(tiny_home, 5)
    wait_until(lambda: json.loads(follower.stdout.readline())["pictures"] == 5)
    tiny_home.stop()
    _, err = follower.communicate(timeout=60)
    assert follower.returncode == 3
    assert "the daemon has stopped" in err

"""The protocols of sd_notify(3) and sd_listen_fds(3), with real sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from typing import Any

import pytest

from imgqd.errors import ImgqError, UsageError
from imgqd.notify import Notifier, describe, inherited_sockets
from tests.stand_in_manager import NotifySocket, activate, listening

STATUS = {
    "state": "idle",
    "paused": False,
    "pictures": 1234,
    "problems": 0,
    "folders": [{"path": "/a"}],
    "progress": {"stage": "", "detail": "", "done": 0, "total": 0},
}


@pytest.fixture(params=["file", "abstract"])
def manager(request, tmp_path):
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("abstract sockets are Linux's")
    address = str(tmp_path / "notify") if request.param == "file" else f"@imgq-test-{os.getpid()}"
    manager = NotifySocket(address)
    yield manager
    manager.close()


def test_readiness_status_and_the_end_are_told(manager):
    environ = {"NOTIFY_SOCKET": manager.address}
    notifier = Notifier.from_environment(environ)
    assert environ == {}
    notifier.ready()
    assert manager.hear() == "READY=1"
    notifier.status("indexing 1,234 of 20,000")
    assert manager.hear() == "STATUS=indexing 1,234 of 20,000"
    notifier.status("indexing 1,234 of 20,000")
    notifier.status("a name\nWATCHDOG=trigger")
    assert manager.hear() == "STATUS=a name WATCHDOG=trigger"
    notifier.stopping()
    assert manager.hear() == "STOPPING=1\nSTATUS=stopping"


def test_without_a_manager_nothing_happens():
    for environ in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}):
        notifier = Notifier.from_environment(environ)
        assert not notifier.listens
        notifier.ready()
        notifier.status("x")


def test_a_manager_that_is_gone_or_full_holds_nobody_up(tmp_path):
    gone = Notifier(str(tmp_path / "nobody"))
    gone.ready()
    manager = NotifySocket(str(tmp_path / "notify"))
    full = Notifier(manager.address)
    for number in range(10_000):
        full.status(f"{number}")
    assert manager.hear() == "STATUS=0"
    manager.close()


def test_a_status_that_was_not_delivered_is_said_again(tmp_path):
    notifier = Notifier(str(tmp_path / "notify"))
    notifier.status("idle")
    manager = NotifySocket(str(tmp_path / "notify"))
    notifier.status("idle")
    assert manager.hear() == "STATUS=idle"
    manager.close()


def test_the_watchdog_of_another_process_is_not_ours():
    mine = {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}
    other = {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid() + 1)}
    assert Notifier.from_environment(mine).watchdog_s == 3.0
    assert Notifier.from_environment(other).watchdog_s == 0.0
    assert Notifier.from_environment({"WATCHDOG_USEC": "nonsense"}).watchdog_s == 0.0
    assert mine == other == {}


def test_signs_of_life_come_from_the_event_loop_and_stop_when_it_hangs(tmp_path):
    manager = NotifySocket(str(tmp_path / "notify"))
    notifier = Notifier(manager.address, watchdog_s=0.2)

    def signs() -> int:
        count = 0
        try:
            while True:
                count += manager.socket.recv(65536, socket.MSG_DONTWAIT) == b"WATCHDOG=1"
        except BlockingIOError:
            return count

    async def live() -> int:
        task = asyncio.create_task(notifier.run(lambda: 1, lambda: STATUS))
        seen = 0
        while seen < 3:
            await asyncio.sleep(0.01)
            seen += signs()
        time.sleep(1.0)  # the loop hangs
        hanging = signs()
        task.cancel()
        return hanging

    assert asyncio.run(live()) == 0
    manager.close()


def test_the_status_is_looked_up_only_when_something_changed(tmp_path, monkeypatch):
    monkeypatch.setattr("imgqd.notify.IDLE_S", 0.01)
    monkeypatch.setattr("imgqd.notify.BUSY_S", 0.01)
    manager = NotifySocket(str(tmp_path / "notify"))
    notifier = Notifier(manager.address)
    pulses, looks = [7, 7, 7, 8, 8, None, None, 9], []

    def pulse() -> object:
        return pulses.pop(0) if len(pulses) > 1 else pulses[0]

    def look() -> dict:
        looks.append(len(looks))
        if len(looks) == 2:
            raise RuntimeError("the database is being moved")
        return {**STATUS, "pictures": len(looks)}

    async def live() -> None:
        task = asyncio.create_task(notifier.run(pulse, look))
        while len(looks) < 6:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        task.cancel()

    asyncio.run(live())
    # 7; 8 failed and was looked up again; two while busy; 9.
    assert len(looks) == 6
    assert [manager.hear() for _ in range(5)] == [
        f"STATUS={n} picture{'' if n == 1 else 's'} in 1 folder" for n in (1, 3, 4, 5, 6)
    ]
    manager.close()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "1,234 pictures in 1 folder"),
        ({"problems": 1}, "1,234 pictures in 1 folder; 1 problem"),
        ({"state": "starting"}, "waiting for the model"),
        ({"paused": True, "failure": "no space left"}, "paused: no space left"),
        ({"paused": True, "paused_by": "request"}, "paused: imgqd resume"),
        ({"paused": True, "paused_by": "battery"}, "paused: on battery power"),
        (
            {"progress": {"stage": "index", "detail": "", "done": 1234, "total": 20000}},
            "indexing 1,234 of 20,000",
        ),
        (
            {"progress": {"stage": "embed", "detail": "", "done": 5, "total": 7}, "problems": 2},
            "embedding for another model: 5 of 7; 2 problems",
        ),
        (
            {"progress": {"stage": "scan", "detail": "", "done": 0, "total": 12}},
            "looking through the folders, 12 files so far",
        ),
        (
            {"progress": {"stage": "download", "detail": "weights", "done": 0, "total": 0}},
            "preparing the model: weights",
        ),
    ],
)
def test_the_status_is_a_few_words(change, text):
    assert describe({**STATUS, **change}) == text


# What a manager does: it puts sockets at descriptor 3 and names the process that may take them.
CHILD = """
import os, sys
sys.path[:0] = {path!r}
from imgqd import notify
from imgqd.errors import ImgqError
try:
    found = notify.inherited_sockets()
except ImgqError as error:
    print(type(error).__name__, error.message)
    sys.exit(0)
left = [name for name in os.environ if name.startswith("LISTEN_")]
print(len(found), [s.fileno() for s in found], [os.get_inheritable(s.fileno()) for s in found], left)
if found:
    found[0].setblocking(True)
    connection, _ = found[0].accept()
    connection.sendall(b"served by the child")
"""


def handed(*sockets: socket.socket, **options: Any) -> str:
    """What a child prints that was started with sockets handed over."""
    code = CHILD.format(path=[path for path in sys.path if path])
    child = activate(
        [sys.executable, "-c", code],
        sockets,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )
    out, errors = child.communicate(timeout=60)
    assert child.returncode == 0, errors.decode()
    return out.decode().strip()


def test_a_socket_that_was_handed_over_serves_and_is_kept_from_children(tmp_path):
    path = str(tmp_path / "door")
    with listening(path) as listener, socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        said = handed(listener)
        assert said == "1 [3] [False] []"
        client.settimeout(10)
        assert client.recv(100) == b"served by the child"


def test_sockets_meant_for_another_process_are_left_alone(tmp_path):
    with listening(str(tmp_path / "door")) as listener:
        assert handed(listener, environ={"LISTEN_PID": "1"}) == "0 [] [] []"
    assert inherited_sockets({}) == []


def test_a_tcp_socket_is_refused_because_it_has_no_door(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        said = handed(tcp)
    assert said.startswith("UsageError") and "http_port" in said


def test_what_does_not_listen_or_is_no_socket_is_refused(tmp_path):
    one, other = socket.socketpair()
    with one, other:
        assert handed(one).startswith("UsageError")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
        datagram.bind(str(tmp_path / "datagram"))
        assert handed(datagram).startswith("UsageError")


def test_a_descriptor_that_is_not_there_is_named(tmp_path):
    with listening(str(tmp_path / "door")) as listener:
        said = handed(listener, count=2)
    assert said.startswith("ImgqError") and "descriptor 4" in said
    assert issubclass(UsageError, ImgqError)

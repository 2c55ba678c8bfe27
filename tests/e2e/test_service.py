"""The daemon as a service: with a stand-in that speaks systemd's protocols, and with no manager."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from imgq.locations import locate
from tests import photographs
from tests.harness import Home, wait_until
from tests.stand_in_manager import NotifySocket, activate, listening

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no service managers there")
RUN = [sys.executable, "-P", "-m", "imgqd", "run"]
PATHS = [path for path in sys.path if path]


# -- a stand-in


class Supervised:
    """A home whose socket a stand-in manager holds, and the daemon that it starts."""

    def __init__(self, home: Home, stack: ExitStack) -> None:
        self.home = home
        os.makedirs(home.home, mode=0o700, exist_ok=True)
        self.path = locate(home.environ).socket
        self.door = stack.enter_context(listening(self.path))
        self.notify = NotifySocket(os.path.join(home.directory, "notify"))
        stack.callback(self.notify.close)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """What the manager does when somebody knocks."""
        with open(os.path.join(self.home.directory, "daemon.out"), "ab") as out:
            self.process = activate(
                RUN,
                [self.door],
                environ={
                    **self.home.environ,
                    "NOTIFY_SOCKET": self.notify.address,
                    "WATCHDOG_USEC": "1000000",
                },
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        self.home.process = self.process


@pytest.fixture
def supervised(tiny_home: Home) -> Iterator[Supervised]:
    photographs.save("chelsea", tiny_home.path("chelsea.jpg"))
    with ExitStack() as stack:
        found = Supervised(tiny_home, stack)
        yield found
        # Nobody knocks at a door that nobody holds.
        found.door.close()
        os.unlink(found.path)
        tiny_home.close()


def test_the_first_question_waits_at_the_door_and_is_answered(supervised: Supervised) -> None:
    question = subprocess.Popen(
        [sys.executable, "-m", "imgqd", "folders", "--json"],
        env=supervised.home.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    supervised.door.settimeout(30)
    # Somebody knocks: the manager's poll, without taking the connection.
    wait_until(lambda: _knocked(supervised), timeout=30)
    supervised.start()
    out, errors = question.communicate(timeout=60)
    assert (question.returncode, json.loads(out)) == (0, {"folders": []}), errors.decode()
    assert supervised.notify.wait_for(lambda line: line == "READY=1")


def _knocked(supervised: Supervised) -> bool:
    import select

    return bool(select.select([supervised.door], [], [], 0)[0])


def test_the_manager_hears_readiness_progress_signs_of_life_and_the_end(
    supervised: Supervised,
) -> None:
    home = supervised.home
    supervised.start()
    supervised.notify.wait_for(lambda line: line == "READY=1")
    # Ready means that it answers now.
    assert home.imgqd("status", "--json").returncode == 0
    assert home.imgqd("add", home.photos).returncode == 0
    supervised.notify.wait_for(lambda line: line == "STATUS=1 picture in 1 folder", timeout=120)
    supervised.notify.wait_for(lambda line: line == "WATCHDOG=1")
    assert home.stop() == 0
    supervised.notify.wait_for(lambda line: line == "STOPPING=1")
    assert supervised.notify.heard.count("READY=1") == 1


def test_the_socket_stays_and_the_next_daemon_takes_over_what_waits(
    supervised: Supervised,
) -> None:
    home, places = supervised.home, locate(supervised.home.environ)
    supervised.start()
    supervised.notify.wait_for(lambda line: line == "READY=1")
    with open(places.endpoint) as stream:
        assert json.load(stream)["socket"] == supervised.path
    assert home.imgqd("add", home.photos).returncode == 0
    home.sync()
    assert home.stop() == 0
    assert os.path.exists(supervised.path)
    assert not os.path.exists(places.endpoint)
    question = subprocess.Popen(
        [sys.executable, "-m", "imgq", "-l", "cat"], env=home.environ, stdout=subprocess.PIPE
    )
    wait_until(lambda: _knocked(supervised), timeout=30)
    supervised.start()
    out, _ = question.communicate(timeout=60)
    assert os.path.basename(os.fsdecode(out).strip()) == "chelsea.jpg"


def test_no_child_gets_the_managers_sockets_or_variables(supervised: Supervised) -> None:
    if sys.platform != "linux":
        pytest.skip("looks into /proc")
    home = supervised.home
    supervised.start()
    supervised.notify.wait_for(lambda line: line == "READY=1")
    assert home.imgqd("add", home.photos).returncode == 0

    def children() -> list[int]:
        return [child.pid for child in psutil.Process(home.pid).children(recursive=True)]

    with open("/proc/net/unix") as stream:
        inode = next(line.split()[6] for line in stream if line.rstrip().endswith(supervised.path))
    seen = wait_until(children, timeout=60)
    for child in seen:  # type: ignore[attr-defined]
        try:
            with open(f"/proc/{child}/environ", "rb") as variables:
                text = variables.read()
            targets = [
                os.readlink(f"/proc/{child}/fd/{fd}") for fd in os.listdir(f"/proc/{child}/fd")
            ]
        except FileNotFoundError:
            continue
        assert b"NOTIFY_SOCKET" not in text and b"LISTEN_FDS" not in text
        assert f"socket:[{inode}]" not in targets


def test_a_tcp_socket_from_the_manager_is_refused_in_a_sentence(tiny_home: Home) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as tcp:
        process = activate(RUN, [tcp], environ=tiny_home.environ, stderr=subprocess.PIPE)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert b"http_port" in said and b"Traceback" not in said


# -- without a manager


def bare_environment(home: Home, directory: str) -> dict[str, str]:
    """A login without a manager, in a home folder of its own."""
    return {
        **{k: v for k, v in home.environ.items() if not k.startswith("XDG_")},
        "HOME": directory,
        "XDG_RUNTIME_DIR": os.path.join(directory, "none"),
        "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent",
        "PYTHONPATH": os.pathsep.join(PATHS),
    }


needs_systemctl = pytest.mark.skipif(not shutil.which("systemctl"), reason="no systemd here")


@needs_systemctl
def test_without_a_manager_it_is_written_for_the_next_login_and_says_so(
    tiny_home: Home, tmp_path: object
) -> None:
    directory = str(tmp_path)
    environ = bare_environment(tiny_home, directory)
    units = os.path.join(directory, ".config", "systemd", "user")
    shown = tiny_home.imgqd("service", "install", "--print", environ=environ)
    assert shown.returncode == 0, shown.stderr.decode()
    assert b"Type=notify" in shown.stdout and b"ListenStream=" in shown.stdout
    dry = tiny_home.imgqd("service", "install", "--dry-run", environ=environ)
    assert f"write {units}/imgqd.service".encode() in dry.stdout
    assert not os.path.exists(units)

    done = tiny_home.imgqd("service", "install", environ=environ)
    assert done.returncode == 1
    assert b"no systemd user manager answers here" in done.stderr
    with open(os.path.join(units, "imgqd.service")) as stream:
        assert stream.read() in shown.stdout.decode()
    for wants, unit in (("default", "imgqd.service"), ("sockets", "imgqd.socket")):
        link = os.path.join(units, f"{wants}.target.wants", unit)
        assert os.path.realpath(link) == os.path.join(units, unit)
    before = _tree(directory)
    assert tiny_home.imgqd("service", "install", environ=environ).returncode == 1
    assert _tree(directory) == before

    status = tiny_home.imgqd("service", "status", "--json", environ=environ)
    found = json.loads(status.stdout)
    assert status.returncode == 1
    assert (found["installed"], found["current"], found["running"]) == (True, True, False)
    gone = tiny_home.imgqd("service", "uninstall", environ=environ)
    assert gone.returncode == 0 and b"your library stays" in gone.stderr
    assert not [path for path in _tree(directory) if "imgqd" in path]
    again = tiny_home.imgqd("service", "uninstall", environ=environ)
    assert again.returncode == 0 and b"nothing to remove" in again.stderr


def _tree(directory: str) -> dict[str, float]:
    return {
        os.path.join(folder, name): os.lstat(os.path.join(folder, name)).st_mtime
        for folder, _, names in os.walk(directory)
        for name in names
    }


def test_print_and_dry_run_are_for_install_only(tiny_home: Home) -> None:
    done = tiny_home.imgqd("service", "status", "--print")
    assert done.returncode == 2 and b"service install" in done.stderr

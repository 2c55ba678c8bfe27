"""The daemon as a service: under a stand-in that speaks systemd's protocols, and under systemd."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from imgq.locations import locate
from tests import photographs
from tests.documented import programs, shell_blocks
from tests.harness import Home, wait_until
from tests.stand_in_manager import NotifySocket, activate, listening
from tests.user_manager import UserManager, user_manager

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


# -- systemd itself


class Served:
    """A user manager with a home of pictures, and commands that run as its user."""

    def __init__(self, manager: UserManager, models_dir: str) -> None:
        self.manager = manager
        self.photos = os.path.join(manager.home, "photos")
        self.library = os.path.join(manager.home, "library")
        self.units = os.path.join(manager.home, ".config", "systemd", "user")
        self.models = os.path.join(manager.home, "models")
        os.makedirs(self.photos)
        for name in ("chelsea", "coffee", "rocket"):
            photographs.save(name, os.path.join(self.photos, f"{name}.jpg"))
        # The tests' own folder cannot be read by an ordinary user.
        name = "tiny-clip-source"
        shutil.copytree(os.path.join(models_dir, name), os.path.join(self.models, name))
        subprocess.run(["chown", "-R", str(manager.user), manager.home], check=True)

    def python(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
        return self.manager.run(
            sys.executable,
            *arguments,
            **{
                "IMGQ_HOME": self.library,
                "IMGQ_MODEL": f"local-dir:{self.models}/tiny-clip-source",
                "IMGQ_MODELS_DIR": self.models,
                "IMGQ_NO_SPAWN": "1",
                "PYTHONPATH": os.pathsep.join(PATHS),
                **environ,
            },
        )

    def imgqd(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return self.python("-m", "imgqd", *arguments)

    def names(self, *arguments: str) -> list[str]:
        done = self.python("-m", "imgq", "-l", *arguments)
        assert done.returncode == 0, (done.returncode, done.stderr.decode(), self.manager.said())
        return sorted(os.path.basename(path) for path in os.fsdecode(done.stdout).splitlines())

    def state(self) -> str:
        return self.manager.show("imgqd.service", "ActiveState")

    def trial(self, code: str) -> str:
        """What a Python program prints that is started exactly as the daemon is."""
        name, out = "trial.service", os.path.join(self.library, "trial.out")
        with open(os.path.join(self.units, "imgqd.service")) as stream:
            text = stream.read()
        program = os.path.join(self.manager.home, "trial.py")
        with open(program, "w") as stream:
            stream.write(code)
        lines = []
        for line in text.splitlines():
            if line.startswith("ExecStart="):
                line = f"ExecStart={sys.executable} {program}\nStandardOutput=append:{out}"
            if line.startswith("Type="):
                line = "Type=oneshot"
            if not line.startswith(("Requires=", "After=", "Restart=", "WatchdogSec=")):
                lines.append(line)
        with open(os.path.join(self.units, name), "w") as stream:
            stream.write("\n".join(lines) + "\n")
        self.manager.run("systemctl", "--user", "daemon-reload")
        done = self.manager.run("systemctl", "--user", "start", name)
        os.unlink(os.path.join(self.units, name))
        assert done.returncode == 0, done.stderr.decode() + self.manager.said()
        with open(out) as stream:
            return stream.read()


@pytest.fixture
def served(models_dir: str, tiny_model: str) -> Iterator[Served]:
    with user_manager() as manager:
        if isinstance(manager, str):
            pytest.skip(f"no user manager can be started: {manager}")
        yield Served(manager, models_dir)


def test_systemd_installs_starts_answers_restarts_and_forgets_it(served: Served) -> None:
    manager = served.manager
    done = served.imgqd("service", "install")
    assert done.returncode == 0, done.stderr.decode() + manager.said()
    assert b"without" not in done.stderr
    assert served.state() == "active"
    assert manager.show("imgqd.service", "Type") == "notify"
    for unit in ("imgqd.service", "imgqd.socket"):
        assert manager.show(unit, "UnitFileState") == "enabled"
    assert served.imgqd("add", served.photos).returncode == 0
    assert served.imgqd("sync", "--timeout", "240").returncode == 0, manager.said()
    assert served.names("cat") == ["chelsea.jpg", "coffee.jpg", "rocket.jpg"]
    wait_until(
        lambda: manager.show("imgqd.service", "StatusText") == "3 pictures in 1 folder", timeout=60
    )
    status = json.loads(served.imgqd("service", "status", "--json").stdout)
    assert status["running"] and status["current"] and status["enabled"] and status["listening"]
    assert status["pid"] == int(manager.show("imgqd.service", "MainPID"))

    # Once more changes nothing, not even the process.
    again = served.imgqd("service", "install")
    assert (again.returncode, b"installed already" in again.stderr) == (0, True)
    assert int(manager.show("imgqd.service", "MainPID")) == status["pid"]

    # Killed, it comes back by itself.
    manager.run("systemctl", "--user", "kill", "--signal=KILL", "imgqd.service")
    wait_until(
        lambda: (
            served.state() == "active"
            and int(manager.show("imgqd.service", "MainPID")) not in (0, status["pid"])
        ),
        timeout=60,
    )
    # Stopped, it stays stopped until somebody asks.
    assert served.imgqd("stop").returncode == 0
    wait_until(lambda: served.state() == "inactive", timeout=30)
    assert manager.show("imgqd.socket", "ActiveState") == "active"
    assert served.names("cat") == ["chelsea.jpg", "coffee.jpg", "rocket.jpg"]
    assert served.state() == "active"

    gone = served.imgqd("service", "uninstall")
    assert gone.returncode == 0, gone.stderr.decode()
    assert manager.show("imgqd.service", "LoadState") == "not-found"
    assert [path for path in _tree(served.units) if "imgqd" in path] == []
    assert not os.path.exists(os.path.join(served.library, "imgqd.sock"))
    assert os.path.exists(os.path.join(served.library, "library.db"))


def test_the_documented_commands_work_as_they_stand(served: Served) -> None:
    (block,) = [block for block in shell_blocks("operating.md") if "service" in block]
    path = f"{programs(served.manager.home)}{os.pathsep}{os.environ['PATH']}"
    done = served.python(
        "-c", f"import subprocess; subprocess.run({block!r}, shell=True)", PATH=path
    )
    assert b"running (pid " in done.stdout and b"removed " in done.stderr, done.stderr.decode()


def test_a_daemon_that_runs_already_makes_way_for_the_service(served: Served) -> None:
    assert served.imgqd("run", "--detach").returncode == 0
    before = json.loads(served.imgqd("status", "--json").stdout)["pid"]
    done = served.imgqd("service", "install")
    assert done.returncode == 0, done.stderr.decode() + served.manager.said()
    after = json.loads(served.imgqd("status", "--json").stdout)["pid"]
    assert after == int(served.manager.show("imgqd.service", "MainPID")) != before


def test_a_hanging_daemon_is_ended_and_started_again(served: Served) -> None:
    assert served.imgqd("service", "install").returncode == 0, served.manager.said()
    # The same unit with less patience.
    drop_in = os.path.join(served.units, "imgqd.service.d")
    os.makedirs(drop_in)
    with open(os.path.join(drop_in, "patience.conf"), "w") as stream:
        stream.write("[Service]\nWatchdogSec=2\n")
    subprocess.run(["chown", "-R", str(served.manager.user), drop_in], check=True)
    served.manager.run("systemctl", "--user", "daemon-reload")
    served.manager.run("systemctl", "--user", "restart", "imgqd.service")
    before = int(served.manager.show("imgqd.service", "MainPID"))
    served.manager.run("kill", f"-{signal.SIGSTOP.value}", str(before))
    wait_until(
        lambda: (
            int(served.manager.show("imgqd.service", "MainPID")) not in (0, before)
            and served.state() == "active"
        ),
        timeout=120,
    )
    assert int(served.manager.show("imgqd.service", "NRestarts")) >= 1
    gone = served.imgqd("service", "uninstall")
    assert (gone.returncode, os.path.exists(drop_in)) == (0, False)


WRITES = """
import os, sys
home = {home!r}
def attempt(path):
    try:
        with open(path, "w"):
            pass
        os.unlink(path)
        return "written"
    except OSError as error:
        return error.strerror
for place in ("photos", "library", "models", ".", "library/tmp"):
    print(place, "=", attempt(os.path.join(home, place, "trial")))
print("tmp =", attempt("/tmp/imgq-trial"))
print("scratch =", __import__("tempfile").gettempdir() == os.path.join(home, "library/tmp"))
print("photos seen =", sorted(os.listdir(os.path.join(home, "photos"))))
for path in (os.path.join(home, ".ssh"), os.path.join(os.environ["XDG_RUNTIME_DIR"], "bus")):
    print(os.path.basename(path), "=", oct(os.lstat(path).st_mode & 0o777))
"""

# By a child, as the decoders are: it may not even write to a file any more, only to a pipe.
SANDBOX = """
import subprocess, sys
code = "from imgqd.indexing import sandbox; print(*sandbox.apply(memory_mb=2048, cpu_s=10))"
print(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout)
"""


def test_under_the_unit_photos_are_read_only_and_keys_out_of_sight(served: Served) -> None:
    served.manager.run("mkdir", "-m", "700", os.path.join(served.manager.home, ".ssh"))
    assert served.imgqd("service", "install").returncode == 0, served.manager.said()
    said = served.trial(WRITES.format(home=served.manager.home)).splitlines()
    found = dict(line.split(" = ") for line in said)
    refused = "Read-only file system"
    assert found == {
        "photos": refused,
        ".": refused,
        "tmp": refused,
        "library": "written",
        "library/tmp": "written",
        "models": "written",
        "scratch": "True",
        "photos seen": "['chelsea.jpg', 'coffee.jpg', 'rocket.jpg']",
        ".ssh": "0o0",
        "bus": "0o0",
    }


def test_under_the_unit_the_decoders_lock_themselves_up_as_ever(served: Served) -> None:
    assert served.imgqd("service", "install").returncode == 0, served.manager.said()
    outside = served.python("-c", SANDBOX).stdout.decode()
    assert "rlimits" in outside
    assert served.trial(SANDBOX) == outside


@pytest.fixture
def refusing(models_dir: str, tiny_model: str) -> Iterator[Served]:
    """A manager on a machine that lets users make no namespaces."""
    with user_manager(namespaces=False) as manager:
        if isinstance(manager, str):
            pytest.skip(f"no user manager can be started: {manager}")
        yield Served(manager, models_dir)


def test_where_users_make_no_namespaces_it_runs_without_them_and_says_so(
    refusing: Served,
) -> None:
    done = refusing.imgqd("service", "install")
    assert done.returncode == 0, done.stderr.decode() + refusing.manager.said()
    assert b"installed without them" in done.stderr
    assert refusing.state() == "active"
    with open(os.path.join(refusing.units, "imgqd.service")) as stream:
        text = stream.read()
    assert "\nPrivateUsers=" not in text and "\nNoNewPrivileges=yes" in text
    status = json.loads(refusing.imgqd("service", "status", "--json").stdout)
    assert status["current"] and "namespaces" in " ".join(status["notes"])
    again = refusing.imgqd("service", "install")
    assert (again.returncode, b"installed already" in again.stderr) == (0, True)

"""The service under systemd itself: a real user manager, in namespaces of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests import photographs
from tests.documented import programs, shell_blocks
from tests.harness import wait_until
from tests.user_manager import UserManager, user_manager

PATHS = [path for path in sys.path if path]


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
    left = [name for _, folders, names in os.walk(served.units) for name in folders + names]
    assert [name for name in left if "imgqd" in name] == []
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

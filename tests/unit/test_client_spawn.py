"""A daemon is started when none answers, once, and when it cannot be the reason is told.

The daemon here is a package `imgqd` of a few lines, so that it can be made to fail; it is a real
process with a real socket and a real lock.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tests.unit.client_process import PACKAGES, environment, run

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

DAEMON = """
import fcntl, os, sys, time
sys.path.insert(0, {root!r})
assert sys.argv[1:] == ["run", "--detach"], sys.argv
home = os.environ["IMGQ_HOME"]
with open(home + "/started", "a") as stream:
    print(os.getpid(), os.getcwd(), file=stream)
{before}
lock = open(home + "/imgqd.lock", "w")
for attempt in range(20):
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        break
    except OSError:
        time.sleep(0.02)  # a client that looks at the lock has it for a moment
else:
    print("another daemon is running", file=sys.stderr)
    sys.exit(4)
if os.fork():
    os._exit(0)
os.setsid()
with open(home + "/pid", "w") as stream:
    stream.write(str(os.getpid()))
time.sleep(0.3)
from tests.unit.client_stand_in import StandIn
path = home + "/imgqd.sock"
if os.path.exists(path):
    os.unlink(path)
with StandIn(path) as stand_in:
    stand_in.status["folders"] = []
    time.sleep(60)
"""


class Machine:
    """A home in which a daemon can be started."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.home = os.path.join(folder, "home")
        self.packages = os.path.join(folder, "packages")
        os.makedirs(os.path.join(self.packages, "imgqd"))
        os.mkdir(self.home)
        self.daemon()
        self.environ = environment(IMGQ_HOME=self.home)
        self.environ["PYTHONPATH"] = os.pathsep.join((self.packages, PACKAGES))

    def daemon(self, before: str = "") -> None:
        """The daemon does `before` first."""
        for name, text in (
            ("__init__.py", ""),
            ("__main__.py", DAEMON.format(root=ROOT, before=before)),
        ):
            with open(os.path.join(self.packages, "imgqd", name), "w") as stream:
                stream.write(text)

    def started(self) -> list[str]:
        """One line for each time that a daemon was started."""
        try:
            with open(os.path.join(self.home, "started")) as stream:
                return stream.read().splitlines()
        except FileNotFoundError:
            return []

    def stop(self) -> None:
        """Ends the daemon, if there is one."""
        try:
            with open(os.path.join(self.home, "pid")) as stream:
                os.kill(int(stream.read()), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            pass


@pytest.fixture
def machine(tmp_path: os.PathLike[str]) -> Iterator[Machine]:
    machine = Machine(str(tmp_path))
    yield machine
    machine.stop()


def test_the_first_question_starts_the_daemon_and_the_next_finds_it(machine: Machine) -> None:
    for _ in range(2):
        done = run("x", "-l", environ=machine.environ)
        assert (done.returncode, done.stdout.count(b"\n")) == (0, 2), done.stderr
    assert len(machine.started()) == 1


def test_a_daemon_that_stops_without_a_word_is_followed_by_a_new_one(machine: Machine) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(machine.home, "imgqd.sock"))
        listener.listen(1)

        def hang_up() -> None:
            connection, _ = listener.accept()
            listener.close()
            connection.recv(1000)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        done = run("x", "-l", environ=machine.environ)
        thread.join()
    assert (done.returncode, done.stdout.count(b"\n")) == (0, 2), done.stderr
    assert len(machine.started()) == 1


def test_imgq_no_spawn_forbids_it(machine: Machine) -> None:
    done = run("x", environ={**machine.environ, "IMGQ_NO_SPAWN": "1"})
    assert (done.returncode, machine.started()) == (3, [])
    assert run("x", environ={**machine.environ, "IMGQ_NO_SPAWN": "0"}).returncode == 0


def test_wrong_usage_starts_nothing(machine: Machine) -> None:
    for arguments in (["x^0"], ["--like", "/gone"], ["-n", "0", "x"], ["--watch", "/gone"], []):
        assert run(*arguments, environ=machine.environ).returncode == 2
    assert machine.started() == []


def test_two_first_questions_at_once_share_one_daemon(machine: Machine) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "imgq", "x", "-l"],
            env=machine.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]  # fmt: skip
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out.count(b"\n")) == (0, 2), err


def test_a_stopping_daemon_is_waited_for_and_a_new_one_started(machine: Machine) -> None:
    lock = os.path.join(machine.home, "imgqd.lock")
    holder = subprocess.Popen(
        [sys.executable, "-c",
         "import fcntl, sys, time; lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX);"
         "print('held', flush=True); time.sleep(2.5)", lock],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout is not None
    holder.stdout.readline()
    done = run("x", "-l", environ=machine.environ)
    assert done.returncode == 0, done.stderr
    assert len(machine.started()) == 1
    holder.stdout.close()
    holder.wait(30)


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("sys.exit('config.toml: there is no setting colour')", "no setting colour"),
        ("print('first'); print('the last words\\n', file=sys.stderr); sys.exit(1)",
         "the last words"),
        ("sys.exit(7)", "it exited with 7 and said nothing"),
        ("sys.exit(0)", "it stopped at once"),
        ("sys.exit(4)", "it exited with 4 and said nothing"),
        ("os.kill(os.getpid(), 9)", "it exited with -9"),
    ],
)  # fmt: skip
def test_a_daemon_that_cannot_start_says_why(machine: Machine, before: str, said: str) -> None:
    machine.daemon(before)
    done = run("x", environ=machine.environ)
    assert (done.returncode, done.stdout) == (3, b"")
    text = done.stderr.decode()
    assert said in text and os.path.join(machine.home, "imgqd.log") in text
    assert text.count("\n") == 1


def test_a_daemon_that_takes_too_long_is_a_timeout(machine: Machine) -> None:
    machine.daemon("time.sleep(3)")
    done = run("x", "--timeout", "0.5", environ=machine.environ)
    assert done.returncode == 4
    assert b"still starting" in done.stderr


def test_a_file_in_the_current_folder_is_not_the_daemon(machine: Machine) -> None:
    with open(os.path.join(machine.folder, "imgqd.py"), "w") as stream:
        stream.write(f"open({machine.folder!r} + '/hijacked', 'w')")
    done = subprocess.run(
        [os.path.realpath(sys.executable), "-P", "-m", "imgq", "x", "-l"],
        env=machine.environ, cwd=machine.folder, capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not os.path.exists(os.path.join(machine.folder, "hijacked"))


def test_a_relative_home_means_the_same_to_both(machine: Machine) -> None:
    done = run("x", "-l", environ={**machine.environ, "IMGQ_HOME": "home"}, cwd=machine.folder)
    assert done.returncode == 0, done.stderr
    assert len(machine.started()) == 1


def test_a_daemon_without_folders_is_told_about(machine: Machine) -> None:
    machine.daemon("import tests.unit.client_stand_in as module; module.RESULTS.clear()")
    done = run("x", environ=machine.environ)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"no folder is watched yet; start with: imgq --watch" in done.stderr


def test_the_daemon_outlives_the_terminal_of_its_client(machine: Machine) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "imgq", "x", "-l"],
        env=machine.environ, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    process.communicate(timeout=60)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGHUP)
    time.sleep(0.2)
    assert run("x", environ={**machine.environ, "IMGQ_NO_SPAWN": "1"}).returncode == 0

"""The command as a process: pipes that break, full disks, closed descriptors, Ctrl-C, imports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

import imgq
from tests.unit.client_kit import home
from tests.unit.client_process import environment, run
from tests.unit.client_stand_in import Asked, Said, StandIn, answer, result

__all__ = ["home"]


@pytest.fixture
def stand_in(home: str) -> Iterator[StandIn]:
    with StandIn(os.path.join(home, "imgqd.sock")) as stand_in:
        yield stand_in


def test_a_reader_that_leaves_early_is_no_trouble(stand_in: StandIn, home: str) -> None:
    stand_in.results = [result(n, f"/p/{'x' * 3000}{n}.jpg", 0.5) for n in range(1, 1001)]
    environ = environment(IMGQ_HOME=home, IMGQ_NO_SPAWN="1")
    process = subprocess.Popen(
        [sys.executable, "-m", "imgq", "x", "-l", "-n", "1000"],
        env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(30) == 0


def test_a_full_disk_is_said(stand_in: StandIn, home: str) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "imgq", "x", "-l"],
            env=environment(IMGQ_HOME=home), stdout=full, stderr=subprocess.PIPE, timeout=60,
        )  # fmt: skip
    assert done.returncode == 4
    assert b"No space left" in done.stderr and b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize(("closed", "code"), [(">&-", 4), ("2>&-", 0), ("<&-", 0)])
def test_closed_descriptors_are_no_trouble(
    stand_in: StandIn, home: str, closed: str, code: int
) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m imgq x -l {closed}', sys.executable],
        env=environment(IMGQ_HOME=home), capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == code
    assert b"Traceback" not in done.stderr and b"Exception" not in done.stderr


def test_interrupt_is_quiet_and_exit_130(stand_in: StandIn, home: str) -> None:
    asked = []

    def never(request: Asked) -> Said:
        asked.append(request)
        time.sleep(5)
        return Said(answer([]))

    stand_in.routes["POST", "/v1/search"] = never
    process = subprocess.Popen(
        [sys.executable, "-m", "imgq", "x"],
        env=environment(IMGQ_HOME=home), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while not asked:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_an_image_on_standard_input_is_an_example(stand_in: StandIn, home: str) -> None:
    command = [sys.executable, "-m", "imgq", "--like", "-^2", "-l"]
    environ = environment(IMGQ_HOME=home)
    done = subprocess.run(command, env=environ, input=b"\x00\xff", capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    (sent,) = stand_in.bodies("/v1/search")
    assert sent["terms"] == [{"image": "AP8=", "name": "-", "weight": 2.0}]
    for arguments, stdin in ((["--like", "-"], b"x"), ([], b"")):
        done = subprocess.run(
            command + arguments, env=environ, input=stdin, capture_output=True, timeout=60
        )
        assert done.returncode == 2 and b"standard input" in done.stderr


def test_words_that_are_no_text_are_refused(stand_in: StandIn, home: str) -> None:
    done = run(b"caf\xe9", environ=environment(IMGQ_HOME=home, LC_ALL="C.UTF-8"))
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"not valid text" in done.stderr


SCRIPT = os.path.join(os.path.dirname(os.path.dirname(imgq.__file__)), "scripts", "imgq")


@pytest.mark.skipif(not os.path.exists(SCRIPT), reason="imgq is installed without its source")
def test_the_installed_script_writes_everything_and_keeps_the_exit_code(
    stand_in: StandIn, home: str
) -> None:
    stand_in.results = [result(n, f"/p/{'x' * 900}{n}.jpg", 0.5) for n in range(1, 1001)]
    for arguments, code, lines in ((["x", "-n", "1000"], 0, 1000), (["x", "-n", "0"], 2, 0)):
        done = subprocess.run(
            [sys.executable, SCRIPT, *arguments],
            env=environment(IMGQ_HOME=home), capture_output=True, timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stdout.count(b"\n")) == (code, lines)
        assert bool(done.stderr) is (code == 2)


HEAVY = (
    "argparse", "re", "typing", "dataclasses", "pathlib", "subprocess", "http", "urllib", "email",
    "threading", "socket", "json", "enum", "collections", "hashlib", "tempfile", "shutil", "logging",
    "imgq.spawn", "imgq.preview", "imgq.watch", "imgq.helptext", "imgq.terminal", "imgq.opening",
)  # fmt: skip


@pytest.mark.parametrize("arguments", [["x", "-l"], ["x"], ["-0", "x"], ["--json", "x"],
                                       ["--scores", "x"], ["--version"]], ids=" ".join)  # fmt: skip
def test_a_plain_question_imports_next_to_nothing(
    stand_in: StandIn, home: str, arguments: list[str]
) -> None:
    script = (
        "import os, sys; before = set(sys.modules); from imgq.cli import main; code = main(sys.argv[1:]);"
        "print(*sorted(set(sys.modules) - before), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", script, *arguments],
        env=environment(IMGQ_HOME=home), capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    loaded = done.stderr.decode().split()
    assert [name for name in loaded if name in HEAVY] == []
    assert len(loaded) <= 20, loaded
    if arguments == ["--version"]:
        assert not any(name in loaded for name in ("_socket", "imgq.client", "imgq.query"))

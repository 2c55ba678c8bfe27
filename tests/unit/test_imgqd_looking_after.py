"""imgqd as a process, the doctor's findings, and progress as a person sees it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from imgqd import bars, machine
from imgqd.commands import following
from imgqd.lock import InstanceLock
from tests.unit.imgqd_kit import api, environment, home, imgqd
from tests.unit.small_daemon import SmallDaemon, running

__all__ = ["api", "home", "imgqd"]


def test_asking_commands_load_neither_the_server_nor_the_models(api, home):
    program = (
        "import sys\nfrom imgqd.cli import main\nmain(['status'])\n"
        "print([m for m in ('aiohttp', 'torch', 'numpy', 'faiss', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(home)
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_stops_reading_is_no_error(api, home):
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(write_end, "wb", buffering=0) as closed:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "imgqd", "status", "--json"],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(home),
        )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_without_unicode_is_no_error(api, home):
    api.daemon.watched["/photos/été".encode()] = []
    done = subprocess.run(
        [sys.executable, "-P", "-m", "imgqd", "folders"],
        capture_output=True,
        env={**environment(home), "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0
    assert rb"/photos/\xe9t\xe9" in done.stdout


def test_status_follow_shows_each_change_and_ends_with_the_daemon(tmp_path):
    home = str(tmp_path / "home")
    daemon = SmallDaemon()
    with running(home, daemon=daemon):
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "imgqd", "status", "--follow"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(home),
        )
        assert process.stdout.readline() == "idle\n"
        daemon.progress = {"stage": "index", "detail": "", "done": 5, "total": 20}
        line = process.stdout.readline()
        assert line.startswith("indexing  |")
        assert "5 of 20" in line
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "the daemon has stopped" in err


def test_stop_ends_a_daemon_that_does_not_answer(home, imgqd):
    os.makedirs(home, 0o700)
    program = (
        "import sys, time\nfrom imgqd.lock import InstanceLock\n"
        "InstanceLock(sys.argv[1], 'home').acquire()\nprint('held', flush=True)\ntime.sleep(600)"
    )
    stuck = subprocess.Popen(
        [sys.executable, "-c", program, os.path.join(home, "imgqd.lock")],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(home),
    )
    assert stuck.stdout.readline() == "held\n"
    said = imgqd("stop")
    assert said.code == 0
    assert f"pid {stuck.pid}" in said.err
    assert stuck.wait(60) == -signal.SIGTERM
    stuck.stdout.close()


def test_doctor_finds_nothing_wrong_where_nothing_is(api, imgqd):
    found = imgqd("doctor", "--json").json
    checks = {finding["check"] for finding in found["findings"]}
    assert {"versions", "data", "socket", "daemon", "library", "disk", "models", "clock"} <= checks
    for finding in found["findings"]:
        assert set(finding) == {"check", "state", "detail", "remedy"}
        assert finding["state"] in ("ok", "warning", "error")
        assert bool(finding["remedy"]) == (finding["state"] != "ok")


def findings(said, check):
    return [finding for finding in said.json["findings"] if finding["check"] == check]


def test_doctor_says_what_to_do_about_a_folder_that_is_open(home, imgqd):
    os.makedirs(home)
    os.chmod(home, 0o755)
    said = imgqd("doctor", "--json")
    assert said.code == 1
    finding = findings(said, "data")[0]
    assert finding["state"] == "warning"
    assert "chmod 700" in finding["remedy"]
    assert f"chmod 700 {home}" in imgqd("doctor").out


def test_doctor_says_what_to_do_about_broken_settings(home, imgqd):
    os.makedirs(home, 0o700)
    with open(os.path.join(home, "config.toml"), "w") as stream:
        stream.write("not toml")
    said = imgqd("doctor", "--json")
    assert said.code == 1
    assert findings(said, "settings")[0]["state"] == "error"


def test_doctor_says_what_to_do_about_a_library_that_is_none(home, imgqd):
    os.makedirs(home, 0o700)
    with open(os.path.join(home, "library.db"), "wb") as stream:
        stream.write(b"garbage " * 4000)
    said = imgqd("doctor", "--json")
    assert said.code == 1
    assert findings(said, "library")[0]["state"] == "error"
    with open(os.path.join(home, "library.db"), "rb") as stream:
        assert stream.read(8) == b"garbage "


def test_doctor_notices_a_daemon_that_does_not_answer(home, imgqd):
    os.makedirs(home, 0o700)
    with InstanceLock(os.path.join(home, "imgqd.lock"), home):
        said = imgqd("doctor", "--json")
    assert said.code == 1
    assert f"pid {os.getpid()}" in findings(said, "daemon")[0]["detail"]


def test_doctor_asks_the_hub_only_when_told_to(home, imgqd, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        assert findings(imgqd("doctor", "--json"), "hub") == []
        (finding,) = findings(imgqd("doctor", "--json", "--online"), "hub")
    assert finding["state"] == "warning"
    assert "built-in model" in finding["detail"]


def test_doctor_compares_the_watch_limit_with_what_is_needed():
    limit = machine._kernel_limit("max_user_watches")
    if limit is None:
        pytest.skip("no inotify on this system")
    assert next(machine.watches(10)).state == "ok"
    needed = next(machine.watches(limit))
    assert needed.state == "warning"
    (number,) = re.findall(r"max_user_watches=(\d+)", needed.remedy)
    assert int(number) * machine.WATCH_SHARE > limit


@pytest.mark.parametrize(
    ("done", "total", "drawn"),
    [
        (0, 10, "          "),
        (5, 10, "█████     "),
        (10, 10, "██████████"),
        (99, 10, "██████████"),
        (1, 80, "▏         "),
        (0, 0, "          "),
        (-1, 10, "          "),
    ],
)
def test_a_bar_has_its_width_and_share(done, total, drawn):
    assert bars.bar(done, total, 10) == drawn


@pytest.mark.parametrize("width", [20, 40, 79, 200])
def test_a_progress_line_fits(width):
    line = bars.progress_line("indexing", 1234, 20_000, 12.0, width)
    assert len(line) <= width
    if width >= 79:
        assert "1,234 of 20,000  12/s  26 min left" in line


def test_a_pace_is_that_of_the_last_half_minute():
    pace = bars.Pace()
    assert pace.rate() == 0
    for second in range(100):
        pace.add(float(second), 10 * second if second < 50 else 500 + 2 * (second - 50))
    assert pace.rate() == pytest.approx(2.0)
    pace.add(101.0, 0)
    assert pace.rate() == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (8.4, "8 s"),
        (59.9, "1 min"),
        (3600, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (300_000, "3 days"),
    ],
)
def test_a_duration_is_said_as_a_person_would(seconds, words):
    assert bars.duration(seconds) == words


def test_the_state_line_names_what_is_done():
    def line(**found):
        return following.state_line(found, 0.0, 79)

    assert line(state="idle") == "idle"
    model = {"stage": "download", "detail": "ViT-B-32", "done": 12_345_678, "total": 350_000_000}
    download = line(state="starting", progress=model)
    assert download.startswith("downloading the model (ViT-B-32)  |")
    assert download.endswith("12 MB of 350 MB")
    step = {"stage": "check", "detail": "", "done": 0, "total": 1}
    assert line(state="starting", progress=step) == "checking the model"
    battery = {"paused": True, "paused_by": "battery"}
    assert line(state="idle", progress={"stage": ""}, **battery) == "paused on battery power"
    paused = {"stage": "index", "detail": "paused", "done": 1, "total": 4}
    assert line(state="indexing", paused=True, progress=paused).startswith("paused  |")

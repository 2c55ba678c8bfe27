"""The commands of imgqd: what they ask of a daemon, what they say, what they exit with."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading

import pytest

from imgqd import bars, cli, machine
from imgqd.commands import following
from imgqd.commands import running as running_commands
from imgqd.lock import InstanceLock
from imgqd.settings import TABLE
from tests.unit.small_daemon import NOT_UTF8, SmallDaemon, running


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A fresh IMGQ_HOME in which no daemon is ever started."""
    folder = str(tmp_path / "home")
    monkeypatch.setenv("IMGQ_HOME", folder)
    monkeypatch.setenv("IMGQ_NO_SPAWN", "1")
    monkeypatch.delenv("IMGQ_SOCKET", raising=False)
    for setting in TABLE:
        monkeypatch.delenv(f"IMGQ_{setting.name.upper()}", raising=False)
    return folder


@pytest.fixture
def api(home):
    with running(home) as running_api:
        yield running_api


class Said:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def imgqd(capsys):
    """Runs one command in this process."""

    def command(*words):
        try:
            code = cli.main(words)
        except SystemExit as exit:
            code = exit.code
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Said(code, out, err)

    return command


# Without a daemon


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["status", "--json"],
        ["status", "--follow"],
        ["stop"],
        ["add", "/"],
        ["remove", "/"],
        ["folders"],
        ["sync"],
        ["problems"],
        ["retry"],
        ["model"],
        ["model", "builtin"],
    ],
    ids=" ".join,
)
def test_without_a_daemon_the_exit_code_is_3_and_says_what_to_do(home, imgqd, words):
    said = imgqd(*words)
    assert said.code == 3
    assert said.out == ""
    assert "no daemon is running" in said.err
    assert not os.path.exists(home)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["frobnicate"],
        ["status", "--js"],
        ["status", "--unknown"],
        ["add"],
        ["add", "/no/such/folder"],
        ["index", "/no/such/folder"],
        ["remove"],
        ["sync", "--timeout", "soon"],
        ["sync", "--timeout", "-1"],
        ["sync", "--timeout", "nan"],
        ["run", "--http-port", "many"],
        ["run", "--http-port", "-1"],
        ["run", "--device", "abacus"],
        ["run", "--det"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2_and_starts_nothing(home, imgqd, words):
    said = imgqd(*words)
    assert said.code == 2
    assert said.out == ""
    assert said.err
    assert not os.path.exists(os.path.join(home, "imgqd.lock"))


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.name)
def test_every_command_describes_itself_with_an_example_of_itself(command, imgqd):
    assert re.search(
        rf"Example: (imgqd {command.name}\b|curl .*imgqd {command.name})", command.help
    )
    said = imgqd(command.name, "--help")
    assert said.code == 0
    assert command.help.splitlines()[0][:40] in said.out
    assert command.name in imgqd("--help").out


def test_every_setting_is_an_option_of_run(imgqd):
    out = imgqd("run", "--help").out
    for setting in TABLE:
        assert f"--{setting.name.replace('_', '-')}" in out


def test_settings_on_the_command_line_survive_being_passed_on():
    words = [
        *["--http-port=8080", "--no-follow-links", "--log-queries", "--exclude", "-odd*"[1:]],
        *["--exclude=b c", "--model", "local-dir:/m", "--settle-ms", "10", "/photos"],
    ]
    args = cli.parser().parse_args(["run", *words])
    flags = running_commands.flags_of(args)
    assert flags == {
        "http_port": "8080",
        "follow_links": False,
        "log_queries": True,
        "exclude": ["odd*", "b c"],
        "model": "local-dir:/m",
        "settle_ms": "10",
    }
    again = []
    for name, value in flags.items():
        again += running_commands.flag_words(f"--{name.replace('_', '-')}", value)
    assert running_commands.flags_of(cli.parser().parse_args(["run", *again])) == flags


def test_config_shows_every_setting_and_where_it_came_from(home, imgqd, monkeypatch):
    os.makedirs(home)
    with open(os.path.join(home, "config.toml"), "w") as stream:
        stream.write('http_port = 8080\nexclude = ["*.tmp"]\n')
    monkeypatch.setenv("IMGQ_DEVICE", "cpu")
    rows = {row["name"]: row for row in imgqd("config", "--json").json["settings"]}
    assert set(rows) == {setting.name for setting in TABLE}
    assert (rows["http_port"]["value"], rows["http_port"]["source"]) == (8080, "file")
    assert (rows["device"]["value"], rows["device"]["source"]) == ("cpu", "environment")
    assert (rows["model"]["value"], rows["model"]["source"]) == ("auto", "default")
    text = imgqd("config").out
    assert "http_port = 8080  (file)" in text
    assert "exclude = *.tmp  (file)" in text


def test_a_broken_config_file_is_named(home, imgqd):
    os.makedirs(home)
    with open(os.path.join(home, "config.toml"), "w") as stream:
        stream.write("http_prt = 8080\n")
    for words in (["config"], ["run"], ["verify"]):
        said = imgqd(*words)
        assert said.code == 2
        assert "http_prt" in said.err


def test_a_home_that_cannot_be_made_private_is_refused(home, imgqd, tmp_path):
    (tmp_path / "home").symlink_to(tmp_path)
    said = imgqd("run")
    assert said.code == 4
    assert "symbolic link" in said.err


def test_the_second_daemon_is_told_who_runs(home, imgqd):
    os.makedirs(home, 0o700)
    with InstanceLock(os.path.join(home, "imgqd.lock"), home):
        for words in (["run"], ["run", "--detach"]):
            said = imgqd(*words) if words == ["run"] else whole(home, *words)
            assert said.code == 4
            assert f"pid {os.getpid()}" in said.err
            assert home in said.err


# With one


def test_folders_are_added_listed_and_removed_by_exact_name(api, imgqd, tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9\nx"
    os.mkdir(folder)
    name = os.fsdecode(folder)
    assert imgqd("add", name, "--exclude", "*.tmp").code == 0
    assert api.daemon.watched == {folder: ["*.tmp"]}
    (listed,) = imgqd("folders", "--json").json["folders"]
    assert base64.b64decode(listed["path_b64"]) == folder
    (line,) = imgqd("folders").out.splitlines()
    assert line.startswith("watching")
    assert "caf\\xe9\\nx" in line
    assert imgqd("remove", name).code == 0
    assert api.daemon.watched == {}
    assert imgqd("remove", name).code == 4
    assert "no folder is watched" in imgqd("folders").err


def test_a_relative_folder_is_meant_from_here(api, imgqd, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    assert imgqd("add", "here").code == 0
    assert list(api.daemon.watched) == [os.fsencode(tmp_path / "here")]


def test_status_is_one_object_for_programs(api, imgqd):
    found = imgqd("status", "--json").json
    assert found["pid"] == os.getpid()
    assert found["pictures"] == 2


def test_status_tells_a_person_what_matters(api, imgqd):
    api.daemon.watched[b"/photos"] = []
    out = imgqd("status").out
    for words in (
        f"pid {os.getpid()}",
        "idle",
        "2 pictures in 3 files",
        "1 problem (imgqd problems)",
        "auto: builtin, 512 numbers",
        "exact, 2 vectors",
        "90 MB",
        "watching",
        "/photos",
    ):
        assert words in out


def test_sync_says_no_with_1_when_time_is_over(api, imgqd):
    said = imgqd("sync", "--timeout", "0")
    assert said.code == 1
    assert "3 files left" in said.err
    assert "caf\\xe9.jpg is offline" in said.err
    api.daemon.in_sync.set()
    assert imgqd("sync").code == 0


def test_pause_and_resume_ask_the_daemon(api, imgqd):
    said = imgqd("pause")
    assert (said.code, api.daemon.paused) == (0, True)
    assert "imgqd resume" in said.err
    said = imgqd("resume")
    assert (said.code, api.daemon.paused) == (0, False)


def test_sync_waits_as_long_as_it_takes(api, imgqd):
    timer = threading.Timer(0.3, api.daemon.in_sync.set)
    timer.start()
    assert imgqd("sync").code == 0
    assert api.daemon.in_sync.is_set()


def test_problems_are_the_answer_1_and_none_are_0(api, imgqd):
    said = imgqd("problems")
    assert said.code == 1
    assert "caf\\xe9.jpg" in said.out
    assert "corrupt: cut off" in said.out
    as_json = imgqd("problems", "--json")
    assert as_json.code == 1
    assert base64.b64decode(as_json.json["problems"][0]["path_b64"]) == NOT_UTF8
    assert imgqd("retry", "/elsewhere").code == 1
    assert imgqd("retry", os.fsdecode(NOT_UTF8)).code == 0
    assert imgqd("problems").code == 0
    assert imgqd("problems", "--json").json == {"problems": []}


def test_the_model_is_shown_and_changed(api, imgqd, tmp_path, monkeypatch):
    assert "auto: builtin" in imgqd("model").out
    monkeypatch.chdir(tmp_path)
    assert imgqd("model", "local-dir:weights").code == 0
    assert api.daemon.spec == f"local-dir:{tmp_path}/weights"
    assert imgqd("model", "--json").json["spec"] == api.daemon.spec


def test_verify_says_what_differs_and_1(api, imgqd, home):
    with InstanceLock(os.path.join(home, "imgqd.lock"), home):
        said = imgqd("verify")
        assert said.code == 1
        assert "missing: /photos/caf\\xe9.jpg: gone" in said.out
        assert "imgqd verify --repair" in said.err
        assert imgqd("verify", "--json").json["ok"] is False


def test_config_asks_the_daemon_that_runs(api, imgqd):
    found = imgqd("config", "--json").json
    assert found["of"] == "of the running daemon"


def test_another_daemon_is_asked_where_imgq_socket_says(api, imgqd, monkeypatch, tmp_path):
    monkeypatch.setenv("IMGQ_HOME", str(tmp_path / "other"))
    assert imgqd("status").code == 3
    monkeypatch.setenv("IMGQ_SOCKET", api.locations.socket)
    assert imgqd("status").code == 0


def test_a_daemon_that_fails_is_4_with_its_sentence(api, home):
    api.daemon.watched = None
    said = whole(home, "status")
    assert said.code == 4
    assert said.err.startswith("imgqd: ")


def test_the_token_is_printed_made_and_rotated(home, imgqd):
    first = imgqd("token").out.strip()
    path = os.path.join(home, "token")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert imgqd("token").out.strip() == first
    second = imgqd("token", "--rotate").out.strip()
    assert second != first
    with open(path) as stream:
        assert stream.read().strip() == second


# Whole processes


def whole(home, *words, **options):
    """Runs one command as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "imgqd", *words],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(home),
        **options,
    )
    assert "Traceback" not in done.stderr
    return Said(done.returncode, done.stdout, done.stderr)


def environment(home):
    path = os.pathsep.join(part for part in sys.path if part)
    return {**os.environ, "IMGQ_HOME": home, "PYTHONPATH": path}


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


# Doctor


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


# Bars


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

"""The commands of imgqd: what they ask of a daemon, what they say, what they exit with."""

from __future__ import annotations

import base64
import os
import re
import stat
import threading

import pytest

from imgqd import cli
from imgqd.commands import running as running_commands
from imgqd.lock import InstanceLock
from imgqd.settings import TABLE
from tests.unit.imgqd_kit import api, home, imgqd, whole
from tests.unit.small_daemon import NOT_UTF8

__all__ = ["api", "home", "imgqd"]


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

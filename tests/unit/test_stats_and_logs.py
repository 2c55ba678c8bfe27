"""`imgqd stats` and `imgqd logs`: what they show, and that nothing in it can harm a terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from imgqd import cli
from imgqd.commands.logs import log_lines
from imgqd.commands.stats import chart
from imgqd.lock import InstanceLock
from tests.unit.imgqd_kit import home
from tests.unit.small_daemon import running

__all__ = ["home"]


def entry(number, level="info", **more):
    return json.dumps(
        {
            "event": f"line {number}",
            "level": level,
            "logger": "daemon",
            "timestamp": "2024-06-30T12:00:00.1+02:00",
            **more,
        }
    )


def write(path, lines, mode="w"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, mode) as stream:
        stream.writelines(f"{line}\n" for line in lines)


# Statistics


def test_stats_draws_bars_and_harms_no_terminal(home, capsys):
    with running(home):
        capsys.readouterr()
        assert cli.main(["stats"]) == 0
    out = capsys.readouterr().out
    assert "3 searches since 2024-06-30; half within 20 ms, 95% within 50 ms" in out
    assert "2024-06-30  ████████████████████████  3  95% within 50 ms" in out
    assert "by year\n  2024  ████████████████████████  2" in out
    assert "\x1b[31m" not in out
    assert "beach" in out


def test_stats_are_one_json_object_for_programs(home, capsys):
    with running(home):
        capsys.readouterr()
        assert cli.main(["stats", "--json", "--days", "1"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["searches"] == 3
    assert told["library"]["year"] == [{"value": "2024", "count": 2}]


def test_words_are_forgotten_when_told_to(home, capsys):
    with running(home):
        capsys.readouterr()
        assert cli.main(["stats", "--forget-words"]) == 0
    assert "1 word forgotten" in capsys.readouterr().err


@pytest.mark.parametrize("days", ["0", "401", "x"])
def test_days_that_are_none_are_wrong_usage(home, capsys, days):
    with pytest.raises(SystemExit) as ended:
        cli.main(["stats", "--days", days])
    assert ended.value.code == 2


def test_bars_line_up_whatever_the_labels_are():
    rows = chart("words", [("日本", 10, ""), ("a", 5, "")])[2:]
    assert rows == ["  日本  " + "█" * 24 + "  10", "  a     " + "█" * 12 + " " * 12 + "   5"]
    assert chart("words", []) == []
    assert chart("words", [(str(n), 1, "") for n in range(12)])[-1] == "  and 2 more: --json"


# Logs


def test_the_last_lines_are_shown_across_the_older_file(home, capsys):
    log = os.path.join(home, "imgqd.log")
    write(f"{log}.1", [entry(n) for n in range(8)])
    write(log, [entry(8), entry(9, "error", path="/a\x1b[2J", exception="Traceback\n  line")])
    assert cli.main(["logs", "-n", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:37] for line in lines[:3]] == [
        "2024-06-30 12:00:00 info     line 7",
        "2024-06-30 12:00:00 info     line 8",
        "2024-06-30 12:00:00 error    line 9  ",
    ]
    assert "\x1b" not in "".join(lines)
    assert lines[3:] == ["    Traceback", "      line"]
    assert cli.main(["logs", "--json", "--lines=1"]) == 0
    assert json.loads(capsys.readouterr().out)["event"] == "line 9"


def test_what_is_no_json_is_shown_as_it_is(home, capsys):
    write(os.path.join(home, "imgqd.log"), ["plain \x1b[31mtext", "{}", "[1]"])
    assert cli.main(["logs"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("plain ")
    assert "\x1b" not in out
    assert out.splitlines()[1:] == ["{}", "[1]"]


def test_without_a_log_the_answer_is_no(home, capsys):
    assert cli.main(["logs"]) == 1
    assert "no log yet" in capsys.readouterr().err
    assert not os.path.exists(home)


def test_a_daemon_that_is_no_service_is_read_from_its_file(home, capsys):
    write(os.path.join(home, "imgqd.log"), [entry(1)])
    with InstanceLock(os.path.join(home, "imgqd.lock"), home):
        assert cli.main(["logs"]) == 0
    assert "line 1" in capsys.readouterr().out


def test_following_goes_on_through_a_rotation(tmp_path):
    log = str(tmp_path / "imgqd.log")
    write(log, ["one", "two"])
    lines = log_lines(log, 1, follow=True)
    assert next(lines) == "two\n"
    with open(log, "a") as stream:
        stream.write("thr")
        stream.flush()
        stream.write("ee\n")
    assert next(lines) == "three"
    write(log, ["four"], "a")
    os.rename(log, f"{log}.1")
    write(log, ["five"])
    assert [next(lines) for _ in range(2)] == ["four", "five"]


def test_following_waits_for_a_log_and_ends_by_control_c(home):
    log = os.path.join(home, "imgqd.log")
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "imgqd", "logs", "--follow"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    write(log, [entry(1)])
    assert "line 1" in process.stdout.readline()
    write(log, [entry(2)], "a")
    assert "line 2" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out, "Traceback" in err) == ("", False)

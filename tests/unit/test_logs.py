"""Logs: nothing blocks the daemon, nothing grows without limit, nothing is said a thousand times."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import stat
import sys
import threading

import pytest
import structlog

from imgqd import logs


@contextlib.contextmanager
def logging_to(path=None, terminal=None, level="info"):
    """Yields structlog's logger while everything goes to `path` and `terminal`."""
    root = logging.getLogger()
    before, level_before = list(root.handlers), root.level
    handler = logs.configure(level, file=path, terminal=terminal)
    try:
        yield structlog.get_logger("test")
        assert handler.flush_all(30)
    finally:
        handler.close()
        root.handlers[:] = before
        root.setLevel(level_before)
        logging.captureWarnings(False)
        structlog.reset_defaults()


def lines(path):
    with open(path) as stream:
        return [json.loads(line) for line in stream]


def test_the_file_holds_json_lines_for_this_user_only(tmp_path):
    path = str(tmp_path / "log" / "imgqd.log")
    with logging_to(path) as log:
        log.info("ready", home=b"/home/me", pid=3)
        logging.getLogger("aiohttp.server").warning("from %s", "elsewhere")
    first, second = lines(path)
    assert first["event"] == "ready"
    assert (first["home"], first["pid"], first["level"]) == ("/home/me", 3, "info")
    assert (second["event"], second["logger"]) == ("from elsewhere", "aiohttp.server")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_what_is_below_the_level_is_left_out(tmp_path):
    path = str(tmp_path / "imgqd.log")
    with logging_to(path, level="warning") as log:
        log.info("chatter")
        log.debug("more chatter")
        log.warning("a problem")
    assert [line["event"] for line in lines(path)] == ["a problem"]


def test_the_small_talk_of_other_packages_is_left_out(tmp_path):
    path = str(tmp_path / "imgqd.log")
    with logging_to(path) as log:
        logging.getLogger("faiss.loader").info("Loading faiss.")
        log.info("ready")
    assert [line["event"] for line in lines(path)] == ["ready"]


def test_a_problem_that_repeats_is_named_once(tmp_path):
    path = str(tmp_path / "imgqd.log")
    with logging_to(path) as log:
        for attempt in range(50):
            for name in (b"/a.jpg", b"/b.jpg"):
                log.warning("cannot be indexed", path=name, attempts=attempt)
            logging.getLogger("other").error("the same %s", "words")
    assert [line.get("path", "other") for line in lines(path)] == ["/a.jpg", "/b.jpg", "other"]


def test_a_problem_that_lasts_is_named_again_with_its_count():
    now = [0.0]
    repeats = logs.Repeats(clock=lambda: now[0])

    def seen(event, level=logging.WARNING):
        record = logging.LogRecord("x", level, "", 0, {"event": event}, (), None)
        return repeats.count(record)

    assert seen("a") == 0
    assert [seen("a") for _ in range(5)] == [None] * 5
    now[0] = logs.REPEAT_S + 1
    assert seen("a") == 5
    assert seen("a") is None
    assert seen("b", logging.INFO) == 0
    assert seen("b", logging.INFO) == 0


def test_what_was_said_is_remembered_within_bounds(monkeypatch):
    monkeypatch.setattr(logs, "REMEMBERED", 10)
    repeats = logs.Repeats()
    for number in range(1000):
        event = {"event": str(number)}
        repeats.count(logging.LogRecord("x", logging.ERROR, "", 0, event, (), None))
    assert len(repeats._seen) == 10


def test_files_stay_under_their_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "FILE_BYTES", 20_000)
    path = str(tmp_path / "imgqd.log")
    with logging_to(path) as log:
        for number in range(5000):
            log.error("a new problem each time", path=f"/photos/{number}.jpg")
    files = sorted(os.listdir(tmp_path))
    assert files == ["imgqd.log", "imgqd.log.1", "imgqd.log.2", "imgqd.log.3"]
    assert sum(os.path.getsize(tmp_path / name) for name in files) <= 4 * 20_000
    assert {stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in files} == {0o600}
    assert lines(path)[-1]["path"] == "/photos/4999.jpg"


def test_a_file_name_cannot_forge_a_line_or_colour_the_terminal(tmp_path):
    path = str(tmp_path / "imgqd.log")
    terminal = io.StringIO()
    with logging_to(path, terminal) as log:
        log.warning("bad", path=b"/a\nlevel=info event=forged\x1b[31m\xff.jpg", other="x" * 9999)
    (line,) = terminal.getvalue().splitlines()
    assert "\x1b" not in line
    assert "\\nlevel=info" in line.replace("\\\\", "\\")
    (entry,) = lines(path)
    assert entry["path"] == "/a\\nlevel=info event=forged\\x1b[31m\\xff.jpg"
    assert len(entry["other"]) < 2100


def test_a_traceback_is_one_line_where_lines_matter(tmp_path):
    terminal = io.StringIO()
    with logging_to(None, terminal) as log:
        try:
            raise ValueError("a defect")
        except ValueError:
            log.exception("failed")
    (line,) = terminal.getvalue().splitlines()
    assert "ValueError: a defect" in line


def test_a_person_is_told_what_a_traceback_is_about_and_the_file_has_it(tmp_path):
    path, terminal = str(tmp_path / "imgqd.log"), io.StringIO()
    with logging_to(path, terminal) as log:
        try:
            raise ValueError("a defect")
        except ValueError:
            log.exception("failed")
    assert "Traceback" not in terminal.getvalue()
    assert 'error="ValueError: a defect"' in terminal.getvalue()
    (entry,) = lines(path)
    assert entry["exception"].startswith("Traceback")


def test_the_journal_gets_priorities_and_no_file_beside_it(tmp_path, monkeypatch):
    read_end, write_end = os.pipe()
    info = os.fstat(write_end)
    monkeypatch.setenv("JOURNAL_STREAM", f"{info.st_dev}:{info.st_ino}")
    path = str(tmp_path / "imgqd.log")
    with open(write_end, "w") as stream, logging_to(path, stream) as log:
        log.info("ready", folders=3)
        log.error("broken", path=b"/x")
    with open(read_end) as stream:
        assert stream.read().splitlines() == [
            "<6>event=ready folders=3 logger=test",
            "<3>event=broken path=/x logger=test",
        ]
    assert not os.path.exists(path)


def test_a_terminal_gets_colours_unless_it_wants_none(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    colourful, plain = Terminal(), Terminal()
    with logging_to(None, colourful) as log:
        log.info("ready")
    monkeypatch.setenv("NO_COLOR", "1")
    with logging_to(None, plain) as log:
        log.info("ready")
    assert "\x1b[" in colourful.getvalue()
    assert "\x1b[" not in plain.getvalue()
    assert "ready" in plain.getvalue()


def test_a_reader_that_does_not_read_holds_nobody_up():
    read_end, write_end = os.pipe()
    with open(write_end, "w") as stream:
        handler = logs.configure("info", file=None, terminal=stream)
        log = structlog.get_logger("test")
        done = threading.Event()

        def work():
            for number in range(2 * logs.QUEUE_LINES):
                log.info("a line", number=number, padding="x" * 100)
            done.set()

        threading.Thread(target=work, daemon=True).start()
        try:
            assert done.wait(120)
        finally:
            # Reading on lets the writing thread go.
            threading.Thread(target=drain, args=(read_end,), daemon=True).start()
            assert handler.flush_all(60)
            handler.close()
            logging.captureWarnings(False)
            structlog.reset_defaults()


def drain(descriptor):
    with contextlib.suppress(OSError):
        while os.read(descriptor, 65536):
            pass
    os.close(descriptor)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_costs_lines_and_nothing_else(tmp_path):
    path = str(tmp_path / "imgqd.log")
    full = open("/dev/full", "w")  # noqa: SIM115 - closing it fails, as the disk is full
    with logging_to(path, full) as log:
        log.error("the disk is full")
        log.error("and goes on")
    with contextlib.suppress(OSError):
        full.close()
    assert [line["event"] for line in lines(path)] == ["the disk is full", "and goes on"]


def test_a_log_file_that_cannot_be_made_is_said_where_it_can_be(tmp_path):
    terminal = io.StringIO()
    (tmp_path / "file").write_text("")
    with logging_to(str(tmp_path / "file" / "imgqd.log"), terminal) as log:
        log.info("goes on")
    assert "the log file cannot be written" in terminal.getvalue()
    assert "goes on" in terminal.getvalue()


def test_a_defect_in_a_thread_is_logged(tmp_path, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr("sys.excepthook", sys.excepthook)
    path = str(tmp_path / "imgqd.log")
    with logging_to(path):
        logs.catch_uncaught()
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
    (line,) = lines(path)
    assert line["level"] == "critical"
    assert "ZeroDivisionError" in line["exception"]

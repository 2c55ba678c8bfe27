"""--watch and --sync: what is sent, in which order, how waiting looks and how it ends."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

import pytest

from imgq import watch
from imgq.cli import main
from tests.unit.client_process import environment, run, run_in_terminal
from tests.unit.client_stand_in import Asked, Said, StandIn, refusal

Captured = pytest.CaptureFixture[bytes]


@pytest.fixture
def home(tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("IMGQ_HOME", str(tmp_path))
    monkeypatch.setenv("IMGQ_NO_SPAWN", "1")
    monkeypatch.delenv("IMGQ_SOCKET", raising=False)
    os.mkdir(os.path.join(tmp_path, "photos"))
    return str(tmp_path)


@pytest.fixture
def stand_in(home: str) -> Iterator[StandIn]:
    with StandIn(os.path.join(home, "imgqd.sock")) as stand_in:
        yield stand_in


def test_watch_with_text_adds_waits_and_answers(
    stand_in: StandIn, home: str, capfdbinary: Captured
) -> None:
    folder = os.path.join(home, "photos")
    stand_in.status.update(pictures=1234, problems=3)
    assert main(["--watch", folder, "sunset", "-l"]) == 0
    out, err = capfdbinary.readouterr()
    assert out == b"/photos/2023/beach.jpg\n/photos/2021/cliffs at dusk.jpg\n"
    assert f"{folder} is indexed and watched; 1,234 pictures can be found".encode() in err
    assert b"3 files could not be indexed: imgqd problems" in err
    order = [(asked.method, asked.path) for asked in stand_in.asked]
    assert order == [
        ("POST", "/v1/folders"), ("POST", "/v1/sync"), ("GET", "/v1/status"),
        ("POST", "/v1/search"),
    ]  # fmt: skip
    assert stand_in.bodies("/v1/folders") == [{"paths": [folder], "exclude": []}]
    assert stand_in.bodies("/v1/sync")[0]["timeout_s"] > 3600


def test_watch_alone_just_says_so(
    stand_in: StandIn, home: str, capfdbinary: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    os.mkdir(os.path.join(home, "more"))
    assert main(["--watch", "photos", "--watch=more/../more"]) == 0
    out, err = capfdbinary.readouterr()
    assert out == b""
    assert b"photos, " in err and b"more are indexed and watched" in err
    assert stand_in.bodies("/v1/search") == []
    assert stand_in.bodies("/v1/folders")[0]["paths"] == [
        os.path.join(home, "photos"),
        os.path.join(home, "more"),
    ]


def test_a_folder_that_the_daemon_refuses_is_wrong_usage(
    stand_in: StandIn, home: str, capfdbinary: Captured
) -> None:
    stand_in.routes["POST", "/v1/folders"] = lambda asked: refusal(
        400, "usage", f"{home} is the daemon's own folder"
    )
    assert main(["--watch", home, "x"]) == 2
    assert b"own folder" in capfdbinary.readouterr().err


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"in_sync": False, "offline": [], "pending": 1200, "paused": True},
         b"indexing is paused, with 1,200 files waiting; go on with: imgqd resume"),
        ({"in_sync": False, "offline": [], "pending": 1, "paused": False},
         b"not indexed within 5 s, 1 file left; it goes on by itself"),
    ],
)  # fmt: skip
def test_what_cannot_be_waited_for_is_said(
    stand_in: StandIn, home: str, capfdbinary: Captured, answer: dict[str, object], said: bytes
) -> None:
    stand_in.routes["POST", "/v1/sync"] = lambda asked: Said(answer)
    assert main(["--watch", os.path.join(home, "photos"), "x", "--timeout", "5"]) == 4
    assert said in capfdbinary.readouterr().err
    assert 4 < stand_in.bodies("/v1/sync")[0]["timeout_s"] < 5


def test_a_reason_for_the_pause_is_told(
    stand_in: StandIn, home: str, capfdbinary: Captured
) -> None:
    stand_in.status["failure"] = "the disk is full; free some space"
    stand_in.routes["POST", "/v1/sync"] = lambda asked: Said(
        {"in_sync": False, "offline": [], "pending": 2, "paused": True}
    )
    assert main(["--watch", os.path.join(home, "photos")]) == 4
    assert b"with 2 files waiting: the disk is full" in capfdbinary.readouterr().err


def test_battery_power_is_named_where_it_is_the_reason(
    stand_in: StandIn, home: str, capfdbinary: Captured
) -> None:
    stand_in.status |= {"paused": True, "paused_by": "battery"}
    stand_in.routes["POST", "/v1/sync"] = lambda asked: Said(
        {"in_sync": False, "offline": [], "pending": 2, "paused": True}
    )
    assert main(["--watch", os.path.join(home, "photos")]) == 4
    said = capfdbinary.readouterr().err
    assert b"paused on battery power, with 2 files waiting; go on with: imgqd resume" in said


@pytest.mark.parametrize("arguments", [["--watch", "photos"], ["--sync", "x"]])
def test_a_model_that_cannot_be_had_is_not_waited_for(
    stand_in: StandIn,
    home: str,
    capfdbinary: Captured,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setattr(watch, "LINE_EVERY_S", 0.0)
    stand_in.status["failure"] = "there is no model NO/SUCH; see imgqd model"
    stand_in.status["model"]["id"] = None
    ended: list[int] = []

    def never(asked: Asked) -> Said:
        while not ended:
            time.sleep(0.02)
        return Said({})

    stand_in.routes["POST", "/v1/sync"] = stand_in.routes["POST", "/v1/search"] = never
    try:
        assert main(arguments) == 4
    finally:
        ended.append(1)
    assert b"there is no model NO/SUCH" in capfdbinary.readouterr().err


def test_offline_folders_are_named(stand_in: StandIn, home: str, capfdbinary: Captured) -> None:
    stand_in.routes["POST", "/v1/sync"] = lambda asked: Said(
        {"in_sync": True, "offline": ["/media/disk", {"path": "/m/\ufffd", "path_b64": "L20v/w=="}],
         "pending": 0, "paused": False}
    )  # fmt: skip
    assert main(["--watch", os.path.join(home, "photos"), "x"]) == 0
    err = capfdbinary.readouterr().err
    assert b"/media/disk is not there" in err and b"/m/\\xff is not there" in err


def test_a_bar_moves_while_pictures_are_indexed(stand_in: StandIn, home: str) -> None:
    done = 0
    finished: list[int] = []

    def sync(asked: Asked) -> Said:
        while not finished:
            time.sleep(0.02)
        return Said({"in_sync": True, "offline": [], "pending": 0, "paused": False})

    def status(asked: Asked) -> Said:
        nonlocal done
        done = min(done + 40, 300)
        progress = {"done": done, "total": 300, "stage": "index", "detail": ""}
        return Said({**stand_in.status, "pending": 300 - done, "progress": progress})

    def seen(output: bytes, process: object) -> None:
        if output.count(b"Indexing") >= 6 and b" left" in output:
            finished.append(1)

    stand_in.routes["POST", "/v1/sync"] = sync
    stand_in.routes["GET", "/v1/status"] = status
    output, code = run_in_terminal(
        "--watch", os.path.join(home, "photos"), "x",
        environ=environment(IMGQ_HOME=home, NO_COLOR="1"), seen=seen,
    )  # fmt: skip
    assert code == 0
    lines = re.findall(rb"\r(Indexing[^\r]*?)\x1b\[K", output)
    assert all(len(line) < 80 for line in lines)
    counts = [int(re.search(rb"(\d+) of 300", line)[1]) for line in lines]  # type: ignore[index]
    assert counts == sorted(counts) and len(set(counts)) > 2
    assert re.search(rb"\[#+-+\]  \d+ of 300  [\d.]+/s  \d+ s left", output)
    last = output.rsplit(b"\r\x1b[K", 1)[1]
    assert b"is indexed and watched" in last and b"beach.jpg" in last


def test_without_a_terminal_a_line_comes_now_and_then(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, capfdbinary: Captured
) -> None:
    monkeypatch.setattr(watch, "LINE_EVERY_S", 0.05)
    stand_in.status.update(pending=7)
    progress = watch.Progress(lambda: stand_in.status)
    for _ in range(20):
        progress.tick("sync")
        time.sleep(0.01)
    stand_in.status.update(pending=3)
    time.sleep(0.05)
    progress.tick("sync")
    progress.clear()
    lines = capfdbinary.readouterr().err.splitlines()
    assert 2 <= len(lines) < 10
    assert (lines[0], lines[-1]) == (b"Indexing  0 of 7", b"Indexing  4 of 7")


@pytest.mark.parametrize(
    ("why", "status", "said"),
    [
        ("start", {}, b"Starting the daemon"),
        ("sync", {"state": "starting"}, b"The daemon is starting"),
        ("sync", {"progress": {"stage": "scan", "detail": "/p"}}, b"Looking through /p"),
        ("sync", {"progress": {"stage": "embed", "done": 1, "total": 2}},
         b"Embedding with the new model  1 of 2"),
        ("sync", {"progress": {"stage": "mend", "detail": "the index"}}, b"Mend the index"),
        ("sync", {"paused": True, "pending": 5,
                  "progress": {"stage": "index", "done": 1, "total": 6}},
         b"Indexing is paused  1 of 6"),
        ("sync", {"progress": {"stage": "", "done": 9, "total": 9}}, b"Checking the folders"),
        ("sync", {}, b"Checking the folders"),
        ("model", {"model": {"spec": "auto"},
                   "progress": {"stage": "download", "detail": "weights", "done": 5, "total": 10}},
         b"Preparing the model, once: downloading (weights)  5 of 10"),
        ("model", {"model": {"spec": "a/b"}, "progress": {
            "stage": "download", "detail": "", "done": 80_500_000, "total": 605_000_000}},
         b"Preparing the model a/b, once: downloading  80 of 605 MB"),
        ("model", {"model": {"spec": "hf-hub:a/b"}, "progress": {"stage": "check"}},
         b"Preparing the model hf-hub:a/b, once: checking"),
    ],
)  # fmt: skip
def test_each_kind_of_waiting_has_its_words(
    why: str,
    status: dict[str, object],
    said: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: Captured,
) -> None:
    monkeypatch.setattr(watch, "LINE_EVERY_S", 0.0)
    watch.Progress(lambda: status).tick(why)
    assert capfdbinary.readouterr().err == said + b"\n"


def test_a_slow_answer_has_words_only_where_a_model_is_missing(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, capfdbinary: Captured
) -> None:
    monkeypatch.setattr(watch, "LINE_EVERY_S", 0.0)
    progress = watch.Progress(lambda: stand_in.status)
    progress.tick("answer")
    assert capfdbinary.readouterr().err == b""
    stand_in.status["model"]["id"] = None
    stand_in.status["progress"]["stage"] = "load"
    progress.tick("answer")
    assert capfdbinary.readouterr().err == b"Preparing the model, once: loading\n"


def test_a_short_search_says_nothing_of_waiting(stand_in: StandIn, home: str) -> None:
    done = run("x", environ=environment(IMGQ_HOME=home))
    assert done.stderr == b""

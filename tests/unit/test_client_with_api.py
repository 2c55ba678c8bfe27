"""The client and the daemon's own API, real on both sides of the door."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator

import pytest

import imgq
from imgq.cli import main
from tests.unit.client_kit import home
from tests.unit.small_daemon import NOT_UTF8, Running, running

__all__ = ["home"]

Captured = pytest.CaptureFixture[bytes]


@pytest.fixture
def daemon(home: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.chdir(home)
    with running(home, tcp=True) as daemon:
        daemon.daemon.in_sync.set()
        yield daemon


def test_every_option_makes_a_request_that_the_daemon_accepts(
    daemon: Running, capfdbinary: Captured
) -> None:
    with open("a.jpg", "wb") as stream:
        stream.write(b"picture")
    os.mkdir(b"caf\xe9")
    assert main(
        [
            "sun^2 + sea", "--not", "rain", "--like", "a.jpg^0.5", "--like", "id:7", "--not-like",
            "https://example.org/a.jpg", "--in", ".", "--in", os.fsdecode(b"caf\xe9"), "--after",
            "2 weeks ago", "--before", "2024-06-30", "--type", "jpeg,raw", "--camera", "pixel",
            "--near", "-33.9,18.4,10", "--tag", "a", "--category", "food",
            "--rating", "4", "--text", "anna", "--text", "b*", "--where", "print=A4", "--min-size", "10x20", "--orientation",
            "portrait", "--min-score", "-0.1", "-n", "1000", "--offset", "5", "--sync", "-0",
        ]
    ) == 0  # fmt: skip
    assert capfdbinary.readouterr() == (NOT_UTF8 + b"\0/photos/b.jpg\0", b"")
    assert main(["--literal", "C^2 + 1"]) == 0
    first, second = daemon.daemon.requests
    assert first["words"] == "anna b*" and first["where"] == [{"key": "print", "value": "A4"}]
    assert len(first["terms"]) == 6 and first["sync"] and first["timeout_s"] > 3600
    assert second["literal"] and second["terms"] == [{"text": "C^2 + 1"}]


def test_json_and_refusals_come_through(daemon: Running, capfdbinary: Captured) -> None:
    assert main(["--json", "x"]) == 0
    answer = json.loads(capfdbinary.readouterr().out)
    assert answer["results"][0]["path_b64"]
    assert main(["--in", "/photos"]) == 2
    assert b"at least one term" in capfdbinary.readouterr().err
    assert main(["x" * 20_000]) == 2
    assert main(["x^5000"]) == 2


def test_watching_goes_through_folders_and_sync(daemon: Running, capfdbinary: Captured) -> None:
    os.mkdir("photos")
    assert main(["--watch", "photos", "x", "-l"]) == 0
    assert list(daemon.daemon.watched) == [os.fsencode(os.path.abspath("photos"))]
    assert daemon.daemon.syncing == 1
    assert b"2 pictures can be found" in capfdbinary.readouterr().err


def test_loopback_wants_the_token_and_gets_it_from_its_file(
    daemon: Running, monkeypatch: pytest.MonkeyPatch, capfdbinary: Captured
) -> None:
    monkeypatch.setenv("IMGQ_SOCKET", f"http://127.0.0.1:{daemon.port}")
    assert main(["x", "-l"]) == 0
    capfdbinary.readouterr()
    os.rename(daemon.locations.token, daemon.locations.token + ".away")
    assert main(["x"]) == 4
    assert b"token" in capfdbinary.readouterr().err
    with open(daemon.locations.token, "w") as stream:
        stream.write("wrong")
    assert main(["x"]) == 4


def test_loopback_is_found_without_a_socket(daemon: Running) -> None:
    os.unlink(daemon.locations.socket)
    assert len(imgq.Client().search("x")) == 2


def test_the_python_client_reaches_everything(daemon: Running) -> None:
    os.mkdir("photos")
    client = imgq.Client()
    assert client.status()["state"] == "idle"
    events = client.events()
    assert client.watch("photos")["folders"]
    assert client.folders()[0]["files"] == 0
    assert client.unwatch("photos") == {"folders": []}
    assert client.sync(timeout=5) == {
        "in_sync": True, "offline": [], "pending": 0, "paused": False,
    }  # fmt: skip
    assert client.problems()[0]["path_b64"]
    assert client.retry(NOT_UTF8) == 1
    assert os.fsencode(client.picture(1).path) == NOT_UTF8
    assert client.picture(1).copies[0] == "/photos/copy.jpg"
    assert client.thumbnail(2, 64, format="png") == b"png 2 64"
    assert client.set_model("builtin")["spec"] == client.model()["spec"] == "builtin"
    assert client.config()["settings"]
    assert client.verify()["differences"]
    assert "imgq" in client.metrics()
    with pytest.raises(imgq.RefusedError) as caught:
        client.picture(99)
    assert (caught.value.status, caught.value.code) == (404, "not-found")
    os.mkdir("more")
    received = next_event_after(client, events)
    assert received[0] == "folder"
    events.close()
    assert client.stop()["stopping"]
    assert daemon.daemon.stopped.is_set()


def next_event_after(
    client: imgq.Client, events: Iterator[tuple[str, object]]
) -> tuple[str, object]:
    """What a subscriber hears of a folder that is added while it listens."""
    heard = threading.Event()

    def add() -> None:
        while not heard.wait(0.1):
            client.watch("more")

    thread = threading.Thread(target=add)
    thread.start()
    try:
        return next(events)
    finally:
        heard.set()
        thread.join()

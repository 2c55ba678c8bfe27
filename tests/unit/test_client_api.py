"""`imgq.Client` for programs: its examples run, every method reaches its route, errors are told apart."""

from __future__ import annotations

import doctest
import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

import imgq
import imgq.client
from imgq.locations import write_endpoint
from tests.unit.client_stand_in import Asked, Said, StandIn, answer, refusal, result


@pytest.fixture
def stand_in(tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    monkeypatch.setenv("IMGQ_HOME", str(tmp_path))
    monkeypatch.delenv("IMGQ_SOCKET", raising=False)
    with StandIn(os.path.join(tmp_path, "imgqd.sock")) as stand_in:
        yield stand_in


def test_the_documented_examples_run(stand_in: StandIn) -> None:
    failed, tried = doctest.testmod(imgq.client)
    assert (failed, tried > 0) == (0, True)


def test_a_search_says_everything_the_interface_has(stand_in: StandIn) -> None:
    found = imgq.Client().search(
        "beach^2 + dog", but_not=["rain"], like=["id:4^2", b"picture"], unlike=["id:5"],
        top=3, offset=1, inside=["/photos"], after="2024", before="2025", types=["jpeg"],
        camera="pixel", near=(1, 2, 3), tags=["t"], min_size=(10, 20), orientation="square",
        min_score=-0.5, sync=True,
    )  # fmt: skip
    (sent,) = stand_in.bodies("/v1/search")
    assert 59 < sent.pop("timeout_s") < 60
    assert sent == {
        "terms": [
            {"text": "beach", "weight": 2.0},
            {"text": "dog"},
            {"text": "rain", "negative": True},
            {"id": 4, "weight": 2.0},
            {"image": "cGljdHVyZQ==", "name": "-"},
            {"id": 5, "negative": True},
        ],
        "top": 3, "offset": 1, "in": ["/photos"], "after": "2024", "before": "2025",
        "types": ["jpeg"], "camera": "pixel", "near": [1, 2, 3], "tags": ["t"],
        "min_size": [10, 20], "orientation": "square", "min_score": -0.5, "sync": True,
    }  # fmt: skip
    assert (found.model, found.generation, len(found)) == ("model-1", 7, 2)


def test_a_result_has_exact_paths_and_typed_fields(stand_in: StandIn) -> None:
    stand_in.results = [
        result(
            1, "/p/caf\ufffd.jpg", 0.5, path_b64="L3AvY2Fm6S5qcGc=", gps=[1.5, -2.5],
            copies=["/p/copy.jpg", {"path": "/p/\ufffd", "path_b64": "L3Av6Q=="}],
            tags=["a"], taken="2024-01-02T03:04:05+01:00",
        )
    ]  # fmt: skip
    (found,) = imgq.Client().search("x")
    assert found.path_bytes == b"/p/caf\xe9.jpg"
    assert os.fsencode(found.path) == b"/p/caf\xe9.jpg"
    assert [os.fsencode(copy) for copy in found.copies] == [b"/p/copy.jpg", b"/p/\xe9"]
    assert (found.gps, found.tags, found.width) == ((1.5, -2.5), ["a"], 640)
    assert found.raw["modified"] == found.modified


def test_every_method_reaches_its_route(stand_in: StandIn, tmp_path: os.PathLike[str]) -> None:
    said: dict[tuple[str, str], Any] = {
        ("GET", "/v1/problems"): {"problems": [{"path": "/x", "reason": "corrupt"}]},
        ("POST", "/v1/retry"): {"retried": 3},
        ("DELETE", "/v1/folders"): {"folders": []},
        ("GET", "/v1/pictures/7"): result(1, "/p", 0.5),
        ("GET", "/v1/pictures/7/thumbnail"): b"image",
        ("GET", "/v1/model"): {"spec": "auto"},
        ("PUT", "/v1/model"): {"spec": "builtin"},
        ("GET", "/v1/config"): {"settings": []},
        ("POST", "/v1/verify"): {"ok": True},
        ("GET", "/v1/metrics"): b"imgq_up 1\n",
        ("POST", "/v1/stop"): {"stopping": True},
    }
    for key, value in said.items():
        stand_in.routes[key] = lambda asked, value=value: Said(value)
    client = imgq.Client()
    name = os.fsdecode(b"/photos/\xe9")
    assert client.status()["state"] == "idle"
    assert client.folders()[0]["path"] == "/photos"
    assert client.watch("/photos", name, exclude=["*.tmp"])["folders"]
    assert client.unwatch(b"/photos") == {"folders": []}
    assert client.sync(timeout=3)["in_sync"]
    assert client.problems()[0]["reason"] == "corrupt"
    assert client.retry() == client.retry("/x") == 3
    assert client.picture(7).path == "/p"
    assert client.thumbnail(7, 64, format="png") == b"image"
    assert (client.model(), client.set_model("builtin", now=True)) == (
        {"spec": "auto"},
        {"spec": "builtin"},
    )
    assert client.config() == {"settings": []}
    assert client.verify(repair=True)["ok"]
    assert client.metrics() == "imgq_up 1\n"
    assert client.stop()["stopping"]
    assert stand_in.bodies("/v1/folders")[1:] == [
        {"paths": ["/photos", {"path_b64": "L3Bob3Rvcy/p"}], "exclude": ["*.tmp"]},
        {"paths": ["/photos"]},
    ]
    assert stand_in.bodies("/v1/retry") == [{"paths": []}, {"paths": ["/x"]}]
    assert stand_in.bodies("/v1/model") == [None, {"spec": "builtin", "now": True}]
    (thumbnail,) = [a for a in stand_in.asked if a.path.endswith("thumbnail")]
    assert thumbnail.query == {"side": ["64"], "format": ["png"]}


def test_events_come_one_by_one(stand_in: StandIn) -> None:
    stream = (
        b'retry: 2000\n\n: still here\n\nevent: picture\ndata: {"id":\ndata: 7}\n\n'
        b'id: 3\r\ndata: "plain"\r\n\r\nevent: cut\ndata: 1\n'
    )
    stand_in.routes["GET", "/v1/events"] = lambda asked: Said(stream, chunked=True)
    assert list(imgq.Client().events()) == [("picture", {"id": 7}), ("message", "plain")]


@pytest.mark.parametrize(
    ("status", "exit_code"), [(400, 2), (404, 2), (413, 2), (403, 4), (500, 4), (503, 4)]
)
def test_refusals_keep_code_and_sentence(stand_in: StandIn, status: int, exit_code: int) -> None:
    stand_in.routes["POST", "/v1/search"] = lambda asked: refusal(status, "some-code", "Why not.")
    with pytest.raises(imgq.RefusedError) as caught:
        imgq.Client().search("x")
    error = caught.value
    assert (error.status, error.code, error.message) == (status, "some-code", "Why not.")
    assert error.exit_code == exit_code


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error": "x"}', b"[]", b'{"results": [1]}'])
def test_answers_that_are_no_answers_are_refused(stand_in: StandIn, body: bytes) -> None:
    for status in (200, 500):
        stand_in.routes["POST", "/v1/search"] = lambda asked, status=status: Said(body, status)
        with pytest.raises(imgq.RefusedError):
            imgq.Client().search("x")


def test_a_model_that_is_not_ready_is_waited_for(stand_in: StandIn) -> None:
    refusals = [
        refusal(503, "model-not-ready", "the model is being prepared", Retry_After="0"),
        refusal(503, "starting", "the daemon is starting", Retry_After="0"),
    ]

    def route(asked: Asked) -> Said:
        return refusals.pop() if refusals else Said(answer(stand_in.results))

    stand_in.routes["POST", "/v1/search"] = route
    waits: list[str] = []
    assert len(imgq.Client(on_wait=waits.append).search("x")) == 2
    assert waits == ["model", "model"]


def test_waiting_ends_with_the_timeout(stand_in: StandIn) -> None:
    stand_in.routes["POST", "/v1/search"] = lambda asked: refusal(
        503, "model-not-ready", "the model is being prepared", Retry_After="5"
    )
    with pytest.raises(imgq.TooLateError, match="the model is being prepared"):
        imgq.Client(timeout=0.3).search("x")


def test_a_503_that_does_not_pass_is_not_waited_for(stand_in: StandIn) -> None:
    stand_in.routes["POST", "/v1/search"] = lambda asked: refusal(503, "no-space", "disk full")
    with pytest.raises(imgq.RefusedError, match="disk full"):
        imgq.Client().search("x")
    assert len(stand_in.asked) == 1


def test_sync_asks_again_only_where_there_is_no_limit(stand_in: StandIn) -> None:
    late = [True, True]

    def route(asked: Asked) -> Said:
        return Said({"in_sync": not (late and late.pop()), "offline": [], "pending": 1})

    stand_in.routes["POST", "/v1/sync"] = route
    assert imgq.Client(timeout=None).sync()["in_sync"]
    late.append(True)
    assert not imgq.Client(timeout=5).sync()["in_sync"]


def test_no_daemon_is_its_own_error(
    tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGQ_HOME", str(tmp_path))
    monkeypatch.delenv("IMGQ_SOCKET", raising=False)
    with pytest.raises(imgq.NoDaemonError, match="imgqd run") as caught:
        imgq.Client().status()
    assert caught.value.exit_code == 3
    monkeypatch.setenv("IMGQ_SOCKET", os.path.join(tmp_path, "elsewhere"))
    with pytest.raises(imgq.NoDaemonError, match="elsewhere"):
        imgq.Client(spawn=True).status()


def test_a_socket_left_by_a_dead_daemon_is_no_daemon(
    tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGQ_HOME", str(tmp_path))
    monkeypatch.delenv("IMGQ_SOCKET", raising=False)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(os.path.join(tmp_path, "imgqd.sock"))
    with pytest.raises(imgq.NoDaemonError):
        imgq.Client().status()


def test_the_endpoint_file_leads_to_a_daemon_elsewhere(
    tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGQ_HOME", str(tmp_path))
    monkeypatch.delenv("IMGQ_SOCKET", raising=False)
    endpoint = os.path.join(tmp_path, "endpoint.json")
    elsewhere = os.path.join(tmp_path, "elsewhere")
    os.mkdir(elsewhere)
    path = os.path.join(elsewhere, "s")
    with StandIn(path):
        write_endpoint(endpoint, socket=path, http=None, pid=1)
        assert imgq.Client().status()["state"] == "idle"
    with open(os.path.join(elsewhere, "token"), "w") as stream:
        stream.write("s3cret")
    with StandIn(token="s3cret") as stand_in:
        http = f"http://127.0.0.1:{stand_in.port}"
        write_endpoint(endpoint, socket=path, http=http, pid=1)
        assert imgq.Client().status()["state"] == "idle"
        assert imgq.Client(http).status()["state"] == "idle"
        os.unlink(os.path.join(elsewhere, "token"))
        with pytest.raises(imgq.RefusedError, match="token is read from") as caught:
            imgq.Client(http).status()
        assert (caught.value.status, caught.value.exit_code) == (401, 4)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_socket_in_a_folder_of_another_user_is_not_spoken_to(
    stand_in: StandIn, tmp_path: os.PathLike[str]
) -> None:
    os.chown(tmp_path, 12345, 12345)
    try:
        with pytest.raises(imgq.NoDaemonError):
            imgq.Client().search("secret")
    finally:
        os.chown(tmp_path, 0, 0)
    assert stand_in.asked == []


def test_a_json_answer_is_kept_as_it_came(stand_in: StandIn) -> None:
    found = imgq.Client().search("x")
    assert json.loads(found.body) == found.raw


def test_names_are_found_lazily_and_wrong_ones_are_refused() -> None:
    assert set(imgq.__all__) >= {"Client", "ClientError"}
    for name in imgq.__all__:
        assert getattr(imgq, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_it"):
        imgq.nothing_like_it  # noqa: B018


def test_only_what_may_be_asked_twice_uses_a_kept_connection(stand_in: StandIn) -> None:
    stand_in.stays_open = True
    with imgq.Client() as client:
        client.search("x")
        client.status()
        client.sync()
    assert [asked.headers.get("connection") for asked in stand_in.asked] == [None, None, "close"]

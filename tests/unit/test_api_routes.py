"""Every route, over the real socket: what is asked reaches the daemon, what it says comes back."""

from __future__ import annotations

import base64
import os
import threading

import pytest

from tests.unit.small_daemon import NOT_UTF8, running


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    with running(str(tmp_path_factory.mktemp("home"))) as running_api:
        yield running_api


def test_search_passes_the_request_on_and_returns_results_with_exact_names(api):
    request = {"terms": [{"text": "a cat", "weight": 2}], "top": 1, "in": ["/photos"]}
    reply = api.ask("POST", "/v1/search", request)
    assert reply.status == 200
    assert api.daemon.requests[-1] == request
    (result,) = reply.json["results"]
    assert result["path"] == "/photos/caf\ufffd.jpg"
    assert base64.b64decode(result["path_b64"]) == NOT_UTF8
    assert result["copies"][0] == "/photos/copy.jpg"
    assert base64.b64decode(result["copies"][1]["path_b64"]) == NOT_UTF8


def test_names_that_are_utf8_have_no_second_form(api):
    assert "path_b64" not in api.ask("GET", "/v1/pictures/2").json


def test_what_the_daemon_refuses_is_the_clients_error(api):
    reply = api.ask("POST", "/v1/search", {"terms": []})
    assert (reply.status, reply.code) == (400, "usage")
    assert "give at least one term" in reply.json["error"]["message"]


def test_folders_are_added_listed_and_removed_by_exact_name(api, tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    exact = {"path_b64": base64.b64encode(folder).decode()}
    added = api.ask("POST", "/v1/folders", {"paths": [exact], "exclude": ["*.tmp"]})
    assert added.status == 200
    (listed,) = api.ask("GET", "/v1/folders").json["folders"]
    assert base64.b64decode(listed["path_b64"]) == folder
    assert listed["exclude"] == ["*.tmp"]
    assert api.ask("DELETE", "/v1/folders", {"paths": [exact]}).json == {"folders": []}
    assert api.ask("DELETE", "/v1/folders", {"paths": [exact]}).status == 404


@pytest.mark.parametrize(
    "path", ["relative/path", "", "/nul\0byte", {"path_b64": "!!"}, {"path": "x"}, 3, None]
)
def test_a_path_that_is_none_is_refused_by_name(api, path):
    reply = api.ask("POST", "/v1/folders", {"paths": [path]})
    assert reply.status == 400
    assert "paths[0]" in reply.json["error"]["message"]


def test_a_folder_that_is_not_there_is_named_and_nothing_is_added(api, tmp_path):
    paths = [str(tmp_path), str(tmp_path / "nowhere")]
    reply = api.ask("POST", "/v1/folders", {"paths": paths})
    assert reply.status == 400
    assert str(tmp_path / "nowhere") in reply.json["error"]["message"]
    assert api.ask("GET", "/v1/folders").json == {"folders": []}


def test_sync_says_what_was_left_out_when_time_is_over(api):
    answer = api.ask("POST", "/v1/sync", {"timeout_s": 0.01}).json
    exact = base64.b64encode(NOT_UTF8).decode()
    assert answer == {
        "in_sync": False,
        "offline": [{"path": "/photos/caf\ufffd.jpg", "path_b64": exact}],
        "pending": 3,
        "paused": False,
    }


def test_sync_without_a_body_waits_until_the_library_has_caught_up(api):
    threading.Timer(0.1, api.daemon.in_sync.set).start()
    try:
        assert api.ask("POST", "/v1/sync").json["in_sync"] is True
    finally:
        api.daemon.in_sync.clear()


def test_problems_are_listed_and_tried_again(tmp_path):
    with running(str(tmp_path)) as api:
        (problem,) = api.ask("GET", "/v1/problems").json["problems"]
        assert problem["reason"] == "corrupt"
        assert problem["since"].startswith("2023-11-1")
        other = api.ask("POST", "/v1/retry", {"paths": ["/photos/other.jpg"]})
        assert other.json == {"retried": 0}
        assert api.ask("POST", "/v1/retry", {"paths": []}).json == {"retried": 1}
        assert api.ask("GET", "/v1/problems").json == {"problems": []}


def test_the_model_is_shown_and_changed(api):
    assert api.ask("PUT", "/v1/model", {"spec": "builtin"}).json["spec"] == "builtin"
    assert api.ask("GET", "/v1/model").json["spec"] == "builtin"
    assert api.ask("PUT", "/v1/model", {"now": True}).status == 400


def test_a_thumbnail_is_sent_once_and_then_only_confirmed(api):
    first = api.ask("GET", "/v1/pictures/2/thumbnail?side=128")
    assert (first.status, first.body) == (200, b"webp 2 128")
    assert first.headers["Content-Type"] == "image/webp"
    tag = {"If-None-Match": first.headers["ETag"]}
    again = api.ask("GET", "/v1/pictures/2/thumbnail?side=128", headers=tag)
    assert (again.status, again.body) == (304, b"")
    other = api.ask("GET", "/v1/pictures/2/thumbnail?side=64&format=png", headers=tag)
    assert (other.status, other.body) == (200, b"png 2 64")


@pytest.mark.parametrize("query", ["side=0", "side=99999999", "side=x", "side=", "format=gif"])
def test_a_thumbnail_that_cannot_be_made_is_wrong_usage(api, query):
    assert api.ask("GET", f"/v1/pictures/2/thumbnail?{query}").status == 400


@pytest.mark.parametrize(
    "target",
    [
        "/v1/pictures/3",
        "/v1/pictures/-1",
        "/v1/pictures/1.0",
        "/v1/pictures/99999999999999999999999",
        "/v1/pictures/9223372036854775808",
        "/v1/pictures/%00",
        "/v1/pictures/../../etc/passwd",
        "/v1/pictures/..%2f..%2fetc%2fpasswd",
        "/v1/pictures/%2e%2e/%2e%2e/etc/passwd",
        "/v1/pictures//etc/passwd",
        "/v1/pictures/1%00",
        "/v1/pictures/%C2%B2",
        "/etc/passwd",
        "/v1",
        "/v2/status",
    ],
)
def test_what_is_not_there_is_404_as_json(api, target):
    reply = api.ask("GET", target)
    assert (reply.status, reply.code) == (404, "not-found")


def test_a_wrong_method_says_which_are_right(api):
    reply = api.ask("PATCH", "/v1/folders")
    assert (reply.status, reply.code) == (405, "method-not-allowed")
    assert reply.headers["Allow"] == "DELETE, GET, POST"


def test_metrics_count_what_was_asked(tmp_path):
    with running(str(tmp_path)) as api:
        for _ in range(3):
            api.ask("POST", "/v1/search", {"terms": [{"text": "x"}]})
        api.ask("POST", "/v1/search", {"terms": []})
        reply = api.ask("GET", "/v1/metrics")
        assert reply.headers["Content-Type"].startswith("text/plain")
        text = reply.body.decode()
        assert "imgq_query_seconds_count 3.0" in text
        assert 'imgq_queries_failed_total{code="usage"} 1.0' in text
        assert 'imgq_problems{reason="corrupt"} 1.0' in text
        assert "imgq_pictures 2.0" in text
        queries = api.ask("GET", "/v1/status").json["queries"]
        assert queries["count"] == 3
        assert 0 < queries["p50_ms"] <= queries["p95_ms"]


def test_stop_is_passed_on_and_answered(tmp_path):
    with running(str(tmp_path)) as api:
        assert api.ask("POST", "/v1/stop").json == {"stopping": True}
        assert api.daemon.stopped.is_set()


def test_answers_carry_no_permission_for_web_pages(api):
    for method, target in (("GET", "/v1/status"), ("OPTIONS", "/v1/status"), ("GET", "/nowhere")):
        headers = api.ask(method, target, headers={"Origin": "http://evil.example"}).headers
        assert not [name for name in headers if name.lower().startswith("access-control-")]
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_defect_in_the_daemon_is_an_answer_and_not_the_end(tmp_path):
    with running(str(tmp_path)) as api:
        api.daemon.watched = None  # type: ignore[assignment]
        reply = api.ask("GET", "/v1/status")
        assert (reply.status, reply.code) == (500, "failed")
        assert b"Traceback" not in reply.body
        assert api.ask("GET", "/v1/problems").status == 200


def test_a_message_is_never_longer_than_a_page(api, tmp_path):
    reply = api.ask("POST", "/v1/folders", {"paths": ["/" + "x" * 4000]})
    assert reply.status == 400
    assert 1000 < len(reply.json["error"]["message"]) < 2100

"""What one client may cost the others: connections, time, bodies, and JSON that is meant to hurt."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgqd.api import jsontext
from imgqd.api.guard import BodyReader, Limits
from imgqd.api.workers import Lane
from imgqd.errors import UnavailableError
from tests.unit.small_daemon import SmallDaemon, running

QUICK = Limits(header_s=0.3, idle_s=0.3, body_s=0.3, write_s=0.3, connections=8)


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    with running(str(tmp_path_factory.mktemp("home")), limits=QUICK) as running_api:
        yield running_api


def read_all(connection):
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize(
    "start", [b"", b"GET /v1/st", b"GET /v1/status HTTP/1.1\r\nHost: x\r\nX-Long: "]
)
def test_a_half_open_connection_is_closed(api, start):
    with api.connect() as connection:
        connection.sendall(start)
        assert read_all(connection) == b""


def trickle(connection, bytes_to_send):
    """Sends them one at a time, far apart; True when the other side has had enough."""
    connection.settimeout(0.05)
    for byte in bytes_to_send:
        try:
            connection.sendall(bytes([byte]))
            if connection.recv(1) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def test_a_trickle_of_headers_does_not_extend_the_time(api):
    with api.connect() as connection:
        assert trickle(connection, b"GET /v1/status HTTP/1.1\r\nX-A: " + b"a" * 1000)


def test_a_trickle_of_headers_on_a_second_request_does_not_either(api):
    with api.connect() as connection:
        connection.sendall(b"GET /v1/model HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert trickle(connection, b"GET /v1/status HTTP/1.1\r\nX-A: " + b"a" * 1000)


def test_a_trickle_of_a_body_is_answered_and_closed(api):
    with api.connect() as connection:
        connection.sendall(b"POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{")
        answer = read_all(connection)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"too-slow" in answer


def test_a_client_that_takes_no_answers_is_dropped(api):
    big = {"terms": [{"text": "x" * 9000}]}
    body = json.dumps(big).encode()
    request = b"POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
    with api.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises(OSError):
            for _ in range(100_000):
                connection.sendall(request % (len(body), body))
                connection.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")


def test_idle_connections_make_room_for_those_who_ask(tmp_path):
    with running(str(tmp_path), limits=Limits(connections=8)) as api:
        idle = [api.connect() for _ in range(40)]
        try:
            for _ in range(20):
                assert api.ask("GET", "/v1/status").status == 200
        finally:
            for connection in idle:
                connection.close()


def test_busy_connections_are_kept_and_the_next_is_told_to_come_again(tmp_path):
    with running(str(tmp_path), limits=Limits(connections=4)) as api:
        waiting = [api.connect() for _ in range(4)]
        try:
            for connection in waiting:
                connection.sendall(
                    b"POST /v1/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
                )
            wait_for(lambda: api.daemon.syncing, lambda number: number == 4)
            # It is refused before it has asked anything.
            with api.connect() as late:
                answer = read_all(late)
            assert answer.startswith(b"HTTP/1.1 503")
            assert b"Retry-After: 1" in answer
            assert b'"busy"' in answer
            api.daemon.in_sync.set()
            for connection in waiting:
                assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        finally:
            for connection in waiting:
                connection.close()


def wait_for(look, enough):
    for _ in range(1000):
        seen = look()
        if enough(seen):
            return seen
        time.sleep(0.01)
    raise AssertionError("that never happened")


def test_a_body_that_says_it_is_too_large_is_not_even_read(api):
    for target, size in (("/v1/search", 100_000_001), ("/v1/sync", 8_000_001)):
        with api.connect() as connection:
            head = f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
            connection.sendall(head.encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 413")


def test_a_body_that_grows_too_large_is_cut_off(api):
    with api.connect() as connection:
        head = b"POST /v1/sync HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head)
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        try:
            for _ in range(12):
                connection.sendall(chunk)
        except OSError:
            pass
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("route", ["search", "facets", "grid"])
def test_bodies_together_hold_no_more_than_their_limit(tmp_path, route):
    limits = Limits(bodies=1_000_000)
    with running(str(tmp_path), limits=limits) as api, api.connect() as first:
        first.sendall(
            b"POST /v1/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n{" % route.encode()
        )
        term = {"terms": [{"text": "x"}], "camera": "c"}
        padded = json.dumps(term).encode() + b" " * 500_000
        reply = wait_for(
            lambda: api.ask("POST", f"/v1/{route}", padded), lambda reply: reply.status != 200
        )
        assert (reply.status, reply.code) == (503, "busy")
        assert api.ask("POST", f"/v1/{route}", term).status == 200


def test_large_bodies_come_one_at_a_time_and_at_a_bounded_rate():
    now = [0.0]
    limits = Limits(bodies=1000, large=100, large_rate=10.0, large_burst=250.0)
    reader = BodyReader(limits, clock=lambda: now[0])

    def admitted(size):
        try:
            with reader.room(size):
                return True
        except UnavailableError as error:
            assert error.code == "busy"
            return False

    with reader.room(120):
        assert not admitted(120)
        assert admitted(100)
    assert admitted(120)
    assert not admitted(120)
    assert all(admitted(100) for _ in range(50))
    now[0] += 10.9
    assert not admitted(120)
    now[0] += 0.2
    assert admitted(120)
    now[0] += 1e6
    assert [admitted(120) for _ in range(3)] == [True, True, False]


def test_whoever_sends_nonsense_in_a_loop_waits_for_the_answers():
    now = [0.0]
    limits = Limits(
        nonsense_burst=1000.0, nonsense_least=50.0, nonsense_rate=100.0, nonsense_wait_s=2.0
    )
    bodies = BodyReader(limits, clock=lambda: now[0])
    assert bodies.nonsense(600) == 0.0
    assert bodies.nonsense(400) == 0.0
    assert bodies.nonsense(1) == 0.5
    assert bodies.nonsense(100) == 1.5
    assert bodies.nonsense(100_000) == 2.0
    now[0] += 10_000.0
    assert bodies.nonsense(1000) == 0.0


def test_nonsense_is_answered_late_and_good_requests_are_not(tmp_path):
    limits = Limits(nonsense_burst=1.0, nonsense_rate=1.0, nonsense_wait_s=30.0)
    with running(str(tmp_path), limits=limits) as api, api.connect() as late:
        body = b"[" * 100
        late.sendall(
            b"POST /v1/search HTTP/1.1\r\nHost: imgq\r\nContent-Length: %d\r\n\r\n%s"
            % (len(body), body)
        )
        assert api.ask("POST", "/v1/search", {"terms": [{"text": "cat"}]}).status == 200
        late.settimeout(0.5)
        with pytest.raises(TimeoutError):
            late.recv(1)


def test_a_compressed_body_is_refused(api):
    reply = api.ask("POST", "/v1/search", b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert reply.status == 400


def nested(levels):
    return b'{"terms":' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"[]",
        b"3",
        b"null",
        b'{"terms": NaN}',
        b'{"terms": [{"text": "x", "weight": NaN}]}',
        b'{"terms": [{"text": "x", "weight": Infinity}]}',
        b'{"terms": [{"text": "x", "weight": -Infinity}]}',
        b'{"terms": [{"text": "x", "weight": 1e999}]}',
        b'{"terms": [{"text": "x", "weight": 1' + b"0" * 400 + b"}]}",
        b'{"terms": [{"text": "x", "weight": 1' + b"0" * 5000 + b"}]}",
        b'{"terms": [{"text": "x", "weight": true}]}',
        b'{"terms": [{"text": "x", "id": 1}]}',
        b'{"terms": [{}]}',
        b'{"terms": [{"id": 9223372036854775808}]}',
        b'{"terms": [{"id": -1}]}',
        b'{"terms": [{"text": "\\ud800"}]}',
        b'{"terms": [{"text": "\xff"}]}',
        b'{"terms": [{"text": "x"}], "top": 0}',
        b'{"terms": [{"text": "x"}], "top": 1.5}',
        b'{"terms": [{"text": "x"}], "top": null}',
        b'{"terms": [{"text": "x"}], "orientation": "round"}',
        b'{"terms": [{"text": "x"}], "near": [1, 2]}',
        b'{"terms": [{"text": "x"}], "surprise": 1}',
        b'{"terms": [' + b'{"text":"x"},' * 100_000 + b'{"text":"x"}]}',
        b'{"terms": [{"text": "' + b"x" * 1_000_000 + b'"}]}',
        nested(20),
        nested(60),
        nested(15_000),
        b"[" * 1_000_000,
        b'{"a":' * 1_000_000,
        b" " * 5_000_000,
        b'{"terms": [{"image": "' + b"A" * 5_000_000,
        b'{"terms": [{"image": "' + b"\\" * 5_000_000 + b'"}]}',
        b'{"terms": [{"image": "' + b'\\"' * 2_500_000 + b'"}]}',
        b'{"terms": [{"image": "' + "é".encode() * 2_500_000 + b'"}]}',
    ],
    ids=lambda body: f"{body[:40]!r}+{len(body)}",
)
def test_a_request_that_makes_no_sense_is_refused_with_a_sentence(api, body):
    asked = len(api.daemon.requests)
    reply = api.ask("POST", "/v1/search", body)
    assert (reply.status, reply.code) == (400, "usage")
    assert len(reply.json["error"]["message"]) < 400
    assert len(api.daemon.requests) == asked
    assert api.ask("GET", "/v1/status").status == 200


texts = st.text(max_size=20) | st.sampled_from(["A" * 50, 'B"' * 30, "\\" * 41, "é" * 40, ""])


@given(
    value=st.recursive(
        texts | st.integers(-5, 5) | st.none(),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    )
)
def test_what_is_read_is_what_json_reads(value):
    """Also when texts count as long from 32 characters on."""
    for body in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jsontext, "LONG_TEXT", 32)
            assert jsontext.read_json(body.encode()) == value


def test_an_example_of_many_megabytes_is_passed_on(tmp_path):
    image = "A" * 30_000_000
    with running(str(tmp_path)) as api:
        assert api.ask("POST", "/v1/search", {"terms": [{"image": image}]}).status == 200
        assert api.daemon.requests.pop()["terms"] == [{"image": image}]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nBad Header\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    ],
    ids=range(7),
)
def test_what_is_not_http_is_answered_as_json_and_closed(api, request_bytes):
    with api.connect() as connection:
        connection.sendall(request_bytes)
        answer = read_all(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert b"Python" not in head
    assert json.loads(body)["error"]["code"] == "bad-request"


def test_a_client_that_goes_away_ends_the_work_that_was_for_it(tmp_path):
    with running(str(tmp_path)) as api:
        with api.connect() as connection:
            connection.sendall(b"POST /v1/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            assert api.ask("GET", "/v1/status").status == 200
        assert api.daemon.saw_cancellation.wait(30)


def test_waiting_for_sync_does_not_keep_others_from_searching(tmp_path):
    with running(str(tmp_path)) as api:
        waiting = [api.connect() for _ in range(16)]
        try:
            for connection in waiting:
                connection.sendall(
                    b"POST /v1/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
                )
            wait_for(lambda: api.daemon.syncing, lambda number: number == 16)
            assert api.ask("POST", "/v1/sync").code == "busy"
            assert api.ask("POST", "/v1/search", {"terms": [{"text": "x"}]}).status == 200
            assert api.ask("GET", "/v1/status").status == 200
        finally:
            for connection in waiting:
                connection.close()


def test_too_many_searches_in_line_are_told_to_come_again(tmp_path):
    daemon = SmallDaemon()
    daemon.hold_searches = threading.Event()
    body = b'{"terms":[{"text":"x"}]}'
    request = b"POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
    with running(str(tmp_path), daemon=daemon) as api:
        lined_up = [api.connect() for _ in range(68)]
        try:
            for connection in lined_up:
                connection.sendall(request % (len(body), body))
            # This one would wait like the others were there room, so only its refusal is quick.
            with api.connect() as next_one:
                next_one.sendall(request % (len(body), body))
                answer = next_one.recv(65536)
            assert answer.startswith(b"HTTP/1.1 503")
            assert b'"busy"' in answer
            assert b"Retry-After: 1" in answer
            daemon.hold_searches.set()
            for connection in lined_up:
                assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        finally:
            daemon.hold_searches.set()
            for connection in lined_up:
                connection.close()


def test_a_closed_lane_takes_nothing_more():
    lane = Lane("test", threads=1, waiting=0)
    assert asyncio.run(lane.run(lambda: 3)) == 3
    lane.close()
    with pytest.raises(UnavailableError, match="stopping"):
        asyncio.run(lane.run(lambda: 3))

"""Events: in order, to everyone who listens, and never at the daemon's cost."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import threading
import time

import pytest

from imgqd.api import events
from imgqd.api.events import EventHub
from imgqd.api.guard import Limits
from imgqd.errors import UnavailableError
from tests.unit.small_daemon import NOT_UTF8, running


@contextlib.contextmanager
def listening(api):
    """The socket of a subscriber, past the head of the answer."""
    before = api.daemon.hub.subscribers
    with api.connect() as connection:
        connection.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        stream = connection.makefile("rb")
        assert stream.readline().startswith(b"HTTP/1.1 200")
        head = []
        while (line := stream.readline()) != b"\r\n":
            head.append(line.lower())
        assert b"content-type: text/event-stream\r\n" in head
        wait_until(lambda: api.daemon.hub.subscribers == before + 1)
        yield stream


def wait_until(condition):
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("that never happened")


def next_event(stream):
    """(kind, data) of the next event on a chunked stream."""
    kind = None
    while line := stream.readline():
        if line.startswith(b"event: "):
            kind = line[7:].strip().decode()
        elif line.startswith(b"data: "):
            return kind, json.loads(line[6:])
    return None


def test_events_reach_everyone_in_order_with_exact_names(tmp_path):
    with running(str(tmp_path)) as api, listening(api) as first, listening(api) as second:
        api.daemon.hub.publish("picture-added", {"id": 1, "path": NOT_UTF8})
        api.daemon.hub.publish("picture-removed", {"id": 2, "path": b"/photos/b.jpg"})
        for stream in (first, second):
            kind, data = next_event(stream)
            assert kind == "picture-added"
            assert base64.b64decode(data["path_b64"]) == NOT_UTF8
            assert next_event(stream) == ("picture-removed", {"id": 2, "path": "/photos/b.jpg"})


def test_an_api_call_is_seen_by_those_who_listen(tmp_path):
    with running(str(tmp_path / "home")) as api, listening(api) as stream:
        api.ask("POST", "/v1/folders", {"paths": [str(tmp_path)]})
        assert next_event(stream) == ("folder", {"path": str(tmp_path), "state": "watching"})


def test_a_subscriber_that_goes_away_is_forgotten(tmp_path):
    with running(str(tmp_path)) as api:
        with listening(api):
            pass
        wait_until(lambda: api.daemon.hub.subscribers == 0)


def test_stopping_ends_the_stream_with_a_last_word(tmp_path):
    with running(str(tmp_path)) as api:
        listener = listening(api)
        stream = listener.__enter__()
        loop = api.daemon.hub._loop
        loop.call_soon_threadsafe(api.daemon.hub.close)
        assert next_event(stream) == ("stopping", {})
        assert next_event(stream) is None
        listener.__exit__(None, None, None)


def test_a_server_that_stops_ends_its_streams(tmp_path):
    with contextlib.ExitStack() as stack:
        with running(str(tmp_path)) as api:
            stream = stack.enter_context(listening(api))
        assert next_event(stream) is None


def test_a_subscriber_that_reads_nothing_is_dropped(tmp_path):
    with running(str(tmp_path), limits=Limits(write_s=0.3)) as api, listening(api):
        big = {"detail": "x" * 100_000}

        def publish_until_dropped():
            api.daemon.hub.publish("problem", big)
            return api.daemon.hub.subscribers == 0

        wait_until(publish_until_dropped)


def test_too_many_subscribers_are_refused_and_the_rest_goes_on(tmp_path):
    with contextlib.ExitStack() as stack:
        api = stack.enter_context(running(str(tmp_path)))
        for _ in range(events.SUBSCRIBER_LIMIT):
            stack.enter_context(listening(api))
        assert api.ask("GET", "/v1/events").status == 503
        assert api.ask("GET", "/v1/status").status == 200


def test_a_slow_subscriber_loses_the_oldest_and_is_told():
    async def scenario():
        hub = EventHub(queue_limit=3)
        subscription = hub.subscribe()
        for number in range(10):
            hub.publish("problem", {"detail": str(number)})
        await asyncio.sleep(0)
        hub.close()
        return [(event.kind, event.data) async for event in subscription]

    assert asyncio.run(scenario()) == [
        ("missed", {"count": 8}),
        ("problem", {"detail": "8"}),
        ("problem", {"detail": "9"}),
        ("stopping", {}),
    ]


def test_only_the_newest_progress_is_kept():
    async def scenario():
        hub = EventHub()
        subscription = hub.subscribe()
        for done in range(1000):
            hub.publish("progress", {"done": done})
            if done == 500:
                hub.publish("folder", {"state": "offline"})
        await asyncio.sleep(0)
        hub.close()
        return [event.data async for event in subscription]

    assert asyncio.run(scenario()) == [{"state": "offline"}, {"done": 999}, {}]


def test_any_thread_may_publish_and_afterwards_too():
    async def scenario():
        hub = EventHub()
        hub.publish("problem", {"detail": "nobody listens"})
        subscription = hub.subscribe()
        threads = [
            threading.Thread(target=lambda: [hub.publish("problem", {}) for _ in range(20)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        seen = 0
        async for event in subscription:
            seen += event.kind == "problem"
            if seen == 80:
                hub.close()
        assert [event async for event in hub.subscribe()] == []
        return hub

    hub = asyncio.run(scenario())
    hub.publish("problem", {"detail": "the loop is closed"})


def test_the_hub_itself_refuses_too_many():
    async def scenario():
        hub = EventHub()
        for _ in range(events.SUBSCRIBER_LIMIT):
            hub.subscribe()
        with pytest.raises(UnavailableError, match="listen to events already"):
            hub.subscribe()

    asyncio.run(scenario())

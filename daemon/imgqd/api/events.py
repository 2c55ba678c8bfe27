"""Events for whoever listens: one hub, a bounded queue a subscriber, and their form on the wire.

Anything may publish from any thread and never waits. A subscriber that is too slow loses its oldest
events and is told how many; what the events mean is decided by those who publish them.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any

from imgqd.api.jsontext import jsonable
from imgqd.api.service import Event
from imgqd.errors import UnavailableError

# What each kind carries; paths are text, with `path_b64` beside them where they are not UTF-8.
KINDS: Mapping[str, str] = {
    "progress": "done, total, stage, detail: how far indexing is; only the newest is kept",
    "picture-added": "id, path: a picture became searchable under a path",
    "picture-changed": "id, path: what is known of a picture changed: a path, a tag, its metadata",
    "picture-removed": "id, path: a picture is no longer found under a path",
    "folder": "the watched folders, or the state of one, changed; ask for the folders",
    "model": "spec, id, state: the model is being made, was changed or fell back",
    "alike": "more is known of which pictures look alike; ask for the grid again",
    "problem": "path, reason, detail: a file could not be indexed",
    "missed": "count: this subscriber was too slow and lost that many events; ask for the status",
    "stopping": "the daemon is about to stop",
}
# Of these only the newest one matters, so a waiting older one is replaced.
LATEST_ONLY = frozenset({"progress", "alike", "stopping"})

QUEUE_LIMIT = 256
SUBSCRIBER_LIMIT = 32


class QueueSubscription:
    """The events of one subscriber, oldest first. Belongs to the event loop."""

    def __init__(self, hub: EventHub, limit: int) -> None:
        self._hub = hub
        self._limit = limit
        self._waiting: deque[Event] = deque()
        self._missed = 0
        self._closed = False
        self._ready = asyncio.Event()

    def put(self, event: Event) -> None:
        """Keeps `event`, at the cost of the oldest one when there are too many."""
        if self._closed:
            return
        if event.kind in LATEST_ONLY:
            for index, older in enumerate(self._waiting):
                if older.kind == event.kind:
                    del self._waiting[index]
                    break
        if len(self._waiting) >= self._limit:
            self._waiting.popleft()
            self._missed += 1
        self._waiting.append(event)
        self._ready.set()

    def close(self) -> None:
        self._closed = True
        self._hub.forget(self)
        self._ready.set()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            if self._missed:
                count, self._missed = self._missed, 0
                yield Event("missed", {"count": count})
            while self._waiting and not self._missed:
                yield self._waiting.popleft()
            if self._missed:
                continue
            if self._closed:
                return
            self._ready.clear()
            await self._ready.wait()


class EventHub:
    """Passes what is published to every subscriber. Made before the event loop runs or on it."""

    def __init__(self, *, queue_limit: int = QUEUE_LIMIT) -> None:
        self._queue_limit = queue_limit
        self._subscribers: set[QueueSubscription] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def subscribe(self) -> QueueSubscription:
        """On the event loop only. Raises UnavailableError when too many listen already."""
        if len(self._subscribers) >= SUBSCRIBER_LIMIT:
            raise UnavailableError(
                f"{SUBSCRIBER_LIMIT} programs listen to events already; end one of them first"
            )
        self._loop = asyncio.get_running_loop()
        subscription = QueueSubscription(self, self._queue_limit)
        if self._closed:
            subscription.close()
        else:
            self._subscribers.add(subscription)
        return subscription

    def forget(self, subscription: QueueSubscription) -> None:
        self._subscribers.discard(subscription)

    @property
    def subscribers(self) -> int:
        return len(self._subscribers)

    def publish(self, kind: str, data: Mapping[str, Any] | None = None) -> None:
        """From any thread; costs next to nothing while nobody listens. Paths may be bytes."""
        loop = self._loop
        if not self._subscribers or loop is None:
            return
        event = Event(kind, jsonable(dict(data or {})))
        try:
            loop.call_soon_threadsafe(self._deliver, event)
        except RuntimeError:
            # The loop is closed: the daemon has stopped and nobody is there to hear it.
            return

    def close(self) -> None:
        """On the event loop: ends every subscription after what it still has waiting."""
        self._closed = True
        for subscription in list(self._subscribers):
            subscription.put(Event("stopping", {}))
            subscription.close()

    def _deliver(self, event: Event) -> None:
        for subscription in list(self._subscribers):
            subscription.put(event)


def encode(event: Event) -> bytes:
    """One event as server-sent text (WHATWG HTML, section 9.2)."""
    return f"event: {event.kind}\ndata: {json.dumps(event.data)}\n\n".encode()

"""What the API needs of the daemon: one protocol, so that mypy checks both sides of the door.

The daemon implements it; nothing here does work. Calls block, are thread-safe and run on the API's
own threads; only `subscribe` belongs to the event loop.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from imgqd.records import Problem
from imgqd.web.originals import Original


@dataclass(frozen=True, slots=True)
class SyncResult:
    """How far the library has caught up. `offline` are folders that were left out."""

    in_sync: bool
    offline: list[bytes]
    pending: int
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: `kind` as listed in events.KINDS, `data` ready for JSON."""

    kind: str
    data: dict[str, Any]


class Subscription(Protocol):
    """Events as they come; iteration ends when the daemon stops."""

    def __aiter__(self) -> AsyncIterator[Event]: ...

    def close(self) -> None:
        """No more events are kept for this subscriber."""


class Service(Protocol):
    """The daemon as the API sees it.

    In every dict that is returned a value (or an item of a list) may be bytes: a path. The API
    turns it into text, with the exact bytes in base64 beside it where they are not UTF-8.
    All may raise ImgqError; its `status` and `code` are what the client gets.
    """

    def status(self) -> dict[str, Any]:
        """The object of `imgqd status --json`, with `library_id`, `home` and `progress`."""

    def folders(self) -> list[dict[str, Any]]:
        """`{"path", "state", "files", "exclude"}` for each watched folder."""

    def add_folders(self, paths: Sequence[bytes], exclude: Sequence[str]) -> list[dict[str, Any]]:
        """Watches absolute `paths`; all or none. Returns all folders, as `folders` does.

        Raises UsageError naming the path that does not exist, is not a directory, cannot be
        read or is the daemon's own folder.
        """

    def remove_folders(self, paths: Sequence[bytes]) -> list[dict[str, Any]]:
        """Forgets them. Raises NotFoundError for a folder that is not watched."""

    def relocate(self, old: bytes, new: bytes) -> dict[str, Any]:
        """Lets what is known below `old` be known below `new`; `{"files", "folders"}`.

        Raises UsageError, NotFoundError; see library.moving.
        """

    def sync(self, timeout_s: float | None) -> SyncResult:
        """Returns once every change made on disk before the call is answered for."""

    def pause(self) -> dict[str, Any]:
        """Pauses indexing until `resume`, over restarts too: `{"paused", "paused_by"}`."""

    def resume(self) -> dict[str, Any]:
        """Lets indexing go on, on battery too: `{"paused", "paused_by"}`."""

    def search(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answers a request of the form of openapi's SearchRequest. Raises UsageError."""

    def annotate(self, request: dict[str, Any]) -> dict[str, Any]:
        """Changes what a person says of pictures, as AnnotateRequest describes; all or none.

        `{"changed", "generation"}`. Raises UsageError, NotFoundError.
        """

    def export(self, after: bytes) -> dict[str, Any]:
        """`{"records", "next"}`: what persons said, by content hash beyond `after`, a page."""

    def import_records(self, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Takes in what was exported: `{"here", "kept"}`. Raises UsageError."""

    def facets(self, request: dict[str, Any]) -> dict[str, Any]:
        """Counts what a FacetsRequest finds: `{"query", "total", "facets", ..}`."""

    def duplicates(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answers a DuplicatesRequest: `{"threshold", "model", "groups"}`. Raises UsageError."""

    def history(self, top: int) -> dict[str, Any]:
        """The newest questions, the newest last: `{"kept", "questions"}`."""

    def clear_history(self) -> dict[str, Any]:
        """Forgets them: `{"forgotten"}`."""

    def saved(self, name: str | None) -> dict[str, Any]:
        """`{"saved": [{"name", "arguments", "saved"}]}`: all, or that one. Raises NotFoundError."""

    def save(self, name: str, arguments: Sequence[str]) -> dict[str, Any]:
        """Keeps arguments under a name; as `saved`. Raises UsageError for a bad name."""

    def forget(self, name: str) -> dict[str, Any]:
        """Removes a saved question: `{"forgotten"}`. Raises NotFoundError."""

    def completions(self) -> dict[str, Any]:
        """What a shell may offer: `{"tags", "saved"}`."""

    def problems(self) -> list[Problem]: ...

    def retry(self, paths: Sequence[bytes] | None) -> int:
        """Tries problems again: all of them, or those at or below `paths`. Returns how many."""

    def picture(self, picture_id: int) -> dict[str, Any]:
        """One result object, without rank and score. Raises NotFoundError."""

    def thumbnail(self, picture_id: int, side: int, format: str = "webp") -> tuple[bytes, str]:
        """An encoded picture whose longer side is at most `side` pixels, and its quoted entity tag.

        `format` is webp, png or jpeg. The tag differs for every content, side and format.
        """

    def grid(self, request: dict[str, Any]) -> bytes:
        """The JSON of openapi's Grid, which answers a GridRequest. Raises UsageError."""

    def pictures(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """As `picture`, in the order of `ids`; those that are not there are left out."""

    def original(self, picture_id: int) -> Original:
        """The picture's own file, open. Raises NotFoundError when none is as it was indexed."""

    def reveal(self, picture_id: int, path: bytes | None) -> None:
        """Shows one of the picture's files in the file manager.

        Raises NotFoundError for another path than the picture's, UnavailableError.
        """

    def browse(self, path: bytes | None) -> dict[str, Any]:
        """The folders in a folder, as web.desktop.browse."""

    def model(self) -> dict[str, Any]:
        """The model in use: `spec`, `id`, `dim`, `runtime`, `device`, `fallback` and more."""

    def set_model(self, spec: str, now: bool) -> dict[str, Any]:
        """Changes the model; re-embedding goes on in the background. Raises ModelError."""

    def verify(self, repair: bool) -> dict[str, Any]:
        """`{"ok", "differences": [{"kind", "detail", "path"?, "repaired"}]}`."""

    def config(self) -> list[dict[str, Any]]:
        """`{"name", "value", "source", "default", "help"}` for each setting."""

    def metrics(self) -> str:
        """Prometheus text; see imgqd.metrics."""

    def stats(self, days: int) -> dict[str, Any]:
        """How the daemon is used, as openapi's Stats; see library.usage."""

    def forget_words(self) -> int:
        """Forgets the words of all searches; returns how many there were."""

    def subscribe(self) -> Subscription:
        """Called on the event loop; see events.EventHub."""

    def stop(self) -> None:
        """Asks the daemon to stop and returns at once."""


_cancelled: ContextVar[threading.Event | None] = ContextVar("imgqd_cancelled", default=None)


def cancelled() -> bool:
    """True when whoever asked has gone away: long work may stop. False outside of a request."""
    event = _cancelled.get()
    return event is not None and event.is_set()


def set_cancellation(event: threading.Event) -> None:
    """Makes `cancelled` look at `event`, in this context only."""
    _cancelled.set(event)

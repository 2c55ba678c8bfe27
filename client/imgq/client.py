"""`imgq.Client`: everything the daemon can do, for Python programs, with the standard library only.

The command line uses it too. How a daemon is found, started and spoken to is session.py's; what
its answers look like is answers.py's.
"""

from __future__ import annotations

import os

from imgq.answers import Answer, Result, as_object, events
from imgq.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    Path = str | bytes | os.PathLike[str]
    Example = str | bytes | os.PathLike[str]

# A question that names something that is not there, or cannot be read, is wrong usage.
SEARCH_USAGE = (400, 404, 413, 422)


class Client(Session):
    """A connection to one daemon.

    >>> import imgq
    >>> client = imgq.Client()
    >>> for result in client.search("sunset over ocean", top=2):
    ...     print(f"{result.score:.4f} {result.path}")
    0.3127 /photos/2023/beach.jpg
    0.2874 /photos/2021/cliffs at dusk.jpg
    >>> client.status()["state"]
    'idle'

    `address` is a socket path or `http://127.0.0.1:PORT`; without it, IMGQ_SOCKET and then the
    places where a daemon of this user listens. `timeout` is for each call, in seconds (None: no
    limit). With `spawn` a daemon is started where none answers. `on_wait` is called with "start",
    "model" or "sync" every quarter of a second while a call waits for that.

    Questions share a connection, which `close` or the end of a `with` block ends.

    Every method raises NoDaemonError when no daemon answers, RefusedError when it refuses, and
    TooLateError after the timeout; all are `imgq.ClientError`.
    """

    # Searching

    def search(
        self,
        text: str | None = None,
        *,
        like: Iterable[Example] = (),
        unlike: Iterable[Example] = (),
        but_not: Iterable[str] = (),
        literal: bool = False,
        top: int = 10,
        offset: int = 0,
        inside: Iterable[Path] = (),
        after: str | None = None,
        before: str | None = None,
        types: Iterable[str] = (),
        camera: str | None = None,
        near: tuple[float, float, float] | None = None,
        tags: Iterable[str] = (),
        min_size: tuple[int, int] | None = None,
        orientation: str | None = None,
        where: dict[str, str] | None = None,
        rating: int | None = None,
        words: str | None = None,
        category: str | None = None,
        all: bool = False,
        min_score: float | None = None,
        relevant: bool = False,
        diverse: bool = False,
        expand: str | None = None,
        sync: bool = False,
        timeout: float | None = None,
    ) -> Answer:
        """Asks for pictures; arguments mean what the options of `imgq` mean.

        `like` and `unlike` take what `--like` takes (a file, URL or `id:N`, with `^W`), or the
        bytes of a picture. Raises UsageError as well.
        """
        from imgq import query

        examples = query.Examples()

        def example(value: Example, what: str) -> dict[str, Any]:
            if isinstance(value, bytes):
                return examples.bytes_term(value, what)
            return examples.term(os.fspath(value), what)

        terms = query.text_terms(text, literal=literal) if text is not None else []
        terms += [
            {**query.text_term(value, "but_not", literal=literal), "negative": True}
            for value in but_not
        ]
        terms += [example(value, "like") for value in like]
        terms += [{**example(value, "unlike"), "negative": True} for value in unlike]
        given: dict[str, Any] = {
            "in": query.folder_values(os.fsdecode(path) for path in inside),
            "after": after,
            "before": before,
            "types": list(types),
            "camera": camera,
            "near": near,
            "tags": list(tags),
            "min_size": min_size,
            "orientation": orientation,
            "where": [{"key": key, "value": value} for key, value in (where or {}).items()],
            "rating": rating,
            "words": words,
            "category": category,
            "all": all,
            "min_score": min_score,
            "relevant": relevant,
            "diverse": diverse,
            "expand": expand,
            "offset": offset,
            "literal": literal,
            "sync": sync,
        }
        request = {key: value for key, value in given.items() if value not in (None, [], False)}
        return self.ask({"terms": terms, "top": top, **request}, timeout=timeout)

    def facets(self, request: dict[str, Any], *, timeout: float | None = None) -> dict[str, Any]:
        """POST /v1/facets: counts of what a search request finds, {"total", "facets": {NAME:
        [{"value", "count"}]}} by year, month, folder, format, camera, category and tag."""
        answer = self.call(
            "POST",
            "/v1/facets",
            {**request, "timeout_s": None},
            timeout=timeout,
            wait="answer",
            usage=SEARCH_USAGE,
        )
        return as_object(answer)

    def ask(self, request: dict[str, Any], *, timeout: float | None = None) -> Answer:
        """POST /v1/search with a body made elsewhere; waits while the first model is prepared."""
        return Answer(
            self.call(
                "POST",
                "/v1/search",
                {**request, "timeout_s": None},
                timeout=timeout,
                wait="sync" if request.get("sync") else "answer",
                usage=SEARCH_USAGE,
            )
        )

    def duplicates(
        self,
        *,
        inside: Iterable[Path] = (),
        threshold: float | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Pictures that look the same: {"groups": [{"kind", "similarity", "files"}], ..}."""
        from imgq import query

        body: dict[str, Any] = {"in": query.folder_values(os.fsdecode(path) for path in inside)}
        if threshold is not None:
            body["threshold"] = threshold
        return as_object(self.call("POST", "/v1/duplicates", body, timeout=timeout, wait="answer"))

    def web(self, address: str = "") -> dict[str, Any]:
        """A link that lets one browser in to the page, once: {"url", "port", "valid_s"}.

        `address` is the query that the page begins with, from its `?` on.
        """
        return self._json("POST", "/v1/web", {"address": address})

    # Questions

    def history(self, top: int = 20) -> dict[str, Any]:
        """What was asked: {"kept", "questions": [{"asked", "typed", "results"}]}, newest last."""
        return self._json("GET", f"/v1/history?top={int(top)}")

    def clear_history(self) -> int:
        """Forgets what was asked; how many questions that were."""
        return int(self._json("DELETE", "/v1/history")["forgotten"])

    def saved(self, name: str | None = None) -> list[dict[str, Any]]:
        """Questions saved under a name, or that one: [{"name", "arguments", "saved"}]."""
        target = "/v1/saved" if name is None else f"/v1/saved/{_quoted(name)}"
        return list(as_object(self.call("GET", target, usage=SEARCH_USAGE))["saved"])

    def save(self, name: str, arguments: Iterable[str]) -> None:
        """Saves the arguments of `imgq` under a name."""
        body = {"arguments": list(arguments)}
        self.call("PUT", f"/v1/saved/{_quoted(name)}", body, usage=SEARCH_USAGE)

    def forget(self, name: str) -> None:
        """Removes what is saved under a name."""
        self.call("DELETE", f"/v1/saved/{_quoted(name)}", usage=SEARCH_USAGE)

    def completions(self) -> dict[str, list[str]]:
        """What a shell may offer: {"tags", "saved"}."""
        return self._json("GET", "/v1/completions")

    def picture(self, id: int) -> Result:
        """What is known of one picture."""
        return Result(as_object(self.call("GET", f"/v1/pictures/{int(id)}")))

    def thumbnail(self, id: int, side: int = 256, *, format: str = "webp") -> bytes:
        """A small version of a picture: an encoded image whose longer side is at most `side`."""
        return self.call("GET", f"/v1/pictures/{int(id)}/thumbnail?side={side}&format={format}")

    # What is said of pictures

    def annotate(
        self,
        ids: Iterable[int],
        *,
        add_tags: Iterable[str] = (),
        remove_tags: Iterable[str] = (),
        description: str | None = None,
        fields: dict[str, str] | None = None,
        category: str | None = None,
    ) -> dict[str, Any]:
        """Changes what a person says of pictures, all or none; returns {"changed", "generation"}.

        An empty description or value of a field takes it away; the category "auto" brings the
        computed one back. Raises UsageError for a picture that is not there.
        """
        given: dict[str, Any] = {
            "add_tags": list(add_tags),
            "remove_tags": list(remove_tags),
            "description": description,
            "fields": [{"key": key, "value": value} for key, value in (fields or {}).items()],
            "category": category,
        }
        body = {key: value for key, value in given.items() if value not in (None, [])}
        body["ids"] = [int(id) for id in ids]
        return as_object(self.call("POST", "/v1/annotate", body, usage=SEARCH_USAGE))

    def export(self) -> Iterator[dict[str, Any]]:
        """What persons said of pictures: {"content_hash", "tags", "description", "fields",
        "category", "path"} for each content, without the keys that nothing was said for."""
        after = ""
        while True:
            page = self._json("GET", f"/v1/export?after={after}")
            yield from page["records"]
            if page["next"] is None:
                return
            after = page["next"]

    def import_records(self, records: Iterable[dict[str, Any]]) -> dict[str, Any]:
        """Takes in what was exported; returns {"here", "kept"}: for how many contents that are
        here, and that are not (kept for a month). Raises UsageError."""
        total = {"here": 0, "kept": 0}
        for batch in _batches(records):
            done = self._json("POST", "/v1/import", {"records": batch})
            total = {key: total[key] + int(done[key]) for key in total}
        return total

    # The library

    def folders(self) -> list[dict[str, Any]]:
        """The watched folders: [{"path", "state", "files"}]."""
        folders: list[dict[str, Any]] = self._json("GET", "/v1/folders")["folders"]
        return folders

    def watch(self, *folders: Path, exclude: Iterable[str] = ()) -> dict[str, Any]:
        """Watches folders; returns before they are indexed (see `sync`)."""
        return self._json(
            "POST", "/v1/folders", {"paths": _paths(folders), "exclude": list(exclude)}
        )

    def unwatch(self, *folders: Path) -> dict[str, Any]:
        """Forgets folders, and their files that no other folder covers."""
        return self._json("DELETE", "/v1/folders", {"paths": _paths(folders)})

    def sync(self, *, timeout: float | None = None) -> dict[str, Any]:
        """Waits until every change made on disk before the call is searchable.

        Returns {"in_sync", "offline": [paths], "pending", "paused"}; `in_sync` is False when that
        took longer than the timeout.
        """
        while True:
            answer = as_object(
                self.call("POST", "/v1/sync", {"timeout_s": None}, timeout=timeout, wait="sync")
            )
            limited = timeout is not None or self.timeout is not None
            if limited or answer.get("in_sync") or answer.get("paused"):
                return answer

    def pause(self) -> dict[str, Any]:
        """Pauses indexing until `resume`, over restarts too; returns {"paused", "paused_by"}."""
        return self._json("POST", "/v1/pause", {})

    def resume(self) -> dict[str, Any]:
        """Lets indexing go on, on battery power too; returns {"paused", "paused_by"}."""
        return self._json("POST", "/v1/resume", {})

    def relocate(self, old: Path, new: Path) -> dict[str, Any]:
        """Says that photos were moved from `old` to `new`; returns {"files", "folders"}."""
        before, after = _paths((old, new))
        return self._json("POST", "/v1/relocate", {"old": before, "new": after})

    def problems(self) -> list[dict[str, Any]]:
        """Files that could not be indexed: [{"path", "reason", "detail", "attempts", "since"}]."""
        problems: list[dict[str, Any]] = self._json("GET", "/v1/problems")["problems"]
        return problems

    def retry(self, *paths: Path) -> int:
        """Tries files with problems again (all of them without `paths`); how many are tried."""
        return int(self._json("POST", "/v1/retry", {"paths": _paths(paths)})["retried"])

    # The daemon

    def status(self, *, timeout: float | None = None) -> dict[str, Any]:
        """What the daemon is doing: the object of `imgqd status --json`."""
        return as_object(self.call("GET", "/v1/status", timeout=timeout, patient=False))

    def model(self) -> dict[str, Any]:
        """The model that answers."""
        return self._json("GET", "/v1/model")

    def set_model(self, spec: str, *, now: bool = False) -> dict[str, Any]:
        """Changes the model; re-embedding runs in the background."""
        return self._json("PUT", "/v1/model", {"spec": spec, "now": now})

    def config(self) -> dict[str, Any]:
        """The effective settings and where each came from."""
        return self._json("GET", "/v1/config")

    def verify(self, *, repair: bool = False, timeout: float | None = None) -> dict[str, Any]:
        """Checks database, index and disk against each other."""
        return as_object(self.call("POST", "/v1/verify", {"repair": repair}, timeout=timeout))

    def stats(self, *, days: int = 14) -> dict[str, Any]:
        """How the daemon is used: {"searches", "since", "p50_ms", "p95_ms", "days", "words"}."""
        return self._json("GET", f"/v1/stats?days={int(days)}")

    def forget_words(self) -> int:
        """Forgets the words of all searches; how many there were."""
        return int(self._json("DELETE", "/v1/stats/words")["forgotten"])

    def metrics(self) -> str:
        """Prometheus text."""
        return self.call("GET", "/v1/metrics").decode("utf-8", "replace")

    def stop(self) -> dict[str, Any]:
        """Asks the daemon to stop; it may still be committing what is in hand when this returns."""
        return self._json("POST", "/v1/stop", {})

    def events(self) -> Iterator[tuple[str, Any]]:
        """(name, data) of each server-sent event, until the daemon ends or the caller stops."""
        reply = self.open("GET", "/v1/events")
        try:
            yield from events(reply.pieces())
        finally:
            reply.close()

    def _json(self, method: str, target: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return as_object(self.call(method, target, body))


def _batches(records: Iterable[dict[str, Any]], most: int = 100) -> Iterator[list[dict[str, Any]]]:
    """Requests of a size that the daemon takes (it refuses 20,000 values at once)."""
    batch: list[dict[str, Any]] = []
    values = 0
    for record in records:
        size = 8 + len(record.get("tags", ())) + 2 * len(record.get("fields", ()))
        if batch and (len(batch) == most or values + size > 10_000):
            yield batch
            batch, values = [], 0
        batch.append(record)
        values += size
    if batch:
        yield batch


def _quoted(name: str) -> str:
    raw = os.fsencode(name)
    return "".join(chr(b) if chr(b).isalnum() and b < 128 else f"%{b:02X}" for b in raw)


def _paths(paths: Iterable[Path]) -> list[str | dict[str, str]]:
    from imgq.query import absolute, path_value

    return [path_value(absolute(os.fsdecode(path))) for path in paths]

"""What can be asked of the daemon: api.service.Service over the rooms. No room's work is done here."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import structlog

import imgqd
from imgqd.api.service import Subscription, SyncResult, cancelled
from imgqd.asking import Asking
from imgqd.describing import Describing
from imgqd.errors import NotFoundError, UnavailableError, UsageError
from imgqd.library.identity import identify
from imgqd.library.moving import relocate
from imgqd.library.store import is_below
from imgqd.models.coverage import MOSTLY_UNKNOWN
from imgqd.models.spec import parse_spec
from imgqd.pausing import BY_BATTERY
from imgqd.process import memory_bytes
from imgqd.records import Problem
from imgqd.search.grid import Grid
from imgqd.search.query import Searcher, parse_request
from imgqd.serving import Serving
from imgqd.showing import Showing
from imgqd.telling import Telling
from imgqd.thumbnails import Thumbnails

if TYPE_CHECKING:
    from imgqd.daemon import Daemon

log = structlog.get_logger("daemon")


class Operations(Asking, Showing, Describing, Telling):
    """The daemon as the API sees it; thread-safe."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._store = daemon.store
        self._language: str | None = None
        self._searcher = Searcher(
            daemon.store,
            decoder=daemon.query_decoder,
            verify_deadline_ms=daemon.settings.integer("verify_deadline_ms"),
            follow_links=daemon.settings.flag("follow_links"),
            on_stale=daemon.store.enqueue,
            cache_dir=daemon.locations.index,
        )
        self._grid = Grid(daemon.store, lambda: daemon.events.publish("alike"), self._searcher.gone)
        self._thumbnails = Thumbnails(
            daemon.store,
            daemon.locations.thumbs,
            daemon.query_decoder,
            limit=daemon.settings.integer("thumbnail_cache_mb") << 20,
        )

    # -- status

    def status(self) -> dict[str, Any]:
        """See interface.md."""
        daemon, store = self._daemon, self._store
        counts = store.counts()
        serving, work = daemon.models.current, daemon.models.work
        scan = daemon.reconciler.progress()
        embedding = work.total - work.done if work.stage == "embed" else 0
        if daemon.stopping.is_set():
            state = "stopping"
        elif serving is None:
            state = "starting"
        elif counts.pending or embedding or scan.scanning:
            state = "indexing"
        else:
            state = "idle"
        if work.stage:
            progress = {
                "stage": work.stage,
                "detail": work.detail,
                "done": work.done,
                "total": work.total,
            }
        elif counts.pending or scan.scanning:
            stage = "index" if counts.pending else "scan"
            progress = {
                "stage": stage,
                "detail": "paused" if daemon.pipeline.paused else "",
                "done": max(0, counts.files - counts.pending),
                "total": max(counts.files, counts.pending),
            }
        else:
            progress = {"stage": "", "detail": "", "done": counts.files, "total": counts.files}
        index = serving.keeper.index if serving else None
        return {
            "version": imgqd.__version__,
            "pid": os.getpid(),
            "uptime_s": round(time.monotonic() - daemon.started, 3),
            "state": state,
            "paused": daemon.pipeline.paused,
            "paused_by": daemon.pausing.by,
            "model": self.model(),
            "pictures": counts.pictures,
            "files": counts.files,
            "pending": counts.pending + embedding,
            "problems": counts.problems,
            "generation": store.generation,
            "folders": self.folders(),
            "index": {
                "kind": index.kind if index else None,
                "vectors": index.count if index else 0,
                "rebuilding": index.rebuilding if index else False,
            },
            "queries": daemon.metrics.queries(),
            "memory_bytes": memory_bytes(),
            "encoded": daemon.pipeline.encoded,
            "failure": store.try_writing() or daemon.pipeline.failure or daemon.models.error,
            "notice": daemon.notice,
            "watch_limit": daemon.reconciler.watch_limit,
            "library_id": store.library_id,
            "home": os.fsencode(daemon.locations.data),
            "progress": progress,
        }

    def model(self) -> dict[str, Any]:
        """The model in use and the one that is wanted."""
        room = self._daemon.models
        serving = room.current
        return {
            "spec": room.spec,
            "id": serving.artifact.id if serving else None,
            "dim": serving.artifact.dim if serving else None,
            "runtime": serving.artifact.runtime if serving else None,
            "device": serving.image.device if serving else None,
            "fallback": room.fallback,
            "available": room.available,
            "language": self._language,
            "error": room.error,
        }

    def set_model(self, spec: str, now: bool) -> dict[str, Any]:
        """Wants another model; re-embedding goes on in the background."""
        self._daemon.models.change(str(parse_spec(spec)), now)
        return self.model()

    # -- folders

    def folders(self) -> list[dict[str, Any]]:
        """The watched folders."""
        return [
            {
                "path": folder.path,
                "state": folder.state,
                "files": self._store.folder_files(folder.path),
                "exclude": list(folder.exclude),
            }
            for folder in self._store.folders()
        ]

    def add_folders(self, paths: Sequence[bytes], exclude: Sequence[str]) -> list[dict[str, Any]]:
        """Watches folders; all or none."""
        wanted = [os.path.normpath(path) for path in paths]
        for path in wanted:
            self._check_folder(path)
        for path in wanted:
            found = identify(path)
            self._store.add_folder(
                path, filesystem=found.filesystem, inode=found.inode, exclude=exclude
            )
        self._folders_changed()
        return self.folders()

    def _check_folder(self, path: bytes) -> None:
        shown = os.fsdecode(path).encode("utf-8", "replace").decode()
        if not os.path.isabs(path):
            raise UsageError(f"{shown}: a folder to watch is given by its absolute path")
        try:
            found = os.stat(path)
            if not stat.S_ISDIR(found.st_mode):
                raise UsageError(
                    f"{shown} is not a folder; name the folder that holds your pictures"
                )
            with os.scandir(path):
                pass
        except FileNotFoundError:
            raise UsageError(f"{shown} does not exist; check the spelling") from None
        except OSError as error:
            raise UsageError(
                f"{shown} cannot be read: {error.strerror}; check its permissions"
            ) from error
        own = os.fsencode(self._daemon.locations.data)
        if is_below(os.path.realpath(path), os.path.realpath(own)):
            raise UsageError(f"{shown} is imgq's own folder; it cannot be watched")

    def remove_folders(self, paths: Sequence[bytes]) -> list[dict[str, Any]]:
        """Forgets folders."""
        known = {folder.path for folder in self._store.folders()}
        wanted = [os.path.normpath(path) for path in paths]
        for path in wanted:
            if path not in known:
                shown = os.fsdecode(path).encode("utf-8", "replace").decode()
                raise NotFoundError(f"{shown} is not watched; `imgqd folders` lists those that are")
        for path in wanted:
            self._store.remove_folder(path)
        self._folders_changed()
        return self.folders()

    def relocate(self, old: bytes, new: bytes) -> dict[str, Any]:
        """Photos have moved: their ids and vectors stay."""
        for path in (old, new):
            if not os.path.isabs(path):
                shown = os.fsdecode(path).encode("utf-8", "replace").decode()
                raise UsageError(f"{shown}: a folder is given by its absolute path")
        moved = relocate(self._store, os.path.normpath(old), os.path.normpath(new))
        self._folders_changed()
        self._daemon.reconciler.request()
        return {"files": moved.files, "folders": moved.folders}

    def _folders_changed(self) -> None:
        self._daemon.reconciler.folders_changed()
        self._daemon.events.publish("folder", {"folders": len(self._store.folders())})

    # -- sync, problems

    def sync(self, timeout_s: float | None) -> SyncResult:
        """Returns once every change made on disk before the call is answered for, or too late."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        walk = self._daemon.reconciler.sync_walk(deadline, cancelled)
        if walk is None:
            return SyncResult(False, [], self._store.pending(), self._daemon.pipeline.paused)
        while pending := self._unanswered(walk.watermark):
            late = deadline is not None and time.monotonic() >= deadline
            paused = self._daemon.pipeline.paused
            if late or paused or cancelled() or self._daemon.stopping.is_set():
                return SyncResult(False, walk.offline, pending, paused)
            left = 0.5 if deadline is None else min(0.5, deadline - time.monotonic())
            self._daemon.pipeline.wait_for_commit(max(0.01, left))
        self._daemon.pipeline.settle()
        return SyncResult(True, walk.offline, 0)

    def _unanswered(self, watermark: int) -> int:
        """Requests not answered yet, and pictures that have no vector to be found by yet."""
        pending = self._store.pending_through(watermark)
        return pending or self._daemon.models.gaps()

    def pause(self) -> dict[str, Any]:
        """Pauses indexing until `resume`, over restarts too."""
        self._daemon.pausing.pause()
        return self._pausing()

    def resume(self) -> dict[str, Any]:
        """Lets indexing go on."""
        self._daemon.pausing.resume()
        return self._pausing()

    def _pausing(self) -> dict[str, Any]:
        return {"paused": self._daemon.pipeline.paused, "paused_by": self._daemon.pausing.by}

    def problems(self) -> list[Problem]:
        """Every path that could not be indexed."""
        return self._store.problems()

    def retry(self, paths: Sequence[bytes] | None) -> int:
        """Tries problems again."""
        wanted = [
            problem.path
            for problem in self._store.problems()
            if paths is None or any(is_below(problem.path, path) for path in paths)
        ]
        self._store.retry(wanted)
        return len(wanted)

    # -- searching

    def search(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answers a SearchRequest with the object of `imgq --json`."""
        started = time.perf_counter()
        query = parse_request(request)
        self._sync_first(request)
        serving = self._daemon.models.ready()
        self._searcher.warm(serving)
        answer = self._searcher.search(query, serving)
        texts = [str(term.value) for term in query.terms if term.kind == "text"]
        self._note_language(texts, serving)
        took = time.perf_counter() - started
        self._daemon.usage.answered(took, texts)
        if self._daemon.settings.flag("log_queries"):
            log.info("a search", texts=texts, found=len(answer.hits), took_ms=round(took * 1000, 1))
        self.remember(request.get("remember"), len(answer.hits))
        return answer.to_json(
            model=serving.artifact.id,
            took_ms=(time.perf_counter() - started) * 1000,
            generation=self._store.generation,
            indexing=bool(self._store.pending()) or bool(self._daemon.models.work.stage),
        )

    def _note_language(self, texts: list[str], serving: Serving) -> None:
        """Keeps for `status` that the last question was mostly outside the model's vocabulary."""
        unknown = [text for text in texts if serving.text.coverage(text) < MOSTLY_UNKNOWN]
        self._language = (
            f"the last question, {unknown[0][:80]!r}, is mostly outside the vocabulary of"
            f" {serving.artifact.spec}; docs/builtin-model.md names multilingual models"
            if unknown
            else None
        )

    def _sync_first(self, request: dict[str, Any]) -> None:
        """Brings the library in sync where a request asks for that. Raises UnavailableError."""
        if request.get("sync"):
            result = self.sync(request.get("timeout_s"))
            if not result.in_sync:
                if result.paused:
                    raise UnavailableError(
                        f"indexing is paused{_why_paused(self._daemon.pausing.by)}, so the library"
                        " cannot be brought in sync; go on with `imgqd resume`",
                        code="paused",
                    )
                raise UnavailableError(
                    f"not in sync in time: {result.pending} files are still to be indexed; "
                    "ask again or give a longer --timeout",
                    code="timeout",
                )

    # -- the rest

    def subscribe(self) -> Subscription:
        """Events, on the event loop."""
        return self._daemon.events.subscribe()

    def stop(self) -> None:
        """Asks the daemon to stop."""
        self._daemon.events.publish("stopping")
        self._daemon.ask_to_stop()


def _why_paused(by: str | None) -> str:
    return " on battery power" if by == BY_BATTERY else ""

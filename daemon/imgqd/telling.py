"""The part of Operations that tells how the daemon is and what it does: settings, checks, numbers, and
events for whoever listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgqd.library.commit import Changes
from imgqd.library.store import Store
from imgqd.settings import TABLE
from imgqd.verify import verify_library

if TYPE_CHECKING:
    from imgqd.daemon import Daemon


class Telling:
    """A part of Operations; thread-safe."""

    _daemon: Daemon
    _store: Store

    def status(self) -> dict[str, Any]:
        """See Operations."""
        raise NotImplementedError

    def config(self) -> list[dict[str, Any]]:
        """Every setting with its effective value and where that came from."""
        settings = self._daemon.settings
        rows = []
        for setting in TABLE:
            value, source = settings.values[setting.name], settings.sources[setting.name]
            if setting.name == "model" and not settings.is_explicit("model"):
                stored = self._store.get_meta("model_spec")
                if stored:
                    value, source = str(stored), "library"
            rows.append(
                {
                    "name": setting.name,
                    "value": value,
                    "source": source,
                    "default": setting.default,
                    "help": setting.help,
                }
            )
        return rows

    def verify(self, repair: bool) -> dict[str, Any]:
        """Compares database, index and disk."""
        return verify_library(self._daemon, repair=repair)

    def metrics(self) -> str:
        """Prometheus text."""
        return self._daemon.metrics.render(self.status(), self._store.problem_reasons())

    def stats(self, days: int) -> dict[str, Any]:
        """How the daemon is used; see library.usage."""
        return self._daemon.usage.told(days)

    def forget_words(self) -> int:
        """Forgets the words of all searches."""
        return self._daemon.usage.forget_words()

    def announce(self, changes: Changes) -> None:
        """Tells listeners what a commit changed."""
        events = self._daemon.events
        if not events.subscribers:
            return
        gone = set(changes.orphaned)
        for kind, ids in (
            ("picture-removed", changes.orphaned),
            ("picture-added", [*changes.vectors, *changes.revived]),
            ("picture-changed", [i for i in dict.fromkeys(changes.changed) if i not in gone]),
        ):
            pictures = self._store.pictures(ids)
            for picture_id in ids:
                if kind == "picture-changed" and picture_id in changes.vectors:
                    continue
                picture = pictures.get(picture_id)
                path = picture.paths[0] if picture else None
                events.publish(kind, {"id": picture_id, "path": path})
        for failed in changes.new_problems:
            events.publish(
                "problem",
                {"path": failed.job.path, "reason": failed.reason, "detail": failed.detail},
            )
        counts = self._store.counts()
        events.publish(
            "progress",
            {
                "done": counts.files - counts.pending,
                "total": counts.files,
                "stage": "index" if counts.pending else "",
                "detail": "",
            },
        )

"""When indexing pauses: because a person said so, or because the machine runs on its battery.

Decides only whether; the pipeline does it, and so does whoever asks it whether it is paused. What a
person said is kept in the library and outlives the daemon.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from imgqd.indexing.pipeline import Pipeline
from imgqd.library.store import Store
from imgqd.power import on_battery

log = structlog.get_logger("daemon")

META_KEY = "paused"
BY_REQUEST, BY_BATTERY = "request", "battery"
CHECK_S = 15.0
# Where there is no battery there may be one later (a UPS that is plugged in).
CHECK_WITHOUT_S = 600.0


class Pausing:
    """Pauses the pipeline and lets it go on. Thread-safe."""

    def __init__(
        self,
        store: Store,
        pipeline: Pipeline,
        *,
        heed_battery: bool,
        battery: Callable[[], bool | None] = on_battery,
    ) -> None:
        """`battery` says whether the machine runs on battery (None: it has none)."""
        self._store = store
        self._pipeline = pipeline
        self._heed = heed_battery
        self._battery = battery
        self._lock = threading.Lock()
        self._asked = store.get_meta(META_KEY) == "1"
        self._on_battery = False
        # Resumed on battery: a person knows better, until the power comes back.
        self._regardless = False

    @property
    def by(self) -> str | None:
        """What pauses indexing now: "request", "battery" or None."""
        if self._asked:
            return BY_REQUEST
        return BY_BATTERY if self._on_battery and not self._regardless else None

    def pause(self) -> None:
        """Until `resume`, whatever happens in between."""
        with self._lock:
            self._store.set_meta(META_KEY, "1")
            self._asked = True
            self._apply()

    def resume(self) -> None:
        """Goes on; on battery too, until power has come and gone again."""
        with self._lock:
            self._store.set_meta(META_KEY, "0")
            self._asked = False
            self._regardless = self._on_battery
            self._apply()

    def check(self) -> float:
        """Looks at the battery. Returns in how many seconds to look again."""
        if not self._heed:
            with self._lock:
                self._apply()
            return CHECK_WITHOUT_S
        found = self._battery()
        with self._lock:
            self._on_battery = bool(found)
            self._regardless = self._regardless and self._on_battery
            self._apply()
        return CHECK_WITHOUT_S if found is None else CHECK_S

    def _apply(self) -> None:
        by = self.by
        if self._pipeline.paused != (by is not None):
            log.info("indexing is paused" if by else "indexing goes on", by=by)
            self._pipeline.pause(by is not None)

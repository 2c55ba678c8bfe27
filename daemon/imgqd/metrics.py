"""What is counted: queries and indexing while they happen, the rest read off when asked.

Prometheus' own client library keeps the counters and writes the text; `/v1/metrics` and the
`queries` part of the status are made from here.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

QUERY_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0)
ENCODE_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# How many of the newest queries the percentiles in the status are taken from.
RECENT = 1000


class Metrics:
    """Thread-safe. One for each daemon: nothing is registered globally."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._lock = threading.Lock()
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._queries = 0
        self._query_seconds = Histogram(
            "imgq_query_seconds",
            "Time to answer a search.",
            buckets=QUERY_BUCKETS,
            registry=self.registry,
        )
        self._failed = Counter(
            "imgq_queries_failed",
            "Searches that ended in an error, by its code.",
            ["code"],
            registry=self.registry,
        )
        self._indexed = Counter(
            "imgq_pictures_indexed",
            "Pictures encoded since the start.",
            registry=self.registry,
        )
        self._encode_seconds = Histogram(
            "imgq_encode_seconds",
            "Time to encode one batch of pictures.",
            buckets=ENCODE_BUCKETS,
            registry=self.registry,
        )
        self._gauges = {
            name: Gauge(f"imgq_{name}", text, registry=self.registry)
            for name, text in (
                ("pictures", "Distinct contents that are indexed."),
                ("files", "Paths that look like pictures below watched folders."),
                ("pending", "Files that wait to be indexed."),
                ("generation", "Grows with every change of what an answer can show."),
                ("memory_bytes", "Resident memory of the daemon."),
                ("uptime_seconds", "Time since the daemon started."),
                ("index_vectors", "Vectors in the search index."),
                ("index_rebuilding", "1 while the search index is rebuilt."),
            )
        }
        self._problems = Gauge(
            "imgq_problems",
            "Files that could not be indexed, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self._folders = Gauge(
            "imgq_folders", "Watched folders, by state.", ["state"], registry=self.registry
        )
        self._info = Gauge(
            "imgq_info", "Version and model in use.", ["version", "model"], registry=self.registry
        )

    def query(self, seconds: float) -> None:
        """A search was answered."""
        self._query_seconds.observe(seconds)
        with self._lock:
            self._queries += 1
            self._recent.append(seconds)

    def query_failed(self, code: str) -> None:
        self._failed.labels(code).inc()

    def encoded(self, pictures: int, seconds: float) -> None:
        """A batch of `pictures` was encoded in `seconds`."""
        self._indexed.inc(pictures)
        self._encode_seconds.observe(seconds)

    def queries(self) -> dict[str, Any]:
        """`{"count", "p50_ms", "p95_ms"}`: all queries counted, percentiles of the newest."""
        with self._lock:
            count, recent = self._queries, sorted(self._recent)
        return {
            "count": count,
            "p50_ms": _percentile_ms(recent, 50),
            "p95_ms": _percentile_ms(recent, 95),
        }

    def render(self, status: Mapping[str, Any], problems: Mapping[str, int]) -> str:
        """Prometheus text. `status` as in `imgqd status --json`, `problems` by reason."""
        index = status["index"]
        values = {
            "pictures": status["pictures"],
            "files": status["files"],
            "pending": status["pending"],
            "generation": status["generation"],
            "memory_bytes": status["memory_bytes"],
            "uptime_seconds": status["uptime_s"],
            "index_vectors": index["vectors"],
            "index_rebuilding": int(index["rebuilding"]),
        }
        states: dict[str, int] = {}
        for folder in status["folders"]:
            states[folder["state"]] = states.get(folder["state"], 0) + 1
        with self._lock:
            for name, value in values.items():
                self._gauges[name].set(value)
            for gauge, counts in ((self._problems, problems), (self._folders, states)):
                gauge.clear()
                for label, count in counts.items():
                    gauge.labels(label).set(count)
            self._info.clear()
            self._info.labels(status["version"], status["model"]["id"] or "").set(1)
            return generate_latest(self.registry).decode("utf-8")


def _percentile_ms(ordered: list[float], percent: int) -> float | None:
    if not ordered:
        return None
    nearest = max(0, -(-len(ordered) * percent // 100) - 1)
    return round(ordered[nearest] * 1000, 2)

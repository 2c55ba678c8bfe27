"""How the daemon is used: searches a day, how long they took, and the words that are asked most.

Counted in memory and written now and then, never for each search; nothing of it leaves this
machine. What Prometheus gets is metrics.py's.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import apsw
import structlog

from imgqd.library.database import Database

log = structlog.get_logger("library")

# Times are kept in buckets, each a quarter wider than the one before: 12% off at most.
GROWTH = 1.25
KEEP_DAYS = 400
MOST_WORDS = 5000
SHOWN_WORDS = 30
_WORD = re.compile(r"[^\W\d_]{2,40}")
# Words of every sentence say nothing of what is looked for.
_EMPTY = frozenset(
    [
        "a",
        "an",
        "and",
        "at",
        "by",
        "for",
        "from",
        "in",
        "into",
        "is",
        "it",
        "of",
        "off",
        "on",
        "onto",
        "or",
        "over",
        "the",
        "to",
        "under",
        "with",
        "without",
    ]
)


class Usage:
    """Thread-safe. `words`: whether the words of searches are counted at all."""

    def __init__(self, store: Database, *, words: bool) -> None:
        self._store = store
        self._words = words
        self._lock = threading.Lock()
        self._times: Counter[tuple[str, int]] = Counter()
        self._asked: Counter[str] = Counter()

    def answered(self, seconds: float, texts: Iterable[str]) -> None:
        """A search for `texts` was answered in `seconds`."""
        slot = (_today(), _bucket(seconds))
        found = _words_of(texts) if self._words else ()
        with self._lock:
            self._times[slot] += 1
            # Bounded even where somebody asks a new word each millisecond.
            if len(self._asked) < MOST_WORDS:
                self._asked.update(found)

    def flush(self) -> None:
        """Writes what was counted since the last time; what cannot be written is kept for later."""
        with self._lock:
            times, self._times = self._times, Counter()
            asked, self._asked = self._asked, Counter()
        if not times and not asked:
            return
        try:
            self._write(times, asked)
        except apsw.Error as error:
            log.warning("the use of the daemon cannot be written", error=str(error))
            with self._lock:
                self._times += times
                self._asked += asked

    def _write(self, times: Counter[tuple[str, int]], asked: Counter[str]) -> None:
        with self._store.write() as connection:
            connection.executemany(
                "INSERT INTO usage_times VALUES (?, ?, ?) ON CONFLICT (day, bucket)"
                " DO UPDATE SET searches = searches + excluded.searches",
                [(day, bucket, number) for (day, bucket), number in times.items()],
            )
            connection.execute(
                "DELETE FROM usage_times WHERE day < date('now', 'localtime', ?)",
                (f"-{KEEP_DAYS} days",),
            )
            connection.executemany(
                "INSERT INTO usage_words VALUES (?, ?) ON CONFLICT (word)"
                " DO UPDATE SET searches = searches + excluded.searches",
                asked.items(),
            )
            connection.execute(
                "DELETE FROM usage_words WHERE word IN (SELECT word FROM usage_words"
                " ORDER BY searches DESC LIMIT -1 OFFSET ?)",
                (MOST_WORDS,),
            )

    def forget_words(self) -> int:
        """Forgets every word; returns how many there were."""
        self.flush()
        with self._store.write(durable=True) as connection:
            connection.execute("DELETE FROM usage_words")
            return int(connection.changes())

    def told(self, days: int) -> dict[str, Any]:
        """`{"searches", "since", "p50_ms", "p95_ms", "days": [..], "words": [..], "words_kept"}`.

        `days` of the last so many days, oldest first, each with `day`, `searches`, `p50_ms` and
        `p95_ms`; days without a search are left out.
        """
        self.flush()
        by_day: dict[str, Counter[int]] = {}
        for day, bucket, number in self._store.read(
            "SELECT day, bucket, searches FROM usage_times ORDER BY day"
        ):
            by_day.setdefault(day, Counter())[bucket] = number
        total: Counter[int] = sum(by_day.values(), Counter())
        first = time.strftime("%Y-%m-%d", time.localtime(time.time() - (days - 1) * 86_400))
        return {
            **_summary(total),
            "since": min(by_day, default=None),
            "days": [
                {"day": day, **_summary(counts)} for day, counts in by_day.items() if day >= first
            ],
            "words": [
                {"word": word, "searches": number}
                for word, number in self._store.read(
                    "SELECT word, searches FROM usage_words ORDER BY searches DESC, word LIMIT ?",
                    (SHOWN_WORDS,),
                )
            ],
            "words_kept": self._words,
        }


def _today() -> str:
    return time.strftime("%Y-%m-%d")


def _bucket(seconds: float) -> int:
    return max(0, math.ceil(math.log(max(seconds * 1000, 1.0), GROWTH)))


def _summary(counts: Counter[int]) -> dict[str, Any]:
    return {
        "searches": counts.total(),
        "p50_ms": _percentile(counts, 0.5),
        "p95_ms": _percentile(counts, 0.95),
    }


def _percentile(counts: Counter[int], share: float) -> float | None:
    """The middle of the bucket that holds this share of all, in ms."""
    left = math.ceil(counts.total() * share)
    for bucket in sorted(counts):
        left -= counts[bucket]
        if left <= 0:
            return round(float(GROWTH ** (bucket - 0.5)), 1)
    return None


def _words_of(texts: Iterable[str]) -> set[str]:
    found = {word.lower() for text in texts for word in _WORD.findall(text)}
    return found - _EMPTY

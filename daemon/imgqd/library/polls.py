"""Folders that cannot be watched, or not wholly: when each is walked next.

Whether a folder is watched is what the walk that has just ended says; walking is reconcile.py's.
"""

from __future__ import annotations

from collections.abc import Collection

# A folder that cannot be watched is walked at most this fraction of the time.
POLL_SHARE = 20


class Polls:
    """Times are of the monotonic clock. Used by the walking and the coordinating thread."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        # When to walk each next; None while that is asked for.
        self._due: dict[bytes, float | None] = {}
        self._unwatched: set[bytes] = set()

    def __contains__(self, top: bytes) -> bool:
        return top in self._due

    @property
    def all_watched(self) -> bool:
        """True when the last walk of every folder could watch all of it."""
        return not self._unwatched

    def times(self) -> list[float]:
        """When there is something to walk."""
        return [due for due in self._due.values() if due is not None]

    def take(self, now: float) -> list[bytes]:
        """The folders to walk now; each is told once until it was walked."""
        late = [top for top, due in list(self._due.items()) if due is not None and due <= now]
        self._due.update(dict.fromkeys(late))
        return late

    def walked(
        self, top: bytes, *, complete: bool, network: bool, away: bool, took_s: float, now: float
    ) -> bool:
        """A walk has ended; returns whether the folder is watched now.

        `complete` says that all of it could be watched, `network` that changes made elsewhere are
        not seen all the same, `away` that nothing was there to walk.
        """
        (self._unwatched.discard if complete else self._unwatched.add)(top)
        watched = complete and not network
        if watched or (away and not network):
            self._due.pop(top, None)
        else:
            self._due[top] = now + max(self._interval_s, POLL_SHARE * took_s)
        return watched

    def keep(self, tops: Collection[bytes]) -> None:
        """Forgets every folder but these."""
        for gone in self._due.keys() - set(tops):
            self._due.pop(gone, None)
        self._unwatched &= set(tops)

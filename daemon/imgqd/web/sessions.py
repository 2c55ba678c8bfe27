"""How a browser gets in: a key that works once becomes a session, which a cookie carries.

Keys are kept in memory, sessions in a file of mode 0600, both as hashes only, so that what is read
there opens nothing. What a session may do is the gate's to say (api/auth.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable
from typing import Any

from imgq.locations import Locations

KEY_S = 60.0
SESSION_S = 30 * 86_400
MOST_KEYS = 20
MOST_SESSIONS = 50
SECRET_BYTES = 32


def sessions_file(locations: Locations) -> str:
    """Where the sessions of this home are kept."""
    return os.path.join(locations.data, "web-sessions.json")


def end_all_sessions(locations: Locations) -> None:
    """Every browser has to get in anew; a running daemon heeds it from the next request on."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(sessions_file(locations))


class Sessions:
    """The keys and sessions of one daemon. Belongs to the event loop."""

    def __init__(
        self,
        file: str,
        *,
        clock: Callable[[], float] = time.time,
        since: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = file
        self._clock, self._since = clock, since
        self._keys: dict[str, float] = {}
        self._seen: tuple[int, int, int] | None = None
        self._sessions: dict[str, float] = {}

    def key(self) -> str:
        """A new key: for KEY_S seconds, and once."""
        while len(self._keys) >= MOST_KEYS:
            del self._keys[next(iter(self._keys))]
        key = secrets.token_urlsafe(SECRET_BYTES)
        self._keys[_hash(key)] = self._since() + KEY_S
        return key

    def begin(self, key: str) -> str | None:
        """A new session's secret for a key that is good, which it is no longer; else None."""
        until = self._keys.pop(_hash(key), None)
        if until is None or self._since() > until:
            return None
        secret = secrets.token_urlsafe(SECRET_BYTES)
        sessions = self._current()
        sessions[_hash(secret)] = self._clock() + SESSION_S
        newest = sorted(sessions.items(), key=lambda item: item[1])[-MOST_SESSIONS:]
        self._write(dict(newest))
        return secret

    def valid_until(self, secret: str) -> float | None:
        """When the session of this secret ends (seconds since the epoch); None without one."""
        return self._current().get(_hash(secret))

    def end(self, secret: str) -> None:
        """Ends one session; nothing happens when there is none."""
        sessions = self._current()
        if sessions.pop(_hash(secret), None) is not None:
            self._write(sessions)

    def any(self) -> bool:
        """True while somebody may come back."""
        return bool(self._current())

    def _current(self) -> dict[str, float]:
        """The sessions that have not ended; the file counts as it is now."""
        try:
            info = os.stat(self._file, follow_symlinks=False)
            seen = (info.st_ino, info.st_mtime_ns, info.st_size)
            if seen != self._seen:
                self._sessions, self._seen = _read(self._file), seen
        except OSError:
            self._sessions, self._seen = {}, None
        now = self._clock()
        return {name: until for name, until in self._sessions.items() if until > now}

    def _write(self, sessions: dict[str, float]) -> None:
        beside = f"{self._file}.{os.getpid()}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "w", encoding="ascii") as stream:
                json.dump({"sessions": sessions}, stream)
            os.replace(beside, self._file)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside)
            raise
        self._sessions, self._seen = sessions, None


def _read(file: str) -> dict[str, float]:
    try:
        with open(file, encoding="ascii") as stream:
            stored: Any = json.load(stream)["sessions"]
        return {str(name): float(until) for name, until in stored.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _hash(secret: str) -> str:
    # The secrets are 32 random bytes: nothing slower is needed, and no comparison leaks one.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()

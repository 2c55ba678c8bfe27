"""A look into the library without a daemon: read-only, for `doctor` and `config`.

Nothing is made, changed or repaired here, and a database that cannot be read is an answer, not an
error.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any

import apsw


class Library:
    """The library database at `path`, open for reading while in a `with` block.

    `missing` and `error` (a text) say why there is nothing to see.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.missing = not os.path.exists(path)
        self.error: str | None = None
        self._connection: apsw.Connection | None = None

    def __enter__(self) -> Library:
        if not self.missing:
            try:
                self._connection = apsw.Connection(self.path, flags=apsw.SQLITE_OPEN_READONLY)
                self._connection.set_busy_timeout(2000)
                self._connection.execute("SELECT count(*) FROM meta").get  # noqa: B018
            except apsw.Error as error:
                self._fail(error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._connection is not None:
            self._connection.close()

    def setting(self, key: str) -> str | None:
        """What the library keeps under `key`, as text."""
        rows = self._read("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0][0]) if rows and rows[0][0] is not None else None

    def folders(self) -> list[tuple[bytes, str]]:
        """Path and state of each watched folder."""
        return [
            (bytes(path), str(state))
            for path, state in self._read("SELECT path, state FROM folders")
        ]

    def directories(self) -> int:
        """How many directories hold files that are known."""
        rows = self._read("SELECT count(*) FROM directories")
        return int(rows[0][0]) if rows else 0

    def schema(self) -> int | None:
        """The version of the schema; None when there is nothing to read."""
        rows = self._read("PRAGMA user_version")
        return int(rows[0][0]) if rows else None

    def _read(self, sql: str, bindings: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        if self._connection is None:
            return []
        try:
            return self._connection.execute(sql, bindings).fetchall()
        except apsw.Error as error:
            self._fail(error)
            return []

    def _fail(self, error: apsw.Error) -> None:
        self.error = str(error)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

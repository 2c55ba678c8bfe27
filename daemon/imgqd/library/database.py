"""The library database: opening, versions, connections and transactions. What is in it is the
business of store.py; here is only what makes SQLite safe to share between threads.

One connection writes, under a lock; each thread that reads has a connection of its own. WAL with
synchronous=NORMAL survives a killed process; transactions that hold what only the database knows
(folders, tags) ask for `durable`, which also survives a power failure.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from importlib import resources
from typing import Any

import apsw
import structlog

from imgqd.errors import DatabaseError
from imgqd.library.migrations import MIGRATIONS

log = structlog.get_logger("library")

Row = tuple[Any, ...]
SCHEMA_VERSION = 1 + len(MIGRATIONS)
APPLICATION_ID = 0x696D6771  # "imgq": another program's database is never taken for ours
# Large pages hold fifteen fp16 vectors of 512 each with little waste (see docs/performance.md).
PAGE_SIZE = 16_384
# Picture ids are reserved in blocks, recorded beside the database, so that even a library that is
# restored from an old backup never gives an id twice.
ID_BLOCK = 10_000
# Up to this size the whole database is checked at every start (0.1 s); above, in the background.
CHECK_AT_START = 128 << 20


class DamagedError(DatabaseError):
    """The file is not a sound database of ours: it can be moved aside and made again."""

    code = "database-damaged"


class Database:
    """A library database. `generation` grows with every change that an answer can show."""

    def __init__(self, path: str) -> None:
        """Opens or makes the database at `path`.

        Raises DamagedError when it is not sound, DatabaseError when a newer imgq wrote it.
        """
        self.path = path
        self._lock = threading.RLock()
        self._local = threading.local()
        self._readers: list[apsw.Connection] = []
        self._closed = False
        # Called after every durable write: something that only the database knows has changed.
        self.on_durable: Callable[[], None] = lambda: None
        # Why the last write failed for lack of room or of a working disk; None once one succeeds.
        self.write_failure: str | None = None
        try:
            self._writer = self._connect()
            self._prepare()
        except (apsw.NotADBError, apsw.CorruptError, apsw.IOError) as error:
            self.close()
            raise DamagedError(f"the library {path} is damaged: {error}") from error
        except apsw.CantOpenError as error:
            raise DatabaseError(
                f"the library {path} cannot be opened: {error}; check that its folder exists and is yours"
            ) from error
        except BaseException:
            self.close()
            raise
        self.library_id = str(self.get_meta("library_id"))
        self._generation = int(self.get_meta("generation") or 0)
        self._reserved = self._read_reserved()
        self._start_ids_after_reserved()

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(self.path)
        connection.set_busy_timeout(10_000)
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        # 4 MB of write-ahead log: large pages would make the default sixteen.
        connection.execute("PRAGMA wal_autocheckpoint = 256")
        connection.execute("PRAGMA journal_size_limit = 8388608")
        connection.execute("PRAGMA cache_size = -8000")
        connection.execute("PRAGMA temp_store = MEMORY")
        return connection

    def _prepare(self) -> None:
        version = int(self._writer.pragma("user_version"))
        tables = self._writer.execute("SELECT count(*) FROM sqlite_schema").get
        if version == 0 and tables == 0:
            schema = resources.files("imgqd.library").joinpath("schema.sql").read_text("utf-8")
            with self._writer:
                self._writer.execute(schema)
                self._writer.execute(
                    "INSERT INTO meta VALUES ('library_id', ?), ('generation', 1), ('created', ?)",
                    (uuid.uuid4().hex, time.time()),
                )
                self._writer.pragma("application_id", APPLICATION_ID)
                self._writer.pragma("user_version", 1)
            version = 1
        if self._writer.pragma("application_id") != APPLICATION_ID:
            raise DatabaseError(
                f"{self.path} is a database of another program; move it away or set IMGQ_HOME"
            )
        if version > SCHEMA_VERSION:
            raise DatabaseError(
                f"the library {self.path} was written by a newer imgq (schema {version}, this one "
                f"knows {SCHEMA_VERSION}); it was not touched: upgrade imgq, or set IMGQ_HOME to another folder"
            )
        if os.path.getsize(self.path) <= CHECK_AT_START:
            self.check()
        for step, migration in enumerate(MIGRATIONS, start=2):
            if version < step:
                with self._writer:
                    self._writer.execute(migration)
                    self._writer.pragma("user_version", step)
                if tables:
                    log.info("library migrated", schema=step)

    def _read_reserved(self) -> int:
        try:
            with open(self.path + ".ids", encoding="ascii") as stream:
                return int(stream.read())
        except (FileNotFoundError, ValueError):
            return 0

    def _start_ids_after_reserved(self) -> None:
        if self._last_picture_id() == 0 and self._reserved > 0:
            # A new database beside an old reservation: an older one was lost with its ids.
            self.skip_ids_to(self._reserved)
        self.reserve_ids(self._last_picture_id() + 1)

    def _last_picture_id(self) -> int:
        row = self._writer.execute("SELECT seq FROM sqlite_sequence WHERE name = 'pictures'").get
        return int(row or 0)

    def skip_ids_to(self, last: int) -> None:
        """Lets the next picture id be at least `last` + 1."""
        with self.write() as connection:
            connection.execute("DELETE FROM sqlite_sequence WHERE name = 'pictures'")
            connection.execute("INSERT INTO sqlite_sequence VALUES ('pictures', ?)", (last,))

    def reserve_ids(self, up_to: int) -> None:
        """Records on disk that ids up to `up_to` may be given; call before giving them."""
        if up_to < self._reserved:
            return
        reserved = (up_to // ID_BLOCK + 1) * ID_BLOCK
        temporary = self.path + ".ids.new"
        with open(temporary, "w", encoding="ascii") as stream:
            stream.write(str(reserved))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, self.path + ".ids")
        self._reserved = reserved

    @property
    def reserved_ids(self) -> int:
        """No picture id above this was ever given."""
        return self._reserved

    # -- reading and writing

    def reader(self) -> apsw.Connection:
        """This thread's own read connection."""
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            connection.execute("PRAGMA query_only = 1")
            # There is one for each thread that ever asked; the system caches the file for all.
            connection.execute("PRAGMA cache_size = -1000")
            self._local.connection = connection
            with self._lock:
                self._readers.append(connection)
        return connection

    def read(self, sql: str, bindings: Sequence[Any] | dict[str, Any] = ()) -> Iterator[Row]:
        """Runs a query on this thread's read connection."""
        return self.reader().execute(sql, bindings)

    def read_one(self, sql: str, bindings: Sequence[Any] | dict[str, Any] = ()) -> Row | None:
        """The first row, or None."""
        for row in self.read(sql, bindings):
            return row
        return None

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[apsw.Connection]:
        """One transaction on the write connection; rolled back when the block raises."""
        with self._lock:
            self._writer.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._writer.execute("BEGIN IMMEDIATE")
            generation = self._generation
            try:
                yield self._writer
                self._writer.execute("COMMIT")
                self.write_failure = None
            except BaseException as error:
                self._generation = generation
                if isinstance(error, apsw.FullError | apsw.IOError | apsw.ReadOnlyError):
                    self.write_failure = f"the library cannot be written: {error}"
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
        if durable:
            self.on_durable()

    def bump(self, connection: apsw.Connection) -> int:
        """Moves the generation on, inside a write."""
        self._generation += 1
        connection.execute(
            "UPDATE meta SET value = ? WHERE key = 'generation'", (self._generation,)
        )
        return self._generation

    def advance_generation(self, beyond: int) -> None:
        """Moves the generation past one that was given out before (by a library that was lost)."""
        with self.write() as connection:
            self._generation = max(self._generation, beyond)
            self.bump(connection)

    @property
    def generation(self) -> int:
        """Grows with every change of what an answer can show."""
        return self._generation

    def get_meta(self, key: str) -> Any:
        """A value of the key-value table, None when there is none."""
        with self._lock:
            return self._writer.execute("SELECT value FROM meta WHERE key = ?", (key,)).get

    def set_meta(self, key: str, value: Any) -> None:
        """Stores a value durably."""
        with self.write(durable=True) as connection:
            connection.execute(
                "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, value),
            )

    def try_writing(self) -> str | None:
        """Writes something small when the last write failed; returns why that fails, or None."""
        if self.write_failure is not None:
            try:
                self.set_meta("probe", time.time())
            except apsw.Error as error:
                return self.write_failure or f"the library cannot be written: {error}"
        return None

    def integrity(self) -> list[str]:
        """What SQLite's own integrity check finds; empty when all is well."""
        # A connection of its own: FTS5 checks against what a connection that has asked it before
        # still holds of its structure, and reports the segments merged since as corrupt.
        with closing(apsw.Connection(self.path)) as connection:
            connection.set_busy_timeout(10_000)
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)")]
        return [] if found == ["ok"] else found

    def check(self) -> None:
        """SQLite's quick check of every page. Raises DamagedError; seconds for a gigabyte."""
        with closing(apsw.Connection(self.path, flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
            connection.set_busy_timeout(10_000)
            result = connection.execute("PRAGMA quick_check(1)").get
        if result != "ok":
            raise DamagedError(f"the library {self.path} is damaged: {result}")

    def close(self) -> None:
        """Closes every connection. Threads that still read get an error."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for connection in self._readers:
                connection.close()
            writer: apsw.Connection | None = getattr(self, "_writer", None)
            if writer is not None:
                writer.close()

"""What is known of the disk: folders, files, the queue and problems, and every transaction on them.

The disk is the truth and this is what was seen of it. Pictures and vectors are in pictures.py;
deciding what to look at is scan.py's and watch.py's; looking is the pipeline's.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import apsw

from imgqd.library.pictures import Pictures
from imgqd.records import FileRow, Folder, Job, Problem, Signature


@dataclass(frozen=True, slots=True)
class Counts:
    """Totals for status: see interface.md for what a file and a picture are."""

    pictures: int
    files: int
    pending: int
    problems: int


def below(path: bytes) -> tuple[bytes, bytes]:
    """The half-open range of paths strictly below a directory, in byte order."""
    prefix = path if path.endswith(b"/") else path + b"/"
    return prefix, prefix[:-1] + b"0"


def is_below(path: bytes, directory: bytes) -> bool:
    """True for the directory itself and everything below it."""
    return path == directory or path.startswith(below(directory)[0])


class Store(Pictures):
    """The library. Thread-safe; reads run on a connection of the calling thread."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._seq_lock = threading.Lock()
        newest = self._writer.execute("SELECT coalesce(max(token), 0) FROM jobs").get
        self._seq = int(newest)
        self.on_enqueue: Callable[[], None] = lambda: None

    # -- folders

    def folders(self) -> list[Folder]:
        """The watched folders, by path."""
        rows = self.read(
            "SELECT id, path, filesystem, inode, state, exclude FROM folders ORDER BY path"
        )
        return [Folder(i, p, f, n, s, tuple(json.loads(e))) for i, p, f, n, s, e in rows]

    def add_folder(
        self, path: bytes, *, filesystem: str | None, inode: int | None, exclude: Iterable[str] = ()
    ) -> Folder:
        """Registers a folder; one that is there already gets the new excludes, when any are given."""
        patterns = json.dumps(list(exclude))
        with self.write(durable=True) as connection:
            connection.execute(
                "INSERT INTO folders (path, filesystem, inode, exclude, added) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (path) DO UPDATE SET exclude ="
                " CASE excluded.exclude WHEN '[]' THEN exclude ELSE excluded.exclude END",
                (path, filesystem, inode, patterns, time.time()),
            )
            self.bump(connection)
        return next(folder for folder in self.folders() if folder.path == path)

    def remove_folder(self, path: bytes) -> bool:
        """Forgets a folder and those of its files that no other folder covers."""
        with self.write(durable=True) as connection:
            connection.execute("DELETE FROM folders WHERE path = ?", (path,))
            if not connection.changes():
                return False
            others = [row[0] for row in connection.execute("SELECT path FROM folders")]
            self.bump(connection)
            if any(is_below(path, other) for other in others):
                return True
            inner = [other for other in others if is_below(other, path)]
            rows = list(
                connection.execute(
                    "SELECT id, path FROM directories WHERE path = ? OR path >= ? AND path < ?",
                    (path, *below(path)),
                )
            )
            for directory_id, directory in rows:
                if not any(is_below(directory, other) for other in inner):
                    self._forget_directory(connection, directory_id)
            for table in ("jobs", "problems"):
                for (found,) in list(
                    connection.execute(
                        f"SELECT path FROM {table} WHERE path = ? OR path >= ? AND path < ?",  # noqa: S608
                        (path, *below(path)),
                    )
                ):
                    if not any(is_below(found, other) for other in inner):
                        connection.execute(f"DELETE FROM {table} WHERE path = ?", (found,))  # noqa: S608
            connection.execute(
                "DELETE FROM mounts WHERE path = ? OR path >= ? AND path < ?", (path, *below(path))
            )
        return True

    def update_folder(
        self,
        folder_id: int,
        *,
        state: str | None = None,
        filesystem: str | None = None,
        inode: int | None = None,
    ) -> None:
        """Changes what is remembered of a folder; going offline or coming back moves the generation."""
        with self.write() as connection:
            before = connection.execute("SELECT state FROM folders WHERE id = ?", (folder_id,)).get
            connection.execute(
                "UPDATE folders SET state = coalesce(?, state), filesystem = coalesce(?, filesystem),"
                " inode = coalesce(?, inode) WHERE id = ?",
                (state, filesystem, inode, folder_id),
            )
            if state is not None and (before == "offline") != (state == "offline"):
                self.bump(connection)

    def folder_files(self, path: bytes) -> int:
        """How many files (indexed, pending or a problem) are known at or below a folder."""
        row = self.read_one(
            "SELECT count(*) FROM files JOIN directories d ON d.id = directory_id"
            " WHERE (d.path = ? OR d.path >= ? AND d.path < ?) AND state <> 'other'",
            (path, *below(path)),
        )
        return int(row[0]) if row else 0

    # -- files

    def directories_below(self, root: bytes) -> Iterator[bytes]:
        """Every directory at or below `root` that holds known files."""
        for (path,) in self.read(
            "SELECT path FROM directories WHERE path = ? OR path >= ? AND path < ?",
            (root, *below(root)),
        ):
            yield path

    def files_in(self, directory: bytes) -> dict[bytes, FileRow]:
        """The known files directly in a directory, by name."""
        rows = self.read(
            "SELECT f.id, name, size, mtime_ns, ctime_ns, inode, state, picture_id"
            " FROM directories d JOIN files f ON f.directory_id = d.id WHERE d.path = ?",
            (directory,),
        )
        return {
            name: FileRow(
                i, os.path.join(directory, name), Signature(size, m, c, n), state, picture
            )
            for i, name, size, m, c, n, state, picture in rows
        }

    def file(self, path: bytes) -> FileRow | None:
        """What is known of one path."""
        directory, name = os.path.split(path)
        row = self.read_one(
            "SELECT f.id, size, mtime_ns, ctime_ns, inode, state, picture_id FROM directories d"
            " JOIN files f ON f.directory_id = d.id WHERE d.path = ? AND name = ?",
            (directory, name),
        )
        if row is None:
            return None
        return FileRow(row[0], path, Signature(*row[1:5]), row[5], row[6])

    def _put_file(
        self,
        connection: apsw.Connection,
        path: bytes,
        signature: Signature,
        state: str,
        picture_id: int | None,
    ) -> int | None:
        """Inserts or updates a file row; returns the picture it held before, if another."""
        directory, name = os.path.split(path)
        connection.execute(
            "INSERT INTO directories (path) VALUES (?) ON CONFLICT DO NOTHING", (directory,)
        )
        directory_id = connection.execute(
            "SELECT id FROM directories WHERE path = ?", (directory,)
        ).get
        before = connection.execute(
            "SELECT picture_id FROM files WHERE directory_id = ? AND name = ?", (directory_id, name)
        ).get
        connection.execute(
            "INSERT INTO files (directory_id, name, size, mtime_ns, ctime_ns, inode, state, picture_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (directory_id, name) DO UPDATE SET"
            " size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns,"
            " inode = excluded.inode, state = excluded.state, picture_id = excluded.picture_id",
            (
                directory_id,
                name,
                signature.size,
                signature.mtime_ns,
                signature.ctime_ns,
                signature.inode,
                state,
                picture_id,
            ),
        )
        return before if before != picture_id else None

    def _drop_file(self, connection: apsw.Connection, path: bytes) -> bool:
        directory, name = os.path.split(path)
        row = connection.execute(
            "SELECT f.id, f.directory_id, picture_id FROM directories d"
            " JOIN files f ON f.directory_id = d.id WHERE d.path = ? AND name = ?",
            (directory, name),
        ).get
        if row is None:
            return False
        file_id, directory_id, picture_id = row
        connection.execute("DELETE FROM files WHERE id = ?", (file_id,))
        connection.execute(
            "DELETE FROM directories WHERE id = ?"
            " AND NOT EXISTS (SELECT 1 FROM files WHERE directory_id = directories.id)",
            (directory_id,),
        )
        if picture_id is not None:
            self._orphan_if_last(connection, picture_id)
        return True

    def _forget_directory(self, connection: apsw.Connection, directory_id: int) -> None:
        pictures = [
            row[0]
            for row in connection.execute(
                "SELECT DISTINCT picture_id FROM files WHERE directory_id = ? AND picture_id IS NOT NULL",
                (directory_id,),
            )
        ]
        connection.execute("DELETE FROM files WHERE directory_id = ?", (directory_id,))
        connection.execute("DELETE FROM directories WHERE id = ?", (directory_id,))
        for picture_id in pictures:
            self._orphan_if_last(connection, picture_id)

    # -- the queue

    def enqueue(self, paths: Iterable[bytes]) -> int:
        """Asks for a look at each path, in one transaction; returns how many were given."""
        given = list(paths)
        if not given:
            return 0
        with self.write() as connection, self._seq_lock:
            first = self._seq + 1
            connection.executemany(
                "INSERT INTO jobs (path, seq, token, fresh) VALUES (?1, ?2, ?2, NOT EXISTS ("
                "SELECT 1 FROM directories d JOIN files f ON f.directory_id = d.id"
                " WHERE d.path = ?3 AND f.name = ?4))"
                " ON CONFLICT (path) DO UPDATE SET token = excluded.token, attempts = 0",
                ((path, first + offset, *os.path.split(path)) for offset, path in enumerate(given)),
            )
            self._seq += len(given)
        self.on_enqueue()
        return len(given)

    def _ask_within(self, connection: apsw.Connection, path: bytes) -> None:
        """As `enqueue` within a transaction, for a look that every sync waits for: seq is 0."""
        with self._seq_lock:
            self._seq += 1
            connection.execute(
                "INSERT INTO jobs (path, seq, token) VALUES (?, 0, ?)"
                " ON CONFLICT (path) DO UPDATE SET seq = 0, token = excluded.token, attempts = 0",
                (path, self._seq),
            )

    def jobs_after(self, last_id: int, limit: int) -> list[Job]:
        """The next jobs by id. Ids only grow, so a reader that remembers the last sees each once."""
        rows = self.read(
            "SELECT id, path, attempts, token FROM jobs WHERE id > ? ORDER BY id LIMIT ?",
            (last_id, limit),
        )
        return [Job(*row) for row in rows]

    def renew(self) -> None:
        """Asks again for everything that waits: a look that has begun already does not answer it."""
        if not self.pending():
            return
        with self.write() as connection, self._seq_lock:
            self._seq += 1
            connection.execute("UPDATE jobs SET token = ?", (self._seq,))

    def watermark(self) -> int:
        """The newest request given so far."""
        with self._seq_lock:
            return self._seq

    def pending_through(self, watermark: int) -> int:
        """How many requests at or before the watermark are not answered yet."""
        row = self.read_one("SELECT count(*) FROM jobs WHERE seq <= ?", (watermark,))
        return int(row[0]) if row else 0

    def pending(self) -> int:
        """How many paths wait for a look."""
        row = self.read_one("SELECT count(*) FROM jobs")
        return int(row[0]) if row else 0

    def is_waiting(self, path: bytes) -> bool:
        """True while a look at this path is asked for."""
        return self.read_one("SELECT 1 FROM jobs WHERE path = ?", (path,)) is not None

    def _finish_job(self, connection: apsw.Connection, job: Job) -> bool:
        """Removes an answered job; False when it was asked again since the look began."""
        connection.execute("DELETE FROM jobs WHERE id = ? AND token = ?", (job.id, job.token))
        if connection.changes():
            return True
        connection.execute(
            "UPDATE jobs SET seq = max(seq, ?) WHERE id = ?", (job.token + 1, job.id)
        )
        return not connection.changes()

    def job(self, job_id: int) -> Job | None:
        """The job as it is now, None when it is answered."""
        row = self.read_one("SELECT id, path, attempts, token FROM jobs WHERE id = ?", (job_id,))
        return Job(*row) if row else None

    def count_attempt(self, job: Job) -> None:
        """Remembers that a look failed for a passing reason."""
        with self.write() as connection:
            connection.execute("UPDATE jobs SET attempts = attempts + 1 WHERE id = ?", (job.id,))

    # -- problems

    def problems(self) -> list[Problem]:
        """Every path that could not be indexed, oldest first."""
        rows = self.read(
            "SELECT path, reason, detail, attempts, since FROM problems ORDER BY since, path"
        )
        return [Problem(*row) for row in rows]

    def problem_reasons(self) -> dict[str, int]:
        """How many problems there are of each reason."""
        return {
            row[0]: row[1]
            for row in self.read("SELECT reason, count(*) FROM problems GROUP BY reason")
        }

    def problem(self, path: bytes, reason: str, detail: str) -> bool:
        """Records a problem of a path (a folder, say); True when it was not known before."""
        with self.write() as connection:
            return self._put_problem(connection, path, reason, detail)

    def _put_problem(
        self, connection: apsw.Connection, path: bytes, reason: str, detail: str
    ) -> bool:
        known: str | None = connection.execute(
            "SELECT reason FROM problems WHERE path = ?", (path,)
        ).get
        connection.execute(
            "INSERT INTO problems (path, reason, detail, since) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (path) DO UPDATE SET reason = excluded.reason, detail = excluded.detail,"
            " attempts = attempts + 1",
            (path, reason, detail, time.time()),
        )
        return known != reason

    def has_problem(self, path: bytes) -> bool:
        """True when a problem of this path is recorded."""
        return self.read_one("SELECT 1 FROM problems WHERE path = ?", (path,)) is not None

    def clear_problem(self, path: bytes) -> None:
        """Forgets a problem; nothing happens when there is none."""
        if not self.has_problem(path):
            return
        with self.write() as connection:
            connection.execute("DELETE FROM problems WHERE path = ?", (path,))

    def retry(self, paths: Iterable[bytes]) -> None:
        """Asks for another look at problems, even where the file has not changed since."""
        wanted = list(paths)
        with self.write() as connection:
            connection.executemany(
                "UPDATE files SET state = 'pending' WHERE name = ? AND state = 'problem'"
                " AND directory_id = (SELECT id FROM directories WHERE path = ?)",
                [os.path.split(path)[::-1] for path in wanted],
            )
        self.enqueue(wanted)

    # -- totals

    def counts(self) -> Counts:
        """Totals for status."""
        row = self.read_one(
            "SELECT (SELECT count(*) FROM pictures WHERE orphaned IS NULL),"
            " (SELECT count(*) FROM files WHERE state <> 'other')"
            " + (SELECT count(*) FROM jobs WHERE fresh),"
            " (SELECT count(*) FROM jobs), (SELECT count(*) FROM problems)"
        )
        assert row is not None
        return Counts(*row)

"""What the store knows of one directory, read fast and without much memory, for scan.py.

A row is (size, mtime_ns, ctime_ns, inode, pending) as plain numbers: a walk compares a million of
them. It leaves what a difference means to the scan.
"""

from __future__ import annotations

from imgqd.library import identity
from imgqd.library.store import Store

LARGE = 20_000
Row = tuple[int, int, int, int, int]


class Seen:
    """Which known directories were visited: a bit each; new ones by path."""

    def __init__(self) -> None:
        self._bits = bytearray()
        self.new: set[bytes] = set()

    def add(self, number: int) -> None:
        """Marks a directory by its id."""
        at = number >> 3
        if at >= len(self._bits):
            self._bits.extend(bytes(at - len(self._bits) + 1024))
        self._bits[at] |= 1 << (number & 7)

    def __contains__(self, number: int) -> bool:
        at = number >> 3
        return at < len(self._bits) and bool(self._bits[at] & (1 << (number & 7)))


class Rows:
    """The known files of a directory, taken one by one as they are met."""

    def __init__(self, rows: dict[bytes, Row]) -> None:
        self._rows = rows

    def take(self, name: bytes) -> Row | None:
        """What is known of a name."""
        return self._rows.pop(name, None)

    def left(self) -> list[bytes]:
        """The names that were not met."""
        return list(self._rows)


class _ManyRows(Rows):
    """The same for a directory of very many files: one query each, one bit each."""

    def __init__(self, store: Store, directory_id: int, steady: bool) -> None:
        super().__init__({})
        self._store = store
        self._directory_id = directory_id
        self._steady = steady
        self._met = Seen()

    def take(self, name: bytes) -> Row | None:
        row = self._store.read_one(
            "SELECT id, size, mtime_ns, ctime_ns, inode * ?, state = 'pending' FROM files"
            " WHERE directory_id = ? AND name = ?",
            (self._steady, self._directory_id, name),
        )
        if row is None:
            return None
        self._met.add(row[0])
        return row[1:]

    def left(self) -> list[bytes]:
        return [
            name
            for number, name in self._store.read(
                "SELECT id, name FROM files WHERE directory_id = ?", (self._directory_id,)
            )
            if number not in self._met
        ]


def known_rows(store: Store, directory: bytes, steady: bool, seen: Seen) -> Rows:
    """The known files of a directory, which is marked in `seen`. Inodes are 0 unless `steady`."""
    found = list(
        store.read(
            "SELECT d.id, name, size, mtime_ns, ctime_ns, inode * ?, state = 'pending'"
            " FROM directories d LEFT JOIN files f ON f.directory_id = d.id"
            " WHERE d.path = ? LIMIT ?",
            (steady, directory, LARGE + 1),
        )
    )
    if not found:
        seen.new.add(directory)
        return Rows({})
    seen.add(found[0][0])
    if len(found) > LARGE:
        return _ManyRows(store, found[0][0], steady)
    return Rows({row[1]: row[2:] for row in found if row[1] is not None})


def wrapped(row: Row) -> Row:
    """The row as SQLite keeps it (see identity.signed)."""
    size, mtime, ctime, inode, pending = row
    return size, identity.signed(mtime), identity.signed(ctime), identity.signed(inode), pending

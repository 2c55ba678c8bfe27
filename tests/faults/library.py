"""Comparing a library with the disk, from outside: what the fault tests all end with."""

from __future__ import annotations

import os
from collections.abc import Iterator

import apsw

from tests.harness import Home


def rows(home: Home, sql: str, *bindings: object) -> list[tuple[object, ...]]:
    """Reads from the library's database beside the daemon."""
    connection = apsw.Connection(
        os.path.join(home.home, "library.db"), flags=apsw.SQLITE_OPEN_READONLY
    )
    connection.set_busy_timeout(5000)
    try:
        return list(connection.execute(sql, bindings))
    finally:
        connection.close()


def indexed(home: Home) -> dict[bytes, int]:
    """Path -> picture id of every file that is searchable."""
    return {
        path: number  # type: ignore[misc]
        for path, number in rows(
            home,
            "SELECT CAST(d.path || X'2F' || name AS BLOB), picture_id FROM files f"
            " JOIN directories d ON d.id = directory_id WHERE state = 'indexed'",
        )
    }


def on_disk(folder: str) -> set[bytes]:
    """Every regular file below a folder."""
    return set(_walk(os.fsencode(folder)))


def _walk(folder: bytes) -> Iterator[bytes]:
    for directory, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(directory, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def assert_equals_disk(home: Home, *, timeout: float = 240) -> None:
    """After `sync`: what is on disk is indexed or a problem, nothing else is, and verify is clean."""
    home.sync(timeout)
    disk = on_disk(home.photos)
    known = set(indexed(home))
    problems = {bytes(row[0]) for row in rows(home, "SELECT path FROM problems")}  # type: ignore[call-overload]
    assert disk - known - problems == set()
    assert known - disk == set()
    done = home.imgqd("verify", timeout=300)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert rows(home, "PRAGMA integrity_check") == [("ok",)]
    status = home.status()
    assert status["files"] == len(known | problems)
    assert status["index"]["vectors"] >= status["pictures"]

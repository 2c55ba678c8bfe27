"""Upgrades: a library of every older schema opens, is brought up to date and keeps what it holds."""

from __future__ import annotations

import hashlib
from importlib import resources

import apsw
import numpy as np
import pytest

from imgqd.errors import DatabaseError
from imgqd.library import database
from imgqd.library.database import APPLICATION_ID, PAGE_SIZE, SCHEMA_VERSION
from imgqd.library.migrations import MIGRATIONS
from imgqd.library.store import Store

IDS = (3, 17, 40)
# What every version has, and what must be in it afterwards as it was before.
KEPT = {
    "pictures": "SELECT id, content_hash, pixel_hash, width, format, taken, camera FROM pictures",
    "files": "SELECT id, directory_id, name, size, mtime_ns, state, picture_id FROM files",
    "vectors": "SELECT picture_id, model_id, vector FROM vectors",
    "tags": "SELECT picture_id, tag FROM tags",
    "folders": "SELECT id, path, filesystem, inode, exclude FROM folders",
    "problems": "SELECT path, reason, detail, attempts FROM problems",
    "keepsakes": "SELECT content_hash, data FROM keepsakes",
    "jobs": "SELECT path, seq, token FROM jobs",
}


def make(path: str, version: int) -> None:
    """A library as imgq of that schema version left it, with something in every table."""
    schema = resources.files("imgqd.library").joinpath("schema.sql").read_text("utf-8")
    connection = apsw.Connection(path)
    connection.pragma("page_size", PAGE_SIZE)
    connection.pragma("journal_mode", "WAL")
    connection.execute(schema)
    for step in MIGRATIONS[: version - 1]:
        connection.execute(step)
    connection.execute("INSERT INTO meta VALUES ('library_id', 'abc'), ('generation', 41)")
    connection.execute(
        "INSERT INTO folders VALUES (2, x'2f70', 'uuid:1', 7, 'watching', '[]', 1.0)"
    )
    connection.execute("INSERT INTO directories VALUES (1, x'2f70')")
    connection.execute("INSERT INTO models VALUES (1, 'm', 'm', 4, 1.0)")
    for number in IDS:
        vector = np.full(4, number / 100, np.float16).tobytes()
        connection.execute(
            "INSERT INTO pictures (id, content_hash, pixel_hash, bytes, width, height, format,"
            " taken, camera) VALUES (?, ?, x'02', 9, 4, 3, 'jpeg', 1.5, 'Canon')",
            (number, bytes([number])),
        )
        connection.execute(
            "INSERT INTO files VALUES (?, 1, ?, 9, 1, 1, 1, 'indexed', ?)",
            (number * 10, b"%d.jpg" % number, number),
        )
        connection.execute("INSERT INTO vectors VALUES (?, 1, ?)", (number, vector))
        connection.execute("INSERT INTO tags VALUES (?, 'holiday')", (number,))
    connection.execute("INSERT INTO problems VALUES (x'2f702f62', 'corrupt', 'cut off', 2, 1.0)")
    connection.execute("""INSERT INTO keepsakes VALUES (x'63', '{"tags": ["old"]}', 9e9)""")
    connection.execute("INSERT INTO jobs (path, seq, token) VALUES (x'2f702f63', 5, 6)")
    connection.pragma("application_id", APPLICATION_ID)
    connection.pragma("user_version", version)
    connection.close()


def held(path: str) -> dict[str, list[tuple]]:
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    found = {name: sorted(connection.execute(sql)) for name, sql in KEPT.items()}
    connection.close()
    return found


def shape(path: str) -> set[tuple]:
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    found = set(connection.execute("SELECT type, name, sql FROM sqlite_schema"))
    connection.close()
    return found


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_a_library_of_every_version_keeps_what_it_holds(tmp_path, version):
    path = str(tmp_path / "library.db")
    make(path, version)
    before = held(path)
    assert all(before.values())
    store = Store(path)
    assert (store.library_id, store.generation) == ("abc", 41)
    assert sorted(store.pictures(list(IDS))) == list(IDS)
    assert store.read_one("PRAGMA user_version") == (SCHEMA_VERSION,)
    (next_id,) = store.read_one("SELECT seq FROM sqlite_sequence WHERE name = 'pictures'")
    assert next_id >= max(IDS)
    assert [row[0] for row in store.read("PRAGMA foreign_key_check")] == []
    assert store.read_one("PRAGMA integrity_check") == ("ok",)
    store.close()
    assert held(path) == before
    fresh = str(tmp_path / "fresh.db")
    Store(fresh).close()
    assert shape(path) == shape(fresh)
    Store(path).close()
    assert held(path) == before


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_a_step_that_fails_leaves_the_library_as_it_was(tmp_path, monkeypatch, version):
    path = str(tmp_path / "library.db")
    make(path, version)
    before, was = held(path), shape(path)
    broken = [*MIGRATIONS]
    broken[version - 1] += "; INSERT INTO no_such_table VALUES (1);"
    monkeypatch.setattr(database, "MIGRATIONS", tuple(broken))
    with pytest.raises(apsw.SQLError, match="no_such_table"):
        Store(path)
    assert (held(path), shape(path)) == (before, was)
    monkeypatch.undo()
    Store(path).close()
    assert held(path) == before


def test_a_library_of_a_newer_imgq_is_refused_in_a_sentence_and_not_touched(tmp_path):
    path = str(tmp_path / "library.db")
    Store(path).close()
    connection = apsw.Connection(path)
    connection.pragma("user_version", SCHEMA_VERSION + 1)
    connection.pragma("wal_checkpoint(truncate)")
    connection.close()

    def content():
        with open(path, "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest()

    before = content()
    with pytest.raises(DatabaseError) as refused:
        Store(path)
    assert f"schema {SCHEMA_VERSION + 1}" in refused.value.message
    assert "newer imgq" in refused.value.message
    assert "upgrade imgq" in refused.value.message
    assert content() == before

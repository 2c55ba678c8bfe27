"""What a person adds to pictures: where it is kept, and what it survives."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from importlib import resources
from typing import Any

import pytest

from imgqd.errors import NotFoundError
from imgqd.library.added import Annotation
from imgqd.library.commit import Changes, Gone, Known, New, Retouched, commit
from imgqd.library.database import APPLICATION_ID, PAGE_SIZE, SCHEMA_VERSION
from imgqd.library.recovery import open_library, write_backup
from imgqd.library.store import Store
from imgqd.records import Job, Metadata, Signature
from tests.unit.gallery import DIM, unit

FOLDER = b"/photos"
ALL = {
    "tags": ["beach", "holiday"],
    "description": "our first day",
    "fields": {"rights": "mine", "roll": "7"},
    "category": "sea",
}
CHANGE = Annotation(
    add_tags=("holiday", "beach"),
    description="our first day",
    fields={"roll": "7", "rights": "mine"},
    category="sea",
)


def signature(number: int = 1) -> Signature:
    return Signature(100, number, number, number)


def facts(**more: Any) -> Metadata:
    return Metadata(**{"width": 4, "height": 3, "format": "jpeg", "pixel_hash": b"p" * 16, **more})


@pytest.fixture
def store(tmp_path: os.PathLike[str]) -> Store:
    made = Store(os.path.join(tmp_path, "library.db"))
    made.add_folder(FOLDER, filesystem=None, inode=None)
    return made


def put(store: Store, name: bytes, content: bytes, **more: Any) -> Changes:
    job = Job(0, FOLDER + b"/" + name, 0, 0)
    model = store.model_id("m", "m", DIM)
    new = New(job, signature(), content, facts(**more), model, unit(1)[0])
    return commit(store, [new])


def the_id(store: Store, content: bytes) -> int:
    found = store.picture_by_content(content)
    assert found is not None
    return found


def added(store: Store) -> dict[bytes, dict[str, Any]]:
    return dict(store.added_by_person())


def found_by(store: Store, *words: str) -> list[int]:
    query = " AND ".join(f'"{word}"' for word in words)
    return [row[0] for row in store.read("SELECT rowid FROM texts WHERE texts MATCH ?", (query,))]


def test_a_library_of_version_one_is_migrated_and_keeps_its_ids(
    tmp_path: os.PathLike[str],
) -> None:
    path = os.path.join(tmp_path, "library.db")
    schema = resources.files("imgqd.library").joinpath("schema.sql").read_text("utf-8")
    with sqlite3.connect(path) as old:
        old.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        old.executescript(schema)
        old.execute("INSERT INTO meta VALUES ('library_id', 'abc'), ('generation', 41)")
        old.execute("INSERT INTO directories VALUES (1, ?)", ("/photos/Été".encode(),))
        old.execute(
            "INSERT INTO pictures (id, content_hash, pixel_hash, bytes, width, height, format, keywords)"
            " VALUES (17, x'01', x'02', 9, 4, 3, 'jpeg', ?)",
            (json.dumps(["grüße", "two words"]),),
        )
        old.execute("INSERT INTO files VALUES (5, 1, ?, 9, 1, 1, 1, 'indexed', 17)", (b"a.jpg",))
        old.execute("INSERT INTO tags VALUES (17, 'holiday')")
        old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        old.execute("PRAGMA user_version = 1")
    old.close()
    store = Store(path)
    assert store.read_one("PRAGMA user_version") == (SCHEMA_VERSION,)
    assert (store.library_id, store.generation) == ("abc", 41)
    assert store.picture_by_content(b"\x01") == 17
    assert added(store) == {b"\x01": {"tags": ["holiday"]}}
    for words in (["ete"], ["a", "photos"], ["grusse"], ["grüße"], ["two"], ["holiday"]):
        assert found_by(store, *words) == ([] if words == ["grusse"] else [17])
    store.close()
    # A library that is migrated already opens as it is.
    again = Store(path)
    assert again.picture_by_content(b"\x01") == 17


def test_additions_are_changed_and_taken_away(store: Store) -> None:
    put(store, b"a.jpg", b"a")
    before = store.generation
    store.annotate([the_id(store, b"a")], CHANGE)
    assert store.generation > before
    assert added(store) == {b"a": ALL}
    picture = store.pictures([the_id(store, b"a")])[the_id(store, b"a")]
    assert (picture.tags, picture.description) == (("beach", "holiday"), "our first day")
    assert (picture.fields, picture.category) == (ALL["fields"], "sea")
    store.annotate(
        [the_id(store, b"a")],
        Annotation(remove_tags=("beach", "none"), description="", fields={"roll": ""}),
    )
    assert added(store) == {
        b"a": {"tags": ["holiday"], "fields": {"rights": "mine"}, "category": "sea"}
    }


def test_only_what_is_not_as_it_was_counts_as_changed(store: Store) -> None:
    put(store, b"a.jpg", b"a")
    put(store, b"b.jpg", b"b")
    first, second = the_id(store, b"a"), the_id(store, b"b")
    assert store.annotate([first, second, first], Annotation(add_tags=("beach",))) == [
        first,
        second,
    ]
    before = store.generation
    assert store.annotate([first], Annotation(remove_tags=("none",))) == []
    assert store.annotate([first], Annotation(add_tags=("beach",), description="")) == []
    assert store.generation == before
    # A correction that agrees with what was computed is kept, so it is a change.
    assert store.annotate([second, first], Annotation(category="sea")) == [second, first]


def test_a_change_of_several_pictures_is_all_or_none(store: Store) -> None:
    put(store, b"a.jpg", b"a")
    with pytest.raises(NotFoundError, match="no picture 99"):
        store.annotate([the_id(store, b"a"), 99], CHANGE)
    assert added(store) == {}


def test_additions_survive_renames_and_copies(store: Store) -> None:
    put(store, b"a.jpg", b"a")
    store.annotate([the_id(store, b"a")], CHANGE)
    path = FOLDER + b"/elsewhere.jpg"
    commit(store, [Gone(Job(0, FOLDER + b"/a.jpg", 0, 0))])
    commit(store, [Known(Job(0, path, 0, 0), signature(2), the_id(store, b"a"))])
    assert added(store) == {b"a": ALL}
    assert store.pictures([the_id(store, b"a")])[the_id(store, b"a")].paths == [path]


@pytest.mark.parametrize("copies", [1, 2])
def test_additions_survive_an_edit_of_the_metadata(store: Store, copies: int) -> None:
    put(store, b"a.jpg", b"a")
    before = the_id(store, b"a")
    store.annotate([before], CHANGE)
    if copies == 2:
        commit(store, [Known(Job(0, FOLDER + b"/b.jpg", 0, 0), signature(2), before)])
    job = Job(0, FOLDER + b"/a.jpg", 0, 0)
    commit(store, [Retouched(job, signature(3), b"edited", facts(rating=5), before)])
    edited = the_id(store, b"edited")
    assert (edited == before) == (copies == 1)
    assert added(store)[b"edited"] == ALL
    assert store.pictures([edited])[edited].metadata.rating == 5


def test_an_edit_that_makes_a_known_content_brings_its_additions_along(store: Store) -> None:
    put(store, b"a.jpg", b"a")
    put(store, b"b.jpg", b"b")
    store.annotate([the_id(store, b"a")], CHANGE)
    store.annotate([the_id(store, b"b")], Annotation(description="kept", add_tags=("b",)))
    job = Job(0, FOLDER + b"/a.jpg", 0, 0)
    commit(store, [Retouched(job, signature(3), b"b", facts(), the_id(store, b"a"))])
    assert added(store)[b"b"] == {
        **ALL,
        "tags": ["b", "beach", "holiday"],
        "description": "kept",
    }


def test_additions_come_back_with_a_content_that_was_deleted(store: Store) -> None:
    put(store, b"a.jpg", b"a")
    first = the_id(store, b"a")
    store.annotate([first], CHANGE)
    commit(store, [Gone(Job(0, FOLDER + b"/a.jpg", 0, 0))])
    assert store.purge_orphans(time.time() + 1) == 1
    for table in ("tags", "notes", "fields", "texts"):
        assert store.read_one(f"SELECT count(*) FROM {table}") == (0,)
    put(store, b"again.jpg", b"a")
    assert the_id(store, b"a") != first
    assert added(store) == {b"a": ALL}


def test_additions_survive_a_damaged_library(store: Store) -> None:
    put(store, b"a.jpg", b"a")
    store.annotate([the_id(store, b"a")], CHANGE)
    write_backup(store)
    path = store.path
    store.close()
    with open(path, "r+b") as stream:
        stream.write(b"nonsense" * 4096)
    restored, notice = open_library(path)
    assert notice is not None
    put(restored, b"a.jpg", b"a")
    assert added(restored) == {b"a": ALL}


def test_what_is_exported_comes_in_elsewhere_now_and_later(
    store: Store, tmp_path: os.PathLike[str]
) -> None:
    for name in (b"a", b"b", b"c"):
        put(store, name + b".jpg", name)
    store.annotate([the_id(store, b"a"), the_id(store, b"b")], CHANGE)
    commit(store, [Gone(Job(0, FOLDER + b"/b.jpg", 0, 0))])
    store.purge_orphans(time.time() + 1)
    pages = store.exported(b"", 1)
    pages += store.exported(pages[-1][0], 1)
    assert pages == store.exported(b"", 10) == [(b"a", ALL), (b"b", ALL)]
    other = Store(os.path.join(tmp_path, "other.db"))
    other.add_folder(FOLDER, filesystem=None, inode=None)
    put(other, b"x.jpg", b"a")
    other.annotate([the_id(other, b"a")], Annotation(add_tags=("old",), description="old"))
    assert other.imported(pages) == (1, 1)
    assert other.imported(pages) == (1, 1)
    united = {**ALL, "tags": ["beach", "holiday", "old"]}
    assert added(other) == {b"a": united}
    put(other, b"y.jpg", b"b")
    assert added(other) == {b"a": united, b"b": ALL}


def test_words_are_found_whatever_they_are_in_and_forgotten_with_it(store: Store) -> None:
    put(store, b"IMG_1234.jpg", b"a", title="Brücke", description="at night", keywords=("köln",))
    number = the_id(store, b"a")
    for words in (["img", "1234"], ["photos"], ["bruecke"], ["brücke"], ["night", "koln"]):
        assert found_by(store, *words) == ([] if words == ["bruecke"] else [number]), words
    store.annotate([number], Annotation(add_tags=("river",), description="with Anna"))
    assert found_by(store, "river", "anna") == [number]
    store.annotate([number], Annotation(remove_tags=("river",), description=""))
    assert found_by(store, "river") == found_by(store, "anna") == []
    commit(store, [Known(Job(0, FOLDER + b"/copy.jpg", 0, 0), signature(2), number)])
    assert found_by(store, "copy", "1234") == [number]
    commit(store, [Gone(Job(0, FOLDER + b"/IMG_1234.jpg", 0, 0))])
    assert (found_by(store, "1234"), found_by(store, "copy")) == ([], [number])
    job = Job(0, FOLDER + b"/copy.jpg", 0, 0)
    commit(store, [Retouched(job, signature(3), b"e", facts(title="Dom"), number)])
    assert (found_by(store, "night"), found_by(store, "dom")) == ([], [number])
    with store.write() as connection:
        connection.execute("UPDATE directories SET path = ?", (b"/elsewhere",))
    assert (found_by(store, "photos"), found_by(store, "elsewhere")) == ([], [number])
    assert store.integrity() == []

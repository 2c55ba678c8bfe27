"""How the daemon is used is counted: searches a day, their times and their words."""

from __future__ import annotations

import time

import pytest

from imgqd.library import usage
from imgqd.library.store import Store
from imgqd.library.usage import Usage


@pytest.fixture
def store(tmp_path):
    opened = Store(str(tmp_path / "library.db"))
    yield opened
    opened.close()


def words(told):
    return {item["word"]: item["searches"] for item in told["words"]}


def test_percentiles_are_right_to_an_eighth(store):
    used = Usage(store, words=True)
    for milliseconds in range(1, 1001):
        used.answered(milliseconds / 1000, [])
    told = used.told(1)
    assert told["searches"] == 1000
    assert told["p50_ms"] == pytest.approx(500, rel=0.125)
    assert told["p95_ms"] == pytest.approx(950, rel=0.125)
    assert told["days"] == [
        {"day": told["since"], **{k: told[k] for k in ("searches", "p50_ms", "p95_ms")}}
    ]


def test_nothing_asked_is_nothing_told(store):
    assert Usage(store, words=True).told(14) == {
        "searches": 0,
        "p50_ms": None,
        "p95_ms": None,
        "since": None,
        "days": [],
        "words": [],
        "words_kept": True,
    }


def test_words_are_counted_once_a_search_without_those_that_say_nothing(store):
    used = Usage(store, words=True)
    used.answered(0.01, ["a Dog on the beach", "dog"])
    used.answered(0.01, ["Strand in Øresund, 2024, x_y"])
    assert words(used.told(1)) == {"dog": 1, "beach": 1, "strand": 1, "øresund": 1}
    used.answered(0.01, ["dog"])
    assert used.told(1)["words"][0] == {"word": "dog", "searches": 2}


def test_switched_off_no_word_is_kept_and_what_was_kept_can_be_forgotten(store):
    used = Usage(store, words=True)
    used.answered(0.01, ["dog beach"])
    used.flush()
    off = Usage(store, words=False)
    off.answered(0.01, ["secret"])
    told = off.told(1)
    assert (words(told), told["words_kept"], told["searches"]) == ({"dog": 1, "beach": 1}, False, 2)
    assert off.forget_words() == 2
    assert off.told(1)["words"] == []
    assert off.told(1)["searches"] == 2


def test_counts_outlive_the_daemon_and_only_the_newest_days_are_told(tmp_path, monkeypatch):
    path = str(tmp_path / "library.db")
    now = time.time()
    for ago in (500, 40, 1, 0):
        day = time.strftime("%Y-%m-%d", time.localtime(now - ago * 86_400))
        monkeypatch.setattr(usage, "_today", lambda day=day: day)
        store = Store(path)
        used = Usage(store, words=True)
        used.answered(0.02, ["dog"])
        used.flush()
        store.close()
    store = Store(path)
    told = Usage(store, words=True).told(2)
    store.close()
    assert len(told["days"]) == 2
    # What is older than a year or so is let go of.
    assert told["searches"] == 3
    assert words(told) == {"dog": 4}


def test_the_list_of_words_is_bounded(store, monkeypatch):
    monkeypatch.setattr(usage, "MOST_WORDS", 50)
    used = Usage(store, words=True)
    for _ in range(3):
        used.answered(0.01, ["often"])
    for number in range(300):
        used.answered(0.01, [f"word{chr(97 + number // 26)}{chr(97 + number % 26)}"])
        if number % 20 == 0:
            used.flush()
    used.flush()
    (kept,) = store.read_one("SELECT count(*) FROM usage_words")
    assert kept == 50
    assert words(used.told(1))["often"] == 3


def test_what_cannot_be_written_is_counted_later(store):
    used = Usage(store, words=True)
    used.answered(0.01, ["dog"])
    with store.write() as connection:
        connection.execute("ALTER TABLE usage_times RENAME TO away")
    used.flush()
    with store.write() as connection:
        connection.execute("ALTER TABLE away RENAME TO usage_times")
    told = used.told(1)
    assert (told["searches"], words(told)) == (1, {"dog": 1})


def test_a_search_costs_no_write(store):
    used = Usage(store, words=True)
    before = store.read_one("PRAGMA data_version")
    for _ in range(100):
        used.answered(0.01, ["dog"])
    assert store.read_one("PRAGMA data_version") == before

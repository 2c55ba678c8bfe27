"""The history and saved questions are in the library, bounded, and gone when they are cleared."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgqd.library import searches
from imgqd.library.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(os.fspath(tmp_path / "library.db"))
    yield made
    made.close()


def test_the_history_tells_the_newest_last_and_forgets_the_oldest(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searches, "MOST_KEPT", 3)
    for number in range(5):
        searches.remember(store, f"question {number}", number)
    assert [item["typed"] for item in searches.history(store, 10)] == [
        "question 2",
        "question 3",
        "question 4",
    ]
    assert [item["results"] for item in searches.history(store, 1)] == [4]
    assert searches.clear_history(store) == 3
    assert searches.history(store, 10) == []


def test_a_saved_question_is_kept_replaced_and_forgotten(store: Store) -> None:
    searches.save(store, "cats", ["cat", "--in", "/photos"])
    searches.save(store, "beach", ["beach"])
    searches.save(store, "cats", ["two cats"])
    assert [item["name"] for item in searches.saved(store)] == ["beach", "cats"]
    assert searches.saved(store, "cats")[0]["arguments"] == ["two cats"]
    assert searches.forget(store, "cats")
    assert not searches.forget(store, "cats")
    assert searches.saved(store, "cats") == []


def test_saved_questions_outlive_the_daemon(tmp_path: Path) -> None:
    path = os.fspath(tmp_path / "library.db")
    first = Store(path)
    searches.save(first, "cats", ["cat"])
    first.close()
    second = Store(path)
    assert searches.saved(second, "cats")[0]["arguments"] == ["cat"]
    second.close()

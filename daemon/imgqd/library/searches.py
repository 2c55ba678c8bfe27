"""What was asked, and questions that were saved under a name: rows of the library, nothing else.

A question is kept as it was typed. Whether it is kept at all is the setting `history`, which
imgqd.asking looks at.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

import apsw

from imgqd.library.store import Store
from imgqd.search.dates import iso

# The oldest go when there are more.
MOST_KEPT = 1000


def remember(store: Store, typed: str, results: int) -> None:
    """Adds a question to the history."""
    with store.write() as connection:
        connection.execute(
            "INSERT INTO history (asked, typed, results) VALUES (?, ?, ?)",
            (time.time(), typed, results),
        )
        connection.execute(
            "DELETE FROM history WHERE id <= (SELECT max(id) FROM history) - ?", (MOST_KEPT,)
        )


def history(store: Store, top: int) -> list[dict[str, Any]]:
    """The newest questions, the newest last."""
    rows = store.read("SELECT asked, typed, results FROM history ORDER BY id DESC LIMIT ?", (top,))
    newest = [{"asked": iso(row[0]), "typed": row[1], "results": row[2]} for row in rows]
    return newest[::-1]


def clear_history(store: Store) -> int:
    """Forgets every question; returns how many there were."""
    with store.write(durable=True) as connection:
        connection.execute("DELETE FROM history")
        return connection.changes()


def save(store: Store, name: str, arguments: list[str]) -> None:
    """Keeps the arguments of a question under a name, in place of what was there."""
    with store.write(durable=True) as connection:
        connection.execute(
            "INSERT INTO saved_searches (name, arguments, saved) VALUES (?1, ?2, ?3)"
            " ON CONFLICT (name) DO UPDATE SET arguments = ?2, saved = ?3",
            (name, json.dumps(arguments), time.time()),
        )


def saved(store: Store, name: str | None = None) -> list[dict[str, Any]]:
    """The saved questions by name, or the one of that name."""
    rows = store.read(
        "SELECT name, arguments, saved FROM saved_searches WHERE ?1 IS NULL OR name = ?1"
        " ORDER BY name",
        (name,),
    )
    return [{"name": row[0], "arguments": json.loads(row[1]), "saved": iso(row[2])} for row in rows]


def forget(store: Store, name: str) -> bool:
    """Removes a saved question; False when there is none of that name."""
    with store.write(durable=True) as connection:
        connection.execute("DELETE FROM saved_searches WHERE name = ?", (name,))
        return bool(connection.changes())


def for_backup(store: Store) -> list[dict[str, Any]]:
    """The saved questions with the time in seconds since the epoch."""
    rows = store.read("SELECT name, arguments, saved FROM saved_searches ORDER BY name")
    return [{"name": row[0], "arguments": json.loads(row[1]), "saved": row[2]} for row in rows]


def from_backup(connection: apsw.Connection, items: Iterable[dict[str, Any]]) -> None:
    """Puts saved questions back, within a transaction; one that is there already stays."""
    connection.executemany(
        "INSERT OR IGNORE INTO saved_searches (name, arguments, saved) VALUES (?, ?, ?)",
        [(str(i["name"]), json.dumps(list(i["arguments"])), float(i["saved"])) for i in items],
    )

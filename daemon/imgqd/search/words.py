"""From the words a person types to a query of the full-text index.

All words must occur, in any order and in any of the texts; `beach*` stands for every word that
begins so. What a word is, the index's own tokenizer decides (SQLite FTS5, unicode61): letters and
digits of any script, without regard to case and accents.
"""

from __future__ import annotations

import functools

import apsw

from imgqd.errors import UsageError

MOST_WORDS = 100


@functools.lru_cache(maxsize=256)
def match_query(text: str) -> str:
    """The MATCH expression for TEXT. Raises UsageError when there is no word in it."""
    parts = []
    for typed in text.split():
        words = _words(typed)
        parts += [f'"{word}"' for word in words]
        if words and typed.endswith("*"):
            parts[-1] += "*"
    if not parts:
        raise UsageError(f"--text: there is no word in {text!r}; give letters or digits")
    if len(parts) > MOST_WORDS:
        raise UsageError(f"--text: {len(parts)} words are too many; {MOST_WORDS} is the most")
    return " AND ".join(parts)


def _words(text: str) -> list[str]:
    connection = apsw.Connection(":memory:")
    tokenizer = connection.fts5_tokenizer("unicode61", ["remove_diacritics", "2"])
    found = tokenizer(
        text.encode("utf-8", "replace"),
        apsw.FTS5_TOKENIZE_QUERY,
        None,
        include_offsets=False,
        include_colocated=False,
    )
    return [str(word) for word in found]

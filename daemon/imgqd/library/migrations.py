"""Steps from one schema version to the next: MIGRATIONS[0] leads from version 1 to version 2.

A step is SQL that runs in one transaction together with the new version number. Steps are never
changed once released; schema.sql stays what version 1 was.
"""

from __future__ import annotations

# Version 2: what a person says of pictures, categories, and the words to be found by.
#
# `texts` keeps no words, only where each occurs (contentless, detail=none): some 40 bytes a picture.
# Triggers keep it right whoever writes. They delete and insert, because the conflict clause of the
# statement that fires a trigger would replace one written inside (INSERT OR IGNORE INTO tags).
_DESCRIBED = """
CREATE TABLE notes (
    picture_id  INTEGER PRIMARY KEY REFERENCES pictures (id),
    description TEXT,
    category    TEXT  -- a person's, in place of the computed one
) STRICT;

CREATE TABLE fields (
    picture_id INTEGER NOT NULL REFERENCES pictures (id),
    key        TEXT NOT NULL,
    value      TEXT NOT NULL,
    PRIMARY KEY (picture_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX fields_value ON fields (key, value);

CREATE TABLE labels (
    id    INTEGER PRIMARY KEY,
    label TEXT NOT NULL UNIQUE
) STRICT;

-- The computed category: the label whose vector is nearest.
CREATE TABLE categories (
    picture_id INTEGER PRIMARY KEY,
    label_id   INTEGER NOT NULL REFERENCES labels (id)
) STRICT;

CREATE VIRTUAL TABLE texts USING fts5 (
    words, tokenize = 'unicode61 remove_diacritics 2',
    content = '', contentless_delete = 1, detail = none
);

CREATE VIEW picture_words (id, words) AS SELECT p.id, concat_ws(' ',
    (SELECT group_concat(CAST(d.path || '/' || f.name AS TEXT), ' ')
        FROM files f JOIN directories d ON d.id = f.directory_id WHERE f.picture_id = p.id),
    p.title, p.description,
    (SELECT group_concat(k.value, ' ') FROM json_each(p.keywords) k),
    (SELECT group_concat(t.tag, ' ') FROM tags t WHERE t.picture_id = p.id),
    (SELECT n.description FROM notes n WHERE n.picture_id = p.id)
) FROM pictures p;

INSERT INTO texts (rowid, words) SELECT id, words FROM picture_words;
"""

_REFRESH = """
    DELETE FROM texts WHERE rowid IN ({ids});
    INSERT INTO texts (rowid, words) SELECT id, words FROM picture_words WHERE id IN ({ids});
"""

# (name, when it fires, whose words it makes anew)
_TRIGGERS = (
    ("files_added", "INSERT ON files WHEN new.picture_id IS NOT NULL", "new.picture_id"),
    (
        "files_changed",
        "UPDATE OF picture_id ON files WHEN new.picture_id IS NOT old.picture_id",
        "old.picture_id, new.picture_id",
    ),
    ("files_gone", "DELETE ON files WHEN old.picture_id IS NOT NULL", "old.picture_id"),
    (
        "directories_moved",
        "UPDATE OF path ON directories",
        "SELECT picture_id FROM files WHERE directory_id = new.id",
    ),
    (
        "pictures_changed",
        "UPDATE OF title, description, keywords ON pictures WHEN new.title IS NOT old.title"
        " OR new.description IS NOT old.description OR new.keywords IS NOT old.keywords",
        "new.id",
    ),
    ("tags_added", "INSERT ON tags", "new.picture_id"),
    ("tags_gone", "DELETE ON tags", "old.picture_id"),
    ("notes_added", "INSERT ON notes", "new.picture_id"),
    (
        "notes_changed",
        "UPDATE OF description ON notes WHEN new.description IS NOT old.description",
        "new.picture_id",
    ),
    ("notes_gone", "DELETE ON notes", "old.picture_id"),
)


def _trigger(name: str, event: str, ids: str) -> str:
    return f"CREATE TRIGGER {name} AFTER {event} BEGIN {_REFRESH.format(ids=ids)} END;\n"


_PICTURES_GONE = """
CREATE TRIGGER pictures_gone AFTER DELETE ON pictures BEGIN
    DELETE FROM texts WHERE rowid = old.id;
END;
"""

# Version 3: how it is used (usage.py).
_USAGE = """
CREATE TABLE usage_times (
    day      TEXT NOT NULL,  -- of this machine's time zone
    bucket   INTEGER NOT NULL,
    searches INTEGER NOT NULL,
    PRIMARY KEY (day, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_words (
    word     TEXT PRIMARY KEY,
    searches INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

# What was asked, as it was typed, and questions under a name (searches.py).
_SEARCHES = """
CREATE TABLE history (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    asked   REAL NOT NULL,
    typed   TEXT NOT NULL,
    results INTEGER NOT NULL
) STRICT;

CREATE TABLE saved_searches (
    name      TEXT PRIMARY KEY,
    arguments TEXT NOT NULL,  -- a JSON list, as typed
    saved     REAL NOT NULL
) STRICT, WITHOUT ROWID;
"""

# What a grid shows until a thumbnail is there: records.PLACEHOLDER_BYTES bytes.
_PLACEHOLDERS = "ALTER TABLE pictures ADD COLUMN placeholder BLOB;"

# Nothing to change, but earlier versions know one kind of pixel hash only: pictures with the other
# would lose their ids, and what was added to them, when their metadata is edited.
_TWO_KINDS_OF_PIXEL_HASH = ""

MIGRATIONS: tuple[str, ...] = (
    _DESCRIBED + _PICTURES_GONE + "".join(_trigger(*trigger) for trigger in _TRIGGERS),
    _SEARCHES,
    _USAGE,
    _PLACEHOLDERS,
    _TWO_KINDS_OF_PIXEL_HASH,
)

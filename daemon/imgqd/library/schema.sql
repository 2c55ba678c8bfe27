-- Version 1 of the library. Applied once to an empty database; later versions are steps in
-- migrations.py. Paths and names are BLOBs: file names are bytes. Times are seconds since the epoch.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value ANY
) STRICT, WITHOUT ROWID;

-- Watched folders. `filesystem` and `inode` are what the folder was when last seen; a folder that is
-- missing, or on another filesystem, is offline and none of its files are forgotten.
CREATE TABLE folders (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    path       BLOB NOT NULL UNIQUE,
    filesystem TEXT,
    inode      INTEGER,
    state      TEXT NOT NULL DEFAULT 'scanning',
    exclude    TEXT NOT NULL DEFAULT '[]',
    added      REAL NOT NULL
) STRICT;

-- Filesystems mounted somewhere below a watched folder: the same guard, for a part of it.
CREATE TABLE mounts (
    path       BLOB PRIMARY KEY,
    filesystem TEXT NOT NULL,
    inode      INTEGER NOT NULL,
    offline    INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Directories that hold files we know; splitting them off keeps a million paths small.
CREATE TABLE directories (
    id   INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE
) STRICT;

-- One row for each distinct content. AUTOINCREMENT: an id never names another picture.
-- `orphaned` is when the last file went: the row waits a while, so that a move costs no encoding.
CREATE TABLE pictures (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    content_hash BLOB NOT NULL UNIQUE,
    pixel_hash   BLOB NOT NULL,
    bytes        INTEGER NOT NULL,
    width        INTEGER NOT NULL,
    height       INTEGER NOT NULL,
    format       TEXT NOT NULL,
    taken        REAL,
    taken_offset INTEGER,
    camera       TEXT,
    lens         TEXT,
    latitude     REAL,
    longitude    REAL,
    title        TEXT,
    description  TEXT,
    keywords     TEXT,
    rating       INTEGER,
    orphaned     REAL
) STRICT;
CREATE INDEX pictures_orphaned ON pictures (orphaned) WHERE orphaned IS NOT NULL;

-- What is on disk. state: 'pending' (known, not read yet), 'indexed', 'problem', or 'other'
-- (looked at: not a picture; remembered so that it is not opened again until it changes).
CREATE TABLE files (
    id           INTEGER PRIMARY KEY,
    directory_id INTEGER NOT NULL REFERENCES directories (id),
    name         BLOB NOT NULL,
    size         INTEGER NOT NULL,
    mtime_ns     INTEGER NOT NULL,
    ctime_ns     INTEGER NOT NULL,
    inode        INTEGER NOT NULL,
    state        TEXT NOT NULL,
    picture_id   INTEGER REFERENCES pictures (id),
    UNIQUE (directory_id, name)
) STRICT;
CREATE INDEX files_picture ON files (picture_id) WHERE picture_id IS NOT NULL;
CREATE INDEX files_state ON files (state) WHERE state NOT IN ('indexed', 'other');

-- Vectors of different models never meet: a model is a row, and each vector names its model.
CREATE TABLE models (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    name  TEXT NOT NULL UNIQUE,
    spec  TEXT NOT NULL,
    dim   INTEGER NOT NULL,
    added REAL NOT NULL
) STRICT;

CREATE TABLE vectors (
    picture_id INTEGER NOT NULL,
    model_id   INTEGER NOT NULL REFERENCES models (id),
    vector     BLOB NOT NULL,
    UNIQUE (model_id, picture_id)
) STRICT;

-- The queue: "look at this path". `seq` is the oldest request not yet answered (sync waits for it),
-- `token` the newest: a look that began before the newest request does not answer it.
CREATE TABLE jobs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    path       BLOB NOT NULL UNIQUE,
    seq        INTEGER NOT NULL,
    token      INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    fresh      INTEGER NOT NULL DEFAULT 0  -- no file row yet: counted among the files all the same
) STRICT;
CREATE INDEX jobs_seq ON jobs (seq);

-- Why a path (a file, or a folder that cannot be read) is not indexed.
CREATE TABLE problems (
    path     BLOB PRIMARY KEY,
    reason   TEXT NOT NULL,
    detail   TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 1,
    since    REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- What a person added to a picture.
CREATE TABLE tags (
    picture_id INTEGER NOT NULL REFERENCES pictures (id),
    tag        TEXT NOT NULL,
    PRIMARY KEY (picture_id, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_tag ON tags (tag);

-- What a person added to pictures that are gone (or not read again yet, after a restore from the
-- backup): it comes back with the content. `until` is when it may be forgotten.
CREATE TABLE keepsakes (
    content_hash BLOB PRIMARY KEY,
    data         TEXT NOT NULL,
    until        REAL NOT NULL
) STRICT, WITHOUT ROWID;

"""One transaction for a batch of finished looks: files, pictures, vectors, problems and the queue.

What the pipeline found out about a path is an Outcome; `commit` writes a batch of them at once and
says what changed for the index and for listeners. Nothing else writes file rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import apsw
import numpy as np

from imgqd.library import sidecars
from imgqd.library.store import Store
from imgqd.records import Job, Metadata, Signature, Vectors


@dataclass(frozen=True, slots=True)
class Gone:
    """Nothing of ours is at the path (any more): deleted, excluded or outside every folder."""

    job: Job


@dataclass(frozen=True, slots=True)
class Same:
    """Nothing to write: the file is as it was, or on a drive that is away."""

    job: Job


@dataclass(frozen=True, slots=True)
class Other:
    """A file that is not a picture, or too small a one: remembered, not shown."""

    job: Job
    signature: Signature


@dataclass(frozen=True, slots=True)
class Known:
    """The content is a known picture: a copy, a rename, or unchanged bytes."""

    job: Job
    signature: Signature
    picture_id: int


@dataclass(frozen=True, slots=True)
class Retouched:
    """Other bytes that show the same as the picture the path held before: no new encoding."""

    job: Job
    signature: Signature
    content_hash: bytes
    metadata: Metadata
    before: int
    sidecar: tuple[bytes, Signature] | None = None


@dataclass(frozen=True, slots=True)
class Described:
    """A sidecar came, changed or went (`signature` None): its pictures, each with its metadata as
    it is now, or None where that could not be read."""

    job: Job
    signature: Signature | None
    pictures: tuple[tuple[int, Metadata | None], ...]


@dataclass(frozen=True, slots=True)
class New:
    """A new content with its vector (dim,) float32 of model row `model_id`.

    `sidecar` is the path and signature of the sidecar that `metadata` speaks for, too.
    """

    job: Job
    signature: Signature
    content_hash: bytes
    metadata: Metadata
    model_id: int
    vector: Vectors
    sidecar: tuple[bytes, Signature] | None = None
    placeholder: bytes | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The file cannot be indexed; `signature` is None when not even lstat worked."""

    job: Job
    signature: Signature | None
    reason: str
    detail: str


Outcome = Gone | Same | Other | Described | Known | Retouched | New | Failed


@dataclass(slots=True)
class Changes:
    """What a batch changed: for the index (`vectors`, `revived`, `orphaned`) and for listeners."""

    vectors: dict[int, Vectors] = field(default_factory=dict)
    revived: list[int] = field(default_factory=list)
    orphaned: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    asked_again: list[Job] = field(default_factory=list)
    new_problems: list[Failed] = field(default_factory=list)
    generation: int = 0
    # True when the transaction itself asked for looks.
    asked: bool = False


def commit(store: Store, outcomes: list[Outcome]) -> Changes:
    """Writes the batch in one transaction. Raises what SQLite raises (apsw.FullError when full)."""
    changes = Changes()
    with store.write() as connection:
        visible = False
        for outcome in outcomes:
            visible |= _apply(store, connection, outcome, changes)
            if not store._finish_job(connection, outcome.job):
                changes.asked_again.append(outcome.job)
        if visible:
            store.bump(connection)
        changes.generation = store.generation
    if changes.asked:
        store.on_enqueue()
    # A picture may have lost one file and got another within the batch: what counts is the end.
    changes.orphaned = [i for i in dict.fromkeys(changes.orphaned) if _is_orphan(store, i)]
    gone = set(changes.orphaned)
    changes.revived = [i for i in dict.fromkeys(changes.revived) if i not in gone]
    return changes


def _is_orphan(store: Store, picture_id: int) -> bool:
    row = store.read_one("SELECT orphaned IS NOT NULL FROM pictures WHERE id = ?", (picture_id,))
    return row is None or bool(row[0])


def _apply(store: Store, connection: apsw.Connection, outcome: Outcome, changes: Changes) -> bool:
    """Writes one outcome; True when an answer can look different after it."""
    path = outcome.job.path
    if isinstance(outcome, Same):
        return False
    if not isinstance(outcome, Failed):
        connection.execute("DELETE FROM problems WHERE path = ?", (path,))
    if isinstance(outcome, Gone):
        before = _picture_at(store, path)
        dropped = store._drop_file(connection, path)
        if before is not None:
            changes.orphaned.append(before)
            changes.changed.append(before)
        return dropped and before is not None
    if isinstance(outcome, Failed):
        if store._put_problem(connection, path, outcome.reason, outcome.detail):
            changes.new_problems.append(outcome)
        if outcome.signature is None:
            return False
        return _link(store, connection, path, outcome.signature, "problem", None, changes)
    if isinstance(outcome, Other):
        return _link(store, connection, path, outcome.signature, "other", None, changes)
    if isinstance(outcome, Described):
        return _describe(store, connection, outcome, changes)
    if isinstance(outcome, Known):
        picture_id = outcome.picture_id
        if connection.execute("SELECT 1 FROM pictures WHERE id = ?", (picture_id,)).get is None:
            # Purged since the look: the next look reads it again.
            connection.execute("UPDATE jobs SET token = token + 1 WHERE id = ?", (outcome.job.id,))
            return False
    elif isinstance(outcome, Retouched):
        picture_id = _retouch(store, connection, outcome, changes)
    else:
        known = _by_content(connection, outcome.content_hash)
        picture_id = known or store._insert_picture(
            connection, outcome.content_hash, outcome.signature.size, outcome.metadata
        )
        if outcome.placeholder is not None:
            store._put_placeholder(connection, picture_id, outcome.placeholder)
        if store._put_vector(connection, picture_id, outcome.model_id, outcome.vector):
            changes.vectors[picture_id] = np.asarray(outcome.vector, dtype=np.float32)
    if isinstance(outcome, Known):
        if _picture_at(store, path) != picture_id:
            changes.asked |= sidecars.remember(store, connection, path, None)
    else:
        changes.asked |= sidecars.remember(store, connection, path, outcome.sidecar)
    return _link(store, connection, path, outcome.signature, "indexed", picture_id, changes)


def _describe(
    store: Store, connection: apsw.Connection, outcome: Described, changes: Changes
) -> bool:
    """Writes what pictures say together with a sidecar; a look that missed one is made again."""
    path = outcome.job.path
    changed = False
    for picture_id, metadata in outcome.pictures:
        if metadata is not None and sidecars.redescribe(store, connection, picture_id, metadata):
            changes.changed.append(picture_id)
            changed = True
    now = {picture_id for _, picture_id in sidecars.described(connection, path)}
    again = not now <= {picture_id for picture_id, _ in outcome.pictures}
    if again:
        connection.execute("UPDATE jobs SET token = token + 1 WHERE id = ?", (outcome.job.id,))
    if outcome.signature is None:
        store._drop_file(connection, path)
    else:
        state = "pending" if again else "other"
        store._put_file(connection, path, outcome.signature, state, None)
    return changed


def _link(
    store: Store,
    connection: apsw.Connection,
    path: bytes,
    signature: Signature,
    state: str,
    picture_id: int | None,
    changes: Changes,
) -> bool:
    known = _picture_at(store, path)
    before = store._put_file(connection, path, signature, state, picture_id)
    if before is not None and store._orphan_if_last(connection, before):
        changes.orphaned.append(before)
    if before is not None:
        changes.changed.append(before)
    if picture_id is not None:
        if store._revive(connection, picture_id):
            changes.revived.append(picture_id)
        changes.changed.append(picture_id)
    return known != picture_id or picture_id is not None


def _retouch(
    store: Store, connection: apsw.Connection, outcome: Retouched, changes: Changes
) -> int:
    """Finds the picture for retouched metadata: the same id where only this file held it."""
    known = _by_content(connection, outcome.content_hash)
    if known is not None:
        if known != outcome.before:
            store._copy_added(connection, outcome.before, known)
        return known
    holders = connection.execute(
        "SELECT count(*) FROM files WHERE picture_id = ?", (outcome.before,)
    ).get
    if holders == 1:
        store._update_picture(
            connection,
            outcome.before,
            outcome.content_hash,
            outcome.signature.size,
            outcome.metadata,
        )
        return outcome.before
    picture_id = store._insert_picture(
        connection, outcome.content_hash, outcome.signature.size, outcome.metadata
    )
    connection.execute(
        "INSERT INTO vectors (picture_id, model_id, vector)"
        " SELECT ?, model_id, vector FROM vectors WHERE picture_id = ?",
        (picture_id, outcome.before),
    )
    connection.execute(
        "INSERT INTO categories SELECT ?, label_id FROM categories WHERE picture_id = ?",
        (picture_id, outcome.before),
    )
    connection.execute(
        "UPDATE pictures SET placeholder = (SELECT placeholder FROM pictures WHERE id = ?)"
        " WHERE id = ?",
        (outcome.before, picture_id),
    )
    store._copy_added(connection, outcome.before, picture_id)
    changes.revived.append(picture_id)
    return picture_id


def _by_content(connection: apsw.Connection, content_hash: bytes) -> int | None:
    found: int | None = connection.execute(
        "SELECT id FROM pictures WHERE content_hash = ?", (content_hash,)
    ).get
    return found


def _picture_at(store: Store, path: bytes) -> int | None:
    """The picture at a path before this transaction (read outside it, which is enough to compare)."""
    row = store.file(path)
    return row.picture_id if row else None

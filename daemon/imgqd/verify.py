"""Compares database, index and disk with each other, and mends what differs when asked to.

Nothing is trusted: SQLite's own check, the rows against each other, every vector, the ids in the
index, and a walk of the folders. Mending is asking the rooms to do again what they do anyway.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from imgqd.api.service import cancelled
from imgqd.library.store import Store
from imgqd.serving import Serving

if TYPE_CHECKING:
    from imgqd.daemon import Daemon

SHOWN = 1000
SAMPLE = 200
REPAIR_TIMEOUT_S = 3600.0

Difference = dict[str, Any]


def verify_library(daemon: Daemon, *, repair: bool) -> dict[str, Any]:
    """`{"ok", "differences": [{"kind", "detail", "path"?, "repaired"}]}`.

    With `repair`, `ok` says whether everything is mended. Differences beyond 1,000 are counted only.
    """
    found = _differences(daemon)
    if found and repair:
        _mend(daemon, found)
        left = {(item["kind"], item.get("path"), item["detail"]) for item in _differences(daemon)}
        for item in found:
            item["repaired"] = (item["kind"], item.get("path"), item["detail"]) not in left
        return {"ok": not left, "differences": found[:SHOWN], "total": len(found)}
    return {"ok": not found, "differences": found[:SHOWN], "total": len(found)}


def _differences(daemon: Daemon) -> list[Difference]:
    store = daemon.store
    daemon.pipeline.settle()
    found = [_difference("database", text) for text in store.integrity()]
    if found:
        return found
    found += _rows(store)
    serving = daemon.models.current
    if serving is not None:
        found += _vectors(store, serving)
        found += _index(store, serving)
    for path in daemon.reconciler.differences(cancelled):
        found.append(_difference("disk", "the file is not what the library knows", path))
    return found


def _difference(kind: str, detail: str, path: bytes | None = None) -> Difference:
    item: Difference = {"kind": kind, "detail": detail, "repaired": False}
    if path is not None:
        item["path"] = path
    return item


_CHECKS = (
    (
        "file without its picture",
        "SELECT CAST(d.path || X'2F' || name AS BLOB) FROM files f JOIN directories d ON d.id = directory_id"
        " WHERE state = 'indexed' AND NOT EXISTS (SELECT 1 FROM pictures WHERE id = picture_id)",
    ),
    (
        "picture that no file holds",
        "SELECT id FROM pictures p WHERE orphaned IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM files WHERE picture_id = p.id)",
    ),
    (
        "picture with files that counts as gone",
        "SELECT id FROM pictures p WHERE orphaned IS NOT NULL"
        " AND EXISTS (SELECT 1 FROM files WHERE picture_id = p.id)",
    ),
)


def _rows(store: Store) -> list[Difference]:
    found = []
    for detail, sql in _CHECKS:
        for (what,) in store.read(sql):
            if isinstance(what, bytes):
                found.append(_difference("database", detail, what))
            else:
                found.append(_difference("database", f"{detail}: picture {what}"))
    return found


def _vectors(store: Store, serving: Serving) -> list[Difference]:
    dim, model_id = serving.artifact.dim, serving.model_id
    found = [
        _difference("vector", f"picture {i} has no vector of {serving.artifact.id}")
        for i in store.missing_vectors(model_id, 0, SHOWN)
    ]
    broken = store.broken_vectors(model_id, dim)
    found += [_difference("vector", f"picture {i} has a broken vector") for i in broken]
    return found


def _index(store: Store, serving: Serving) -> list[Difference]:
    keeper = serving.keeper
    missing, surplus = keeper.compare()
    found = [_difference("index", f"picture {i} is not in the index") for i in missing]
    found += [_difference("index", f"picture {i} is in the index but gone") for i in surplus]
    ids = store.vector_ids(serving.model_id)
    if found or not len(ids):
        return found
    sample = np.random.default_rng(len(ids)).choice(ids, min(SAMPLE, len(ids)), replace=False)
    known, vectors = store.vectors(serving.model_id, sample)
    answers, _ = keeper.index.search(vectors, min(len(ids), 100))
    lost = [int(i) for i, answer in zip(known, answers, strict=True) if i not in answer]
    # Pictures of one series can have equal vectors in plenty; a broken index loses most of them.
    if len(lost) > len(known) // 10:
        found.append(
            _difference("index", f"{len(lost)} of {len(known)} pictures find not themselves")
        )
    return found


def _mend(daemon: Daemon, found: list[Difference]) -> None:
    store, serving = daemon.store, daemon.models.current
    paths = [item["path"] for item in found if "path" in item]
    with store.write() as connection:
        connection.execute(
            "UPDATE files SET state = 'pending', picture_id = NULL WHERE state = 'indexed'"
            " AND NOT EXISTS (SELECT 1 FROM pictures WHERE id = picture_id)"
        )
        connection.execute(
            "UPDATE pictures SET orphaned = ? WHERE orphaned IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM files WHERE picture_id = pictures.id)",
            (time.time(),),
        )
        connection.execute(
            "UPDATE pictures SET orphaned = NULL WHERE orphaned IS NOT NULL"
            " AND EXISTS (SELECT 1 FROM files WHERE picture_id = pictures.id)"
        )
        store.bump(connection)
    store.enqueue(paths)
    if serving is not None:
        broken = store.broken_vectors(serving.model_id, serving.artifact.dim)
        store.drop_vectors(serving.model_id, broken)
        daemon.models.catch_up()
        _wait(daemon, lambda: not store.missing_count(serving.model_id))
    if paths:
        daemon.operations.sync(REPAIR_TIMEOUT_S)
    if serving is not None:
        serving.keeper.rebuild()
        serving.keeper.save()


def _wait(daemon: Daemon, done: Callable[[], bool]) -> None:
    """Until it is done, nothing moves any more, or the daemon stops."""
    idle = 0
    while not done() and idle < 20 and not daemon.stopping.is_set() and not cancelled():
        idle = 0 if daemon.models.work.stage else idle + 1
        time.sleep(0.1)

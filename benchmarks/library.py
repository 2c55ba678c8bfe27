"""Libraries of any size in minutes: real small files, and vectors that no tower has made.

The rows are written as the daemon writes them, so that a daemon that is started on such a library
finds it in sync. Only what the benchmarks need is there: vectors, files, pictures.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import shutil
from collections.abc import Sequence

import numpy as np
from PIL import Image

import vectors as source
from common import model_of, models_dir
from imgqd.library.identity import identify, signed
from imgqd.library.store import Store
from imgqd.models.build import prepare

IN_A_FOLDER = 1000


def library(
    options: argparse.Namespace,
    count: int,
    *,
    links: bool | None = None,
    shown: Sequence[bytes] = (),
) -> str:
    """A home with `count` pictures and their files, made once; returns its directory.

    With `links` the files of a folder are hard links to one (what a million files cost otherwise
    is mostly disk); by default from 200,000 on. With `shown`, the bytes of real image files, the
    files of a folder are hard links to those, so that they can be looked at.
    """
    links = count > 200_000 if links is None else links
    spec = model_of(options)
    artifact = prepare(spec, models_dir(options))
    kind = f"shown{len(shown)}" if shown else "links" if links else "files"
    name = f"library-{count}-{kind}-{artifact.dim}"
    home = os.path.join(options.work, name)
    if os.path.exists(os.path.join(home, "complete")):
        return home
    shutil.rmtree(home, ignore_errors=True)
    os.makedirs(home)
    os.chmod(home, 0o700)
    photos = os.fsencode(os.path.join(home, "photos"))
    os.mkdir(photos)
    store = Store(os.path.join(home, "library.db"))
    found = identify(photos)
    store.add_folder(photos, filesystem=found.filesystem, inode=found.inode)
    model = store.model_id(artifact.id, artifact.spec, artifact.dim)
    store.set_meta("serving_artifact", artifact.path)
    store.set_meta("serving_model", artifact.id)
    store.set_meta("model_spec", spec)
    store.reserve_ids(count + 1)
    for ids, batch in source.batches(source.clusters(artifact.dim), count):
        _write(store, model, photos, ids.tolist(), batch.astype(np.float16), links, shown)
    store.close()
    with open(os.path.join(home, "complete"), "w"):
        pass
    return home


def _write(
    store: Store,
    model: int,
    photos: bytes,
    ids: list[int],
    halves: np.ndarray[tuple[int, ...], np.dtype[np.float16]],
    links: bool,
    shown: Sequence[bytes],
) -> None:
    rows = []
    for start in range(0, len(ids), IN_A_FOLDER):
        rows += _files(photos, ids[start : start + IN_A_FOLDER], links, shown)
    sizes = [Image.open(io.BytesIO(data)).size for data in shown] or [(4000, 3000)]
    with store.write() as connection:
        connection.executemany(
            "INSERT INTO pictures (id, content_hash, pixel_hash, bytes, width, height, format, taken)"
            " VALUES (?, ?, ?, 100000, ?, ?, 'jpeg', ?)",
            (
                (
                    i,
                    hashlib.sha1(b"%d" % i).digest(),
                    hashlib.md5(b"%d" % i).digest(),
                    *sizes[i % len(sizes)],
                    1.6e9 + i * (1000 if shown else 1),
                )
                for i in ids
            ),
        )
        connection.executemany(
            "INSERT OR IGNORE INTO directories (path) VALUES (?)", {(row[0],) for row in rows}
        )
        connection.executemany(
            "INSERT INTO files"
            " (directory_id, name, size, mtime_ns, ctime_ns, inode, state, picture_id)"
            " VALUES ((SELECT id FROM directories WHERE path = ?), ?, ?, ?, ?, ?, 'indexed', ?)",
            rows,
        )
        connection.executemany(
            "INSERT INTO vectors (picture_id, model_id, vector) VALUES (?, ?, ?)",
            ((i, model, row.tobytes()) for i, row in zip(ids, halves, strict=True)),
        )


def _files(
    photos: bytes, ids: list[int], links: bool, shown: Sequence[bytes]
) -> list[tuple[object, ...]]:
    directory = os.path.join(photos, b"%05d" % (ids[0] // IN_A_FOLDER))
    os.makedirs(directory, exist_ok=True)
    names = [b"IMG_%08d.jpg" % i for i in ids]
    paths = [os.path.join(directory, name) for name in names]
    first: dict[int, bytes] = {}
    for i, path in zip(ids, paths, strict=True):
        same = i % len(shown) if shown else 0 if links else i
        if same in first:
            os.link(first[same], path)
            continue
        first[same] = path
        with open(path, "wb") as stream:
            stream.write(shown[same] if shown else b"\xff\xd8\xff" + path)
    rows: list[tuple[object, ...]] = []
    for i, name, path in zip(ids, names, paths, strict=True):
        found = os.lstat(path)
        times = (signed(found.st_mtime_ns), signed(found.st_ctime_ns), signed(found.st_ino))
        rows.append((directory, name, found.st_size, *times, i))
    return rows

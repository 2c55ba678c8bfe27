"""The cache of thumbnails: each is made once, also when many ask for it at the same moment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from imgqd.errors import NotFoundError
from imgqd.indexing.decode import DecoderPool
from imgqd.library.identity import identify, signed
from imgqd.library.store import Store
from imgqd.records import Picture
from imgqd.thumbnails import Thumbnails
from tests import photographs


class CountingPool(DecoderPool):
    """The real decoders; says how often one was asked."""

    asked = 0

    def miniature(self, *arguments, **options):
        self.asked += 1
        return super().miniature(*arguments, **options)


@pytest.fixture
def pool() -> Iterator[CountingPool]:
    pool = CountingPool(workers=2, timeout_s=30, max_pixels=10**8, memory_mb=2048)
    yield pool
    pool.close()


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    store = Store(os.path.join(tmp_path, "library.db"))
    yield store
    store.close()


@pytest.fixture
def picture(store: Store, tmp_path) -> Picture:
    """A photograph that the library knows."""
    photos = os.fsencode(os.path.join(tmp_path, "photos"))
    os.mkdir(photos)
    found = identify(photos)
    store.add_folder(photos, filesystem=found.filesystem, inode=found.inode)
    path = os.path.join(photos, b"chelsea.jpg")
    photographs.save("chelsea", os.fsdecode(path))
    info = os.lstat(path)
    times = (signed(info.st_mtime_ns), signed(info.st_ctime_ns), signed(info.st_ino))
    with store.write() as connection:
        connection.execute(
            "INSERT INTO pictures (id, content_hash, pixel_hash, bytes, width, height, format)"
            " VALUES (1, x'0102', x'03', ?, 451, 300, 'jpeg')",
            (info.st_size,),
        )
        connection.execute("INSERT OR IGNORE INTO directories (path) VALUES (?)", (photos,))
        connection.execute(
            "INSERT INTO files (directory_id, name, size, mtime_ns, ctime_ns, inode, state,"
            " picture_id) VALUES ((SELECT id FROM directories WHERE path = ?), ?,"
            " ?, ?, ?, ?, 'indexed', 1)",
            (photos, b"chelsea.jpg", info.st_size, *times),
        )
    return store.pictures([1])[1]


def test_many_who_ask_at_once_have_it_made_once(
    store: Store, picture: Picture, pool: CountingPool, tmp_path
) -> None:
    cache = Thumbnails(store, os.path.join(tmp_path, "thumbs"), pool, limit=1 << 20)
    together = Barrier(8)

    def ask(_: int) -> bytes:
        together.wait(30)
        return cache.get(picture, 256)[0]

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(8)))
    assert len(set(answers)) == 1
    assert answers[0][:4] == b"RIFF"
    assert pool.asked == 1
    cache.get(picture, 128)
    assert pool.asked == 2
    cache.get(picture, 200)
    assert pool.asked == 2, "the next size that there is"


def test_a_picture_whose_file_is_away_has_none_and_nobody_waits_for_it(
    store: Store, picture: Picture, pool: CountingPool, tmp_path
) -> None:
    cache = Thumbnails(store, os.path.join(tmp_path, "thumbs"), pool, limit=1 << 20)
    os.rename(picture.paths[0], os.path.join(os.fsencode(tmp_path), b"away.jpg"))
    for _ in range(2):
        with pytest.raises(NotFoundError):
            cache.get(picture, 256)
    assert pool.asked == 0

"""Snapshots of the index: what is written comes back, and nothing damaged is believed."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest
import structlog

from imgqd.search.index import VectorIndex
from imgqd.search.snapshot import FILE
from tests.unit.test_index import DIM, filled, unit

MODEL, LIBRARY = "ViT-B-32@1", "0123abcd"


def save(index: VectorIndex, directory: str) -> str:
    index.save(directory, model_id=MODEL, library_id=LIBRARY)
    return os.path.join(directory, FILE)


def load(directory: str, **changed: object) -> tuple[VectorIndex | None, str]:
    """The loaded index and the reason that was logged."""
    wanted = {"model_id": MODEL, "library_id": LIBRARY, "dim": DIM, "kind": "auto", "threads": 1}
    with structlog.testing.capture_logs() as logs:
        index = VectorIndex.load(directory, **{**wanted, **changed})  # type: ignore[arg-type]
    return index, str(logs[0].get("reason", logs[0]["event"])) if logs else ""


@pytest.mark.parametrize("kind", ["exact", "compact", "HNSW16", "IVF16,SQ8"])
def test_a_snapshot_comes_back_with_the_same_answers(kind: str, tmp_path: object) -> None:
    index, ids, _ = filled(2000, kind)
    index.remove(ids[:20])
    save(index, str(tmp_path))
    loaded, reason = load(str(tmp_path), kind=kind)
    assert loaded is not None and reason == ""
    assert loaded.kind == kind
    if kind in ("exact", "compact"):
        queries = unit(20, seed=2)
        for before, after in zip(
            index.search(queries, 50), loaded.search(queries, 50), strict=True
        ):
            np.testing.assert_array_equal(before, after)
    _, surplus = loaded.reconcile(index.ids())
    loaded.remove(surplus)
    assert sorted(loaded.ids().tolist()) == ids[20:].tolist()
    loaded.add(np.array([5]), unit(1, seed=4))
    assert loaded.search(unit(1, seed=4), 1)[0][0, 0] == 5


def test_an_empty_index_comes_back(tmp_path: object) -> None:
    save(VectorIndex(DIM), str(tmp_path))
    loaded, _ = load(str(tmp_path))
    assert loaded is not None and loaded.count == 0


def test_no_snapshot_is_none_with_a_reason(tmp_path: object) -> None:
    assert load(str(tmp_path)) == (None, "there is no index snapshot yet")
    assert load(os.path.join(str(tmp_path), "nowhere"))[0] is None


@pytest.mark.parametrize("kind", ["exact", "compact"])
def test_one_flipped_byte_anywhere_is_noticed(kind: str, tmp_path: object) -> None:
    index, _, _ = filled(1200, kind)
    path = save(index, str(tmp_path))
    size = os.path.getsize(path)
    offsets = {0, 5, 30, 100, size - 1, size - 40, *np.linspace(0, size - 1, 100, dtype=int)}
    with open(path, "r+b") as stream:
        for offset in sorted(int(i) for i in offsets):
            stream.seek(offset)
            original = stream.read(1)
            stream.seek(offset)
            stream.write(bytes([original[0] ^ (1 << offset % 8)]))
            stream.flush()
            loaded, reason = load(str(tmp_path), kind=kind)
            assert loaded is None, offset
            assert "damaged" in reason
            stream.seek(offset)
            stream.write(original)
            stream.flush()
    assert load(str(tmp_path), kind=kind)[0] is not None


def test_a_cut_or_longer_file_is_noticed(tmp_path: object) -> None:
    index, _, _ = filled(300)
    path = save(index, str(tmp_path))
    with open(path, "rb") as stream:
        whole = stream.read()
    for length in [0, 1, 21, 22, 40, 54, 200, len(whole) // 2, len(whole) - 1]:
        with open(path, "wb") as stream:
            stream.write(whole[:length])
        assert load(str(tmp_path))[0] is None, length
    with open(path, "wb") as stream:
        stream.write(whole + b"\0")
    assert load(str(tmp_path))[0] is None


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"model_id": "another"}, "model"),
        ({"library_id": "another"}, "library"),
        ({"dim": 32}, "dimensions"),
        ({"kind": "compact"}, "kind"),
        ({"kind": "HNSW16"}, "kind"),
    ],
)
def test_a_snapshot_of_something_else_is_not_used(
    changed: dict[str, object], word: str, tmp_path: object
) -> None:
    index, _, _ = filled(1500)
    save(index, str(tmp_path))
    loaded, reason = load(str(tmp_path), **changed)
    assert loaded is None and word in reason


def test_a_compact_snapshot_serves_auto_but_not_exact(tmp_path: object) -> None:
    index, _, _ = filled(1500, "compact")
    save(index, str(tmp_path))
    assert load(str(tmp_path), kind="auto")[0] is not None
    assert load(str(tmp_path), kind="exact")[0] is None


def test_a_snapshot_is_for_its_owner_only_and_leaves_nothing_beside_it(tmp_path: object) -> None:
    directory = os.path.join(str(tmp_path), "index")
    index, _, _ = filled(50)
    path = save(index, directory)
    save(index, directory)
    assert os.listdir(directory) == [FILE]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with open(path, "rb") as stream:
        stream.readline()
        manifest = json.loads(stream.readline())
    assert manifest == {
        "kind": "exact",
        "dim": DIM,
        "count": 50,
        "model_id": MODEL,
        "library_id": LIBRARY,
    }


def test_what_a_killed_writer_left_behind_does_no_harm(tmp_path: object) -> None:
    index, _, _ = filled(50)
    path = save(index, str(tmp_path))
    with open(path + ".new", "wb") as stream:
        stream.write(b"half")
    assert load(str(tmp_path))[0] is not None
    save(index, str(tmp_path))
    assert os.listdir(str(tmp_path)) == [FILE]


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_disk_that_fills_up_keeps_the_last_snapshot(tmp_path: object) -> None:
    index, ids, vectors = filled(50)
    save(index, str(tmp_path))
    index.add(ids + 1_000_000, vectors)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        with pytest.raises(OSError):
            save(index, str(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir(str(tmp_path)) == [FILE]
    loaded, _ = load(str(tmp_path))
    assert loaded is not None and loaded.count == 50
    save(index, str(tmp_path))
    loaded, _ = load(str(tmp_path))
    assert loaded is not None and loaded.count == 100


def test_searches_and_changes_go_on_while_a_snapshot_is_written(tmp_path: object) -> None:
    index, ids, vectors = filled(3000, "compact")
    errors: list[BaseException] = []

    def save_often() -> None:
        try:
            for _ in range(20):
                save(index, str(tmp_path))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=save_often)
    thread.start()
    added = 0
    while thread.is_alive():
        assert ids[7] in index.search(vectors[7:8], 10)[0][0]
        index.add(np.array([10**6 + added]), unit(1, seed=added))
        added += 1
    thread.join()
    assert not errors
    loaded, _ = load(str(tmp_path))
    assert loaded is not None
    missing, surplus = loaded.reconcile(index.ids())
    assert len(surplus) == 0 and loaded.count + len(missing) == index.count


def test_a_writer_that_is_killed_leaves_a_sound_snapshot(tmp_path: object) -> None:
    program = (
        "import sys\n"
        "from tests.unit.test_index import filled\n"
        "index, _, _ = filled(2000)\n"
        "print('ready', flush=True)\n"
        "while True: index.save(sys.argv[1], model_id='ViT-B-32@1', library_id='0123abcd')\n"
    )
    for delay in (0.01, 0.05, 0.12):
        writer = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(delay)
        writer.kill()
        writer.wait()
        writer.stdout.close()
        loaded, reason = load(str(tmp_path))
        assert (loaded is not None and loaded.count == 2000) or "no index snapshot" in reason

"""Every bad file is a problem with the right reason, and the next good file is decoded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgqd.errors import ProblemError
from imgqd.indexing.decode import DecoderPool
from tests import fuzz_decoder, hostile_files
from tests.photographs import photograph
from tests.unit.test_decode import WANT, decode, open_bytes, saved


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    pool = DecoderPool(workers=1, timeout_s=2, max_pixels=300_000_000, memory_mb=1024, min_side=32)
    yield pool
    pool.close()


def problem(pool: DecoderPool, data: bytes, name: bytes = b"") -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        decode(pool, data, name=name)
    # Whatever it was: the next file is decoded as if nothing had happened.
    assert decode(pool, hostile_files.jpeg()).metadata.width == 451
    return caught.value


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (hostile_files.truncated_jpeg, "corrupt"),
        (bytes, "corrupt"),
        (hostile_files.text, "unsupported"),
        (hostile_files.png_bomb, "too-large"),
        (hostile_files.huge_tiff, "too-large"),
        (hostile_files.slow_jpeg, "timeout"),
    ],
)
def test_bad_files_are_problems_with_their_reason(
    pool: DecoderPool, make: type[bytes], reason: str
) -> None:
    assert problem(pool, make(), b"a.jpg").reason == reason


def test_a_decoder_that_dies_of_a_signal_costs_one_file(pool: DecoderPool) -> None:
    pid = pool.pids()
    found = problem(pool, hostile_files.crashing_raw(), b"a.nef")
    if found.reason in ("unsupported", "corrupt"):
        pytest.skip("this LibRaw bounds its recursion (0.22, with rawpy 0.26, does not)")
    assert (found.reason, "SIGSEGV" in found.message) == ("crashed", True)
    assert pid in ([], pool.pids())


def test_a_bomb_below_the_pixel_limit_runs_into_the_memory_limit() -> None:
    pool = DecoderPool(workers=1, timeout_s=20, max_pixels=10**10, memory_mb=256)
    try:
        assert problem(pool, hostile_files.png_bomb()).reason == "memory"
    finally:
        pool.close()


def test_every_kind_of_truncation_is_corrupt_or_still_a_picture(pool: DecoderPool) -> None:
    for word in ("jpeg", "png", "webp", "gif", "tiff", "bmp", "avif", "jpeg2000", "heic"):
        data = saved(photograph("chelsea"), word)
        for part in (0.05, 0.5, 0.9):
            with pytest.raises(ProblemError) as caught:
                decode(pool, data[: int(len(data) * part)])
            assert caught.value.reason in ("corrupt", "unsupported"), (word, part)
    assert decode(pool, hostile_files.jpeg()).metadata.width == 451


def test_small_pictures_are_too_small(pool: DecoderPool) -> None:
    small = photograph("chelsea").resize((400, 31))
    found = problem(pool, saved(small, "png"))
    assert found.reason == "too-small" and "400 x 31" in found.message
    assert decode(pool, saved(small.resize((400, 32)), "png")).metadata.height == 32


def test_a_read_that_never_ends_is_a_timeout(pool: DecoderPool) -> None:
    reader, writer = os.pipe()
    try:
        os.write(writer, hostile_files.jpeg()[:1000])
        with pytest.raises(ProblemError) as caught:
            pool.decode(reader, WANT)
        assert caught.value.reason == "timeout"
    finally:
        os.close(reader)
        os.close(writer)


def test_a_folder_is_unreadable(pool: DecoderPool, tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(ProblemError) as caught:
            pool.decode(fd, WANT)
        assert caught.value.reason == "unreadable"
    finally:
        os.close(fd)


@pytest.mark.parametrize(("package", "word"), [("pillow_heif", "heic"), ("rawpy", "raw")])
def test_a_missing_library_is_named(
    package: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{package}.py").write_text("raise ImportError('not here')")
    monkeypatch.syspath_prepend(str(tmp_path))
    pool = DecoderPool(workers=1, timeout_s=20, max_pixels=10**9, memory_mb=1024)
    try:
        head = {
            "heic": b"\x00\x00\x00\x18ftypheic" + bytes(64),
            "raw": b"FUJIFILMCCD-RAW" + bytes(64),
        }
        for _ in range(2):
            found = problem(pool, head[word])
            assert found.reason == "unsupported" and package in found.message
    finally:
        pool.close()


def test_bad_files_leave_no_descriptors_behind(pool: DecoderPool) -> None:
    fd = open_bytes(hostile_files.truncated_jpeg())
    try:
        # More than a batch of them, each far below the limit on open files.
        for _ in range(60):
            with pytest.raises(ProblemError) as caught:
                pool.decode(fd, WANT)
            assert caught.value.reason == "corrupt"
    finally:
        os.close(fd)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs Linux")
def test_mutated_pictures_are_answered_or_problems(pool: DecoderPool) -> None:
    outcomes = [
        fuzz_decoder.outcome(pool, word, data) for word, data in fuzz_decoder.inputs(400, seed=5)
    ]
    assert {"ok", "corrupt"} <= set(outcomes)
    assert decode(pool, hostile_files.jpeg()).metadata.width == 451

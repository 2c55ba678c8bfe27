"""Groups of what looks the same: found among many as among few, and joined one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from imgqd.search.duplicates import ALL_PAIRS, alike, groups
from tests.unit.gallery import unit

DIM = 48


def bursts(count: int, shots: int) -> np.ndarray:
    """(count + shots, DIM) fp16: `shots` of the first ones are there a second time, a bit off."""
    vectors = unit(count, seed=1, dim=DIM)
    again = vectors[:shots] + 0.02 * unit(shots, seed=2, dim=DIM)
    return np.concatenate([vectors, again]).astype(np.float16)


@pytest.mark.parametrize("count", [500, ALL_PAIRS + 4000])
def test_the_second_shots_are_found_and_nothing_else(count: int) -> None:
    a, b, scores = alike(bursts(count, 60), 0.97, lambda: False)
    assert (a[np.argsort(a)].tolist(), b[np.argsort(a)].tolist()) == (
        list(range(60)),
        list(range(count, count + 60)),
    )
    assert scores.min() >= 0.97


def test_a_pair_is_told_once_though_it_shares_two_cells() -> None:
    a, b, _ = alike(bursts(ALL_PAIRS + 1000, 200), 0.9, lambda: False)
    pairs = list(zip(a.tolist(), b.tolist(), strict=True))
    assert len(pairs) == len(set(pairs)) == 200


def test_groups_join_one_after_the_other_and_the_largest_comes_first() -> None:
    ids = np.asarray([10, 20, 30, 40, 50, 60])
    pairs = (
        np.asarray([0, 2, 3]),
        np.asarray([1, 3, 4]),
        np.asarray([0.99, 0.97, 0.96], np.float32),
    )
    assert groups(ids, pairs) == [([30, 40, 50], 0.96), ([10, 20], 0.99)]


def test_it_stops_when_whoever_asked_has_gone() -> None:
    a, _, _ = alike(bursts(ALL_PAIRS + 1000, 10), 0.9, lambda: True)
    assert len(a) == 0

"""Maximal marginal relevance: a burst does not fill the page, and nothing is lost."""

from __future__ import annotations

import numpy as np

from imgqd.search.diverse import BALANCE, BLOCK, rearranged
from tests.unit.gallery import unit


def test_a_burst_of_the_same_shot_takes_one_place_of_the_page() -> None:
    shot = unit(1, seed=1, dim=64)
    burst = np.repeat(shot, 8, axis=0)
    others = unit(12, seed=2, dim=64)
    scores = np.concatenate([np.full(8, 0.30), np.linspace(0.29, 0.20, 12)])
    order = rearranged(scores, np.concatenate([burst, others]))
    assert order[0] == 0
    assert (order[:6] < 8).sum() == 1


def test_every_result_is_there_once_and_blocks_keep_their_places() -> None:
    count = 2 * BLOCK + 30
    order = rearranged(np.linspace(1, 0, count), unit(count, seed=3, dim=16))
    assert sorted(order.tolist()) == list(range(count))
    for start in range(0, count, BLOCK):
        block = order[start : start + BLOCK]
        assert block.min() == start
        assert block[0] == start


def test_the_order_is_that_of_the_formula() -> None:
    vectors = unit(40, seed=4, dim=8)
    scores = np.sort(np.random.default_rng(5).random(40))[::-1]
    wanted = (scores - scores.min()) / (scores.max() - scores.min())
    alike = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    alike = np.maximum((alike - np.median(alike)) / (1 - np.median(alike)), 0)
    taken = [int(np.argmax(wanted))]
    while len(taken) < 40:
        rest = [i for i in range(40) if i not in taken]
        taken.append(
            max(
                rest,
                key=lambda i: BALANCE * wanted[i] - (1 - BALANCE) * max(alike[i, j] for j in taken),
            )
        )
    agreement = np.mean(np.asarray(taken) == rearranged(scores, vectors))
    assert agreement == 1.0


def test_no_results_stay_none() -> None:
    assert len(rearranged(np.zeros(0), np.zeros((0, 4), np.float32))) == 0

"""Maximal marginal relevance: good results that do not all show the same.

After Carbonell and Goldstein (SIGIR 1998): the next result is the one with the best

    BALANCE * score - (1 - BALANCE) * (its greatest likeness to a result that was taken before)

Both are stretched to 0..1 within the block, because a text's cosine with pictures and one between
pictures are on different scales: scores from the lowest to the highest, likenesses from what two
results usually have (the median) to 1, so that only being more alike than usual counts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from imgqd.records import Vectors
from imgqd.search.ranking import Scores

BALANCE = 0.5
# Results are rearranged within blocks of so many, so that pages of one query fit together.
BLOCK = 200


def rearranged(scores: Scores, vectors: Vectors) -> npt.NDArray[np.int64]:
    """The order (n,) in which to show n results, given scores (n,) and vectors (n, dim).

    The first of each block stays the first.
    """
    parts = [
        start + _block(scores[start : start + BLOCK], vectors[start : start + BLOCK])
        for start in range(0, len(scores), BLOCK)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _block(scores: Scores, vectors: Vectors) -> npt.NDArray[np.int64]:
    count = len(scores)
    wanted = _stretched(np.asarray(scores, dtype=np.float64))
    alike = (vectors @ vectors.T).astype(np.float64)
    usual = float(np.median(alike))
    alike = np.maximum((alike - usual) / max(1.0 - usual, 1e-9), 0.0)
    order = np.zeros(count, np.int64)
    left = np.ones(count, dtype=bool)
    worst = np.zeros(count)
    for place in range(count):
        value = np.where(left, BALANCE * wanted - (1 - BALANCE) * worst, -np.inf)
        best = int(np.argmax(value)) if place else int(np.argmax(np.where(left, wanted, -np.inf)))
        order[place] = best
        left[best] = False
        worst = np.maximum(worst, alike[best])
    return order


def _stretched(values: Scores) -> Scores:
    low, high = float(values.min()), float(values.max())
    return (values - low) / max(high - low, 1e-9)

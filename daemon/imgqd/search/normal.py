"""The tail of the normal distribution, also for thousands of numbers at once, which a query wants."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

# math.erfc takes one number at a time.
_GRID = np.linspace(-8.0, 30.0, 19_001)


def tail_of_one(z: float) -> float:
    """The share of a normal distribution above z."""
    return 0.5 * math.erfc(z / math.sqrt(2))


_LOG_TAIL = np.fromiter((math.log(tail_of_one(v)) for v in _GRID), float)


def tail(z: Numbers) -> Numbers:
    """The share of a normal distribution above each z; off by less than a millionth of itself."""
    inside = np.clip(z, _GRID[0], _GRID[-1])
    share: Numbers = np.exp(np.interp(inside, _GRID, _LOG_TAIL))
    return share

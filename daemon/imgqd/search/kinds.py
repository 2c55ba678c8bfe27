"""The kinds of index there are: which FAISS index stands behind a word, and from how many vectors.

`exact` keeps every vector as fp16. `compact` keeps 4 bits for each few principal axes (product
quantization read in registers: Jegou et al., TPAMI 2011; Andre et al., VLDB 2015; the axes dealt out
as in Ge et al., CVPR 2013): its answers are candidates for an exact re-rank. `auto` is the first up to
EXACT_LIMIT vectors and the second above. Anything else is a FAISS factory string. Locking, growth and
snapshots are index.py's.
"""

from __future__ import annotations

import heapq
import re
from typing import Any

import faiss
import numpy as np

from imgqd.errors import UsageError
from imgqd.records import Vectors

# Measured with benchmarks/index_kinds.py: up to here the exact kind answers within a few
# milliseconds, so nothing is gained by candidates and a re-rank.
EXACT_LIMIT = 50_000
# Sixteen centroids for each group of dimensions want some vectors to be trained on.
COMPACT_MINIMUM = 1_000
# (up to so many vectors, so many groups of dimensions, half a byte each). Of few, more bits spare more
# reading than they take to go through; many must fit in memory: 200, 136 and 116 bytes a picture with
# its id, ten million in 1.2 GB.
MOST_FINE = 300_000
GROUPS = ((MOST_FINE, 384), (8_000_000, 256), (None, 216))
# The axes beyond two for each group are left out where the others hold this share of the variance.
ENOUGH = 0.9
# Chosen on photographs and texts of the built-in model (docs/performance.md).
HEAVY = 4.0
# FAISS has kernels of their own for these dimensions of a group.
WIDTHS = (1, 2, 4, 8)
COMPACT_SAMPLE = 20_000
FACTORY_MINIMUM = 1_000
# FAISS warns below 39 training vectors for each centroid.
PER_CENTROID = 40
TRAINING_LIMIT = 100_000
# OpenBLAS keeps the memory of its largest product for good: 35 MB for 20,000 rows at once, 4 for
# these, which take no longer.
ROWS = 2_000


def check_kind(kind: str, dim: int) -> None:
    """Raises UsageError for a kind that cannot be made for vectors of `dim` dimensions."""
    if kind in ("auto", "exact", "compact"):
        return
    try:
        made = faiss.index_factory(dim, kind, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        reason = str(error).rsplit(": ", 1)[-1].strip()
        raise UsageError(
            f"setting index: {kind!r} is not auto, exact, compact or a FAISS factory string for "
            f"{dim} dimensions and inner products ({reason})"
        ) from None
    if isinstance(made, faiss.IndexIDMap) or made.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise UsageError(
            f"setting index: {kind!r} cannot hold the ids of pictures; leave out IDMap and L2norm"
        )


def takes_over(kind: str) -> int | None:
    """Above how many vectors `kind` is used instead of the exact one; None is never."""
    if kind == "exact":
        return None
    if kind == "auto":
        return EXACT_LIMIT
    if kind == "compact":
        return COMPACT_MINIMUM
    centroids = [int(n) for n in re.findall(r"(?:IVF|IMI2x)(\d+)", kind)]
    if "PQ" in kind or "LSQ" in kind or "RQ" in kind:
        centroids.append(256)
    return max([FACTORY_MINIMUM, *(PER_CENTROID * n for n in centroids)])


def name_of(kind: str, *, exact: bool) -> str:
    """The word for what is in use: `exact`, `compact` or the factory string."""
    if exact:
        return "exact"
    return "compact" if kind == "auto" else kind


def make_exact(dim: int) -> Any:
    """An empty exact index: fp16, inner product."""
    inner = faiss.IndexScalarQuantizer(
        dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    return faiss.IndexIDMap(inner)


def make_trained(kind: str, dim: int, sample: Vectors, *, expected: int = 0) -> Any:
    """An empty index of a kind other than exact, trained on `sample` (n, dim), for about
    `expected` vectors.

    Raises RuntimeError when FAISS cannot train it.
    """
    if kind in ("auto", "compact"):
        inner = _compact(groups_for(dim, expected), sample[:: training_step(kind, len(sample))])
    else:
        inner = faiss.index_factory(dim, kind, faiss.METRIC_INNER_PRODUCT)
        _widen_search(inner)
    index = faiss.IndexIDMap(inner)
    if not index.is_trained:
        index.train(sample[:TRAINING_LIMIT])
    codes = codes_of(inner)
    if isinstance(codes, faiss.IndexPQFastScan):
        # The centroids in another order, in which vectors are coded faster.
        codes.pq.sync_transposed_centroids()
    return index


def training_step(kind: str, count: int) -> int:
    """Of how many vectors one is taken, where `kind` is trained on a sample of `count`."""
    if kind not in ("auto", "compact"):
        return 1
    # From all over: the first pictures may all be of one year.
    return max(1, -(-count // COMPACT_SAMPLE))


def groups_for(dim: int, expected: int) -> int:
    """Into how many groups the compact kind divides `dim` dimensions for so many vectors."""
    return min(dim, next(groups for most, groups in GROUPS if most is None or expected <= most))


def fits(index: Any, count: int) -> bool:
    """False when a compact index of `count` vectors is not of the kind made for so many now."""
    inner = faiss.downcast_index(index.index)
    codes = codes_of(inner)
    if not isinstance(inner, faiss.IndexPreTransform) or not isinstance(
        codes, faiss.IndexPQFastScan
    ):
        return False
    return groups_for(index.d, count) == codes.M


def codes_of(inner: Any) -> Any:
    """The index that keeps the codes: what is below an IndexIDMap, or below the axes it turns to."""
    inner = faiss.downcast_index(inner)
    if isinstance(inner, faiss.IndexPreTransform):
        return faiss.downcast_index(inner.index)
    return inner


def _compact(groups: int, sample: Vectors) -> Any:
    """Axes fitted to `sample` (n, dim), then product quantization of `groups` groups at 4 bits,
    trained on it too.

    The axes are dealt out so that the variances in each group multiply to about the same: bits
    go where vectors differ, and no group has more to tell than another.
    """
    variances, axes = _axes(sample, groups)
    most = -(-len(axes) // groups)
    width = next((w for w in WIDTHS if w >= most), most)
    turned = np.zeros((groups, width, sample.shape[1]), dtype=np.float32)
    # Logarithms above zero, so that a group is the fuller the more axes it has.
    shares = np.log(variances / variances.min()) + 1.0
    emptiest = [(0.0, group, 0) for group in range(groups)]
    for axis in np.argsort(-variances, kind="stable").tolist():
        full, group, place = heapq.heappop(emptiest)
        turned[group, place] = axes[axis]
        if place + 1 < width:
            heapq.heappush(emptiest, (full + shares[axis], group, place + 1))
    turn = faiss.LinearTransform(sample.shape[1], groups * width, False)
    faiss.copy_array_to_vector(turned.ravel(), turn.A)
    turn.is_trained = True
    codes = faiss.IndexPQFastScan(groups * width, groups, 4, faiss.METRIC_INNER_PRODUCT)
    pieces = (sample[start : start + ROWS] for start in range(0, len(sample), ROWS))
    codes.train(np.concatenate([turn.apply(np.ascontiguousarray(piece)) for piece in pieces]))
    return faiss.IndexPreTransform(turn, codes)


def _axes(sample: Vectors, groups: int) -> tuple[Vectors, Vectors]:
    """(variances (m,), orthonormal axes (m, dim)) of `sample` (n, dim): the principal axes, all of
    them or two for each group where those are ENOUGH.

    Questions look along the axes in which pictures differ most, and 4 bits are few for those: each
    is turned by 45 degrees with the least one, until none has more than HEAVY times the mean.
    """
    centred = sample - sample.mean(axis=0)
    ascending, columns = np.linalg.eigh((centred.T @ centred / len(sample)).astype(np.float64))
    # Nothing may be zero, where the sample is smaller than its dimensions or all of one kind.
    variances = np.maximum(ascending[::-1], max(1e-9 * ascending[-1], 1e-12))
    axes = columns.T[::-1]
    few = 2 * groups
    if variances[:few].sum() >= ENOUGH * variances.sum():
        variances, axes = variances[:few], axes[:few]
    most = HEAVY * variances.mean()
    while variances.max() > most:
        pair = [int(variances.argmax()), int(variances.argmin())]
        one, other = axes[pair]
        axes[pair] = (one + other) * 0.5**0.5, (one - other) * 0.5**0.5
        variances[pair] = variances[pair].mean()
    return variances.astype(np.float32), axes.astype(np.float32)


def _widen_search(inner: Any) -> None:
    """FAISS looks into one list of an IVF index by default, which finds next to nothing."""
    ivf = faiss.try_extract_index_ivf(inner)
    if ivf is not None:
        ivf.nprobe = max(1, round(ivf.nlist**0.5))
    graph = faiss.downcast_index(inner)
    if isinstance(graph, faiss.IndexHNSW):
        graph.hnsw.efSearch = 128

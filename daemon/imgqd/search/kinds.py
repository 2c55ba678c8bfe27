"""The kinds of index there are: which FAISS index stands behind a word, and from how many vectors.

`exact` keeps every vector as fp16. `compact` keeps one bit for each dimension of a randomly rotated
vector (RaBitQ, Gao and Long, SIGMOD 2024): its answers are candidates for an exact re-rank. `auto`
is the first up to EXACT_LIMIT vectors and the second above. Anything else is a FAISS factory
string. Locking, growth and snapshots are index.py's.
"""

from __future__ import annotations

import re
from typing import Any

import faiss

from imgqd.errors import UsageError
from imgqd.records import Vectors

# Measured with benchmarks/index_kinds.py: up to here the exact kind answers within a few
# milliseconds, so nothing is gained by candidates and a re-rank.
EXACT_LIMIT = 50_000
# RaBitQ centres vectors on their mean: trained on a handful, it answers with nothing.
COMPACT_MINIMUM = 1_000
# The error of a RaBitQ estimate falls with the square root of the number of bits, whatever the
# dimension: vectors of fewer dimensions are rotated into this many, which stays within 120 bytes a
# picture and 10 ms for a million.
COMPACT_BITS = 768
FACTORY_MINIMUM = 1_000
# FAISS warns below 39 training vectors for each centroid.
PER_CENTROID = 40
TRAINING_LIMIT = 100_000


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


def make_trained(kind: str, dim: int, sample: Vectors) -> Any:
    """An empty index of a kind other than exact, trained on `sample` (n, dim).

    Raises RuntimeError when FAISS cannot train it.
    """
    if kind in ("auto", "compact"):
        bits = max(COMPACT_BITS, (dim + 63) // 64 * 64)
        kind = f"RR{bits},RaBitQfs"
    inner = faiss.index_factory(dim, kind, faiss.METRIC_INNER_PRODUCT)
    _widen_search(inner)
    index = faiss.IndexIDMap(inner)
    index.train(sample[:TRAINING_LIMIT])
    return index


def _widen_search(inner: Any) -> None:
    """FAISS looks into one list of an IVF index by default, which finds next to nothing."""
    ivf = faiss.try_extract_index_ivf(inner)
    if ivf is not None:
        ivf.nprobe = max(1, round(ivf.nlist**0.5))
    graph = faiss.downcast_index(inner)
    if isinstance(graph, faiss.IndexHNSW):
        graph.hnsw.efSearch = 128

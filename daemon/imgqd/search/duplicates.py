"""Groups of pictures that look the same, by their vectors, in time that grows with their number.

Comparing each with each takes minutes at 100,000. So pictures are put into cells round centres
(k-means, as FAISS's inverted lists do), each into its nearest two, and compared within cells only:
two pictures that are almost the same have nearly the same distance to every centre. Up to ALL_PAIRS
pictures everything is compared. What is a copy byte for byte the library knows by itself.
"""

from __future__ import annotations

from collections.abc import Callable

import faiss
import numpy as np
import numpy.typing as npt

from imgqd.records import Ids, Vectors

ALL_PAIRS = 4000
IN_CELL = 120
CELLS_EACH = 2
TRAINING = 20
BLOCK = 1000

Pairs = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Vectors]


def alike(vectors: npt.NDArray[np.float16], threshold: float, stopped: Callable[[], bool]) -> Pairs:
    """Places a < b of pictures (n, dim) whose cosine is at least `threshold`, and the cosines."""
    count = len(vectors)
    found: list[Pairs] = []
    for places in _cells(vectors, stopped):
        some = vectors[places].astype(np.float32)
        some /= np.maximum(np.linalg.norm(some, axis=1, keepdims=True), 1e-12)
        for start in range(0, len(places), BLOCK):
            if stopped():
                return _joined(found, count)
            scores = some[start : start + BLOCK] @ some.T
            rows, columns = np.nonzero(scores >= threshold)
            a, b = places[rows + start], places[columns]
            kept = a < b
            found.append((a[kept], b[kept], scores[rows[kept], columns[kept]]))
    return _joined(found, count)


def _cells(
    vectors: npt.NDArray[np.float16], stopped: Callable[[], bool]
) -> list[npt.NDArray[np.int64]]:
    count, dim = vectors.shape
    if count <= ALL_PAIRS:
        return [np.arange(count)]
    cells = count // IN_CELL
    random = np.random.default_rng(0)
    chosen = random.permutation(count)[: cells * TRAINING]
    faiss.omp_set_num_threads(1)
    kmeans = faiss.Kmeans(dim, cells, niter=4, seed=1, spherical=True, min_points_per_centroid=1)
    kmeans.train(vectors[chosen].astype(np.float32))
    nearest: list[npt.NDArray[np.int64]] = []
    for start in range(0, count, 10 * BLOCK):
        if stopped():
            return []
        some = vectors[start : start + 10 * BLOCK].astype(np.float32)
        nearest.append(kmeans.index.search(some, CELLS_EACH)[1])
    owners = np.concatenate(nearest).ravel()
    members = np.repeat(np.arange(count), CELLS_EACH)
    order = np.argsort(owners, kind="stable")
    borders = np.searchsorted(owners[order], np.arange(1, cells))
    return [part for part in np.split(members[order], borders) if len(part) > 1]


def _joined(found: list[Pairs], count: int) -> Pairs:
    if not found:
        none = np.zeros(0, np.int64)
        return none, none, np.zeros(0, np.float32)
    a, b, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
    # A pair that shares two cells was found twice.
    _, first = np.unique(a * count + b, return_index=True)
    return a[first], b[first], scores[first]


def groups(ids: Ids, pairs: Pairs) -> list[tuple[list[int], float]]:
    """(ids, lowest cosine of the pairs that join them) of each group, the largest group first.

    A group is what is joined by pairs, one after the other, as the shots of a burst are.
    """
    a, b, scores = pairs
    parent: dict[int, int] = {}

    def root(place: int) -> int:
        while parent.setdefault(place, place) != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for left, right in zip(a.tolist(), b.tolist(), strict=True):
        low, high = sorted((root(left), root(right)))
        parent[high] = low
    members: dict[int, list[int]] = {}
    for place in sorted(parent):
        members.setdefault(root(place), []).append(int(ids[place]))
    lowest: dict[int, float] = {}
    for left, score in zip(a.tolist(), scores.tolist(), strict=True):
        top = root(left)
        lowest[top] = min(lowest.get(top, 1.0), score)
    made = [(pictures, round(lowest[top], 4)) for top, pictures in members.items()]
    return sorted(made, key=lambda group: (-len(group[0]), group[0][0]))

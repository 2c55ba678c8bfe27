"""Relevance: what stands out does, what is unrelated does not, whatever the model's scale."""

from __future__ import annotations

import numpy as np
import pytest

from imgqd.records import Vectors
from imgqd.search.relevance import SAMPLE, STANDS_OUT, Cohort, Judge, Sample, Samples

DIM = 96


def unit(vectors: Vectors) -> Vectors:
    made: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return made


def made(rows: int, seed: int, common: float = 0.0) -> Vectors:
    """Random directions; `common` is how much of one direction all of them share."""
    noise = np.random.default_rng(seed).standard_normal((rows, DIM))
    shared = np.random.default_rng(1).standard_normal((1, DIM)) * common
    return unit((noise + shared).astype(np.float32))


def near(vectors: Vectors, seed: int, distance: float) -> Vectors:
    noise = np.random.default_rng(seed).standard_normal(vectors.shape) * distance / DIM**0.5
    return unit((vectors + noise).astype(np.float32))


@pytest.mark.parametrize("common", [0.0, 2.0], ids=["spread out", "in a narrow cone, as CLIP is"])
@pytest.mark.parametrize("count", [60, 400, 1500])
def test_pictures_that_are_meant_stand_out_and_unrelated_texts_find_nothing(
    count: int, common: float
) -> None:
    pictures, texts = made(count, 2, common), made(700, 3, common)
    sample = Sample.of(1, count, pictures, texts)
    queries = near(pictures[:100], 4, 1.0 / (1 + common**2) ** 0.5)
    kept = [
        Judge(sample, query).relevance(picture[None])[0] >= STANDS_OUT
        for picture, query in zip(pictures[:100], queries, strict=True)
    ]
    empty = [
        (Judge(sample, query).relevance(pictures) < STANDS_OUT).all()
        for query in made(100, 5, common)
    ]
    assert np.mean(kept) > 0.9
    assert np.mean(empty) > 0.7


def test_what_is_common_in_the_library_stands_out_too() -> None:
    subject = made(1, 6)
    pictures = np.concatenate([near(np.repeat(subject, 150, axis=0), 7, 1.2), made(450, 8)])
    sample = Sample.of(1, len(pictures), pictures, made(700, 9))
    relevance = Judge(sample, subject[0]).relevance(pictures)
    assert (relevance[:150] >= STANDS_OUT).mean() > 0.95
    assert (relevance[150:] >= STANDS_OUT).mean() < 0.05


def test_a_higher_standing_is_never_less_relevant() -> None:
    pictures = made(500, 10)
    query = near(pictures[:1], 11, 1.5)[0]
    cohort = made(400, 12)
    relevance = Judge(Sample.of(1, 500, pictures, cohort), query).relevance(pictures)
    means, deviations = Cohort.of(cohort).scale(pictures)
    scores = pictures.astype(np.float64) @ query
    below = np.median(scores) - np.quantile(scores, 0.1587)
    z = (scores - means) / deviations + (scores - np.median(scores)) / below
    assert (np.diff(relevance[np.argsort(-z)]) <= 1e-4).all()
    assert ((relevance >= 0) & (relevance <= 1)).all()


def test_the_least_score_leaves_out_nothing_that_stands_out() -> None:
    pictures = made(800, 13)
    sample = Sample.of(1, 800, pictures, made(400, 14))
    for query in near(pictures[:50], 15, 1.3):
        judge = Judge(sample, query)
        standing = judge.relevance(pictures) >= STANDS_OUT
        assert standing.any()
        assert (pictures[standing] @ query >= judge.least() - 1e-6).all()


def test_a_cohort_tells_the_mean_and_deviation_of_its_scores() -> None:
    cohort, pictures = made(300, 16), made(20, 17)
    means, deviations = Cohort.of(cohort).scale(pictures)
    scores = cohort.astype(np.float64) @ pictures.T.astype(np.float64)
    np.testing.assert_allclose(means, scores.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(deviations, scores.std(axis=0), atol=1e-6)


def test_a_library_of_one_picture_is_judged_by_the_texts_alone() -> None:
    picture = made(1, 18)
    sample = Sample.of(1, 1, picture, made(700, 19))
    assert Judge(sample, near(picture, 20, 0.5)[0]).relevance(picture)[0] >= STANDS_OUT
    unrelated = [Judge(sample, query).relevance(picture)[0] for query in made(50, 21)]
    assert np.mean(np.asarray(unrelated) < STANDS_OUT) > 0.7


def test_a_sample_is_drawn_once_for_a_generation_and_bounded() -> None:
    pictures = made(SAMPLE + 500, 22)
    drawn: list[int] = []

    def read(ids: np.ndarray) -> Vectors:
        drawn.append(len(ids))
        return pictures[ids]

    samples = Samples()
    for _ in range(3):
        sample = samples.get(
            1, "texts", 7, lambda: np.arange(len(pictures)), read, lambda _: made(50, 23)
        )
    assert drawn == [SAMPLE]
    assert sample.count == len(pictures)

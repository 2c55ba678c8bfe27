"""Relevance, variety and expansion through a Searcher: what is asked for is what comes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from imgqd.errors import UsageError
from imgqd.search.expansion import TEMPLATES, way_for
from imgqd.search.phrases import Phrases, phrases
from imgqd.search.query import parse_request
from imgqd.search.ranking import cosines
from tests.unit.gallery import Gallery, WordTower, ids_of, unit, wait_for


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    made = Gallery(os.fspath(tmp_path))
    made.add_many([(f"{n}.jpg", v, None, (), {}) for n, v in enumerate(unit(300, seed=5))])
    yield made
    made.store.close()


def word(text: str) -> np.ndarray:
    return WordTower().encode([text])[0]


def test_relevant_leaves_out_what_does_not_stand_out(gallery: Gallery) -> None:
    meant = gallery.add("lighthouse.jpg", word("lighthouse"))
    answer = gallery.ask({"text": "lighthouse"}, relevant=True)
    assert ids_of(answer)[0] == meant
    assert all((hit.relevance or 0) >= 0.9 for hit in answer.hits)
    assert ids_of(gallery.ask({"text": "spreadsheet"}, relevant=True)) == []


def test_every_result_tells_its_relevance_once_the_scale_is_known(gallery: Gallery) -> None:
    searcher = gallery.searcher()
    query = parse_request({"terms": [{"text": "sea"}], "top": 5})
    assert {hit.relevance for hit in searcher.search(query, gallery.serving()).hits} == {None}
    searcher.warm(gallery.serving())

    def known() -> bool:
        hits = searcher.search(query, gallery.serving()).hits
        return all(hit.relevance is not None and 0 <= hit.relevance <= 1 for hit in hits)

    wait_for(known)


def test_an_example_is_judged_against_pictures(gallery: Gallery) -> None:
    ids = gallery.stored()[0]
    answer = gallery.ask({"id": int(ids[3])}, top=3)
    assert answer.hits[0].relevance == pytest.approx(1.0, abs=0.01)


def test_a_burst_does_not_fill_a_diverse_page_and_pages_fit_together(gallery: Gallery) -> None:
    sea = word("sea")
    burst = [
        gallery.add(f"burst{n}.jpg", sea + 0.3 * unit(1, seed=9)[0] + 0.001 * unit(1, seed=n)[0])
        for n in range(6)
    ]
    plain = ids_of(gallery.ask({"text": "sea"}, top=6))
    diverse = ids_of(gallery.ask({"text": "sea"}, top=6, diverse=True))
    assert set(plain) == set(burst)
    assert len(set(diverse) & set(burst)) < 3
    first = ids_of(gallery.ask({"text": "sea"}, top=10, diverse=True))
    pages = [ids_of(gallery.ask({"text": "sea"}, top=5, offset=o, diverse=True)) for o in (0, 5)]
    assert pages[0] + pages[1] == first


def test_scores_stay_those_of_the_plain_text_when_it_is_expanded(gallery: Gallery) -> None:
    ids, vectors = gallery.stored()
    plain = dict(zip(ids.tolist(), cosines(vectors, word("sea")).tolist(), strict=True))
    answer = gallery.ask({"text": "sea"}, top=20, expand="templates")
    ranked = word("sea") + sum(word(template.format("sea")) for template in TEMPLATES)
    expected = ids[np.argsort(-(vectors @ ranked))][:20]
    assert ids_of(answer) == expected.tolist()
    for hit in answer.hits:
        assert hit.score == pytest.approx(plain[hit.picture.id], abs=1e-6)


def test_min_score_holds_for_the_plain_score_when_expanded(gallery: Gallery) -> None:
    ids, vectors = gallery.stored()
    scores = cosines(vectors, word("sea"))
    answer = gallery.ask({"text": "sea"}, top=300, expand="templates", min_score=0.1)
    assert set(ids_of(answer)) == set(ids[scores >= 0.1].tolist())


def test_a_model_that_was_not_measured_is_asked_as_it_was_typed() -> None:
    assert way_for(None, "ViT-B-32/openai@12345678") == "off"
    assert way_for("words", "builtin@12345678") == "words"


@pytest.mark.parametrize("request_", [{"relevant": True}, {"expand": "x"}])
def test_what_makes_no_sense_is_wrong_usage(request_: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        parse_request({"terms": [], **request_})


def test_phrases_are_encoded_once_and_kept(tmp_path: Path) -> None:
    tower = WordTower()
    first = Phrases(os.fspath(tmp_path)).get("model", tower, 20.0)
    assert first is not None and len(first) == len(phrases()) == len(set(phrases()))
    asked = len(tower.asked)
    again = Phrases(os.fspath(tmp_path)).get("model", tower)
    assert again is not None and np.array_equal(first, again) and len(tower.asked) == asked
    for name in os.listdir(tmp_path):
        (tmp_path / name).write_bytes(b"damaged")
    assert Phrases(os.fspath(tmp_path)).get("model", tower, 20.0) is not None
    assert len(tower.asked) == 2 * asked

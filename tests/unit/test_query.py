"""Queries: the algebra of terms, scores, pages, and that what is shown is there."""

from __future__ import annotations

import os
import threading
import time
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from imgqd.errors import UsageError
from imgqd.records import Vectors
from imgqd.search.query import parse_request
from imgqd.search.terms import CACHED_TEXTS, TextCache
from tests.unit.gallery import DIM, Gallery, Keeper, Model, WordTower, ids_of, unit, wait_for


@pytest.fixture
def gallery(tmp_path: object) -> Gallery:
    return Gallery(str(tmp_path))


def filled(gallery: Gallery, rows: int = 200) -> list[int]:
    vectors = unit(rows, seed=1)
    return gallery.add_many([(f"{i:04}.jpg", vectors[i], None, (), {}) for i in range(rows)])


def by_hand(gallery: Gallery, query: Vectors) -> list[tuple[int, float]]:
    """Every picture with its cosine similarity, best first, on the stored vectors."""
    ids, vectors = gallery.stored()
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = vectors @ (query / np.linalg.norm(query))
    order = np.lexsort((ids, -scores))
    return [(int(ids[i]), float(scores[i])) for i in order]


def vector_of(gallery: Gallery, picture_id: int) -> Vectors:
    ids, vectors = gallery.stored()
    vector: Vectors = vectors[ids == picture_id][0].astype(np.float64)
    return vector / np.linalg.norm(vector)  # type: ignore[return-value]


def word(text: str) -> Vectors:
    return WordTower().encode([text])[0].astype(np.float64)  # type: ignore[return-value]


def test_the_algebra_is_what_numpy_gives_by_hand(gallery: Gallery) -> None:
    ids = filled(gallery)
    first, second = vector_of(gallery, ids[3]), vector_of(gallery, ids[50])
    cases: list[tuple[list[dict[str, Any]], Any]] = [
        ([{"text": "sea"}], word("sea")),
        ([{"text": "sea"}, {"text": "sun"}], word("sea") + word("sun")),
        ([{"text": "sea", "weight": 2.5}, {"id": ids[3]}], 2.5 * word("sea") + first),
        ([{"id": ids[3]}, {"id": ids[50], "negative": True}], first - second),
        (
            [{"text": "sea"}, {"text": "fog", "negative": True, "weight": 0.3}],
            word("sea") - 0.3 * word("fog"),
        ),
        ([{"text": "fog", "negative": True}], -word("fog")),
        ([{"text": "sea", "weight": -1}], -word("sea")),
        ([{"text": "sea", "weight": 1000}, {"text": "sun", "weight": 0}], word("sea")),
    ]
    for terms, vector in cases:
        answer = gallery.ask(*terms, top=20)
        expected = by_hand(gallery, vector)[:20]
        assert ids_of(answer) == [picture_id for picture_id, _ in expected]
        scores = [hit.score for hit in answer.hits]
        np.testing.assert_allclose(scores, [score for _, score in expected], atol=1e-5)
        assert [hit.rank for hit in answer.hits] == list(range(1, 21))


def test_a_query_that_is_slow_to_read_rows_does_not_hold_up_the_others(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(gallery, 20)
    searcher, serving = gallery.searcher(), gallery.serving()
    slow, over = threading.Event(), threading.Event()
    pictures = gallery.store.pictures

    def slowly(ids: Any) -> Any:
        if threading.current_thread().name == "slow":
            slow.set()
            assert over.wait(30)
        return pictures(ids)

    monkeypatch.setattr(gallery.store, "pictures", slowly)
    query = parse_request({"terms": [{"text": "sea"}]})
    waiting = threading.Thread(target=searcher.search, args=(query, serving), name="slow")
    waiting.start()
    assert slow.wait(30)
    other = parse_request({"terms": [{"text": "sun"}], "top": 5})
    assert len(searcher.search(other, serving).hits) == 5
    assert waiting.is_alive()
    over.set()
    waiting.join()


def test_a_picture_is_most_like_itself_with_score_one(gallery: Gallery) -> None:
    ids = filled(gallery, 30)
    hit = gallery.ask({"id": ids[7]}).hits[0]
    assert hit.picture.id == ids[7] and hit.score == pytest.approx(1.0, abs=1e-6)
    assert hit.score <= 1.0


@pytest.mark.parametrize(
    ("terms", "word_"),
    [
        ([{"id": 10**6}], "id:1000000"),
        ([{"text": "a"}, {"text": "a", "negative": True}], "cancel"),
        ([{"text": "a", "weight": 0}], "cancel"),
        ([{"text": "a", "weight": float("nan")}], "finite"),
        ([{"text": "a", "weight": float("inf")}], "finite"),
        ([{"text": "a", "image": "AAAA"}], "exactly one"),
        ([{"weight": 1}], "exactly one"),
        ([{"image": "?", "name": "cat.jpg"}], "cat.jpg"),
        ([{"image": "", "name": "cat.jpg"}], "empty"),
        ([{"id": True}], "id"),
        ([{"id": "7"}], "id"),
        ([{"url": "file:///etc/passwd"}], "http"),
    ],
)
def test_terms_that_make_no_sense_are_refused(
    terms: list[dict[str, Any]], word_: str, gallery: Gallery
) -> None:
    filled(gallery, 5)
    with pytest.raises(UsageError) as refusal:
        gallery.ask(*terms)
    assert word_ in refusal.value.message


@pytest.mark.parametrize(
    "request_",
    [{"top": 0}, {"top": 1001}, {"offset": -1}, {"min_score": 1.5}, {"terms": [], "min_score": 0}],
)
def test_limits_that_make_no_sense_are_refused(request_: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        parse_request({"terms": [{"text": "a"}], **request_})


def test_an_empty_library_answers_with_nothing(gallery: Gallery) -> None:
    assert gallery.ask({"text": "sea"}).hits == []
    assert gallery.ask().hits == []


def test_pages_fit_together_and_equal_scores_go_by_id(gallery: Gallery) -> None:
    vectors = np.concatenate([unit(40, seed=1), np.repeat(unit(1, seed=2), 60, axis=0)])
    rows = [(f"{i:04}.jpg", vectors[i], None, (), {}) for i in range(100)]
    ids = gallery.add_many(rows)  # type: ignore[arg-type]
    whole = ids_of(gallery.ask({"id": ids[99]}, top=100))
    assert whole[:60] == ids[40:]
    for size in (1, 7, 10, 33):
        pages = [
            ids_of(gallery.ask({"id": ids[99]}, top=size, offset=offset))
            for offset in range(0, 100, size)
        ]
        assert [i for page in pages for i in page] == whole
    ranks = [hit.rank for hit in gallery.ask({"id": ids[0]}, top=5, offset=20).hits]
    assert ranks == [21, 22, 23, 24, 25]
    assert gallery.ask({"id": ids[0]}, offset=100).hits == []


def test_min_score_leaves_out_what_is_below(gallery: Gallery) -> None:
    filled(gallery)
    expected = by_hand(gallery, word("sea"))
    border = (expected[6][1] + expected[7][1]) / 2
    answer = gallery.ask({"text": "sea"}, top=100, min_score=border)
    assert ids_of(answer) == [picture_id for picture_id, _ in expected[:7]]
    assert gallery.ask({"text": "sea"}, min_score=1.0).hits == []
    assert len(gallery.ask({"text": "sea"}, top=1000, min_score=-1.0).hits) == 200


def test_without_terms_the_newest_come_first(gallery: Gallery) -> None:
    old = gallery.add("old.jpg", unit(1)[0], modified=1000.0)
    taken = gallery.add("taken.jpg", unit(1, 1)[0], modified=10.0, taken=5000.0)
    new = gallery.add("new.jpg", unit(1, 2)[0], modified=9000.0, taken=2000.0)
    answer = gallery.ask()
    assert ids_of(answer) == [taken, new, old]
    assert [hit.score for hit in answer.hits] == [None] * 3
    assert ids_of(gallery.ask(top=1, offset=1)) == [new]


def test_the_newest_of_more_than_one_batch_are_complete(gallery: Gallery) -> None:
    rows = [(f"{i}.jpg", unit(1, i)[0], 1000.0 + i, (), {}) for i in range(600)]
    ids = gallery.add_many(rows)  # type: ignore[arg-type]
    assert ids_of(gallery.ask(top=1000)) == ids[::-1]


def test_a_deleted_file_is_gone_from_the_very_next_answer(gallery: Gallery) -> None:
    ids = filled(gallery, 30)
    before = ids_of(gallery.ask({"text": "sea"}, top=10))
    for picture_id in before[:3]:
        os.unlink(gallery.picture(picture_id).paths[0])
    after = gallery.ask({"text": "sea"}, top=10)
    assert ids_of(after)[:7] == before[3:]
    assert len(after.hits) == 10 and [hit.rank for hit in after.hits] == list(range(1, 11))
    gone = {path for i in before[:3] for path in gallery.picture(i).paths}
    wait_for(lambda: set(gallery.stale) >= gone)
    assert len(ids_of(gallery.ask({"text": "sea"}, top=100))) == len(ids) - 3


def test_an_overwritten_file_is_not_shown_as_what_it_was(gallery: Gallery) -> None:
    ids = filled(gallery, 10)
    path = gallery.picture(ids[4]).paths[0]
    with open(path, "ab") as stream:
        stream.write(b"more")
    assert ids[4] not in ids_of(gallery.ask({"id": ids[4]}))
    wait_for(lambda: gallery.stale[:1] == [path])


def test_a_touched_file_is_shown_and_looked_at_again(gallery: Gallery) -> None:
    ids = filled(gallery, 3)
    path = gallery.picture(ids[1]).paths[0]
    os.link(path, path + b".hard")
    assert ids[1] in ids_of(gallery.ask({"id": ids[1]}))
    wait_for(lambda: path in gallery.stale)


def test_a_file_that_is_as_it_was_is_not_looked_at_again(gallery: Gallery) -> None:
    filled(gallery, 20)
    gallery.ask({"text": "sea"})
    time.sleep(0.1)
    assert gallery.stale == []


def test_files_that_cannot_be_looked_at_in_time_are_shown(gallery: Gallery) -> None:
    ids = filled(gallery, 5)
    os.unlink(gallery.picture(ids[0]).paths[0])
    query = parse_request({"terms": [{"id": ids[0]}]})
    answer = gallery.searcher(verify_deadline_ms=0).search(query, gallery.serving())
    assert ids_of(answer)[0] == ids[0]


def test_a_stale_file_that_cannot_be_reported_spoils_no_answer(gallery: Gallery) -> None:
    ids = filled(gallery, 5)
    os.unlink(gallery.picture(ids[0]).paths[0])
    called = threading.Event()

    def full(paths: list[bytes]) -> None:
        called.set()
        raise OSError("no space left on device")

    searcher = gallery.searcher(on_stale=full)
    query = parse_request({"terms": [{"id": ids[1]}]})
    assert len(searcher.search(query, gallery.serving()).hits) == 4
    assert called.wait(10)


def test_copies_are_one_result_and_each_is_there(gallery: Gallery) -> None:
    first = gallery.add("a.jpg", unit(1)[0])
    gallery.add("other.jpg", unit(1, 3)[0])
    copy = gallery.copy(first, "sub/b.jpg")
    third = gallery.copy(first, "c.jpg")
    hit = gallery.ask({"id": first}).hits[0]
    assert (hit.path, hit.copies) == (gallery.path("a.jpg"), (copy, third))
    os.unlink(gallery.path("a.jpg"))
    os.unlink(third)
    hit = gallery.ask({"id": first}).hits[0]
    assert (hit.path, hit.copies) == (copy, ())
    os.unlink(copy)
    assert first not in ids_of(gallery.ask({"text": "sea"}))


def test_a_copy_below_the_asked_folder_is_the_one_shown(gallery: Gallery) -> None:
    first = gallery.add("a.jpg", unit(1)[0])
    copy = gallery.copy(first, "sub/b.jpg")
    hit = gallery.ask({"text": "sea"}, **{"in": [os.fsdecode(gallery.path("sub"))]}).hits[0]
    assert (hit.path, hit.copies) == (copy, (gallery.path("a.jpg"),))


def test_what_the_library_forgot_is_not_shown_though_the_index_has_it(gallery: Gallery) -> None:
    ids = filled(gallery, 20)
    gallery.forget("0003.jpg")
    assert ids[3] in gallery.index.ids()
    assert ids[3] not in ids_of(gallery.ask({"text": "sea"}, top=100))
    with pytest.raises(UsageError):
        gallery.ask({"id": ids[3]})


def test_pictures_on_a_drive_that_is_away_are_left_out(gallery: Gallery) -> None:
    ids = filled(gallery, 5)
    folder = next(f for f in gallery.store.folders() if f.path == gallery.root)
    gallery.store.update_folder(folder.id, state="offline")
    assert gallery.ask({"text": "sea"}).hits == []
    gallery.store.update_folder(folder.id, state="watching")
    assert len(gallery.ask({"text": "sea"}).hits) == len(ids)


def test_one_query_uses_one_model_whatever_is_swapped_in(gallery: Gallery) -> None:
    ids = filled(gallery, 10)
    other_id = gallery.store.model_id("another", "another", DIM)
    reverse = unit(10, seed=1)[::-1]
    gallery.store.put_vectors(other_id, ids, reverse)
    index = gallery.index.__class__(DIM)
    index.add(np.array(ids), reverse)
    other = gallery.serving(artifact=Model(id="another"), model_id=other_id, keeper=Keeper(index))
    searcher = gallery.searcher()
    query = parse_request({"terms": [{"id": ids[2]}]})
    assert ids_of(searcher.search(query, gallery.serving()))[0] == ids[2]
    ranked = ids_of(searcher.search(query, other))
    vectors = reverse.astype(np.float16).astype(np.float32)
    assert ranked == [ids[i] for i in np.argsort(-(vectors @ vectors[2]))]


def test_texts_are_encoded_once_for_each_model() -> None:
    cache, tower = TextCache(size=3), WordTower()
    first = cache.get("m", ["a", "b", "a"], tower)
    assert tower.asked == ["a", "b"]
    np.testing.assert_array_equal(first[0], first[2])
    cache.get("m", ["b", "c"], tower)
    cache.get("other", ["b"], tower)
    assert tower.asked == ["a", "b", "c", "b"]
    cache.get("m", ["a"], tower)  # the oldest was dropped
    assert tower.asked == ["a", "b", "c", "b", "a"]
    assert CACHED_TEXTS >= 1000


def test_the_answer_is_the_object_of_the_interface(gallery: Gallery) -> None:
    name = b"caf\xe9.jpg"
    first = gallery.add(
        name,
        unit(1)[0],
        modified=1_700_000_000.0,
        tags=["sea", "ice"],
        taken=1_719_743_400.0,
        taken_offset=120,
        camera="Canon EOS R5",
        gps=(-33.9, 18.4),
    )
    copy = gallery.copy(first, "b.jpg")
    answer = gallery.ask({"text": "sea", "weight": 2}, {"id": first}, top=3, types=["jpg"])
    told = answer.to_json(model="m", took_ms=1.23456, generation=7, indexing=False)
    result = told["results"].pop()
    assert told == {
        "query": {
            "terms": [
                {"text": "sea", "weight": 2.0, "negative": False},
                {"id": first, "weight": 1.0, "negative": False},
            ],
            "top": 3,
            "offset": 0,
            "types": ["jpeg"],
        },
        "model": "m",
        "took_ms": 1.235,
        "generation": 7,
        "indexing": False,
        "results": [],
    }
    assert result.pop("score") == pytest.approx(by_hand(
        gallery, 2 * word("sea") + vector_of(gallery, first))[0][1], abs=1e-5)  # fmt: skip
    modified = datetime.fromisoformat(result.pop("modified"))
    assert modified.timestamp() == 1_700_000_000 and modified.tzinfo is not None
    expected = {
        "rank": 1,
        "id": first,
        "path": gallery.path(name),
        "copies": [copy],
        "width": 40,
        "height": 30,
        "format": "jpeg",
        "bytes": os.path.getsize(gallery.path(name)),
        "taken": "2024-06-30T12:30:00+02:00",
        "camera": "Canon EOS R5",
        "gps": [-33.9, 18.4],
        "tags": ["ice", "sea"],
    }
    assert {key: result[key] for key in expected} == expected


def test_many_askers_while_the_library_changes_get_whole_answers(gallery: Gallery) -> None:
    filled(gallery, 100)
    searcher = gallery.searcher()
    errors: list[object] = []
    stop = threading.Event()

    def ask(which: int) -> None:
        step = 0
        try:
            while not stop.is_set():
                step += 1
                query = parse_request({"terms": [{"text": f"{which} {step}"}]})
                if len(searcher.search(query, gallery.serving()).hits) != 10:
                    errors.append("not ten")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for step in range(30):
        gallery.add(f"new {step}.jpg", unit(1, 1000 + step)[0])
        if step % 3 == 0:
            os.unlink(gallery.path(f"new {step}.jpg"))
            gallery.forget(f"new {step}.jpg")
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []

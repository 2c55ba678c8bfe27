"""One rule of time: a picture that is counted in a year or month is found by its dates, and no other."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgqd.search import facets
from imgqd.search.dates import iso
from imgqd.search.filters import parse_filters
from tests.unit.gallery import Gallery, ids_of, unit

pytestmark = pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows sets no time zone")

ROWS = 240
# The last goes back from November to October at 00:01 on 2009-11-01.
ZONES = ["UTC", "Europe/Berlin", "America/Los_Angeles", "Pacific/Kiritimati", "America/St_Johns"]
OFFSETS = [None, None, 0, 540, -480, 840, -720, 345]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    """Pictures within hours of the beginning of a month; some know their offset, some no time."""
    gallery = Gallery(str(tmp_path_factory.mktemp("when")))
    generator = np.random.default_rng(7)
    vectors = unit(ROWS, seed=8)
    rows = []
    for number in range(ROWS):
        year, month = 2008 + number % 3, (1, 11, 12)[number // 3 % 3]
        moment = datetime.fromisoformat(f"{year}-{month:02}-01T00:00:00+00:00").timestamp()
        moment += float(generator.integers(-16 * 60, 16 * 60)) * 60
        facts = {"taken": moment, "taken_offset": OFFSETS[number % 8]} if number % 5 else {}
        rows.append((f"{'ab'[number % 2]}/{number}.jpg", vectors[number], moment, (), facts))
    ids = gallery.add_many(rows)
    for number in range(0, ROWS, 15):
        # The time of a picture that tells none is its file's: here another one in another folder.
        path = gallery.copy(ids[number], f"c/{number}.jpg")
        os.utime(path, (86_400.0 * 365 * 39, 86_400.0 * 365 * 39))
        with gallery.store.write() as connection:
            connection.execute(
                "UPDATE files SET mtime_ns = ? WHERE name = ? AND directory_id ="
                " (SELECT id FROM directories WHERE path = ?)",
                (os.stat(path).st_mtime_ns, os.path.basename(path), os.path.dirname(path)),
            )
    return gallery


@pytest.fixture(autouse=True)
def own_zone() -> Iterator[None]:
    before = os.environ.get("TZ")
    yield
    os.environ.pop("TZ", None)
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


def counted(gallery: Gallery, name: str, request: dict[str, object]) -> dict[str, int]:
    answer = facets.count(facets.of_all(gallery.store, parse_filters(request)))
    return {item["value"]: item["count"] for item in answer["facets"][name]}


def after(month: str) -> str:
    """The month after `2009-11`; the year after `2009`."""
    year, _, number = month.partition("-")
    if not number:
        return str(int(year) + 1)
    return f"{int(year) + 1}-01" if number == "12" else f"{year}-{int(number) + 1:02}"


@settings(max_examples=40, deadline=None)
@given(zone=st.sampled_from(ZONES), facet=st.sampled_from(["year", "month"]), data=st.data())
def test_what_is_counted_in_a_time_is_found_by_it_and_the_reverse(
    gallery: Gallery, zone: str, facet: str, data: st.DataObject
) -> None:
    os.environ["TZ"] = zone
    time.tzset()
    folder = os.fsdecode(gallery.path(data.draw(st.sampled_from(["", "a", "c"]))))
    inside: dict[str, object] = {"in": [folder]}
    counts = counted(gallery, facet, inside)
    value = data.draw(st.sampled_from(sorted(counts)))
    dates: dict[str, object] = {**inside, "after": value, "before": after(value)}
    assert counted(gallery, facet, dates) == {value: counts[value]}
    hits = gallery.ask(top=1000, **dates).hits
    assert len(hits) == counts[value]
    for hit in hits:
        facts = hit.picture.metadata
        told = iso(hit.modified) if facts.taken is None else iso(facts.taken, facts.taken_offset)
        assert told.startswith(value)
    # With TEXT the same pictures.
    assert sorted(ids_of(gallery.ask({"text": "sea"}, top=1000, **dates))) == sorted(
        hit.picture.id for hit in hits
    )

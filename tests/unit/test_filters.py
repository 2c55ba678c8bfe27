"""Filters: what passes, that SQL leaves none out that does, and what is refused."""

from __future__ import annotations

import base64
import os
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgqd.errors import UsageError
from imgqd.records import Metadata, Picture
from imgqd.search.dates import Bound
from imgqd.search.filters import Filters, Place, parse_filters
from imgqd.search.words import match_query

SYDNEY = (-33.87, 151.21)
FIJI, SAMOA = (-17.8, 178.0), (-13.8, -172.1)


def picture(modified: float = 1000.0, tags: tuple[str, ...] = (), **facts: Any) -> Picture:
    metadata = {"width": 400, "height": 300, "format": "jpeg", "pixel_hash": b"", **facts}
    return Picture(1, b"", 1, Metadata(**metadata), modified, [b"/photos/a.jpg"], tags)


@pytest.mark.parametrize(
    ("given_", "facts", "passes"),
    [
        ({"after": Bound(50)}, {"taken": 50.0}, True),
        ({"after": Bound(50)}, {"taken": 49.9}, False),
        ({"before": Bound(50)}, {"taken": 49.9}, True),
        ({"before": Bound(50)}, {"taken": 50.0}, False),
        ({"after": Bound(50)}, {"modified": 60.0}, True),
        ({"after": Bound(50)}, {"taken": 40.0, "modified": 60.0}, False),
        ({"after": Bound(7200, wall=True)}, {"taken": 0.0, "taken_offset": 120}, True),
        ({"after": Bound(7200, wall=True)}, {"taken": 0.0, "taken_offset": 119}, False),
        ({"before": Bound(-3600, wall=True)}, {"taken": 0.0, "taken_offset": -60}, False),
        ({"before": Bound(-3600, wall=True)}, {"taken": 0.0, "taken_offset": -61}, True),
        ({"types": ("png", "jpeg")}, {"format": "jpeg"}, True),
        ({"types": ("png",)}, {"format": "jpeg"}, False),
        ({"camera": "canon eos"}, {"camera": "Canon EOS R5"}, True),
        ({"camera": "canon"}, {"camera": None}, False),
        ({"camera": "ÉCLAIR"}, {"camera": "éclair 16"}, True),
        ({"near": Place(*SYDNEY, 10)}, {"gps": (-33.80, 151.21)}, True),
        ({"near": Place(*SYDNEY, 10)}, {"gps": (-33.70, 151.21)}, False),
        ({"near": Place(*SYDNEY, 10)}, {"gps": None}, False),
        ({"near": Place(*FIJI, 1200)}, {"gps": SAMOA}, True),
        ({"near": Place(*FIJI, 1100)}, {"gps": SAMOA}, False),
        ({"near": Place(89.9, 0, 50)}, {"gps": (89.9, 180.0)}, True),
        ({"tags": ("sea",)}, {"tags": ("sea", "sun")}, True),
        ({"tags": ("sea", "ice")}, {"tags": ("sea", "sun")}, False),
        ({"rating": 4}, {"rating": 4}, True),
        ({"rating": 4}, {"rating": 3}, False),
        ({"rating": -1}, {"rating": None}, False),
        ({"where": (("lens", "50mm"),)}, {"lens": "50mm"}, True),
        ({"where": (("lens", "50mm"),)}, {"lens": "50MM"}, False),
        ({"where": (("keyword", "a b"),)}, {"keywords": ("x", "a b")}, True),
        ({"where": (("print", "A4"),)}, {"keywords": ("A4",)}, False),
        ({"category": "food"}, {}, False),
        ({"min_size": (400, 300)}, {}, True),
        ({"min_size": (401, 0)}, {}, False),
        ({"orientation": "landscape"}, {}, True),
        ({"orientation": "portrait"}, {}, False),
        ({"orientation": "square"}, {"width": 300}, True),
    ],
)
def test_a_picture_passes(given_: dict[str, Any], facts: dict[str, Any], passes: bool) -> None:
    assert Filters(**given_).passes(picture(**facts)) is passes


def test_own_fields_and_categories_pass() -> None:
    described = picture()
    described.fields = {"print": "A4", "lens": "mine"}
    described.category = "Été"
    assert Filters(where=(("print", "A4"), ("lens", "mine"))).passes(described)
    assert not Filters(where=(("print", "A4"), ("print", "A5"))).passes(described)
    assert Filters(category="été").passes(described)
    assert not Filters(category="ete").passes(described)


@pytest.mark.parametrize("words", ["", "***", "- _", " "])
def test_words_that_are_none_are_refused(words: str) -> None:
    if words:
        with pytest.raises(UsageError, match="no word"):
            parse_filters({"words": words})
    else:
        assert not parse_filters({"words": words}).any


def test_words_become_a_query_without_operators() -> None:
    typed = 'IMG_12* AND "Café (x) NEAR ^y:z'
    expected = ["img", "12", "and", "cafe", "x", "near", "y", "z"]
    assert match_query(typed) == " AND ".join(f'"{w}"' + "*" * (w == "12") for w in expected)


def test_distances_are_great_circles() -> None:
    # Berlin to Sydney; along the equator; pole to pole.
    assert Place(52.52, 13.405, 0).distance(*SYDNEY) == pytest.approx(16_094, rel=0.005)
    assert Place(0, 179.5, 0).distance(0, -179.5) == pytest.approx(111.19, rel=0.001)
    assert Place(90, 0, 0).distance(-90, 77) == pytest.approx(20_015, rel=0.001)


def test_only_paths_below_the_folders_are_shown() -> None:
    filters = Filters(folders=(b"/photos/a", b"/other"))
    assert filters.shows(b"/photos/a/x.jpg") and filters.shows(b"/other/deep/x.jpg")
    assert not filters.shows(b"/photos/ab/x.jpg") and not filters.shows(b"/photos/x.jpg")
    assert Filters(folders=(b"/",)).shows(b"/anything")


def parsed(**request: Any) -> Filters:
    return parse_filters({"terms": [], **request})


def test_formats_are_known_by_their_extensions_too() -> None:
    assert parsed(types=["jpg", ".TIF", "cr2", "heif", "raw"]).types == (
        "jpeg", "tiff", "raw", "heic",
    )  # fmt: skip


def test_folders_are_exact_bytes() -> None:
    odd = b"/photos/\xff\xfe"
    sent = [{"path_b64": base64.b64encode(odd).decode()}, "/photos/b/", {"path": "/c/./d"}]
    assert parsed(**{"in": sent}).folders == (odd, b"/photos/b", b"/c/d")


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        ({"types": ["jpeg", "docx"]}, "'docx'"),
        ({"after": "whenever"}, "--after"),
        ({"before": ""}, "--before"),
        ({"near": [91, 0, 1]}, "--near"),
        ({"near": [0, 181, 1]}, "--near"),
        ({"near": [0, 0, -1]}, "--near"),
        ({"near": [0, 0]}, "--near"),
        ({"near": [0, 0, float("nan")]}, "--near"),
        ({"in": ["photos"]}, "absolute"),
        ({"in": ["/a\0b"]}, "absolute"),
        ({"in": [{"path_b64": "?"}]}, "base64"),
        ({"min_size": [-1, 5]}, "--min-size"),
        ({"orientation": "diagonal"}, "--orientation"),
    ],
)
def test_nonsense_is_refused_by_name(request_: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parsed(**request_)
    assert word in refusal.value.message


coordinates = st.tuples(
    st.floats(-90, 90) | st.sampled_from([-90.0, 0.0, 90.0]),
    st.floats(-180, 180) | st.sampled_from([-180.0, 179.99, 180.0]),
)
times = st.integers(-100, 100).map(float) | st.floats(-100, 100)
bounds = st.builds(Bound, times, st.booleans()) | st.builds(
    Bound, st.integers(-90_000, 90_000).map(float), st.just(True)
)
some_pictures = st.builds(
    picture,
    modified=st.integers(-100_000, 100_000).map(lambda ms: ms / 1000),
    tags=st.lists(st.sampled_from("abc"), unique=True).map(tuple),
    taken=st.none() | times,
    taken_offset=st.none() | st.integers(-1439, 1439),
    format=st.sampled_from(["jpeg", "png", "raw"]),
    camera=st.none() | st.sampled_from(["Canon EOS", "LEICA Q2", "KODAK", "straße", "ÉCLAIR"]),
    gps=st.none() | coordinates,
    width=st.integers(1, 5),
    height=st.integers(1, 5),
)
some_filters = st.builds(
    Filters,
    after=st.none() | bounds,
    before=st.none() | bounds,
    types=st.lists(st.sampled_from(["jpeg", "png"]), unique=True).map(tuple),
    camera=st.none() | st.sampled_from(["canon", "Q2", "STRASSE", "éclair", "k", "ss"]),
    near=st.none() | st.tuples(coordinates, st.floats(0, 20_100)).map(lambda t: Place(*t[0], t[1])),
    tags=st.lists(st.sampled_from("abc"), unique=True, max_size=2).map(tuple),
    min_size=st.none() | st.tuples(st.integers(0, 5), st.integers(0, 5)),
    orientation=st.none() | st.sampled_from(["landscape", "portrait", "square"]),
)


def sql_finds(filters: Filters, found: Picture) -> bool:
    """Asks SQLite, on the columns that a filter looks at."""
    facts = found.metadata
    with apsw.Connection(":memory:") as connection:
        connection.execute(
            "CREATE TABLE pictures (id, width, height, format, taken, camera, latitude,"
            " longitude, orphaned); CREATE TABLE files (picture_id, mtime_ns);"
            " CREATE TABLE tags (picture_id, tag)"
        )
        connection.execute(
            "INSERT INTO pictures VALUES (1, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (facts.width, facts.height, facts.format, facts.taken, facts.camera,
             *(facts.gps or (None, None))),
        )  # fmt: skip
        connection.execute("INSERT INTO files VALUES (1, ?)", (round(found.modified * 1e9),))
        connection.executemany("INSERT INTO tags VALUES (1, ?)", [(tag,) for tag in found.tags])
        condition, bindings = filters.sql()
        return bool(
            list(connection.execute(f"SELECT 1 FROM pictures p WHERE {condition}", bindings))
        )


@settings(max_examples=400, deadline=None)
@given(some_filters, some_pictures)
def test_sql_leaves_none_out_that_passes(filters: Filters, found: Picture) -> None:
    if filters.passes(found):
        assert sql_finds(filters, found)


@settings(max_examples=300, deadline=None)
@given(coordinates, coordinates, st.floats(0, 1.2))
def test_the_box_round_a_place_holds_the_whole_circle(
    centre: tuple[float, float], point: tuple[float, float], share: float
) -> None:
    distance = Place(*centre, 0).distance(*point)
    filters = Filters(near=Place(*centre, distance * share + 1e-9))
    if filters.passes(picture(gps=point)):
        assert sql_finds(filters, picture(gps=point))


def test_sql_narrows_down() -> None:
    assert not sql_finds(Filters(near=Place(*SYDNEY, 10)), picture(gps=(-33.87, 140.0)))
    assert not sql_finds(Filters(camera="nikon"), picture(camera="Canon EOS"))
    assert not sql_finds(Filters(after=Bound(2000.0)), picture(modified=1000.0))


def test_folders_in_sql_are_prefixes_of_whole_names() -> None:
    filters = Filters(folders=(b"/p/a", b"/q\xff"))
    condition, bindings = filters.folders_sql("path")
    with apsw.Connection(":memory:") as connection:
        connection.execute("CREATE TABLE directories (path)")
        paths = [b"/p/a", b"/p/a/b", b"/p/a0", b"/p/ab", b"/p", b"/q\xff/\x00", b"/q\xff", b"/q"]
        connection.executemany("INSERT INTO directories VALUES (?)", [(path,) for path in paths])
        rows = connection.execute(f"SELECT path FROM directories WHERE {condition}", bindings)
        assert {row[0] for row in rows} == {b"/p/a", b"/p/a/b", b"/q\xff/\x00", b"/q\xff"}
    assert all(filters.shows(os.path.join(path, b"x")) for path in (b"/p/a/b", b"/q\xff"))


def test_as_many_folders_as_a_request_may_name_are_taken_by_sqlite() -> None:
    many = [f"/photos/{number:04}" for number in range(1000)]
    condition, bindings = parsed(**{"in": many}).folders_sql("d.path")
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE d (path BLOB)")
    connection.executemany(
        "INSERT INTO d VALUES (?)", [(b"/photos/0999/a",), (b"/photos",), (b"/photos/09990",)]
    )
    found = connection.execute(f"SELECT path FROM d WHERE {condition}", bindings).fetchall()
    assert found == [(b"/photos/0999/a",)]

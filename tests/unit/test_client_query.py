"""TEXT, examples and filters become the request that the interface describes."""

from __future__ import annotations

import base64
import math
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgq import query
from imgq.arguments import parse
from imgq.errors import UsageError
from imgq.query import build

PIXEL = b"not looked at by the client"


def request(*arguments: str) -> dict[str, Any]:
    return build(parse(arguments))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]) -> str:
    monkeypatch.chdir(tmp_path)
    return str(tmp_path)


def put(name: str, data: bytes = PIXEL) -> str:
    with open(name, "wb") as stream:
        stream.write(data)
    return name


@pytest.mark.parametrize(
    ("words", "terms"),
    [
        (["sunset", "over", "ocean"], [{"text": "sunset over ocean"}]),
        (["beach + dog"], [{"text": "beach"}, {"text": "dog"}]),
        (["beach", "+", "dog"], [{"text": "beach"}, {"text": "dog"}]),
        (["beach^2 + dog^0.5"], [{"text": "beach", "weight": 2.0}, {"text": "dog", "weight": 0.5}]),
        (["a dog^1"], [{"text": "a dog"}]),
        (["a^2^3"], [{"text": "a^2", "weight": 3.0}]),
        (["c++"], [{"text": "c++"}]),
        (["dog+cat"], [{"text": "dog+cat"}]),
        (["--literal", "C^2 + 1"], [{"text": "C^2 + 1"}]),
        (["--literal", "  as it  stands "], [{"text": "  as it  stands "}]),
        (["dog", "--not", "wet cat^3"],
         [{"text": "dog"}, {"text": "wet cat", "weight": 3.0, "negative": True}]),
        (["--not", "a + b"], [{"text": "a + b", "negative": True}]),
        (["日本 の 海"], [{"text": "日本 の 海"}]),
    ],
)  # fmt: skip
def test_text_becomes_terms(words: list[str], terms: list[dict[str, Any]]) -> None:
    assert request(*words)["terms"] == terms


@pytest.mark.parametrize(
    "text",
    ["dog^", "dog^x", "dog^0", "dog^-1", "dog^nan", "dog^inf", "dog^1e999", "dog^1_0", "dog^ 2",
     "^2", " ^2", "^_^", "a + ", "+ a", "+", "a +  + b", "a + + b", "a + ^2", "dog^٢"],
)  # fmt: skip
def test_senseless_text_is_refused_with_the_way_out(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        request(text)
    assert caught.value.exit_code == 2
    assert "--literal" in caught.value.message or "nothing before" in caught.value.message
    assert request("--literal", text)["terms"] == [{"text": text}]


@given(st.text())
def test_any_text_gives_finite_positive_weights_or_is_refused(text: str) -> None:
    try:
        terms = query.text_terms(text)
    except UsageError:
        return
    assert terms
    for term in terms:
        assert term["text"].strip()
        assert math.isfinite(term.get("weight", 1.0)) and term.get("weight", 1.0) > 0


def test_bytes_that_are_no_characters_are_refused() -> None:
    with pytest.raises(UsageError, match="not valid text"):
        request(os.fsdecode(b"caf\xe9"))


def test_examples_are_read_and_sent(here: str) -> None:
    put("a.jpg", b"A")
    put("b.jpg", b"B")
    assert request("--like", "a.jpg^2", "--not-like", "./b.jpg", "--like", "id:7")["terms"] == [
        {"image": base64.b64encode(b"A").decode(), "name": "a.jpg", "weight": 2.0},
        {"id": 7},
        {"image": base64.b64encode(b"B").decode(), "name": "b.jpg", "negative": True},
    ]


def test_text_and_examples_go_together(here: str) -> None:
    put("a.jpg")
    terms = request("at", "night", "--like", "a.jpg")["terms"]
    assert [sorted(term) for term in terms] == [["text"], ["image", "name"]]


def test_a_file_that_exists_under_the_whole_name_wins(here: str) -> None:
    put("a^2", b"whole")
    put("a", b"part")
    (term,) = request("--like", "a^2")["terms"]
    assert base64.b64decode(term["image"]) == b"whole" and "weight" not in term
    (term,) = request("--like", "a^2^3")["terms"]
    assert base64.b64decode(term["image"]) == b"whole" and term["weight"] == 3.0
    (term,) = request("--like", "a^4")["terms"]
    assert base64.b64decode(term["image"]) == b"part" and term["weight"] == 4.0


def test_ids_and_urls_are_not_files(here: str) -> None:
    put("id:3", b"file")
    assert request("--like", "id:3")["terms"] == [{"id": 3}]
    assert request("--like", "ID:3^2")["terms"] == [{"id": 3, "weight": 2.0}]
    (term,) = request("--like", "./id:3")["terms"]
    assert base64.b64decode(term["image"]) == b"file"
    url = "https://example.org/a.jpg?x=1"
    assert request("--like", url + "^2")["terms"] == [{"url": url, "weight": 2.0}]


def test_a_name_that_is_no_utf8_is_read(here: str) -> None:
    put(os.fsdecode(b"\xff.jpg"), b"A")
    (term,) = request("--like", os.fsdecode(b"\xff.jpg"))["terms"]
    assert (term["name"], term["image"]) == ("\ufffd.jpg", "QQ==")


def test_a_pipe_can_be_an_example(here: str) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"piped")
    os.close(writing)
    try:
        (term,) = request("--like", f"/dev/fd/{reading}")["terms"]
    finally:
        os.close(reading)
    assert base64.b64decode(term["image"]) == b"piped"


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("gone.jpg", "gone.jpg cannot be read: No such file"),
        ("gone.jpg^2", "gone.jpg^2 cannot be read"),
        (".", "Is a directory"),
        ("empty", "empty is empty"),
        ("there^0", "the weight '0'"),
        ("there^nan", "the weight 'nan'"),
        ("there^much", "the weight 'much'"),
        ("id:", "for a file of that name: ./id:"),
        ("id:x", "'id:x' is not the id"),
        ("id:-1", "'id:-1' is not the id"),
        ("id:3^0", "the weight '0'"),
        ("id:" + "9" * 30, "is not the id"),
        ("a\0b", "cannot be read"),
        ("/dev/zero", "too large: examples may have 64 MB"),
    ],
)
def test_an_example_that_cannot_be_read_is_wrong_usage(here: str, value: str, named: str) -> None:
    put("empty", b"")
    put("there")
    with pytest.raises(UsageError) as caught:
        request("--like", value)
    assert named in caught.value.message
    assert caught.value.message.startswith("--like: ")


def test_all_examples_together_are_limited(here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "EXAMPLE_BYTES", 10)
    put("a", b"12345")
    assert len(request("--like", "a", "--like", "a")["terms"]) == 2
    with pytest.raises(UsageError, match="too large"):
        request("--like", "a", "--like", "a", "--like", "a")


def test_filters_are_passed_on(here: str) -> None:
    wanted = request(
        "x", "-n", "1000", "--offset", "20", "--after", "2 weeks ago", "--before", "2024-06",
        "--type", "JPEG, png,,", "--type", "raw", "--camera", "pixel", "--near", "-33.9,18.4,10",
        "--tag", "a", "--tag", "b", "--min-size", "1920x1080", "--orientation", "square",
        "--min-score", "-0.1",
    )  # fmt: skip
    assert wanted == {
        "terms": [{"text": "x"}], "top": 1000, "offset": 20, "after": "2 weeks ago",
        "before": "2024-06", "types": ["jpeg", "png", "raw"], "camera": "pixel",
        "near": [-33.9, 18.4, 10.0], "tags": ["a", "b"], "min_size": [1920, 1080],
        "orientation": "square", "min_score": -0.1,
    }  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ["-n", "0"], ["-n", "1001"], ["-n", "-5"], ["-n", "ten"], ["-n", "1.5"], ["-n", "1_0"],
        ["-n", "5 "], ["-n", "٣"], ["-n=5"], ["-n", "9" * 40], ["--offset", "-1"],
        ["--near", "1,2"], ["--near", "1,2,3,4"], ["--near", "x,2,3"], ["--near", "91,0,1"],
        ["--near", "0,181,1"], ["--near", "0,0,0"], ["--near", "0,0,-1"], ["--near", "nan,0,1"],
        ["--near", "0,0,inf"], ["--near", "0,0,40001"], ["--min-size", "100"], ["--min-size", "x"], ["--min-size", "-1x2"],
        ["--min-size", "1.5x2"], ["--min-score", "nan"], ["--min-score", "high"],
        ["--min-score", "1.01"], ["--min-score", "inf"], ["--type", ","], ["--not", "x^0"],
        ["--not", " "], ["--after", " "], ["--camera", "\udcff"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_bad_values_are_wrong_usage_and_named(arguments: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        request("x", *arguments)
    assert caught.value.message.startswith(arguments[0].partition("=")[0])


def test_folders_are_made_absolute(here: str) -> None:
    os.mkdir("photos")
    assert request("x", "--in", "photos", "--in", "photos/../photos/")["in"] == [
        os.path.join(here, "photos"),
        os.path.join(here, "photos"),
    ]
    assert request("x", "--in", "/gone/away")["in"] == ["/gone/away"]


def test_a_folder_behind_a_link_is_sent_as_typed_and_as_resolved(here: str) -> None:
    os.makedirs("disk/photos/2024")
    os.symlink("disk/photos", "link")
    resolved = os.path.realpath(here)
    assert request("x", "--in", "link/2024")["in"] == [
        os.path.join(here, "link/2024"),
        os.path.join(resolved, "disk/photos/2024"),
    ]
    # What .. means after a link only the disk knows.
    assert os.path.join(resolved, "disk") in request("x", "--in", "link/..")["in"]


def test_a_folder_whose_name_is_no_utf8_keeps_its_bytes(here: str) -> None:
    name = os.fsdecode(b"caf\xe9")
    os.mkdir(name)
    (value,) = request("x", "--in", name)["in"]
    assert base64.b64decode(value["path_b64"]) == os.fsencode(os.path.join(here, name))


def test_a_tilde_after_an_equals_sign_is_the_home(
    here: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", here)
    put("a.jpg", b"A")
    assert request("x", "--in=~/photos")["in"] == [os.path.join(here, "photos")]
    assert request("--like=~/a.jpg")["terms"][0]["image"] == "QQ=="

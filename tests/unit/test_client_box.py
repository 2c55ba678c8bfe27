"""The search box: one line of text that means what a command line means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgq import arguments, page, query
from imgq.box import box_terms
from imgq.errors import UsageError


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("  ", []),
        ("a cat", [{"text": "a cat"}]),
        ("cat + dog^2", [{"text": "cat"}, {"text": "dog", "weight": 2.0}]),
        ("black-and-white", [{"text": "black-and-white"}]),
        ("a - b", [{"text": "a - b"}]),
        ("beach -people", [{"text": "beach"}, {"text": "people", "negative": True}]),
        ("-snow^0.5", [{"text": "snow", "weight": 0.5, "negative": True}]),
        (
            'a -"two people"^2 beach',
            [{"text": "a beach"}, {"text": "two people", "weight": 2.0, "negative": True}],
        ),
        ("id:12", [{"id": 12}]),
        ("ID:12^3 at night", [{"text": "at night"}, {"id": 12, "weight": 3.0}]),
        ("-id:7", [{"id": 7, "negative": True}]),
        ('"C^2 + 1"', [{"text": "C^2 + 1"}]),
        ('b "a^2"', [{"text": "b a^2"}]),
        ('"a^2" b', [{"text": "a^2 b"}]),
        ('b "a^2"^3', [{"text": "b a^2", "weight": 3.0}]),
        ('"a^2" b^3', [{"text": "a^2 b", "weight": 3.0}]),
        ('"id:5"', [{"text": "id:5"}]),
        ('"-5 degrees"', [{"text": "-5 degrees"}]),
        ('6" nail', [{"text": '6" nail'}]),
        ('a "black cat', [{"text": "a black cat"}]),
        # What somebody is just typing adds nothing yet.
        ("cat +", [{"text": "cat"}]),
        ("+ cat", [{"text": "cat"}]),
        ("cat + -dog", [{"text": "cat"}, {"text": "dog", "negative": True}]),
        ("cat -", [{"text": "cat -"}]),
        ('cat -"', [{"text": "cat"}]),
        ('cat ""', [{"text": "cat"}]),
    ],
)
def test_what_is_typed_becomes_terms(text: str, terms: list[dict[str, Any]]) -> None:
    assert box_terms(text) == terms


@pytest.mark.parametrize(
    "text",
    [
        "cat^x",
        "cat^0",
        "cat^-1",
        "^2",
        "id:x",
        "id:",
        '"a"^nan',
        "-b^",
        '"a"^2 b',
        'a^2 "b"',
        'a^2 "b^3"',
    ],
)
def test_what_makes_no_sense_is_said(text: str) -> None:
    with pytest.raises(UsageError, match="the question: "):
        box_terms(text)


WORDS = st.lists(
    st.sampled_from(["cat", "dog^2", "+", "a-b", "-x", "id:4", "café", "--", "in", "6", "^"]),
    max_size=5,
)


@settings(max_examples=300, deadline=None)
@given(words=WORDS, nots=st.lists(st.sampled_from(["people", "two people^2", "a^b^3"]), max_size=2))
def test_the_pages_box_asks_what_the_command_line_asks(words: list[str], nots: list[str]) -> None:
    parsed = arguments.parse(["--web", *(f"--not={text}" for text in nots), "--", *words])
    try:
        wanted = query.build(parsed)["terms"]
    except UsageError:
        with pytest.raises(UsageError):
            page.address(parsed)
        return
    quoted = any(word in words for word in ("-x", "id:4", "--"))
    if quoted and any("+" in word or "^" in word for word in words):
        return  # taken as it stands then, which the box cannot say otherwise
    from urllib.parse import parse_qs

    asked = parse_qs(page.address(parsed).removeprefix("?"))
    assert box_terms(asked.get("q", [""])[0]) == wanted


@settings(max_examples=500, deadline=None)
@given(st.text() | st.text(alphabet=' -+^"id:12a', max_size=20))
def test_anything_typed_is_terms_or_wrong_usage(text: str) -> None:
    try:
        terms = box_terms(text)
    except UsageError:
        return
    assert all({"text", "id"} & term.keys() for term in terms)

"""Whatever is typed or sent as a question is either understood or refused in a sentence.

IMGQ_FUZZ_EXAMPLES=20000 makes it a long run; the figures in docs/security.md are from one.
"""

from __future__ import annotations

import math
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgq import errors as client_errors
from imgq import query
from imgq.arguments import parse
from imgq.options import TABLE
from imgqd.api import schema
from imgqd.api.schemas import COMPONENTS
from imgqd.errors import UsageError
from imgqd.search.query import parse_request

EXAMPLES = int(os.environ.get("IMGQ_FUZZ_EXAMPLES", "300"))
fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

# What the syntax of TEXT is made of, and what breaks parsers.
PIECES = st.sampled_from(
    [
        *(" + ", "+", "^", "^2", "^-1", "^nan", "^inf", "^1e999", "^1_0", "^0", "^٣", " ", "\t"),
        *("dog", "beach", "é", "\u202e", "\ud800", "\0", "\x1b[2J", "%s", "{}", "'--", '"', "*"),
        *("2024", "2 weeks ago", "-33.9,18.4,10", "1920x1080", "jpeg", "a=b", "id:3", "99" * 20),
    ]
)
TYPED = st.lists(PIECES | st.text(max_size=8), max_size=8).map("".join)


def sensible(message: str) -> None:
    """A sentence for a person: not empty, not a page, and no Python in it."""
    assert message
    assert len(message) < 2000
    assert "Traceback" not in message
    assert "object at 0x" not in message


@fuzz
@given(TYPED)
def test_text_becomes_terms_or_is_refused(text):
    try:
        terms = query.text_terms(text)
    except client_errors.UsageError as error:
        sensible(error.message)
        return
    for term in terms:
        assert term["text"].strip()
        weight = term.get("weight", 1.0)
        assert math.isfinite(weight)
        assert weight > 0
    assert query.text_terms(text, literal=True) == [{"text": text}]


WORDS = st.text("abcdefgh é", min_size=1, max_size=9).filter(lambda word: word.strip() == word)


@fuzz
@given(st.lists(st.tuples(WORDS, st.floats(0.001, 999)), min_size=1, max_size=5))
def test_what_was_put_together_is_taken_apart_the_same(terms):
    text = " + ".join(f"{word}^{weight!r}" for word, weight in terms)
    parsed = [(term["text"], term.get("weight", 1.0)) for term in query.text_terms(text)]
    assert parsed == terms


def option_words() -> st.SearchStrategy[list[str]]:
    """An option with or without a value, right or wrong. No example files: they would be read."""
    names = [
        name for option in TABLE for name in option.names if option.key not in ("like", "not-like")
    ]
    named = st.sampled_from([*names, "--nonsense", "-q", "--"])
    alone = named.map(lambda name: [name])
    apart = st.tuples(named, TYPED).map(list)
    joined = st.tuples(named, TYPED).map(lambda pair: [f"{pair[0]}={pair[1]}"])
    return alone | apart | joined | TYPED.map(lambda word: [word])


@fuzz
@given(st.lists(option_words(), max_size=5))
def test_a_command_line_becomes_a_request_that_the_daemon_takes_or_is_refused(parts):
    try:
        request = query.build(parse([word for part in parts for word in part]))
    except client_errors.UsageError as error:
        sensible(error.message)
        return
    try:
        schema.check(request, COMPONENTS["SearchRequest"], COMPONENTS)
        parse_request(request)
    except UsageError as error:
        sensible(error.message)


def fitting(fragment: dict) -> st.SearchStrategy:
    """Values that the schema allows, its edges among them."""
    if "$ref" in fragment:
        return fitting(COMPONENTS[fragment["$ref"].rpartition("/")[2]])
    if "anyOf" in fragment and "properties" in fragment:
        rest = {key: value for key, value in fragment.items() if key != "anyOf"}
        return st.one_of([fitting({**rest, **part}) for part in fragment["anyOf"]])
    if "anyOf" in fragment:
        return st.one_of([fitting(part) for part in fragment["anyOf"]])
    if "enum" in fragment:
        return st.sampled_from(fragment["enum"])
    kind = fragment["type"]
    if kind == "boolean":
        return st.booleans()
    if kind in ("integer", "number"):
        least, most = fragment.get("minimum", -(2**63)), fragment.get("maximum", 2**63)
        edges = st.sampled_from([least, most])
        if kind == "integer":
            return edges | st.integers(least, most)
        return edges | st.floats(least, most, allow_nan=False)
    if kind == "string":
        if pattern := fragment.get("pattern"):
            return st.from_regex(pattern).filter(lambda text: len(text) < 200)
        most = min(fragment.get("maxLength", 60), 60)
        free = TYPED.filter(lambda text: fragment.get("minLength", 0) <= len(text) <= most)
        return free.filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))
    if kind == "array":
        return st.lists(
            fitting(fragment["items"]),
            min_size=fragment.get("minItems", 0),
            max_size=min(fragment.get("maxItems", 4), 4),
        )
    shape = {name: fitting(part) for name, part in fragment["properties"].items()}
    if "oneOf" in fragment:
        alternatives = [choice["required"][0] for choice in fragment["oneOf"]]
        rest = {name: part for name, part in shape.items() if name not in alternatives}
        return st.one_of(
            [st.fixed_dictionaries({name: shape[name]}, optional=rest) for name in alternatives]
        )
    needed = {name: shape.pop(name) for name in fragment.get("required", ())}
    return st.fixed_dictionaries(needed, optional=shape)


@fuzz
@given(fitting(COMPONENTS["SearchRequest"]))
def test_a_request_of_the_right_form_is_understood_or_refused(request):
    schema.check(request, COMPONENTS["SearchRequest"], COMPONENTS)
    try:
        found = parse_request(request)
    except UsageError as error:
        sensible(error.message)
        return
    assert all(math.isfinite(term.weight) for term in found.terms)
    assert 1 <= found.top <= 1000


@pytest.mark.parametrize("piece", ["=", "AA=A", "A", "AAA", "AA==AAAA", "é", "AA\n==", "A" * 5])
def test_base64_that_is_none_is_refused_wherever_a_piece_of_it_ends(piece):
    for before in ("", "A" * (1 << 18), "A" * ((1 << 18) - 4)):
        for after in ("", "A" * (1 << 18)):
            with pytest.raises(UsageError, match="not base64"):
                parse_request({"terms": [{"image": before + piece + after}]})

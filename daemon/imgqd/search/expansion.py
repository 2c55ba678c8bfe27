"""Variations of a query: the nearest phrases in the text space, or prompt templates.

Only terms are added here; terms.py makes one vector of them all. A score stays the cosine with what
was asked, without its variations. How much either helps is measured by benchmarks/expansion.py and
told in docs/asking.md.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from imgqd.errors import UsageError
from imgqd.records import Vectors
from imgqd.search.phrases import Phrases
from imgqd.search.terms import Term, TextCache, TextTower

WAYS = ("words", "templates", "off")

# The decision for each model that was measured; for any other there is none, so its texts are
# taken as they stand.
MEASURED = {"builtin": "off", "builtin:conse": "off"}

TEMPLATES = ("a photo of {}", "a picture of {}", "a photo of a {}", "{} in a photograph")
# So many of the nearest phrases, when they stand so many deviations above the others.
NEAREST = 3
DEVIATIONS = 4.5
# How much a variation counts beside what was asked, before its likeness.
SHARE = 0.15
WAIT_S = 30.0


def way_for(asked: str | None, model: str) -> str:
    """The way to expand: what was asked for, else what was measured to help for the model's id."""
    way = asked or MEASURED.get(model.partition("@")[0], "off")
    if way not in WAYS:
        raise UsageError(f"--expand: {way!r} is not one of {', '.join(WAYS)}")
    return way


def expanded(
    terms: tuple[Term, ...],
    way: str,
    *,
    model: str,
    tower: TextTower,
    cache: TextCache,
    phrases: Phrases,
) -> tuple[Term, ...]:
    """`terms` and their variations. Terms that are no texts, or are not wanted, have none."""
    if way == "off":
        return terms
    texts = [term for term in terms if term.kind == "text" and not term.negative]
    if way == "templates":
        return terms + tuple(
            replace(term, value=template.format(term.value))
            for term in texts
            for template in TEMPLATES
        )
    known = phrases.get(model, tower, WAIT_S) if texts else None
    if known is None:
        return terms
    vectors = cache.get(model, [str(term.value) for term in texts], tower)
    return terms + tuple(
        replace(term, value=text, weight=term.weight * SHARE * likeness)
        for term, vector in zip(texts, vectors, strict=True)
        for text, likeness in nearest(str(term.value), vector, phrases.texts, known)
    )


def nearest(
    text: str, vector: Vectors, phrases: list[str], known: Vectors
) -> list[tuple[str, float]]:
    """Up to NEAREST (phrase, cosine) that stand out as alike to `text` with its `vector` (dim,)."""
    scores = known @ vector
    least = float(scores.mean() + DEVIATIONS * scores.std())
    own = text.strip().casefold()
    found = []
    for place in np.argsort(-scores)[: NEAREST + 1].tolist():
        if scores[place] >= least and phrases[place].casefold() != own:
            found.append((phrases[place], float(scores[place])))
    return found[:NEAREST]

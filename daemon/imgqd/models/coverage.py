"""How much of a query the built-in model's English text tower can have understood.

Responsible for one rough number, from the vocabulary and a list of English words that it cuts into
pieces; no language is guessed. What is said to the person about it, and when, is the business of
whoever asks.
"""

from __future__ import annotations

import functools
import os
import unicodedata

from tokenizers import Tokenizer

MOSTLY_UNKNOWN = 0.5
"""Below this share a query is mostly outside the vocabulary."""

_FOREIGN = frozenset(
    # Function words that the vocabulary keeps whole because English text quotes them: their
    # presence says that a query is Spanish, Portuguese, French, Italian, German or Dutch.
    [
        "al",
        "avec",
        "auf",
        "aus",
        "con",
        "das",
        "de",
        "dei",
        "del",
        "della",
        "den",
        "der",
        "des",
        "di",
        "dos",
        "du",
        "een",
        "eine",
        "einem",
        "einen",
        "einer",
        "el",
        "em",
        "en",
        "et",
        "fur",
        "het",
        "il",
        "im",
        "la",
        "las",
        "le",
        "les",
        "los",
        "mit",
        "nel",
        "por",
        "sobre",
        "sul",
        "sur",
        "uber",
        "um",
        "un",
        "una",
        "und",
        "une",
        "uno",
        "van",
        "vom",
        "von",
        "zu",
        "zum",
    ]
)


@functools.cache
def english_words() -> frozenset[str]:
    """English words that the vocabulary cuts into pieces, from WordNet's nouns."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "english_words.txt")
    with open(path, encoding="utf-8") as stream:
        return frozenset(stream.read().split())


def coverage(tokenizer: Tokenizer, text: str) -> float:
    """The share of `text`'s letters, 0..1, that are in words the model can know.

    `tokenizer` is a WordPiece tokenizer that lower-cases. Known are words that it keeps whole and
    english_words(), in the singular or plural; not those in another script than Latin, nor function
    words of other European languages. Most proper names are unknown too, so only a low share means
    something. Texts without letters are known.
    """
    encoding = tokenizer.encode(text, add_special_tokens=False)
    words: dict[int, list[int]] = {}
    for position, word in enumerate(encoding.word_ids):
        if word is not None:
            words.setdefault(word, []).append(position)
    known = total = 0
    for positions in words.values():
        start, end = encoding.offsets[positions[0]][0], encoding.offsets[positions[-1]][1]
        word_text = text[start:end]
        letters = sum(character.isalpha() for character in word_text)
        total += letters
        tokens = [encoding.tokens[position] for position in positions]
        if _is_known(tokens, word_text):
            known += letters
    return known / total if total else 1.0


def _is_known(tokens: list[str], word: str) -> bool:
    if any(c.isalpha() and not unicodedata.name(c, "").startswith("LATIN") for c in word):
        return False
    if len(tokens) == 1:
        return tokens[0] not in _FOREIGN
    lowered = word.lower()
    return not english_words().isdisjoint((lowered, lowered.removesuffix("s")))

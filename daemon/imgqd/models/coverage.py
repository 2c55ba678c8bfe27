"""How much of a query the built-in model's English text tower can have understood.

Responsible for one rough number, from the vocabulary alone: no dictionary is kept and no language
guessed. What is said to the person about it, and when, is the business of whoever asks.
"""

from __future__ import annotations

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


def coverage(tokenizer: Tokenizer, text: str) -> float:
    """The share of `text`'s letters, 0..1, that are in English words the model knows whole.

    `tokenizer` is a WordPiece tokenizer that lower-cases. A word that is cut into pieces, in
    another script than Latin or a function word of another European language is not known.
    Names and rare English words are not known either, so only a low share means something. Texts
    without letters are known.
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
        if len(positions) == 1 and _may_be_english(encoding.tokens[positions[0]], word_text):
            known += letters
    return known / total if total else 1.0


def _may_be_english(token: str, word: str) -> bool:
    return token not in _FOREIGN and all(
        unicodedata.name(character, "").startswith(("LATIN", "DIGIT"))
        for character in word
        if character.isalnum()
    )

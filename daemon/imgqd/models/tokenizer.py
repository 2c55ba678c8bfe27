"""Text to token ids as open_clip's tokenizers make them, without torch.

Responsible for CLIP's byte pair encoding (Radford et al., 2021; after OpenAI's CLIP, MIT licence)
and for Hugging Face tokenizers through the `tokenizers` package, both with open_clip's ways of
cleaning a text first. Files and settings come from the artifact; where they came from before that
is the source's business.
"""

from __future__ import annotations

import gzip
import html
import itertools
import os
import string
from collections.abc import Callable
from typing import Any, Protocol

import ftfy
import numpy as np
import numpy.typing as npt
import regex

from imgqd.models.coverage import coverage as english_coverage

Tokens = npt.NDArray[np.int64]

_CLIP_MERGES = 49152 - 256 - 2
_START, _END = "<start_of_text>", "<end_of_text>"
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CACHED_WORDS = 20_000


class Tokenizer(Protocol):
    """`context` is the length of a row, `pad` the id that fills it."""

    context: int
    pad: int

    def __call__(self, texts: list[str]) -> Tokens:
        """(n, context) int64 ids, cut or padded. A text must be encodable as UTF-8."""

    def coverage(self, text: str) -> float:
        """The share, 0 to 1, of the words that are known and not spelt out letter by letter."""


def load_tokenizer(directory: str, settings: dict[str, Any]) -> Tokenizer:
    """The tokenizer that an artifact's manifest describes. `settings["kind"]` is clip or hf.

    Raises KeyError or ValueError for settings that make no sense.
    """
    if settings["kind"] == "clip":
        return ClipTokenizer(directory, settings)
    if settings["kind"] == "hf":
        return HubTokenizer(directory, settings)
    raise ValueError(f"unknown kind of tokenizer {settings['kind']!r}")


def clean_basic(text: str) -> str:
    """Mends mojibake and resolves HTML entities, also those that were escaped twice."""
    return html.unescape(html.unescape(ftfy.fix_text(text))).strip()


def clean_whitespace(text: str) -> str:
    """clean_basic, then single spaces."""
    return " ".join(clean_basic(text).split())


def clean_lower(text: str) -> str:
    """clean_whitespace in lower case."""
    return clean_whitespace(text).lower()


def clean_canonicalize(text: str) -> str:
    """clean_basic without ASCII punctuation, in lower case, single spaces (as SigLIP wants)."""
    bare = clean_basic(text).replace("_", " ").translate(_NO_PUNCTUATION)
    return " ".join(bare.lower().split())


_CLEAN: dict[str, Callable[[str], str]] = {
    "canonicalize": clean_canonicalize,
    "lower": clean_lower,
    "whitespace": clean_whitespace,
}


class ClipTokenizer:
    """CLIP's byte pair encoding. Equal to open_clip.tokenizer.SimpleTokenizer for any text.

    Settings: `file` (the gzipped merges), `context`, `clean` (lower), `special` (additional
    special tokens).
    """

    pad = 0

    def __init__(self, directory: str, settings: dict[str, Any]) -> None:
        self.context = int(settings["context"])
        self._clean = _CLEAN[settings.get("clean", "lower")]
        with gzip.open(os.path.join(directory, settings["file"]), "rt", encoding="utf-8") as file:
            lines = file.read().split("\n")[1 : _CLIP_MERGES + 1]
        self._bytes = _printable_bytes()
        letters = list(self._bytes.values())
        merges = [line.split() for line in lines]
        specials = [_START, _END, *settings.get("special", [])]
        vocabulary = letters + [letter + "</w>" for letter in letters]
        vocabulary += ["".join(merge) for merge in merges] + specials
        self._ids = {piece: number for number, piece in enumerate(vocabulary)}
        # By whole lines: a pair of texts for each would be 8 MB more, in a process that stays.
        self._ranks = {line: rank for rank, line in enumerate(lines)}
        self._words: dict[str, tuple[int, ...]] = {}
        self._specials = {name: (self._ids[name],) for name in specials}
        self._start, self._end = self._ids[_START], self._ids[_END]
        # The special tokens stand unescaped and case does not matter, as in the original.
        self._pattern = regex.compile(
            "|".join(specials) + r"|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
            regex.IGNORECASE,
        )

    def __call__(self, texts: list[str]) -> Tokens:
        rows = np.zeros((len(texts), self.context), np.int64)
        for row, text in zip(rows, texts, strict=True):
            ids = [self._start]
            for word in self._split(text):
                ids.extend(self._encode(word))
                if len(ids) >= self.context:
                    break
            ids = [*ids[: self.context - 1], self._end]
            row[: len(ids)] = ids
        return rows

    def coverage(self, text: str) -> float:
        return _share_known(
            (len(word), len(self._encode(word)), False)
            for word in self._split(text)
            if word.isalpha()
        )

    def _split(self, text: str) -> list[str]:
        words: list[str] = self._pattern.findall(self._clean(text))
        return words

    def _encode(self, word: str) -> tuple[int, ...]:
        spelt = "".join(self._bytes[byte] for byte in word.encode())
        known = self._specials.get(spelt) or self._words.get(spelt)
        if known is None:
            known = tuple(self._ids[piece] for piece in self._merge(spelt))
            if len(self._words) >= _CACHED_WORDS:
                self._words.clear()
            self._words[spelt] = known
        return known

    def _merge(self, spelt: str) -> list[str]:
        """Joins the pair of the best rank, everywhere in the word, until no known pair is left."""
        pieces = [*spelt[:-1], spelt[-1] + "</w>"]
        while len(pieces) > 1:
            pairs = itertools.pairwise(pieces)
            best = min(pairs, key=lambda pair: self._ranks.get(" ".join(pair), _CLIP_MERGES))
            if " ".join(best) not in self._ranks:
                break
            joined, position = [], 0
            while position < len(pieces):
                if tuple(pieces[position : position + 2]) == best:
                    joined.append(best[0] + best[1])
                    position += 2
                else:
                    joined.append(pieces[position])
                    position += 1
            pieces = joined
        return pieces


class HubTokenizer:
    """A Hugging Face tokenizer.json, run as open_clip's HFTokenizer runs it.

    Settings: `file`, `context`, `pad`, `clean` (whitespace), `side` (which side is padded, right),
    `cut` (which side is cut off, right), `mode` (empty or `clips`) with the ids `start`, `end` and
    `last`, `strip` (the id of a separator that is blanked out, or null), `unknown` (id or null).
    """

    def __init__(self, directory: str, settings: dict[str, Any]) -> None:
        from tokenizers import Tokenizer as Rust

        self.context, self.pad = int(settings["context"]), int(settings["pad"])
        self._clean = _CLEAN[settings.get("clean", "whitespace")]
        self._settings = settings
        self._rust = Rust.from_file(os.path.join(directory, settings["file"]))
        self._rust.no_padding()
        self._rust.no_truncation()
        self._clips = settings.get("mode", "") == "clips"
        if not self._clips:
            self._rust.enable_truncation(self.context, direction=settings.get("cut", "right"))

    def __call__(self, texts: list[str]) -> Tokens:
        cleaned = [self._clean(text) for text in texts]
        encoded = self._rust.encode_batch(cleaned, add_special_tokens=not self._clips)
        rows = np.full((len(texts), self.context), self.pad, np.int64)
        for row, encoding in zip(rows, encoded, strict=True):
            if self._clips:
                ids = encoding.ids[: self.context - 3]
                row[: len(ids) + 2] = [self._settings["start"], *ids, self._settings["end"]]
                row[-1] = self._settings["last"]
            elif self._settings.get("side", "right") == "left":
                row[self.context - len(encoding.ids) :] = encoding.ids
            else:
                row[: len(encoding.ids)] = encoding.ids
        if self._settings.get("strip") is not None:
            rows[rows == self._settings["strip"]] = 0
        return rows

    def coverage(self, text: str) -> float:
        if type(self._rust.model).__name__ == "WordPiece":
            return english_coverage(self._rust, text)
        unknown = self._settings.get("unknown")
        words = [word for word in self._clean(text).split() if any(map(str.isalpha, word))]
        encoded = self._rust.encode_batch(words, add_special_tokens=False)
        return _share_known(
            (len(word), len(encoding.ids), unknown in encoding.ids)
            for word, encoding in zip(words, encoded, strict=True)
        )


def _share_known(words: Any) -> float:
    """Of (letters, pieces, holds an unknown piece): a word is known by pieces of three letters."""
    judged = [not bad and pieces <= max(1, -(-letters // 3)) for letters, pieces, bad in words]
    return sum(judged) / len(judged) if judged else 1.0


def _printable_bytes() -> dict[int, str]:
    """A printable character for each byte, in the order of CLIP's vocabulary."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    plain += range(ord("®"), ord("ÿ") + 1)
    others = [byte for byte in range(256) if byte not in plain]
    table = {byte: chr(byte) for byte in plain}
    return table | {byte: chr(256 + number) for number, byte in enumerate(others)}

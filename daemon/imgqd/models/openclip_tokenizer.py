"""The tokenizer of an open_clip model as files in an artifact.

Responsible for choosing it as open_clip's get_tokenizer does, and for writing a tokenizer.json and
settings that tokenizer.py runs without transformers. Where transformers is installed it has the
last word on a tokenizer's details; without it, the tokenizer's own files are read. Imports torch
by way of open_clip: only ever used in a child process.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from typing import Any

import numpy as np
import open_clip

from imgqd.errors import ModelError
from imgqd.models import download
from imgqd.models.download import Report
from imgqd.models.export import SAMPLE_TEXTS
from imgqd.models.tokenizer import load_tokenizer

_BPE = "bpe.txt.gz"
_JSON = "tokenizer.json"
_FILES = (
    "tokenizer_config.json",
    _JSON,
    "special_tokens_map.json",
    "config.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
_ENOUGH_WITHOUT_TRANSFORMERS = _FILES[:3]
_USUAL_PADS = ("<pad>", "[PAD]")


def write_tokenizer(
    directory: str, model_config: dict[str, Any], home: str | None, report: Report
) -> dict[str, Any]:
    """Writes the tokenizer's files into `directory`; gives back the settings for the manifest.

    `home` is the directory of a `local-dir:` model, whose tokenizer always lies there. Raises
    ModelError when the tokenizer cannot be had or not be run as open_clip runs it.
    """
    text = model_config["text_cfg"]
    context = int(text.get("context_length", open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH))
    options = dict(text.get("tokenizer_kwargs") or {})
    name = text.get("hf_tokenizer_name")
    if not name:
        return _write_clip(directory, context, options)
    source = home or (name if os.path.isdir(name) else _from_hub(name, report))
    if _has_transformers():
        return _write_checked(directory, source, context, text.get("tokenizer_mode"), options)
    return _write_unchecked(directory, source, context, text.get("tokenizer_mode"), options)


def _write_clip(directory: str, context: int, options: dict[str, Any]) -> dict[str, Any]:
    shutil.copyfile(open_clip.tokenizer.default_bpe(), os.path.join(directory, _BPE))
    return {
        "kind": "clip",
        "file": _BPE,
        "context": context,
        "pad": 0,
        "clean": options.get("clean", "lower"),
        "special": list(options.get("additional_special_tokens") or []),
    }


def _from_hub(name: str, report: Report) -> str:
    """The directory in the hub's cache that holds the tokenizer's files."""
    checked = _has_transformers()
    found = [
        path
        for file in (_FILES if checked else _ENOUGH_WITHOUT_TRANSFORMERS)
        if (path := download.fetch(name, file, report, optional=True)) is not None
    ]
    if not found:
        raise ModelError(f"{name} on the hub holds no tokenizer; choose another model")
    return os.path.dirname(found[0])


def _write_checked(
    directory: str, source: str, context: int, mode: str | None, options: dict[str, Any]
) -> dict[str, Any]:
    """With transformers: what open_clip's own HFTokenizer loads, and a comparison with it."""
    try:
        theirs = open_clip.tokenizer.HFTokenizer(
            source, context_length=context, tokenizer_mode=mode, **options
        )
    except Exception as error:  # transformers fails in many ways
        raise ModelError(
            f"the tokenizer in {source} cannot be loaded: {type(error).__name__}: {error}; put "
            f"the model's tokenizer files there"
        ) from error
    backend = getattr(theirs.tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelError(
            f"the tokenizer in {source} has no form that runs without transformers "
            f"({_JSON}); choose another model"
        )
    with open(os.path.join(directory, _JSON), "w", encoding="utf-8") as stream:
        stream.write(backend.to_str())
    own = theirs.tokenizer
    settings = _settings(
        context,
        mode,
        options,
        pad=own.pad_token_id,
        start=own.bos_token_id,
        end=own.eos_token_id,
        last=own.cls_token_id,
        separator=own.sep_token_id,
        unknown=own.unk_token_id,
        side=own.padding_side,
        cut=own.truncation_side,
    )
    ours = load_tokenizer(directory, settings)(list(SAMPLE_TEXTS))
    if not np.array_equal(ours, theirs(list(SAMPLE_TEXTS)).numpy()):
        raise ModelError(
            f"the tokenizer in {source} does something that imgq does not know; please report it "
            "with the model's name, and choose another model meanwhile"
        )
    return settings


def _write_unchecked(
    directory: str, source: str, context: int, mode: str | None, options: dict[str, Any]
) -> dict[str, Any]:
    """Without transformers: tokenizer.json as it lies there, details from its neighbours."""
    from tokenizers import Tokenizer

    path = os.path.join(source, _JSON)
    if not os.path.isfile(path) or options.get("language"):
        raise ModelError(
            f"the tokenizer in {source} needs the package transformers; install it with: "
            "pip install transformers"
        )
    shutil.copyfile(path, os.path.join(directory, _JSON))
    rust = Tokenizer.from_file(path)
    described: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        try:
            with open(os.path.join(source, name), encoding="utf-8") as stream:
                described |= json.load(stream)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise ModelError(f"{os.path.join(source, name)} cannot be read: {error}") from error

    def number(role: str) -> int | None:
        token = described.get(role)
        if isinstance(token, dict):
            token = token.get("content")
        return rust.token_to_id(token) if isinstance(token, str) else None

    pads = [number("pad_token"), *(rust.token_to_id(token) for token in _USUAL_PADS)]
    pad = next((token for token in pads if token is not None), None)
    if pad is None:
        raise ModelError(
            f"the tokenizer in {source} does not say how it pads; install transformers, which may "
            "know: pip install transformers"
        )
    kind = str(described.get("tokenizer_class", ""))
    return _settings(
        context,
        mode,
        options,
        pad=pad,
        start=number("bos_token"),
        end=number("eos_token"),
        last=number("cls_token"),
        separator=number("sep_token"),
        unknown=number("unk_token"),
        side=described.get("padding_side", "left" if kind.startswith("Gemma") else "right"),
        cut=described.get("truncation_side", "right"),
    )


def _settings(
    context: int,
    mode: str | None,
    options: dict[str, Any],
    *,
    pad: int,
    start: int | None,
    end: int | None,
    last: int | None,
    separator: int | None,
    unknown: int | None,
    side: str,
    cut: str,
) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "kind": "hf",
        "file": _JSON,
        "context": context,
        "pad": pad,
        "clean": options.get("clean", "whitespace"),
        "side": side,
        "cut": cut,
        "unknown": unknown,
        "strip": separator if options.get("strip_sep_token") else None,
        "mode": mode or "",
    }
    if mode == "clips":
        settings |= {"start": start, "end": end, "last": last}
    return settings


def _has_transformers() -> bool:
    return importlib.util.find_spec("transformers") is not None

"""The daemon's tokenizers against open_clip's own, on any text."""

from __future__ import annotations

import shutil
import string

import numpy as np
import open_clip
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from imgqd.models.tokenizer import load_tokenizer
from tests.unit.open_clip_models import SENTENCES, write_unigram_tokenizer

UNICODE = st.characters(exclude_categories=("Cs",))
AWKWARD = st.sampled_from(
    [
        "&amp;", "&amp;lt;", "&#x1f600;", "&nbsp;", "<start_of_text>", "<end_of_text>",
        "<START_OF_TEXT>", "it's", "WE'LL", "\u0301", "\u200d", "\ufeff", "\x00", "\x1b[0m",
        "\u2028", "ſ", "İ", "ß", "ﬁ", "👩‍👩‍👧‍👦", "🏳️‍🌈", "é", "e\u0301", "１２３", "½", "٣",
        "â€™", "schÃ¶n", "日本語", "한국어", "हिन्दी", "עברית", "_", "__init__", "...", "\t", " ", "\n",
    ]
)  # fmt: skip
TEXTS = st.one_of(
    st.text(UNICODE, max_size=60),
    st.lists(st.one_of(AWKWARD, st.text(UNICODE, max_size=4)), max_size=30).map("".join),
    st.lists(st.sampled_from(SENTENCES), max_size=12).map(" ".join),
    st.text(string.printable, max_size=200),
)


@pytest.fixture(scope="module")
def bpe(tmp_path_factory):
    directory = tmp_path_factory.mktemp("clip")
    shutil.copy(open_clip.tokenizer.default_bpe(), directory / "bpe.txt.gz")
    return str(directory)


def clip(directory, **options):
    return load_tokenizer(
        directory, {"kind": "clip", "file": "bpe.txt.gz", "context": 77, "pad": 0, **options}
    )


@pytest.fixture(scope="module")
def ours(bpe):
    return clip(bpe)


@pytest.fixture(scope="module")
def theirs():
    return open_clip.get_tokenizer("ViT-B-32")


@settings(max_examples=400, deadline=None)
@given(text=TEXTS)
@example("<b> &amp;lt;i&amp;gt;")
@example("&amp;amp;lt;")
@example("it'ſ")
@example("l'été 😀😀 don't")
def test_clip_ids_equal_open_clips_for_any_text(ours, theirs, text):
    assert ours([text]).tolist() == theirs([text]).tolist()


@pytest.mark.parametrize("clean", ["canonicalize", "lower", "whitespace"])
def test_ways_of_cleaning_equal_open_clips(bpe, clean):
    mine = clip(bpe, clean=clean)
    reference = open_clip.tokenizer.SimpleTokenizer(clean=clean)

    @settings(max_examples=100, deadline=None)
    @given(text=TEXTS)
    @example("DON'T, it'S __init__ <START_OF_TEXT>")
    def check(text):
        assert mine([text]).tolist() == reference([text]).tolist()

    check()


def test_additional_special_tokens_are_kept_whole(bpe):
    special = ["<mask>"]
    mine = clip(bpe, special=special, clean="whitespace")
    reference = open_clip.tokenizer.SimpleTokenizer(
        additional_special_tokens=special, clean="whitespace"
    )
    text = "a <mask> on a mat <MASK>"
    assert mine([text]).tolist() == reference([text]).tolist()
    assert reference.encoder["<mask>"] in mine([text])[0]


def test_many_texts_at_once_are_rows_of_the_context_length(ours, theirs):
    rows = ours(SENTENCES)
    assert rows.shape == (len(SENTENCES), 77)
    assert rows.dtype == np.int64
    assert np.array_equal(rows, theirs(SENTENCES).numpy())


def test_long_texts_are_cut_and_still_end(ours, theirs):
    text = "a very long text " * 50
    assert ours([text])[0, -1] == ours(["x"]).max()
    assert np.array_equal(ours([text]), theirs([text]).numpy())


def test_english_is_known_and_letters_are_not(ours):
    assert ours.coverage("a dog playing in the park") == 1.0
    assert ours.coverage("xqzkv wvxqj") < 0.5


HUB_CASES = {
    "siglip": ("t5", {"context": 64}, {"clean": "canonicalize"}),
    "xlm-roberta": ("xlm-roberta", {"context": 77}, {}),
    "short": ("xlm-roberta", {"context": 6}, {}),
    "clips": ("xlm-roberta", {"context": 32}, {"tokenizer_mode": "clips"}),
    "stripped": ("xlm-roberta", {"context": 32}, {"strip_sep_token": True}),
}


@pytest.mark.parametrize("with_transformers", [True, False])
@pytest.mark.parametrize("case", HUB_CASES)
def test_hub_tokenizers_equal_open_clips_for_any_text(
    tmp_path, monkeypatch, case, with_transformers
):
    from imgqd.models import openclip_tokenizer

    kind, sizes, options = HUB_CASES[case]
    source, target = tmp_path / "source", tmp_path / "target"
    target.mkdir()
    write_unigram_tokenizer(str(source), kind=kind)
    reference = open_clip.tokenizer.HFTokenizer(
        str(source), context_length=sizes["context"], **options
    )
    mode = options.get("tokenizer_mode")
    text_config = {
        "context_length": sizes["context"],
        "hf_tokenizer_name": "some/name",
        "tokenizer_mode": mode,
        "tokenizer_kwargs": {k: v for k, v in options.items() if k != "tokenizer_mode"},
    }
    if not with_transformers:
        monkeypatch.setattr(openclip_tokenizer, "_has_transformers", lambda: False)
    described = openclip_tokenizer.write_tokenizer(
        str(target), {"text_cfg": text_config}, str(source), lambda _: None
    )
    mine = load_tokenizer(str(target), described)

    @settings(max_examples=60, deadline=None)
    @given(text=TEXTS)
    def check(text):
        assert mine([text]).tolist() == reference([text]).tolist()

    check()

"""What a person may call a model."""

from __future__ import annotations

import os

import pytest

from imgqd.errors import UsageError
from imgqd.models.spec import Spec, architectures, parse_spec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("auto", Spec("auto")),
        ("builtin", Spec("builtin")),
        ("builtin:conse", Spec("builtin", "conse")),
        ("ViT-B-32/openai", Spec("open_clip", "ViT-B-32", "openai")),
        (" ViT-B-32/openai\n", Spec("open_clip", "ViT-B-32", "openai")),
        ("hf-hub:timm/ViT-B-16-SigLIP", Spec("hf-hub", "timm/ViT-B-16-SigLIP")),
        ("local-dir:/models/mine", Spec("local-dir", "/models/mine")),
        ("local-dir:/models/mine/", Spec("local-dir", "/models/mine")),
    ],
)
def test_specs_of_the_interface_are_understood(text, spec):
    assert parse_spec(text) == spec
    assert parse_spec(str(spec)) == spec


def test_slashes_in_an_architecture_are_read_as_open_clip_reads_them():
    assert str(parse_spec("ViT-B/32/openai")) == "ViT-B-32/openai"


def test_relative_directory_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse_spec("local-dir:mine").name == os.path.join(os.getcwd(), "mine")


def test_home_directory_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert parse_spec("local-dir:~/mine").name == "/home/someone/mine"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no model"),
        ("ViT-B-32", "ARCH/PRETRAINED"),
        ("buildin", "did you mean builtin?"),
        ("builtin:other", "builtin:conse"),
        ("hf-hub:", "ORG/NAME"),
        ("hf-hub:../../etc/passwd", "ORG/NAME"),
        ("local-dir:", "open_clip_config.json"),
        ("/openai", "names no model"),
        ("ViT-B-32/", "names no model"),
        ("ViT-B32/openai", "ViT-B-32"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_hint(text, said):
    with pytest.raises(UsageError) as caught:
        parse_spec(text)
    assert said in caught.value.message


def test_architectures_are_those_of_open_clip():
    import open_clip

    assert architectures() == sorted(open_clip.list_models())


def test_labels_are_short_and_readable():
    assert parse_spec("ViT-B-32/openai").label == "ViT-B-32/openai"
    assert parse_spec("local-dir:/some/where/mine").label == "local-dir:mine"
    assert parse_spec("builtin").label == "builtin"

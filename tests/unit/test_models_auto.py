"""`auto`: the better model when it can be had, the built-in one otherwise."""

from __future__ import annotations

import os

import pytest

from imgqd.errors import UnavailableError
from imgqd.models.artifact import remove
from imgqd.models.auto import VARIABLE, resolve_auto
from imgqd.models.build import prepare
from imgqd.models.hub import WEIGHTS
from imgqd.models.spec import parse_spec
from tests.loopback_hub import LoopbackHub

PREFERRED = "hf-hub:org/tiny"
CONFIG = "open_clip_config.json"


@pytest.fixture
def own_models(models_dir, tmp_path):
    """A models directory of this test's own, in which only the built-in model stands."""
    standing = prepare("builtin", models_dir)
    directory = tmp_path / "models"
    directory.mkdir()
    os.symlink(standing.path, directory / os.path.basename(standing.path))
    return str(directory)


@pytest.fixture
def server(tiny_model, tmp_path, monkeypatch):
    """A hub that has the tiny model."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv(VARIABLE, PREFERRED)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    source = parse_spec(tiny_model).name
    files = {}
    for name in (CONFIG, WEIGHTS[0]):
        with open(os.path.join(source, name), "rb") as stream:
            files[f"org/tiny/{name}"] = stream.read()
    with LoopbackHub(files) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def test_preferred_model_is_downloaded_then_standing(server, own_models):
    seen = []
    artifact, fallback = resolve_auto(own_models, progress=seen.append)
    assert fallback is None
    assert artifact.spec == PREFERRED
    assert artifact.id.startswith("hf-hub:org/tiny@")
    downloaded = [progress for progress in seen if progress.stage == "download"]
    assert downloaded[-1].done == downloaded[-1].total > 1_000_000
    server.close()
    assert resolve_auto(own_models) == (artifact, None)
    # Without the artifact the cache is enough to begin making it again: no hub is asked.
    remove(artifact.path)
    with pytest.raises(UnavailableError):
        resolve_auto(own_models, download=False, cancelled=lambda: True)


def fallen_back(own_models, **options):
    artifact, fallback = resolve_auto(own_models, **options)
    assert artifact.spec == "builtin"
    assert PREFERRED in fallback
    assert "the built-in model is used meanwhile" in fallback
    return fallback


def test_no_hub_means_the_built_in_model(server, own_models):
    server.close()
    assert "cannot be reached" in fallen_back(own_models)


def test_hub_that_never_answers_means_the_built_in_model(server, own_models):
    server.silent = True
    assert "does not answer" in fallen_back(own_models)


@pytest.mark.parametrize("status", [429, 503])
def test_hub_that_has_enough_means_the_built_in_model(server, own_models, status):
    server.status = status
    assert str(status) in fallen_back(own_models)


def test_download_that_fails_means_the_built_in_model(server, own_models):
    server.corrupt = True
    assert "SHA-256" in fallen_back(own_models)


def test_nothing_is_asked_when_nothing_may_be_downloaded(server, own_models, monkeypatch):
    assert "not on this machine yet" in fallen_back(own_models, download=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE" in fallen_back(own_models)
    assert server.requests.total() == 0


def test_preferred_model_may_be_named_by_the_caller(server, own_models, tiny_model, models_dir):
    prepare(tiny_model, models_dir)
    artifact, fallback = resolve_auto(models_dir, preferred=tiny_model)
    assert (artifact.spec, fallback) == (tiny_model, None)

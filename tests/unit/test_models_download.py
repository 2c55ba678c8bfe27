"""Downloads from a hub on loopback: progress, verification, and every way to fail."""

from __future__ import annotations

import os
import subprocess

import pytest

from imgqd.errors import ModelError
from imgqd.models import download, hub
from tests.loopback_hub import LoopbackHub

REPOSITORY = "org/tiny"
SAFE, PICKLED = hub.WEIGHTS


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A hub cache of this test's own."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path / "hub"


@pytest.fixture
def server(cache, monkeypatch):
    content = os.urandom(3_000_000)
    with LoopbackHub({f"{REPOSITORY}/{SAFE}": content}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def content_of(path):
    with open(path, "rb") as stream:
        return stream.read()


def failure(**options):
    with pytest.raises(ModelError) as caught:
        download.fetch(REPOSITORY, SAFE, lambda _: None, **options)
    assert SAFE in caught.value.message
    return caught.value


def leftovers(cache):
    return [name for _, _, names in os.walk(cache) for name in names if name.endswith("incomplete")]


def test_weights_arrive_with_progress(server):
    seen = []
    path = download.weights(f"{REPOSITORY}/", seen.append)
    assert content_of(path) == server.files[f"{REPOSITORY}/{SAFE}"]
    assert {progress.stage for progress in seen} == {"download"}
    assert seen[-1].done == seen[-1].total == 3_000_000
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)


def test_second_time_asks_no_network(server):
    first = download.weights(f"{REPOSITORY}/", lambda _: None)
    asked = server.requests.total()
    assert hub.is_cached(REPOSITORY)
    assert download.weights(f"{REPOSITORY}/", lambda _: None) == first
    assert server.requests.total() == asked


def test_pickled_weights_are_taken_where_there_are_no_others(server):
    server.files = {f"{REPOSITORY}/{PICKLED}": b"pickled"}
    assert download.weights(f"{REPOSITORY}/", lambda _: None).endswith(PICKLED)


def test_named_file_is_looked_for_in_its_safe_form_first(server):
    server.files = {f"{REPOSITORY}/clip.pt": b"plain", f"{REPOSITORY}/clip.safetensors": b"safe"}
    assert download.weights(f"{REPOSITORY}/clip.pt", lambda _: None).endswith("clip.safetensors")


def test_optional_file_may_be_missing(server):
    assert download.fetch(REPOSITORY, "absent.json", lambda _: None, optional=True) is None


def test_damaged_cache_is_fetched_again(server):
    path = download.weights(f"{REPOSITORY}/", lambda _: None)
    with open(path, "r+b") as stream:
        stream.write(b"\x00" * 16)
    again = download.weights(f"{REPOSITORY}/", lambda _: None)
    assert content_of(again) == server.files[f"{REPOSITORY}/{SAFE}"]


def test_missing_model_is_named(server):
    server.files = {}
    error = failure()
    assert REPOSITORY in error.message
    assert "404" in error.message


def test_nobody_there(server):
    server.close()
    error = failure(optional=True)
    assert error.code == "model-unreachable"
    assert "HTTPS_PROXY" in error.message


def test_connection_reset(server):
    server.reset = True
    assert failure().code == "model-unreachable"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_hub_that_has_enough(server, status):
    server.status = status
    error = failure()
    assert str(status) in error.message
    assert "again" in error.message


@pytest.mark.parametrize("status", [401, 403])
def test_hub_that_wants_to_know_who_asks(server, status):
    server.status = status
    assert "HF_TOKEN" in failure().message


def test_download_cut_off_in_the_middle(server, cache):
    server.cut_after = 1_000_000
    error = failure()
    assert error.code == "model-cut-off"
    assert "cut off" in error.message
    assert leftovers(cache) == []
    assert not hub.is_cached(REPOSITORY)


def test_wrong_bytes_are_noticed_and_not_kept(server):
    server.corrupt = True
    error = failure()
    assert error.code == "model-damaged"
    assert "SHA-256" in error.message
    assert not hub.is_cached(REPOSITORY)
    server.corrupt = False
    path = download.weights(f"{REPOSITORY}/", lambda _: None)
    assert content_of(path) == server.files[f"{REPOSITORY}/{SAFE}"]


def test_offline_by_order(server, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in failure().message
    assert server.requests.total() == 0


def test_full_disk(server, cache):
    cache.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(cache)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("only root may mount a small disk")
    try:
        error = failure()
    finally:
        subprocess.run(["umount", str(cache)], check=True)
    assert error.code == "model-no-space"
    assert "HF_HOME" in error.message


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [
        ("status", 503, "503"),
        ("status", 429, "429"),
        ("reset", True, "cannot be reached"),
        ("silent", True, "does not answer within 0.3 s"),
    ],
)
def test_question_tells_why_a_hub_is_no_use(server, attribute, value, said):
    setattr(server, attribute, value)
    assert said in hub.Question(REPOSITORY, 0.3).answer()


def test_question_finds_a_hub(server):
    assert hub.Question(REPOSITORY, 10).answer() is None


@pytest.mark.parametrize("endpoint", ["hub.example", "ftp://hub.example"])
def test_address_that_is_none(monkeypatch, endpoint):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert "HF_ENDPOINT" in hub.Question(REPOSITORY, 10).answer()

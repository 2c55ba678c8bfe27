"""Fixtures shared by all tests: models made once for the whole run, and fresh homes."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.harness import Home, fresh_home

# A model directory kept between runs saves a minute when tests are run again and again.
TINY = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 32,
        "heads": 2,
        "layers": 1,
    },
}
MODELS_ENV = "IMGQ_TEST_MODELS_DIR"


@contextmanager
def locked(path: str, kind: int) -> Iterator[None]:
    """Holds a lock of flock(2) on a folder or file that is there."""
    number = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(number, kind)
        yield
    finally:
        # Said explicitly: a process that a test forked may still have the descriptor.
        fcntl.flock(number, fcntl.LOCK_UN)
        os.close(number)


def is_one_of_many(config: pytest.Config) -> bool:
    """Whether this process is one of several workers that share the tests."""
    return hasattr(config, "workerinput")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Where several workers share the tests, one that is marked `alone` runs while no other does."""
    if not is_one_of_many(item.config):
        return (yield)
    room, door = os.path.dirname(__file__), __file__
    kind = fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH
    with ExitStack() as inside:
        # Who waits to be alone keeps the door shut: nobody else comes in before it.
        with locked(door, fcntl.LOCK_EX):
            inside.enter_context(locked(room, kind))
        return (yield)


@pytest.fixture(autouse=True)
def ordinary_umask() -> None:
    """Some tests act as another user, or expect a photo to be readable to all, as on most machines;
    what imgq itself keeps private it makes private under any umask. Before each test, because a
    daemon that another test runs in this process makes the umask its own."""
    os.umask(0o022)


@pytest.fixture(scope="session")
def models_dir(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the tests' model artifacts are made, once."""
    kept = os.environ.get(MODELS_ENV)
    if kept:
        os.makedirs(kept, exist_ok=True)
        return kept
    base = tmp_path_factory.getbasetemp()
    # The workers of one run share them.
    made = (base.parent if is_one_of_many(pytestconfig) else base) / "models"
    made.mkdir(exist_ok=True)
    return str(made)


def make_tiny_model(models_dir: str) -> str:
    """Writes a very small CLIP with random weights; returns its `local-dir:` spec."""
    with locked(models_dir, fcntl.LOCK_EX):
        return _written(os.path.join(models_dir, "tiny-clip-source"))


def _written(directory: str) -> str:
    preprocess = {
        "mean": [0.48145466, 0.4578275, 0.40821073],
        "std": [0.26862954, 0.26130258, 0.27577711],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    if not os.path.exists(os.path.join(directory, "open_clip_config.json")):
        import torch
        from open_clip.model import CLIP
        from safetensors.torch import save_file

        torch.manual_seed(1)
        os.makedirs(directory, exist_ok=True)
        model = CLIP(**TINY)
        save_file(model.state_dict(), os.path.join(directory, "open_clip_model.safetensors"))
        with open(os.path.join(directory, "open_clip_config.json"), "w") as stream:
            json.dump({"model_cfg": TINY, "preprocess_cfg": preprocess}, stream)
    return f"local-dir:{directory}"


@pytest.fixture(scope="session")
def tiny_model(models_dir: str) -> str:
    """A model for tests of everything but meaning."""
    return make_tiny_model(models_dir)


@pytest.fixture
def make_home(models_dir: str) -> Iterator[Callable[..., Home]]:
    """Makes homes that share the tests' model artifacts; all are closed at the end."""
    with ExitStack() as stack:

        def make(**settings: object) -> Home:
            settings.setdefault("models_dir", models_dir)
            settings.setdefault("model", "builtin")
            settings.setdefault("settle_ms", 100)
            return stack.enter_context(fresh_home(**settings))

        yield make


@pytest.fixture
def home(make_home: Callable[..., Home]) -> Home:
    """A home with the built-in model."""
    return make_home()


@pytest.fixture
def tiny_home(make_home: Callable[..., Home], tiny_model: str) -> Home:
    """A home with the tiny random model: fast, and right about everything but meaning."""
    return make_home(model=tiny_model)

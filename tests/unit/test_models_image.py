"""The image encoder's child: there while there is work, gone when there is none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from imgqd.errors import ModelError
from imgqd.models.build import prepare
from imgqd.models.image import ImageEncoder
from imgqd.models.wire import child_environment
from imgqd.priority import Share


@pytest.fixture(scope="module")
def artifact(tiny_model, models_dir):
    return prepare(tiny_model, models_dir)


@pytest.fixture
def encoder(artifact):
    encoder = ImageEncoder(
        artifact, device="cpu", threads=1, idle_unload_s=60, batch=4, share=Share(10, 1)
    )
    yield encoder
    encoder.close()


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), np.uint8)


def eventually(condition) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never came true")


def test_child_starts_with_the_first_picture(encoder):
    assert not encoder.running
    assert encoder.pid is None
    vectors = encoder.encode(pictures(1))
    assert vectors.shape == (1, 32)
    assert vectors.dtype == np.float32
    assert encoder.running
    assert encoder.device == "cpu"
    assert psutil.Process(encoder.pid).cmdline()[-1] == "imgqd.models.image_worker"


def test_more_pictures_than_a_batch_keep_their_order(encoder):
    many = pictures(11)
    together = encoder.encode(many)
    assert together.shape == (11, 32)
    for picture, vector in zip(many, together, strict=True):
        np.testing.assert_allclose(encoder.encode(picture[None])[0], vector, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)


def test_no_pictures_need_no_child(encoder):
    assert encoder.encode(pictures(0)).shape == (0, 32)
    assert not encoder.running


def test_pixels_of_another_size_are_refused(encoder):
    with pytest.raises(ValueError, match="32, 32"):
        encoder.encode(np.zeros((1, 64, 64, 3), np.uint8))
    with pytest.raises(ValueError, match="uint8"):
        encoder.encode(np.zeros((1, 32, 32, 3), np.float32))


def test_idle_child_ends_and_comes_back(artifact):
    encoder = ImageEncoder(artifact, device="auto", threads=1, idle_unload_s=0.2, batch=4)
    first = encoder.encode(pictures(2))
    pid = encoder.pid
    eventually(lambda: not encoder.running)
    assert not psutil.pid_exists(pid)
    np.testing.assert_array_equal(encoder.encode(pictures(2)), first)
    encoder.close()
    assert not encoder.running


def test_child_that_was_killed_is_started_again(encoder):
    first = encoder.encode(pictures(2))
    pid = encoder.pid
    os.kill(pid, signal.SIGKILL)
    np.testing.assert_array_equal(encoder.encode(pictures(2)), first)
    assert encoder.pid != pid


def test_child_takes_its_share_of_the_machine(encoder):
    encoder.encode(pictures(1))
    child = psutil.Process(encoder.pid)
    assert child.nice() >= 10
    if sys.platform == "linux":
        assert child.ionice().value == 7 and len(child.cpu_affinity()) == 1


def test_threads_share_one_child(encoder):
    expected = encoder.encode(pictures(6))
    pid = encoder.pid
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(encoder.encode(pictures(6))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        np.testing.assert_array_equal(result, expected)
    assert encoder.pid == pid


def test_closed_encoder_says_so(encoder):
    encoder.encode(pictures(1))
    pid = encoder.pid
    encoder.close()
    assert not psutil.pid_exists(pid)
    with pytest.raises(ModelError):
        encoder.encode(pictures(1))


def test_closing_does_not_wait_for_a_long_batch(encoder):
    encoder.encode(pictures(1))
    # A stopped process stands for a batch that takes forever.
    os.kill(encoder.pid, signal.SIGSTOP)
    failed = []

    def encode():
        try:
            encoder.encode(pictures(4))
        except ModelError as error:
            failed.append(error)

    busy = threading.Thread(target=encode)
    busy.start()
    eventually(lambda: encoder._lock.locked())
    encoder.close()
    busy.join()
    assert len(failed) == 1
    assert not encoder.running


def test_missing_device_is_named(artifact):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has what the test wants missing")
    encoder = ImageEncoder(artifact, device="cuda", threads=1, idle_unload_s=60, batch=4)
    with pytest.raises(ModelError) as caught:
        encoder.encode(pictures(1))
    assert "cuda" in caught.value.message
    assert "auto" in caught.value.message
    encoder.close()


def test_artifact_that_vanished_is_an_error_not_a_hang(artifact, tmp_path):
    import dataclasses

    gone = dataclasses.replace(artifact, path=str(tmp_path / "gone"))
    encoder = ImageEncoder(gone, device="cpu", threads=1, idle_unload_s=60, batch=4)
    with pytest.raises(ModelError) as caught:
        encoder.encode(pictures(1))
    assert str(tmp_path / "gone") in caught.value.message
    encoder.close()


def test_child_ends_with_its_parent(artifact):
    program = f"""
import sys, time, numpy
from imgqd.models.artifact import open_artifact
from imgqd.models.image import ImageEncoder
encoder = ImageEncoder(open_artifact({artifact.path!r}), device="cpu", threads=1,
                       idle_unload_s=600, batch=4)
encoder.encode(numpy.zeros((1, 32, 32, 3), numpy.uint8))
print(encoder.pid, file=sys.stderr, flush=True)
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-P", "-c", program], stderr=subprocess.PIPE, env=child_environment()
    ) as parent:
        pid = int(parent.stderr.readline())
        assert psutil.pid_exists(pid)
        parent.kill()
        parent.wait()

    def gone():
        return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

    eventually(gone)

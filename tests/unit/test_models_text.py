"""The text tower in the daemon: answers, limits and memory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from imgqd.errors import ModelError, UsageError
from imgqd.models.build import prepare
from imgqd.models.text import TextEncoder, _divided
from imgqd.models.wire import child_environment


@pytest.fixture(scope="module")
def artifact(tiny_model, models_dir):
    return prepare(tiny_model, models_dir)


@pytest.fixture(scope="module")
def encoder(artifact):
    return TextEncoder(artifact, threads=1)


def test_vectors_are_normalised_and_in_order(encoder):
    texts = [f"a picture of {number} dogs" for number in range(70)]
    vectors = encoder.encode(texts)
    assert vectors.shape == (70, 32)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    for text, vector in zip(texts[::23], vectors[::23], strict=True):
        np.testing.assert_allclose(encoder.encode([text])[0], vector, atol=1e-5)


def test_no_texts_give_no_vectors(encoder):
    assert encoder.encode([]).shape == (0, 32)


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "empty"), (" \n\t", "empty"), ("x" * 20_001, "20001"), ("\udcff", "Unicode")],
)
def test_nonsense_is_a_usage_error(encoder, text, said):
    with pytest.raises(UsageError) as caught:
        encoder.encode(["fine", text])
    assert said in caught.value.message


def test_text_without_a_known_word_still_has_a_vector(encoder):
    for text in ("\x00", "\u200b", "&nbsp;", "🏳️‍🌈", "x" * 20_000):
        assert np.isfinite(encoder.encode([text])).all()


def test_threads_get_the_same_answers(encoder):
    expected = encoder.encode(["sunset over ocean"])
    results = []

    def ask():
        for _ in range(20):
            results.append(encoder.encode(["sunset over ocean"]))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 80
    for result in results:
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_texts_of_any_lengths_have_the_same_vectors_together_and_alone(encoder):
    texts = [" ".join(["dog", "sea", "tree", "car"][: 1 + n % 4] * (1 + n % 5)) for n in range(40)]
    together = encoder.encode(texts)
    for text, vector in zip(texts, together, strict=True):
        np.testing.assert_allclose(encoder.encode([text])[0], vector, atol=1e-5)


def test_runs_are_divided_where_padding_would_cost_more_than_another_run():
    assert _divided([8]) == [0, 1]
    assert _divided([8, 8, 8]) == [0, 3]
    assert _divided([8] * 8 + [70]) == [0, 8, 9]


def test_coverage_is_a_share(encoder):
    assert encoder.coverage("a dog in the park") == 1.0
    assert encoder.coverage("12 + 3") == 1.0
    assert encoder.coverage("zqxjk dog") < 1.0


def test_closed_encoder_says_so(artifact):
    encoder = TextEncoder(artifact)
    encoder.close()
    with pytest.raises(ModelError):
        encoder.encode(["too late"])


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory map of Linux")
def test_token_table_does_not_stay_in_memory(artifact):
    encoder = TextEncoder(artifact)
    encoder.encode(["sunset over ocean", "a dog playing in the park " * 20])
    largest = size = 0
    with open(f"/proc/{os.getpid()}/smaps") as stream:
        ours = False
        for line in stream:
            if "-" in line.split(" ")[0]:
                ours = line.rstrip().endswith(artifact.file("text.onnx.data"))
            elif ours and line.startswith("Size:"):
                size = int(line.split()[1])
            elif ours and line.startswith("Rss:") and size > largest:
                largest, resident = size, int(line.split()[1])
    assert largest * 1024 >= 49408 * 32 * 4
    assert resident == 0
    encoder.close()


def test_running_a_model_tells_nobody(artifact, tmp_path):
    """onnxruntime's telemetry would begin with a database in the cache folder."""
    program = f"""
from imgqd.models.artifact import open_artifact
from imgqd.models.image import ImageEncoder
from imgqd.models.text import TextEncoder, _divided
from imgqd.models.wire import child_environment
import numpy
artifact = open_artifact({artifact.path!r})
TextEncoder(artifact).encode(["sunset over ocean"])
encoder = ImageEncoder(artifact, device="cpu", threads=1, idle_unload_s=60, batch=1)
encoder.encode(numpy.zeros((1, 32, 32, 3), numpy.uint8))
encoder.close()
"""
    environment = child_environment() | {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    for name in ("CI", "ORT_DISABLE_TELEMETRY"):
        # Either keeps onnxruntime quiet by itself.
        environment.pop(name, None)
    subprocess.run([sys.executable, "-P", "-c", program], env=environment, check=True)
    assert os.listdir(tmp_path) == []

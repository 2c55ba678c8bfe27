"""The open_clip source: configurations, weights, and models that only torch can run."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg

from imgqd.errors import ModelError, UsageError
from imgqd.models import build_worker, export, image_worker, openclip, openclip_tokenizer
from imgqd.models.artifact import open_artifact
from imgqd.models.image import ImageEncoder
from imgqd.models.spec import parse_spec
from imgqd.models.text import TextEncoder
from imgqd.models.tokenizer import load_tokenizer
from tests.loopback_hub import LoopbackHub
from tests.photographs import photograph
from tests.unit import open_clip_models as models


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """Puts an (empty) file into a hub cache of this test's own: enough to look up a configuration."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def put(repository):
        folder = tmp_path / "hub" / f"models--{repository.replace('/', '--')}"
        commit = "0" * 40
        (folder / "refs").mkdir(parents=True)
        (folder / "refs" / "main").write_text(commit)
        (folder / "snapshots" / commit).mkdir(parents=True)
        (folder / "snapshots" / commit / "open_clip_model.safetensors").touch()

    return put


@pytest.mark.parametrize(
    ("spec", "repository", "quick"),
    [
        ("ViT-B-32/openai", "timm/vit_base_patch32_clip_224.openai", True),
        ("ViT-B-32-quickgelu/openai", "timm/vit_base_patch32_clip_224.openai", True),
        ("RN50/openai", "timm/resnet50_clip.openai", True),
        ("ViT-B-32/laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", False),
        # The tag says nothing here and the architecture does.
        ("roberta-ViT-B-32/laion2b_s12b_b32k", "laion/CLIP-ViT-B-32-roberta-base-laion2B-s12B-b32k", True),
    ],
)  # fmt: skip
def test_activation_is_what_the_weights_were_trained_with(cached, spec, repository, quick):
    cached(repository)
    found = openclip._locate(parse_spec(spec), lambda _: None)
    assert bool(found.config["model_cfg"].get("quick_gelu")) is quick
    assert found.weights.endswith("open_clip_model.safetensors")


def test_quick_gelu_reaches_the_layers(cached):
    cached("timm/vit_base_patch32_clip_224.openai")
    found = openclip._locate(parse_spec("ViT-B-32/openai"), lambda _: None)
    found.config["model_cfg"]["vision_cfg"]["layers"] = 1
    found.config["model_cfg"]["text_cfg"]["layers"] = 1
    model, preprocess = openclip._create(found.config)
    kinds = {type(module).__name__ for module in model.modules()}
    assert "QuickGELU" in kinds
    assert "GELU" not in kinds
    assert preprocess.mean == tuple(models.OPENAI_MEAN)
    assert (preprocess.height, preprocess.width) == (224, 224)


def test_every_preprocessing_that_open_clip_lists_is_carried_over(cached):
    for architecture, tag in (
        ("ViT-B-32", "laion2b_s34b_b79k"),
        ("ViT-B-16-SigLIP", "webli"),
        ("ViT-H-14-CLIPA", "datacomp1b"),
        ("MobileCLIP-S1", "datacompdr"),
    ):
        listed = open_clip.get_pretrained_cfg(architecture, tag)
        config = PreprocessCfg(size=256, **openclip._plain(listed))
        ours = openclip.preprocess_of(config)
        assert ours.mean == tuple(listed["mean"])
        assert ours.std == tuple(listed["std"])
        assert ours.interpolation == listed["interpolation"]
        assert ours.resize_mode == listed["resize_mode"]


def test_preprocessing_of_a_rectangle():
    config = PreprocessCfg(size=(160, 224), interpolation="bilinear", mean=0.5, std=0.25)
    ours = openclip.preprocess_of(config)
    assert (ours.height, ours.width) == (160, 224)
    assert ours.mean == (0.5, 0.5, 0.5)
    # open_clip resizes rectangles with bicubic, whatever the configuration says.
    assert ours.interpolation == "bicubic"


def test_unknown_tag_is_refused_with_those_that_exist():
    with pytest.raises(UsageError) as caught:
        openclip._locate(parse_spec("ViT-B-32/openay"), lambda _: None)
    assert "openai" in caught.value.message


def test_architecture_without_weights_says_so():
    with pytest.raises(UsageError) as caught:
        openclip._locate(parse_spec("ViT-e-14/openai"), lambda _: None)
    assert "no weights" in caught.value.message


def spoilt(directory, content):
    with open(os.path.join(directory, "open_clip_config.json"), "w") as stream:
        stream.write(content)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"model_cfg": {"text_cfg": 1}}'])
def test_broken_configuration_is_named(tmp_path, content):
    models.save_model(str(tmp_path), models.vit(32))
    spoilt(tmp_path, content)
    with pytest.raises(ModelError) as caught:
        openclip._locate(parse_spec(f"local-dir:{tmp_path}"), lambda _: None)
    assert "open_clip_config.json" in caught.value.message


def test_configuration_that_open_clip_does_not_know_is_an_error(tmp_path):
    config = models.vit(32)
    config["vision_cfg"]["invented"] = True
    with pytest.raises(ModelError) as caught:
        openclip._create({"model_cfg": config})
    assert "invented" in caught.value.message


def test_directory_without_weights_is_named(tmp_path):
    spoilt(tmp_path, json.dumps({"model_cfg": models.vit(32)}))
    with pytest.raises(ModelError) as caught:
        openclip._locate(parse_spec(f"local-dir:{tmp_path}"), lambda _: None)
    assert "open_clip_model.safetensors" in caught.value.message


@pytest.mark.parametrize("wrapped", [False, True])
def test_plain_checkpoints_of_torch_are_read(tmp_path, wrapped):
    state = {"module.a": torch.ones(2), "module.b": torch.zeros(3)}
    torch.save({"epoch": 3, "state_dict": state} if wrapped else state, tmp_path / "model.pt")
    read = openclip.read_weights(str(tmp_path / "model.pt"))
    assert sorted(read) == ["a", "b"]


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt"])
def test_damaged_weights_are_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x00" * 100)
    with pytest.raises(ModelError) as caught:
        openclip.read_weights(str(tmp_path / name))
    assert name in caught.value.message


def test_position_embeddings_are_not_stretched(tmp_path):
    models.save_model(str(tmp_path), models.vit(64))
    state = openclip.read_weights(str(tmp_path / "open_clip_model.safetensors"))
    larger, _ = openclip._create({"model_cfg": models.vit(128)})
    with pytest.raises(ModelError) as caught:
        openclip.load_strictly(larger, state, "local-dir:larger")
    assert "visual.positional_embedding is (5, 128), not (17, 128)" in caught.value.message


def made_for_torch(root, spec):
    """The artifact of a model whose export fails."""
    building = os.path.join(root, ".building-here")
    os.makedirs(building)

    def refuse(*_):
        raise export._NotExported("this test wants it so")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "_export", refuse)
        request = {"spec": spec, "models_dir": root, "directory": building}
        return open_artifact(build_worker.build(request, lambda _: None))


@pytest.fixture(scope="module")
def only_in_torch(tmp_path_factory):
    """A model that was not exported, and what open_clip makes of it."""
    root = str(tmp_path_factory.mktemp("torch"))
    spec = models.save_model(os.path.join(root, "source"), models.vit(64, quick_gelu=True))
    return made_for_torch(root, spec), models.open_clip_itself(spec)


def pictures(artifact, preprocess):
    shots = [photograph(name) for name in ("chelsea", "coffee", "rocket")]
    side = artifact.preprocess.height
    shots = [shot.resize((side, side)) for shot in shots]
    return np.stack([np.asarray(shot) for shot in shots]), torch.stack(
        [preprocess(shot) for shot in shots]
    )


def test_model_without_graphs_runs_in_torch(only_in_torch):
    artifact, (model, preprocess, tokenizer) = only_in_torch
    assert artifact.runtime == "torch"
    assert "this test wants it so" in artifact.manifest["not_exported"]
    assert not any(name.endswith(".onnx") for name in artifact.manifest["files"])
    pixels, prepared = pictures(artifact, preprocess)
    with torch.inference_mode():
        their_texts = model.encode_text(tokenizer(models.SENTENCES), normalize=True).numpy()
        their_pictures = model.encode_image(prepared, normalize=True).numpy()
    texts = TextEncoder(artifact, threads=1)
    images = ImageEncoder(artifact, device="cpu", threads=1, idle_unload_s=60, batch=2)
    try:
        assert (texts.encode(models.SENTENCES) * their_texts).sum(axis=1).min() >= 0.9999
        assert (images.encode(pixels) * their_pictures).sum(axis=1).min() >= 0.9999
        assert images.device == "cpu"
    finally:
        texts.close()
        images.close()
    assert not images.running


def test_multilingual_model_runs_in_torch_without_its_source(tmp_path):
    source, tower = str(tmp_path / "source"), str(tmp_path / "tower")
    vocabulary = models.write_unigram_tokenizer(source, kind="xlm-roberta")
    models.write_xlm_roberta(tower, vocabulary)
    spec = models.save_model(source, models.xlm_roberta(tower))
    model, _, tokenizer = models.open_clip_itself(spec)
    artifact = made_for_torch(str(tmp_path), spec)
    shutil.rmtree(source)
    shutil.rmtree(tower)
    module = openclip.load_torch(artifact.path, artifact.manifest, "text")
    with torch.inference_mode():
        tokens = tokenizer(models.SENTENCES)
        theirs = model.encode_text(tokens, normalize=True)
        assert (module.eval()(tokens) * theirs).sum(dim=1).min() >= 0.9999


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that has what a multilingual model names by name."""
    source, tower = str(tmp_path / "source"), str(tmp_path / "tower")
    vocabulary = models.write_unigram_tokenizer(source, kind="xlm-roberta")
    models.write_xlm_roberta(tower, vocabulary)
    files = {}
    for directory in (source, tower):
        for name in os.listdir(directory):
            with open(os.path.join(directory, name), "rb") as stream:
                files[f"xlm-roberta-base/{name}"] = stream.read()
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with LoopbackHub(files) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def test_towers_named_by_name_come_from_the_hub(hub):
    config = {"model_cfg": models.xlm_roberta("xlm-roberta-base")}
    found = openclip._Found(config, "weights")
    resolved, tower = openclip._with_local_tower(found, lambda _: None)
    assert tower["model_type"] == "xlm-roberta"
    assert os.path.isdir(resolved["model_cfg"]["text_cfg"]["hf_model_name"])
    model, _ = openclip._create(resolved)
    assert type(model.text).__name__ == "HFTextEncoder"


@pytest.mark.parametrize("with_transformers", [True, False])
def test_tokenizers_named_by_name_come_from_the_hub(hub, tmp_path, monkeypatch, with_transformers):
    monkeypatch.setattr(openclip_tokenizer, "_has_transformers", lambda: with_transformers)
    config = models.xlm_roberta("xlm-roberta-base")
    target = str(tmp_path / "target")
    os.mkdir(target)
    settings = openclip_tokenizer.write_tokenizer(target, config, None, lambda _: None)
    theirs = open_clip.tokenizer.HFTokenizer(str(tmp_path / "source"), context_length=77)
    ours = load_tokenizer(target, settings)(models.SENTENCES)
    assert np.array_equal(ours, theirs(models.SENTENCES).numpy())


def test_tokenizer_that_needs_transformers_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(openclip_tokenizer, "_has_transformers", lambda: False)
    config = models.xlm_roberta("xlm-roberta-base")
    with pytest.raises(ModelError) as caught:
        openclip_tokenizer.write_tokenizer(str(tmp_path), config, str(tmp_path), lambda _: None)
    assert "pip install transformers" in caught.value.message


def test_half_precision_stays_close(only_in_torch):
    artifact, (model, preprocess, _) = only_in_torch
    pixels, prepared = pictures(artifact, preprocess)
    with torch.inference_mode():
        theirs = model.encode_image(prepared, normalize=True).numpy()
    run = image_worker._torch_tower(artifact.path, artifact.manifest, "image", "cpu", half=True)
    ours = run(pixels)
    assert ours.dtype == np.float32
    assert not np.array_equal(ours, theirs)
    assert (ours * theirs).sum(axis=1).min() >= 0.999


def test_digest_follows_weights_and_preprocessing():
    from dataclasses import replace

    tower, preprocess = torch.nn.Linear(2, 2), openclip.preprocess_of(PreprocessCfg())
    before = export.digest_of(tower, tower, preprocess, {})
    assert export.digest_of(tower, tower, preprocess, {}) == before
    assert export.digest_of(tower, tower, replace(preprocess, resize_mode="squash"), {}) != before
    with torch.no_grad():
        tower.weight[0, 0] += 1
    assert export.digest_of(tower, tower, preprocess, {}) != before

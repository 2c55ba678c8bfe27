"""Artifacts on disk: sealed, checked, replaced in one step."""

from __future__ import annotations

import json
import os

import pytest

from imgqd.errors import ModelError
from imgqd.models.artifact import (
    FORMAT,
    MANIFEST,
    VERIFIED,
    directory_name,
    install,
    open_artifact,
    preprocess_to_json,
    write_manifest,
)
from imgqd.records import Preprocess

PREPROCESS = Preprocess(
    height=224,
    width=336,
    mean=(0.1, 0.2, 0.3),
    std=(0.4, 0.5, 0.6),
    interpolation="bilinear",
    resize_mode="longest",
    fill_color=7,
    resize=240,
)


def sealed(directory, model_id="tiny@12345678", content=b"graph"):
    os.makedirs(directory)
    for name, data in (("image.onnx", content), ("text.onnx", b"words"), ("empty", b"")):
        with open(os.path.join(directory, name), "wb") as stream:
            stream.write(data)
    write_manifest(
        str(directory),
        {
            "id": model_id,
            "spec": "local-dir:/tiny",
            "dim": 64,
            "preprocess": preprocess_to_json(PREPROCESS),
            "runtime": "onnx",
            "text": {"cut": True},
        },
    )
    return str(directory)


def test_what_was_sealed_opens_as_it_was(tmp_path):
    artifact = open_artifact(sealed(tmp_path / "a"))
    assert (artifact.id, artifact.spec, artifact.dim) == ("tiny@12345678", "local-dir:/tiny", 64)
    assert artifact.preprocess == PREPROCESS
    assert artifact.manifest["text"] == {"cut": True}
    assert artifact.file("image.onnx") == os.path.join(artifact.path, "image.onnx")


def cut(path):
    os.truncate(path, 2)


def flip(path):
    with open(path, "r+b") as stream:
        first = stream.read(1)[0]
        stream.seek(0)
        stream.write(bytes([first ^ 1]))


@pytest.mark.parametrize("seen_before", [False, True])
@pytest.mark.parametrize(
    ("damage", "name"),
    [
        (cut, "image.onnx"),
        (flip, "text.onnx"),
        (os.unlink, "text.onnx"),
        (os.unlink, MANIFEST),
        (cut, MANIFEST),
    ],
)
def test_damage_is_noticed(tmp_path, damage, name, seen_before):
    path = sealed(tmp_path / "a")
    if seen_before:
        open_artifact(path)
    damage(os.path.join(path, name))
    with pytest.raises(ModelError) as caught:
        open_artifact(path)
    assert path in caught.value.message
    assert caught.value.code == "model-broken"


def test_flipped_byte_under_a_forged_time_is_noticed(tmp_path):
    path = sealed(tmp_path / "a")
    open_artifact(path)
    victim = os.path.join(path, "image.onnx")
    before = os.stat(victim)
    flip(victim)
    os.utime(victim, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ModelError):
        open_artifact(path)


def test_stamps_of_another_content_prove_nothing(tmp_path):
    path = sealed(tmp_path / "a")
    open_artifact(path)
    with open(os.path.join(path, MANIFEST)) as stream:
        manifest = json.load(stream)
    manifest["files"]["image.onnx"]["sha256"] = "0" * 64
    with open(os.path.join(path, MANIFEST), "w") as stream:
        json.dump(manifest, stream)
    with pytest.raises(ModelError):
        open_artifact(path)


def test_garbled_stamps_only_cost_time(tmp_path):
    path = sealed(tmp_path / "a")
    with open(os.path.join(path, VERIFIED), "w") as stream:
        stream.write("[]}")
    assert open_artifact(path).dim == 64


@pytest.mark.parametrize("missing", ["id", "dim", "preprocess", "files"])
def test_manifest_without_what_it_must_say_is_refused(tmp_path, missing):
    path = sealed(tmp_path / "a")
    with open(os.path.join(path, MANIFEST)) as stream:
        manifest = json.load(stream)
    del manifest[missing]
    with open(os.path.join(path, MANIFEST), "w") as stream:
        json.dump(manifest, stream)
    with pytest.raises(ModelError) as caught:
        open_artifact(path)
    assert missing in caught.value.message


def test_manifest_cannot_point_out_of_its_directory(tmp_path):
    path = sealed(tmp_path / "a")
    with open(os.path.join(path, MANIFEST)) as stream:
        manifest = json.load(stream)
    manifest["files"]["../secret"] = {"size": 0, "sha256": "0" * 64}
    with open(os.path.join(path, MANIFEST), "w") as stream:
        json.dump(manifest, stream)
    with pytest.raises(ModelError):
        open_artifact(path)


@pytest.mark.parametrize(("number", "code"), [(FORMAT + 1, "model-newer"), (0, "model-broken")])
def test_other_formats_are_told_apart(tmp_path, number, code):
    path = sealed(tmp_path / "a")
    with open(os.path.join(path, MANIFEST), "w") as stream:
        json.dump({"format": number}, stream)
    with pytest.raises(ModelError) as caught:
        open_artifact(path)
    assert caught.value.code == code


def test_installing_replaces_what_is_broken(tmp_path):
    first = install(sealed(tmp_path / ".building-1"), str(tmp_path), "tiny@12345678")
    os.unlink(os.path.join(first, "text.onnx"))
    second = install(
        sealed(tmp_path / ".building-2", content=b"other"), str(tmp_path), "tiny@12345678"
    )
    assert first == second
    with open(open_artifact(second).file("image.onnx"), "rb") as stream:
        assert stream.read() == b"other"
    assert os.listdir(tmp_path) == [os.path.basename(second)]


def test_installing_keeps_an_equal_one_that_may_be_in_use(tmp_path):
    first = install(sealed(tmp_path / ".building-1"), str(tmp_path), "tiny@12345678")
    inode = os.stat(first).st_ino
    second = install(sealed(tmp_path / ".building-2"), str(tmp_path), "tiny@12345678")
    assert first == second
    assert os.stat(second).st_ino == inode
    assert os.listdir(tmp_path) == [os.path.basename(second)]


def test_model_ids_become_safe_names():
    assert directory_name("ViT-B-32/openai@1a2b3c4d") == "ViT-B-32_openai@1a2b3c4d"
    assert directory_name("local-dir:/ü:*?@12345678") == "local-dir_@12345678"

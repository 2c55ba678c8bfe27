"""Making artifacts in a child process: found again, mended, cancelled, refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading

import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file

from imgqd.errors import ModelError, UnavailableError, UsageError
from imgqd.models import build_worker
from imgqd.models.artifact import MANIFEST, open_artifact, write_manifest
from imgqd.models.build import find, prepare, source_fingerprint
from imgqd.models.spec import parse_spec
from imgqd.models.wire import child_command, child_environment


@pytest.fixture
def standing(tiny_model, models_dir, tmp_path):
    """A models directory of this test's own, in which the tiny model stands."""
    artifact = prepare(tiny_model, models_dir)
    shutil.copytree(artifact.path, tmp_path / "models" / os.path.basename(artifact.path))
    return str(tmp_path / "models")


@pytest.fixture
def source(tiny_model, tmp_path):
    """A copy of the tiny model's source that a test may spoil; gives back its directory."""
    shutil.copytree(parse_spec(tiny_model).name, tmp_path / "source")
    return tmp_path / "source"


def never(*_):
    raise AssertionError("nothing should have been made")


def test_standing_artifact_is_used_without_a_child(tiny_model, standing):
    artifact = prepare(tiny_model, standing, progress=never)
    assert artifact.spec == tiny_model
    assert artifact == find(parse_spec(tiny_model), standing)


def test_nothing_is_found_where_nothing_stands(tiny_model, tmp_path):
    assert find(parse_spec(tiny_model), str(tmp_path / "nowhere")) is None


def broken_byte(path):
    with open(os.path.join(path, "text.onnx"), "r+b") as stream:
        stream.seek(1000)
        stream.write(b"\xff\x00\xff")


def cut_short(path):
    os.truncate(os.path.join(path, "image.onnx"), 100)


def without_manifest(path):
    os.unlink(os.path.join(path, MANIFEST))


@pytest.mark.parametrize("damage", [broken_byte, cut_short, without_manifest])
def test_broken_artifact_is_not_found_and_cleared_away(tiny_model, standing, damage):
    (name,) = os.listdir(standing)
    damage(os.path.join(standing, name))
    assert find(parse_spec(tiny_model), standing) is None
    assert os.listdir(standing) == []


def test_broken_artifact_is_made_again(tiny_model, standing):
    before = find(parse_spec(tiny_model), standing)
    cut_short(before.path)
    stages = []
    after = prepare(tiny_model, standing, progress=lambda progress: stages.append(progress.stage))
    assert after.id == before.id
    assert open_artifact(after.path).manifest["parity"]["image"] > 0.9999
    assert {"load", "export", "check"} <= set(stages)
    assert os.listdir(standing) == [os.path.basename(after.path)]


def test_artifact_of_a_changed_source_is_not_used(tiny_model, standing, source):
    spec = f"local-dir:{source}"
    assert find(parse_spec(spec), standing) is None
    artifact = find(parse_spec(tiny_model), standing)
    manifest = {**artifact.manifest, "spec": spec}
    manifest["fingerprint"] = source_fingerprint(parse_spec(spec))
    write_manifest(artifact.path, manifest)
    assert find(parse_spec(spec), standing) is not None
    os.utime(source / "open_clip_model.safetensors", (1, 1))
    assert find(parse_spec(spec), standing) is None


def test_auto_is_no_model(tmp_path):
    with pytest.raises(UsageError):
        prepare("auto", str(tmp_path))


def test_missing_directory_is_named(tmp_path):
    with pytest.raises(UsageError) as caught:
        prepare(f"local-dir:{tmp_path}/nothing", str(tmp_path / "models"))
    assert f"{tmp_path}/nothing" in caught.value.message
    assert not (tmp_path / "models").exists()


def test_unwritable_models_directory_is_named(tiny_model, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelError) as caught:
        prepare(tiny_model, str(tmp_path / "file" / "models"))
    assert str(tmp_path / "file" / "models") in caught.value.message
    assert "models_dir" in caught.value.message


def test_weights_of_another_architecture_are_refused(source, tmp_path):
    state = load_file(source / "open_clip_model.safetensors")
    del state["ln_final.weight"]
    state["positional_embedding"] = torch.zeros(32, 32)
    state["something.else"] = torch.zeros(1)
    save_file(state, source / "open_clip_model.safetensors")
    with pytest.raises(ModelError) as caught:
        prepare(f"local-dir:{source}", str(tmp_path / "models"))
    message = caught.value.message
    assert "ln_final.weight is missing" in message
    assert "something.else has no place" in message
    assert "positional_embedding is (32, 32), not (77, 32)" in message
    assert os.listdir(tmp_path / "models") == []


class Stranger:
    """What unpickling must never run."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


def test_weights_that_would_run_code_are_refused(source, tmp_path):
    os.unlink(source / "open_clip_model.safetensors")
    torch.save({"state_dict": Stranger(str(tmp_path / "ran"))}, source / "model.pth")
    (tmp_path / "building").mkdir()
    request = {
        "spec": f"local-dir:{source}",
        "models_dir": str(tmp_path),
        "directory": str(tmp_path / "building"),
    }
    with pytest.raises(ModelError) as caught:
        build_worker.build(request, lambda _: None)
    assert "cannot be read safely" in caught.value.message
    assert not (tmp_path / "ran").exists()


def test_full_disk_is_named(tiny_model, tmp_path):
    small = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if subprocess.run(small, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small disk")
    try:
        with pytest.raises(ModelError) as caught:
            prepare(tiny_model, str(tmp_path))
        assert f"no space left in {tmp_path}" in caught.value.message
        assert os.listdir(tmp_path) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_cancelling_ends_the_child(tiny_model, tmp_path):
    with pytest.raises(UnavailableError):
        prepare(tiny_model, str(tmp_path), cancelled=lambda: True)
    assert psutil.Process().children() == []
    assert os.listdir(tmp_path) == []


def test_child_that_is_killed_leaves_a_message_and_no_rubbish(tiny_model, tmp_path):
    def kill(progress):
        (child,) = (
            child for child in psutil.Process().children() if "build_worker" in child.cmdline()[-1]
        )
        child.send_signal(signal.SIGKILL)

    with pytest.raises(ModelError) as caught:
        prepare(tiny_model, str(tmp_path), progress=kill)
    assert "signal 9" in caught.value.message
    assert os.listdir(tmp_path) == []


def test_what_a_killed_daemon_left_is_cleared_away(source, standing):
    leftover = os.path.join(standing, ".building-dead")
    os.mkdir(leftover)
    open(os.path.join(leftover, ".lock"), "w").close()
    in_the_making = os.path.join(standing, ".building-alive")
    os.mkdir(in_the_making)
    with pytest.raises(UnavailableError):
        prepare(f"local-dir:{source}", standing, cancelled=lambda: True)
    assert not os.path.exists(leftover)
    assert os.path.exists(in_the_making)


def test_child_ends_with_its_parent(tiny_model, tmp_path):
    building = tmp_path / ".building-here"
    building.mkdir()
    request = {"spec": tiny_model, "models_dir": str(tmp_path), "directory": str(building)}
    with subprocess.Popen(
        child_command("imgqd.models.build_worker"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=child_environment(),
        text=True,
    ) as child:
        child.stdin.write(json.dumps(request) + "\n")
        child.stdin.flush()
        assert "load" in child.stdout.readline()
        child.stdin.close()
        child.wait(60)
    assert child.returncode == 1
    assert [name for name in os.listdir(tmp_path) if "@" in name] == []


def test_two_at_once_end_with_one_artifact(tiny_model, tmp_path):
    results = []

    def make():
        results.append(prepare(tiny_model, str(tmp_path)).id)

    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1
    assert len(results) == 2
    assert len(os.listdir(tmp_path)) == 1


def test_nothing_on_the_daemons_side_imports_torch():
    modules = ("spec", "artifact", "build", "text", "image", "image_worker", "tokenizer", "auto")
    program = "import sys; " + "; ".join(f"import imgqd.models.{name}" for name in modules)
    program += "; print(sorted({'torch', 'open_clip', 'transformers', 'timm'} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "[]\n"

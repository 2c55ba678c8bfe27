"""Training the built-in model's head, by the script that made the one that ships."""

from __future__ import annotations

import os
import sys

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from skimage import data

from imgqd.models import builtin_towers

BENCHMARKS = os.path.join(os.path.dirname(__file__), "..", "..", "benchmarks")
CAPTIONS = {
    "chelsea": ("a cat looks at the camera", "the face of a ginger cat"),
    "coffee": ("a cup of coffee on a table", "coffee with a spoon beside it"),
    "rocket": ("a rocket stands on its pad", "a rocket is launched"),
    "astronaut": ("a smiling woman in orange", "an astronaut before a flag"),
    "retina": ("the back of an eye", "a red disc"),
    "hubble_deep_field": ("galaxies in the dark", "stars"),
    "immunohistochemistry": ("brown cells", "a slice under the microscope"),
    "colorwheel": ("a wheel of colours", "a rainbow in a circle"),
    "camera": ("a man with a camera on a tripod", "a photographer in a coat"),
    "coins": ("old coins", "rows of round coins"),
}


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, BENCHMARKS)
    try:
        import train_builtin

        yield train_builtin
    finally:
        sys.path.remove(BENCHMARKS)


@pytest.fixture
def folder(tmp_path):
    """Ten captioned pictures, two of them to tune on."""
    (tmp_path / "images").mkdir()
    with (tmp_path / "captions.tsv").open("w") as captions:
        for name, texts in CAPTIONS.items():
            picture = Image.fromarray(getattr(data, name)()).convert("RGB")
            picture.resize((224, 224)).save(tmp_path / "images" / f"{name}.png")
            captions.writelines(f"{name}.png\t{text}\n" for text in texts)
    (tmp_path / "dev.txt").write_text("coins.png\ncamera.png\n")
    return tmp_path


@pytest.fixture
def train(script, folder, monkeypatch):
    """Runs the whole script from an empty cache and gives back the file of the head."""
    threads = torch.get_num_threads()

    def run(name: str, passes: int) -> bytes:
        out = folder / f"{name}.safetensors"
        words = f"{folder} --cache {folder / name} --out {out} --passes {passes}"
        rest = "--apart 2 --heads 2 --threads 1"
        monkeypatch.setattr(sys, "argv", ["train_builtin.py", *words.split(), *rest.split()])
        script.main()
        return out.read_bytes()

    yield run
    torch.set_num_threads(threads)


def test_training_twice_gives_the_same_head_bit_for_bit(train, capsys):
    first, second = train("first", 6), train("second", 6)
    assert "6 pictures to learn from, 2 to tune on, 2 kept apart" in capsys.readouterr().out
    assert first == second
    assert first != train("untrained", 0)


def test_what_was_trained_is_a_head_as_imgq_loads_it(train, folder):
    train("head", 2)
    stored = load_file(folder / "head.safetensors")
    head = builtin_towers.Head(len(stored["image.bias"]), len(stored["crowd"]))
    head.load_state_dict(stored)
    assert (float(head.image_share), float(head.crowding)) == pytest.approx((0.7, 0.4), abs=1e-3)

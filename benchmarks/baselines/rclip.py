"""rclip (https://github.com/yurijmikhalevich/rclip) as a user runs it, on a model of the same size.

`prepare` lays out a data folder with random weights of an architecture where rclip looks for its own
model, for machines that cannot download it. rclip feeds its models 256 x 256 pixels, so the
architecture is ViT-B-32-256, a third more work for a picture than ViT-B-32.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

ARCH = "ViT-B-32-256"
# Where rclip 3 keeps its model below RCLIP_DATADIR.
FOLDER = "ViT-B-32-256-datacomp_s34b_b86k"


def program() -> str | None:
    """The installed command, None where there is none."""
    beside = os.path.join(os.path.dirname(sys.executable), "rclip")
    return beside if os.path.exists(beside) else shutil.which("rclip")


def prepare(directory: str, arch: str = ARCH) -> str:
    """Makes (once) a data folder for rclip with random weights; returns it."""
    data = os.path.join(directory, f"rclip-{arch}")
    models = os.path.join(data, FOLDER)
    if os.path.exists(os.path.join(models, "textual.onnx")):
        return data
    import open_clip
    import torch

    os.makedirs(models, exist_ok=True)
    os.makedirs(os.path.join(data, "tokenizer"), exist_ok=True)
    vocabulary = os.path.join(os.path.dirname(open_clip.__file__), "bpe_simple_vocab_16e6.txt.gz")
    shutil.copy(vocabulary, os.path.join(data, "tokenizer"))
    torch.manual_seed(1)
    model: Any = open_clip.create_model(arch).eval()

    class Text(torch.nn.Module):
        def forward(self, tokens: Any) -> Any:
            return model.encode_text(tokens)

    class Visual(torch.nn.Module):
        def forward(self, pixels: Any) -> Any:
            return model.encode_image(pixels)

    tokens = torch.zeros((2, 77), dtype=torch.int64)
    tokens[:, 0], tokens[:, 1] = 49406, 49407
    for module, example, name in (
        (Visual(), torch.zeros((2, 3, 256, 256)), "visual.onnx"),
        (Text(), tokens, "textual.onnx"),
    ):
        torch.onnx.export(
            module.eval(),
            (example,),
            os.path.join(models, name),
            input_names=["input"],
            output_names=["output"],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=256)},),
            dynamo=True,
            external_data=False,
        )
    return data


def environ(data: str) -> dict[str, str]:
    """The environment in which rclip uses the data folder."""
    return {**os.environ, "RCLIP_DATADIR": data}

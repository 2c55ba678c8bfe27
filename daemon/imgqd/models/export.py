"""Two torch towers to image.onnx and text.onnx, trusted only after they agree with torch.

Responsible for the exporter, for proving that texts may be cut at their end, for the parity check
on real pictures and texts, and for falling back to weights that torch runs. Imports torch: only
ever used in a child process. Every source of models ends here.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from PIL import Image
from torch import nn

from imgqd.errors import ModelError
from imgqd.models.artifact import Progress, preprocess_to_json
from imgqd.models.tokenizer import load_tokenizer
from imgqd.records import Pixels, Preprocess

log = logging.getLogger(__name__)

PARITY = 0.9999
"""The least cosine between a vector from onnxruntime and torch's own."""

CUT_PARITY = 0.999999
"""The least cosine between a text cut at its end and the same text at full length."""

SAMPLE_TEXTS = (
    "sunset over ocean",
    "a dog",
    "two children blowing out the candles of a birthday cake, seen from above",
    "Ein roter Bus fährt über eine Brücke.",
    "海边的日落",
    "x",
    "IMG_2041.JPG 50% off!!! <b>don't</b> &amp; won't",
    " ".join(["a very long description of a photograph that has no end"] * 12),
)

Tokens = npt.NDArray[np.int64]


class ImageTower(nn.Module):
    """(n, height, width, 3) uint8 -> (n, dim) float32, L2-normalised, around an image encoder.

    `encode` takes normalised float pixels (n, 3, height, width), as torchvision's ToTensor and
    Normalize leave them.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self, encode: nn.Module, preprocess: Preprocess, *, normalize: bool = True
    ) -> None:
        super().__init__()
        self.encode = encode
        self.normalize = normalize
        self.register_buffer("mean", torch.tensor(preprocess.mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocess.std).reshape(1, 3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = pixels.permute(0, 3, 1, 2).to(torch.float32) / 255.0
        x = self.encode((x - self.mean) / self.std)
        if isinstance(x, tuple):
            x = x[0]
        x = x.to(torch.float32)
        return nn.functional.normalize(x, dim=-1) if self.normalize else x


@dataclass(frozen=True, slots=True)
class TorchForm:
    """What it takes to run the towers in torch: `config` is the source's own business.

    `modules` are saved whole, by tower; the source's load_torch puts them together again.
    """

    config: dict[str, Any]
    state: dict[str, torch.Tensor]


def export_model(
    directory: str,
    *,
    image: nn.Module,
    text: nn.Module,
    preprocess: Preprocess,
    tokenizer: dict[str, Any],
    report: Callable[[Progress], None],
    digest: str | None = None,
    text_reference: Callable[[torch.Tensor], torch.Tensor] | None = None,
    torch_form: Callable[[], TorchForm] | None = None,
    graphs: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Writes both towers into `directory` and gives back the manifest's part about them.

    `image` maps (n, height, width, 3) uint8 pixels and `text` (n, length) int64 token ids to
    (n, dim) float32, L2-normalised. `tokenizer` are the settings that load_tokenizer understands,
    its files already in `directory`; it says the full length of a text and what pads it.
    `text_reference` is the source's own way from full-length ids to vectors, if it is not `text`.
    `digest` (hex) names weights and preprocessing; left out, it is computed from both modules.
    `torch_form` gives what is saved where torch must run the towers: when the export fails, or
    when this machine has a GPU. Without it a failed export is a ModelError.
    `graphs` writes image.onnx and text.onnx, inputs `pixels` and `tokens`, where a source can do so
    faster than torch's exporter; they are checked like all others.
    """
    image, text = image.eval(), text.eval()
    reference = text if text_reference is None else text_reference
    tokens = load_tokenizer(directory, tokenizer)(list(SAMPLE_TEXTS))
    pixels = sample_pixels(preprocess)
    with torch.inference_mode():
        expected_image = image(torch.from_numpy(pixels)).numpy()
        expected_text = reference(torch.from_numpy(tokens)).to(torch.float32).numpy()
    expected_text /= np.linalg.norm(expected_text, axis=1, keepdims=True)
    manifest: dict[str, Any] = {
        "digest": digest or digest_of(image, text, preprocess, tokenizer),
        "dim": int(expected_image.shape[1]),
        "preprocess": preprocess_to_json(preprocess),
        "tokenizer": tokenizer,
        "libraries": {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__},
    }
    if expected_text.shape[1] != manifest["dim"]:
        raise ModelError(
            f"the picture tower gives {manifest['dim']} numbers and the text tower "
            f"{expected_text.shape[1]}: these towers do not belong together; choose another model"
        )
    try:
        report(Progress("export", "picture tower", 0, 3))
        if graphs is not None:
            graphs()
        written = graphs is not None
        parity_image = _export_image(directory, None if written else image, pixels, expected_image)
        report(Progress("export", "text tower", 1, 3))
        parity_text, cut = _export_text(
            directory, None if written else text, tokens, expected_text, tokenizer["pad"]
        )
        manifest["runtime"] = "onnx"
        manifest["parity"] = {"image": parity_image, "text": parity_text}
        manifest["text"] = {"cut": cut, "embedding": _embedding(directory)}
    except _NotExported as problem:
        if torch_form is None:
            raise ModelError(f"the model cannot be exported: {problem}") from problem
        log.warning("not exported, torch will run it: %s", problem)
        for path in glob.glob(os.path.join(directory, "*.onnx*")):
            os.unlink(path)
        manifest |= {"runtime": "torch", "not_exported": str(problem)[:500], "text": {"cut": False}}
    report(Progress("export", "weights", 2, 3))
    manifest["torch"] = None
    if torch_form is not None and (manifest["runtime"] == "torch" or _has_accelerator()):
        manifest["torch"] = _save_torch(directory, torch_form())
    report(Progress("check", "agrees with torch", 3, 3))
    return manifest


def digest_of(
    image: nn.Module, text: nn.Module, preprocess: Preprocess, tokenizer: dict[str, Any]
) -> str:
    """SHA-256 (hex) over all weights and buffers by name, the preprocessing and the tokenizer."""
    digest = hashlib.sha256()
    for module in (image, text):
        for name, tensor in sorted(module.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
            array = tensor.detach().to(torch.float32).contiguous().numpy()
            digest.update(memoryview(array).cast("B") if array.size else b"")
    settings = [preprocess_to_json(preprocess), tokenizer]
    digest.update(json.dumps(settings, sort_keys=True).encode())
    return digest.hexdigest()


def sample_pixels(preprocess: Preprocess) -> Pixels:
    """The photographs in samples/ at the model's size: (4, height, width, 3) uint8."""
    pattern = os.path.join(os.path.dirname(os.path.abspath(__file__)), "samples", "*.jpg")
    pictures = []
    for path in sorted(glob.glob(pattern)):
        with Image.open(path) as picture:
            size = (preprocess.width, preprocess.height)
            scaled = picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)
            pictures.append(np.asarray(scaled))
    return np.stack(pictures)


class _NotExported(Exception):
    """Why a tower has no graph that can be trusted."""


def _export_image(
    directory: str, image: nn.Module | None, pixels: Pixels, expected: npt.NDArray[np.float32]
) -> float:
    """Exports the picture tower, unless its graph is written already; gives back the parity."""
    path = os.path.join(directory, "image.onnx")
    if image is not None:
        _export(image, torch.from_numpy(pixels[:2]), path, "pixels", {0: torch.export.Dim.DYNAMIC})
    run = _session(path)
    # One at a time and all at once: the batch must really be free.
    got = np.concatenate([run(pixels[:1]), run(pixels[1:])])
    return _trusted("picture", _cosine(got, expected))


def _export_text(
    directory: str,
    text: nn.Module | None,
    tokens: Tokens,
    expected: npt.NDArray[np.float32],
    pad: int,
) -> tuple[float, bool]:
    """Exports the text tower; gives back (parity, whether texts may be cut at their end)."""
    path = os.path.join(directory, "text.onnx")
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    example = torch.from_numpy(tokens[:2])
    try:
        if text is not None:
            _export(text, example, path, "tokens", free)
        run = _session(path)
        parity = _trusted("text", _cosine(run(tokens), expected))
    except _NotExported as problem:
        if text is None:
            raise
        log.info("the text tower has a fixed length: %s", problem)
        _export(text, example, path, "tokens", {0: free[0]})
        run = _session(path)
        got = np.concatenate([run(tokens[:1]), run(tokens[1:])])
        return _trusted("text", _cosine(got, expected)), False
    try:
        each = np.concatenate([run(cut_tokens(row[None], pad)) for row in tokens])
        together = run(cut_tokens(tokens[:-1], pad))
    except Exception as error:  # onnxruntime raises many types, none of them its own base
        log.info("the text tower wants its full length: %s", error)
        return parity, False
    least = min(_cosine(each, expected), _cosine(together, expected[:-1]))
    return parity, least >= CUT_PARITY


def cut_tokens(tokens: Tokens, pad: int) -> Tokens:
    """(n, length) ids without the columns at the end that only hold padding; at least one left."""
    used = np.flatnonzero((tokens != pad).any(axis=0))
    return np.ascontiguousarray(tokens[:, : (int(used[-1]) + 1 if used.size else 1)])


def _export(
    module: nn.Module, example: torch.Tensor, path: str, name: str, free: dict[int, Any]
) -> None:
    try:
        with torch.inference_mode(False), torch.no_grad(), _quiet():
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                dynamic_shapes=(free,),
                input_names=[name],
                output_names=["vectors"],
                verbose=False,
            )
            assert program is not None
            for node in program.model.graph.all_nodes():
                # Stack traces of the export, with this machine's paths, help nobody.
                node.metadata_props.clear()
            program.save(path, external_data=True)
    except OSError:
        raise
    except Exception as error:  # whatever the exporter trips over, torch still runs the tower
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise _NotExported(f"{type(error).__name__}: {first[0]}") from error


def _session(path: str) -> Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise _NotExported(f"onnxruntime refuses the graph: {error}") from error
    name = session.get_inputs()[0].name

    def run(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        try:
            vectors: npt.NDArray[np.float32] = session.run(None, {name: values})[0]
        except Exception as error:
            raise _NotExported(f"onnxruntime fails to run the graph: {error}") from error
        return vectors

    return run


def _cosine(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """The least cosine between rows; b is normalised, a must be: its length counts as a fault."""
    if a.shape != b.shape or not np.isfinite(a).all():
        return -1.0
    lengths = np.linalg.norm(a.astype(np.float64), axis=1)
    if np.abs(lengths - 1.0).max() > 1e-3:
        return -1.0
    return float(((a.astype(np.float64) * b).sum(axis=1) / lengths).min())


def _trusted(tower: str, cosine: float) -> float:
    if not cosine >= PARITY:
        raise _NotExported(f"the exported {tower} tower differs from torch (cosine {cosine:.6f})")
    return cosine


def _embedding(directory: str) -> dict[str, Any] | None:
    """Where text.onnx keeps its largest table, so that the daemon can map it by itself."""
    import onnx

    graph = onnx.load(os.path.join(directory, "text.onnx"), load_external_data=False).graph
    gathered = {node.input[0] for node in graph.node if node.op_type == "Gather"}
    tables = []
    for tensor in graph.initializer:
        entry = {item.key: item.value for item in tensor.external_data}
        if tensor.name in gathered and tensor.data_type == onnx.TensorProto.FLOAT and entry:
            offset, length = int(entry.get("offset", 0)), int(entry["length"])
            tables.append((length, tensor.name, entry["location"], offset, list(tensor.dims)))
    if not tables:
        return None
    _, name, location, offset, shape = max(tables)
    return {"initializer": name, "file": location, "offset": offset, "shape": shape}


def _has_accelerator() -> bool:
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def _save_torch(directory: str, form: TorchForm) -> dict[str, Any]:
    from safetensors.torch import save_file

    # Towers may share a tensor; safetensors wants each to stand alone.
    state = {name: tensor.detach().clone().contiguous() for name, tensor in form.state.items()}
    save_file(state, os.path.join(directory, "torch.safetensors"))
    return {"file": "torch.safetensors", "config": form.config}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's own progress and advice is not for the people who read our log."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)

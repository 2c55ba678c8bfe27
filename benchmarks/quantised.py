"""Towers in 8-bit integers beside fp32: time, cosine and what is lost of the ten nearest.

`python benchmarks/quantised.py --photos DIR`: onnxruntime's dynamic quantization of the linear layers of both towers
(`pip install onnx`). Weights are random unless --model names a real one: then the cosine says little of a
trained tower, and the times everything.
"""

from __future__ import annotations

import os
import statistics
import time
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

from common import Figure, machine, model_of, models_dir, parser, report
from imgqd.models.build import prepare
from imgqd.models.tokenizer import load_tokenizer
from imgqd.records import Vectors
from photos import originals
from query import questions

TOP = 10


def session(path: str, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def quantised(path: str, work: str) -> str:
    """The same graph with its matrix products in 8 bits; returns its path."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    out = os.path.join(work, f"quantised-{os.path.basename(path)}")
    quantize_dynamic(
        path,
        out,
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=["MatMul", "Gemm"],
        use_external_data_format=True,
    )
    return out


def encode(path: str, given: Any, batch: int, threads: int, repeats: int) -> tuple[Vectors, float]:
    """(n, dim) vectors, and processor milliseconds for each input (median of rounds)."""
    tower = session(path, threads)
    name = tower.get_inputs()[0].name
    parts, costs = [], []
    for _ in range(repeats):
        parts = []
        for start in range(0, len(given), batch):
            piece = given[start : start + batch]
            used = time.process_time()
            parts.append(tower.run(None, {name: piece})[0])
            costs.append((time.process_time() - used) / len(piece) * 1e3)
    return np.concatenate(parts), statistics.median(costs)


def compare(plain: Vectors, small: Vectors) -> dict[str, float]:
    """Cosines of the same input, and how many of the ten nearest stay."""
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (plain, small)]
    cosines = (unit[0] * unit[1]).sum(axis=1)
    kept = 0.0
    nearest = []
    for vectors in unit:
        products = vectors @ vectors.T
        np.fill_diagonal(products, -2)
        nearest.append(np.argsort(-products, axis=1)[:, :TOP])
    for one, other in zip(*nearest, strict=True):
        kept += len(np.intersect1d(one, other)) / TOP
    return {
        "cosine, least": float(cosines.min()),
        "cosine, mean": float(cosines.mean()),
        "recall at 10": kept / len(plain),
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--photos", metavar="DIR", help="real photographs")
    options.add_argument("--pictures", type=int, default=64)
    args = options.parse_args()
    before = machine()
    artifact = prepare(model_of(args), models_dir(args))
    side = (artifact.preprocess.width, artifact.preprocess.height)
    files = originals(args.photos)[: args.pictures]
    pixels = np.stack([np.asarray(Image.open(f).convert("RGB").resize(side)) for f in files])
    texts = questions(64)
    tokens = load_tokenizer(artifact.path, artifact.manifest["tokenizer"])(texts)
    tokens = np.ascontiguousarray(tokens[:, : int(np.flatnonzero(tokens.any(axis=0))[-1]) + 1])
    details: dict[str, Any] = {"model": artifact.id}
    figures = []
    for name, given, batches in (("text", tokens, (1, 16)), ("image", pixels, (16,))):
        plain = artifact.file(f"{name}.onnx")
        small = quantised(plain, args.work)
        for batch in batches:
            exact, cost = encode(plain, given, batch, 1, 2)
            short, less = encode(small, given, batch, 1, 2)
            found = {"fp32 ms": cost, "int8 ms": less, **compare(exact, short)}
            details[f"{name} tower, {batch} at once"] = found
            figures.append(
                Figure(
                    f"{name} tower in 8 bits, {batch} at once, processor time against fp32",
                    less / cost,
                    "times",
                    1.0,
                    note=f"cosine {found['cosine, mean']:.4f}, "
                    f"recall at ten {found['recall at 10']:.3f}",
                )
            )
    report(args, figures, details, before)


if __name__ == "__main__":
    main()

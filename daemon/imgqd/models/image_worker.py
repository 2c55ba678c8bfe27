"""The image encoder, the child's side: `python -m imgqd.models.image_worker`.

Responsible for running one tower of an artifact: onnxruntime on a CPU, torch in half precision on
CUDA and Apple's MPS, and torch on a CPU where the model has no graph. It reads orders and batches
from standard input and ends with its parent, whose end closes that pipe.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from imgqd.errors import ModelError
from imgqd.models.artifact import MANIFEST, read_manifest
from imgqd.models.wire import Array, claim_stdout, receive, send
from imgqd.priority import Share

Run = Callable[[Array], Array]

# Up to so many threads each encode pictures of their own (docs/performance.md).
MOST_SHARES = 4


def load(order: dict[str, Any]) -> tuple[Run, str]:
    """Loads the tower that `order` names; gives back how to run a batch, and on what device.

    Raises ModelError when there is no such device or the artifact cannot be run there.
    """
    path, tower, device = order["artifact"], order["tower"], order["device"]
    manifest = read_manifest(path)
    if device != "cpu" and tower == "image" and (manifest["torch"] or device != "auto"):
        accelerator = _accelerator(device)
        if accelerator is not None:
            if not manifest["torch"]:
                raise ModelError(
                    f"{manifest['id']} was made on a machine without a GPU; remove {path} and "
                    "start again to make it for this one, or set device to cpu"
                )
            return _torch_tower(path, manifest, tower, accelerator, half=True), accelerator
    if manifest["runtime"] == "torch":
        import torch

        torch.set_num_threads(int(order["threads"]))
        return _torch_tower(path, manifest, tower, "cpu", half=False), "cpu"
    return _graph(os.path.join(path, f"{tower}.onnx"), int(order["threads"])), "cpu"


def _accelerator(device: str) -> str | None:
    """`device` when torch has it; for auto the one that there is, or None."""
    import torch

    there = [
        name
        for name, available in (
            ("cuda", torch.cuda.is_available()),
            ("mps", torch.backends.mps.is_available()),
        )
        if available
    ]
    if device == "auto":
        return there[0] if there else None
    if device not in there:
        raise ModelError(
            f"device {device} was asked for, but torch finds "
            f"{' and '.join(there) or 'no GPU'} here; set device to auto or cpu"
        )
    return device


def _graph(path: str, threads: int) -> Run:
    """A tower in onnxruntime. Few threads take a share of the batch each and never wait for one
    another; many would read all weights for too few pictures, and work on one picture together."""
    import onnxruntime

    shares = threads if 1 < threads <= MOST_SHARES else 1
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, threads // shares)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning helps within a batch; between batches it would only burn a core.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(values: Array) -> Array:
        vectors: Array = session.run(None, {name: values})[0]
        return vectors

    if shares == 1:
        return run
    at_once = ThreadPoolExecutor(shares)

    def run_shares(values: Array) -> Array:
        parts = np.array_split(values, min(shares, len(values)))
        return np.concatenate(list(at_once.map(run, parts)))

    return run_shares


def _torch_tower(path: str, manifest: dict[str, Any], tower: str, device: str, half: bool) -> Run:
    """A tower in torch. Half precision is autocast: matrix products in fp16, sums in fp32.

    The path is the same for every device; its arithmetic is tested with autocast on a CPU, the
    devices themselves only where a machine has them.
    """
    import torch

    from imgqd.models.build_worker import source_of

    module = source_of(manifest["kind"]).load_torch(path, manifest, tower).eval().to(device)

    def run(values: Array) -> Array:
        with torch.inference_mode(), torch.autocast(device, torch.float16, enabled=half):
            # The arrays on the wire are read-only; torch wants its own.
            vectors = module(torch.from_numpy(np.array(values)).to(device))
            result: Array = vectors.to(torch.float32).cpu().numpy()
        return result

    return run


def main() -> int:
    """Answers orders until standard input ends."""
    out = claim_stdout()
    inbox = os.fdopen(os.dup(0), "rb")
    received = receive(inbox)
    if received is None:
        return 0
    order, _ = received
    Share(int(order["nice"]), int(order["cores"])).bind_process()
    try:
        run, device = load(order)
    except ModelError as error:
        send(out, {"error": error.message})
        return 1
    except Exception as error:  # whatever a runtime raises becomes a message on the other side
        send(
            out,
            {
                "error": f"the model in {order['artifact']} cannot be loaded: {error}; remove "
                f"that directory (its {MANIFEST} names it) and start again"
            },
        )
        return 1
    send(out, {"device": device})
    while (received := receive(inbox)) is not None:
        (values,) = received[1]
        send(out, {}, [run(values).astype(np.float32, copy=False)])
    return 0


if __name__ == "__main__":
    sys.exit(main())

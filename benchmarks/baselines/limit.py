"""What the machine can do at best: the towers alone on ready input.

`python limit.py image ARTIFACT THREADS BATCH SECONDS`: the image tower in onnxruntime on batches that are
ready in memory, with the options that suit it best. `python limit.py text ARTIFACT THREADS`: the text
tower on one text. Both print JSON.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import onnxruntime

from imgqd.models.artifact import open_artifact
from imgqd.models.tokenizer import load_tokenizer


def session(path: str, threads: int, *, spin: bool = True) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    if not spin:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def image(artifact: str, threads: int, batch: int, seconds: float) -> dict[str, float]:
    """Pictures and seconds; processor seconds from a second run in which no thread spins.

    Spinning makes the first a little quicker, and would count as work in the second.
    """
    found = open_artifact(artifact)
    tower = session(found.file("image.onnx"), threads)
    side = found.preprocess.height
    generator = np.random.default_rng(1)
    pixels = generator.integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
    name = tower.get_inputs()[0].name
    tower.run(None, {name: pixels})
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        tower.run(None, {name: pixels})
        done += batch
    wall = time.perf_counter() - started
    still = session(found.file("image.onnx"), threads, spin=False)
    still.run(None, {name: pixels})
    used, rounds = time.process_time(), max(2, done // batch // 2)
    for _ in range(rounds):
        still.run(None, {name: pixels})
    cpu = (time.process_time() - used) / (rounds * batch) * done
    return {"pictures": done, "seconds": wall, "cpu_seconds": cpu}


def text(artifact: str, threads: int) -> dict[str, float]:
    """Milliseconds of one text, ready as tokens and as short as the daemon would cut them."""
    found = open_artifact(artifact)
    tower = session(found.file("text.onnx"), threads)
    tokenizer = load_tokenizer(found.path, found.manifest["tokenizer"])
    tokens = tokenizer(["a dog runs across the grass"])
    if found.manifest["text"]["cut"]:
        tokens = tokens[:, : int((tokens != tokenizer.pad).sum())]
    name = tower.get_inputs()[0].name
    times = []
    for _ in range(30):
        started = time.perf_counter()
        tower.run(None, {name: tokens})
        times.append((time.perf_counter() - started) * 1e3)
    return {"text_ms": sorted(times)[15]}


if __name__ == "__main__":
    task, where, threads, *rest = sys.argv[1:]
    if task == "image":
        batch, seconds = rest
        answer = image(where, int(threads), int(batch), float(seconds))
    else:
        answer = text(where, int(threads))
    print(json.dumps(answer))

"""The torch path on a GPU: the tower alone, end to end from JPEGs, and how near half precision is.

`python benchmarks/gpu.py --photos DIR`: needs CUDA or MPS. The tower alone on ready batches of 256; the same
pictures from disk to searchable; cosines of the device's vectors with fp32 on the CPU.
"""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from common import Figure, fresh, machine, model_of, models_dir, parser, report
from imgqd.models.build import prepare
from imgqd.models.image import ImageEncoder
from photos import photographs

BATCH = 256


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--photos", metavar="DIR", help="real photographs to make them from")
    options.add_argument("--count", type=int, default=20_000)
    options.add_argument("--device", default="auto", choices=("auto", "cuda", "mps"))
    args = options.parse_args()
    before, cores = machine(), os.cpu_count() or 1
    artifact = prepare(model_of(args), models_dir(args))
    side = artifact.preprocess.height
    pixels = np.random.default_rng(1).integers(0, 256, (BATCH, side, side, 3), dtype=np.uint8)
    given: dict[str, Any] = {"threads": cores, "idle_unload_s": 600, "batch": BATCH, "nice": 0}
    on_gpu = ImageEncoder(artifact, device=args.device, **given)
    fast = on_gpu.encode(pixels)
    if on_gpu.device == "cpu":
        on_gpu.close()
        raise SystemExit("there is no GPU here that torch can use; nothing was measured")
    device = on_gpu.device
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < 10:
        on_gpu.encode(pixels)
        done += BATCH
    alone = done / (time.perf_counter() - started)
    on_gpu.close()
    on_cpu = ImageEncoder(artifact, device="cpu", **{**given, "batch": 16})
    cosines = np.einsum("ij,ij->i", fast, on_cpu.encode(pixels))
    on_cpu.close()
    photos = photographs(args.work, args.count, (500, 375), args.photos)
    warm = photographs(args.work, 2 * BATCH, (400, 300), args.photos)
    with fresh(args, model=model_of(args), device=args.device, idle_unload_s=600) as running:
        running.start()
        running.client.watch(warm)
        running.client.sync()
        started = time.perf_counter()
        running.client.watch(photos)
        running.client.sync()
        whole = args.count / (time.perf_counter() - started)
    figures = [
        Figure(f"500 x 375 end to end, {cores} cores", whole, "/s", 1500.0, False, device),
        Figure("against the tower alone", whole / alone, "of its rate", 0.0, False),
        Figure("cosine with fp32, least", float(cosines.min()), "", 0.999, False),
    ]
    report(
        args, figures, {"device": device, "tower_per_s": alone, "end_to_end_per_s": whole}, before
    )


if __name__ == "__main__":
    main()

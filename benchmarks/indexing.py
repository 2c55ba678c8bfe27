"""Pictures a second from files on disk to searchable, beside the tower alone, a naive program and rclip.

`python benchmarks/indexing.py --photos DIR`: small (500 x 375) and 12-megapixel JPEGs. The four take turns,
`--rounds` times, all at the same priority (setting `nice` 0). Processor time is told as well: where
others use the machine, it is what can be compared.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from baselines import rclip
from common import (
    Figure,
    Running,
    cpu_seconds,
    fresh,
    machine,
    model_of,
    models_dir,
    parser,
    random_model,
    report,
)
from imgqd.models.build import prepare
from peers import ask_rclip
from photos import photographs

HERE = os.path.dirname(os.path.abspath(__file__))
SIZES = {"500 x 375": (500, 375), "12 megapixels": (4000, 3000)}
# Against the tower alone, against naive.
TARGETS = {"500 x 375": (0.90, 1.6), "12 megapixels": (0.65, 3.3)}


@dataclass(frozen=True, slots=True)
class Rate:
    """Pictures, the seconds they took and the processor seconds of all processes."""

    pictures: float
    seconds: float
    cpu: float

    @property
    def per_s(self) -> float:
        return self.pictures / self.seconds

    @property
    def cpu_ms(self) -> float:
        return self.cpu / self.pictures * 1e3


def tower(artifact: str) -> Rate:
    """The image tower on ready batches."""
    cores = str(os.cpu_count() or 1)
    command = [sys.executable, os.path.join(HERE, "baselines", "limit.py"), "image"]
    done = subprocess.run(
        [*command, artifact, cores, "16", "4"], stdout=subprocess.PIPE, check=True
    )
    found = json.loads(done.stdout)
    return Rate(found["pictures"], found["seconds"], found["cpu_seconds"])


def ours(running: Running, photos: str) -> Rate:
    """A folder is watched and waited for; everything is warm and the library otherwise empty."""
    count = len(os.listdir(photos))
    before, started = cpu_seconds(running.pid), time.perf_counter()
    running.client.watch(photos)
    running.client.sync()
    took = time.perf_counter() - started
    used = cpu_seconds(running.pid) - before
    assert running.client.status()["pictures"] >= count
    return Rate(count, took, used)


def one_run(args: Any, spec: str, photos: str, warm: str) -> Rate:
    """A daemon of its own, warmed with other pictures."""
    with fresh(args, model=spec, idle_unload_s=300, nice=0) as running:
        running.start()
        running.client.watch(warm)
        running.client.sync()
        # Encoding the phrases it compares with belongs to a model's first start; this waits for it.
        running.client.search("warm", relevant=True, timeout=60)
        return ours(running, photos)


def naive(model: str, photos: str) -> Rate:
    """One picture at a time, in torch. The loading of the model does not count."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, os.path.join(HERE, "baselines", "naive.py"), "index"]
        done = subprocess.run(
            [*command, model, photos, out],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        )
    found = json.loads(done.stdout)
    return Rate(found["pictures"], found["seconds"], found["cpu_seconds"])


def rclip_rate(work: str, photos: str) -> Rate:
    """`rclip` over the folder; what it takes when nothing is left to do is taken off."""
    database = os.path.join(rclip.prepare(work), "db.sqlite3")
    if os.path.exists(database):
        os.unlink(database)
    full, nothing = (ask_rclip(work, photos, "warm") for _ in range(2))
    count = len(os.listdir(photos))
    return Rate(count, full.wall - nothing.wall, full.cpu - nothing.cpu)


def subset(work: str, photos: str, count: int) -> str:
    """The first `count` of a folder, in a folder of their own."""
    out = f"{photos}-first-{count}"
    if not os.path.exists(out):
        os.makedirs(out)
        for name in sorted(os.listdir(photos))[:count]:
            shutil.copy(os.path.join(photos, name), out)
    return out


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--photos", metavar="DIR", help="real photographs to make them from")
    options.add_argument("--small", type=int, default=600)
    options.add_argument("--large", type=int, default=60)
    options.add_argument("--rounds", type=int, default=2)
    args = options.parse_args()
    before = machine()
    spec = model_of(args)
    artifact = prepare(spec, models_dir(args)).path
    model = spec.removeprefix("local-dir:")
    folders = {
        name: photographs(args.work, count, SIZES[name], args.photos)
        for name, count in zip(SIZES, (args.small, args.large), strict=True)
    }
    warm = photographs(args.work, 32, (400, 300), args.photos)
    details: dict[str, Any] = {}
    figures: list[Figure] = []
    for name, photos in folders.items():
        few = subset(args.work, photos, max(20, args.large // 3))
        runs: dict[str, Callable[[], Rate]] = {
            "tower alone": lambda: tower(artifact),
            "imgq": lambda photos=photos: one_run(args, spec, photos, warm),  # type: ignore[misc]
            "naive": lambda few=few: naive(model, few),  # type: ignore[misc]
        }
        found = turns(runs, args.rounds)
        details[name] = told(found)
        figures += compare(name, found)
    if rclip.program() is not None and args.model is None:
        same = random_model(args.work, rclip.ARCH)
        photos = folders["500 x 375"]
        found = turns(
            {
                "imgq": lambda: one_run(args, same, photos, warm),
                "rclip": lambda: rclip_rate(args.work, photos),
            },
            args.rounds,
        )
        details[f"500 x 375, {rclip.ARCH}"] = told(found)
        ratio, _ = ratios(found["imgq"], found["rclip"])
        figures.append(
            Figure(f"500 x 375 against rclip, both {rclip.ARCH}", ratio, "times", 1.0, False)
        )
    report(args, figures, details, before)


def turns(runs: dict[str, Callable[[], Rate]], rounds: int) -> dict[str, list[Rate]]:
    """Everything once, then everything again."""
    found: dict[str, list[Rate]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            found[name].append(run())
            rate = found[name][-1]
            print(
                f"{name}: {rate.per_s:.1f}/s, {rate.cpu_ms:.0f} ms of processor time a picture",
                file=sys.stderr,
            )
    return found


def told(found: dict[str, list[Rate]]) -> dict[str, Any]:
    return {
        name: {
            "pictures_per_s": [round(rate.per_s, 2) for rate in rates],
            "cpu_ms_per_picture": [round(rate.cpu_ms, 1) for rate in rates],
        }
        for name, rates in found.items()
    }


def ratios(one: list[Rate], other: list[Rate]) -> tuple[float, float]:
    """How many times as fast: by the clock, and by processor time (medians)."""
    by_clock = statistics.median(r.per_s for r in one) / statistics.median(r.per_s for r in other)
    by_cpu = statistics.median(r.cpu_ms for r in other) / statistics.median(r.cpu_ms for r in one)
    return by_clock, by_cpu


def compare(name: str, found: dict[str, list[Rate]]) -> list[Figure]:
    """Against the tower and naive. Processor time is compared with the tower only: what naive's
    OpenMP threads spend on spinning would be counted as its work."""
    share, times = TARGETS[name]
    rate = statistics.median(r.per_s for r in found["imgq"])
    to_tower, by_cpu = ratios(found["imgq"], found["tower alone"])
    to_naive, _ = ratios(found["imgq"], found["naive"])
    note = f"{rate:.1f} pictures/s"
    if to_tower > 1.0:
        # It contains the tower: others took the machine while the tower ran alone.
        note += "; impossible, the machine was busy: not to be relied on"
    what = f"{name} against tower alone"
    return [
        Figure(what, to_tower, "of its rate", share, False, note),
        Figure(f"{what}, by processor time", by_cpu, "of its rate", share, False),
        Figure(f"{name} against naive", to_naive, "times its rate", times, False),
    ]


if __name__ == "__main__":
    main()

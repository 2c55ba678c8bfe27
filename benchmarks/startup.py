"""How soon a daemon that is started is useful, and a photo that lands can be found.

`python benchmarks/startup.py`: a restart on 100,000 unchanged files until `sync` agrees; the start to the first
answer with 1,000,000 vectors; the time from a photo's arrival in a watched folder to its being an
answer, with everything warm, beside the settle time that is waited on purpose. Starts are the median of
three after a first one that does not count.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from typing import Any

from common import Figure, Running, cpu_seconds, fresh, machine, middle, model_of, parser, report
from library import library
from photos import photographs


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--files", type=int, default=100_000)
    options.add_argument("--vectors", type=int, default=1_000_000)
    options.add_argument("--arrivals", type=int, default=20)
    options.add_argument("--photos", metavar="DIR", help="real photographs for the arrivals")
    args = options.parse_args()
    before = machine()
    details: dict[str, Any] = {}
    figures = [
        *restart(args, args.files, details, in_sync=True),
        *restart(args, args.vectors, details, in_sync=False),
        *arrivals(args, details),
    ]
    report(args, figures, details, before)


def restart(args: Any, count: int, details: dict[str, Any], *, in_sync: bool) -> list[Figure]:
    """Three starts; the first also warms the disk cache and does not count."""
    running = Running(library(args, count), args, model=model_of(args))
    answers, syncs, used = [], [], []
    for _ in range(4):
        started = time.perf_counter()
        try:
            answers.append(running.start())
            if in_sync:
                assert running.client.sync()["in_sync"]
            syncs.append(time.perf_counter() - started)
            used.append(cpu_seconds(running.pid))
        finally:
            running.stop()
    details[f"{count} files"] = {
        "first_answer_s": answers,
        "in_sync_s" if in_sync else "s": syncs,
        "cpu_s": used,
    }
    what = f"restart on {count:,} unchanged files to in sync"
    if not in_sync:
        what, syncs = f"start to first answer, {count:,} vectors", answers
    return [
        Figure(what, statistics.median(syncs[1:]), "s", 10.0 if in_sync else 3.0),
        Figure(
            f"{what}, processor time", statistics.median(used[1:]), "s", 10.0 if in_sync else 3.0
        ),
    ]


def arrivals(args: Any, details: dict[str, Any]) -> list[Figure]:
    """Photos copied in one by one; each is looked for until it is found."""
    photos = photographs(args.work, args.arrivals + 2, (2000, 1500), args.photos)
    times = []
    with (
        tempfile.TemporaryDirectory(prefix="arrivals-", dir=args.work) as watched,
        fresh(args, model=model_of(args), idle_unload_s=600) as running,
    ):
        running.start(watched)
        settle = next(
            int(row["value"])
            for row in running.client.config()["settings"]
            if row["name"] == "settle_ms"
        )
        for number, name in enumerate(sorted(os.listdir(photos))):
            shutil.copy(os.path.join(photos, name), watched)
            landed = time.perf_counter()
            while running.client.status()["pictures"] <= number:
                time.sleep(0.02)
            # The first two warm the encoder and the decoders.
            if number >= 2:
                times.append(time.perf_counter() - landed)
            time.sleep(0.3)
    found = middle(times)
    details["arrivals"] = {"settle_ms": settle, "s": times}
    note = f"of which {settle} ms are waited on purpose"
    share = settle / 1000 / found["median"]
    return [
        Figure("a photo lands to searchable, median", found["median"], "s", 1.0, note=note),
        Figure("of that the settle time", share, "of it", 0.5, at_most=False),
    ]


if __name__ == "__main__":
    main()

"""Memory: of the idle daemon, and of all its processes together while it indexes.

`python benchmarks/memory.py`: RSS of the daemon with 100,000 pictures after questions, with ViT-B-32 and with the
built-in model, each after a start that makes the index anew and after one that reads it; then PSS of daemon, decoders
and encoder, sampled while pictures are indexed.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from argparse import Namespace
from typing import Any

from common import Figure, Running, fresh, machine, model_of, parser, pss, report, rss
from library import library
from photos import photographs
from query import questions

IDLE_S = 5.0


def idle(args: Any, count: int, model: str, *, anew: bool) -> float:
    """MB resident after questions and a pause; `anew`: the index is lost before the start."""
    wanted = Namespace(**{**vars(args), "model": model})
    home = library(wanted, count)
    if anew:
        shutil.rmtree(os.path.join(home, "index"), ignore_errors=True)
    running = Running(home, wanted, model=model)
    running.start()
    try:
        running.client.sync()
        for text in questions(50):
            running.client.search(text)
        time.sleep(IDLE_S)
        return rss(running.pid) / 1e6
    finally:
        running.stop()


def indexing(args: Any, photos: str) -> list[tuple[int, float]]:
    """(pictures so far, MB of all processes together), twice a second."""
    samples: list[tuple[int, float]] = []
    with fresh(args, model=model_of(args)) as running:
        running.start()
        running.client.watch(photos)
        done = threading.Event()

        def wait() -> None:
            running.client.sync()
            done.set()

        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        while not done.wait(0.5):
            pictures = running.another().status()["pictures"]
            samples.append((pictures, pss(running.pid) / 1e6))
        waiting.join()
    return samples


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--photos", metavar="DIR", help="real photographs to make them from")
    options.add_argument("--count", type=int, default=100_000)
    options.add_argument("--index", type=int, default=2000, help="how many pictures to index")
    args = options.parse_args()
    before = machine()
    figures = [
        Figure(
            f"RSS idle, {args.count:,} pictures, {name}{', index just made anew' if anew else ''}",
            idle(args, args.count, model, anew=anew),
            "MB",
            most,
        )
        for name, model, most in (
            ("ViT-B-32", model_of(args), 350.0),
            ("built-in model", "builtin", 300.0),
        )
        for anew in (True, False)
    ]
    samples = indexing(args, photographs(args.work, args.index, (500, 375), args.photos))
    busy = [(pictures, mb) for pictures, mb in samples if pictures]
    half = len(busy) // 2
    early = max(mb for _, mb in busy[:half])
    late = max(mb for _, mb in busy[half:])
    figures += [
        Figure("PSS of all processes while indexing, most", max(early, late), "MB", 2000.0),
        Figure("the second half's most against the first half's", late / early, "times", 1.1),
    ]
    details: dict[str, Any] = {"pss_mb": [(n, round(mb, 1)) for n, mb in samples]}
    details["indexed"] = args.index
    report(args, figures, details, before)


if __name__ == "__main__":
    main()

"""After many deletions the index is made anew off to the side: how long, and what questions notice.

`python benchmarks/rebuild.py`: a daemon on a library of 1,000,000 pictures; folders are deleted, and
questions are asked before, and from the first deletion on until the index holds exactly what is left: noticing
and recording the deletions included. The library is used up by it.
"""

from __future__ import annotations

import itertools
import os
import shutil
import threading
import time
from typing import Any

import imgq
from common import Figure, Running, cpu_seconds, machine, middle, model_of, parser, report
from library import IN_A_FOLDER, library


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--count", type=int, default=1_000_000)
    options.add_argument("--share", type=float, default=0.01, help="of the folders are deleted")
    args = options.parse_args()
    before = machine()
    home = library(args, args.count)
    running = Running(home, args, model=model_of(args))
    texts = itertools.count()
    details: dict[str, Any] = {}
    alone: list[float] = []
    meanwhile: list[float] = []

    def ask(client: imgq.Client, times: list[float]) -> None:
        started = time.perf_counter()
        client.search(f"a question with the number {next(texts)}")
        times.append((time.perf_counter() - started) * 1e3)
        time.sleep(0.02)

    running.start()
    try:
        running.client.sync()
        for _ in range(50):
            ask(running.client, alone)
        photos = os.path.join(home, "photos")
        doomed = sorted(os.listdir(photos))[: max(1, int(args.share * args.count / IN_A_FOLDER))]
        left = args.count - len(doomed) * IN_A_FOLDER
        # What was made once for all benchmarks is not whole any more.
        os.unlink(os.path.join(home, "complete"))
        done = threading.Event()

        def go_on() -> None:
            client = running.another()
            while not done.is_set():
                ask(client, meanwhile)

        asking = threading.Thread(target=go_on)
        used, started = cpu_seconds(running.pid), time.perf_counter()
        asking.start()
        try:
            for name in doomed:
                shutil.rmtree(os.path.join(photos, name))
            running.client.sync()
            while running.client.status()["index"]["vectors"] > left:
                time.sleep(0.1)
        finally:
            done.set()
            asking.join()
        took = time.perf_counter() - started
        used = cpu_seconds(running.pid) - used
    finally:
        running.stop()
    details["ms"] = {"alone": middle(alone), "meanwhile": middle(meanwhile)}
    details["deleted"] = args.count - left
    ratio = details["ms"]["meanwhile"]["median"] / details["ms"]["alone"]["median"]
    what = f"{args.count:,} vectors, {args.count - left:,} deleted"
    figures = [
        Figure(f"from the first deletion to the index being right, {what}", took, "s", 20.0),
        Figure("the daemon's processor time meanwhile, questions included", used, "s", 20.0),
        Figure("question median meanwhile against before", ratio, "times", 2.0),
    ]
    report(args, figures, details, before)


if __name__ == "__main__":
    main()

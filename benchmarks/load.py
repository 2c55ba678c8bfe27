"""Many who ask at once, and questions while pictures are indexed.

`python benchmarks/load.py`: 50 connections with distinct questions on 100,000 pictures; then how long questions
take with the daemon idle and, in turns, while it indexes.
"""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

from common import Figure, Running, cpu_seconds, fresh, machine, middle, model_of, parser, report
from library import library
from photos import photographs
from query import questions


def crowd(args: Any, details: dict[str, Any]) -> list[Figure]:
    """Questions a second of `--connections` that ask without a pause, for `--seconds`."""
    running = Running(library(args, args.count), args, model=model_of(args))
    running.start()
    texts = iter(questions(1_000_000))
    lock = threading.Lock()
    times: list[float] = []
    failed: list[str] = []
    end = threading.Event()

    def ask() -> None:
        client = running.another()
        while not end.is_set():
            with lock:
                text = next(texts)
            started = time.perf_counter()
            try:
                client.search(text)
            except Exception as error:  # whatever it is, it is a failure to be counted
                with lock:
                    failed.append(repr(error))
                continue
            with lock:
                times.append(time.perf_counter() - started)

    try:
        running.client.sync()
        used, started = cpu_seconds(running.pid), time.perf_counter()
        threads = [threading.Thread(target=ask) for _ in range(args.connections)]
        for thread in threads:
            thread.start()
        time.sleep(args.seconds)
        end.set()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - started
        used = cpu_seconds(running.pid) - used
    finally:
        running.stop()
    details["crowd"] = {
        "asked": len(times),
        "failed": failed[:10],
        "ms": {key: value * 1e3 for key, value in middle(times).items()},
        "daemon_cpu_ms_per_question": used / max(1, len(times)) * 1e3,
    }
    note = f"{args.connections} connections, {args.count:,} pictures"
    cores_used = used / took
    return [
        Figure("distinct questions a second", len(times) / took, "/s", 80.0, False, note),
        Figure(
            "questions for each second of the daemon's processor time on two cores",
            len(times) / used * 2,
            "/s",
            80.0,
            False,
            f"it got {cores_used:.2f} cores",
        ),
        Figure("of them failed", float(len(failed)), "", 0.0),
    ]


def meanwhile(args: Any, details: dict[str, Any]) -> Figure:
    """The 95th percentile of questions, indexing against idle, in turns by pause and resume."""
    photos = photographs(args.work, args.index, (500, 375), args.photos)
    texts = itertools.count()
    idle: list[float] = []
    busy: list[float] = []
    with fresh(args, model=model_of(args)) as running:
        running.start()
        running.client.watch(photos)
        while running.client.status()["pictures"] < 32:
            time.sleep(0.1)
        for _ in range(args.turns):
            for times, switch in ((busy, running.client.resume), (idle, running.client.pause)):
                switch()
                time.sleep(3.0)
                for _ in range(args.asked):
                    started = time.perf_counter()
                    running.client.search(f"a question with the number {next(texts)}")
                    times.append(time.perf_counter() - started)
                    time.sleep(0.02)
            status = running.client.status()
            if not status["pending"]:
                raise SystemExit("all is indexed already: give a larger --index")
        details["left"] = status["pending"]
    told = {name: middle([t * 1e3 for t in v]) for name, v in (("idle", idle), ("indexing", busy))}
    details["meanwhile, ms"] = told
    ratio = told["indexing"]["p95"] / told["idle"]["p95"]
    note = f"{told['indexing']['p95']:.0f} ms against {told['idle']['p95']:.0f} ms"
    return Figure("questions while indexing, 95th percentile", ratio, "times idle", 3.0, note=note)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--photos", metavar="DIR", help="real photographs to make them from")
    options.add_argument("--count", type=int, default=100_000)
    options.add_argument("--connections", type=int, default=50)
    options.add_argument("--seconds", type=float, default=15.0)
    options.add_argument("--index", type=int, default=2000, help="how many pictures to index")
    options.add_argument("--turns", type=int, default=4)
    options.add_argument("--asked", type=int, default=50, help="questions in each turn")
    args = options.parse_args()
    before = machine()
    details: dict[str, Any] = {}
    figures = crowd(args, details)
    figures.append(meanwhile(args, details))
    report(args, figures, details, before)


if __name__ == "__main__":
    main()

"""How long `imgq TEXT` takes from start to exit, beside what a bare interpreter takes.

`python benchmarks/query.py --counts 100000,1000000`: a warm daemon on a library of each size, every
question another one; bare interpreter, client and library calls take turns in the same run. Also the size of the
database, `imgq --version`, what the answer took inside the daemon, and what a question takes with the naive
program, with rclip, and of the text tower alone (peers.py).
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from typing import Any

from common import (
    Figure,
    Running,
    cpu_seconds,
    machine,
    middle,
    model_of,
    models_dir,
    parser,
    report,
    timed,
)
from imgqd.models.build import prepare
from library import library
from peers import naive, rclip_question, text_tower_ms
from photos import photographs
from vectors import PHRASES

# Above a bare interpreter's start, in ms: median, 95th percentile.
LABELS = {"median": "median", "p95": "95th percentile"}
TARGETS = {100_000: (40.0, 80.0), 1_000_000: (60.0, 120.0)}

# A question to the naive program reads 200 MB of vectors at this size.
NAIVE_COUNT = 100_000


def questions(number: int) -> list[str]:
    """Texts that all differ, so that nothing is answered from a cache."""
    return [f"{PHRASES[i % len(PHRASES)]} {i // len(PHRASES) + 1}" for i in range(number)]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--counts", default="100000,1000000")
    options.add_argument("--queries", type=int, default=100)
    options.add_argument("--photos", metavar="DIR", help="real photographs for rclip's folder")
    args = options.parse_args()
    before = machine()
    figures: list[Figure] = []
    details: dict[str, Any] = {}
    for count in map(int, args.counts.split(",")):
        figures += measure(args, count, details)
    figures.append(version(args, details))
    figures += others(args, details)
    report(args, figures, details, before)


def measure(args: Any, count: int, details: dict[str, Any]) -> list[Figure]:
    home = library(args, count)
    size = os.path.getsize(os.path.join(home, "library.db")) / count
    running = Running(home, args, model=model_of(args))
    running.start()
    times: dict[str, list[float]] = {}

    def add(name: str, seconds: float) -> None:
        times.setdefault(name, []).append(seconds * 1e3)

    try:
        running.client.sync()
        running.imgq("-l", "a first question")
        for text in questions(args.queries):
            bare = timed([sys.executable, "-I", "-c", "pass"])
            add("bare interpreter", bare.wall)
            add("bare interpreter, processor time", bare.cpu)
            before = cpu_seconds(running.pid)
            whole = running.imgq("-l", text)
            add("imgq process", whole.wall)
            add("imgq process, processor time", whole.cpu)
            add("daemon for it, processor time", cpu_seconds(running.pid) - before)
            started = time.perf_counter()
            answer = running.client.search(f"{text} again")
            add("imgq.Client", time.perf_counter() - started)
            add("in the daemon", float(answer.took_ms) / 1e3)
    finally:
        running.stop()
    found = {name: middle(values) for name, values in times.items()}
    details[f"{count} pictures, ms"] = found
    means = {name: round(statistics.mean(values), 2) for name, values in times.items()}
    details[f"{count} pictures, mean ms"] = means
    whole_ms, plain = found["imgq process"], found["bare interpreter"]
    beyond = sum(means[f"{name}, processor time"] for name in ("imgq process", "daemon for it"))
    beyond -= means["bare interpreter, processor time"]
    limits = TARGETS.get(count, TARGETS[1_000_000])
    return [
        *(
            Figure(
                f"imgq TEXT, {count:,} pictures, beyond a bare interpreter, {label}",
                whole_ms[key] - plain[key],
                "ms",
                limit,
                note=f"{whole_ms[key]:.0f} ms; the interpreter alone {plain[key]:.0f} ms",
            )
            for (key, label), limit in zip(LABELS.items(), limits, strict=True)
        ),
        Figure(
            f"the same in processor time, client and daemon, {count:,} pictures, mean",
            beyond,
            "ms",
            limits[0],
        ),
        Figure(f"database, {count:,} pictures", size / 1000, "KB a picture", 1.6),
    ]


def others(args: Any, details: dict[str, Any]) -> list[Figure]:
    """Questions to other programs beside `imgq TEXT` at NAIVE_COUNT, and the text tower alone."""
    ours = details.get(f"{NAIVE_COUNT} pictures, ms", {}).get("imgq process", {}).get("median")
    if ours is None:
        return []
    spec = model_of(args)
    small = photographs(args.work, 600, (500, 375), args.photos)
    seconds = {
        f"naive, {NAIVE_COUNT:,} pictures": naive(spec.removeprefix("local-dir:"), NAIVE_COUNT),
        "rclip, 600 pictures": rclip_question(args.work, small),
    }
    alone = text_tower_ms(prepare(spec, models_dir(args)).path)
    details["others, s"], details["text tower alone, ms"] = seconds, alone
    return [
        *(
            Figure(
                f"a question to {who}",
                took * 1e3 / ours,
                "times as long",
                None,
                note=f"{took:.2f} s; imgq {ours:.0f} ms, {NAIVE_COUNT:,} pictures",
            )
            for who, took in seconds.items()
            if took is not None
        ),
        Figure("text tower alone, one text", alone, "ms", None),
    ]


def version(args: Any, details: dict[str, Any]) -> Figure:
    """`imgq --version` beside `python3 -c pass`, both with the same site-packages."""
    program = os.path.join(os.path.dirname(sys.executable), "imgq")
    plain, told = [], []
    for _ in range(args.queries):
        plain.append(timed([sys.executable, "-c", "pass"]))
        told.append(timed([program, "--version"]))
    details["version, ms"] = {
        f"{name}{label}": middle([getattr(took, kind) * 1e3 for took in found])
        for name, found in (("python3 -c pass", plain), ("imgq --version", told))
        for kind, label in (("wall", ""), ("cpu", ", processor time"))
    }
    ratio = middle([t.wall for t in told])["median"] / middle([t.wall for t in plain])["median"]
    return Figure("imgq --version against python3 -c pass", ratio, "times", 1.6)


if __name__ == "__main__":
    main()

"""Compares kinds of index: time, recall, memory and build, on the same vectors in the same run.

`python benchmarks/index_kinds.py --count 200000 --json FILE`: the kinds of the setting `index` and others
that were considered, each in a fresh process. Recall is of the best ten: among ten answers as they
come, and among the first 300 and 2,000 candidates, which an exact re-rank would put in order.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

import vectors as source
from common import machine
from imgqd.records import Vectors
from imgqd.search.index import VectorIndex
from imgqd.search.kinds import name_of
from imgqd.search.snapshot import FILE
from search_scale import load_vectors, middle

TOP = 10
CANDIDATES = (300, 2000)
KINDS = (
    "exact",
    "compact",
    "RR768,RaBitQfs",
    "RR512,RaBitQfs2",
    "SQ8",
    "SQ4",
    "PQ64x4fs",
    "IVF1024,SQ8",
    "IVF1024,RaBitQfs",
    "HNSW32",
)


def measure(options: argparse.Namespace) -> None:
    """Child: builds one kind, asks it, prints a JSON line."""
    make, queries = load_vectors(options)
    watch = {name: source.truth(asked, TOP) for name, asked in queries.items()}
    batches = list(source.batches(make, options.count, options.seed))
    for ids, batch in batches:
        for see, _ in watch.values():
            see(ids, batch)
    index = VectorIndex(options.dim, kind=options.kind, threads=options.threads)
    started, used = time.perf_counter(), time.process_time()
    index.rebuild(batches, expected=options.count)
    built, used = time.perf_counter() - started, time.process_time() - used
    answer: dict[str, Any] = {
        "kind": options.kind,
        "in_use": index.kind,
        "build_s": round(built, 2),
        "build_cpu_s": round(used, 2),
        "memory_mb": round(size_of(index) / 1e6, 1),
    }
    for name, asked in queries.items():
        answer[name] = ask(index, asked, watch[name][1]())
    print(json.dumps(answer))


def size_of(index: VectorIndex) -> int:
    """How many bytes FAISS keeps: what it writes is what it holds."""
    with tempfile.TemporaryDirectory(prefix="imgq-index-kinds-") as directory:
        index.save(directory, model_id="benchmark", library_id="benchmark")
        return os.path.getsize(os.path.join(directory, FILE))


def ask(index: VectorIndex, asked: Vectors, best: Any) -> dict[str, Any]:
    """Times and recalls, one query at a time."""
    answer: dict[str, Any] = {}
    for k in (TOP, *CANDIDATES):
        times, used, hits = [], [], 0
        for query, wanted in zip(asked, best, strict=True):
            started, busy = time.perf_counter(), time.thread_time()
            found, _ = index.search(query[None], k)
            times.append(time.perf_counter() - started)
            used.append(time.thread_time() - busy)
            hits += len(np.intersect1d(found[0], wanted))
        answer[f"ms_{k}"] = middle(times)["median"]
        answer[f"cpu_ms_{k}"] = middle(used)["median"]
        answer[f"recall_{k}"] = round(hits / (TOP * len(asked)), 4)
    return answer


def table(rows: list[dict[str, Any]]) -> str:
    """One line for each kind."""
    names = [name for name in ("pictures", "texts", "aimless") if name in rows[0]]
    head = ["kind", "build s", "MB"]
    head += [f"{n}: ms for {TOP} / {CANDIDATES[1]}" for n in names]
    head += [f"{n}: recall in {TOP} / {CANDIDATES[0]} / {CANDIDATES[1]}" for n in names]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [row["kind"], str(row["build_s"]), str(row["memory_mb"])]
        cells += [f"{row[n][f'ms_{TOP}']} / {row[n][f'ms_{CANDIDATES[1]}']}" for n in names]
        recalls = [[str(row[n][f"recall_{k}"]) for k in (TOP, *CANDIDATES)] for n in names]
        cells += [" / ".join(values) for values in recalls]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--kinds", default=" ".join(KINDS), help="separated by spaces")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--photos", help="a folder of photographs, for vectors like real ones")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--models-dir", default=os.path.join(tempfile.gettempdir(), "imgq-models"))
    parser.add_argument("--base", help="a .npz of `pictures` and `texts`, embedded before")
    parser.add_argument("--json")
    parser.add_argument("--kind", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.kind is not None:
        measure(options)
        return
    before = machine()
    with tempfile.TemporaryDirectory(prefix="imgq-index-kinds-") as work:
        if options.photos is not None:
            options.base = os.path.join(work, "base.npz")
            pictures, texts = source.embed(
                options.photos, options.models_dir, options.model, most=2000
            )
            np.savez(options.base, pictures=pictures, texts=texts)
        rows = []
        for kind in options.kinds.split():
            command = [sys.executable, os.path.abspath(__file__), "--kind", kind]
            for name in ("count", "dim", "queries", "threads", "seed"):
                command += [f"--{name}", str(getattr(options, name))]
            if options.base is not None:
                command += ["--base", options.base]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            row = json.loads(done.stdout.splitlines()[-1])
            if row["in_use"] != name_of(kind, exact=kind == "exact"):
                row["kind"] += f" ({row['in_use']})"
            rows.append(row)
            print(json.dumps(row), file=sys.stderr)
    print(table(rows))
    if options.json:
        told = {"machine": before, "count": options.count}
        with open(options.json, "w") as stream:
            json.dump({**told, "dim": options.dim, "rows": rows}, stream, indent=1)


if __name__ == "__main__":
    main()

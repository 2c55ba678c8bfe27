"""How the index and the exact re-rank do as a library grows: time, recall, memory, start, rebuild.

`python benchmarks/search_scale.py --counts 1000,10000,100000,1000000 --json FILE`: each size in fresh
processes, on a real library database, against a plain IndexFlatIP and against reading the codes
once from memory. `--photos DIR` takes vectors like real ones (the built-in model's, jittered) in
place of synthetic clusters, and asks by text as well. `--plot FILE.png` draws the growth.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from typing import Any

import faiss
import numpy as np

import vectors as source
from common import Figure, machine
from imgqd.library.store import Store
from imgqd.records import Ids, Vectors
from imgqd.search.index import VectorIndex
from imgqd.search.ranking import Ranking

TOP = 10
FLAT_MOST = 1_000_000


def rss() -> float:
    """This process's resident memory in MB."""
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def middle(times: list[float]) -> dict[str, float]:
    """Median and 95th percentile, in ms."""
    ordered = sorted(times)
    late = ordered[min(len(ordered) - 1, round(len(ordered) * 0.95))]
    return {"median": round(statistics.median(ordered) * 1e3, 2), "p95": round(late * 1e3, 2)}


def load_vectors(options: argparse.Namespace) -> tuple[source.Source, dict[str, Vectors]]:
    """The vectors to index, and queries by name."""
    seed = options.seed
    if options.base is None:
        make = source.clusters(options.dim, seed)
        aimless = source.directions(options.queries, options.dim, seed)
        return make, {"pictures": make(options.queries, 1 + 10 * seed), "aimless": aimless}
    with np.load(options.base) as stored:
        pictures = source.turned(stored["pictures"], options.dim)
        texts = source.turned(stored["texts"], options.dim)
    make = source.jittered(pictures)
    return make, {"pictures": make(options.queries, 1 + 10 * seed), "texts": texts}


def fill(options: argparse.Namespace) -> None:
    """Child: a library of `count` pictures, its index snapshot, and the true answers."""
    make, queries = load_vectors(options)
    store = Store(os.path.join(options.directory, "library.db"))
    model = store.model_id("benchmark", "benchmark", options.dim)
    watch = {name: source.truth(vectors, TOP) for name, vectors in queries.items()}
    for ids, batch in source.batches(make, options.count, options.seed):
        with store.write() as connection:
            connection.executemany(
                "INSERT INTO pictures (id, content_hash, pixel_hash, bytes, width, height, format)"
                " VALUES (?, ?, X'00', 1, 1, 1, 'jpeg')",
                ((i, hashlib.sha256(b"%d" % i).digest()) for i in ids.tolist()),
            )
            connection.executemany(
                "INSERT INTO vectors (picture_id, model_id, vector) VALUES (?, ?, ?)",
                (
                    (i, model, row.tobytes())
                    for i, row in zip(ids.tolist(), batch.astype(np.float16), strict=True)
                ),
            )
        for see, _ in watch.values():
            see(ids, batch)
    index = VectorIndex(options.dim, kind=options.kind)
    started = time.perf_counter()
    index.rebuild(store.vector_batches(model), expected=options.count)
    built = time.perf_counter() - started
    started = time.perf_counter()
    index.save(options.directory, model_id="benchmark", library_id="benchmark")
    saved = time.perf_counter() - started
    np.savez(
        os.path.join(options.directory, "truth.npz"),
        **{n: best() for n, (_, best) in watch.items()},
    )
    store.close()
    print(json.dumps({"kind": index.kind, "build_s": round(built, 2), "save_s": round(saved, 2)}))


def measure(options: argparse.Namespace) -> None:
    """Child: opens what `fill` made as the daemon does, asks, and rebuilds while it asks."""
    _, queries = load_vectors(options)
    store = Store(os.path.join(options.directory, "library.db"))
    model = store.model_id("benchmark", "benchmark", options.dim)
    best = np.load(os.path.join(options.directory, "truth.npz"))
    before = rss()
    started = time.perf_counter()
    index = VectorIndex.load(
        options.directory,
        model_id="benchmark",
        library_id="benchmark",
        dim=options.dim,
        kind=options.kind,
        threads=options.threads,
    )
    assert index is not None
    loaded = time.perf_counter() - started
    memory = rss() - before
    started = time.perf_counter()
    missing, surplus = index.reconcile(store.vector_ids(model))
    assert not len(missing) and not len(surplus)
    reconciled = time.perf_counter() - started
    answer: dict[str, Any] = {
        "memory_mb": round(memory, 1),
        "load_s": round(loaded, 3),
        "compare_ids_s": round(reconciled, 3),
    }

    def ask(query: Vectors) -> Ids:
        found: list[Ids] = []
        for ids, _ in Ranking(store, model, index, query).walk(TOP):
            found.append(ids)
            if sum(map(len, found)) >= TOP:
                break
        return np.concatenate(found)[:TOP]

    for name, asked in queries.items():
        ask(asked[0])
        alone, used, whole, hits = [], [], [], 0
        for query, wanted in zip(asked, best[name], strict=True):
            started, busy = time.perf_counter(), time.thread_time()
            index.search(query[None], 1024)
            alone.append(time.perf_counter() - started)
            used.append(time.thread_time() - busy)
            started = time.perf_counter()
            found = ask(query)
            whole.append(time.perf_counter() - started)
            hits += len(set(found.tolist()) & set(wanted.tolist()))
        answer[name] = {
            "index_ms": middle(alone),
            "index_cpu_ms": middle(used),
            "with_rerank_ms": middle(whole),
            "recall_at_10": round(hits / (TOP * len(asked)), 4),
        }

    rebuild = threading.Thread(
        target=lambda: index.rebuild(store.vector_batches(model), expected=options.count)
    )
    asked = queries["pictures"]
    meanwhile, step = [], 0
    started, busy = time.perf_counter(), time.process_time()
    rebuild.start()
    while rebuild.is_alive():
        began = time.perf_counter()
        ask(asked[step % len(asked)])
        meanwhile.append(time.perf_counter() - began)
        step += 1
        time.sleep(0.02)
    answer["rebuild_s"] = round(time.perf_counter() - started, 2)
    answer["rebuild_cpu_s"] = round(time.process_time() - busy, 2)
    answer["while_rebuilding_ms"] = middle(meanwhile) if meanwhile else None
    store.close()
    print(json.dumps(answer))


def baseline(options: argparse.Namespace) -> None:
    """Child: IndexFlatIP, what a first program uses, and reading the compact codes once."""
    make, queries = load_vectors(options)
    faiss.omp_set_num_threads(options.threads)
    answer: dict[str, Any] = {}
    codes = np.ones(max(1, options.count * max(768, options.dim) // 64), dtype=np.uint64)
    reads = []
    for _ in range(10):
        started = time.perf_counter()
        codes.max()
        reads.append(time.perf_counter() - started)
    answer["read_codes_ms"] = round(min(reads) * 1e3, 2)
    del codes
    if options.count <= FLAT_MOST:
        before = rss()
        flat = faiss.IndexFlatIP(options.dim)
        for _, batch in source.batches(make, options.count, options.seed):
            flat.add(batch)
        answer["flat_memory_mb"] = round(rss() - before, 1)
        times = []
        for query in queries["pictures"][:20]:
            started = time.perf_counter()
            flat.search(query[None], TOP)
            times.append(time.perf_counter() - started)
        answer["flat_ms"] = middle(times)
    print(json.dumps(answer))


def child(task: str, options: argparse.Namespace, count: int, directory: str) -> dict[str, Any]:
    """Runs one task in a fresh process."""
    command = [sys.executable, os.path.abspath(__file__), "--task", task, "--count", str(count)]
    command += ["--directory", directory, "--dim", str(options.dim), "--kind", options.kind]
    command += ["--queries", str(options.queries), "--threads", str(options.threads)]
    command += ["--seed", str(options.seed)]
    if options.base is not None:
        command += ["--base", options.base]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def table(rows: list[dict[str, Any]]) -> str:
    """One line for each size."""
    names = [name for name in ("pictures", "texts", "aimless") if name in rows[0]]
    head = ["vectors", "kind", "MB", "load s", "build s", "rebuild s", "asked meanwhile ms"]
    for name in names:
        head += [f"index ms ({name})", f"with re-rank ms ({name})", f"recall@10 ({name})"]
    head += ["flat fp32 ms", "read codes ms"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        meanwhile = row["while_rebuilding_ms"]
        cells: list[object] = [f"{row['count']:,}", row["kind"], row["memory_mb"], row["load_s"]]
        cells += [row["build_s"], row["rebuild_s"], meanwhile["median"] if meanwhile else "-"]
        for name in names:
            found = row[name]
            index_ms, whole = found["index_ms"], found["with_rerank_ms"]
            cells += [f"{index_ms['median']} / {index_ms['p95']}"]
            cells += [f"{whole['median']} / {whole['p95']}", found["recall_at_10"]]
        flat = row.get("flat_ms")
        cells += [flat["median"] if flat else "-", row["read_codes_ms"]]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def figures(rows: list[dict[str, Any]], vectors: str) -> list[Figure]:
    """What the targets are about: a million, and ten million measured or computed from five."""
    found = []
    for row in rows:
        if row["count"] not in (1_000_000, 5_000_000, 10_000_000):
            continue
        times = 2 if row["count"] == 5_000_000 else 1
        count = row["count"] * times
        note = "computed from 5,000,000" if times == 2 else ""
        large = count > 1_000_000
        what = f"index alone, {count:,} x {row['dim']}, {vectors}"
        asked, clock = row["pictures"], row["pictures"]["index_ms"]["median"]
        used = asked["index_cpu_ms"]["median"]
        found += [
            Figure(f"{what}: time", clock * times, "ms", 120.0 if large else 15.0, note=note),
            Figure(f"{what}: processor time", used * times, "ms", 0.0, note=note),
            Figure(
                f"{what}: memory",
                row["memory_mb"] * times,
                "MB",
                1200.0 if large else 150.0,
                note=note,
            ),
        ]
        for name in ("pictures", "texts", "aimless"):
            if name in row:
                label = (
                    "recall at 10" if name == "pictures" else f"recall at 10, {name} as questions"
                )
                found.append(Figure(f"{what}: {label}", row[name]["recall_at_10"], "", 0.99, False))
        if count == 1_000_000:
            made = f"index made anew from the library, {count:,}, {vectors}"
            found.append(Figure(made, row["rebuild_s"], "s", 20.0))
            found.append(
                Figure(
                    f"{made}: processor time, questions included", row["rebuild_cpu_s"], "s", 0.0
                )
            )
    return found


def plot(rows: list[dict[str, Any]], path: str) -> None:
    """Memory, query, start and rebuild over the number of vectors, on logarithmic axes."""
    try:
        from matplotlib import pyplot
    except ImportError:
        sys.exit("--plot needs matplotlib: pip install matplotlib")

    counts = [row["count"] for row in rows]
    panels = {
        "memory of the index, MB": [row["memory_mb"] for row in rows],
        "query with re-rank, ms": [row["pictures"]["with_rerank_ms"]["median"] for row in rows],
        "start: load and compare, s": [row["load_s"] + row["compare_ids_s"] for row in rows],
        "rebuild, s": [row["rebuild_s"] for row in rows],
    }
    figure, axes = pyplot.subplots(2, 2, figsize=(9, 6))
    for axis, (title, values) in zip(axes.flat, panels.items(), strict=True):
        axis.loglog(counts, [max(value, 1e-3) for value in values], marker="o")
        axis.set_title(title)
        axis.set_xlabel("vectors")
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--counts", default="1000,10000,100000,1000000")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--kind", default="auto")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--seed", type=int, default=2, help="1 is for choosing constants, others for figures"
    )
    parser.add_argument("--photos", help="a folder of photographs, for vectors like real ones")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--models-dir", default=os.path.join(tempfile.gettempdir(), "imgq-models"))
    parser.add_argument("--base", help="a .npz of `pictures` and `texts`, embedded before")
    parser.add_argument("--work", help="where databases are made (1.3 KB a vector)")
    parser.add_argument("--json")
    parser.add_argument("--plot")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--directory", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.task is not None:
        {"fill": fill, "measure": measure, "baseline": baseline}[options.task](options)
        return
    before = machine()
    work = tempfile.mkdtemp(prefix="imgq-search-scale-", dir=options.work)
    rows = []
    try:
        if options.photos is not None:
            options.base = os.path.join(work, "base.npz")
            pictures, texts = source.embed(
                options.photos, options.models_dir, options.model, most=2000
            )
            np.savez(options.base, pictures=pictures, texts=texts)
        for count in map(int, map(float, options.counts.split(","))):
            directory = os.path.join(work, str(count))
            os.mkdir(directory)
            row: dict[str, Any] = {"count": count, "dim": options.dim}
            for task in ("fill", "measure", "baseline"):
                row |= child(task, options, count, directory)
            rows.append(row)
            shutil.rmtree(directory)
            print(json.dumps(row), file=sys.stderr)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(table(rows))
    if options.plot:
        plot(rows, options.plot)
    if options.json:
        vectors = "clusters" if options.photos is None else "jittered pictures"
        told = {
            "machine": {**before, "load_after": [round(value, 1) for value in os.getloadavg()]},
            "figures": [{**asdict(f), "holds": f.holds} for f in figures(rows, vectors)],
            "rows": rows,
        }
        with open(options.json, "w") as stream:
            json.dump(told, stream, indent=1)
            stream.write("\n")


if __name__ == "__main__":
    main()

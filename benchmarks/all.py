"""Every benchmark, one after the other, and the tables of docs/performance.md and README from what they say.

`python benchmarks/all.py --photos DIR`: some two hours on two cores; nothing else should run on the machine.
`--only NAME` runs some of them. What fails is named in the end, and its last results stay.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

import tables
from common import RESULTS

HERE = os.path.dirname(os.path.abspath(__file__))
GROWTH = os.path.join(tables.ROOT, "docs", "growth.png")


def runs(args: argparse.Namespace) -> dict[str, list[str]]:
    """Name of the results -> script and options, in the order they run in."""
    photos = ["--photos", args.photos] if args.photos else []
    work = ["--work", args.work] if args.work else []
    listed = {
        "indexing": ["indexing.py", *photos, *work, "--rounds", "3"],
        "query": ["query.py", *photos, *work],
        "load": ["load.py", *photos, *work],
        "startup": ["startup.py", *photos, *work],
        "memory": ["memory.py", *photos, *work, "--index", "10000"],
        # The last on the library of a million: it takes pictures away.
        "rebuild": ["rebuild.py", *work],
        "search_scale": ["search_scale.py", "--counts", args.counts, "--plot", GROWTH],
        "index_kinds": ["index_kinds.py"],
        "quantised": ["quantised.py", *photos, *work],
    }
    if args.photos:
        listed["search_photos"] = [
            "search_scale.py",
            *photos,
            "--dim",
            "898",
            "--counts",
            "1000000",
        ]
        listed["kinds_photos"] = ["index_kinds.py", *photos, "--dim", "898"]
    return listed


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--photos", metavar="DIR", help="a folder of real photographs")
    options.add_argument("--work", help="models and libraries, kept between runs")
    options.add_argument("--counts", default="1000,10000,100000,1000000,10000000")
    options.add_argument("--only", nargs="+", metavar="NAME")
    args = options.parse_args()
    failed = []
    for name, command in runs(args).items():
        if args.only and name not in args.only:
            continue
        print(f"\n== {name}", flush=True)
        started = time.monotonic()
        script, *words = command
        words += ["--json", os.path.join(RESULTS, f"{name}.json")]
        done = subprocess.run([sys.executable, os.path.join(HERE, script), *words], check=False)
        print(f"({(time.monotonic() - started) / 60:.0f} min)", flush=True)
        if done.returncode:
            failed.append(name)
    tables.write()
    if failed:
        raise SystemExit(f"failed, and not in the tables anew: {', '.join(failed)}")


if __name__ == "__main__":
    main()

"""How long filters and facets take, with TEXT and without, on a library with metadata in every row.

`python benchmarks/filters.py --counts 100000 --model builtin`: a warm daemon, each filter asked in
turn through the client. The figure is the processor time that the daemon uses for a question, which
other work on the machine does not lengthen; `took_ms` and how many pass are told as well.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import numpy as np

from common import Figure, Running, cpu_seconds, machine, middle, model_of, parser, report
from imgqd.library.store import Store
from library import library

# In ms: as long as a plain question may take, and a moment for counts.
TARGET_FILTER_MS, TARGET_FACETS_MS = 80.0, 500.0
ROUNDS = 10
YEARS = (2008, 2024)
CAMERAS = ("Canon EOS R5", "Google Pixel 7", "Apple iPhone 13 Pro", "NIKON Z 6", "SONY ILCE-7M3")
LABELS = ("food", "mountain", "dog", "people", "street", "flower", "boat", "night")
WORDS = ("harbour", "fog", "birthday", "anna", "goat", "market", "snow", "bridge")
FILTERS: dict[str, dict[str, Any]] = {
    "--after 2023-11 (2 months)": {"after": "2023-11"},
    "--after 2015 --before 2016": {"after": "2015", "before": "2016"},
    "--after '2 hours ago' (none)": {"after": "2 hours ago"},
    "--camera pixel (a sixth)": {"camera": "pixel"},
    "--camera leica (none)": {"camera": "leica"},
    "--near 50 km (few)": {"near": [-33.9, 18.4, 50]},
    "--type png (a twentieth)": {"types": ["png"]},
    "--type raw (none)": {"types": ["raw"]},
    "--tag holiday (one in 50)": {"tags": ["holiday"]},
    "--where print=A4 (one in 500)": {"where": [{"key": "print", "value": "A4"}]},
    "--where keyword=goat": {"where": [{"key": "keyword", "value": "goat"}]},
    "--rating 4": {"rating": 4},
    "--text 'anna harb*'": {"words": "anna harb*"},
    "--category dog": {"category": "dog"},
    "--min-size 5000x0 (a tenth)": {"min_size": [5000, 0]},
    "--orientation portrait (half)": {"orientation": "portrait"},
    "all of them": {
        "after": "2010", "camera": "pixel", "types": ["jpeg"], "rating": 1, "category": "dog",
        "orientation": "portrait",
    },
}  # fmt: skip


def describe(home: str, count: int) -> None:
    """Gives every picture of a library of library.py metadata, once."""
    done = os.path.join(home, "described")
    if os.path.exists(done):
        return
    random = np.random.default_rng(11)
    first, last = (time.mktime((year, 1, 1, 0, 0, 0, 0, 0, -1)) for year in YEARS)
    store = Store(os.path.join(home, "library.db"))
    rows = []
    for number in range(1, count + 1):
        width, height = (5200, 3400) if random.random() < 0.1 else (4000, 3000)
        if random.random() < 0.5:
            width, height = height, width
        camera = int(random.integers(6))
        place = random.random() < 0.6
        rows.append(
            (
                width,
                height,
                "png" if random.random() < 0.05 else "jpeg",
                random.uniform(first, last) if random.random() < 0.9 else None,
                [None, 0, 120, -480][int(random.integers(4))],
                CAMERAS[camera] if camera < 5 else None,
                random.uniform(-60, 60) if place else None,
                random.uniform(-180, 180) if place else None,
                " ".join(random.choice(WORDS, 2)) if random.random() < 0.1 else None,
                json.dumps(random.choice(WORDS, 2).tolist()) if random.random() < 0.1 else None,
                int(random.integers(-1, 6)) if random.random() < 0.1 else None,
                number,
            )
        )
    with store.write() as connection:
        connection.executemany(
            "UPDATE pictures SET width = ?, height = ?, format = ?, taken = ?, taken_offset = ?,"
            " camera = ?, latitude = ?, longitude = ?, title = ?, keywords = ?, rating = ?"
            " WHERE id = ?",
            rows,
        )
        connection.executemany(
            "INSERT OR IGNORE INTO tags VALUES (?, 'holiday')", [(n,) for n in range(1, count, 50)]
        )
        connection.executemany(
            "INSERT OR IGNORE INTO fields VALUES (?, 'print', 'A4')",
            [(n,) for n in range(1, count, 500)],
        )
        connection.executemany(
            "INSERT OR IGNORE INTO labels (label) VALUES (?)", [(label,) for label in LABELS]
        )
        connection.execute(
            "INSERT OR REPLACE INTO categories SELECT p.id, l.id FROM pictures p JOIN labels l"
            " ON l.id = p.id % (SELECT count(*) FROM labels) + 1"
        )
    store.close()
    with open(done, "w"):
        pass


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--counts", default="100000")
    args = options.parse_args()
    args.work = os.path.join(args.work, "filters")
    before = machine()
    figures: list[Figure] = []
    details: dict[str, Any] = {}
    for count in map(int, args.counts.split(",")):
        figures += measure(args, count, details)
    report(args, figures, details, before)


def measure(args: Any, count: int, details: dict[str, Any]) -> list[Figure]:
    home = library(args, count)
    describe(home, count)
    running = Running(home, args, model=model_of(args), categories=os.pathsep.join(LABELS))
    running.start()
    asked: dict[str, dict[str, Any]] = {"no filter": {}, **FILTERS}
    figures = []
    try:
        running.client.sync()
        for name, filters in asked.items():
            ways = {
                f"{name}": lambda f=filters: running.client.ask({"terms": [], "top": 10, **f}),
                f"{name}, with TEXT": lambda f=filters: running.client.ask(
                    {"terms": [{"text": "a boat in the harbour"}], "top": 10, **f}
                ),
                f"{name}, --facets": lambda f=filters: running.client.facets({"terms": [], **f}),
            }
            for way, ask in ways.items():
                took = []
                ask()
                used = cpu_seconds(running.pid)
                for _ in range(ROUNDS):
                    answer = ask()
                    raw = answer if isinstance(answer, dict) else answer.raw
                    took.append(float(raw["took_ms"]))
                each_ms = (cpu_seconds(running.pid) - used) / ROUNDS * 1e3
                facets = way.endswith("--facets")
                note = f"{raw['total']:,} pass" if facets else ""
                target = TARGET_FACETS_MS if facets else TARGET_FILTER_MS
                figures.append(Figure(f"{count:,}: {way}", each_ms, "ms", target, note=note))
                details[f"{count} {way}"] = {"took_ms": middle(took), "cpu_ms": each_ms}
    finally:
        running.stop()
    return figures


if __name__ == "__main__":
    main()

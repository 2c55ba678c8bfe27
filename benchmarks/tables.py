"""The tables of docs/performance.md and README from the JSON in results/: nothing is typed by hand.

`python benchmarks/tables.py` writes them between their marks; tests/unit/test_benchmark_tables.py
tells when they are not what the JSON says.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
RESULTS = os.path.join(HERE, "results")
DOCUMENTS = ("docs/performance.md", "README.md")
ORDER = (
    "query",
    "search_scale",
    "search_photos",
    "indexing",
    "startup",
    "memory",
    "rebuild",
    "load",
)
# What README shows: the beginnings of lines.
BRIEF = (
    "imgq TEXT",
    "index alone, 1,000,000 x 512",
    "500 x 375 against naive",
    "12 megapixels against naive",
    "a photo lands to searchable",
    "RSS idle",
    "start to first answer, 1,000,000 vectors",
    "distinct questions a second",
    "a question to",
)


def results(name: str) -> dict[str, Any] | None:
    """What a benchmark wrote last; None when it has not run."""
    try:
        with open(os.path.join(RESULTS, f"{name}.json"), encoding="utf-8") as stream:
            found: dict[str, Any] = json.load(stream)
    except FileNotFoundError:
        return None
    return found


def number(value: float) -> str:
    """Three digits that count, as a person writes them."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def figures(wanted: tuple[str, ...] = ()) -> str:
    """What, target, measured, holds, made by, when, at which load; lines that begin as `wanted`."""
    lines = [
        "| what | target | measured | holds | `benchmarks/` | day, load before and after |",
        "|---|---|---|---|---|---|",
    ]
    described = _machines()
    for name in ORDER:
        found = results(name)
        for figure in found["figures"] if found else ():
            what = figure["what"]
            if wanted and (not what.startswith(wanted) or "processor time" in what):
                continue
            assert found is not None
            machine = found["machine"]
            load = f"{machine['date']}, {machine['load'][0]} and {machine['load_after'][0]}"
            if len(described) > 1:
                load = f"{described[_described(machine)]}, {load}"
            lines.append("| " + " | ".join([*_cells(figure), f"`{name}`", load]) + " |")
    return "\n".join(lines)


def _cells(figure: dict[str, Any]) -> list[str]:
    unit = f" {figure['unit']}" if figure["unit"] else ""
    note = f" ({figure['note']})" if figure["note"] else ""
    measured = f"{number(figure['measured'])}{unit}{note}"
    # Processor time is told beside the clock; the issue sets no target for it.
    if figure["target"] is None or "processor" in figure["what"]:
        return [figure["what"], "", measured, ""]
    limit = "at most" if figure["at_most"] else "at least"
    holds = "yes" if figure["holds"] else "**no**"
    return [figure["what"], f"{limit} {number(figure['target'])}{unit}", measured, holds]


def growth() -> str:
    """Index memory, query, start and rebuild over the number of vectors."""
    lines = [
        "| vectors | kind | index | query in it | with re-rank | recall at 10 | the same, aimless"
        " | load and compare | made anew | IndexFlatIP | 768 bits each, read once |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    found = results("search_scale")
    for row in found["rows"] if found else ():
        asked, aimless = row["pictures"], row["aimless"]
        flat = row.get("flat_ms")
        cells = [
            f"{row['count']:,}",
            row["kind"],
            f"{number(row['memory_mb'])} MB",
            f"{number(asked['index_ms']['median'])} ms",
            f"{number(asked['with_rerank_ms']['median'])} ms",
            str(asked["recall_at_10"]),
            str(aimless["recall_at_10"]),
            f"{row['load_s'] + row['compare_ids_s']:.2f} s",
            f"{number(row['rebuild_s'])} s",
            f"{number(flat['median'])} ms" if flat else "",
            f"{number(row['read_codes_ms'])} ms",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def kinds(name: str) -> str:
    """Kinds of index on the same vectors: build, memory, time, recall among so many candidates."""
    found = results(name)
    if found is None:
        return "Not measured."
    other = "texts" if "texts" in found["rows"][0] else "aimless"
    lines = [
        f"{found['count']:,} vectors of {found['dim']} dimensions; questions like pictures /"
        f" {'texts' if other == 'texts' else 'in any direction'}.",
        "",
        "Times are processor times of one thread.",
        "",
        "| kind | build | size | ms for 2,000 | recall in 10 | in 300 | in 2,000 |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found["rows"]:
        asked = (row["pictures"], row[other])
        cells = [row["kind"], f"{number(row['build_cpu_s'])} s", f"{number(row['memory_mb'])} MB"]
        for key in ("cpu_ms_2000", "recall_10", "recall_300", "recall_2000"):
            cells.append(" / ".join(str(one[key]) for one in asked))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def machine() -> str:
    """The machines of the results, in words; each with its letter where there are several."""
    described = _machines()
    if len(described) < 2:
        return next(iter(described), "")
    return "\n".join(f"- {letter}: {words}" for words, letter in described.items())


def _machines() -> dict[str, str]:
    """Machine in words -> the letter it is called by."""
    found = [told["machine"] for told in map(results, ORDER) if told]
    words = dict.fromkeys(map(_described, found))
    return {one: chr(ord("A") + place) for place, one in enumerate(words)}


def _described(told: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in told["packages"].items())
    return (
        f"{told['cores']} cores of {told['processor']}, {told['memory_gb']} GB, {told['system']},"
        f" Python {told['python']}; {versions}."
    )


BLOCKS: dict[str, Callable[[], str]] = {
    "machine": machine,
    "figures": figures,
    "brief": lambda: figures(BRIEF),
    "growth": growth,
    "kinds": lambda: kinds("index_kinds"),
    "kinds on photos": lambda: kinds("kinds_photos"),
}


def filled(text: str) -> str:
    """`text` with every block between its marks made anew."""

    def block(match: re.Match[str]) -> str:
        return f"{match[1]}\n{BLOCKS[match[2]]()}\n{match[3]}"

    pattern = re.compile(r"(<!-- (\w[\w ]*): benchmarks/tables.py -->)\n.*?(<!-- end -->)", re.S)
    return pattern.sub(block, text)


def write() -> None:
    """Writes the tables into the documents."""
    for name in DOCUMENTS:
        path = os.path.join(ROOT, name)
        with open(path, encoding="utf-8") as stream:
            before = stream.read()
        after = filled(before)
        if after != before:
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(after)


if __name__ == "__main__":
    write()

"""The tables in the documents are what the benchmarks' JSON says."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from types import ModuleType

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    path = os.path.join(ROOT, "benchmarks", "tables.py")
    spec = importlib.util.spec_from_file_location("benchmark_tables", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["docs/performance.md", "README.md"])
def test_the_tables_are_what_the_results_say(tables: ModuleType, name: str) -> None:
    with open(os.path.join(ROOT, name), encoding="utf-8") as stream:
        text = stream.read()
    marks = re.findall(r"<!-- ([\w ]+): benchmarks/tables.py -->", text)
    assert marks and set(marks) <= set(tables.BLOCKS)
    assert tables.filled(text) == text, "run `python benchmarks/tables.py`"


def test_every_figure_of_the_results_is_in_the_table_with_what_it_holds(tables: ModuleType) -> None:
    with open(os.path.join(ROOT, "docs", "performance.md"), encoding="utf-8") as stream:
        rows = [line for line in stream if line.startswith("| ")]
    for name in tables.ORDER:
        path = os.path.join(ROOT, "benchmarks", "results", f"{name}.json")
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
        for figure in found["figures"]:
            mine = [row for row in rows if row.startswith(f"| {figure['what']} |")]
            assert len(mine) == 1, figure["what"]
            if "processor" in figure["what"] or figure["target"] is None:
                assert mine[0].split(" | ")[1].strip() == ""
            else:
                missed = figure["measured"] > figure["target"]
                held = (figure["measured"] == figure["target"]) or missed != figure["at_most"]
                assert ("**no**" not in mine[0]) == held


def test_a_table_that_was_typed_is_replaced(tables: ModuleType) -> None:
    text = "before\n<!-- figures: benchmarks/tables.py -->\n| typed |\n<!-- end -->\nafter\n"
    filled = tables.filled(text)
    assert "typed" not in filled
    assert filled.startswith("before\n<!-- figures") and filled.endswith("<!-- end -->\nafter\n")

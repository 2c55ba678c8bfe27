"""The page's modules that need no browser, tested by node."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from imgqd.api.events import KINDS

ROOT = Path(__file__).parents[2]
TESTS = sorted((ROOT / "tests/web/unit").glob("*.test.mjs"))
SCRIPTS = sorted((ROOT / "daemon/imgqd/web/static/js").rglob("*.js"))


@pytest.fixture(scope="module")
def node() -> str:
    """The node that Playwright brings: there wherever the tests' packages are."""
    playwright = pytest.importorskip("playwright", reason="Playwright is not installed here")
    found = shutil.which("node", path=os.path.join(os.path.dirname(playwright.__file__), "driver"))
    assert found is not None
    return found


def test_modules_do_what_their_tests_say(node: str) -> None:
    assert TESTS
    ran = subprocess.run(
        [node, "--test", *map(str, TESTS)], capture_output=True, text=True, cwd=ROOT, timeout=300
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_script_can_be_read(node: str) -> None:
    for script in SCRIPTS:
        read = subprocess.run([node, "--check", script], capture_output=True, text=True, timeout=60)
        assert read.returncode == 0, read.stderr


def test_the_page_hears_of_every_kind_of_event() -> None:
    script = (ROOT / "daemon/imgqd/web/static/js/api.js").read_text()
    listed = re.search(r"const KINDS = \[(.*?)\]", script, re.DOTALL)
    assert listed is not None
    assert set(re.findall(r'"([^"]+)"', listed[1])) == set(KINDS)

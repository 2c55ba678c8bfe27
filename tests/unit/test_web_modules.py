"""What runs in the browser, as far as it needs none: its modules, tested by node, and what is built of them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from imgqd.api.events import KINDS

ROOT = Path(__file__).parents[2]
TESTS = sorted((ROOT / "tests/web/unit").glob("*.test.mjs"))
SOURCES = ROOT / "daemon/imgqd/web/browser"
BUILT = ROOT / "daemon/imgqd/web/static"
SCRIPTS = sorted((SOURCES / "js").rglob("*.js"))


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
    script = (SOURCES / "js/api.js").read_text()
    listed = re.search(r"const KINDS = \[(.*?)\]", script, re.DOTALL)
    assert listed is not None
    assert set(re.findall(r'"([^"]+)"', listed[1])) == set(KINDS)


def test_what_is_served_was_built_from_these_sources() -> None:
    """Says so without node: `npm run build` was forgotten, or what it made was changed by hand."""
    listed = (BUILT / "sources.sha256").read_text()
    made_from = dict(line.split("  ", 1)[::-1] for line in listed.splitlines())
    there = {
        path.relative_to(SOURCES).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in SOURCES.rglob("*")
        if path.is_file() and "node_modules" not in path.parts
    }
    assert made_from == there


def test_a_build_gives_what_is_served(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed here")
    place = tmp_path / "browser"
    shutil.copytree(SOURCES, place, ignore=shutil.ignore_patterns("node_modules"))
    command = [npm, "ci", "--no-audit", "--no-fund"]
    try:
        subprocess.run(command, check=True, capture_output=True, cwd=place, timeout=120)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"npm could not install: {(error.stderr or b'')[-300:]!r}")
    subprocess.run([npm, "run", "build"], check=True, capture_output=True, cwd=place, timeout=120)
    made = {path.name: path.read_bytes() for path in (tmp_path / "static").iterdir()}
    assert made == {path.name: path.read_bytes() for path in BUILT.iterdir()}

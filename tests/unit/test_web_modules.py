"""The page's modules that need no browser, tested by node where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = sorted((ROOT / "tests/web/unit").glob("*.test.mjs"))
SCRIPTS = sorted((ROOT / "daemon/imgqd/web/static/js").rglob("*.js"))
# Set where a node has to be there: what would be skipped then fails.
NEEDED = "IMGQ_TEST_NEEDS_BROWSER"


@pytest.fixture(scope="module")
def node() -> str:
    """Node, of a version that has a test runner."""
    program = shutil.which("node")
    if program is not None:
        version = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=True, timeout=60
        ).stdout
        if int(version.lstrip("v").split(".")[0]) >= 20:
            return program
    said = "no node of version 20 or later is installed"
    if os.environ.get(NEEDED):
        pytest.fail(f"{said}, and {NEEDED} is set")
    pytest.skip(said)


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

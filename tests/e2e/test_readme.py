"""README is true: its first command does what it says, its examples run, its table is the code's."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator

import pytest

from imgqd.settings import TABLE
from tests import photographs
from tests.harness import ROOT, Home, fresh_home


def readme() -> str:
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as stream:
        return stream.read()


def block_after(marker: str) -> str:
    """The shell block that follows a marker comment."""
    found = re.search(rf"<!-- {marker} -->\n```sh\n(.*?)```", readme(), re.DOTALL)
    assert found is not None, marker
    return found.group(1)


def settings_table() -> str:
    """The table of settings as README has it."""
    lines = ["| setting | default | what it does |", "|---|---|---|"]
    for setting in TABLE:
        shown = json.dumps(setting.default) if setting.default not in ("", []) else ""
        shown = f"`{shown.strip(chr(34))}`" if shown else ""
        lines.append(f"| `{setting.name}` | {shown} | {setting.help} |".replace("  ", " "))
    return "\n".join(lines)


def test_the_table_of_settings_is_the_code_s() -> None:
    assert settings_table() in readme()


def test_the_first_command_sets_everything_up_and_answers(make_home: Callable[..., Home]) -> None:
    home = make_home(model="auto")
    home.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"
    for name in photographs.NAMES[:6]:
        photographs.save(name, home.path(f"{name}.jpg"))
    # A virtual environment that finds this one's packages, so that only imgq itself is installed:
    # everything else of the command is as a stranger types it.
    venv = os.path.join(home.directory, "venv")
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    inside = os.path.join(venv, os.path.relpath(sysconfig.get_path("purelib"), sys.prefix))
    with open(os.path.join(inside, "these.pth"), "w") as stream:
        stream.write(sysconfig.get_path("purelib") + "\n")
    command = block_after("first-command").replace("sunset over ocean", "a cat")
    source = os.path.join(home.directory, "checkout")
    shutil.copytree(
        ROOT,
        source,
        ignore=shutil.ignore_patterns(".git", ".venv*", "*cache*", "tests"),
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        env={**home.environ, "VENV": venv, "PICTURES": home.photos, "IMGQ_NO_SPAWN": ""},
        cwd=source,
        capture_output=True,
        timeout=280,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().splitlines()[0] == home.path("chelsea.jpg")


def everyday() -> list[str]:
    return [line.split("  #")[0].strip() for line in block_after("everyday").splitlines() if line]


@pytest.fixture(scope="module")
def person(models_dir: str) -> Iterator[Home]:
    """A home folder as README's examples have it, with a daemon."""
    with fresh_home(models_dir=models_dir, model="builtin", settle_ms=100) as home:
        pictures = os.path.join(home.directory, "Pictures", "2023")
        os.makedirs(pictures)
        os.makedirs(os.path.join(home.directory, "receipts"))
        for name in photographs.NAMES:
            photographs.save(name, os.path.join(pictures, f"{name}.jpg"))
        shutil.copy(
            os.path.join(pictures, "coffee.jpg"), os.path.join(home.directory, "holiday.jpg")
        )
        home.start(os.path.join(home.directory, "Pictures"))
        home.sync()
        yield home


@pytest.mark.parametrize("line", everyday())
def test_the_everyday_examples_run(person: Home, line: str) -> None:
    if "jq" in line and shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    bin_folder = os.path.dirname(sys.executable)
    done = subprocess.run(
        ["bash", "-c", line],
        env={
            **person.environ,
            "HOME": person.directory,
            "PATH": bin_folder + os.pathsep + os.environ["PATH"],
        },
        cwd=person.directory,
        capture_output=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode in (0, 1), done.stderr.decode()
    assert done.returncode == 0 or not done.stdout
    assert b"Traceback" not in done.stderr

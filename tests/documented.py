"""The commands that the documentation shows, and a way to run them."""

from __future__ import annotations

import os
import re
import sys

from tests.harness import ROOT


def shell_blocks(name: str) -> list[str]:
    """The ```sh blocks of a file of docs/; those marked `sh-not-run` are left out."""
    with open(os.path.join(ROOT, "docs", name), encoding="utf-8") as stream:
        return re.findall(r"^```sh\n(.*?)^```$", stream.read(), re.MULTILINE | re.DOTALL)


def programs(directory: str) -> str:
    """A folder for PATH with `imgq` and `imgqd` as they are here; made in `directory`."""
    folder = os.path.join(directory, "bin")
    os.makedirs(folder, exist_ok=True)
    for name in ("imgq", "imgqd"):
        path = os.path.join(folder, name)
        with open(path, "w") as stream:
            stream.write(f'#!/bin/sh\nexec "{sys.executable}" -m {name} "$@"\n')
        os.chmod(path, 0o755)
    return folder

"""A long soak: random operations of every kind on a folder, random kills, and then the truth.

    python -m tests.soak --minutes 30 [--seed N] [--kills 200]

Not part of the test run. Prints a line for each check and a JSON summary; exits 1 when the library
ever differed from the disk after a sync.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress

from tests import hostile_files, photographs
from tests.conftest import make_tiny_model
from tests.faults.library import indexed, on_disk, rows
from tests.harness import Home, fresh_home

MOST_FILES = 3000


class Soak:
    """Changes a folder at random and keeps count."""

    def __init__(self, home: Home, seed: int) -> None:
        self.home = home
        self.random = random.Random(seed)
        self.number = 0
        self.counts: Counter[str] = Counter()
        self.given: dict[object, object] = {}
        self.outside = os.path.join(home.directory, "outside")
        os.makedirs(self.outside)

    def files(self, folder: str) -> list[str]:
        return [os.fsdecode(path) for path in on_disk(folder)]

    def folders(self) -> list[str]:
        return [folder for folder, _, _ in os.walk(self.home.photos)]

    def new_name(self, suffix: str = ".png") -> str:
        self.number += 1
        folder = self.random.choice(self.folders())
        return os.path.join(folder, f"{self.number}{suffix}")

    def change(self) -> None:
        """One random operation."""
        kinds = [
            "add", "add", "add", "add", "replace", "replace in place", "rename", "copy", "hard link",
            "delete", "delete", "touch back", "broken", "make folder", "move folder", "move out",
            "move in", "remove folder", "root remade",
        ]  # fmt: skip
        kind = self.random.choice(kinds)
        if kind == "root remade" and self.random.random() > 0.02:
            return
        files = self.files(self.home.photos)
        if len(files) > MOST_FILES:
            kind = "remove folder"
        with suppress(FileNotFoundError, FileExistsError, OSError):
            self.do(kind, files)
            self.counts[kind] += 1

    def do(self, kind: str, files: list[str]) -> None:
        pick = self.random.choice
        if kind == "add" or not files:
            photographs.variant(self.number, 48).save(self.new_name())
        elif kind == "replace":
            temporary = self.new_name(".part")
            photographs.variant(self.number, 48).save(temporary, "PNG")
            os.replace(temporary, pick(files))
        elif kind == "replace in place":
            self.number += 1
            photographs.variant(self.number, 48).save(pick(files), "PNG")
        elif kind == "rename":
            os.rename(pick(files), self.new_name())
        elif kind == "copy":
            shutil.copyfile(pick(files), self.new_name())
        elif kind == "hard link":
            os.link(pick(files), self.new_name())
        elif kind == "delete":
            os.unlink(pick(files))
        elif kind == "touch back":
            os.utime(pick(files), (1_500_000_000, 1_500_000_000))
        elif kind == "broken":
            with open(self.new_name(".jpg"), "wb") as stream:
                stream.write(hostile_files.truncated_jpeg()[: self.random.randrange(0, 3000)])
        elif kind == "make folder":
            os.makedirs(os.path.join(pick(self.folders()), f"folder-{self.number}"))
        elif kind == "move folder":
            folder = pick(self.folders()[1:] or [self.new_name()])
            os.rename(folder, os.path.join(self.home.photos, f"moved-{self.number}"))
        elif kind == "move out":
            folder = pick(self.folders()[1:] or [self.new_name()])
            os.rename(folder, os.path.join(self.outside, f"out-{self.number}"))
        elif kind == "move in":
            name = pick(os.listdir(self.outside) or ["none"])
            os.rename(
                os.path.join(self.outside, name),
                os.path.join(pick(self.folders()), f"in-{self.number}"),
            )
        elif kind == "remove folder":
            shutil.rmtree(pick(self.folders()[1:] or [self.new_name()]))
        elif kind == "root remade":
            os.rename(self.home.photos, os.path.join(self.outside, f"root-{self.number}"))
            os.makedirs(self.home.photos)
        self.number += 1

    def compare(self) -> list[str]:
        """Differences between library and disk after a sync; [] is what is wanted."""
        done = self.home.imgqd("sync", "--timeout", "240", timeout=300)
        if done.returncode != 0:
            return [f"sync exits {done.returncode}: {done.stderr.decode()}"]
        disk, known = on_disk(self.home.photos), set(indexed(self.home))
        problems = {row[0] for row in rows(self.home, "SELECT path FROM problems")}
        found = [f"not known: {path!r}" for path in disk - known - problems]
        found += [f"not on disk: {path!r}" for path in known - disk]
        for number, content in rows(self.home, "SELECT id, hex(content_hash) FROM pictures"):
            if self.given.setdefault(number, content) != content:
                found.append(f"id {number} was given twice")
        verify = self.home.imgqd("verify", timeout=300)
        if verify.returncode != 0:
            found.append(verify.stdout.decode())
        if rows(self.home, "PRAGMA integrity_check") != [("ok",)]:
            found.append("integrity check failed")
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=200, help="the most there will be")
    parser.add_argument("--between", type=float, default=4, help="at most so many seconds a round")
    parser.add_argument("--keep", help="where to copy the library to after a failure")
    options = parser.parse_args()
    models = tempfile.mkdtemp(prefix="imgq-models-")
    kills = checks = 0
    failures: list[str] = []
    started = time.monotonic()
    try:
        spec = make_tiny_model(models)
        with fresh_home(models_dir=models, model=spec, settle_ms=100) as home:
            soak = Soak(home, options.seed)
            home.start(home.photos)
            while time.monotonic() - started < options.minutes * 60 and not failures:
                until = time.monotonic() + soak.random.uniform(0.05, options.between)
                while time.monotonic() < until:
                    soak.change()
                    time.sleep(soak.random.choice((0, 0, 0.001, 0.01, 0.05)))
                if soak.random.random() < 0.75 and kills < options.kills:
                    home.kill()
                    kills += 1
                    home.start()
                if soak.random.random() < 0.4:
                    failures = soak.compare()
                    checks += 1
                    minutes = (time.monotonic() - started) / 60
                    print(f"{minutes:.1f} min: {sum(soak.counts.values())} operations, {kills} kills, "
                          f"{len(on_disk(home.photos))} files, {failures or 'equal'}", flush=True)  # fmt: skip
            failures = failures or soak.compare()
            checks += 1
            status = home.status()
            summary = {
                "minutes": round((time.monotonic() - started) / 60, 1),
                "seed": options.seed,
                "operations": dict(soak.counts),
                "kills": kills,
                "checks": checks,
                "files": status["files"],
                "pictures": status["pictures"],
                "problems": status["problems"],
                "memory_mb": status["memory_bytes"] >> 20,
                "failures": failures,
            }
            print(json.dumps(summary, indent=1))
            if failures:
                print(home.output()[-5000:], file=sys.stderr)
                if options.keep:
                    shutil.copytree(
                        home.home, options.keep, ignore=shutil.ignore_patterns("*.sock")
                    )
    finally:
        shutil.rmtree(models, ignore_errors=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

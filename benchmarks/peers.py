"""What a question costs with other programs: whole processes, as a person starts them.

`naive` starts Python, loads the model and an IndexFlatIP, and asks it; `rclip` is the installed command
in a folder it has indexed. Used by query.py.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile

import faiss

import vectors as source
from baselines import rclip
from common import Took, timed

BASELINES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "baselines")
ROUNDS = 3


def naive(model: str, count: int) -> float:
    """Seconds (median) of `naive.py query` on `count` vectors of 512 dimensions."""
    with tempfile.TemporaryDirectory() as out:
        index = faiss.IndexFlatIP(512)
        database = sqlite3.connect(os.path.join(out, "naive.db"))
        database.execute("CREATE TABLE pictures (id INTEGER PRIMARY KEY, path TEXT)")
        for ids, batch in source.batches(source.clusters(512), count):
            index.add(batch)
            database.executemany(
                "INSERT INTO pictures (path) VALUES (?)", ((f"/photos/{i}.jpg",) for i in ids)
            )
        database.commit()
        database.close()
        faiss.write_index(index, os.path.join(out, "naive.faiss"))
        command = [sys.executable, os.path.join(BASELINES, "naive.py"), "query", model, out]
        return _median([timed([*command, f"a boat at sunset {n}"]) for n in range(ROUNDS)])


def rclip_question(work: str, photos: str) -> float | None:
    """Seconds (median) of `rclip TEXT` in a folder with nothing new; None where there is no rclip."""
    if rclip.program() is None:
        return None
    ask_rclip(work, photos, "warm")
    return _median([ask_rclip(work, photos, f"a boat at sunset {n}") for n in range(ROUNDS)])


def ask_rclip(work: str, photos: str, text: str) -> Took:
    """`rclip TEXT` in a folder: it indexes what is new there, then answers."""
    program, data = rclip.program(), rclip.prepare(work)
    assert program is not None
    return timed(["env", "-C", photos, program, "-f", text], rclip.environ(data))


def text_tower_ms(artifact: str) -> float:
    """Milliseconds (median) of the text tower alone on one text."""
    command = [sys.executable, os.path.join(BASELINES, "limit.py"), "text", artifact]
    command.append(str(os.cpu_count() or 1))
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return float(json.loads(done.stdout)["text_ms"])


def _median(runs: list[Took]) -> float:
    return statistics.median(run.wall for run in runs)

"""What hostile clients cost the others: the 95th percentile of searches, before and under attack.

`python benchmarks/attack.py [--seconds S] [--rounds N] [--json FILE]` starts a daemon of its own in a
temporary IMGQ_HOME and asks it ten questions a second while an attacker in another process does its
worst: connections that trickle, bodies of 100 MB, deep JSON, too many terms. Rounds with and without
the attack alternate, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

import numpy as np
from PIL import Image

import imgq

PICTURES = 40
EVERY_S = 0.1
LARGE = 100_000_000


def connected(path: str) -> socket.socket:
    channel = socket.socket(socket.AF_UNIX)
    channel.settimeout(20)
    channel.connect(path)
    return channel


def post(path: str, body: bytes) -> None:
    """One search request on a connection of its own; whatever is answered is thrown away."""
    with connected(path) as channel:
        channel.sendall(
            b"POST /v1/search HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        for start in range(0, len(body), 1 << 20):
            channel.sendall(body[start : start + (1 << 20)])
        while channel.recv(65536):
            pass


def half_open(path: str, deadline: float) -> None:
    """200 connections: half of them send nothing, the others one byte of a header each second."""
    open_ones: list[socket.socket] = []
    while time.monotonic() < deadline:
        while len(open_ones) < 200:
            open_ones.append(connected(path))
        for channel in list(open_ones[::2]):
            try:
                channel.sendall(b"G")
            except OSError:
                open_ones.remove(channel)
        time.sleep(1.0)


def flood(body: bytes) -> Callable[[str, float], None]:
    """The same body again and again, from two connections at full speed."""

    def run(path: str, deadline: float) -> None:
        def again() -> None:
            while time.monotonic() < deadline:
                try:
                    post(path, body)
                except OSError:
                    continue

        threads = [threading.Thread(target=again) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return run


def example(size: int) -> bytes:
    return b'{"terms":[{"image":"' + b"A" * (size - 24) + b'"}]}'


# What an attacker sends; the names are those of docs/security.md.
ATTACKS: dict[str, Callable[[], Callable[[str, float], None]]] = {
    "nothing, but as many clients": lambda: flood(b'{"terms":[{"text":"x"}],"top":1}'),
    "200 half-open or trickling connections": lambda: half_open,
    "bodies of 100 MB": lambda: flood(example(LARGE)),
    "bodies of 10 MB": lambda: flood(example(10_000_000)),
    "JSON of depth 100,000": lambda: flood(b"[" * 100_000 + b"]" * 100_000),
    "100,000 terms": lambda: flood(b'{"terms":[' + b'{"text":"x"},' * 99_999 + b'{"text":"x"}]}'),
    "a NaN weight": lambda: flood(b'{"terms":[{"text":"x","weight":NaN}]}'),
    "a text of 1,000,000 characters": lambda: flood(
        b'{"terms":[{"text":"' + b"x" * 1_000_000 + b'"}]}'
    ),
}


def questions(path: str, seconds: float) -> list[float]:
    """How long each of the answers took, in seconds; questions come evenly, late or not."""
    client = imgq.Client(path, timeout=30)
    took = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        client.search("a red square", top=10)
        took.append(time.monotonic() - began)
        time.sleep(max(0.0, EVERY_S - took[-1]))
    return took


def late(times: list[float]) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, round(len(ordered) * 0.95))]


def start(folder: str) -> str:
    """Starts a daemon with a few pictures; returns its socket."""
    photos = os.path.join(folder, "photos")
    os.makedirs(photos)
    chance = np.random.default_rng(1)
    for number in range(PICTURES):
        noise = chance.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((320, 240)).save(os.path.join(photos, f"{number}.jpg"))
    os.environ["IMGQ_HOME"] = os.path.join(folder, "home")
    os.environ.setdefault("IMGQ_MODEL", "builtin")
    imgqd = [sys.executable, "-m", "imgqd"]
    subprocess.run([*imgqd, "run", "--detach", photos], check=True)
    subprocess.run([*imgqd, "sync"], check=True)
    return str(imgq.Client().locations.socket)


def measure(path: str, name: str, options: argparse.Namespace) -> dict[str, float]:
    """The 95th percentile in ms without and with the attack: medians over the rounds."""
    calm, attacked = [], []
    for _ in range(options.rounds):
        calm.append(late(questions(path, options.seconds)))
        attacker = subprocess.Popen(
            [sys.executable, __file__, "--attack", name, path, str(options.seconds + 2.0)]
        )
        time.sleep(1.5)
        attacked.append(late(questions(path, options.seconds)))
        attacker.wait()
    before, under = statistics.median(calm) * 1e3, statistics.median(attacked) * 1e3
    return {"calm_ms": round(before, 1), "attacked_ms": round(under, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=ATTACKS, action="append")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--attack", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attack:
        name, path, seconds = options.attack
        ATTACKS[name]()(path, time.monotonic() + float(seconds))
        return
    folder = tempfile.mkdtemp(prefix="imgq-attack-")
    found = {}
    try:
        path = start(folder)
        print(f"{platform.machine()}, {os.cpu_count()} cores; 95th percentile of a search in ms")
        for name in options.only or ATTACKS:
            found[name] = row = measure(path, name, options)
            ratio = row["attacked_ms"] / row["calm_ms"]
            print(
                f"{name:40} {row['calm_ms']:8.1f} {row['attacked_ms']:8.1f}  x{ratio:.1f}",
                flush=True,
            )
    finally:
        subprocess.run([sys.executable, "-m", "imgqd", "stop"], check=False)
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as stream:
            json.dump(found, stream, indent=2)


if __name__ == "__main__":
    main()

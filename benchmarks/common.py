"""What the benchmarks share: the machine in words, percentiles, processes, tables and JSON.

Models with random weights and whole daemons are made here too, so that every benchmark asks for
them in the same way. Synthetic libraries are library.py's.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import psutil  # type: ignore[import-untyped]

import imgq
import imgqd

PACKAGES = ("faiss-cpu", "numpy", "onnxruntime", "open_clip_torch", "pillow", "rclip", "torch")
RESULTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table: what was measured, beside the target and what it is compared with.

    No target (None): it is told beside another line.
    """

    what: str
    measured: float
    unit: str
    target: float | None
    at_most: bool = True
    note: str = ""

    @property
    def holds(self) -> bool:
        """True when the target is met, or there is none."""
        if self.target is None:
            return True
        return self.measured <= self.target if self.at_most else self.measured >= self.target


def parser(doc: str) -> argparse.ArgumentParser:
    """The options that all benchmarks have. The code is compiled first, as pip leaves it: an editable
    checkout would be compiled at each start where Python may not write."""
    for package in (imgq, imgqd):
        compileall.compile_dir(os.path.dirname(str(package.__file__)), quiet=2)
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    scratch = os.path.join(tempfile.gettempdir(), "imgq-benchmarks")
    parser.add_argument("--work", default=scratch, help="models and libraries, kept between runs")
    parser.add_argument("--model", help="a model spec; default: ViT-B-32 with random weights")
    parser.add_argument("--json", help="default: results/NAME.json beside this script")
    return parser


def middle(times: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and fastest, in the unit of `times`."""
    ordered = sorted(times)
    late = ordered[min(len(ordered) - 1, round(len(ordered) * 0.95))]
    return {"median": statistics.median(ordered), "p95": late, "fastest": ordered[0]}


def machine() -> dict[str, Any]:
    """Processor, cores, memory, system, versions, and how busy the machine is now."""
    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": [round(value, 1) for value in os.getloadavg()],
        "packages": versions,
    }


def _processor() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as stream:
        for line in stream:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def report(
    options: argparse.Namespace, figures: Sequence[Figure], details: dict[str, Any], before: Any
) -> None:
    """Prints the table and writes the JSON; `before` is machine() from before the run."""
    print(table(figures))
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    path = options.json or os.path.join(RESULTS, f"{name}.json")
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    told = {
        "machine": {**before, "load_after": [round(value, 1) for value in os.getloadavg()]},
        "figures": [{**asdict(figure), "holds": figure.holds} for figure in figures],
        "details": details,
    }
    with open(path, "w") as stream:
        json.dump(told, stream, indent=1)
        stream.write("\n")
    print(f"\nload {before['load'][0]} before, {os.getloadavg()[0]:.1f} after; written to {path}")


def table(figures: Sequence[Figure]) -> str:
    """Markdown: what, target, measured, whether it holds."""
    lines = ["| what | target | measured | holds |", "|---|---|---|---|"]
    for figure in figures:
        limit = "at most" if figure.at_most else "at least"
        target = "" if figure.target is None else f"{limit} {figure.target:.4g} {figure.unit}"
        note = f" ({figure.note})" if figure.note else ""
        lines.append(
            f"| {figure.what} | {target} |"
            f" {figure.measured:.4g} {figure.unit}{note} | {'yes' if figure.holds else 'no'} |"
        )
    return "\n".join(lines)


# -- processes


def family(pid: int) -> list[psutil.Process]:
    """A process and everything it has started that still runs."""
    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and its descendants, the ended and waited for included."""
    total = 0.0
    for process in family(pid):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            # Each has those of its own children that ended: decoders are forked anew all the time.
            total += times.user + times.system + times.children_user + times.children_system
    return total


def pss(pid: int) -> int:
    """Bytes of a process and its descendants, shared pages divided among those that share them."""
    total = 0
    for process in family(pid):
        with (
            contextlib.suppress(OSError),
            open(f"/proc/{process.pid}/smaps_rollup") as stream,
        ):
            total += sum(int(line.split()[1]) << 10 for line in stream if line[:4] == "Pss:")
    return total


def rss(pid: int) -> int:
    """Resident bytes of one process. Raises SystemExit when it is not there any more."""
    process = psutil.Process(pid)
    if process.status() == psutil.STATUS_ZOMBIE:
        raise SystemExit(f"process {pid} has ended; nothing was measured")
    return int(process.memory_info().rss)


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds from start to exit of a process, and the processor time it used."""

    wall: float
    cpu: float


def timed(command: Sequence[str], environ: dict[str, str] | None = None) -> Took:
    """Runs a command. Raises SystemExit when it fails: a program that dies at once is quick, too."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    took = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Took(took, used.ru_utime + used.ru_stime)


# -- models and daemons


def model_of(options: argparse.Namespace) -> str:
    """The spec to use: what was asked for, else ViT-B-32 with random weights, made once."""
    return str(options.model or random_model(options.work))


def models_dir(options: argparse.Namespace) -> str:
    """Where the benchmarks keep model artifacts."""
    return os.path.join(options.work, "models")


def random_model(work: str, arch: str = "ViT-B-32") -> str:
    """Writes an open_clip model with random weights; returns its `local-dir:` spec."""
    directory = os.path.join(work, f"{arch}-random")
    config = os.path.join(directory, "open_clip_config.json")
    if not os.path.exists(config):
        import torch
        from open_clip import create_model, get_model_config
        from safetensors.torch import save_file

        torch.manual_seed(1)
        os.makedirs(directory, exist_ok=True)
        model = create_model(arch)
        save_file(model.state_dict(), os.path.join(directory, "open_clip_model.safetensors"))
        preprocess = {
            "mean": [0.48145466, 0.4578275, 0.40821073],
            "std": [0.26862954, 0.26130258, 0.27577711],
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        }
        with open(config, "w") as stream:
            told = {"model_cfg": get_model_config(arch), "preprocess_cfg": preprocess}
            json.dump(told, stream)
    return f"local-dir:{directory}"


class Running:
    """A daemon in an IMGQ_HOME of its own. `client` asks it; `environ` is for commands."""

    def __init__(self, home: str, options: argparse.Namespace, **settings: object) -> None:
        self.home = home
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("IMGQ_")}
        wanted = {"home": home, "no_spawn": 1, "models_dir": models_dir(options)}
        for name, value in {**wanted, **settings}.items():
            self.environ[f"IMGQ_{name.upper()}"] = str(value)
        self.process: subprocess.Popen[bytes] | None = None
        self.client = self.another()

    def start(self, *folders: str) -> float:
        """Starts `imgqd run`; returns the seconds until it answers a question."""
        os.makedirs(self.home, exist_ok=True)
        started = time.perf_counter()
        with open(os.path.join(self.home, "benchmark.out"), "ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "imgqd", "run", *folders],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        while True:
            if self.process.poll() is not None:
                raise SystemExit(f"the daemon ended; see {self.home}/benchmark.out")
            try:
                self.client.search("warm", top=1, timeout=600)
                took = time.perf_counter() - started
                # Another benchmark's daemon on the same home would answer as well.
                if self.client.status()["pid"] != self.process.pid:
                    raise SystemExit(f"another daemon runs on {self.home}; end it first")
                return took
            except imgq.ClientError:
                time.sleep(0.005)

    def another(self) -> imgq.Client:
        """A connection of its own, for another thread."""
        return imgq.Client(os.path.join(self.home, "imgqd.sock"), timeout=None)

    def stop(self) -> None:
        """Ends the daemon."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        assert self.process is not None
        return self.process.pid

    def imgq(self, *words: str) -> Took:
        """Runs `imgq WORDS` as a process, as it is installed."""
        program = os.path.join(os.path.dirname(sys.executable), "imgq")
        return timed([program, *words], self.environ)


@contextlib.contextmanager
def fresh(options: argparse.Namespace, **settings: object) -> Iterator[Running]:
    """A daemon (not started) in a new home, which is removed afterwards."""
    os.makedirs(options.work, exist_ok=True)
    home = tempfile.mkdtemp(prefix="run-", dir=options.work)
    running = Running(home, options, **settings)
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(home, ignore_errors=True)

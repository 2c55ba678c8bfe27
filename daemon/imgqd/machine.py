"""What `imgqd doctor` finds out about the machine alone: versions, watches, GPU, limits, the hub.

Nothing heavy is imported: the daemon's own process never loads torch, and neither does this.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from imgqd import __version__
from imgqd.commands.common import count

# Watches are also wanted by editors, browsers and file managers of the same user.
WATCH_SHARE = 0.8
FILES_WANTED = 1024
HUB_TIMEOUT_S = 6.0
PACKAGES = ("apsw", "faiss-cpu", "onnxruntime", "aiohttp", "watchdog", "pillow", "open_clip_torch")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `state` is ok, warning or error; a remedy goes with the last two."""

    check: str
    state: str
    detail: str
    remedy: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "check": self.check,
            "state": self.state,
            "detail": self.detail,
            "remedy": self.remedy,
        }


def versions() -> Iterator[Finding]:
    found = [f"imgq {__version__}", f"Python {platform.python_version()}"]
    missing = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        yield Finding(
            "versions",
            "error",
            f"not installed: {', '.join(missing)}",
            f"install them: {sys.executable} -m pip install --upgrade imgq",
        )
    yield Finding("versions", "ok", ", ".join(found))


def watches(directories: int) -> Iterator[Finding]:
    """Linux: is the limit of inotify watches enough for so many directories?"""
    limit = _kernel_limit("max_user_watches")
    if limit is None:
        return
    detail = f"{count(directories, 'directory').replace('directorys', 'directories')} to watch, the limit is {limit:,}"
    if directories <= limit * WATCH_SHARE:
        yield Finding("watches", "ok", detail)
    else:
        wanted = 1 << (2 * directories).bit_length()
        yield Finding(
            "watches",
            "warning",
            f"{detail}; what is beyond it is only walked at intervals",
            f"sudo sysctl fs.inotify.max_user_watches={wanted} (and that line in /etc/sysctl.d/60-imgq.conf)",
        )
    instances = _kernel_limit("max_user_instances")
    if instances is not None and instances < 16:
        yield Finding(
            "watches",
            "warning",
            f"only {instances} programs of a user may watch at once",
            "sudo sysctl fs.inotify.max_user_instances=512",
        )


def _kernel_limit(name: str) -> int | None:
    try:
        with open(f"/proc/sys/fs/inotify/{name}", "rb") as stream:
            return int(stream.read())
    except (OSError, ValueError):
        return None


def accelerator() -> Iterator[Finding]:
    """Without importing torch: is there a GPU that the installed torch could not use?"""
    try:
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        yield Finding(
            "gpu", "error", "torch is not installed", "install imgq with its dependencies again"
        )
        return
    present = os.path.exists("/dev/nvidiactl") or bool(shutil.which("nvidia-smi"))
    if present and "+cpu" in torch:
        yield Finding(
            "gpu",
            "warning",
            f"there is an NVIDIA GPU, but torch {torch} is the CPU-only one",
            "for faster indexing: pip install --force-reinstall torch (see the README)",
        )
    elif sys.platform == "darwin" and platform.machine() == "arm64":
        yield Finding("gpu", "ok", f"Apple GPU, used through MPS by torch {torch}")
    else:
        yield Finding(
            "gpu", "ok", f"{'NVIDIA GPU' if present else 'none; the CPU is used'}, torch {torch}"
        )


def limits() -> Iterator[Finding]:
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FILES_WANTED:
        yield Finding(
            "limits",
            "warning",
            f"only {soft} files may be open at once",
            f"ulimit -n {FILES_WANTED} before starting the daemon (the most here is {hard})",
        )
    else:
        yield Finding("limits", "ok", f"{soft} files may be open at once")


def hub() -> Iterator[Finding]:
    """Asks the model hub (HF_ENDPOINT) for its front page."""
    import urllib.error
    import urllib.request

    address = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    if not address.startswith(("http://", "https://")):
        yield Finding("hub", "error", f"HF_ENDPOINT {address!r} is no URL", "unset HF_ENDPOINT")
        return
    request = urllib.request.Request(address, method="HEAD")  # noqa: S310 - checked above
    try:
        urllib.request.urlopen(request, timeout=HUB_TIMEOUT_S).close()  # noqa: S310 - checked above
    except urllib.error.HTTPError as error:
        # It answered: what it thinks of a HEAD of its front page does not matter.
        yield Finding("hub", "ok", f"{address} answers (status {error.code})")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        yield Finding(
            "hub",
            "warning",
            f"{address} cannot be reached ({reason}); the built-in model needs no hub",
            "check the network or proxy (HTTPS_PROXY), or use local-dir:",
        )
    else:
        yield Finding("hub", "ok", f"{address} answers")

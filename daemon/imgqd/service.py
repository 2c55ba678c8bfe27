"""`imgqd service`: what the service runs, whatever manager keeps it, and which manager that is here.

The texts that are installed begin as the files of systemd/; how each manager takes them is the
business of service_systemd.py and service_launchd.py. The library is never touched by any of this.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Protocol

from imgq.locations import Locations
from imgqd.errors import ImgqError, UsageError
from imgqd.models.hub import cache_directory
from imgqd.settings import TABLE

# What decides where things are, beside our own variables: a service does not have the shell's.
_PLACES = ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME")
_HUB = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE")
PROBE_S = 60.0


class ServiceError(ImgqError):
    """The service cannot be installed, removed or asked on this machine."""

    code = "service"


@dataclass(frozen=True, slots=True)
class Job:
    """What a service runs: a command, its environment, and the folders that it writes to."""

    command: tuple[str, ...]
    environment: dict[str, str]
    folders: tuple[str, ...]
    scratch: str
    socket: str
    log: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What installing makes: files with their text, links with their target, folders."""

    files: dict[str, str]
    links: dict[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done, in sentences; `running` is False where nothing could be started."""

    done: list[str]
    running: bool


class ServiceManager(Protocol):
    """One of the programs that keep services: systemd or launchd. Everything raises ServiceError."""

    def job(self, locations: Locations) -> Job:
        """What the service runs."""

    def plan(self, job: Job) -> Plan:
        """What `install` writes."""

    def dry_run(self, job: Job) -> list[str]:
        """What `install` would do now, in sentences."""

    def install(self, job: Job, make_way: Callable[[], None]) -> Outcome:
        """Writes what differs and starts it. `make_way` ends a daemon that is not the service."""

    def uninstall(self, locations: Locations) -> list[str]:
        """Stops and removes it; empty when nothing was there."""

    def status(self, job: Job | None) -> dict[str, Any]:
        """What is, compared with `job` where there is one.

        `manager`, `files`, `installed`, `current` (as `install` would write it now), `enabled`,
        `reachable` (the manager), `running`, `listening`, `pid`, `restarts`, `detail`, `notes`.
        """


def manager(*, system: bool) -> ServiceManager:
    """The manager of this machine. Raises ServiceError where there is none that we know."""
    if sys.platform == "darwin":
        from imgqd.service_launchd import Launchd

        if system:
            raise UsageError("--system is for systemd; on macOS the agent of a user is installed")
        return Launchd()
    if sys.platform == "win32":
        program = os.path.join(os.path.dirname(sys.executable), "pythonw.exe")
        raise ServiceError(
            "there is no service for Windows; to start imgqd when you log on: "
            f"schtasks /Create /TN imgqd /SC ONLOGON /TR '\"{program}\" -m imgqd run --detached'"
        )
    from imgqd.service_systemd import Systemd

    return Systemd(system=system)


def template(name: str) -> str:
    """The text of a file of systemd/, from the installed package or from a checkout."""
    packaged = resources.files("imgqd").joinpath("units", name)
    if packaged.is_file():
        return packaged.read_text("utf-8")
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(os.path.dirname(os.path.dirname(here)), "systemd", name)
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except OSError as error:
        raise ServiceError(
            f"{name} is missing from this installation; install imgq again"
        ) from error


def job_of_user(locations: Locations, *arguments: str) -> Job:
    """The service of this user, with the library and the settings of this environment.

    Raises ServiceError when this interpreter would not find imgqd without the shell it was called
    from.
    """
    program = stable_interpreter(sys.executable)
    environment = carried(os.environ)
    if locations.home is not None:
        environment["IMGQ_HOME"] = locations.home
    command = (program, "-P", "-m", "imgqd")
    if not starts(command):
        paths = [
            os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p
        ]
        python_path = {"PYTHONPATH": os.pathsep.join(paths)}
        if not paths or not starts(command, python_path):
            raise not_found(program)
        environment |= python_path
    cache = os.path.dirname(locations.thumbs)
    folders = [
        locations.data,
        cache,
        os.path.dirname(locations.log),
        locations.runtime,
        os.path.abspath(os.environ.get("IMGQ_MODELS_DIR") or locations.models),
        hub_folder(),
    ]
    return Job(
        command=(*command, *arguments),
        environment=environment,
        folders=tuple(outermost(folders)),
        scratch=scratch_folder(locations),
        socket=locations.socket,
        log=locations.log,
    )


def scratch_folder(locations: Locations) -> str:
    """Where a service has its temporary files."""
    return os.path.join(os.path.dirname(locations.thumbs), "tmp")


def not_found(program: str) -> ServiceError:
    """For an interpreter that a service cannot use."""
    return ServiceError(
        f"{program} does not find imgqd when a service starts it; install it there: "
        f"{program} -m pip install imgq"
    )


def outermost(folders: Iterable[str]) -> list[str]:
    """The folders without those that lie in another of them."""
    found: list[str] = []
    for folder in sorted(set(folders)):
        if not any(folder.startswith(f"{other.rstrip('/')}/") for other in found):
            found.append(folder)
    return found


def hub_folder() -> str:
    """What the model hub's client writes to: HF_HOME, or only its cache where that is elsewhere."""
    cache = os.path.abspath(cache_directory())
    above, name = os.path.split(cache)
    return above if name == "hub" else cache


def carried(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that make this shell's imgqd what it is, and that a service needs as well."""
    names = [f"IMGQ_{setting.name.upper()}" for setting in TABLE]
    if not environ.get("IMGQ_HOME"):
        names += _PLACES
    return {name: environ[name] for name in (*names, *_HUB) if environ.get(name)}


def stable_interpreter(path: str) -> str:
    """The interpreter by a name that stays when it, or imgq, is upgraded.

    A virtual environment (and so pipx) is left by its own name, never followed to the Python it
    was made with. Homebrew's folders carry a version, and `opt` beside them does not.
    """
    path = os.path.abspath(path)
    before, cellar, after = path.partition("/Cellar/")
    if cellar:
        name, _, inside = after.partition("/")
        opt = f"{before}/opt/{name}/{inside.partition('/')[2]}"
        if _same(opt, path):
            return opt
    folder, name = os.path.split(path)
    if not os.path.exists(os.path.join(os.path.dirname(folder), "pyvenv.cfg")):
        plain = os.path.join(folder, "python3")
        if name.startswith("python3.") and _same(plain, path):
            return plain
    return path


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def starts(command: tuple[str, ...], environment: Mapping[str, str] | None = None) -> bool:
    """True when imgqd answers with so little environment as a manager gives it."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH", "LANG") if name in os.environ}
    try:
        done = subprocess.run(
            [*command, "--version"],
            env={**kept, **(environment or {})},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0

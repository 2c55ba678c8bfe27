"""`imgqd doctor`: is this machine ready to run the daemon, and what should be done where it is not.

Each check looks at one thing and says what it found; nothing is changed, nothing heavy is imported,
and the network is asked only when that is wanted.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from imgq.client import Client
from imgq.errors import ClientError, NoDaemonError
from imgq.locations import Locations, locate
from imgqd import __version__, machine
from imgqd.commands.common import count, size
from imgqd.errors import UsageError
from imgqd.library.database import SCHEMA_VERSION
from imgqd.lock import holder, is_held
from imgqd.machine import Finding
from imgqd.peek import Library
from imgqd.settings import Settings

LOW_DISK = 1_000_000_000
NO_DISK = 100_000_000
CLOCK_OFF_S = 2.0


class Examination:
    """What the checks look at: the places, the settings and the daemon, if there is one."""

    def __init__(self, locations: Locations, settings: Settings | None) -> None:
        self.locations = locations
        self.settings = settings
        self.status: dict[str, Any] | None = None
        self.silence: ClientError | None = None
        try:
            self.status = Client(timeout=10.0).status()
        except ClientError as error:
            self.silence = error

    @property
    def models_dir(self) -> str:
        chosen = self.settings.text("models_dir") if self.settings else ""
        return chosen or self.locations.models


def examine(*, online: bool = False) -> list[Finding]:
    """Makes every check; the network is asked only when `online`."""
    locations = locate()
    findings: list[Finding] = []
    settings: Settings | None = None
    try:
        settings = Settings.load(locations.config)
        read = "read from" if os.path.exists(locations.config) else "all defaults; there is no"
        findings.append(Finding("settings", "ok", f"{read} {locations.config}"))
    except UsageError as error:
        findings.append(
            Finding("settings", "error", error.message, f"mend {locations.config}, or remove it")
        )
    examination = Examination(locations, settings)
    for check in CHECKS:
        findings.extend(check(examination))
    if online:
        findings.extend(machine.hub())
    return findings


def folders_of_ours(examination: Examination) -> Iterator[Finding]:
    places = examination.locations
    for name, folder in (("data", places.data), ("socket", places.runtime)):
        try:
            info = os.lstat(folder)
        except FileNotFoundError:
            yield Finding(name, "ok", f"{folder} will be made by the daemon")
            continue
        except OSError as error:
            yield Finding(
                name, "error", f"{folder}: {error.strerror}", "set IMGQ_HOME to a folder of yours"
            )
            continue
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
            yield Finding(
                name,
                "error",
                f"{folder} is not a folder of yours",
                "move it away, or set IMGQ_HOME to a folder of yours",
            )
        elif not os.access(folder, os.W_OK | os.X_OK):
            yield Finding(
                name,
                "error",
                f"{folder} cannot be written",
                f"make it writable: chmod 700 {folder}",
            )
        elif info.st_mode & 0o077:
            yield Finding(
                name,
                "warning",
                f"{folder} is open to other users (mode {stat.S_IMODE(info.st_mode):o})",
                f"chmod 700 {folder} (the daemon does so too when it starts)",
            )
        else:
            yield Finding(name, "ok", f"{folder} is yours alone")


def daemon(examination: Examination) -> Iterator[Finding]:
    places, status = examination.locations, examination.status
    if status is None:
        if is_held(places.lock):
            yield Finding(
                "daemon",
                "error",
                f"one runs ({holder(places.lock)}) and does not answer: {examination.silence}",
                f"look at {places.log}; restart it: imgqd stop, then imgqd run --detach",
            )
        elif isinstance(examination.silence, NoDaemonError):
            yield Finding("daemon", "ok", "none is running; imgq starts it when it is needed")
        else:
            yield Finding(
                "daemon",
                "error",
                str(examination.silence),
                "check IMGQ_SOCKET and who listens there",
            )
        return
    yield Finding("daemon", "ok", f"pid {status['pid']} answers and is {status['state']}")
    if status.get("version") != __version__:
        yield Finding(
            "daemon",
            "warning",
            f"it is version {status.get('version')}, this is {__version__}",
            "restart it: imgqd stop, then imgqd run --detach",
        )
    if status.get("failure"):
        yield Finding("daemon", "error", str(status["failure"]), "imgqd status says how it goes on")
    if status.get("notice"):
        yield Finding("daemon", "warning", str(status["notice"]), f"see {places.log}")
    if limited := status.get("watch_limit"):
        detail, _, remedy = str(limited).partition(" To raise it: ")
        yield Finding("watches", "warning", detail, remedy or "imgqd status says how it goes on")
    if fallback := (status.get("model") or {}).get("fallback"):
        yield Finding("model", "warning", str(fallback), "imgqd doctor --online checks the hub")


def database(examination: Examination) -> Iterator[Finding]:
    path = examination.locations.database
    with Library(path) as library:
        if library.missing:
            yield Finding("library", "ok", f"{path} will be made by the daemon")
            return
        schema = library.schema()
        if library.error is not None or schema is None:
            yield Finding(
                "library",
                "error",
                f"{path} cannot be read: {library.error}",
                "start the daemon: it moves a damaged library aside and makes it again",
            )
        elif schema > SCHEMA_VERSION:
            yield Finding(
                "library",
                "error",
                f"{path} was written by a newer imgq (schema {schema})",
                "upgrade imgq, or set IMGQ_HOME to another folder",
            )
        else:
            yield Finding("library", "ok", f"{path}, {size(os.path.getsize(path))}")


def watched_folders(examination: Examination) -> Iterator[Finding]:
    with Library(examination.locations.database) as library:
        folders, directories = library.folders(), library.directories()
    for path, state in folders:
        shown = path.decode("utf-8", "replace")
        if state == "offline" or not os.path.isdir(path):
            yield Finding(
                "folders",
                "warning",
                f"{shown} is not there",
                "connect its drive, or forget it: imgqd remove DIR",
            )
        elif not os.access(path, os.R_OK | os.X_OK):
            yield Finding("folders", "warning", f"{shown} cannot be read", "change its permissions")
    if folders:
        yield Finding("folders", "ok", f"{count(len(folders), 'folder')} watched")
    yield from machine.watches(directories)


def disk(examination: Examination) -> Iterator[Finding]:
    places = examination.locations
    seen = set()
    for folder in (places.data, examination.models_dir, places.thumbs, places.log):
        existing = folder
        while not os.path.isdir(existing) and os.path.dirname(existing) != existing:
            existing = os.path.dirname(existing)
        device = os.stat(existing).st_dev
        if device in seen:
            continue
        seen.add(device)
        free = shutil.disk_usage(existing).free
        detail = f"{size(free)} free at {existing}"
        if free >= LOW_DISK:
            yield Finding("disk", "ok", detail)
        else:
            yield Finding(
                "disk",
                "error" if free < NO_DISK else "warning",
                detail,
                "make room there, or set IMGQ_HOME or models_dir to a larger disk",
            )


def models(examination: Examination) -> Iterator[Finding]:
    folder = examination.models_dir
    try:
        names = sorted(
            name
            for name in os.listdir(folder)
            if os.path.exists(os.path.join(folder, name, "manifest.json"))
        )
    except OSError:
        names = []
    if names:
        yield Finding("models", "ok", f"{', '.join(names)} in {folder}")
    else:
        yield Finding(
            "models", "ok", f"none in {folder} yet; the daemon prepares one when it starts"
        )


def clock(examination: Examination) -> Iterator[Finding]:
    """Do the clock and the disk agree on what is new? A network drive may have a clock of its own."""
    folder = examination.locations.data
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        return
    try:
        with tempfile.TemporaryFile(dir=folder) as trial:
            trial.write(b"x")
            trial.flush()
            off = abs(os.fstat(trial.fileno()).st_mtime - time.time())
    except OSError as error:
        yield Finding(
            "clock", "error", f"{folder} takes no file: {error.strerror}", "make room or permission"
        )
        return
    if off > CLOCK_OFF_S:
        yield Finding(
            "clock",
            "warning",
            f"the disk at {folder} is {off:.0f} s away from this machine's clock",
            "set the clocks by NTP, on the file server too",
        )
    else:
        yield Finding("clock", "ok", "agrees with the disk")


def token(examination: Examination) -> Iterator[Finding]:
    if examination.settings is None or not examination.settings.integer("http_port"):
        return
    path = examination.locations.token
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        yield Finding("token", "ok", f"{path} will be made by the daemon")
        return
    if mode & 0o077:
        yield Finding(
            "token",
            "error",
            f"{path} can be read by others (mode {mode:o})",
            "make a new one: imgqd token --rotate",
        )
    else:
        yield Finding("token", "ok", f"{path} is yours alone")


def service(examination: Examination) -> Iterator[Finding]:
    """Is it a service, and well? Asked as `imgqd service status` does, without comparing texts."""
    from imgqd.service import ServiceError, manager

    try:
        found = manager(system=False).status(None)
    except ServiceError as error:
        yield Finding("service", "ok", error.message)
        return
    if not found["installed"]:
        yield Finding("service", "ok", "not installed; to have one: imgqd service install")
    elif not found["reachable"]:
        yield Finding("service", "ok", f"installed; {'; '.join(found['notes'])}")
    elif found["running"] or found["listening"]:
        state = f"runs, pid {found['pid']}" if found["running"] else "waits for the first question"
        yield Finding("service", "ok", f"{found['manager']}: {state}")
    else:
        yield Finding(
            "service",
            "warning",
            f"installed and not running: {found['detail'] or 'stopped'}",
            "imgqd logs says why; start it again: imgqd service install",
        )
    if found["installed"] and not found["enabled"]:
        yield Finding("service", "warning", "it does not start by itself", "imgqd service install")


CHECKS: tuple[Callable[[Examination], Iterator[Finding]], ...] = (
    lambda _: machine.versions(),
    folders_of_ours,
    daemon,
    service,
    database,
    watched_folders,
    disk,
    models,
    lambda _: machine.accelerator(),
    lambda _: machine.limits(),
    clock,
    token,
)

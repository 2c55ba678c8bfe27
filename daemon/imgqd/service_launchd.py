"""imgqd as a launchd agent of one user (launchd.plist(5), launchctl(1)).

Writes systemd/org.imgq.imgqd.plist with this machine's paths to ~/Library/LaunchAgents and has
launchd load it.
"""

from __future__ import annotations

import os
import plistlib
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

from imgq.locations import Locations
from imgqd.service import (
    Job,
    Outcome,
    Plan,
    ServiceError,
    job_of_user,
    template,
)
from imgqd.service_files import read_file, write_file

LABEL = "org.imgq.imgqd"
LAUNCHD_LOG = "imgqd.launchd.log"


class Launchd:
    """launchd's domain of this user's graphical session."""

    def __init__(self) -> None:
        self.domain = f"gui/{os.getuid()}"
        self.path = os.path.expanduser(f"~/Library/LaunchAgents/{LABEL}.plist")
        if not shutil.which("launchctl"):
            raise ServiceError("there is no launchctl here; start it by hand: imgqd run --detach")

    def job(self, locations: Locations) -> Job:
        """What the agent runs: quiet, since its own log has a limit and launchd's file has none."""
        return job_of_user(locations, "run", "--detached")

    def plan(self, job: Job) -> Plan:
        """The agent's property list."""
        content = plistlib.loads(template(f"{LABEL}.plist").encode())
        content["ProgramArguments"] = list(job.command)
        content["EnvironmentVariables"] = job.environment
        content["StandardErrorPath"] = os.path.join(os.path.dirname(job.log), LAUNCHD_LOG)
        text = plistlib.dumps(content).decode()
        return Plan(files={self.path: text}, folders=(os.path.dirname(job.log),))

    def dry_run(self, job: Job) -> list[str]:
        """What `install` would do now."""
        if self._is_current(job) and self._print() is not None:
            return []
        return [f"write {self.path}", f"run: launchctl bootstrap {self.domain} {self.path}"]

    def install(self, job: Job, make_way: Callable[[], None]) -> Outcome:
        """Writes the agent and loads it anew where it differs."""
        plan = self.plan(job)
        done = []
        for folder in plan.folders:
            os.makedirs(folder, mode=0o700, exist_ok=True)
        if write_file(self.path, plan.files[self.path]):
            done.append(f"wrote {self.path}")
        if not done and self._print() is not None:
            return Outcome(["installed already, as it should be, and loaded"], True)
        self._launchctl("bootout", f"{self.domain}/{LABEL}")
        make_way()
        result = self._launchctl("bootstrap", self.domain, self.path)
        if result.returncode:
            said = result.stderr.decode("utf-8", "replace").strip()
            return Outcome(
                [*done, f"nothing was started: {said}; it starts with your next login"], False
            )
        return Outcome([*done, f"loaded {LABEL}"], True)

    def uninstall(self, locations: Locations) -> list[str]:
        """Unloads the agent and removes its file."""
        if not os.path.lexists(self.path) and self._print() is None:
            return []
        self._launchctl("bootout", f"{self.domain}/{LABEL}")
        said = os.path.join(os.path.dirname(locations.log), LAUNCHD_LOG)
        found = [path for path in (self.path, said) if os.path.lexists(path)]
        for path in found:
            os.unlink(path)
        return [f"removed {path}" for path in found]

    def status(self, job: Job | None) -> dict[str, Any]:
        """See `ServiceManager`."""
        shown = self._print()
        pid = re.search(r"^\s*pid = (\d+)", shown or "", re.MULTILINE)
        installed = os.path.exists(self.path)
        return {
            "manager": "launchd",
            "files": [self.path],
            "installed": installed,
            "current": job is not None and self._is_current(job),
            "enabled": installed,
            "reachable": self._launchctl("print", self.domain).returncode == 0,
            "running": pid is not None,
            "listening": pid is not None,
            "pid": int(pid[1]) if pid else None,
            "restarts": 0,
            "detail": "" if shown is None or pid else "loaded, not running",
            "notes": [],
        }

    def _is_current(self, job: Job) -> bool:
        return read_file(self.path) == self.plan(job).files[self.path]

    def _print(self) -> str | None:
        done = self._launchctl("print", f"{self.domain}/{LABEL}")
        return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None

    def _launchctl(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["launchctl", *arguments], stdin=subprocess.DEVNULL, capture_output=True
        )

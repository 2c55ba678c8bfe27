"""imgqd as a systemd unit: of one user, or of the machine under a user of its own.

Writes systemd/imgqd.service and imgqd.socket with this machine's paths, enables them by the links
that `systemctl enable` would make (so that it works where no manager runs), and starts them where
one does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from imgq.locations import Locations, locate
from imgqd.errors import UsageError
from imgqd.service import (
    Job,
    Outcome,
    Plan,
    ServiceError,
    job_of_user,
    not_found,
    scratch_folder,
    stable_interpreter,
    starts,
    template,
)
from imgqd.service_files import link, links_to, make_folder, read_file, write_file
from imgqd.service_units import changed, command_line, specifiers, without_namespaces, word

SERVICE, SOCKET = "imgqd.service", "imgqd.socket"
SYSTEM_USER = "imgq"
SYSTEM_HOME = "/var/lib/imgq"
SYSTEM_SCRATCH = os.path.join(SYSTEM_HOME, "tmp")
SYSTEM_UNITS = "/etc/systemd/system"
SYSUSERS = "/etc/sysusers.d/imgqd.conf"

# Exit codes of systemd itself for a sandbox that cannot be made (systemd.exec(5)): NAMESPACE,
# USER, CAPABILITIES and their like. imgqd's own are below 200.
_SANDBOX_FAILED = range(200, 256)


class Systemd:
    """systemd's manager of this user, or with `system` that of the machine."""

    def __init__(self, *, system: bool = False) -> None:
        self.system = system
        self.directory = SYSTEM_UNITS if system else user_units()
        self._scope = [] if system else ["--user"]
        if not shutil.which("systemctl"):
            raise ServiceError(
                "there is no systemd here; have your session start: imgqd run --detach"
            )

    # -- what is written

    def job(self, locations: Locations) -> Job:
        """What the service runs; with `system` by an interpreter that every user can reach."""
        if not self.system:
            return job_of_user(locations, "run")
        program = stable_interpreter(sys.executable)
        if closed := closed_folder(program):
            raise ServiceError(
                f"the user {SYSTEM_USER} cannot run {program}: {closed} is closed to others; "
                "install imgq for everybody: sudo python3 -m venv /opt/imgq && "
                "sudo /opt/imgq/bin/pip install imgq && sudo /opt/imgq/bin/imgqd service install --system"
            )
        command = (program, "-P", "-m", "imgqd")
        if not starts(command):
            raise not_found(program)
        places = locate({"IMGQ_HOME": SYSTEM_HOME})
        return Job(
            command=(*command, "run"),
            environment={
                "IMGQ_HOME": SYSTEM_HOME,
                "HOME": SYSTEM_HOME,
                "HF_HOME": f"{SYSTEM_HOME}/huggingface",
            },
            folders=(SYSTEM_HOME,),
            scratch=SYSTEM_SCRATCH,
            socket=places.socket,
            log=places.log,
        )

    def plan(self, job: Job) -> Plan:
        """The two units, and the links that enable them."""
        service = os.path.join(self.directory, SERVICE)
        socket = os.path.join(self.directory, SOCKET)
        files = {service: self._service(job), socket: self._socket(job)}
        if self.system:
            files[SYSUSERS] = f'u {SYSTEM_USER} - "imgq picture search" {SYSTEM_HOME}\n'
        return Plan(
            files=files,
            links=self._links(),
            folders=() if self.system else job.folders,
        )

    def _links(self) -> dict[str, str]:
        """What `systemctl enable` would make."""
        target = "multi-user.target" if self.system else "default.target"
        return {
            os.path.join(self.directory, f"{wanted}.wants", name): os.path.join(
                self.directory, name
            )
            for wanted, name in ((target, SERVICE), ("sockets.target", SOCKET))
        }

    def _service(self, job: Job) -> str:
        environment = {"TMPDIR": job.scratch, **job.environment}
        changes = {
            "ExecStart": [command_line(job.command)],
            "Environment": [word(f"{name}={value}") for name, value in environment.items()],
            "ReadWritePaths": [word(f"-{folder}") for folder in job.folders],
        }
        text = template(SERVICE)
        if self.system:
            # The manager makes the folder and gives it to the user.
            text = text.replace(
                "\n[Service]\n",
                f"\n[Service]\nUser={SYSTEM_USER}\nGroup={SYSTEM_USER}\n"
                "StateDirectory=imgq imgq/tmp\nStateDirectoryMode=0700\n",
            )
            changes["ExecStartPre"] = []
            changes["WantedBy"] = ["multi-user.target"]
            changes["InaccessiblePaths"] = [
                "-/root -/run/dbus/system_bus_socket -/run/systemd/private -/run/docker.sock"
            ]
            text = text.replace(" --user", "")
        else:
            mkdir = shutil.which("mkdir") or "/bin/mkdir"
            made = command_line((mkdir, "-p", "-m", "0700", *job.folders, job.scratch))
            changes["ExecStartPre"] = [f"+{made}"]
        return changed(text, changes)

    def _socket(self, job: Job) -> str:
        changes = {"ListenStream": [specifiers(job.socket)]}
        text = template(SOCKET)
        if self.system:
            text = text.replace(
                "\n[Socket]\n",
                f"\n[Socket]\nSocketUser={SYSTEM_USER}\nSocketGroup={SYSTEM_USER}\n",
            )
        return changed(text, changes)

    # -- install, uninstall

    def dry_run(self, job: Job) -> list[str]:
        """What `install` would do now."""
        plan = self.plan(job)
        steps = [f"make the folder {path}" for path in plan.folders if not os.path.isdir(path)]
        steps += [f"write {path}" for path in plan.files if not self._is_current(path, plan)]
        steps += [
            f"link {path} -> {target}"
            for path, target in plan.links.items()
            if not links_to(path, target)
        ]
        if not self.reachable():
            return [*steps, f"start nothing: {self._silence()}"]
        if self.system and any(step == f"write {SYSUSERS}" for step in steps):
            steps.append("run: systemd-sysusers")
        if steps:
            steps.append(self._command("daemon-reload"))
        if steps or not self._is_active(SERVICE):
            steps.append(self._command("restart", SOCKET, SERVICE))
        return steps

    def install(self, job: Job, make_way: Callable[[], None]) -> Outcome:
        """Writes what differs, enables and starts it; does nothing where all is well."""
        if self.system and os.geteuid() != 0:
            raise UsageError("--system installs for the whole machine: run it with sudo")
        plan = self.plan(job)
        done = []
        for folder in plan.folders:
            make_folder(folder)
        for path, text in plan.files.items():
            if not self._is_current(path, plan) and write_file(path, text):
                done.append(f"wrote {path}")
                if path == SYSUSERS:
                    self._make_user()
        for path, target in plan.links.items():
            if not links_to(path, target):
                link(path, target)
                done.append(f"enabled {os.path.basename(path)}")
        if not self.reachable():
            return Outcome([*done, self._later()], False)
        if not done and self._is_active(SERVICE):
            return Outcome(["installed already, as it should be, and running"], True)
        self._systemctl("daemon-reload")
        self._stop()
        make_way()
        if failure := self._start():
            service = os.path.join(self.directory, SERVICE)
            if int(self._property(SERVICE, "ExecMainStatus") or 0) not in _SANDBOX_FAILED:
                raise ServiceError(failure)
            # Some systems let no ordinary user make namespaces; the rest of the hardening stays.
            self._stop()
            write_file(service, without_namespaces(plan.files[service]))
            self._systemctl("daemon-reload")
            if failure := self._start():
                raise ServiceError(failure)
            done.append("this machine makes no namespaces for users: installed without them")
        return Outcome([*done, f"started {SERVICE}"], True)

    def uninstall(self, locations: Locations) -> list[str]:
        """Stops it and removes units, links, scratch files and what `systemctl edit` added."""
        if self.system and os.geteuid() != 0:
            raise UsageError("--system is about the whole machine: run it with sudo")
        found = [path for path in self._traces() if os.path.lexists(path)]
        if not found:
            return []
        scratch = SYSTEM_SCRATCH if self.system else scratch_folder(locations)
        found += [scratch] if os.path.isdir(scratch) else []
        reachable = self.reachable()
        if reachable:
            self._stop()
        for path in found:
            try:
                if os.path.isdir(path) and not os.path.islink(path):
                    shutil.rmtree(path)
                else:
                    os.unlink(path)
            except OSError as error:
                raise ServiceError(f"{path} cannot be removed: {error.strerror}") from error
        done = [f"removed {path}" for path in found]
        for folder in {os.path.dirname(path) for path in found} - {self.directory}:
            if folder.endswith(".wants"):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
        if reachable:
            self._systemctl("daemon-reload")
            self._systemctl("reset-failed", SERVICE, SOCKET)
        else:
            done.append(f"nothing was stopped: {self._silence()}")
        return done

    def _traces(self) -> list[str]:
        names = [SERVICE, SOCKET, f"{SERVICE}.d", f"{SOCKET}.d"]
        wants = [
            ("default.target.wants", SERVICE),
            ("multi-user.target.wants", SERVICE),
            ("sockets.target.wants", SOCKET),
        ]
        paths = [os.path.join(self.directory, name) for name in names]
        paths += [os.path.join(self.directory, *link) for link in wants]
        return [*paths, SYSUSERS] if self.system else paths

    def _make_user(self) -> None:
        done = subprocess.run(["systemd-sysusers", SYSUSERS], capture_output=True)
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise ServiceError(f"the user {SYSTEM_USER} cannot be made: {said}")

    # -- status

    def status(self, job: Job | None) -> dict[str, Any]:
        """See `ServiceManager`."""
        plan = self.plan(job) if job is not None else None
        service = os.path.join(self.directory, SERVICE)
        installed = os.path.exists(service)
        reachable = self.reachable()
        shown = self._show() if reachable else {}
        notes = []
        text = read_file(service) or ""
        if installed and text == without_namespaces(text):
            notes.append("without the hardening that needs namespaces, which this machine refuses")
        if installed and not self.system and not _lingers():
            notes.append("it runs while you are logged in; for always: loginctl enable-linger")
        if not reachable:
            notes.append(self._silence())
        state = shown.get("ActiveState", "")
        return {
            "manager": "systemd",
            "files": [service, os.path.join(self.directory, SOCKET)],
            "installed": installed,
            "current": plan is not None
            and all(self._is_current(path, plan) for path in plan.files),
            "enabled": all(links_to(path, target) for path, target in self._links().items()),
            "reachable": reachable,
            "running": state == "active",
            "listening": reachable and self._is_active(SOCKET),
            "pid": int(shown.get("MainPID") or 0) or None,
            "restarts": int(shown.get("NRestarts") or 0),
            "detail": _detail(state, shown),
            "notes": notes,
        }

    def reachable(self) -> bool:
        """True when the manager answers."""
        done = self._systemctl("show", "--property=Version")
        return done.returncode == 0 and b"Version=" in done.stdout

    def _silence(self) -> str:
        if self.system:
            return "systemd does not run here"
        return "no systemd user manager answers here (a container, or a login without one)"

    def _later(self) -> str:
        if self.system:
            return f"nothing was started: {self._silence()}; it starts with the machine"
        return (
            f"nothing was started: {self._silence()}; it starts with your next login, "
            "and until then: imgqd run --detach"
        )

    # -- the manager

    def _show(self) -> dict[str, str]:
        names = "ActiveState,MainPID,NRestarts,StatusText,Result"
        done = self._systemctl("show", f"--property={names}", SERVICE)
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        return {line.partition("=")[0]: line.partition("=")[2] for line in lines}

    def _property(self, unit: str, name: str) -> str:
        done = self._systemctl("show", "--value", f"--property={name}", unit)
        return done.stdout.decode("utf-8", "replace").strip()

    def _is_active(self, unit: str) -> bool:
        return self._property(unit, "ActiveState") == "active"

    def _stop(self) -> None:
        self._systemctl("stop", SOCKET, SERVICE)
        self._systemctl("reset-failed", SERVICE, SOCKET)

    def _start(self) -> str | None:
        """Starts both; a sentence where that failed."""
        done = self._systemctl("start", SOCKET, SERVICE)
        if done.returncode == 0:
            return None
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        journal = " ".join(["journalctl", *self._scope, "-u", "imgqd", "-n", "30"])
        return (
            f"installed, but it does not start: {said[0] if said else 'systemctl failed'} "
            f"See: {journal}"
        )

    def _command(self, *arguments: str) -> str:
        return "run: " + " ".join(["systemctl", *self._scope, *arguments])

    def _systemctl(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        environ = dict(os.environ)
        if not self.system and not environ.get("XDG_RUNTIME_DIR"):
            # A login by su or cron lacks it, while the manager may run all the same.
            environ["XDG_RUNTIME_DIR"] = f"/run/user/{os.geteuid()}"
        return subprocess.run(
            ["systemctl", *self._scope, "--no-pager", "--no-ask-password", *arguments],
            env={**environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )

    def _is_current(self, path: str, plan: Plan) -> bool:
        text = plan.files[path]
        return read_file(path) in (text, without_namespaces(text))


def user_units() -> str:
    """Where a user's own units are."""
    config = os.environ.get("XDG_CONFIG_HOME", "")
    if not config.startswith("/"):
        config = os.path.expanduser("~/.config")
    return os.path.join(config, "systemd", "user")


def closed_folder(path: str) -> str | None:
    """The first folder above `path`, links followed, that other users cannot pass; None if none."""
    for name in dict.fromkeys((os.path.abspath(path), os.path.realpath(path))):
        folder = os.path.dirname(name)
        while folder != os.path.dirname(folder):
            with contextlib.suppress(OSError):
                if not os.stat(folder).st_mode & 0o001:
                    return folder
            folder = os.path.dirname(folder)
    return None


def _detail(state: str, shown: Mapping[str, str]) -> str:
    """What the daemon says of itself, or why there is none."""
    if state == "active":
        return shown.get("StatusText", "")
    failed = shown.get("Result", "success") != "success"
    return f"{state} ({shown['Result']})" if failed else "" if state == "inactive" else state


def _lingers() -> bool:
    """True when this user's manager runs without a login (loginctl enable-linger)."""
    import pwd

    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return False
    return os.path.exists(f"/var/lib/systemd/linger/{name}")

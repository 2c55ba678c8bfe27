"""A real `systemd --user` in namespaces of its own, for tests of the service.

Needs root and systemd's programs; it leaves the machine as it was. The manager runs as an ordinary
user where the interpreter can be read by one, else as root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.harness import ROOT

MANAGER = next(
    (p for p in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if os.path.exists(p)), ""
)
USER = 1531

# systemd asks whether the machine was booted with it, and wants a cgroup that it may divide.
_SETUP = """
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/systemd/system "/run/user/$OWNER"
chown "$OWNER:$OWNER" "/run/user/$OWNER"
chmod 700 "/run/user/$OWNER"
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$GROUP" "/sys/fs/cgroup/$GROUP/user"
chown -R "$OWNER:$OWNER" "/sys/fs/cgroup/$GROUP/user"
# What the machine's own systemd makes when it starts, and managers of users take from there.
mkdir /run/systemd/unit-root
mkdir -m 000 /run/systemd/inaccessible /run/systemd/inaccessible/dir
(
  cd /run/systemd/inaccessible
  touch reg && mkfifo fifo && cp -a /dev/null chr
  "$PYTHON" -c "import socket; socket.socket(socket.AF_UNIX).bind('sock')"
  chmod 000 reg fifo chr sock
)
chown "$OWNER" "$CONSOLE"
mount --bind "$CONSOLE" /dev/console
(
  echo 0 > "/sys/fs/cgroup/$GROUP/user/cgroup.procs"
  exec setpriv --reuid "$OWNER" --regid "$OWNER" --clear-groups env -i PATH="$PATH" \\
    HOME="$HOME" XDG_RUNTIME_DIR="/run/user/$OWNER" \\
    "$MANAGER" --user --log-target=console --show-status=no
) &
sleep infinity
"""
_CLEAN = """
mount --make-rprivate /
mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null
find "/sys/fs/cgroup/$GROUP" -depth -type d -exec rmdir {} \\; 2>/dev/null
test ! -e "/sys/fs/cgroup/$GROUP"
"""


class UserManager:
    """A running manager. `home` is its user's home folder, `user` the user's number."""

    def __init__(self, directory: str) -> None:
        self.home = os.path.join(directory, "home")
        self.user = USER if _readable(USER) else 0
        os.makedirs(self.home)
        for path in (directory, self.home):
            os.chmod(path, 0o755)
        os.chown(self.home, self.user, self.user)
        self.group = os.path.basename(directory)
        self._said = b""
        # The manager writes its log to a terminal only.
        self._terminal, console = os.openpty()
        threading.Thread(target=self._listen, daemon=True).start()
        self._process = subprocess.Popen(
            [
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                *("--cgroup", "sh", "-c", _SETUP),
            ],
            env={
                "PATH": os.environ["PATH"],
                "OWNER": str(self.user),
                "GROUP": self.group,
                "HOME": self.home,
                "CONSOLE": os.ttyname(console),
                "MANAGER": MANAGER,
                "PYTHON": sys.executable,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[console],
        )
        os.close(console)

    def wait(self) -> str | None:
        """None once it answers, else why there is none."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                assert self._process.stdout is not None
                return self._process.stdout.read().decode(errors="replace").strip()
            done = self.run("systemctl", "--user", "show", "--property=Version")
            if done.returncode == 0 and done.stdout.startswith(b"Version="):
                return None
            time.sleep(0.2)
        return "it did not start: " + self.said()[-500:]

    def run(
        self, *command: str, timeout: float = 120, **environ: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs a command as the user, beside the manager."""
        return subprocess.run(
            [
                *("nsenter", f"--target={self._inside()}", "--mount", "--pid", "--cgroup"),
                *("setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"),
                *("env", "-i", f"PATH={os.environ['PATH']}", f"HOME={self.home}"),
                f"XDG_RUNTIME_DIR=/run/user/{self.user}",
                *(f"{name}={value}" for name, value in environ.items()),
                *command,
            ],
            capture_output=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            cwd="/",
        )

    def show(self, unit: str, name: str) -> str:
        """One property of a unit."""
        done = self.run("systemctl", "--user", "show", "--value", f"--property={name}", unit)
        return done.stdout.decode().strip()

    def said(self) -> str:
        """What the manager wrote to its console."""
        return self._said.decode(errors="replace")

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._said += os.read(self._terminal, 65536)

    def _inside(self) -> int:
        """The process that is number 1 in there."""
        path = f"/proc/{self._process.pid}/task/{self._process.pid}/children"
        with open(path) as stream:
            children = stream.read().split()
        return int(children[0]) if children else self._process.pid

    def close(self) -> None:
        """Ends it and everything that it started."""
        self._process.kill()
        self._process.communicate()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            done = subprocess.run(
                ["unshare", "--mount", "sh", "-c", _CLEAN],
                env={"PATH": os.environ["PATH"], "GROUP": self.group},
                capture_output=True,
            )
            if done.returncode == 0:
                break
            time.sleep(0.2)


def _readable(user: int) -> bool:
    """Whether a user with this number could run the tests' interpreter and read this repository."""
    done = subprocess.run(
        [
            *("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "env"),
            *(sys.executable, "-c"),
            f"import os; os.listdir({ROOT!r}); open({__file__!r}); import aiohttp",
        ],
        capture_output=True,
        cwd="/",
    )
    return done.returncode == 0


def why_not() -> str | None:
    """Why no manager can be started on this machine; None where it can be tried."""
    if sys.platform != "linux":
        return "systemd is Linux's"
    if os.geteuid() != 0:
        return "only root can start a user manager beside the machine's own"
    if not MANAGER or not shutil.which("systemctl"):
        return "systemd is not installed"
    if not shutil.which("nsenter") or not shutil.which("setpriv"):
        return "util-linux is not installed"
    return None


@contextmanager
def user_manager(*, namespaces: bool = True) -> Iterator[UserManager | str]:
    """A manager, or the reason why there is none; without `namespaces` its user can make none."""
    reason = why_not()
    if reason is not None:
        yield reason
        return
    directory = tempfile.mkdtemp(prefix="imgq-manager-")
    manager = UserManager(directory)
    try:
        reason = manager.wait()
        if not namespaces:
            # Without these the manager can hide nothing, and ends as where it may not unshare.
            for place in (f"/run/user/{manager.user}", "/run"):
                manager.run("rm", "-rf", f"{place}/systemd/inaccessible")
        yield manager if reason is None else reason
    finally:
        manager.close()
        shutil.rmtree(directory, ignore_errors=True)

"""The commands that start and stop the daemon: run, stop, index.

What the daemon starts in which order is daemon.py's; here are its settings, lock, log and process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from argparse import SUPPRESS, ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Callable, Sequence
from typing import Any

from imgq.client import Client
from imgq.errors import ClientError, NoDaemonError
from imgq.locations import Locations, locate, make_private
from imgqd.commands.asking import paused_why
from imgqd.commands.common import (
    FAILED,
    NO,
    NO_DAEMON,
    YES,
    client,
    count,
    existing_folders,
    folder_arguments,
    shown,
    tell,
)
from imgqd.errors import AlreadyRunningError, ImgqError
from imgqd.lock import InstanceLock, holder, is_held, wait_until_free
from imgqd.process import spare_memory
from imgqd.settings import TABLE, Settings, Value

STARTING_S = 60.0
STOPPING_S = 60.0
# A database that turns out to be damaged while running is moved aside and the daemon starts anew.
RESTARTS = 3


def run_options(parser: ArgumentParser) -> None:
    parser.add_argument("folders", nargs="*", metavar="DIR", help="watch these folders too")
    parser.add_argument(
        "--detach", action="store_true", help="go to the background once the daemon answers"
    )
    parser.add_argument("--detached", action="store_true", help=SUPPRESS)
    setting_options(parser)


def setting_options(parser: ArgumentParser) -> None:
    """Every setting as an option; without a value nothing is set."""
    group = parser.add_argument_group("settings for this run (imgqd config shows them all)")
    for setting in TABLE:
        name = f"--{setting.name.replace('_', '-')}"
        dest = f"setting_{setting.name}"
        help_text = setting.help.replace("%", "%%")
        if isinstance(setting.default, bool):
            group.add_argument(
                name, dest=dest, action=BooleanOptionalAction, default=None, help=help_text
            )
        elif isinstance(setting.default, list):
            group.add_argument(name, dest=dest, action="append", metavar="TEXT", help=help_text)
        else:
            metavar = "N" if isinstance(setting.default, int | float) else "TEXT"
            if setting.choices:
                metavar = "|".join(setting.choices)
            group.add_argument(name, dest=dest, metavar=metavar, help=help_text)


def flags_of(args: Namespace) -> dict[str, Value]:
    """The settings that were given on the command line."""
    given = {setting.name: getattr(args, f"setting_{setting.name}", None) for setting in TABLE}
    return {name: value for name, value in given.items() if value is not None}


def run(args: Namespace) -> int:
    """Runs the daemon in the foreground, until Ctrl-C, SIGTERM or `imgqd stop`; also watches DIR.

    With --detach it goes to the background. Example: imgqd run --detach ~/Pictures
    """
    if args.detach and not args.detached:
        return detach(args)
    locations = locate()
    settings = Settings.load(locations.config, flags=flags_of(args))
    folders = folder_arguments(args)
    if locations.home is not None:
        os.environ["IMGQ_HOME"] = locations.home
    if args.detached:
        # No folder is kept from being unmounted because the daemon was started in it.
        os.chdir("/")
    return serve(settings, locations, folders, quiet=args.detached)


def serve(
    settings: Settings,
    locations: Locations,
    folders: Sequence[bytes],
    *,
    quiet: bool,
    on_ready: Callable[[], None] = lambda: None,
) -> int:
    """Runs a daemon in this process until it stops. With `quiet` it logs to its file only.

    Raises AlreadyRunningError when one runs, ImgqError when it cannot start.
    """
    # Before any child is started: what a service manager hands over is for this process.
    from imgqd.notify import Notifier, inherited_sockets

    notifier, inherited = Notifier.from_environment(), inherited_sockets()
    # Everything that the daemon and its children make is this user's alone.
    os.umask(0o077)
    for folder in (locations.data, locations.runtime):
        private(folder)
    lock = InstanceLock(locations.lock, locations.data)
    # Held to the very end of the process: who waits for the lock waits for the process.
    lock.acquire()
    from imgqd import logs

    log = logs.configure(
        settings.text("log_level"),
        file=locations.log,
        terminal=None if quiet or sys.stderr is None else sys.stderr,
    )
    logs.catch_uncaught()
    # A product of small matrices on several threads costs more than it saves: OpenBLAS's threads
    # spin for 30 ms after each. It reads this when numpy is imported, which is now.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    spare_memory()
    from imgqd.daemon import Daemon

    try:
        for _ in range(RESTARTS):
            daemon = Daemon(settings, locations, notifier=notifier, inherited=inherited)
            code = daemon.run(folders, on_ready=on_ready)
            if daemon.damaged is None:
                return code
        raise ImgqError(
            f"{locations.database} was damaged again and again; is its disk sound? "
            f"The log is {locations.log}"
        )
    finally:
        log.close()


def private(folder: str) -> None:
    """Makes a folder for this user only. Raises ImgqError that says why it cannot be."""
    try:
        make_private(folder)
    except OSError as error:
        reason = (
            str(error)
            if isinstance(error, PermissionError) and not error.errno
            else (f"{folder} cannot be made private to you: {error.strerror or error}")
        )
        raise ImgqError(reason, code="folder") from error


def detach(args: Namespace) -> int:
    """Starts `imgqd run` in a session of its own; returns when it answers or has failed."""
    locations = locate()
    arguments = ["run", "--detached"]
    for name, value in flags_of(args).items():
        arguments += flag_words(f"--{name.replace('_', '-')}", value)
    arguments += ["--", *(os.fsdecode(folder) for folder in folder_arguments(args))]
    # A file, not a pipe: nobody reads a pipe once this process is gone.
    with tempfile.TemporaryFile() as words:
        # A new process, never a fork of this one. -P: a file imgqd.py here is not the daemon.
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "imgqd", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=words,
            start_new_session=True,
        )
        deadline = time.monotonic() + STARTING_S
        while time.monotonic() < deadline:
            code = process.poll()
            if code is not None:
                words.seek(0)
                said = words.read(65536).decode("utf-8", "replace").strip()
                tell(said or f"imgqd: the daemon ended at once; its log is {locations.log}")
                return code if code > 0 else FAILED
            if answers(locations, process.pid):
                tell(f"imgqd runs (pid {process.pid})")
                return YES
            time.sleep(0.02)
    tell(
        f"imgqd: the daemon (pid {process.pid}) has not answered within {STARTING_S:g} s; "
        f"it goes on starting, its log is {locations.log}"
    )
    return FAILED


def flag_words(name: str, value: Value) -> list[str]:
    """A setting as the words that `setting_options` reads."""
    if isinstance(value, bool):
        return [name if value else name.replace("--", "--no-", 1)]
    if isinstance(value, list):
        return [word for part in value for word in (f"{name}={part}",)]
    return [f"{name}={value}"]


def answers(locations: Locations, pid: int) -> bool:
    """True when the daemon with this process id answers at its own address."""
    try:
        return bool(Client(own_address(locations), timeout=5.0).status()["pid"] == pid)
    except (ClientError, KeyError):
        return False


def own_address(locations: Locations) -> str | None:
    """Where a daemon of this library listens, whatever IMGQ_SOCKET says."""
    return locations.socket if sys.platform != "win32" else None


def stop(args: Namespace) -> int:
    """Stops the daemon; returns when it has stopped.

    Example: imgqd stop
    """
    asked = client(timeout=10.0)
    try:
        found = asked.status()
    except ClientError as error:
        return stop_silent(asked.locations, error)
    home = found.get("home")
    lock = os.path.join(home, "imgqd.lock") if home else asked.locations.lock
    with contextlib.suppress(NoDaemonError):
        asked.stop()
    return wait_for_end(lock, int(found["pid"]))


def stop_silent(locations: Locations, error: ClientError) -> int:
    """Stops a daemon that holds the lock and does not answer: it is starting, or stuck."""
    who = holder(locations.lock)
    if not is_held(locations.lock) or who.pid is None:
        if isinstance(error, NoDaemonError):
            tell("no daemon is running; there is nothing to stop")
            return NO_DAEMON
        raise error
    os.kill(who.pid, signal.SIGTERM)
    return wait_for_end(locations.lock, who.pid)


def wait_for_end(lock: str, pid: int) -> int:
    """Waits until the daemon is gone."""
    if wait_until_free(lock, STOPPING_S):
        tell(f"imgqd (pid {pid}) has stopped")
        return YES
    tell(
        f"imgqd: the daemon (pid {pid}) has not stopped within {STOPPING_S:g} s; "
        f"its log may say why; to end it at once: kill -9 {pid}"
    )
    return FAILED


def index_options(parser: ArgumentParser) -> None:
    parser.add_argument("folders", nargs="+", metavar="DIR")
    setting_options(parser)


def index(args: Namespace) -> int:
    """Indexes folders once and exits; asks the running daemon where there is one.

    The folders stay watched for when a daemon runs. Example: imgqd index ~/Pictures
    """
    folders = existing_folders(args)

    def work(asked: Client) -> dict[str, Any]:
        from imgqd.commands.following import waiting

        asked.watch(*folders)
        with waiting(asked):
            answer = asked.sync()
        return {"sync": answer, "status": asked.status()}

    # Somebody wants it now: a daemon that runs for this command alone does not save the battery.
    done = with_daemon(work, flags={"on_battery": "run", **flags_of(args)})
    for folder in done["sync"].get("offline", ()):
        tell(f"{shown(folder)} is offline and was left out")
    status = done["status"]
    tell(f"{count(status['pictures'], 'picture')} can be found")
    if status["problems"]:
        tell(f"{count(status['problems'], 'file')} could not be indexed: imgqd problems")
    if done["sync"].get("paused"):
        tell(f"indexing is {paused_why(status)}; go on with: imgqd resume")
    if not done["sync"]["in_sync"]:
        tell(f"not complete: {count(done['sync'].get('pending', 0), 'file')} are left")
        return NO
    return YES


def with_daemon(
    work: Callable[[Client], dict[str, Any]], *, flags: dict[str, Value] | None = None
) -> dict[str, Any]:
    """Does `work` with the running daemon, or with one in this process for just as long.

    Raises what `work` raises, ImgqError when no daemon can be started.
    """
    locations = locate()
    if os.environ.get("IMGQ_SOCKET") or is_held(locations.lock):
        return work(client(timeout=None))
    settings = Settings.load(locations.config, flags=flags or {})
    outcome: list[dict[str, Any]] = []
    failure: list[BaseException] = []

    def beside() -> None:
        asked = Client(own_address(locations), timeout=None)
        try:
            outcome.append(work(asked))
        except BaseException as error:
            failure.append(error)
        finally:
            with contextlib.suppress(ClientError):
                asked.stop()

    thread = threading.Thread(target=beside, name="command", daemon=True)
    try:
        serve(settings, locations, (), quiet=True, on_ready=thread.start)
    except AlreadyRunningError:
        # Somebody else's daemon was quicker.
        return work(client(timeout=None))
    thread.join(10.0)
    if failure and not isinstance(failure[0], ClientError):
        raise failure[0]
    if not outcome:
        # The daemon was ended by a signal: whoever sent it wanted this command to end.
        raise failure[0] if failure and not interrupted(failure[0]) else KeyboardInterrupt
    return outcome[0]


def interrupted(error: BaseException) -> bool:
    """True for what a call sees when the daemon in this process is told to end by a signal."""
    return getattr(error, "code", "") == "cut" or isinstance(error, NoDaemonError)

"""The command that has the machine's service manager keep the daemon: service install, uninstall,
status. What is written and how each manager takes it is in imgqd/service*.py.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from imgq import terminal
from imgq.errors import NoDaemonError
from imgq.locations import locate
from imgqd.commands.common import NO, YES, print_json, print_text, shown, tell
from imgqd.errors import UsageError
from imgqd.lock import is_held


def service_options(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=("install", "uninstall", "status"))
    parser.add_argument(
        "--system", action="store_true", help="for the whole machine, under the user imgq (systemd)"
    )
    parser.add_argument(
        "--print",
        dest="print_files",
        action="store_true",
        help="install: show the files that it writes, and write none",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="install: say what it would do, and do nothing"
    )
    parser.add_argument("--json", action="store_true", help="status: one JSON object, for programs")


def service(args: Namespace) -> int:
    """Installs the daemon as a service of yours (systemd, launchd), removes it, or says what is.

    Exit code 1 when it is written but cannot be started here, and for status when it is not there.
    Example: imgqd service install
    """
    if args.action != "install" and (args.print_files or args.dry_run):
        raise UsageError("--print and --dry-run go with: imgqd service install")
    if args.action == "install":
        return install(args)
    return uninstall(args) if args.action == "uninstall" else status(args)


def install(args: Namespace) -> int:
    """Writes and starts the service, or shows what that would be."""
    from imgqd.service import manager

    locations = locate()
    keeper = manager(system=args.system)
    job = keeper.job(locations)
    if args.print_files:
        for path, text in keeper.plan(job).files.items():
            print_text(f"# {path}\n{text}")
        return YES
    if args.dry_run:
        steps = keeper.dry_run(job)
        for step in steps:
            print_text(terminal.harmless(step))
        if not steps:
            tell("nothing to do: it is installed and runs")
        return YES

    def make_way() -> None:
        if not args.system and is_held(locations.lock):
            from imgqd.commands.running import stop_silent

            tell("the daemon that runs now makes way for the service")
            stop_silent(locations, NoDaemonError("it has ended meanwhile"))

    outcome = keeper.install(job, make_way)
    for line in outcome.done:
        tell(terminal.harmless(line))
    return YES if outcome.running else NO


def uninstall(args: Namespace) -> int:
    """Stops and removes the service; the library stays."""
    from imgqd.service import manager

    locations = locate()
    done = manager(system=args.system).uninstall(locations)
    for line in done:
        tell(terminal.harmless(line))
    if not done:
        tell("no service is installed; there is nothing to remove")
    elif args.system:
        tell("the user imgq stays, and its library: /var/lib/imgq")
    elif os.path.isdir(locations.data):
        tell(f"your library stays: {shown(locations.data)}")
    return YES


def status(args: Namespace) -> int:
    """Says whether the service is installed, as it should be, and running."""
    from imgqd.service import ServiceError, manager

    keeper = manager(system=args.system)
    try:
        found = keeper.status(keeper.job(locate()))
    except ServiceError as error:
        # This interpreter could not be a service: what is installed runs by another one.
        found = keeper.status(None)
        if found["installed"]:
            found["notes"].append(error.message)
    well = found["installed"] and (found["running"] or found["listening"])
    if args.json:
        print_json(found)
        return YES if well else NO
    if not found["installed"]:
        print_text("not installed; to install it: imgqd service install")
        return NO
    if found["running"]:
        state = f"running (pid {found['pid']})"
    elif found["listening"]:
        state = "waiting for the first question"
    else:
        state = "not running"
    detail = f": {terminal.harmless(found['detail'])}" if found["detail"] else ""
    print_text(f"{found['manager']}: {state}{detail}")
    for path in found["files"]:
        print_text(f"  {shown(path)}")
    if not found["current"]:
        print_text("  not as this imgq would write it; to renew it: imgqd service install")
    if not found["enabled"]:
        print_text("  not started by itself; to enable it: imgqd service install")
    if found["restarts"]:
        print_text(f"  restarted {found['restarts']} times")
    for note in found["notes"]:
        print_text(f"  {terminal.harmless(note)}")
    return YES if well else NO

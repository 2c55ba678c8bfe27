"""The command `imgqd`: which commands there are, and how errors become sentences and exit codes.

Every command is a function in commands/; its docstring is its help. What only one command needs is
imported when it runs.
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from imgq import terminal
from imgq.errors import ClientError
from imgqd import __version__
from imgqd.commands import (
    asking,
    completing,
    describing,
    following,
    logs,
    machine,
    moving,
    running,
    service,
    stats,
)
from imgqd.commands.common import FAILED, INTERRUPTED, USAGE, YES
from imgqd.errors import ImgqError, UsageError


def _no_options(parser: ArgumentParser) -> None:
    """For commands that take none."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its name, its function and its options."""

    name: str
    run: Callable[[Namespace], int]
    options: Callable[[ArgumentParser], None] = _no_options

    @property
    def help(self) -> str:
        return inspect.cleandoc(self.run.__doc__ or "")


COMMANDS: tuple[Command, ...] = (
    Command("run", running.run, running.run_options),
    Command("stop", running.stop),
    Command("add", asking.add, asking.add_options),
    Command("remove", asking.remove, asking.remove_options),
    Command("folders", asking.folders, asking.json_option),
    Command("status", following.status, following.status_options),
    Command("sync", asking.sync, asking.sync_options),
    Command("pause", asking.pause),
    Command("resume", asking.resume),
    Command("index", running.index, running.index_options),
    Command("stats", stats.stats, stats.stats_options),
    Command("logs", logs.logs, logs.logs_options),
    Command("problems", asking.problems, asking.json_option),
    Command("retry", asking.retry, asking.retry_options),
    Command("model", asking.model, asking.model_options),
    Command("verify", asking.verify, asking.verify_options),
    Command("export", describing.export, describing.export_options),
    Command("import", describing.import_, moving.file_option),
    Command("doctor", machine.doctor, machine.doctor_options),
    Command("backup", moving.backup, moving.file_option),
    Command("restore", moving.restore, moving.file_option),
    Command("relocate", moving.relocate, moving.relocate_options),
    Command("service", service.service, service.service_options),
    Command("config", machine.config, asking.json_option),
    Command("completion", completing.completion, completing.completion_options),
    Command("token", machine.token, machine.token_options),
)

EPILOG = """\
Exit codes: 0 done, 1 the answer is no, 2 wrong usage, 3 no daemon, 4 failed.
To ask for pictures: imgq "sunset over ocean"
"""


def parser() -> ArgumentParser:
    """The whole command line."""
    top = ArgumentParser(
        prog="imgqd",
        description="Runs and looks after the picture-search daemon.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"imgqd {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True, dest="command")
    for command in COMMANDS:
        first = command.help.splitlines()[0]
        sub = commands.add_parser(
            command.name,
            help=first.rstrip("."),
            description=command.help,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.options(sub)
        sub.set_defaults(run=command.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line; returns the exit code. Nothing but SystemExit is ever raised."""
    try:
        args = parser().parse_args(sys.argv[1:] if argv is None else list(argv))
        code: int = args.run(args)
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # `imgqd folders | head`: the reader has what it wanted.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return YES
    except ClientError as error:
        return _complain(error.message, error.exit_code)
    except UsageError as error:
        return _complain(error.message, USAGE)
    except ImgqError as error:
        return _complain(error.message, FAILED)
    except OSError as error:
        where = f" ({terminal.harmless(str(error.filename))})" if error.filename else ""
        return _complain(f"{error.strerror or error}{where}", FAILED)
    except Exception as error:
        return _complain(_defect(error), FAILED)


def _complain(message: str, code: int) -> int:
    terminal.tell(f"imgqd: {message}")
    return code


def _defect(error: Exception) -> str:
    """A sentence for what nobody thought of; the log, where there is one, has the traceback."""
    import structlog

    if structlog.is_configured():
        structlog.get_logger("imgqd").error("a command failed", exc_info=error)
    return f"failed in a way nobody thought of: {type(error).__name__}: {error}; please report it"

"""The commands that need no daemon: doctor, config, token."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from typing import Any

from imgq import terminal
from imgq.client import Client
from imgq.errors import ClientError
from imgq.locations import locate
from imgqd.commands.asking import json_option
from imgqd.commands.common import NO, YES, print_json, print_text, tell
from imgqd.commands.running import private
from imgqd.settings import TABLE, Settings, Value


def doctor_options(parser: ArgumentParser) -> None:
    json_option(parser)
    parser.add_argument(
        "--online", action="store_true", help="also see whether the model hub can be reached"
    )


def doctor(args: Namespace) -> int:
    """Checks the machine: watch limits, disk, models, socket, permissions, each with its remedy.

    Exit code 1 when something needs doing. Example: imgqd doctor --json
    """
    from imgqd.doctor import examine

    findings = examine(online=args.online)
    trouble = [finding for finding in findings if finding.state != "ok"]
    if args.json:
        print_json({"ok": not trouble, "findings": [finding.to_json() for finding in findings]})
        return NO if trouble else YES
    colours = terminal.is_terminal(1) and terminal.wants_colour()
    shades = {"ok": terminal.GREEN, "warning": terminal.YELLOW, "error": terminal.RED}
    for finding in findings:
        word = terminal.colour(f"{finding.state:<8}", shades[finding.state], colours)
        print_text(f"{word} {finding.check:<12} {terminal.harmless(finding.detail)}")
        if finding.remedy:
            print_text(f"{'':<21} -> {terminal.harmless(finding.remedy)}")
    return NO if trouble else YES


def config(args: Namespace) -> int:
    """Prints every setting, its effective value and where that came from.

    Those of the running daemon; without one, those that it would start with.
    Example: imgqd config --json
    """
    rows, origin = effective()
    locations = locate()
    if args.json:
        print_json({"settings": rows, "file": locations.config, "of": origin})
        return YES
    tell(f"settings {origin}; the file is {locations.config}")
    for row in rows:
        value = row["value"]
        text = ", ".join(value) if isinstance(value, list) else str(value)
        if isinstance(value, bool):
            text = "true" if value else "false"
        source = "" if row["source"] == "default" else f"  ({row['source']})"
        print_text(f"{row['name']} = {terminal.harmless(text)}{source}")
        print_text(f"    {row['help']}")
    return YES


def effective() -> tuple[list[dict[str, Any]], str]:
    """Every setting as `GET /v1/config` has it, and whose they are."""
    try:
        settings: list[dict[str, Any]] = Client(timeout=5.0).config()["settings"]
        return settings, "of the running daemon"
    except (ClientError, KeyError):
        loaded = Settings.load(locate().config)
        return [row(loaded, setting.name) for setting in TABLE], "of a daemon started now"


def row(settings: Settings, name: str) -> dict[str, Any]:
    """One setting with its effective value; the model may be kept in the library."""
    (setting,) = (setting for setting in TABLE if setting.name == name)
    value: Value = settings.values[name]
    source = settings.sources[name]
    if name == "model" and not settings.is_explicit(name):
        from imgqd.peek import Library

        with Library(locate().database) as library:
            if kept := library.setting("model_spec"):
                value, source = kept, "library"
    return {
        "name": name,
        "value": value,
        "source": source,
        "default": setting.default,
        "help": setting.help,
    }


def token_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--rotate", action="store_true", help="make a new one; the old one ends now"
    )


def token(args: Namespace) -> int:
    """Prints the token for HTTP over loopback TCP (setting http_port), or makes a new one.

    Example: curl -H "Authorization: Bearer $(imgqd token)" http://127.0.0.1:PORT/v1/status
    """
    from imgqd.api.auth import TokenFile
    from imgqd.web.sessions import end_all_sessions

    locations = locate()
    private(locations.runtime)
    file = TokenFile(locations.token)
    if args.rotate:
        file.rotate()
        end_all_sessions(locations)
        tell(f"a new token is in {os.path.basename(locations.token)}; the old one ends now")
    print_text(file.value())
    return YES

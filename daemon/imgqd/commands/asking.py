"""The commands that ask a running daemon: folders, sync, problems, model, verify.

They know how to ask and how to show the answer; what is true is the daemon's business.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from typing import Any

from imgq.errors import TooLateError
from imgqd.commands.common import (
    NO,
    YES,
    client,
    count,
    existing_folders,
    folder_arguments,
    path_of,
    print_json,
    print_text,
    shown,
    tell,
)


def json_option(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("folders", nargs="+", metavar="DIR")
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="GLOB",
        help="leave out what matches, below these folders; repeatable",
    )


def add(args: Namespace) -> int:
    """Watches folders: their pictures are indexed now and whenever they change.

    Starts the daemon when none is running. Example: imgqd add ~/Pictures --exclude '*.tmp'
    """
    folders = existing_folders(args)
    answer = client(spawn=True).watch(*folders, exclude=args.exclude)
    watched = {path_of(folder) for folder in answer.get("folders", ())}
    for folder in folders:
        if folder in watched or not watched:
            tell(f"{shown(os.fsdecode(folder))} is watched; see how far it is: imgqd status")
        else:
            tell(f"{shown(os.fsdecode(folder))} lies in a watched folder already")
    return YES


def remove_options(parser: ArgumentParser) -> None:
    parser.add_argument("folders", nargs="+", metavar="DIR")


def remove(args: Namespace) -> int:
    """Stops watching folders and forgets their pictures; the files themselves stay as they are.

    Example: imgqd remove ~/Pictures/Old
    """
    folders = folder_arguments(args)
    client().unwatch(*folders)
    for folder in folders:
        tell(f"{shown(os.fsdecode(folder))} is no longer watched")
    return YES


def folders(args: Namespace) -> int:
    """Lists the watched folders: state, number of files, path.

    Example: imgqd folders --json
    """
    found = client().folders()
    if args.json:
        print_json({"folders": found})
        return YES
    if not found:
        tell("no folder is watched; add one: imgqd add ~/Pictures")
    for line in folder_lines(found):
        print_text(line)
    return YES


def folder_lines(found: list[dict[str, Any]]) -> list[str]:
    """One line for each folder."""
    lines = []
    for folder in found:
        excluded = folder.get("exclude") or []
        without = f"  without {', '.join(excluded)}" if excluded else ""
        files = count(int(folder.get("files") or 0), "file")
        lines.append(f"{folder.get('state', ''):<9} {files:>14}  {shown(folder)}{without}")
    return lines


def sync_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--timeout", type=seconds, metavar="S", help="give up after S seconds (exit code 1)"
    )


def seconds(text: str) -> float:
    """A number of seconds of at least 0. Raises ValueError, which argparse turns into exit 2."""
    value = float(text)
    if not 0 <= value <= 604_800:
        raise ValueError(text)
    return value


def sync(args: Namespace) -> int:
    """Waits until every change made on disk before now is searchable, or recorded as a problem.

    Exit code 1 when that takes longer than S. Example: imgqd sync --timeout 60
    """
    from imgqd.commands.following import waiting

    asked = client(timeout=None)
    # The client keeps half a second of its patience for the way back of the answer.
    patience = None if args.timeout is None else args.timeout + 0.5
    try:
        with waiting(asked):
            answer = asked.sync(timeout=patience)
    except TooLateError:
        tell(f"not in sync within {args.timeout:g} s; see what it does: imgqd status --follow")
        return NO
    for folder in answer.get("offline", ()):
        tell(f"{shown(folder)} is offline and was left out; connect its drive and sync again")
    if answer["in_sync"]:
        return YES
    pending = count(int(answer.get("pending") or 0), "file")
    if answer.get("paused"):
        why = paused_why(asked.status())
        tell(f"not in sync: indexing is {why}, {pending} left; go on with: imgqd resume")
    else:
        tell(f"not in sync within {args.timeout:g} s: {pending} left; imgqd status --follow")
    return NO


def paused_why(found: dict[str, Any]) -> str:
    """`paused`, with the reason where it is not that somebody said so."""
    return "paused on battery power" if found.get("paused_by") == "battery" else "paused"


def pause(args: Namespace) -> int:
    """Pauses indexing until `imgqd resume`, over restarts too; questions are answered as before.

    Example: imgqd pause
    """
    client().pause()
    tell("indexing is paused; what is in hand is finished; go on with: imgqd resume")
    return YES


def resume(args: Namespace) -> int:
    """Lets indexing go on; on battery power too, until the power comes back.

    Example: imgqd resume
    """
    client().resume()
    tell("indexing goes on")
    return YES


def problems(args: Namespace) -> int:
    """Lists the files that could not be indexed, each with its reason. Exit code 1 when there are any.

    Example: imgqd problems --json
    """
    found = client().problems()
    if args.json:
        print_json({"problems": found})
        return NO if found else YES
    for problem in found:
        attempts = int(problem.get("attempts") or 1)
        tried = f", tried {attempts} times" if attempts > 1 else ""
        print_text(f"{shown(problem)}\n    {problem['reason']}: {problem['detail']}{tried}")
    if found:
        tell(f"{count(len(found), 'problem')}; when the cause is gone: imgqd retry")
        return NO
    tell("no problems")
    return YES


def retry_options(parser: ArgumentParser) -> None:
    parser.add_argument("folders", nargs="*", metavar="PATH", help="files or folders; default: all")


def retry(args: Namespace) -> int:
    """Tries files that could not be indexed again: all of them, or those at or below PATH.

    Exit code 1 when there is nothing to try. Example: imgqd retry ~/Pictures/2024
    """
    tried = client().retry(*folder_arguments(args))
    tell(
        f"{count(tried, 'file')} will be tried again" if tried else "there is nothing to try again"
    )
    return YES if tried else NO


def model_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "spec",
        nargs="?",
        metavar="SPEC",
        help="auto, builtin, ARCH/PRETRAINED, hf-hub:, local-dir:",
    )
    parser.add_argument("--now", action="store_true", help="embed even a large library anew, now")
    json_option(parser)


def model(args: Namespace) -> int:
    """Shows the model, or changes it: pictures are then embedded anew in the background.

    Example: imgqd model ViT-B-32/openai
    """
    asked = client()
    if args.spec is None:
        found = asked.model()
    else:
        found = asked.set_model(absolute_spec(args.spec), now=args.now)
    if args.json:
        print_json(found)
        return YES
    for line in model_lines(found):
        print_text(line)
    if args.spec is not None:
        tell("answers come from the old model until the new one is complete: imgqd status --follow")
    return YES


def absolute_spec(spec: str) -> str:
    """`spec` with the folder of local-dir: made absolute, since the daemon runs elsewhere."""
    kind, colon, path = spec.partition(":")
    if kind == "local-dir" and colon and path:
        return f"local-dir:{os.path.abspath(os.path.expanduser(path))}"
    return spec


def model_lines(found: dict[str, Any]) -> list[str]:
    """The model for people: what runs, and what should be known of it."""
    if found.get("id") is None:
        lines = [f"{found.get('spec', '')}: not ready yet"]
    else:
        lines = [
            f"{found['spec']}: {found['id']}, {found.get('dim')} numbers a picture, "
            f"{found.get('runtime')} on {found.get('device')}"
        ]
    lines += [
        str(found[key]) for key in ("fallback", "available", "language", "error") if found.get(key)
    ]
    return lines


def verify_options(parser: ArgumentParser) -> None:
    parser.add_argument("--repair", action="store_true", help="mend what differs")
    json_option(parser)


def verify(args: Namespace) -> int:
    """Checks database, index and disk against each other. Exit code 1 when something differs.

    Works without a running daemon too. Example: imgqd verify --repair
    """
    from imgqd.commands.running import with_daemon

    found = with_daemon(lambda asked: asked.verify(repair=args.repair, timeout=86_400))
    if args.json:
        print_json(found)
        return YES if found["ok"] else NO
    for difference in found["differences"]:
        where = f"{shown(difference)}: " if difference.get("path") else ""
        mended = "  (mended)" if difference.get("repaired") else ""
        print_text(f"{difference['kind']}: {where}{difference['detail']}{mended}")
    total = count(len(found["differences"]), "difference")
    if found["ok"]:
        tell(f"{total}, all mended" if found["differences"] else "database, index and disk agree")
        return YES
    tell(f"{total}" if args.repair else f"{total}; to mend them: imgqd verify --repair")
    return NO

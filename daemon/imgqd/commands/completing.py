"""imgqd completion: puts the completion of both programs where the user's shell finds it."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from imgqd.commands.common import YES
from imgqd.completion import SHELLS, places, script


def completion_options(parser: ArgumentParser) -> None:
    """Options of `imgqd completion`."""
    parser.add_argument("shell", choices=SHELLS)
    parser.add_argument("--print", action="store_true", help="only print the script")


def completion(args: Namespace) -> int:
    """Installs completion for bash, zsh or fish.

    For this user only; with --print the script goes to standard output instead.

    Example: imgqd completion bash
    """
    from imgqd.cli import parser

    text = script(args.shell, parser())
    if args.print:
        print(text, end="")
        return YES
    for path in places(args.shell, os.path.expanduser("~"), dict(os.environ)):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        print(path)
    if args.shell == "zsh":
        folder = os.path.dirname(places("zsh", os.path.expanduser("~"), dict(os.environ))[0])
        print(f"zsh reads it with this line before compinit in ~/.zshrc: fpath+=('{folder}')")
    return YES

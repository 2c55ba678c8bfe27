"""The command `imgq`: from the words typed to an answer and an exit code.

Everything that a plain question does not need is imported where it is used: a query should take
hardly longer than starting the interpreter.
"""

from __future__ import annotations

import os
import sys

from imgq import arguments
from imgq.errors import (
    ClientError,
    NothingWatchedError,
    TooLateError,
    UsageError,
)
from imgq.options import SAY, TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from imgq.answers import Answer
    from imgq.arguments import Parsed
    from imgq.client import Client
    from imgq.watch import Progress

FOUND, NOTHING, USAGE, FAILED, INTERRUPTED = 0, 1, 2, 4, 130
PLACES = ("copy-to", "link-to")
SAYING = frozenset(option.key for option in TABLE if option.group == SAY)
ASKED = frozenset({"completions", "duplicates", "history", "save", "saved", "forget", "threshold"})


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line; returns the exit code. Nothing but SystemExit is ever raised."""
    try:
        return _run(arguments.parse(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # `imgq ... | head`: the reader has what it wanted. The descriptor is replaced so that
        # the interpreter's last flush does not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return FOUND
    except ClientError as error:
        return _complain(error.message, error.exit_code)
    except (MemoryError, RecursionError, OSError) as error:
        return _complain(f"failed: {str(error) or type(error).__name__}", FAILED)
    except Exception as error:
        return _complain(
            f"failed in a way nobody thought of: {_where(error)}; please report it", FAILED
        )


def _complain(message: str, code: int) -> int:
    from imgq.terminal import say

    say(message)
    return code


def _where(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = ""
    if trace is not None:
        file = os.path.basename(trace.tb_frame.f_code.co_filename)
        place = f" ({file}, line {trace.tb_lineno})"
    return f"{type(error).__name__}: {error}{place}"


def _run(parsed: Parsed) -> int:
    flags = parsed.flags
    if "help" in flags or "help-all" in flags:
        from imgq import helptext
        from imgq.output import write

        write((helptext.complete() if "help-all" in flags else helptext.everyday()).encode())
        return FOUND
    if "version" in flags:
        from imgq import __version__
        from imgq.output import write

        write(f"imgq {__version__}\n".encode())
        return FOUND
    limit = _seconds(parsed) if "timeout" in parsed.one else None
    if any(word[:1] == "@" for word in parsed.words):
        from imgq import asked

        parsed = asked.recalled(parsed, _client(limit))
        limit = _seconds(parsed) if "timeout" in parsed.one else None
    if "web" in parsed.flags:
        from imgq import page

        return page.run(parsed, _client(limit), terminal=_is_terminal(1))
    if ASKED & (parsed.flags | parsed.one.keys()):
        from imgq import asked

        return asked.run(parsed, _client(limit), terminal=_is_terminal(1))
    if any(key in parsed.one for key in SAYING):
        from imgq import describing

        describing.run(parsed, _client(limit))
        return FOUND
    if not parsed.asks:
        if parsed.typed:
            raise UsageError(
                "there is nothing to look for; add TEXT, an example (--like X) or a filter such as"
                " --in DIR (imgq --help)"
            )
        from imgq import helptext
        from imgq.terminal import write_error

        write_error(helptext.everyday())
        return USAGE
    return _ask(parsed, limit)


class Clock:
    """What is left of --timeout: None without a limit."""

    def __init__(self, seconds: float | None) -> None:
        from time import monotonic

        self._now: Callable[[], float] = monotonic
        self.seconds = seconds
        self._end = None if seconds is None else monotonic() + seconds

    def left(self) -> float | None:
        """Seconds left; TooLateError when there are none."""
        if self._end is None or self.seconds is None:
            return None
        left = self._end - self._now()
        if left <= 0:
            raise TooLateError(f"not done within {self.seconds:g} s (--timeout)")
        return left


def _ask(parsed: Parsed, limit: float | None) -> int:
    from imgq import query

    if parsed.format == "format":
        from imgq.output import check_template

        check_template(parsed.one["format"])
    for option in PLACES:
        if option in parsed.one:
            from imgq.placing import check_folder

            check_folder(query.absolute(parsed.one[option]), f"--{option}")
    folders = parsed.all("watch")
    waits = bool(folders) or "sync" in parsed.flags
    clock = Clock(60.0 if limit is None and not waits else limit)
    request = query.build(parsed)
    request["remember"] = query.typed(parsed.typed)
    if "facets" in parsed.flags:
        from imgq import facets

        facets.prepare(parsed, request)
    asked = bool(request["terms"]) or any(
        option.asks and option.key != "watch" and parsed.has(option.key) for option in TABLE
    )
    if folders:
        from imgq.watch import check_folders

        check_folders(folders)
    client = _client()
    progress = _progress(client)
    try:
        if folders:
            from imgq import watch

            watch.watch(client, folders, clock.left)
            progress.clear()
            client.timeout = 10.0
            watch.report(client, folders)
        if not asked:
            _tell_fallback(client, None)
            return FOUND
        if "sync" in parsed.flags and not folders:
            request["sync"] = True
        client.timeout = clock.left()
        if "facets" in parsed.flags:
            return _count(parsed, client, client.facets(request))
        answer = client.ask(request)
    except TooLateError as error:
        if clock.seconds is None or "--timeout" in error.message:
            raise
        raise TooLateError(
            f"{error.message} (--timeout {clock.seconds:g}); see what it does: imgqd status"
        ) from None
    finally:
        progress.clear()
    return _show(parsed, client, answer)


def _seconds(parsed: Parsed) -> float:
    from imgq.query import number

    seconds = number(parsed.one["timeout"], "--timeout")
    if not 0 < seconds <= 1e9:
        raise UsageError(f"--timeout: {parsed.one['timeout']!r} is not a number of seconds above 0")
    return seconds


def _client(limit: float | None = None) -> Client:
    from imgq.client import Client

    spawn = os.environ.get("IMGQ_NO_SPAWN", "") in ("", "0")
    return Client(timeout=60.0 if limit is None else limit, spawn=spawn)


class _LateProgress:
    """Progress that is imported when something is waited for, which is rare."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._checked = False

    def tick(self, why: str) -> None:
        from imgq.client import Client

        # A client of its own: one that waits for nothing and starts nothing.
        side = Client(timeout=2.0)
        if why == "model" and not self._checked:
            self._checked = True
            self._check_folders(side)
        if self._progress is None:
            from imgq.watch import Progress

            self._progress = Progress(side.status)
        self._progress.tick(why)

    def _check_folders(self, side: Client) -> None:
        """Raises NothingWatchedError: a model need not be waited for when there are no pictures."""
        try:
            folders = side.status().get("folders", True)
        except ClientError:
            return
        if not folders:
            from imgq.reasons import NO_FOLDERS

            raise NothingWatchedError(NO_FOLDERS)

    def clear(self) -> None:
        if self._progress is not None:
            self._progress.clear()


def _progress(client: Client) -> _LateProgress:
    progress = _LateProgress()
    client.on_wait = progress.tick
    return progress


def _count(parsed: Parsed, client: Client, answer: dict[str, Any]) -> int:
    from imgq import facets, output

    output.write(facets.render(answer, json=parsed.format == "json", terminal=_is_terminal(1)))
    if answer["total"]:
        return FOUND
    from imgq import reasons

    person = _is_terminal(2)
    otherwise = reasons.nothing_found(parsed) if person else ""
    reasons.explain(parsed, client, nothing=True, otherwise=otherwise)
    return NOTHING


def _show(parsed: Parsed, client: Client, answer: Answer) -> int:
    from imgq import output

    terminal = _is_terminal(1)
    format = parsed.format or ("list" if terminal else "paths")
    preview = parsed.one.get("preview", "off")
    if preview == "auto" and not terminal:
        preview = "off"
    if preview != "off" and parsed.format is None:
        from imgq.preview import show

        show(client, answer, preview)
    else:
        output.write(
            output.render(answer, format, terminal=terminal, template=parsed.one.get("format", ""))
        )
    _tell(parsed, client, answer)
    _use([result.path_bytes for result in answer.results], parsed)
    return FOUND if answer.results else NOTHING


def _use(paths: list[bytes], parsed: Parsed) -> None:
    """What the results are wanted for beside being shown."""
    if not paths:
        return
    for option in PLACES:
        if option in parsed.one:
            from imgq.placing import place
            from imgq.query import absolute

            place(paths, absolute(parsed.one[option]), link=option == "link-to")
    if "open" in parsed.flags:
        from imgq.opening import MOST, open_paths

        if open_paths(paths) < len(paths):
            _complain(f"--open: only the first {MOST} are opened", FOUND)


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def _tell(parsed: Parsed, client: Client, answer: Answer) -> None:
    """What a person should know of this answer: why it is empty, or not complete yet."""
    person = _is_terminal(2)
    client.spawn = False
    if not answer.results or (person and answer.indexing):
        from imgq import reasons

        reasons.explain(
            parsed,
            client,
            nothing=not answer.results,
            otherwise=reasons.nothing_found(parsed) if person else "",
        )
    if person:
        _tell_fallback(client, answer)


def _tell_fallback(client: Client, answer: Answer | None) -> None:
    """Says once that another model than the wanted one answers; a small file remembers that.

    The file holds the id of the model that was spoken of, so a plain query costs no second request.
    """
    if not _is_terminal(2):
        return
    from imgq.terminal import tell

    seen = os.path.join(client.locations.data, "told-model")
    try:
        with open(seen, encoding="utf-8") as stream:
            if answer is not None and stream.read(4096) == answer.model:
                return
    except (OSError, ValueError):
        pass
    try:
        client.timeout = 5.0
        model = client.status().get("model") or {}
    except ClientError:
        return
    if text := model.get("fallback"):
        tell(str(text))
    try:
        with open(seen, "w", encoding="utf-8") as stream:
            stream.write(str(model.get("id") or ""))
    except OSError:
        pass

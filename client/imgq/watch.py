"""The flow of --watch and --sync, and how waiting looks: one line that moves, or a line now and then.

Asks the daemon how far it is; decides nothing about indexing.
"""

from __future__ import annotations

import os
from time import monotonic

from imgq import terminal
from imgq.answers import exact_path
from imgq.errors import ClientError, RefusedError, TooLateError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from imgq.client import Client

REDRAW_S = 0.25
LINE_EVERY_S = 15.0
RATE_OVER_S = 20.0
# Of a handful of unlike steps no speed can be told; so many of anything are bytes.
FEW = 20
BYTES = 20_000_000
MODEL_STAGES = {
    "download": "downloading",
    "load": "loading",
    "export": "converting",
    "check": "checking",
}
OTHER_STAGES = {"index": "Indexing", "embed": "Embedding with the new model"}


class Progress:
    """Tells on standard error what is waited for. `tick` may be called as often as one likes."""

    def __init__(self, status: Callable[[], dict[str, Any]]) -> None:
        self._status = status
        self._live = terminal.is_terminal(2) and os.environ.get("TERM", "dumb") != "dumb"
        self._every = REDRAW_S if self._live else LINE_EVERY_S
        # What is over in a moment needs no words.
        self._next = monotonic() + self._every
        self._drawn = ""
        self._what = ""
        self._since = 0.0
        self._samples: list[tuple[float, int]] = []
        self._most = 0

    def tick(self, why: str) -> None:
        """Draws anew when it is time to; `why` is Client's: "start", "model", "sync", "answer"."""
        now = monotonic()
        if now < self._next:
            return
        if why == "start":
            self._draw("Starting the daemon", 0, 0, now)
        else:
            try:
                status = self._status()
            except ClientError:
                status = {}
            _check_model(status)
            # An answer that takes its time needs words only where a model is being prepared.
            if why != "answer" or (status and not (status.get("model") or {}).get("id")):
                self._draw(*self._describe(status), now)
        self._next = monotonic() + self._every

    def clear(self) -> None:
        """Takes the moving line away."""
        if self._drawn:
            terminal.write_error("\r\x1b[K")
            self._drawn = ""

    def _describe(self, status: dict[str, Any]) -> tuple[str, int, int]:
        """What is being done, how many are done, of how many (0: unknown)."""
        progress = status.get("progress") or {}
        stage, detail = str(progress.get("stage") or ""), str(progress.get("detail") or "")
        done, total = int(progress.get("done") or 0), int(progress.get("total") or 0)
        pending = int(status.get("pending") or 0)
        if stage in MODEL_STAGES:
            what = f"{_preparing(status)}, once: {MODEL_STAGES[stage]}"
            return (f"{what} ({detail})" if detail else what), done, total
        if status.get("paused"):
            return "Indexing is paused", done, total
        if stage == "scan":
            return (f"Looking through {detail}" if detail else "Looking through the folders"), 0, 0
        if total <= 0 and pending:
            self._most = max(self._most, pending)
            done, total = self._most - pending, self._most
        if stage in OTHER_STAGES or (pending and not stage):
            return OTHER_STAGES.get(stage, "Indexing"), done, total
        if status.get("state") == "starting":
            return "The daemon is starting", 0, 0
        if stage:
            return f"{stage} {detail}".strip().capitalize(), done, total
        return "Checking the folders", 0, 0

    def _draw(self, what: str, done: int, total: int, now: float) -> None:
        if what != self._what:
            self._what, self._since = what, now
            self._samples.clear()
        text = terminal.harmless(what)
        counted = _counted(done, total)
        if not self._live:
            terminal.tell("  ".join(part for part in (text, counted) if part))
            return
        # Something moves once a second even where nothing can be counted.
        pace = self._pace(done, total, now) or f"{int(now - self._since)} s"
        ending = f"{counted}  {pace}" if counted else pace
        width = terminal.width(2) - 1
        room = width - terminal.columns_of(text) - len(ending) - 6
        bar = ""
        if total and room >= 10:
            cells = min(room, 30)
            full = min(cells * done // total, cells)
            bar = f"  [{'#' * full}{'-' * (cells - full)}]"
        line = terminal.shortened(f"{text}{bar}  {ending}", width)
        if line != self._drawn:
            terminal.write_error(f"\r{line}\x1b[K")
            self._drawn = line

    def _pace(self, done: int, total: int, now: float) -> str:
        if total < FEW:
            return ""
        if self._samples and done < self._samples[-1][1]:
            self._samples.clear()
        self._samples.append((now, done))
        while len(self._samples) > 2 and now - self._samples[0][0] > RATE_OVER_S:
            del self._samples[0]
        since, before = self._samples[0]
        if now - since < 1.0 or done <= before:
            return ""
        rate = (done - before) / (now - since)
        left = f"{duration((total - done) / rate)} left"
        return left if total > BYTES else f"{rate:.3g}/s  {left}"


def _counted(done: int, total: int) -> str:
    """`12 of 300`, `80 of 605 MB`, or nothing where there is nothing to count."""
    if not total:
        return ""
    if total > BYTES:
        return f"{done // 1_000_000:,} of {total // 1_000_000:,} MB"
    return f"{done:,} of {total:,}"


def duration(seconds: float) -> str:
    """`8 s`, `3 min`, `2 h 05 min`."""
    if round(seconds) < 60:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _preparing(status: dict[str, Any]) -> str:
    spec = str((status.get("model") or {}).get("spec") or "")
    if spec.startswith("builtin"):
        return "Preparing the built-in model"
    return f"Preparing the model {spec}" if spec not in ("", "auto") else "Preparing the model"


def check_folders(folders: Sequence[str]) -> None:
    """UsageError for a folder that is not there, before a daemon is started for it."""
    from imgq.query import absolute

    for folder in folders:
        path = absolute(folder)
        if not os.path.isdir(path):
            reason = "is not a folder" if os.path.lexists(path) else "does not exist"
            raise UsageError(f"--watch: {folder} {reason}")


def watch(client: Client, folders: Sequence[str], left: Callable[[], float | None]) -> None:
    """Adds folders and returns when they are indexed. Raises ClientError."""
    client.timeout = left()
    client.watch(*folders)
    wait_until_synced(client, left)


def wait_until_synced(client: Client, left: Callable[[], float | None]) -> None:
    """Returns when everything on disk is searchable; says which folders are offline."""
    limit = left()
    client.timeout = limit
    answer = client.sync()
    for folder in answer.get("offline") or ():
        name = terminal.harmless_bytes(exact_path(folder))
        terminal.say(f"{name} is not there now (a drive that is not connected?); it is left out")
    if answer.get("in_sync"):
        return
    pending = int(answer.get("pending") or 0)
    if answer.get("paused"):
        raise RefusedError(_paused(client, pending), code="paused")
    raise TooLateError(
        f"not indexed within {limit:.3g} s, {count(pending, 'file')} left; "
        "it goes on by itself: imgqd status --follow"
        if limit is not None
        else "the daemon ended the waiting; look at: imgqd status"
    )


def _paused(client: Client, pending: int) -> str:
    waiting = f"with {count(pending, 'file')} waiting"
    try:
        client.timeout = 5.0
        status = client.status()
    except ClientError:
        status = {}
    if failure := status.get("failure"):
        return f"indexing is paused, {waiting}: {failure}"
    why = " on battery power" if status.get("paused_by") == "battery" else ""
    return f"indexing is paused{why}, {waiting}; go on with: imgqd resume"


def _check_model(status: dict[str, Any]) -> None:
    """RefusedError when there is no model and none is being made: waiting would never end."""
    model, progress = status.get("model") or {}, status.get("progress") or {}
    failure = status.get("failure")
    if failure and not model.get("id") and not progress.get("stage"):
        raise RefusedError(f"nothing can be indexed or found: {failure}", code="model")


def report(client: Client, folders: Sequence[str]) -> None:
    """Says what is searchable now and how many files could not be indexed."""
    status = client.status()
    from imgq.query import absolute

    names = ", ".join(terminal.harmless(_tilde(absolute(folder))) for folder in folders)
    verb = "is" if len(folders) == 1 else "are"
    terminal.tell(
        f"{names} {verb} indexed and watched; "
        f"{count(int(status.get('pictures') or 0), 'picture')} can be found"
    )
    tell_problems(status)


def tell_problems(status: dict[str, Any]) -> None:
    """One line when there are files that could not be indexed."""
    if problems := int(status.get("problems") or 0):
        terminal.tell(f"{count(problems, 'file')} could not be indexed: imgqd problems")


def count(number: int, what: str) -> str:
    """`1 file`, `1,234 files`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _tilde(path: str) -> str:
    return os.fsdecode(terminal.with_tilde(os.fsencode(path)))

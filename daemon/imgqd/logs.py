"""Where log lines go and how they look: terminal, journal or a file that never grows past its limit.

structlog makes the events, one thread writes them, so that a full disk or a pipe that nobody reads
never holds up the daemon. A problem that repeats is written once an hour, with a count.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import queue
import re
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

FILE_BYTES = 5_000_000
OLD_FILES = 3
QUEUE_LINES = 10_000
VALUE_LENGTH = 2000

REPEAT_S = 3600.0
REMEMBERED = 100_000
# Differences in these do not make a problem another one.
COUNTERS = frozenset({"attempts", "attempt", "seconds", "timestamp", "pid"})

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}


def configure(level: str, *, file: str | None, terminal: TextIO | None) -> Logs:
    """Sends everything of `level` and above to `file` (JSON lines) and `terminal`.

    `terminal` is written prettily where it is one, with priorities where it is the journal (the
    journal keeps the lines, so the file is not used), else as key=value. Either may be None.
    """
    sinks: list[logging.Handler] = []
    journal = terminal is not None and _is_journal(terminal)
    unwritable = None
    if file is not None and not journal:
        try:
            rotating = CappedFileHandler(file)
            rotating.setFormatter(_formatter([structlog.processors.JSONRenderer(default=str)]))
            sinks.append(rotating)
        except OSError as error:
            unwritable = error
    if terminal is not None:
        sink = QuietStreamHandler(terminal)
        # A traceback is for the file; a person is told what it was about.
        rendering = _journal() if journal else _stream(terminal, brief=bool(sinks))
        sink.setFormatter(_formatter(rendering))
        sinks.append(sink)
    logs = Logs(sinks)
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(logs)
    number = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(number)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.PositionalArgumentsFormatter(),
            *_COMMON,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    if unwritable is not None:
        structlog.get_logger("log").warning(
            "the log file cannot be written", file=file, reason=unwritable.strerror
        )
    return logs


class Logs(logging.Handler):
    """Takes records from any thread without waiting; one thread of its own writes them."""

    def __init__(self, sinks: Sequence[logging.Handler]) -> None:
        super().__init__()
        self._sinks = list(sinks)
        self._queue: queue.Queue[logging.LogRecord | threading.Event] = queue.Queue(QUEUE_LINES)
        self._repeats = Repeats()
        self._lost = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        # What other people's packages do in detail is not the daemon's story.
        if not isinstance(record.msg, dict) and record.levelno < logging.WARNING:
            return
        seen_before = self._repeats.count(record)
        if seen_before is None:
            return
        if seen_before and isinstance(record.msg, dict):
            record.msg["repeated"] = seen_before
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._lost += 1

    def flush_all(self, timeout_s: float = 2.0) -> bool:
        """Waits until what was logged before is written; False when that takes too long."""
        done = threading.Event()
        try:
            self._queue.put(done, timeout=timeout_s)
        except queue.Full:
            return False
        return done.wait(timeout_s)

    def close(self) -> None:
        """Writes what it can within two seconds, and lets go of the files."""
        if logging.getLogger().handlers == [self]:
            logging.getLogger().removeHandler(self)
        if self.flush_all():
            for sink in self._sinks:
                if isinstance(sink, CappedFileHandler):
                    sink.close()
        super().close()

    def _write(self) -> None:
        while True:
            item = self._queue.get()
            if isinstance(item, threading.Event):
                item.set()
                continue
            if self._lost:
                lost, self._lost = self._lost, 0
                self._to_sinks(_plain_record(f"{lost} log lines were lost: they came too fast"))
            self._to_sinks(item)

    def _to_sinks(self, record: logging.LogRecord) -> None:
        for sink in self._sinks:
            try:
                sink.acquire()
                try:
                    # Not `handle`: a sink that fails (full disk, closed pipe) is not worth a word
                    # on a stream that may be the one that fails.
                    sink.emit(record)
                finally:
                    sink.release()
            except (OSError, ValueError):
                continue


class QuietStreamHandler(logging.StreamHandler[TextIO]):
    """A stream that may be gone: a closed pipe costs the line, and nothing else."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Says nothing: the stream to say it on is the one that failed."""


class CappedFileHandler(logging.handlers.RotatingFileHandler):
    """A file for this user only, and a few old ones: never more than the limit together."""

    def __init__(self, path: str) -> None:
        os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
        super().__init__(path, maxBytes=FILE_BYTES, backupCount=OLD_FILES, encoding="utf-8")

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return TextIOWrapper(BufferedWriter(FileIO(descriptor, "a")), encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk costs the line, and nothing else."""


class Repeats:
    """Which warnings and errors were written already, and how often they came since."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: OrderedDict[int, tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, record: logging.LogRecord) -> int | None:
        """None to leave it out, else how often it was left out since it was last written."""
        if record.levelno < logging.WARNING:
            return 0
        key = hash((record.levelno, record.name, _identity(record)))
        now = self._clock()
        with self._lock:
            written, repeated = self._seen.pop(key, (now - REPEAT_S, 0))
            if now - written < REPEAT_S:
                self._seen[key] = (written, repeated + 1)
                return None
            self._seen[key] = (now, 0)
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        return repeated


def _identity(record: logging.LogRecord) -> object:
    if isinstance(record.msg, dict):
        return tuple(
            (key, str(value)) for key, value in sorted(record.msg.items()) if key not in COUNTERS
        )
    return record.getMessage()


def readable(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Processor: paths become text, long values are cut, and no value can forge a line or colours."""
    for key, value in event.items():
        if isinstance(value, bytes):
            value = value.decode("utf-8", "backslashreplace")
        if isinstance(value, str) and key != "exception":
            if len(value) > VALUE_LENGTH:
                value = value[:VALUE_LENGTH] + "…"
            event[key] = _CONTROL.sub(lambda match: repr(match.group())[1:-1], value)
    return event


_COMMON: list[Processor] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=False),
    structlog.processors.format_exc_info,
    readable,
]


def _formatter(rendering: Sequence[Processor]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_COMMON,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
    )


def _stream(terminal: TextIO, *, brief: bool) -> list[Processor]:
    shortening: list[Processor] = [_brief] if brief else []
    if terminal.isatty():
        colors = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return [*shortening, _short_time, structlog.dev.ConsoleRenderer(colors=colors)]
    order = ["timestamp", "level", "event"]
    return [*shortening, _one_line, structlog.processors.LogfmtRenderer(key_order=order)]


def _journal() -> list[Processor]:
    render = structlog.processors.LogfmtRenderer(key_order=["event"])

    def with_priority(logger: WrappedLogger, name: str, event: EventDict) -> str:
        event.pop("timestamp", None)
        priority = _PRIORITIES.get(str(event.pop("level", "info")), 6)
        return f"<{priority}>{render(logger, name, event)}"

    return [_one_line, with_priority]


def _brief(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The last line of a traceback instead of all of it."""
    if trace := str(event.pop("exception", "")).strip():
        event["error"] = _CONTROL.sub(" ", trace.splitlines()[-1])
    return event


def _one_line(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if "exception" in event:
        event["exception"] = str(event["exception"]).replace("\n", " | ")
    return event


def _short_time(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A person at a terminal knows which day it is."""
    event["timestamp"] = str(event.get("timestamp", ""))[11:19]
    return event


def _is_journal(terminal: TextIO) -> bool:
    """True when `terminal` is the journal's socket (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        info = os.fstat(terminal.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{info.st_dev}:{info.st_ino}"


def _plain_record(message: str) -> logging.LogRecord:
    return logging.LogRecord("log", logging.WARNING, __file__, 0, message, (), None)


def uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """For sys.excepthook and threading.excepthook: the log gets the traceback."""
    structlog.get_logger("daemon").critical(
        "a defect in imgqd; please report it", exc_info=(kind, error, trace)
    )


def catch_uncaught() -> None:
    """Sends what no code catches to the log instead of to a stream that nobody may see."""
    sys.excepthook = uncaught

    def in_thread(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None and arguments.exc_type is not SystemExit:
            uncaught(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)

    threading.excepthook = in_thread

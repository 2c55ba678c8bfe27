"""Dates as people type them, and times as JSON shows them: by the clock where a picture was taken.

`2024`, `2024-06`, `2024-06-30`, `2024-06-30T12:30`, `today`, `yesterday`, `2 weeks ago`: each means
its beginning, for `after` (from then on) as for `before` (until just before it). A number of days,
weeks, months or years ago is the beginning of that day. Hours and minutes ago, and times with an
offset, are moments: the same on every clock.
"""

from __future__ import annotations

import calendar
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from imgqd.errors import UsageError

EXAMPLES = "2024, 2024-06, 2024-06-30, 2024-06-30T12:30, today, yesterday or `2 weeks ago`"

_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d{1,2})(?:-(?P<day>\d{1,2})"
    r"(?:[T ]\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?"
    r"\s*(?P<offset>Z|[+-]\d{2}:?\d{2})?)?)?)?",
    re.ASCII | re.IGNORECASE,
)
_AGO = re.compile(
    r"(?P<number>\d{1,6}|an?|one)\s*(?P<unit>second|minute|hour|day|week|month|year)s?\s+ago",
    re.ASCII | re.IGNORECASE,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Two days inside the calendar, so that no offset leaves it.
_FIRST_S = -62_135_424_000.0
_LAST_S = 253_402_128_000.0
_EXACT_S = {"second": 1, "minute": 60, "hour": 3600}
# No clock is a day ahead of another.
MOST_OFFSET_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Bound:
    """An edge in time. With `wall` it is what the clock shows where a picture was taken, as seconds
    since 1970 began on that clock; else seconds since the epoch."""

    seconds: float
    wall: bool = False

    def reached(self, seconds: float, offset_minutes: int | None) -> bool:
        """True for a time (as `iso` takes it) at the bound or after it."""
        if self.wall:
            seconds += offset_of(seconds, offset_minutes)
        return seconds >= self.seconds

    @property
    def earliest(self) -> float:
        """No time before this, in seconds since the epoch, reaches the bound."""
        return self.seconds - MOST_OFFSET_S if self.wall else self.seconds

    @property
    def latest(self) -> float:
        """Every time after this, in seconds since the epoch, reaches the bound."""
        return self.seconds + MOST_OFFSET_S if self.wall else self.seconds


def parse_date(text: str, what: str, now: datetime | None = None) -> Bound:
    """The beginning of what `text` means.

    `what` names the option in messages; `now` is for tests (local time without an offset). Raises
    UsageError.
    """
    wanted = " ".join(text.split()).lower()
    now = now or datetime.now()
    try:
        moment = _moment(wanted, now)
        if isinstance(moment, float):
            return Bound(moment)
        if moment is not None and moment.tzinfo is not None:
            return Bound(moment.timestamp())
        if moment is not None:
            return Bound(moment.replace(tzinfo=UTC).timestamp(), wall=True)
    except (ValueError, OverflowError, OSError):
        pass
    raise UsageError(f"{what}: {text!r} is not a date; write {EXAMPLES}")


def _moment(text: str, now: datetime) -> datetime | float | None:
    """A time on the clock (or with an offset), or seconds since the epoch."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if text == "now":
        return now.timestamp()
    if text == "today":
        return today
    if text == "yesterday":
        return today - timedelta(days=1)
    ago = _AGO.fullmatch(text)
    if ago is not None:
        number = int(ago["number"]) if ago["number"].isdigit() else 1
        return _ago(now, today, number, ago["unit"])
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    parts = {k: int(v) for k, v in found.groupdict().items() if v and k != "offset"}
    moment = datetime(
        parts["year"],
        parts.get("month", 1),
        parts.get("day", 1),
        parts.get("hour", 0),
        parts.get("minute", 0),
        parts.get("second", 0),
    )
    if found["offset"]:
        return moment.replace(tzinfo=_timezone(found["offset"]))
    return moment


def _ago(now: datetime, today: datetime, number: int, unit: str) -> datetime | float:
    if unit in _EXACT_S:
        # In seconds since the epoch: an hour ago is an hour ago on the day the clocks change, too.
        return now.timestamp() - number * _EXACT_S[unit]
    if unit in ("day", "week"):
        return today - timedelta(days=number * (7 if unit == "week" else 1))
    months = today.year * 12 + today.month - 1 - number * (12 if unit == "year" else 1)
    year, month = divmod(months, 12)
    day = min(today.day, calendar.monthrange(year, month + 1)[1])
    return today.replace(year=year, month=month + 1, day=day)


def _timezone(text: str) -> timezone:
    if text.upper() == "Z":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def offset_of(seconds: float, offset_minutes: int | None) -> float:
    """How far the clock was ahead of UTC, in seconds: by the offset given (minutes east of UTC),
    else by this machine's clock at that time."""
    if offset_minutes is not None and abs(offset_minutes) < 24 * 60:
        return offset_minutes * 60.0
    try:
        return float(time.localtime(min(max(seconds, _FIRST_S), _LAST_S)).tm_gmtoff)
    except (OSError, OverflowError, ValueError):
        return 0.0  # Windows has no local time before 1970


def iso(seconds: float, offset_minutes: int | None = None) -> str:
    """ISO 8601 with an offset: the given one (minutes east of UTC), else the local one.

    A time that the calendar does not have becomes its first or last day.
    """
    moment = _EPOCH + timedelta(seconds=min(max(seconds, _FIRST_S), _LAST_S))
    ahead = timezone(timedelta(seconds=offset_of(seconds, offset_minutes)))
    return moment.astimezone(ahead).isoformat(timespec="seconds")


def month(seconds: float, offset_minutes: int | None = None) -> str:
    """`2024-06`: the beginning of what `iso` says, many times as fast."""
    within = min(max(seconds, _FIRST_S), _LAST_S)
    return _month_of_day(int((within + offset_of(seconds, offset_minutes)) // 86_400))


@lru_cache(maxsize=65_536)
def _month_of_day(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()[:7]

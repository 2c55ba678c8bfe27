"""Dates as typed, in local time, and times as JSON shows them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgqd.errors import UsageError
from imgqd.search.dates import Bound, iso, month, parse_date

pytestmark = pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows sets no time zone")

NOW = datetime(2024, 3, 31, 15, 45, 30)


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024", datetime(2024, 1, 1)),
        ("2024-06", datetime(2024, 6, 1)),
        ("2024-6-3", datetime(2024, 6, 3)),
        ("2024-06-30", datetime(2024, 6, 30)),
        ("2024-06-30T12:30", datetime(2024, 6, 30, 12, 30)),
        ("2024-06-30 12:30:15", datetime(2024, 6, 30, 12, 30, 15)),
        ("2024-06-30t12:30:15.250", datetime(2024, 6, 30, 12, 30, 15)),
        (" today ", datetime(2024, 3, 31)),
        ("Yesterday", datetime(2024, 3, 30)),
        ("2 weeks ago", datetime(2024, 3, 17)),
        ("a week ago", datetime(2024, 3, 24)),
        ("3  days   ago", datetime(2024, 3, 28)),
        ("1 month ago", datetime(2024, 2, 29)),
        ("13 months ago", datetime(2023, 2, 28)),
        ("one year ago", datetime(2023, 3, 31)),
    ],
)
def test_a_date_is_its_beginning_on_the_clock(text: str, moment: datetime) -> None:
    expected = Bound(moment.replace(tzinfo=UTC).timestamp(), wall=True)
    assert parse_date(text, "--after", NOW) == expected


@pytest.mark.parametrize(
    ("text", "moment"), [("now", NOW), ("90 minutes ago", datetime(2024, 3, 31, 14, 15, 30))]
)
def test_now_and_hours_ago_are_moments(text: str, moment: datetime) -> None:
    assert parse_date(text, "--after", NOW) == Bound(moment.timestamp())


def test_an_hour_ago_is_an_hour_ago_when_the_clocks_change() -> None:
    # In Berlin the clock went from 02:00 to 03:00 on this day.
    after_change = datetime(2024, 3, 31, 3, 30)
    assert parse_date("1 hour ago", "", after_change) == Bound(after_change.timestamp() - 3600)


def test_a_clock_time_is_reached_by_the_clock_where_the_picture_was_taken() -> None:
    new_year = parse_date("2024", "--after")
    midnight_in_berlin = datetime(2024, 1, 1).timestamp()
    assert new_year.reached(midnight_in_berlin, None)
    assert not new_year.reached(midnight_in_berlin - 1, None)
    assert new_year.reached(midnight_in_berlin - 8 * 3600, 9 * 60)
    assert not new_year.reached(midnight_in_berlin - 8 * 3600 - 1, 9 * 60)
    assert not new_year.reached(midnight_in_berlin, -5 * 60)
    assert new_year.earliest <= midnight_in_berlin <= new_year.latest


def test_a_moment_is_the_same_on_every_clock() -> None:
    moment = parse_date("2024-01-01T00:00Z", "--after")
    for offset in (None, -600, 600):
        assert moment.reached(moment.seconds, offset)
        assert not moment.reached(moment.seconds - 1, offset)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-06-30T12:30Z", 1719750600),
        ("2024-06-30T12:30+02:00", 1719743400),
        ("2024-06-30T12:30:00-0530", 1719770400),
    ],
)
def test_an_offset_is_heeded(text: str, seconds: int) -> None:
    assert parse_date(text, "--after") == Bound(seconds)


@pytest.mark.parametrize(
    "text",
    ["", " ", "June", "2024-13", "2024-02-30", "24", "2024-06-30T25:00", "0000", "99999 years ago",
     "two weeks ago", "2 weeks", "2024-", "-1 days ago", "٢٠٢٤", "2024-06-30T12", "1e3 days ago"],
)  # fmt: skip
def test_what_is_no_date_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse_date(text, "--before", NOW)
    assert "--before" in refusal.value.message and "2 weeks ago" in refusal.value.message


@given(st.text(max_size=30))
def test_any_text_is_a_date_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(parse_date(text, "--after", NOW), Bound)


def test_times_are_shown_with_the_offset_of_the_file_else_the_local_one() -> None:
    assert iso(1719743400) == "2024-06-30T12:30:00+02:00"
    assert iso(1719743400, -330) == "2024-06-30T05:00:00-05:30"
    assert iso(1700000000) == "2023-11-14T23:13:20+01:00"
    assert iso(-86400.5) == "1969-12-31T00:59:59+01:00"


@given(
    st.floats(allow_nan=False) | st.floats(-1e11, 3e11), st.none() | st.integers(-100_000, 100_000)
)
def test_a_month_is_the_beginning_of_what_is_shown(seconds: float, offset: int | None) -> None:
    assert month(seconds, offset) == iso(seconds, offset)[:7]


@given(st.floats(allow_nan=False), st.none() | st.integers(-100_000, 100_000))
def test_any_time_can_be_shown(seconds: float, offset: int | None) -> None:
    assert datetime.fromisoformat(iso(seconds, offset)).tzinfo is not None

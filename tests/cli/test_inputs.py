"""What people type is read as they mean it, or refused in one sentence."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdc.cli import inputs, output
from mdc.cli.errors import SpokenUsage
from providers.base import RateLimit
from providers.types import Timeframe


@given(st.dates(min_value=date(1800, 1, 1), max_value=date(2199, 12, 31)))
def test_a_date_is_a_whole_utc_day(day: date) -> None:
    """An end date includes its day, so that one date as start and end is one day."""
    moment = inputs.moment(day.isoformat())
    assert moment.as_start == datetime(day.year, day.month, day.day, tzinfo=UTC)
    assert moment.as_end - moment.as_start == timedelta(days=1)


@given(
    st.dates(min_value=date(1801, 1, 1), max_value=date(2199, 1, 1)),
    st.times(),
    st.integers(-14 * 60, 14 * 60),
)
def test_a_time_is_an_exclusive_end_in_any_offset(day: date, hour: time, minutes: int) -> None:
    """Offsets are converted, and a time is taken as it stands."""
    sign = "-" if minutes < 0 else "+"
    offset = f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    moment = inputs.moment(f"{day.isoformat()}T{hour.isoformat()}{offset}")
    assert moment.as_end == datetime.combine(day, hour, UTC) - timedelta(minutes=minutes)
    assert moment.as_start == moment.as_end


def test_a_time_without_offset_is_utc() -> None:
    """Nothing depends on the zone of the machine."""
    assert inputs.moment("2024-03-10T02:30").as_start == datetime(2024, 3, 10, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2024-13-01", "2024-02-30", "01/02/2024", "0001-01-01", "9999-12-31"]
)
def test_malformed_dates_are_refused(text: str) -> None:
    """Each is a usage error that shows the right form or the bounds."""
    with pytest.raises(click.BadParameter):
        inputs.moment(text)


@pytest.mark.parametrize(
    ("text", "n", "seconds"),
    [
        ("5/s", 5, 1),
        ("60/min", 60, 60),
        ("60 / minutes", 60, 60),
        ("1000/day", 1000, 86_400),
        ("10/30s", 10, 30),
        ("300/h", 300, 3600),
    ],
)
def test_rates(text: str, n: int, seconds: int) -> None:
    """A rate is a count over a time with an optional multiple."""
    assert inputs.rate(text) == RateLimit(n=n, window=timedelta(seconds=seconds))


@pytest.mark.parametrize("text", ["0/s", "5", "5/", "/s", "5/fortnight", "-5/s", "5/0s", "1e3/s"])
def test_malformed_rates_are_refused(text: str) -> None:
    """No rate is guessed."""
    with pytest.raises(click.BadParameter, match="no rate"):
        inputs.rate(text)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30d", timedelta(days=30)),
        ("2h", timedelta(hours=2)),
        ("90min", timedelta(minutes=90)),
        ("90m", timedelta(minutes=90)),
        ("4w", timedelta(weeks=4)),
    ],
)
def test_spans(text: str, span: timedelta) -> None:
    """M is minute, as in timeframes."""
    assert inputs.span(text) == span


@pytest.mark.parametrize("text", ["0d", "d", "30", "30y", "-2h"])
def test_malformed_spans_are_refused(text: str) -> None:
    """No span is guessed."""
    with pytest.raises(click.BadParameter, match="no span"):
        inputs.span(text)


def test_timeframes_come_as_a_list() -> None:
    """Commas and the spellings of other systems are understood."""
    assert inputs.timeframes("1D, 60min,5M") == (Timeframe.D1, Timeframe.H1, Timeframe.M5)
    with pytest.raises(click.BadParameter, match="unknown timeframe '7x'"):
        inputs.timeframes("1d,7x")


def test_reversed_windows_are_named_in_the_words_given() -> None:
    """The sentence repeats what was typed; one day is no reversed window."""
    first, last = inputs.moment("2024-02-01"), inputs.moment("2024-01-31")
    with pytest.raises(SpokenUsage, match="the end 2024-01-31 lies before the start 2024-02-01"):
        inputs.check_order(start=first, end=last)
    inputs.check_order(start=first, end=first)
    inputs.check_order(start=first, end=None)


def test_the_future_is_refused_but_today_is_not() -> None:
    """An end date of today means everything until now."""
    now = datetime(2024, 6, 5, 12, tzinfo=UTC)
    today, tomorrow = inputs.moment("2024-06-05"), inputs.moment("2024-06-06")
    inputs.check_past(start=today, end=today, now=now)
    with pytest.raises(SpokenUsage, match="start 2024-06-06 lies in the future"):
        inputs.check_past(start=tomorrow, end=None, now=now)
    with pytest.raises(SpokenUsage, match="end 2024-06-06 lies in the future"):
        inputs.check_past(start=today, end=tomorrow, now=now)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0.4 s"),
        (59.7, "1 min"),
        (200, "3 min 20 s"),
        (1200, "20 min"),
        (7200, "2 h"),
        (7500, "2 h 5 min"),
    ],
)
def test_a_span_names_no_unit_of_which_there_is_none(seconds: float, words: str) -> None:
    assert output.span(seconds) == words

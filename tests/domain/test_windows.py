"""Windows are UTC, half-open and never empty; conversions are exact."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.domain.windows import InvalidWindow, Window, from_us, to_us

START = datetime(2024, 3, 8, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC)))
def test_microseconds_and_datetimes_convert_without_loss(moment: datetime) -> None:
    """Both ways together are the identity over all years."""
    assert from_us(to_us(moment)) == moment


def test_a_moment_before_the_epoch_is_a_negative_count() -> None:
    """Rounding is exact below zero too."""
    assert to_us(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (START, START, "holds nothing"),
        (START, START - timedelta(days=1), "holds nothing"),
        (START.replace(tzinfo=None), START, "UTC"),
        (START.astimezone(timezone(timedelta(hours=1))), START + timedelta(days=1), "UTC"),
    ],
)
def test_an_empty_reversed_or_local_window_is_refused(
    start: datetime, end: datetime, reason: str
) -> None:
    """The error says what is wrong and carries both ends."""
    with pytest.raises(InvalidWindow, match=reason) as caught:
        Window(start, end)
    assert (caught.value.start, caught.value.end) == (start, end)


def test_intersection_is_half_open() -> None:
    """Windows that only touch have nothing in common."""
    window = Window(START, START + timedelta(days=2))
    later = Window(START + timedelta(days=1), START + timedelta(days=3))
    beside = Window(START + timedelta(days=2), START + timedelta(days=3))
    assert window.intersect(later) == Window(later.start, window.end)
    assert window.intersect(beside) is None
    assert window.duration == timedelta(days=2)

"""Hand-made calendars and hypothesis strategies that the domain tests share."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import strategies as st

from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Expectation, expect
from ingestion.domain.windows import DAY_US, HOUR_US, MINUTE_US, to_us
from providers.sessions import NO_BREAK, Sessions
from providers.types import Anchor, Hours, Timeframe


def us(text: str) -> int:
    """Read `2024-03-08 14:30` as UTC, in µs."""
    return to_us(datetime.fromisoformat(text).replace(tzinfo=UTC))


def make_sessions(
    *,
    days: list[int],
    opens_at: int,
    closes_at: int,
    break_at: tuple[int, int] | None = None,
    tz: str = "UTC",
    venue: str = "TEST",
) -> Sessions:
    """Build a venue that trades the same hours (µs after 00:00Z of the label) on the given days."""
    labels = np.array(days, dtype=np.int64) * DAY_US
    first, last = (NO_BREAK, NO_BREAK) if break_at is None else break_at
    return Sessions(
        venue=venue,
        tz=tz,
        labels=labels,
        opens=labels + opens_at,
        closes=labels + closes_at,
        break_starts=np.full(len(days), NO_BREAK) if break_at is None else labels + first,
        break_ends=np.full(len(days), NO_BREAK) if break_at is None else labels + last,
        earliest=labels + opens_at,
        latest=labels + closes_at,
        always_open=False,
        known_from=-1000 * DAY_US,
        known_until=1000 * DAY_US,
    )


VENUES = {
    # Monday 1970-01-05 on: 13:30-20:00 on weekdays, a lunch break, around the clock, overnight.
    "weekdays": make_sessions(
        days=[day for day in range(4, 90) if (day + 3) % 7 < 5],
        opens_at=13 * HOUR_US + 30 * MINUTE_US,
        closes_at=20 * HOUR_US,
    ),
    "lunch": make_sessions(
        days=[day for day in range(4, 90) if (day + 3) % 7 < 5 and day % 11],
        opens_at=0,
        closes_at=6 * HOUR_US,
        break_at=(2 * HOUR_US + 30 * MINUTE_US, 3 * HOUR_US + 30 * MINUTE_US),
    ),
    "always": make_sessions(days=list(range(90)), opens_at=0, closes_at=DAY_US),
    "overnight": make_sessions(
        days=[day for day in range(4, 90) if (day + 3) % 7 < 5],
        opens_at=-2 * HOUR_US,
        closes_at=21 * HOUR_US,
    ),
}

expectations: st.SearchStrategy[Expectation] = st.builds(
    lambda venue, timeframe, hours, anchor: expect(
        VENUES[venue], timeframe=timeframe, hours=hours, anchor=anchor
    ),
    st.sampled_from(sorted(VENUES)),
    st.sampled_from(Timeframe),
    st.sampled_from(Hours),
    st.sampled_from(Anchor),
)

# Moments inside the 90 days above, biased towards full hours, where boundaries meet.
moments = st.one_of(
    st.integers(0, 90 * 24).map(lambda hours: hours * HOUR_US),
    st.integers(0, 90 * 24 * 60).map(lambda minutes: minutes * MINUTE_US),
    st.integers(0, 90 * DAY_US),
)
spans = (
    st.tuples(moments, moments)
    .filter(lambda pair: pair[0] != pair[1])
    .map(lambda pair: (min(pair), max(pair)))
)
some_ranges = st.lists(spans, max_size=6).map(Ranges.of)

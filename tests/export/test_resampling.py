"""Derived bars follow the calendar: half days, breaks, nights and DST; nothing mixes sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.calendars import expectation_for
from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Expectation
from ingestion.domain.resampling import CannotResample, Derived, Frame, Resampler
from ingestion.domain.windows import MINUTE_US, Window, from_us, to_us
from providers.bars import Bars
from providers.types import Anchor, Hours, Timeframe

M1, M5, M30, H1, H4, D1, W1, MO1 = map(
    Timeframe, ["1m", "5m", "30m", "1h", "4h", "1d", "1w", "1mo"]
)
EVERYWHERE = Ranges.of([(-(2**62), 2**62)])
ANY_SHAPE = [
    ("XNYS", Hours.REGULAR, Anchor.OPEN),
    ("XNYS", Hours.EXTENDED, Anchor.OPEN),
    ("XNYS", Hours.REGULAR, Anchor.CLOCK),
    ("XHKG", Hours.REGULAR, Anchor.OPEN),
    ("XTKS", Hours.REGULAR, Anchor.OPEN),
    ("XLON", Hours.REGULAR, Anchor.OPEN),
    ("CMES", Hours.REGULAR, Anchor.OPEN),
    ("24/7", Hours.REGULAR, Anchor.CLOCK),
]
# Half days after Thanksgiving and before Christmas; both changes of DST in New York and London.
PERIODS = [
    Window(datetime(2024, 11, 25, tzinfo=UTC), datetime(2024, 12, 3, tzinfo=UTC)),
    Window(datetime(2024, 3, 7, tzinfo=UTC), datetime(2024, 3, 14, tzinfo=UTC)),
    Window(datetime(2024, 10, 24, tzinfo=UTC), datetime(2024, 11, 6, tzinfo=UTC)),
    Window(datetime(2024, 12, 20, tzinfo=UTC), datetime(2025, 1, 3, tzinfo=UTC)),
]


@dataclass(frozen=True)
class Place:
    venue: str
    hours: Hours = Hours.REGULAR
    anchor: Anchor = Anchor.OPEN

    def at(self, timeframe: Timeframe) -> Expectation:
        return expectation_for(
            venue=self.venue, timeframe=timeframe, hours=self.hours, anchor=self.anchor
        )

    def derive(
        self,
        bars: Bars,
        source: Timeframe,
        target: Timeframe,
        *,
        covered: Ranges | None = EVERYWHERE,
        cuts: tuple[int, ...] = (),
    ) -> Derived:
        """Resample in chunks that end at the cuts."""
        resampler = Resampler(Frame.over(self.at(source), self.at(target)), covered=covered)
        edges = [0, *sorted(min(cut, len(bars)) for cut in cuts), len(bars)]
        parts = [resampler.push(bars.take(slice(a, b))) for a, b in pairwise(edges)]
        parts.append(resampler.finish())
        return Derived(
            Bars.concat([part.bars for part in parts]),
            np.concatenate([part.complete for part in parts]),
            np.concatenate([part.codes for part in parts]),
            sum(part.left_out for part in parts),
        )


def walk(stamps: np.ndarray, seed: int = 0) -> Bars:
    """Make prices that differ in every bar."""
    random = np.random.default_rng(seed)
    close = 100 + np.cumsum(random.normal(0, 0.1, len(stamps)))
    open_ = close + random.normal(0, 0.1, len(stamps))
    spread = random.random(len(stamps))
    return Bars.build(
        ts=stamps,
        open=open_,
        high=np.maximum(open_, close) + spread,
        low=np.minimum(open_, close) - spread,
        close=close,
        volume=random.integers(0, 100, len(stamps)),
        vwap=close,
        trades=random.integers(0, 9, len(stamps)),
    )


@st.composite
def minutes(draw: st.DrawFn) -> tuple[Place, Bars]:
    """Draw a place and some of its minutes of a period."""
    place = Place(*draw(st.sampled_from(ANY_SHAPE)))
    window = draw(st.sampled_from(PERIODS))
    stamps = place.at(M1).accepted.stamps(window.start_us, window.end_us)
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    share = draw(st.sampled_from([0.02, 0.5, 1.0]))
    return place, walk(stamps[random.random(len(stamps)) <= share], seed=draw(st.integers(0, 9)))


def same(left: Bars, right: Bars) -> None:
    for name in Bars.__slots__:
        np.testing.assert_allclose(
            getattr(left, name), getattr(right, name), rtol=1e-12, err_msg=name
        )


@settings(max_examples=35, deadline=None)
@given(minutes(), st.sampled_from([(M5, H1), (M5, D1), (M30, H4), (H1, D1), (D1, W1), (D1, MO1)]))
def test_the_way_there_does_not_matter(
    given_: tuple[Place, Bars], way: tuple[Timeframe, Timeframe]
) -> None:
    """Minutes to 5 minutes to hours are minutes to hours, and so on."""
    place, bars = given_
    by_way, target = way
    direct = place.derive(bars, M1, target)
    halfway = place.derive(bars, M1, by_way)
    assert (direct.left_out, halfway.left_out) == (0, 0)
    same(place.derive(halfway.bars, by_way, target).bars, direct.bars)


@settings(max_examples=35, deadline=None)
@given(minutes(), st.sampled_from([M5, H1, H4, D1]), st.tuples(*[st.integers(0, 9000)] * 3))
def test_a_bar_holds_what_lies_in_it_and_never_more(
    given_: tuple[Place, Bars], target: Timeframe, cuts: tuple[int, ...]
) -> None:
    """Every minute goes into one bar of its own session part, wherever the chunks are cut."""
    place, bars = given_
    derived = place.derive(bars, M1, target, cuts=cuts)
    same(derived.bars, place.derive(bars, M1, target).bars)
    assert derived.bars.volume.sum() == bars.volume.sum()
    assert place.at(target).on_grid(derived.bars.ts).all()
    assert (np.diff(derived.bars.ts) > 0).all()
    if not target.is_intraday:
        return
    ends = place.at(target).bar_ends(derived.bars.ts)
    parts = place.at(M1).accepted
    for start, end, low, high in zip(
        derived.bars.ts, ends, derived.bars.low, derived.bars.high, strict=True
    ):
        inside = (bars.ts >= start) & (bars.ts < end)
        assert (low, high) == (bars.low[inside].min(), bars.high[inside].max())
        touched = parts.starts[(parts.starts < end) & (parts.ends > start)]
        assert len(touched) == 1 or place.hours is Hours.EXTENDED


def minutes_of(place: Place, day: str) -> np.ndarray:
    start = to_us(datetime.fromisoformat(day).replace(tzinfo=UTC))
    return place.at(M1).promised.stamps(start, start + 24 * 60 * MINUTE_US)


@pytest.mark.parametrize(
    ("venue", "day", "hours"),
    [
        ("XNYS", "2024-11-27", "14:30 15:30 16:30 17:30 18:30 19:30 20:30"),
        ("XNYS", "2024-11-29", "14:30 15:30 16:30 17:30"),
        ("XNYS", "2024-03-08", "14:30 15:30 16:30 17:30 18:30 19:30 20:30"),
        ("XNYS", "2024-03-11", "13:30 14:30 15:30 16:30 17:30 18:30 19:30"),
        ("XHKG", "2024-11-27", "01:30 02:30 03:30 05:00 06:00 07:00"),
        ("XHKG", "2024-12-24", "01:30 02:30 03:30"),
        ("XTKS", "2024-10-31", "00:00 01:00 02:00 03:30 04:30 05:30"),
        ("XLON", "2024-12-24", "08:00 09:00 10:00 11:00 12:00"),
    ],
)
def test_hours_end_with_sessions_and_their_parts(venue: str, day: str, hours: str) -> None:
    """The last hour of a part is short, and the next part begins its own."""
    place = Place(venue)
    derived = place.derive(walk(minutes_of(place, day)), M1, H1)
    assert [f"{from_us(ts):%H:%M}" for ts in derived.bars.ts] == hours.split()
    assert derived.complete.all()


def test_a_day_is_its_session() -> None:
    """A futures session that opens the evening before belongs to its own date."""
    place = Place("CMES")
    stamps = place.at(M1).promised.stamps(
        to_us(datetime(2024, 12, 3, 22, tzinfo=UTC)), to_us(datetime(2024, 12, 4, 22, tzinfo=UTC))
    )
    derived = place.derive(walk(stamps), M1, D1)
    assert [from_us(ts) for ts in derived.bars.ts] == [datetime(2024, 12, 4, tzinfo=UTC)]
    assert derived.complete.all()


def test_a_bar_is_complete_only_if_all_that_goes_into_it_is_accounted_for() -> None:
    """Uncovered and forming minutes leave it incomplete, quiet ones do not."""
    place = Place("XNYS")
    stamps = minutes_of(place, "2024-11-27")
    quiet = np.delete(walk(stamps).ts, slice(70, 80))
    bars = walk(quiet)
    first, end = int(stamps[0]), int(stamps[-1]) + MINUTE_US
    assert place.derive(bars, M1, H1, covered=Ranges.of([(first, end)])).complete.all()
    hole = Ranges.of([(first, int(stamps[70])), (int(stamps[71]), end)])
    assert place.derive(bars, M1, H1, covered=hole).complete.tolist() == [True, False] + [True] * 5
    assert place.derive(bars, M1, D1, covered=hole).complete.tolist() == [False]
    late = Ranges.of([(first + 1, end)])
    assert place.derive(bars, M1, H1, covered=late).complete.tolist() == [False] + [True] * 6
    forming = Bars.build(
        **{name: getattr(bars, name) for name in Bars.__slots__}
        | {"final": np.arange(len(bars)) != len(bars) - 1}
    )
    derived = place.derive(forming, M1, H1)
    assert derived.complete.tolist() == [True] * 6 + [False]
    assert derived.bars.final.tolist() == [True] * 6 + [False]
    # As of another time nothing is known of coverage: a quiet minute counts against the hour.
    then = place.derive(bars, M1, H1, covered=None)
    assert then.complete.tolist() == [True, False] + [True] * 5


def test_values_of_one_bar_are_put_together() -> None:
    """First, highest, lowest, last, sums, and a vwap by volume; unknown parts stay unknown."""
    place = Place("XNYS")
    stamps = minutes_of(place, "2024-11-27")[:15]
    columns = {
        "ts": stamps,
        "open": np.arange(15) + 10.0,
        "high": np.arange(15) + 20.0,
        "low": np.arange(15) + 1.0,
        "close": np.arange(15) + 11.0,
        "volume": [0, 1, 3, 0, 0, *[0] * 5, *[2] * 5],
        "vwap": [np.nan, 10, 20, np.nan, np.nan, *[np.nan] * 5, 1, 2, np.nan, 4, 5],
        "trades": [1, 2, 3, 4, 5, *[-1] * 5, *[0] * 5],
    }
    bars = place.derive(Bars.build(**columns), M1, M5).bars
    assert (bars.open[0], bars.high[0], bars.low[0], bars.close[0]) == (10.0, 24.0, 1.0, 15.0)
    np.testing.assert_array_equal(bars.volume, [4.0, 0.0, 10.0])
    np.testing.assert_array_equal(bars.vwap, [17.5, np.nan, np.nan])
    np.testing.assert_array_equal(bars.trades, [15, -1, 0])


def test_what_lies_in_no_session_is_left_out_and_counted() -> None:
    """A bar of the night is in no hour of the day."""
    place = Place("XNYS")
    stamps = np.append(
        minutes_of(place, "2024-11-27"), to_us(datetime(2024, 11, 28, 3, tzinfo=UTC))
    )
    derived = place.derive(walk(stamps), M1, H1)
    assert derived.left_out == 1
    assert len(derived.bars) == 7


@pytest.mark.parametrize(
    ("venue", "anchor", "source", "target"),
    [
        ("XNYS", Anchor.OPEN, H1, M5),
        ("XNYS", Anchor.OPEN, H1, H1),
        ("XNYS", Anchor.OPEN, W1, MO1),
        # An hour of rest from 17:00 to 18:00 lies inside of 16:00 to 20:00.
        ("CMES", Anchor.CLOCK, M1, H4),
        ("CMES", Anchor.CLOCK, H4, D1),
    ],
)
def test_what_cannot_be_cut_is_refused(
    venue: str, anchor: Anchor, source: Timeframe, target: Timeframe
) -> None:
    """Not coarser, not divisible, or running on over a pause."""
    place = Place(venue, anchor=anchor)
    with pytest.raises(CannotResample):
        place.derive(Bars.empty(), source, target)

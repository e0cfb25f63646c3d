"""What a selection reads: the best provider per session, adjusted, as of a time, put together."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from ingestion.domain.adjusting import CannotAdjust
from ingestion.domain.errors import BadRequest
from ingestion.domain.selection import BEST
from ingestion.domain.windows import from_us
from ingestion.services.find_series import NothingStored
from ingestion.services.select_series import NothingShorter
from ingestion.store.clock import database_now
from providers.bars import Bars
from providers.types import Adjustment, Hours, Timeframe
from tests.export.scene import LONG_AGO, act, cover, day, read, run, store, write

pytestmark = pytest.mark.django_db
# Wednesday, the half day after Thanksgiving, Monday.
A, B, C = "2024-11-27", "2024-11-29", "2024-12-02"
H1, D1, M1, M5, W1 = Timeframe.H1, Timeframe.D1, Timeframe.M1, Timeframe.M5, Timeframe.W1
SPLIT, SPLIT_DIV = Adjustment.SPLIT, Adjustment.SPLIT_DIV


def two_providers() -> None:
    """Polygon, believed first, has gaps on the last two days; made-up prices are everywhere."""
    store("polygon", A, precedence=10)
    store("polygon", B, share=0.5, covered=[])
    store("polygon", C, share=0.5, covered=[])
    store("yahoo", A, B, price=200)
    store("yahoo", C, share=0.25, price=200, covered=[])
    store("synthetic", A, B, C, price=300, precedence=1)


def test_each_session_has_one_provider_the_better_one() -> None:
    """Precedence among equals, complete before incomplete, then more bars; never made-up ones."""
    two_providers()
    best = read(provider=BEST)
    assert best.providers_of(A) == {"polygon"}
    assert best.providers_of(B) == {"yahoo"}
    assert best.providers_of(C) == {"polygon"}
    assert len(best.bars) == 390 + 210 + 195
    assert (np.diff(best.bars.ts) > 0).all()
    assert {one.series.provider for one in best.chunks} == {BEST}


def test_a_window_does_not_change_who_is_chosen() -> None:
    """A session is judged as a whole, of which the window then shows a part."""
    two_providers()
    # The half of the half day that polygon has.
    part = read(provider=BEST, start=day(B), end=day(B) + timedelta(hours=15))
    assert part.providers_of(B) == {"yahoo"}
    assert len(part.bars) == 30


def test_made_up_prices_serve_where_there_are_no_others() -> None:
    """Who has only mock data still sees it, under its own name."""
    store("synthetic", A)
    assert read(provider=BEST).providers_of(A) == {"synthetic"}


def test_hours_of_the_best_sessions_are_complete_where_their_source_is() -> None:
    """Completeness is that of the provider whose minutes went in."""
    two_providers()
    hours = read(provider=BEST, resample=H1)
    assert hours.providers_of(B) == {"yahoo"}
    assert hours.complete == [True] * 7 + [True] * 4 + [False] * 4
    days = read(provider=BEST, resample=D1)
    assert [f"{from_us(ts):%Y-%m-%d}" for ts in days.bars.ts] == [A, B, C]
    assert days.providers == ["polygon", "yahoo", "polygon"]
    assert days.complete == [True, True, False]


def test_bars_come_as_they_were_known() -> None:
    """As of a time before a correction, the best is chosen by what was there, not by coverage."""
    two_providers()
    series = store("polygon", A, precedence=10).id
    corrected = read(provider="polygon", start=day(A), end=day(B)).bars
    later = LONG_AGO + timedelta(days=30)
    write(
        series,
        Bars(
            **{n: getattr(corrected, n) for n in Bars.__slots__} | {"close": corrected.close + 0.5}
        ),
    )
    run("UPDATE bar SET known_from = %s WHERE series_id = %s AND close = 100.5", later, series)
    run("UPDATE bar_revision SET known_from = %s, known_to = %s", LONG_AGO, later)
    then = read(provider=BEST, as_of=later - timedelta(seconds=1))
    assert set(then.bars.close) == {100.0, 200.0}
    assert then.providers_of(A) == {"polygon"}
    assert then.providers_of(B) == {"yahoo"}
    assert set(read(provider=BEST, as_of=later).bars.close) == {100.5, 100.0, 200.0}
    assert not len(read(as_of=LONG_AGO - timedelta(days=1)).bars)
    days = read(provider="polygon", resample=D1, as_of=later - timedelta(seconds=1))
    assert (days.complete, days.bars.close.tolist()) == ([True, False, False], [100.0] * 3)


def test_a_moment_just_past_is_no_moment_to_read_as_of() -> None:
    """Whoever began to write before may still commit what was known then."""
    with pytest.raises(BadRequest, match="not yet a minute ago"):
        read(as_of=database_now() - timedelta(seconds=30))


def test_prices_are_adjusted_as_of_a_time_and_put_together_after_that() -> None:
    """A 2:1 split on the half day halves what was before it; a week is made of adjusted days."""
    store("polygon", A, B, C)
    act("split", B, 2.0)
    minutes = read(adjust=SPLIT)
    assert [set(minutes.bars.close[part]) for part in (slice(0, 390), slice(390, None))] == [
        {50.0},
        {100.0},
    ]
    assert set(minutes.bars.volume[:390]) == {20.0}
    assert {one.series.adjustment for one in minutes.chunks} == {SPLIT}
    weeks = read(adjust=SPLIT, resample=W1)
    assert weeks.bars.open.tolist() == [50.0, 100.0]
    assert weeks.bars.volume.tolist() == [390 * 20.0 + 210 * 10.0, 3900.0]
    assert weeks.complete == [False, False]
    with pytest.raises(CannotAdjust, match=r"no split or dividend of AAA is recorded at that time"):
        read(adjust=SPLIT, as_of=LONG_AGO - timedelta(days=1))


def test_a_complete_week_needs_all_its_sessions() -> None:
    """Days that are covered make a week complete, a day that is not makes it incomplete."""
    days = ("2024-11-18", "2024-11-19", "2024-11-20", "2024-11-21", "2024-11-22")
    stored = store("polygon", *days, "2024-11-25", "2024-11-26", timeframe=D1)
    assert read(resample=W1).complete == [True, False]
    cover(stored.id, "2024-11-27", "2024-11-28", "2024-11-29")
    assert read(resample=W1).complete == [True, True]


def test_the_best_of_adjusted_prices_shares_one_statement_of_actions() -> None:
    """Two providers' bars are adjusted by the same actions, whoever states them."""
    two_providers()
    act("dividend", B, 2.0, provider="polygon")
    best = read(provider=BEST, adjust=SPLIT_DIV)
    assert set(best.bars.close[:390]) == {98.0}
    assert set(best.bars.close[390:]) == {200.0, 100.0}


def test_everything_at_once_is_still_each_of_them() -> None:
    """The best sessions as of a time, adjusted by what was known then, as days."""
    two_providers()
    act("split", C, 2.0)
    act("split", B, 5.0, known_from=day("2025-01-10"))
    days = read(provider=BEST, adjust=SPLIT, resample=D1, as_of=day("2024-12-10"))
    assert days.providers == ["polygon", "yahoo", "polygon"]
    assert days.bars.close.tolist() == [50.0, 100.0, 100.0]
    assert days.bars.volume.tolist() == [390 * 20.0, 210 * 20.0, 195 * 10.0]
    assert days.complete == [True, True, False]
    now = read(provider=BEST, adjust=SPLIT, resample=D1)
    assert now.bars.close.tolist() == [10.0, 100.0, 100.0]


def test_the_least_adjusted_series_serves() -> None:
    """Raw before split; split prices take dividends alone; what is stored so comes as it is."""
    split = store("yahoo", A, B, adjustment=SPLIT, price=50)
    act("split", B, 2.0)
    act("dividend", B, 1.0)
    assert set(read(adjust=SPLIT).bars.close) == {50.0}
    # Two halves of a new share's price: the dividend is of the new shares.
    assert sorted(set(read(adjust=SPLIT_DIV).bars.close)) == [49.0, 50.0]
    store("yahoo", A, B)
    (series,) = {one.series for one in read(adjust=SPLIT, provider="yahoo").chunks}
    assert series.sources[0].series_id != split.id


def test_what_cannot_be_adjusted_is_said() -> None:
    """The wrong basis, and an instrument of which no action was ever recorded."""
    store("yahoo", A, adjustment=SPLIT_DIV)
    with pytest.raises(CannotAdjust, match="AAA is stored as split_div alone"):
        read(adjust=SPLIT)
    store("polygon", A, symbol="BBB")
    with pytest.raises(CannotAdjust, match="no split or dividend of BBB is recorded, so that"):
        read(adjust=SPLIT, symbols=("BBB",))
    assert len(read(adjust=SPLIT, symbols=("BBB",), unadjusted_ok=True).bars) == 390


def test_derived_bars_come_from_the_finest_series_or_the_one_named() -> None:
    """Of minutes and five minutes the minutes serve, unless one says otherwise."""
    store("polygon", A)
    store("polygon", A, timeframe=M5, price=90)
    assert set(read(resample=H1).bars.close) == {100.0}
    assert set(read(resample=H1, timeframes=(M5,)).bars.close) == {90.0}
    assert {one.series.sources[0].timeframe for one in read(resample=M5).chunks} == {M1}
    with pytest.raises(NothingShorter, match="nothing shorter than 1m"):
        read(resample=M1)


def test_a_regular_day_is_made_of_regular_minutes() -> None:
    """Extended minutes make an extended day, or, without the early and late ones, a regular one."""
    store("polygon", A, hours=Hours.EXTENDED)
    # The last hour of an evening in New York is the next day in UTC.
    assert read(resample=D1, hours=Hours.EXTENDED).bars.volume.tolist() == [600.0, 9000.0]
    regular = read(resample=D1)
    assert regular.bars.volume.tolist() == [390 * 10.0]
    assert (regular.complete, regular.chunks[0].series.hours) == ([True], Hours.REGULAR)
    store("polygon", A, share=0.5, covered=[])
    assert read(resample=D1).bars.volume.tolist() == [195 * 10.0]


def test_a_window_holds_every_bar_that_begins_in_it() -> None:
    """Derived bars at its edges are made of all that goes into them."""
    store("polygon", A, B, C)
    start, end = day(A) + timedelta(hours=15), day(A) + timedelta(hours=17)
    hours = read(resample=H1, start=start, end=end)
    assert [f"{from_us(ts):%H:%M}" for ts in hours.bars.ts] == ["15:30", "16:30"]
    assert hours.complete == [True, True]
    assert hours.bars.volume.tolist() == [600.0, 600.0]


@pytest.mark.parametrize("asked", [{"symbols": ("NONE",)}, {"symbols": ("AAA",), "provider": "x"}])
def test_a_symbol_without_series_is_an_error(asked: dict[str, Any]) -> None:
    """A typing error must not look like an empty market."""
    store("polygon", A)
    with pytest.raises(NothingStored):
        read(**asked)


def test_forming_bars_can_be_left_out() -> None:
    """What may still change is read unless nobody wants it."""
    stored = store("polygon", A)
    run("UPDATE bar SET final = false WHERE ts = %s", from_us(stored.bars.ts[-1]))
    assert len(read().bars) == 390
    assert len(read(final_only=True).bars) == 389
    assert len(read(as_of=LONG_AGO + timedelta(days=1)).bars) == 389
    assert read(resample=H1).complete == [True] * 6 + [False]
    assert len(read(resample=H1, final_only=True).bars) == 6

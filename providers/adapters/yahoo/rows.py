"""Read the rows of a chart and take yahoo's quirks out of them.

The last trade comes as a row of its own, and a row whose prices are all null says that nothing
traded. A row with only some nulls keeps them as NaN for the validation to quarantine.
"""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from providers.adapters.yahoo.wire import Meta, Quote, Result
from providers.bars import FloatColumn
from providers.errors import PayloadError
from providers.instants import floor_date, floor_dates, local_dates, next_date, to_us
from providers.sessions import Stamps
from providers.types import BarQuery, Hours, Timeframe

_SECOND_US: Final = 1_000_000
_WITHOUT_VOLUME: Final = frozenset({"CURRENCY", "INDEX"})


class Rows:
    """Hold the rows of one answer while quirks are taken out; `origin` numbers them as sent."""

    def __init__(self, instants: Stamps, values: FloatColumn) -> None:
        self.instants = instants
        self.stamps = instants
        self.values = values
        self.origin = np.arange(len(instants))
        self.final = np.ones(len(instants), np.bool_)

    def __len__(self) -> int:
        return len(self.instants)

    def keep(self, rows: NDArray[np.bool_] | slice) -> None:
        """Drop the rows that are not selected."""
        self.instants = self.instants[rows]
        self.stamps = self.stamps[rows]
        self.values = self.values[:, rows]
        self.origin = self.origin[rows]
        self.final = self.final[rows]

    def merge_last_two(self) -> None:
        """Make one bar of the last two rows."""
        first, last = self.values[:, -2], self.values[:, -1]
        merged = (
            first[0],
            np.fmax(first[1], last[1]),
            np.fmin(first[2], last[2]),
            last[3],
            np.nansum((first[4], last[4])),
        )
        self.keep(slice(None, -1))
        self.values[:, -1] = merged


def whole_periods(start: int, end: int, timeframe: Timeframe) -> tuple[int, int]:
    """Widen a window in µs to whole bars."""
    return floor_date(start, timeframe), next_date(floor_date(end - 1, timeframe), timeframe)


def read_rows(query: BarQuery, result: Result) -> Rows:
    """Return what a chart says of the query's window; rows keep yahoo's order."""
    rows = _columns(result)
    if query.timeframe.is_intraday:
        if len(rows):
            _settle_live_intraday(rows, query, result.meta)
    else:
        _stamp_with_dates(rows, query, result.meta)
        if len(rows):
            _settle_live_period(rows, query, result.meta)
        _drop_widening(rows, query)
    volume, prices = rows.values[4], rows.values[:4]
    traded = ~(np.isnan(prices).all(axis=0) & (np.isnan(volume) | (volume == 0)))
    if not traded.all():
        rows.keep(traded)
    if result.meta.instrument_type in _WITHOUT_VOLUME:
        rows.values[4, rows.values[4] == 0] = np.nan
    return rows


def _columns(result: Result) -> Rows:
    stamps = result.timestamp or []
    n = len(stamps)
    quote = result.indicators.quote[0] if result.indicators.quote else Quote()
    columns = (quote.open, quote.high, quote.low, quote.close, quote.volume)
    values = np.empty((5, n))
    for i, column in enumerate(columns):
        if len(column) != n:
            raise PayloadError(
                f"yahoo sent {n} stamps and a column of {len(column)} values; try again later",
                provider="yahoo",
            )
        try:
            values[i] = np.fromiter(column, np.float64, n)
        except TypeError:
            values[i] = column  # Slower, but reads null as NaN.
    return Rows(np.array(stamps, np.int64) * _SECOND_US, values)


def _settle_live_intraday(rows: Rows, query: BarQuery, meta: Meta) -> None:
    """Turn the last trade, sent as a row of its own, into the forming bar it belongs to.

    During the session its stamp is the time of the trade: the row joins the bar of its slot,
    which is not final. After the close it repeats the closing price at the closing instant,
    where no bar starts: the row is left out.
    """
    session = meta.current_trading_period.regular
    if session is None:
        return
    last = int(rows.instants[-1]) // _SECOND_US
    post = meta.current_trading_period.post
    close = post.end if post and query.hours is Hours.EXTENDED else session.end
    # Around the clock "end" is 23:59, the start of the day's last minute bar and no close.
    if last >= close and session.end - session.start < 23 * 3_600:
        rows.keep(slice(None, -1))
        return
    if last != meta.regular_market_time:
        return
    length = round(query.timeframe.duration.total_seconds())
    if session.start <= last < session.end:
        last -= (last - session.start) % length
    rows.stamps = rows.stamps.copy()
    rows.stamps[-1] = last * _SECOND_US
    if len(rows) > 1 and rows.stamps[-2] == rows.stamps[-1]:
        rows.merge_last_two()
    rows.final[-1] = False


def exchange_dates(instants: Stamps, meta: Meta) -> Stamps:
    """Return 00:00Z, in µs, of the date that each instant has at the exchange."""
    try:
        return local_dates(instants, meta.exchange_timezone_name)
    except (ZoneInfoNotFoundError, ValueError):
        raise PayloadError(
            f"yahoo names an unknown time zone {meta.exchange_timezone_name!r}; "
            "install the tzdata package or try again later",
            provider="yahoo",
        ) from None


def _stamp_with_dates(rows: Rows, query: BarQuery, meta: Meta) -> None:
    rows.stamps = floor_dates(exchange_dates(rows.instants, meta), query.timeframe)


def _settle_live_period(rows: Rows, query: BarQuery, meta: Meta) -> None:
    """Fold the current day, sent as a row of its own, into the period it belongs to.

    A second row of the same day replaces the first, whose volume is older; a day beside its
    week or month is missing from it and is added. The result is final only for a day whose
    session is over.
    """
    live = meta.regular_market_time
    if live is None or int(rows.instants[-1]) != live * _SECOND_US:
        return
    if len(rows) > 1 and rows.stamps[-2] == rows.stamps[-1]:
        if query.timeframe is Timeframe.D1:
            rows.keep(np.arange(len(rows)) != len(rows) - 2)
        else:
            rows.merge_last_two()
    session = meta.current_trading_period.regular
    in_session = session is None or session.start <= live < session.end
    rows.final[-1] = query.timeframe is Timeframe.D1 and not in_session


def _drop_widening(rows: Rows, query: BarQuery) -> None:
    start, end = to_us(query.start), to_us(query.end)
    floor, ceiling = whole_periods(start, end, query.timeframe)
    slack = next_date(ceiling, query.timeframe) - ceiling
    before = (rows.stamps >= floor - slack) & (rows.stamps < start)
    after = (rows.stamps >= end) & (rows.stamps <= ceiling + slack)
    widened = before | after
    if widened.any():
        rows.keep(~widened)

"""Yahoo Finance: /v8/finance/chart, no key, columnar JSON.

Window: `period1`, `period2` in seconds. Yahoo selects daily and longer bars by local date and
cuts a week or month short at `period2`, so such requests are widened to whole periods and the
bars that the widening brought are left out again. Stamps: bar start; a daily bar carries the
session's open and becomes its date in `exchangeTimezoneName`.

Quirks handled here: the last trade comes as a row of its own (see `_settle_live_row`), and a
row whose prices are all null says that nothing traded. A row with only some nulls keeps them
as NaN for the validation to quarantine.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, ClassVar, Final
from urllib.parse import quote as percent_encode
from zoneinfo import ZoneInfoNotFoundError

import msgspec
import numpy as np
from numpy.typing import NDArray

from providers.bars import Bars, FloatColumn
from providers.base import Adapter, Capabilities, RateLimit, SeriesCapability
from providers.decoding import decode_json, payload_digest
from providers.errors import (
    AuthError,
    NoData,
    PayloadError,
    PermanentError,
    ProviderError,
    ThrottledError,
    UnknownSymbol,
    UnsupportedRequest,
)
from providers.instants import floor_date, floor_dates, local_dates, next_date, to_us
from providers.sessions import DAY_US, Stamps
from providers.statuses import raise_for_status
from providers.types import (
    Adjustment,
    BarQuery,
    Credentials,
    Hours,
    Page,
    Request,
    Response,
    Timeframe,
)

_SECOND_US: Final = 1_000_000
_INTERVALS: Final[Mapping[Timeframe, str]] = {
    Timeframe.M1: "1m",
    Timeframe.M5: "5m",
    Timeframe.M15: "15m",
    Timeframe.M30: "30m",
    Timeframe.H1: "1h",
    Timeframe.D1: "1d",
    Timeframe.W1: "1wk",
    Timeframe.MO1: "1mo",
}
# The session opens of the world lie between 14 h before and 24 h after 00:00Z of their date.
_EASTERNMOST_US: Final = 14 * 3_600 * _SECOND_US
_WITHOUT_VOLUME: Final = frozenset({"CURRENCY", "INDEX"})
_REQUEST_DENIED: Final = 999
# Clients that do not name themselves in this form are answered with 429 whatever their pace.
_USER_AGENT: Final = "Mozilla/5.0 (compatible; mdc)"


class _Period(msgspec.Struct):
    start: int
    end: int


class _Periods(msgspec.Struct):
    regular: _Period | None = None
    post: _Period | None = None


class _Meta(msgspec.Struct, rename="camel"):
    exchange_timezone_name: str
    instrument_type: str | None = None
    regular_market_time: int | None = None
    current_trading_period: _Periods = msgspec.field(default_factory=_Periods)
    data_granularity: str | None = None


class _Quote(msgspec.Struct):
    open: list[float | None] = []
    high: list[float | None] = []
    low: list[float | None] = []
    close: list[float | None] = []
    volume: list[float | None] = []


class _Indicators(msgspec.Struct):
    quote: list[_Quote] = []


class _Result(msgspec.Struct):
    meta: _Meta
    indicators: _Indicators
    timestamp: list[int] | None = None


class _Error(msgspec.Struct):
    code: str = ""
    description: str = ""


class _Chart(msgspec.Struct):
    result: list[_Result] | None = None
    error: _Error | None = None


class _Envelope(msgspec.Struct):
    # Requests that yahoo refuses before it looks at the symbol are answered under "finance".
    chart: _Chart | None = None
    finance: _Chart | None = None

    @property
    def error(self) -> _Error | None:
        part = self.chart or self.finance
        return part.error if part else None


class _Rows:
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
        self.instants = self.instants[rows]
        self.stamps = self.stamps[rows]
        self.values = self.values[:, rows]
        self.origin = self.origin[rows]
        self.final = self.final[rows]

    def merge_last_two(self) -> None:
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


def _intraday(*, rows_per_day: int, span_days: int, lookback_days: int) -> SeriesCapability:
    return SeriesCapability(
        adjustment=Adjustment.SPLIT,
        max_rows=span_days * rows_per_day,
        max_span=timedelta(days=span_days),
        lookback=timedelta(days=lookback_days),
        hours=(Hours.REGULAR, Hours.EXTENDED),
    )


class Yahoo(Adapter):
    """Serve bars from Yahoo Finance; splits are adjusted for, dividends are not."""

    name: ClassVar[str] = "yahoo"
    capabilities: ClassVar[Capabilities] = Capabilities(
        as_of="2026-11",
        base_url="https://query2.finance.yahoo.com",
        needs_key=False,
        timeframes={
            Timeframe.M1: _intraday(rows_per_day=1440, span_days=7, lookback_days=30),
            Timeframe.M5: _intraday(rows_per_day=288, span_days=60, lookback_days=60),
            Timeframe.M15: _intraday(rows_per_day=96, span_days=60, lookback_days=60),
            Timeframe.M30: _intraday(rows_per_day=48, span_days=60, lookback_days=60),
            Timeframe.H1: _intraday(rows_per_day=24, span_days=730, lookback_days=730),
            Timeframe.D1: SeriesCapability(adjustment=Adjustment.SPLIT, max_rows=50_000),
            Timeframe.W1: SeriesCapability(adjustment=Adjustment.SPLIT, max_rows=50_000),
            Timeframe.MO1: SeriesCapability(adjustment=Adjustment.SPLIT, max_rows=50_000),
        },
        rate_limits=(
            RateLimit(n=2, window=timedelta(seconds=1)),
            RateLimit(n=60, window=timedelta(minutes=1)),
        ),
        max_in_flight=2,
        finality_delay=timedelta(minutes=30),
        notes=(
            "Limits are undocumented; these figures stay below what is reported to be tolerated.",
            "Currencies have no volume and neither have some indices: a zero there is absence.",
        ),
    )

    def build_request(
        self, query: BarQuery, *, token: str | None, credentials: Credentials, base_url: str
    ) -> Request:
        """Build the one request that holds the whole window; there are no further pages."""
        self.capability_for(query)
        start, end = to_us(query.start), to_us(query.end)
        if query.timeframe.is_intraday:
            # The second before the end selects the same bars whether yahoo counts it in or not.
            first, last = start // _SECOND_US, -(-end // _SECOND_US) - 1
        else:
            floor, ceiling = _whole_periods(start, end, query.timeframe)
            slack = 0 if query.timeframe is Timeframe.D1 else DAY_US
            first, last = (floor - _EASTERNMOST_US) // _SECOND_US, (ceiling + slack) // _SECOND_US
        symbol = percent_encode(query.vendor_symbol, safe="")
        extended = query.timeframe.is_intraday and query.hours is Hours.EXTENDED
        return Request(
            url=f"{base_url.rstrip('/')}/v8/finance/chart/{symbol}",
            params={
                "period1": str(first),
                "period2": str(last),
                "interval": _INTERVALS[query.timeframe],
                "includePrePost": "true" if extended else "false",
            },
            headers={"Accept": "application/json", "User-Agent": _USER_AGENT},
        )

    def parse(self, query: BarQuery, response: Response) -> Page:
        """Read a chart answer; rows keep yahoo's order."""
        if response.status != HTTPStatus.OK:
            raise _refusal(query, response)
        envelope = decode_json(response.body, _Envelope, provider=self.name)
        if envelope.error is not None:
            raise _error_within_200(query, envelope.error)
        if envelope.chart is None or not envelope.chart.result:
            raise PayloadError("yahoo answered without a chart; try again later", provider="yahoo")
        result = envelope.chart.result[0]
        _check_granularity(query, result.meta)
        rows = _read_rows(query, result)
        open_, high, low, close, volume = rows.values
        body = response.body

        sent = functools.cache(functools.partial(msgspec.json.decode, body))

        def raw_row(i: int) -> object:
            return _raw_row(sent()["chart"]["result"][0], int(rows.origin[i]))

        return Page(
            bars=Bars.build(
                ts=rows.stamps,
                open=open_,
                high=high,
                low=low,
                close=close,
                volume=volume,
                final=rows.final,
            ),
            next_token=None,
            resume_from=None,
            proven_until=None,
            raw_row=raw_row,
            payload_sha=payload_digest(body),
            payload_bytes=len(body),
        )


def _whole_periods(start: int, end: int, timeframe: Timeframe) -> tuple[int, int]:
    return floor_date(start, timeframe), next_date(floor_date(end - 1, timeframe), timeframe)


def _read_rows(query: BarQuery, result: _Result) -> _Rows:
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


def _columns(result: _Result) -> _Rows:
    stamps = result.timestamp or []
    n = len(stamps)
    quote = result.indicators.quote[0] if result.indicators.quote else _Quote()
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
    return _Rows(np.array(stamps, np.int64) * _SECOND_US, values)


def _settle_live_intraday(rows: _Rows, query: BarQuery, meta: _Meta) -> None:
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


def _stamp_with_dates(rows: _Rows, query: BarQuery, meta: _Meta) -> None:
    try:
        dates = local_dates(rows.instants, meta.exchange_timezone_name)
    except (ZoneInfoNotFoundError, ValueError):
        raise PayloadError(
            f"yahoo names an unknown time zone {meta.exchange_timezone_name!r}; "
            "install the tzdata package or try again later",
            provider="yahoo",
        ) from None
    rows.stamps = floor_dates(dates, query.timeframe)


def _settle_live_period(rows: _Rows, query: BarQuery, meta: _Meta) -> None:
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


def _drop_widening(rows: _Rows, query: BarQuery) -> None:
    start, end = to_us(query.start), to_us(query.end)
    floor, ceiling = _whole_periods(start, end, query.timeframe)
    slack = next_date(ceiling, query.timeframe) - ceiling
    before = (rows.stamps >= floor - slack) & (rows.stamps < start)
    after = (rows.stamps >= end) & (rows.stamps <= ceiling + slack)
    widened = before | after
    if widened.any():
        rows.keep(~widened)


def _check_granularity(query: BarQuery, meta: _Meta) -> None:
    asked = _INTERVALS[query.timeframe]
    sent = {"60m": "1h"}.get(meta.data_granularity or asked, meta.data_granularity or asked)
    if sent != asked:
        raise PayloadError(
            f"yahoo answered with {sent} bars where {asked} was asked; shorten the window",
            provider="yahoo",
        )


def _error(kind: type[ProviderError], message: str, status: int) -> ProviderError:
    return kind(message, provider="yahoo", status=status)


def _error_within_200(query: BarQuery, stated: _Error) -> ProviderError:
    """Return the error that an answer states although its HTTP status is 200."""
    if "Too Many Requests" in (stated.code, stated.description):
        return _error(ThrottledError, "yahoo asks for a slower pace (within a 200)", 200)
    return _known_error(query, stated, 200) or _error(
        PermanentError, f"yahoo rejects the request: {stated.code}: {stated.description[:200]}", 200
    )


def _refusal(query: BarQuery, response: Response) -> ProviderError:
    """Return the error that an answer of any other status than 200 means."""
    status = response.status
    if status == _REQUEST_DENIED:
        return _error(ThrottledError, "yahoo denies requests from this address (999)", status)
    if status == HTTPStatus.UNAUTHORIZED:
        return _error(
            AuthError,
            "yahoo refuses anonymous requests from this address (401); wait, or use another one",
            status,
        )
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        known = _known_error(query, _stated_error(response.body), status)
        if known is not None:
            return known
    raise_for_status(response, "yahoo")
    return _error(
        PermanentError,
        f"yahoo has nothing at this address ({status}); check MDC_PROVIDER_YAHOO_BASE_URL",
        status,
    )


def _stated_error(body: bytes) -> _Error:
    """Read the error of a refusal, which is a document or one line of text."""
    if body.lstrip()[:1] != b"{":
        return _Error(description=body[:500].decode(errors="replace"))
    return decode_json(body, _Envelope, provider="yahoo").error or _Error()


def _known_error(query: BarQuery, stated: _Error, status: int) -> ProviderError | None:
    """Return what a stated error means; its wording is the only signature yahoo gives."""
    wording, symbol = stated.description, query.vendor_symbol
    if stated.code == "Not Found":
        message = f"yahoo does not know the symbol {symbol!r}; check how yahoo spells it"
        return _error(UnknownSymbol, message, status)
    if "Data doesn't exist for startDate" in wording:
        message = f"yahoo states that it holds nothing of {symbol!r} in this window"
        return _error(NoData, message, status)
    if "must be within the last" in wording or "granularity data are allowed" in wording:
        message = (
            f"yahoo does not reach back this far at {query.timeframe}; "
            "start later or use a longer timeframe"
        )
        return _error(UnsupportedRequest, message, status)
    return None


def _raw_row(result: Any, row: int) -> object:
    columns = result["indicators"]["quote"][0]
    return {"timestamp": result["timestamp"][row]} | {
        name: columns[name][row] for name in sorted(columns)
    }

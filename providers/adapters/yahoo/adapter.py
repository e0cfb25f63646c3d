"""The adapter: what is asked of yahoo, and how an answer becomes a page.

Window: `period1`, `period2` in seconds. Yahoo selects daily and longer bars by local date and
cuts a week or month short at `period2`, so such requests are widened to whole periods and the
bars that the widening brought are left out again. Stamps: bar start; a daily bar carries the
session's open and becomes its date in `exchangeTimezoneName`. See `rows` for the quirks of rows and
`events` for splits and dividends.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, ClassVar, Final
from urllib.parse import quote as percent_encode

import msgspec

from providers.adapters.yahoo.drift import chart_drift
from providers.adapters.yahoo.events import (
    pack,
    reaches_the_present,
    read_dividends,
    read_splits,
    unpack,
)
from providers.adapters.yahoo.listings import read_listing
from providers.adapters.yahoo.refusals import error_within_200, refusal
from providers.adapters.yahoo.rows import Rows, read_rows, whole_periods
from providers.adapters.yahoo.wire import Envelope, Meta, Result
from providers.bars import Bars
from providers.base import Adapter, Capabilities, RateLimit, SeriesCapability
from providers.decoding import decode_json, payload_digest
from providers.errors import PayloadError
from providers.instants import to_us
from providers.instruments import CorporateAction, Listing
from providers.reference.spellings import read_contract_symbol, read_yahoo_symbol
from providers.sessions import DAY_US
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
# The second page's bars are not wanted, only the events beside them: the longest bars there are.
_EVENTS_INTERVAL: Final = "3mo"
_FOR_EVER: Final = "9999999999"
# The session opens of the world lie between 14 h before and 24 h after 00:00Z of their date.
_EASTERNMOST_US: Final = 14 * 3_600 * _SECOND_US
# Clients that do not name themselves in this form are answered with 429 whatever their pace.
_USER_AGENT: Final = "Mozilla/5.0 (compatible; mdc)"


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
        """Build the request that holds the whole window, or the second page's, of events alone."""
        self.capability_for(query)
        params = _bars_params(query) if token is None else _events_params(query)
        symbol = percent_encode(query.vendor_symbol, safe="")
        return Request(
            url=f"{base_url.rstrip('/')}/v8/finance/chart/{symbol}",
            params=params,
            headers={"Accept": "application/json", "User-Agent": _USER_AGENT},
        )

    def parse(self, query: BarQuery, response: Response) -> Page:
        """Read a chart answer; rows keep yahoo's order."""
        result = _result(query.vendor_symbol, query.timeframe, response)
        _check_granularity(query, result.meta)
        rows = read_rows(query, result)
        actions = read_splits(query, result.events, result.meta)
        dividends = read_dividends(query, result.events, result.meta)
        token = None
        if dividends and not reaches_the_present(query, result.meta):
            token = pack(dividends)
        else:
            actions += tuple(one.undone(1) for one in dividends)
        return _page(_bars(rows), response, rows=rows, actions=actions, next_token=token)

    def parse_page(self, query: BarQuery, response: Response, *, token: str | None) -> Page:
        """Read bars, or of the second page the dividends alone."""
        if token is None:
            return self.parse(query, response)
        result = _result(query.vendor_symbol, query.timeframe, response)
        return _page(Bars.empty(), response, actions=unpack(query, token, result))

    def guess_listing(self, vendor_symbol: str) -> Listing | None:
        """Read suffix and prefix, or the code of a futures contract."""
        return read_yahoo_symbol(vendor_symbol) or read_contract_symbol(vendor_symbol)

    def build_listing_request(
        self, vendor_symbol: str, *, credentials: Credentials, base_url: str
    ) -> Request | None:
        """Ask for the shortest chart there is; its meta is what counts."""
        symbol = percent_encode(vendor_symbol, safe="")
        return Request(
            url=f"{base_url.rstrip('/')}/v8/finance/chart/{symbol}",
            params={"range": "1d", "interval": "1d"},
            headers={"Accept": "application/json", "User-Agent": _USER_AGENT},
        )

    def parse_listing(self, vendor_symbol: str, response: Response) -> Listing:
        """Read the meta of a chart."""
        return read_listing(vendor_symbol, _result(vendor_symbol, Timeframe.D1, response).meta)


def _result(symbol: str, timeframe: Timeframe, response: Response) -> Result:
    if response.status != HTTPStatus.OK:
        raise refusal(symbol, timeframe, response)
    envelope = decode_json(response.body, Envelope, provider="yahoo")
    if envelope.error is not None:
        raise error_within_200(symbol, timeframe, envelope.error)
    if envelope.chart is None or not envelope.chart.result:
        raise PayloadError("yahoo answered without a chart; try again later", provider="yahoo")
    return envelope.chart.result[0]


def _bars_params(query: BarQuery) -> dict[str, str]:
    start, end = to_us(query.start), to_us(query.end)
    if query.timeframe.is_intraday:
        # The second before the end selects the same bars whether yahoo counts it in or not.
        first, last = start // _SECOND_US, -(-end // _SECOND_US) - 1
        extended = query.hours is Hours.EXTENDED
        events: dict[str, str] = {}
    else:
        floor, ceiling = whole_periods(start, end, query.timeframe)
        slack = 0 if query.timeframe is Timeframe.D1 else DAY_US
        first, last = (floor - _EASTERNMOST_US) // _SECOND_US, (ceiling + slack) // _SECOND_US
        extended = False
        events = {"events": "div,splits"}
    return {
        "period1": str(first),
        "period2": str(last),
        "interval": _INTERVALS[query.timeframe],
        "includePrePost": "true" if extended else "false",
        **events,
    }


def _events_params(query: BarQuery) -> dict[str, str]:
    return {
        "period1": str((to_us(query.end) - _EASTERNMOST_US) // _SECOND_US),
        "period2": _FOR_EVER,
        "interval": _EVENTS_INTERVAL,
        "includePrePost": "false",
        "events": "div,splits",
    }


def _bars(rows: Rows) -> Bars:
    open_, high, low, close, volume = rows.values
    return Bars.build(
        ts=rows.stamps,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        final=rows.final,
    )


def _page(
    bars: Bars,
    response: Response,
    *,
    actions: tuple[CorporateAction, ...],
    rows: Rows | None = None,
    next_token: str | None = None,
) -> Page:
    body = response.body
    sent = functools.cache(functools.partial(msgspec.json.decode, body))

    def raw_row(i: int) -> object:
        row = i if rows is None else int(rows.origin[i])
        return _raw_row(sent()["chart"]["result"][0], row)

    return Page(
        bars=bars,
        next_token=next_token,
        resume_from=None,
        proven_until=None,
        raw_row=raw_row,
        payload_sha=payload_digest(body),
        payload_bytes=len(body),
        actions=actions,
        drift=chart_drift(body),
    )


def _check_granularity(query: BarQuery, meta: Meta) -> None:
    asked = _INTERVALS[query.timeframe]
    sent = {"60m": "1h"}.get(meta.data_granularity or asked, meta.data_granularity or asked)
    if sent != asked:
        raise PayloadError(
            f"yahoo answered with {sent} bars where {asked} was asked; shorten the window",
            provider="yahoo",
        )


def _raw_row(result: Any, row: int) -> object:
    columns = result["indicators"]["quote"][0]
    return {"timestamp": result["timestamp"][row]} | {
        name: columns[name][row] for name in sorted(columns)
    }

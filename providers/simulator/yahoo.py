"""Yahoo's /v8/finance/chart/{symbol} as recordings show it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import numpy as np
import orjson

from providers.bars import Bars, FloatColumn
from providers.instants import from_us, local_dates
from providers.sessions import DAY_US, Sessions
from providers.simulator.config import YahooConfig
from providers.simulator.listings import yahoo_meta
from providers.simulator.market import (
    MICROSECOND,
    Market,
    Stamps,
    local_midnights,
    session_labels,
    session_spans,
)
from providers.simulator.wire import Ask, Fetched, Incoming, Refused, Rendered, Reply
from providers.simulator.yahoo_events import events_of
from providers.types import Anchor, Hours, Timeframe

SECOND_US: Final = 1_000_000
MAX_SECONDS: Final = 100_000_000_000
JSON_TYPE: Final = "application/json;charset=utf-8"
QUARTERS: Final = "3mo"
INTERVALS: Final = {
    "1m": Timeframe.M1,
    "5m": Timeframe.M5,
    "15m": Timeframe.M15,
    "30m": Timeframe.M30,
    "60m": Timeframe.H1,
    "1h": Timeframe.H1,
    "4h": Timeframe.H4,
    "1d": Timeframe.D1,
    "1wk": Timeframe.W1,
    "1mo": Timeframe.MO1,
    # mdc has no quarters: they are made of months.
    QUARTERS: Timeframe.MO1,
}
WIRE_INTERVALS: Final = {member: name for name, member in INTERVALS.items() if name != QUARTERS}
VALID_INTERVALS: Final = "1m, 2m, 5m, 15m, 30m, 60m, 90m, 1h, 4h, 1d, 5d, 1wk, 1mo, 3mo"
RANGES: Final = ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"]
RANGE_DAYS: Final = {"1d": 1, "5d": 5, "1mo": 31, "3mo": 92, "6mo": 183, "1y": 366}
REACH_DAYS: Final = {
    Timeframe.M1: 30,
    Timeframe.M5: 60,
    Timeframe.M15: 60,
    Timeframe.M30: 60,
    Timeframe.H1: 730,
    Timeframe.H4: 730,
}
MINUTE_SPAN_DAYS: Final = 8
PRE_MARKET_US: Final = 19_800 * SECOND_US
POST_MARKET_US: Final = 14_400 * SECOND_US
# Wire stamps of periods lie up to a day and a half from the stamps they stand for.
PAD_US: Final = 2 * DAY_US
ERRORS: Final = {
    400: ("Bad Request", "Invalid input"),
    401: ("Unauthorized", "Invalid Crumb"),
    403: ("Forbidden", "User is unable to access this feature"),
    404: ("Not Found", "No data found, symbol may be delisted"),
    422: ("Unprocessable Entity", "Invalid input"),
    500: ("Internal Server Error", "An internal error occurred"),
}


class Yahoo:
    """Answer chart requests; no cookie and no crumb is asked for."""

    name = "yahoo"
    prefix = "/v8/finance/chart/"

    def __init__(self, config: YahooConfig) -> None:
        self._config = config

    def read(self, incoming: Incoming, *, now: int) -> Ask:
        """Understand period1 and period2 (seconds) or range, interval and includePrePost."""
        symbol = incoming.path.removeprefix(self.prefix)
        params = incoming.params
        interval = params.get("interval", "1d")
        try:
            start, end = read_window(params, now=now)
        except (KeyError, ValueError):
            raise Refused(
                refusal(422, "Unprocessable Entity", "Invalid input - period1 and period2"),
                symbol=symbol,
                timeframe=interval,
            ) from None
        if start >= end:
            text = (
                f"Invalid input - start date cannot be after end date. startDate = "
                f"{start // SECOND_US}, endDate = {end // SECOND_US}"
            )
            raise Refused(refusal(400, "Bad Request", text), symbol=symbol, timeframe=interval)
        if interval not in INTERVALS:
            text = (
                f"Invalid input - interval={interval} is not supported. "
                f"Valid intervals: [{VALID_INTERVALS}]"
            )
            raise Refused(
                refusal(422, "Unprocessable Entity", text), symbol=symbol, timeframe=interval
            )
        ask = Ask(
            provider=self.name,
            symbol=symbol,
            timeframe=INTERVALS[interval],
            start=start,
            end=end,
            path=incoming.path,
            key=f"{incoming.path}?{urlencode(sorted(params.items()))}",
            options={**params, "interval": interval},
        )
        if self._config.enforce_reach:
            self._check_reach(ask, now)
        return ask

    def _check_reach(self, ask: Ask, now: int) -> None:
        reach = REACH_DAYS.get(ask.timeframe)
        interval = WIRE_INTERVALS[ask.timeframe]
        prefix = (
            f"{interval} data not available for startTime={ask.start // SECOND_US} "
            f"and endTime={ask.end // SECOND_US}. "
        )
        problem = None
        if ask.timeframe is Timeframe.M1 and ask.end - ask.start > MINUTE_SPAN_DAYS * DAY_US:
            problem = (
                f"Only {MINUTE_SPAN_DAYS} days worth of 1m granularity data are allowed to be "
                "fetched per request."
            )
        elif reach is not None and ask.start < now - reach * DAY_US:
            problem = f"The requested range must be within the last {reach} days."
        if problem is not None:
            raise Refused(
                refusal(422, "Unprocessable Entity", prefix + problem),
                symbol=ask.symbol,
                timeframe=ask.timeframe,
            )

    def authorise(self, incoming: Incoming) -> Reply | None:
        """Accept everybody."""
        del incoming
        return None

    def fetch(self, market: Market, ask: Ask, *, now: int) -> Fetched:
        """Return the bars whose wire stamps lie in [period1, period2], as the real one does."""
        if not market.knows(ask.symbol):
            raise Refused(self.error(404))
        first = market.first_stamp(ask.symbol)
        if first is not None and ask.end < first:
            text = (
                f"Data doesn't exist for startDate = {ask.start // SECOND_US}, "
                f"endDate = {ask.end // SECOND_US}"
            )
            raise Refused(refusal(400, "Bad Request", text))
        if ask.timeframe.is_intraday:
            return Fetched(_intraday_bars(market, ask, now=now))
        length = ask.timeframe.duration // MICROSECOND
        bars = self._dated_bars(
            market,
            ask,
            start=ask.start - PAD_US - (length if self._config.round_start else 0),
            end=ask.end + PAD_US,
            now=now,
        )
        stamps = wire_stamps(market, ask, bars.ts)
        first_shown = stamps >= ask.start
        if self._config.round_start and ask.timeframe is Timeframe.D1:
            zone = market.sessions(ask.symbol).tz
            first_shown = bars.ts >= local_dates(np.array([ask.start]), zone)[0]
        shown = bars.take(first_shown & (stamps <= ask.end))
        return Fetched(_quarters(shown) if ask.options["interval"] == QUARTERS else shown)

    def _dated_bars(self, market: Market, ask: Ask, *, start: int, end: int, now: int) -> Bars:
        """Return days, weeks or months; today stays a row of its own beside its week or month."""
        sessions = market.sessions(ask.symbol)
        label = local_dates(np.array([now]), sessions.tz)
        opened = int(session_spans(sessions, label)[0][0])
        if ask.timeframe is Timeframe.D1 or not self._config.live_row or now <= opened:
            return market.bars(ask.symbol, ask.timeframe, start=start, end=end, now=now)
        before = market.bars(ask.symbol, ask.timeframe, start=start, end=end, now=opened)
        day = int(label[0])
        today = market.bars(ask.symbol, Timeframe.D1, start=day, end=day + 1, now=now)
        return Bars.concat([before, today]) if day < end else before

    def render(self, market: Market, ask: Ask, page: Fetched, *, now: int) -> Rendered:
        """Encode columns; an empty answer has no `timestamp` and an empty quote."""
        bars = page.bars
        meta = _meta(market, ask, bars, now)
        events = events_of(market, ask, now=now)
        if not len(bars):
            indicators: dict[str, object] = {"quote": [{}]}
            if not ask.timeframe.is_intraday:
                indicators["adjclose"] = [{}]
            return Rendered(_document({"meta": meta, **events, "indicators": indicators}), 0)
        closes = market.adjusted_close(ask.symbol, bars)
        stamps = wire_stamps(market, ask, bars.ts) // SECOND_US
        if self._config.live_row:
            bars, stamps, closes = _with_live_row(market, ask, bars, stamps, closes, now)
        volume = bars.volume if market.has_volume(ask.symbol) else bars.volume * 0
        indicators = {
            "quote": [
                {
                    "open": self._price(bars.open),
                    "close": self._price(bars.close),
                    "volume": whole_numbers(volume),
                    "high": self._price(bars.high),
                    "low": self._price(bars.low),
                }
            ]
        }
        if not ask.timeframe.is_intraday:
            indicators["adjclose"] = [{"adjclose": self._price(closes)}]
        document = {"meta": meta, "timestamp": stamps.tolist(), **events, "indicators": indicators}
        return Rendered(_document(document), len(bars))

    def finish(self, ask: Ask, rendered: Rendered, *, base_url: str) -> Reply:
        """Wrap the document."""
        del ask, base_url
        return Reply(200, (rendered.body,), JSON_TYPE, (("Cache-Control", "public, max-age=10"),))

    def error(self, status: int) -> Reply:
        """Return a chart.error document, or plain text for the statuses that come from the edge."""
        if status == 429:
            return Reply(429, (b"Too Many Requests\r\n",), "text/html")
        if status in (502, 503, 504):
            return Reply(status, (b"upstream connect error or disconnect/reset",), "text/plain")
        code, text = ERRORS.get(status, ("Internal Server Error", "An internal error occurred"))
        return refusal(status, code, text)

    def _price(self, column: FloatColumn) -> list[float | None]:
        if self._config.float32:
            column = column.astype(np.float32).astype(np.float64)
        prices: list[float | None] = column.tolist()
        return prices


def _meta(market: Market, ask: Ask, bars: Bars, now: int) -> dict[str, object]:
    sessions = market.sessions(ask.symbol)
    current = max(0, int(np.searchsorted(sessions.opens, now, side="right")) - 1)
    opened, closed = int(sessions.opens[current]), int(sessions.closes[current])
    before, after = PRE_MARKET_US, POST_MARKET_US
    market_time = min(now, closed)
    if closed - opened >= DAY_US:
        # Around the clock the day "ends" with its last minute and nothing lies around it.
        closed, before, after = closed - 60 * SECOND_US, 0, 0
    local = from_us(now).astimezone(ZoneInfo(sessions.tz))
    offset = (local.utcoffset() or timedelta()) // timedelta(seconds=1)
    zone = {"timezone": local.tzname(), "gmtoffset": offset}

    def period(start: int, end: int) -> dict[str, object]:
        return {**zone, "start": start // SECOND_US, "end": end // SECOND_US}

    first = market.first_stamp(ask.symbol)
    if first is not None:
        first = int(session_spans(sessions, np.array([first]))[0][0])
    meta: dict[str, object] = {
        "symbol": ask.symbol,
        **yahoo_meta(ask.symbol, venue=sessions.venue),
        "firstTradeDate": None if first is None else first // SECOND_US,
        "regularMarketTime": market_time // SECOND_US,
        **zone,
        "exchangeTimezoneName": sessions.tz,
        "priceHint": 2,
        "currentTradingPeriod": {
            "pre": period(opened - before, opened),
            "regular": period(opened, closed),
            "post": period(closed, closed + after),
        },
        "dataGranularity": "1h" if ask.timeframe is Timeframe.H1 else ask.options["interval"],
        "range": "",
        "validRanges": RANGES,
    }
    if len(bars):
        meta["regularMarketPrice"] = float(bars.close[-1])
        meta["chartPreviousClose"] = float(bars.open[0])
    return meta


def _quarters(months: Bars) -> Bars:
    """Build quarterly bars from ascending monthly ones."""
    if not len(months):
        return months
    quarters = months.ts.astype("M8[us]").astype("M8[M]").astype(np.int64) // 3
    firsts = np.flatnonzero(np.r_[True, quarters[1:] != quarters[:-1]])
    lasts = np.r_[firsts[1:], len(months)] - 1
    return Bars.build(
        ts=(quarters[firsts] * 3).astype("M8[M]").astype("M8[us]").astype(np.int64),
        open=months.open[firsts],
        high=np.maximum.reduceat(months.high, firsts),
        low=np.minimum.reduceat(months.low, firsts),
        close=months.close[lasts],
        volume=np.add.reduceat(months.volume, firsts),
        final=months.final[lasts],
    )


def read_window(params: Mapping[str, str], *, now: int) -> tuple[int, int]:
    """Read period1 and period2, or a range of days until now; raises KeyError and ValueError."""
    if "range" in params and "period1" not in params:
        return now - RANGE_DAYS[params["range"]] * DAY_US, now
    return read_seconds(params["period1"]), read_seconds(params["period2"])


def read_seconds(text: str) -> int:
    """Read Unix seconds into microseconds; raises ValueError for what no calendar holds."""
    seconds = int(text)
    if abs(seconds) > MAX_SECONDS:
        raise ValueError(f"{text} is out of range")
    return seconds * SECOND_US


def wire_stamps(market: Market, ask: Ask, stamps: Stamps) -> Stamps:
    """Return what yahoo stamps bars with, in µs: session open, or local midnight of a period.

    A session that opens on the evening before its date has the midnight between.
    """
    if ask.timeframe.is_intraday:
        return stamps
    sessions = market.sessions(ask.symbol)
    midnights = local_midnights(stamps, sessions.tz)
    if ask.timeframe is Timeframe.D1:
        return np.maximum(session_spans(sessions, stamps)[0], midnights)
    return midnights


def _intraday_bars(market: Market, ask: Ask, *, now: int) -> Bars:
    extended = ask.options.get("includePrePost", "").lower() == "true"
    return market.bars(
        ask.symbol,
        ask.timeframe,
        start=ask.start,
        end=ask.end + 1,
        now=now,
        hours=Hours.EXTENDED if extended else Hours.REGULAR,
        anchor=Anchor.OPEN,
    )


def _with_live_row(
    market: Market, ask: Ask, bars: Bars, stamps: Stamps, closes: FloatColumn, now: int
) -> tuple[Bars, Stamps, FloatColumn]:
    """Give today's row the market time; intraday answers get a row of the last price instead.

    It stays after the close, at the closing time, until the venue's date changes.
    """
    sessions = market.sessions(ask.symbol)
    label = local_dates(np.array([now]), sessions.tz)
    opened, closed = session_spans(sessions, label)
    market_time = min(now, int(closed[0]))
    if not opened[0] <= now or not opened[0] <= market_time <= ask.end:
        return bars, stamps, closes
    if not _is_today(sessions, ask.timeframe, int(bars.ts[-1]), label):
        return bars, stamps, closes
    second = market_time // SECOND_US
    if not ask.timeframe.is_intraday:
        return bars, np.r_[stamps[:-1], second], closes
    price = bars.close[-1:]
    row = Bars.build(ts=[market_time], open=price, high=price, low=price, close=price, volume=[0.0])
    return Bars.concat([bars, row]), np.r_[stamps, second], np.r_[closes, price]


def _is_today(sessions: Sessions, timeframe: Timeframe, stamp: int, label: Stamps) -> bool:
    if timeframe.is_intraday:
        return bool(session_labels(sessions, np.array([stamp]))[0] == label[0])
    return bool(stamp == label[0])


def whole_numbers(column: FloatColumn) -> list[int | None]:
    """Return volumes as integers, absent ones as None."""
    if np.isnan(column).any():
        return [None if value != value else int(value) for value in column.tolist()]
    numbers: list[int | None] = column.astype(np.int64).tolist()
    return numbers


def refusal(status: int, code: str, text: str) -> Reply:
    """Return a chart.error document."""
    document = {"chart": {"result": None, "error": {"code": code, "description": text}}}
    return Reply(status, (orjson.dumps(document),), JSON_TYPE)


def _document(result: dict[str, object]) -> bytes:
    return orjson.dumps({"chart": {"result": [result], "error": None}})

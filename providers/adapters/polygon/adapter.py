"""Polygon (Massive): /v2/aggs/ticker/{t}/range/{n}/{span}/{from}/{to}, Bearer key, rows of objects.

Window: milliseconds, both ends included, so the last one asked for is one before ours. Stamps:
`t` is the bar's start; a day, week or month of a stock starts at New York midnight and becomes
its date, one of crypto (X:) or currencies (C:) at UTC midnight. No trade means no row.

Pages hold 50,000 base bars (minutes below a day, days above) and `next_url` leads on. Of it
only path and query are kept as the token: the host stays the configured one, so that a key is
never sent elsewhere. Rows before the open and after the close of a session come along with
the regular ones and are left out of a series of regular hours.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from operator import attrgetter
from typing import ClassVar, Final, NoReturn
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec
import numpy as np
from numpy.typing import NDArray

from providers.adapters.polygon.drift import page_drift
from providers.adapters.polygon.listings import build_listing_request, read_listing
from providers.bars import Bars, FloatColumn
from providers.base import Adapter, Capabilities, RateLimit, SeriesCapability
from providers.decoding import decode_json, payload_digest
from providers.errors import (
    AuthError,
    EntitlementError,
    PayloadError,
    PermanentError,
    ThrottledError,
    UnknownSymbol,
)
from providers.instants import (
    floor_date,
    floor_dates,
    from_us,
    local_dates,
    local_midnight,
    next_date,
    to_us,
    utc_offsets,
)
from providers.instruments import Listing
from providers.reference.spellings import read_contract_symbol, read_polygon_symbol
from providers.sessions import DAY_US, Stamps
from providers.statuses import raise_for_status
from providers.types import (
    Adjustment,
    Anchor,
    BarQuery,
    Credentials,
    Hours,
    Page,
    Request,
    Response,
    Timeframe,
)
from providers.venues import load_sessions

_MILLISECOND_US: Final = 1_000
_PAGE_ROWS: Final = 50_000
_PATH: Final = "/v2/aggs/ticker/"
_SPANS: Final[Mapping[Timeframe, tuple[int, str]]] = {
    Timeframe.M1: (1, "minute"),
    Timeframe.M5: (5, "minute"),
    Timeframe.M15: (15, "minute"),
    Timeframe.M30: (30, "minute"),
    Timeframe.H1: (1, "hour"),
    Timeframe.H4: (4, "hour"),
    Timeframe.D1: (1, "day"),
    Timeframe.W1: (1, "week"),
    Timeframe.MO1: (1, "month"),
}
_ROUND_THE_CLOCK: Final = ("X:", "C:")
_SECRETS: Final = frozenset({"apikey", "api_key"})


_NEW_YORK: Final = "America/New_York"
_ABSENT: Final = float("nan")


class _Row(msgspec.Struct, gc=False):
    t: float
    o: float | None = _ABSENT
    h: float | None = _ABSENT
    l: float | None = _ABSENT  # noqa: E741 - the provider's name for the low
    c: float | None = _ABSENT
    v: float | None = _ABSENT
    vw: float | None = _ABSENT
    n: float | None = -1


class _Envelope(msgspec.Struct, rename="camel"):
    status: str
    adjusted: bool | None = None
    query_count: int = 0
    results_count: int = 0
    results: list[_Row] | None = None
    next_url: str | None = msgspec.field(default=None, name="next_url")
    error: str = ""
    message: str = ""


def _intraday(*, minutes: int, anchor: Anchor = Anchor.OPEN) -> SeriesCapability:
    return SeriesCapability(
        adjustment=Adjustment.RAW,
        max_rows=_PAGE_ROWS // minutes,
        anchor=anchor,
        adjustments=(Adjustment.SPLIT,),
        hours=(Hours.REGULAR, Hours.EXTENDED),
    )


def _daily(*, days: int) -> SeriesCapability:
    return SeriesCapability(
        adjustment=Adjustment.RAW,
        max_rows=_PAGE_ROWS // days,
        adjustments=(Adjustment.SPLIT,),
    )


class Polygon(Adapter):
    """Serve bars from Polygon, raw by default and adjusted for splits on request."""

    name: ClassVar[str] = "polygon"
    capabilities: ClassVar[Capabilities] = Capabilities(
        as_of="2026-11",
        base_url="https://api.polygon.io",
        needs_key=True,
        timeframes={
            Timeframe.M1: _intraday(minutes=1),
            Timeframe.M5: _intraday(minutes=5),
            Timeframe.M15: _intraday(minutes=15),
            Timeframe.M30: _intraday(minutes=30),
            Timeframe.H1: _intraday(minutes=60, anchor=Anchor.CLOCK),
            Timeframe.H4: _intraday(minutes=240, anchor=Anchor.CLOCK),
            Timeframe.D1: _daily(days=1),
            Timeframe.W1: _daily(days=7),
            Timeframe.MO1: _daily(days=31),
        },
        rate_limits=(RateLimit(n=5, window=timedelta(minutes=1)),),
        max_in_flight=4,
        finality_delay=timedelta(minutes=20),
        notes=(
            "Five requests a minute is the free plan; paid plans have no stated limit.",
            "Answers of delayed plans lag by 15 minutes, which the finality delay covers.",
            "Hourly bars of stocks mix trades before the open with regular ones: extended only.",
        ),
    )

    def build_request(
        self, query: BarQuery, *, token: str | None, credentials: Credentials, base_url: str
    ) -> Request:
        """Build a request; a token is the path and query of an earlier answer's `next_url`."""
        self.capability_for(query)
        headers = {"Accept": "application/json"}
        if credentials.key:
            headers["Authorization"] = f"Bearer {credentials.key}"
        base = base_url.rstrip("/")
        if token is not None:
            path, _, parameters = token.partition("?")
            return Request(url=base + path, params=dict(parse_qsl(parameters)), headers=headers)
        count, span = _SPANS[query.timeframe]
        first, last = _bounds(query)
        symbol = quote(query.vendor_symbol, safe=":")
        return Request(
            url=f"{base}{_PATH}{symbol}/range/{count}/{span}/{first}/{last}",
            params={
                "adjusted": "true" if query.adjustment is Adjustment.SPLIT else "false",
                "sort": "asc",
                "limit": str(_PAGE_ROWS),
            },
            headers=headers,
        )

    def capability_for(self, query: BarQuery) -> SeriesCapability:
        """Refuse hours of stocks as well, which would mix two parts of the day."""
        capability = super().capability_for(query)
        hourly = query.timeframe in (Timeframe.H1, Timeframe.H4)
        if hourly and query.hours is Hours.REGULAR and not _round_the_clock(query):
            raise self._unsupported(
                f"regular hours at {query.timeframe}; ask for extended hours, or for 30m and less"
            )
        return capability

    def parse(self, query: BarQuery, response: Response) -> Page:
        """Read one page of aggregates in ascending order."""
        body = response.body
        if response.status != HTTPStatus.OK:
            _raise_refusal(query.vendor_symbol, response)
        envelope = decode_json(body, _Envelope, provider=self.name)
        _check_envelope(query, envelope)
        rows = envelope.results or []
        instants = np.fromiter(map(attrgetter("t"), rows), np.float64, len(rows)).astype(np.int64)
        instants *= _MILLISECOND_US
        stamps = _stamps(query, instants)
        bars = Bars.build(
            ts=stamps,
            open=_column(rows, "o"),
            high=_column(rows, "h"),
            low=_column(rows, "l"),
            close=_column(rows, "c"),
            volume=_column(rows, "v"),
            vwap=_column(rows, "vw"),
            trades=_trades(rows),
        )
        kept = _series_rows(query, instants)
        after = _after_last(query, stamps)
        token = _token(envelope.next_url)
        truncated = token is None and envelope.query_count >= _PAGE_ROWS

        sent = functools.cache(functools.partial(msgspec.json.decode, body))

        def raw_row(i: int) -> object:
            row: object = sent()["results"][i if kept is None else int(kept[i])]
            return row

        return Page(
            bars=bars if kept is None else bars.take(kept),
            next_token=token,
            resume_from=None if token is None else after,
            proven_until=after if truncated else None,
            raw_row=raw_row,
            payload_sha=payload_digest(body),
            payload_bytes=len(body),
            drift=page_drift(body),
        )

    def guess_listing(self, vendor_symbol: str) -> Listing | None:
        """Read the prefix, or the code of a futures contract."""
        return read_polygon_symbol(vendor_symbol) or read_contract_symbol(vendor_symbol)

    def build_listing_request(
        self, vendor_symbol: str, *, credentials: Credentials, base_url: str
    ) -> Request | None:
        """Ask for the ticker's page of reference data."""
        return build_listing_request(vendor_symbol, credentials=credentials, base_url=base_url)

    def parse_listing(self, vendor_symbol: str, response: Response) -> Listing:
        """Read the ticker's page."""
        if response.status != HTTPStatus.OK:
            _raise_refusal(vendor_symbol, response)
        return read_listing(response.body)


def _round_the_clock(query: BarQuery) -> bool:
    return query.vendor_symbol.startswith(_ROUND_THE_CLOCK)


def _zone(query: BarQuery) -> str:
    return "UTC" if _round_the_clock(query) else _NEW_YORK


def _bounds(query: BarQuery) -> tuple[int, int]:
    """Return the first and the last millisecond of the bars whose stamps lie in the window."""
    start, end = to_us(query.start), to_us(query.end)
    timeframe = query.timeframe
    if timeframe.is_intraday:
        # A start within a bar would bring that bar, whose stamp lies before the window.
        step = round(timeframe.duration.total_seconds()) * 1_000_000
        offset = int(utc_offsets(np.array([start], np.int64), _zone(query))[0])
        first = start + -(start + offset) % step
        first = first if first < end else start
        return -(-first // _MILLISECOND_US), -(-end // _MILLISECOND_US) - 1
    first = floor_date(start, timeframe)
    if first < start:
        first = next_date(first, timeframe)
    after = next_date(max(first, floor_date(end - 1, timeframe)), timeframe)
    # Polygon's weeks run from Sunday to Saturday, ours are named by the Monday.
    early = DAY_US if timeframe is Timeframe.W1 else 0
    zone = _zone(query)
    return (
        local_midnight(first - early, zone) // _MILLISECOND_US,
        local_midnight(after - early, zone) // _MILLISECOND_US - 1,
    )


def _stamps(query: BarQuery, instants: Stamps) -> Stamps:
    if query.timeframe.is_intraday:
        return instants
    dates = local_dates(instants, _zone(query))
    if query.timeframe is Timeframe.W1:
        dates = dates + DAY_US
    return floor_dates(dates, query.timeframe)


def _after_last(query: BarQuery, stamps: Stamps) -> datetime | None:
    if not len(stamps):
        return None
    last = int(stamps[-1])
    if query.timeframe.is_intraday:
        return from_us(last) + query.timeframe.duration
    return from_us(next_date(last, query.timeframe))


def _series_rows(query: BarQuery, instants: Stamps) -> NDArray[np.intp] | None:
    """Return the rows that belong to the series, or None where all of them do.

    Rows on a date without a session stay, so that the validation sees them.
    """
    if (
        not query.timeframe.is_intraday
        or query.hours is Hours.EXTENDED
        or _round_the_clock(query)
        or not len(instants)
    ):
        return None
    sessions = load_sessions(query.venue)
    dates = local_dates(instants, sessions.tz)
    row = np.minimum(np.searchsorted(sessions.labels, dates), len(sessions) - 1)
    before_or_after = (sessions.labels[row] == dates) & (
        (instants < sessions.opens[row]) | (instants >= sessions.closes[row])
    )
    return np.flatnonzero(~before_or_after) if before_or_after.any() else None


def _column(rows: list[_Row], name: str) -> FloatColumn:
    try:
        return np.fromiter(map(attrgetter(name), rows), np.float64, len(rows))
    except TypeError:
        # A null somewhere: rare, so only then the slower way that reads it as NaN.
        return np.array([getattr(row, name) for row in rows], np.float64)


def _trades(rows: list[_Row]) -> NDArray[np.int32]:
    counts = _column(rows, "n")
    return np.where(np.isnan(counts), -1, counts).astype(np.int32)


def _token(next_url: str | None) -> str | None:
    if not next_url:
        return None
    parts = urlsplit(next_url)
    at = parts.path.find(_PATH)
    if at < 0:
        raise PayloadError(
            "polygon leads to a next page outside of the aggregates; shorten the window",
            provider="polygon",
        )
    # Kept without host and without a key, which some answers repeat.
    parameters = [pair for pair in parse_qsl(parts.query) if pair[0].lower() not in _SECRETS]
    return f"{parts.path[at:]}?{urlencode(parameters)}"


def _check_envelope(query: BarQuery, envelope: _Envelope) -> None:
    if envelope.status not in ("OK", "DELAYED"):
        _raise_stated_error(envelope)
    if envelope.results is None and envelope.results_count:
        raise PayloadError(
            f"polygon counts {envelope.results_count} rows and sends none; try again later",
            provider="polygon",
        )
    asked = query.adjustment is Adjustment.SPLIT
    if envelope.adjusted is not None and envelope.adjusted is not asked:
        raise PayloadError(
            f"polygon answered with adjusted={envelope.adjusted} prices where "
            f"adjusted={asked} was asked; nothing was stored",
            provider="polygon",
        )


def _raise_stated_error(envelope: _Envelope) -> NoReturn:
    """Raise the error that an answer states although its HTTP status is 200."""
    wording = (envelope.error or envelope.message)[:200]
    if "exceeded the maximum requests" in wording:
        raise ThrottledError("polygon asks for a slower pace", provider="polygon", status=200)
    if "API Key" in wording:
        raise AuthError(
            "polygon refused the key; check MDC_PROVIDER_POLYGON_KEY",
            provider="polygon",
            status=200,
        )
    if envelope.status == "NOT_AUTHORIZED":
        raise EntitlementError(
            f"polygon denies this request; check what the account's plan includes ({wording})",
            provider="polygon",
            status=200,
        )
    raise PermanentError(
        f"polygon rejects the request; check symbol and window ({wording})",
        provider="polygon",
        status=200,
    )


def _raise_refusal(vendor_symbol: str, response: Response) -> NoReturn:
    raise_for_status(response, "polygon")
    if response.body.lstrip()[:1] == b"{":
        raise UnknownSymbol(
            f"polygon does not know the symbol {vendor_symbol!r}; check how it spells it",
            provider="polygon",
            status=response.status,
        )
    raise PermanentError(
        f"polygon has nothing at this address ({response.status}); "
        "check MDC_PROVIDER_POLYGON_BASE_URL",
        provider="polygon",
        status=response.status,
    )

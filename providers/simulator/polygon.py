"""Polygon's /v2/aggs/ticker/{t}/range/{n}/{span}/{from}/{to} as recordings show it."""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

import numpy as np
import orjson
from numpy.typing import NDArray

from providers.bars import Bars, FloatColumn
from providers.sessions import DAY_US
from providers.simulator.config import PolygonConfig
from providers.simulator.market import MICROSECOND, Market, Stamps, local_midnights
from providers.simulator.wire import Ask, Fetched, Incoming, Refused, Rendered, Reply
from providers.types import Anchor, Hours, Timeframe

MILLI_US: Final = 1000
STOCK_ZONE: Final = "America/New_York"
# Crypto and currencies have days of UTC, as recordings show.
UTC_SYMBOLS: Final = ("X:", "C:")
DEFAULT_LIMIT: Final = 5_000
MAX_LIMIT: Final = 50_000
TIMEFRAMES: Final = {
    (1, "minute"): Timeframe.M1,
    (5, "minute"): Timeframe.M5,
    (15, "minute"): Timeframe.M15,
    (30, "minute"): Timeframe.M30,
    (60, "minute"): Timeframe.H1,
    (1, "hour"): Timeframe.H1,
    (4, "hour"): Timeframe.H4,
    (1, "day"): Timeframe.D1,
    (1, "week"): Timeframe.W1,
    (1, "month"): Timeframe.MO1,
}
# `limit` counts the minutes or days from which bars are built, not the bars.
BASE_ROWS: Final = {
    Timeframe.M1: 1,
    Timeframe.M5: 5,
    Timeframe.M15: 15,
    Timeframe.M30: 30,
    Timeframe.H1: 60,
    Timeframe.H4: 240,
    Timeframe.D1: 1,
    Timeframe.W1: 5,
    Timeframe.MO1: 21,
}
PAD_US: Final = 2 * DAY_US
PATH: Final = re.compile(r"([^/]+)/range/(\d+)/([a-z]+)/([^/]+)/([^/]+)")
ERRORS: Final = {
    401: "Unknown API Key",
    404: "Not Found",
    429: (
        "You've exceeded the maximum requests per minute, please wait or upgrade your "
        "subscription to continue. https://polygon.io/pricing"
    ),
}
NOT_ENTITLED: Final = (
    "You are not entitled to this data. Please upgrade your plan at https://polygon.io/pricing"
)


class Polygon:
    """Answer aggregate requests, page by page."""

    name = "polygon"
    prefix = "/v2/aggs/ticker/"

    def __init__(self, config: PolygonConfig) -> None:
        self._config = config
        self._counter = itertools.count(1)

    def authorise(self, incoming: Incoming) -> Reply | None:
        """Check the Bearer token, or the apiKey parameter."""
        scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
        key = token.strip() if scheme.lower() == "bearer" else incoming.params.get("apiKey", "")
        if not key:
            return self._failure(401, "API Key was not provided")
        if self._config.keys and key not in self._config.keys:
            return self.error(401)
        return None

    def read(self, incoming: Incoming, *, now: int) -> Ask:
        """Understand the path, and limit, sort and adjusted from the query or the cursor."""
        del now
        match = PATH.fullmatch(incoming.path.removeprefix(self.prefix))
        if match is None:
            raise Refused(self.error(404))
        symbol, multiplier, span, first, last = match.groups()
        timeframe = TIMEFRAMES.get((int(multiplier), span))
        if timeframe is None:
            raise Refused(
                self._failure(400, f"'{multiplier} {span}' is not simulated"), symbol=symbol
            )
        params = {name: value for name, value in incoming.params.items() if name != "apiKey"}
        try:
            options = read_cursor(params["cursor"]) if "cursor" in params else params
            limit = min(int(options.get("limit", DEFAULT_LIMIT)), MAX_LIMIT)
            start = read_moment(first, zone_of(symbol), day_end=False)
            end = read_moment(last, zone_of(symbol), day_end=True)
        except ValueError as error:
            raise Refused(
                self._failure(400, f"Could not parse the request: {error}"),
                symbol=symbol,
                timeframe=timeframe,
            ) from None
        if start > end or limit < 1 or options.get("sort", "asc") != "asc":
            raise Refused(
                self._failure(400, "'to' must not lie before 'from', 'sort' must be asc"),
                symbol=symbol,
                timeframe=timeframe,
            )
        adjusted = options.get("adjusted", "true").lower()
        return Ask(
            provider=self.name,
            symbol=symbol,
            timeframe=timeframe,
            start=start,
            end=end,
            path=incoming.path,
            key=f"{incoming.path}?{urlencode(sorted(params.items()))}",
            options={
                "adjusted": adjusted,
                "limit": str(limit),
                "stem": f"{symbol}/range/{multiplier}/{span}",
                "to": last,
            },
        )

    def fetch(self, market: Market, ask: Ask, *, now: int) -> Fetched:
        """Return as many bars as `limit` base rows make, of which some part lies in [from, to].

        An unknown symbol has none, which is no error.
        """
        if not market.knows(ask.symbol):
            return Fetched(Bars.empty())
        fits = max(1, int(ask.options["limit"]) // BASE_ROWS[ask.timeframe])
        length = ask.timeframe.duration // MICROSECOND
        if ask.timeframe.is_intraday:
            bars = market.bars(
                ask.symbol,
                ask.timeframe,
                start=ask.start - length + 1,
                end=ask.end + 1,
                now=now,
                hours=Hours.EXTENDED,
                anchor=Anchor.CLOCK,
                at_most=fits + 1,
            )
        else:
            bars = market.bars(
                ask.symbol,
                ask.timeframe,
                start=ask.start - PAD_US - length,
                end=ask.end + PAD_US,
                now=now,
            )
            starts = wire_stamps(ask, bars.ts)
            ends = wire_stamps(ask, next_stamps(ask.timeframe, bars.ts))
            bars = bars.take((ends > ask.start) & (starts <= ask.end))
        more = wire_stamps(ask, bars.ts[fits : fits + 1])
        return Fetched(bars.take(slice(0, fits)), int(more[0]) if len(more) else None)

    def render(self, market: Market, ask: Ask, page: Fetched, *, now: int) -> Rendered:
        """Encode rows in polygon's number notation."""
        del market, now
        base, count = BASE_ROWS[ask.timeframe], len(page.bars)
        head = (
            f'{{"ticker":{orjson.dumps(ask.symbol).decode()},"queryCount":{count * base},'
            f'"resultsCount":{count},"adjusted":{ask.options["adjusted"]},'
        ).encode()
        if count:
            stamps = wire_stamps(ask, page.bars.ts) // MILLI_US
            head += b'"results":[' + encode_rows(page.bars, stamps) + b"],"
        return Rendered(head, count, resume=page.resume)

    def finish(self, ask: Ask, rendered: Rendered, *, base_url: str) -> Reply:
        """Add status, request id, count and where the next page is."""
        request_id = self._request_id()
        tail: dict[str, object] = {
            "status": "DELAYED" if self._config.delayed else "OK",
            "request_id": request_id,
            "count": rendered.rows,
        }
        if rendered.resume is not None:
            cursor = write_cursor(
                {name: ask.options[name] for name in ("adjusted", "limit")} | {"sort": "asc"}
            )
            stem = quote(ask.options["stem"], safe="/:")
            tail["next_url"] = (
                f"{base_url}{self.prefix}{stem}/{rendered.resume // MILLI_US}/"
                f"{ask.options['to']}?cursor={cursor}"
            )
        return Reply(
            200,
            (rendered.body, orjson.dumps(tail)[1:]),
            headers=(("X-Request-Id", request_id),),
        )

    def error(self, status: int) -> Reply:
        """Return the error document; gateway errors are HTML as nginx writes them."""
        if status == 403:
            document = {
                "status": "NOT_AUTHORIZED",
                "request_id": self._request_id(),
                "message": NOT_ENTITLED,
            }
            return Reply(403, (orjson.dumps(document),))
        if status in (502, 503, 504):
            page = f"<html><head><title>{status}</title></head><body>nginx</body></html>"
            return Reply(status, (page.encode(),), "text/html")
        return self._failure(status, ERRORS.get(status, "An internal error occurred"))

    def _failure(self, status: int, text: str) -> Reply:
        document = {"status": "ERROR", "request_id": self._request_id(), "error": text}
        return Reply(status, (orjson.dumps(document),))

    def _request_id(self) -> str:
        return f"{next(self._counter):032x}"


def read_moment(text: str, zone: str, *, day_end: bool) -> int:
    """Read a date (its local start or last microsecond) or milliseconds, into microseconds."""
    if text.isdigit():
        return int(text) * MILLI_US + (MILLI_US - 1 if day_end else 0)
    day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    label = int(day.timestamp()) * 1_000_000 + (DAY_US if day_end else 0)
    return int(local_midnights(np.array([label]), zone)[0]) - int(day_end)


def read_cursor(text: str) -> dict[str, str]:
    """Decode a next_url cursor; raises ValueError."""
    try:
        padded = text + "=" * (-len(text) % 4)
        return dict(parse_qsl(base64.b64decode(padded, altchars=b"-_", validate=True).decode()))
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("cursor is invalid") from error


def write_cursor(options: dict[str, str]) -> str:
    """Encode what the next page must remember."""
    text = urlencode(sorted(options.items()))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def next_stamps(timeframe: Timeframe, stamps: Stamps) -> Stamps:
    """Return the stamp of the period after each day, week or month."""
    if timeframe is not Timeframe.MO1:
        return stamps + timeframe.duration // MICROSECOND
    months = stamps.astype("datetime64[us]").astype("datetime64[M]") + 1
    return months.astype("datetime64[us]").astype(np.int64)


def zone_of(symbol: str) -> str:
    """Return the zone at whose midnight the symbol's days begin."""
    return "UTC" if symbol.startswith(UTC_SYMBOLS) else STOCK_ZONE


def wire_stamps(ask: Ask, stamps: Stamps) -> Stamps:
    """Return window starts in µs: local midnights, and Sundays for weeks."""
    if ask.timeframe.is_intraday:
        return stamps
    if ask.timeframe is Timeframe.W1:
        stamps = stamps - DAY_US
    return local_midnights(stamps, zone_of(ask.symbol))


def encode_rows(bars: Bars, stamps_ms: Stamps) -> bytes:
    """Encode results; a row without vwap or trades has no such field."""
    fields = {
        b'"v":': volume_tokens(bars.volume),
        b'"vw":': number_tokens(bars.vwap),
        b'"o":': number_tokens(bars.open),
        b'"c":': number_tokens(bars.close),
        b'"h":': number_tokens(bars.high),
        b'"l":': number_tokens(bars.low),
        b'"t":': integer_tokens(stamps_ms),
        b'"n":': integer_tokens(bars.trades),
    }
    if np.isnan(bars.vwap).all():
        del fields[b'"vw":']
    if (bars.trades < 0).all():
        del fields[b'"n":']
    template = b"{" + b",".join(name + b"%b" for name in fields) + b"}"
    return b",".join([template % row for row in zip(*fields.values(), strict=True)])


def number_tokens(column: FloatColumn) -> list[bytes]:
    """Encode floats in shortest form, whole ones without a fraction."""
    return (orjson.dumps(column.tolist())[1:-1] + b",").replace(b".0,", b",").split(b",")[:-1]


def integer_tokens(column: NDArray[np.integer[Any]]) -> list[bytes]:
    """Encode integers."""
    return orjson.dumps(column.tolist())[1:-1].split(b",")


def volume_tokens(column: FloatColumn) -> list[bytes]:
    """Encode volumes; from a million up in exponent notation, 1.12117471e+08, as polygon does."""
    tokens = number_tokens(column)
    for row in np.flatnonzero(column >= 1_000_000).tolist():
        mantissa, _, exponent = f"{column[row]:.17e}".partition("e")
        shortest = repr(float(column[row]) / 10.0 ** int(exponent))
        digits = shortest if float(f"{shortest}e{exponent}") == column[row] else mantissa
        tokens[row] = f"{digits.removesuffix('.0')}e{exponent}".encode()
    return tokens

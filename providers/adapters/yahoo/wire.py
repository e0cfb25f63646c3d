"""What yahoo sends: the parts of a chart document that mdc reads."""

from __future__ import annotations

import msgspec


class Period(msgspec.Struct):
    """Hold a span of trading, in seconds."""

    start: int
    end: int


class Periods(msgspec.Struct):
    """Hold the spans of the current day."""

    regular: Period | None = None
    post: Period | None = None


class Meta(msgspec.Struct, rename="camel"):
    """Say of what the chart is."""

    exchange_timezone_name: str
    exchange_name: str | None = None
    long_name: str | None = None
    short_name: str | None = None
    currency: str | None = None
    instrument_type: str | None = None
    first_trade_date: int | None = None
    regular_market_time: int | None = None
    current_trading_period: Periods = msgspec.field(default_factory=Periods)
    data_granularity: str | None = None


class Quote(msgspec.Struct):
    """Hold the columns of prices and volume."""

    open: list[float | None] = []
    high: list[float | None] = []
    low: list[float | None] = []
    close: list[float | None] = []
    volume: list[float | None] = []


class Indicators(msgspec.Struct):
    """Hold what is drawn."""

    quote: list[Quote] = []


class DividendEvent(msgspec.Struct):
    """State a cash dividend, divided by later splits, at the open of its ex-date."""

    date: int
    amount: float = 0.0
    currency: str | None = None


class SplitEvent(msgspec.Struct):
    """State a split at the open of its ex-date."""

    date: int
    numerator: float = 0.0
    denominator: float = 0.0


class Events(msgspec.Struct):
    """Hold what `events=div,splits` brings."""

    dividends: dict[str, DividendEvent] = {}
    splits: dict[str, SplitEvent] = {}


class Result(msgspec.Struct):
    """Hold one chart."""

    meta: Meta
    indicators: Indicators
    timestamp: list[int] | None = None
    events: Events = msgspec.field(default_factory=Events)


class StatedError(msgspec.Struct):
    """Hold an error as yahoo words it."""

    code: str = ""
    description: str = ""


class Chart(msgspec.Struct):
    """Hold charts, or why there is none."""

    result: list[Result] | None = None
    error: StatedError | None = None


class Envelope(msgspec.Struct):
    """Hold the whole document."""

    # Requests that yahoo refuses before it looks at the symbol are answered under "finance".
    chart: Chart | None = None
    finance: Chart | None = None

    @property
    def error(self) -> StatedError | None:
        """Return the error that the document states, if any."""
        part = self.chart or self.finance
        return part.error if part else None

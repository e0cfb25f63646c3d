"""Milliseconds of `read_bars` for a symbol's year of minutes, connection included."""

from __future__ import annotations

from typing import Any, Final

from django.db import connection, transaction

from benchmarks.measure import Report, WrongContent, seconds, spread
from benchmarks.payloads import YEAR, minute_bars
from ingestion.models import Instrument, Series
from ingestion.store.bars import SeriesBars, write_bars
from mdc import read_bars
from mdc.stack.embedded import EmbeddedStack

ROUNDS: Final = 25
WARM_UP: Final = 2
WANTED_MS: Final = 150
_WAYS: Final[dict[str, dict[str, Any]]] = {
    "pandas": {},
    "pandas_venue_time": {"tz": "venue"},
    "polars": {"engine": "polars"},
    "arrow": {"engine": "arrow"},
    "pandas_resampled_1h": {"resample": "1h"},
}


def run(stack: EmbeddedStack) -> Report:
    """Read a year of regular minutes in each engine, and with what is computed on the way."""
    rows = _store_a_year()
    return {
        "rows": rows,
        "wanted_ms": WANTED_MS,
        "ms": {name: _time(stack, rows=rows, given=given) for name, given in _WAYS.items()},
    }


def _time(stack: EmbeddedStack, *, rows: int, given: dict[str, Any]) -> dict[str, float]:
    frames: list[Any] = []

    def read() -> None:
        frames[:] = [read_bars("YEAR", "1m", database_url=stack.database_url, **given)]

    taken = [1000 * seconds(read) for _ in range(WARM_UP + ROUNDS)]
    if "resample" not in given and len(frames[0]) != rows:
        raise WrongContent("reading", f"{len(frames[0])} rows instead of {rows}")
    return spread(taken[WARM_UP:], digits=1)


def _store_a_year() -> int:
    bars = minute_bars(seed=1, rows=1_000_000)
    instrument = Instrument.objects.create(symbol="YEAR", venue="XNYS")
    series = Series.objects.create(
        provider="synthetic", instrument=instrument, timeframe="1m", adjustment="raw"
    )
    batch = SeriesBars(
        series_id=series.id,
        attempt_id=1,
        window_start_us=YEAR.start_us,
        window_end_us=YEAR.end_us,
        bars=bars,
    )
    with transaction.atomic():
        write_bars(connection, [batch])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE bar")
    return len(bars)

"""Bars inspected per second from PostgreSQL, and false findings among what is clean.

The clean bars are made up (a year of minutes and many years of sessions), and besides, where
MDC_RECORDED_DIR is set, real: every recorded series, with what was found in it judged by hand in
tests/recorded/found.toml. Into made-up bars spikes and holes are planted, all of which must be
found.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from django.db import connection, transaction

from benchmarks.measure import Report, WrongContent, seconds, spread
from benchmarks.work import empty_tables
from ingestion.calendars import expectation_for
from ingestion.domain.checks.found import Found
from ingestion.domain.coverage import Ranges
from ingestion.domain.findings import Check
from ingestion.domain.windows import Window
from ingestion.models import Instrument, Series
from ingestion.services.inspect_series import inspect_series
from ingestion.store.bars import SeriesBars, write_bars
from mdc.stack.embedded import EmbeddedStack
from providers.bars import Bars
from providers.types import Timeframe

NOW: Final = datetime(2025, 6, 1, tzinfo=UTC)
ROUNDS: Final = 5
WANTED_FALSE: Final = 1.0
PLANTED: Final = 200
_SHAPES: Final = {
    Timeframe.M1: Window(datetime(2022, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)),
    Timeframe.D1: Window(datetime(1991, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)),
}


def run(stack: EmbeddedStack) -> Report:
    """Inspect clean series again and again, then the same with faults, then the recorded ones."""
    empty_tables()
    report: Report = {
        f"rows_per_s_{timeframe.value}": _rate(timeframe, window)
        for timeframe, window in _SHAPES.items()
    }
    report["planted"] = _planted()
    report["recorded"] = _recorded()
    return report


def _rate(timeframe: Timeframe, window: Window) -> Report:
    series_id, rows = _store(f"CLEAN-{timeframe.value}", timeframe, window)
    rates, false = [], 0
    for _ in range(ROUNDS):
        found: list[Found] = []
        taken = seconds(lambda found=found: found.extend(_inspect(series_id, window)))  # type: ignore[misc]
        rates.append(rows / taken)
        false = len(found)
    return {
        "rows": rows,
        "rows_per_s": spread(rates),
        "false_per_10000": round(10_000 * false / rows, 3),
        "wanted_false_per_10000": WANTED_FALSE,
    }


def _inspect(series_id: int, window: Window) -> tuple[Found, ...]:
    return inspect_series(series_id, ranges=Ranges.of_windows([window]), now=NOW).found


def _planted() -> Report:
    """Plant spikes and holes of a session into three years of minutes; count what is found."""
    timeframe, window = Timeframe.M1, _SHAPES[Timeframe.M1]
    bars = _walk(timeframe, window)
    random = np.random.default_rng(7)
    # Well apart, so that each is a finding of its own.
    places = np.sort(random.choice(np.arange(1, len(bars) // 500), PLANTED, replace=False)) * 500
    spiked, holes = places[::2], places[1::2]
    factors = np.ones(len(bars))
    factors[spiked] = np.exp(
        random.choice([-1, 1], len(spiked)) * random.uniform(0.02, 3, PLANTED)[::2]
    )
    kept = np.ones(len(bars), np.bool_)
    for place in holes.tolist():
        kept[place : place + int(random.integers(3, 60))] = False
    prices = {name: getattr(bars, name) * factors for name in ("open", "high", "low", "close")}
    faulty = Bars.build(ts=bars.ts, volume=bars.volume, **prices).take(kept)
    series_id, _ = _store("PLANTED", timeframe, window, bars=faulty)
    found = _inspect(series_id, window)
    lost = sum(not _is_found(found, Check.SPIKE, int(bars.ts[place])) for place in spiked)
    lost += sum(not _is_found(found, Check.PARTIAL_SESSION, int(bars.ts[place])) for place in holes)
    if lost:
        raise WrongContent("quality", f"{lost} of {PLANTED} planted faults were not found")
    return {"planted": PLANTED, "found": PLANTED - lost}


def _is_found(found: tuple[Found, ...], kind: Check, stamp: int) -> bool:
    return any(one.kind is kind and one.start_us <= stamp < one.end_us for one in found)


def _recorded() -> Report | str:
    """Return how many false findings the recorded series have, of all checks together."""
    folder = os.environ.get("MDC_RECORDED_DIR")
    if not folder:
        return "MDC_RECORDED_DIR is not set: recorded series are not at hand"
    # Imported here: the recorded series are judged with the tests' list of what is true of them.
    from tests.recorded.found import judge_recorded  # noqa: PLC0415

    judged = judge_recorded(Path(folder) / "series")
    return {
        "rows": judged.bars,
        "true": judged.true,
        "false": judged.false,
        "false_per_10000": round(judged.false_per_10000, 2),
        "wanted_false_per_10000": WANTED_FALSE,
    }


def _store(
    symbol: str, timeframe: Timeframe, window: Window, *, bars: Bars | None = None
) -> tuple[int, int]:
    bars = _walk(timeframe, window) if bars is None else bars
    instrument = Instrument.objects.create(symbol=symbol, venue="XNYS")
    series = Series.objects.create(
        provider="bench", instrument=instrument, timeframe=timeframe.value, adjustment="raw"
    )
    batch = SeriesBars(
        series_id=series.id,
        attempt_id=1,
        window_start_us=window.start_us,
        window_end_us=window.end_us,
        bars=bars,
    )
    with transaction.atomic():
        write_bars(connection, [batch])
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO coverage (series_id, loaded, first_ts)"
                " VALUES (%s, tstzmultirange(tstzrange(%s, %s)), %s)",
                [series.id, window.start, window.end, window.start],
            )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE bar")
    return series.id, len(bars)


def _walk(timeframe: Timeframe, window: Window) -> Bars:
    """Walk at random over every promised bar, with volume, by a tenth of a percent a bar."""
    expectation = expectation_for(venue="XNYS", timeframe=timeframe, hours="regular", anchor="open")  # type: ignore[arg-type]
    ts = expectation.expected_stamps(window)
    random = np.random.default_rng(1)
    move = 0.0005 if timeframe.is_intraday else 0.01
    close = 100 * np.exp(np.cumsum(random.normal(0, move, len(ts))))
    opens = np.concatenate(([100.0], close[:-1]))
    return Bars.build(
        ts=ts,
        open=opens,
        high=np.maximum(opens, close) * (1 + move / 2),
        low=np.minimum(opens, close) * (1 - move / 2),
        close=close,
        volume=random.integers(1_000, 9_000, len(ts)),
    )

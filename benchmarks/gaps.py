"""How long it takes to say what lacks: of ten thousand series, and of one with many pieces."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from django.db import connection, transaction

from benchmarks.measure import Report, WrongContent, seconds, spread
from benchmarks.work import empty_tables
from ingestion.calendars import expectation_for, sessions_for
from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Units
from ingestion.domain.gaps import GapReport
from ingestion.domain.windows import to_us
from ingestion.services.find_gaps import series_gaps
from ingestion.services.show_coverage import show_coverage
from ingestion.store.ranges import multirange_text
from ingestion.store.venues import ensure_venue_sessions
from mdc.stack.embedded import EmbeddedStack
from providers.types import Anchor, Hours, Timeframe

SERIES: Final = 10_000
PIECES: Final = 5
VENUES: Final = ("XNYS", "XLON", "XTKS", "XETR")
START, END = datetime(2005, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
NOW: Final = datetime(2025, 6, 2, 12, tzinfo=UTC)
ROUNDS: Final = 11

_FILL: Final = """
INSERT INTO instrument (symbol, name, asset_class, venue, currency, has_volume)
SELECT g.symbol, '', 'equity', g.venue, 'USD', true
FROM unnest(%(symbols)s::text[], %(venues)s::text[]) AS g(symbol, venue);
INSERT INTO series (provider, instrument_id, event_type, timeframe, adjustment, hours, anchor,
                    precedence)
SELECT 'polygon', i.id, 'bar', %(timeframe)s, 'raw', 'regular', 'open', 100
FROM instrument i WHERE i.symbol = ANY(%(symbols)s);
INSERT INTO coverage (series_id, loaded, first_ts, updated_at)
SELECT s.id, g.loaded::tstzmultirange, lower(g.loaded::tstzmultirange), now()
FROM unnest(%(symbols)s::text[], %(loaded)s::text[]) AS g(symbol, loaded)
JOIN instrument i ON i.symbol = g.symbol JOIN series s ON s.instrument_id = i.id;
INSERT INTO account (provider, name, egress, enabled, writes, circuit, circuit_reason,
                     max_in_flight)
VALUES ('polygon', 'default', 'default', true, true, 'closed', '', 64) ON CONFLICT DO NOTHING;
WITH made AS (
    INSERT INTO job (workload, kind, account_id, state, desired, desired_at, wait_reason, priority,
                     weight, vtime, max_slices_per_round, max_concurrency, tries, retry_class, spec,
                     planned, created_at, error_class, error)
    SELECT 'historical', 'backfill', a.id, 'running', 'run', now(), '', 100, 1, 0, 5, 5, 5, 'fast',
           '{"series": []}', true, now(), '', '' FROM account a RETURNING id, account_id
)
INSERT INTO slice (job_id, series_id, account_id, "window", state, next_attempt_at, tries, crashes,
                   suspect, rows, error_class, error)
SELECT made.id, s.id, made.account_id, tstzrange(%(start)s, %(end)s), 'done', now(), 0, 0, false, 0,
       '', ''
FROM made, instrument i JOIN series s ON s.instrument_id = i.id
WHERE i.symbol = ANY(%(symbols)s)
"""


def run(stack: EmbeddedStack) -> Report:
    """Judge from PostgreSQL to report, with warm calendars, and hold what is found to the plan."""
    empty_tables()
    for venue in VENUES:
        with transaction.atomic():
            ensure_venue_sessions(sessions_for(venue))
    daily = _fill_daily()
    whole, pieces = _fill_minutes()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE coverage, slice, series, instrument, empty_proof")
    judge = functools.partial(series_gaps, now=NOW)
    every = judge(None)
    _check(every, lacking=daily)
    return {
        "series": SERIES,
        "years": 20,
        "ranges_each": PIECES,
        "daily_10000_series_s": _timed(lambda: judge(None), digits=3, unit=1),
        "daily_show_coverage_s": _timed(
            lambda: show_coverage(now=NOW, count_bars=False), digits=3, unit=1
        ),
        "minutes_one_range_ms": _timed(lambda: judge([whole]), digits=2, unit=1000),
        "minutes_5000_ranges_ms": _timed(lambda: judge([pieces]), digits=2, unit=1000),
        "sql_function_minutes_ms": _timed(_by_sql, digits=1, unit=1000),
        "gaps_found": sum(len(one.gaps) for one in every.values()),
    }


def _timed(work: Callable[[], object], *, digits: int, unit: int) -> dict[str, float]:
    work()
    return spread([seconds(work) * unit for _ in range(ROUNDS)], digits=digits)


def _fill_daily() -> dict[int, int]:
    """Store coverage in pieces, other holes for each series; return how much lacks of each."""
    random = np.random.default_rng(4)
    symbols = [f"GAP{n:05}" for n in range(SERIES)]
    venues = [VENUES[n % len(VENUES)] for n in range(SERIES)]
    loaded, lacking = [], []
    for venue in venues:
        units = _units(venue, Timeframe.D1)
        holes = np.sort(random.choice(len(units) - 2, PIECES - 1, replace=False)) + 1
        covered = _without(units, holes)
        loaded.append(multirange_text(covered))
        lacking.append(len(holes))
    ids = _fill(symbols, venues, loaded, timeframe=Timeframe.D1)
    return dict(zip(ids, lacking, strict=True))


def _fill_minutes() -> tuple[int, int]:
    """Store two series of minutes: one loaded in one piece, one session by session."""
    units = _units("XNYS", Timeframe.M1)
    one = Ranges.of([(to_us(START), to_us(END))])
    first, second = _fill(
        ["WHOLE", "PIECES"],
        ["XNYS", "XNYS"],
        [multirange_text(one), multirange_text(units.ranges())],
        timeframe=Timeframe.M1,
    )
    return first, second


def _units(venue: str, timeframe: Timeframe) -> Units:
    expectation = expectation_for(
        venue=venue, timeframe=timeframe, hours=Hours.REGULAR, anchor=Anchor.OPEN
    )
    return expectation.units_between(to_us(START), to_us(END))


def _without(units: Units, holes: np.ndarray) -> Ranges:
    gone = Ranges.of_arrays(units.starts[holes], units.ends[holes])
    return Ranges.of([(to_us(START), to_us(END))]).subtract(gone)


def _fill(
    symbols: Sequence[str], venues: Sequence[str], loaded: Sequence[str], *, timeframe: Timeframe
) -> list[int]:
    values: dict[str, Any] = {
        "symbols": list(symbols),
        "venues": list(venues),
        "loaded": list(loaded),
        "timeframe": timeframe.value,
        "start": START,
        "end": END,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_FILL, values)
        cursor.execute(
            "SELECT s.id FROM series s JOIN instrument i ON i.id = s.instrument_id"
            " WHERE i.symbol = ANY(%s) ORDER BY array_position(%s, i.symbol::text)",
            [list(symbols), list(symbols)],
        )
        return [number for (number,) in cursor.fetchall()]


def _by_sql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM coverage_gaps('PIECES', '1m', 7400)")
        cursor.fetchall()


def _check(found: dict[int, GapReport], *, lacking: dict[int, int]) -> None:
    wrong = [number for number, n in lacking.items() if found[number].lacking != n]
    if wrong or len(found) != SERIES + 2:
        raise WrongContent("gaps", f"{len(wrong)} of {len(found)} series judged wrongly")

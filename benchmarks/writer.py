"""The bar writer against its limit: a ready-made binary COPY into the same table, same rounds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Final

import numpy as np
from django.db import connection, transaction

from benchmarks.measure import Report, WrongContent, against_limit, interleave, seconds, spread
from benchmarks.payloads import (
    EXPECTATION,
    YEAR,
    minute_bars,
    minute_query,
    polygon_answer,
    yahoo_answer,
)
from ingestion.domain.quality import validate
from ingestion.domain.windows import to_us
from ingestion.store.bars import SeriesBars, WriteCounts, write_bars
from ingestion.store.copyformat import (
    BOOL,
    FLOAT8,
    INT4,
    INT8,
    TIMESTAMPTZ,
    Column,
    encode_rows,
    wire_cursor,
)
from mdc.stack.embedded import EmbeddedStack
from providers.bars import Bars
from providers.base import Adapter
from providers.registry import get_adapter
from providers.types import Adjustment, BarQuery, Response

ROWS: Final = 50_000
ROUNDS: Final = 15
PAGES: Final = 4
SLICES: Final = 100
SLICE_ROWS: Final = 390
_ATTEMPT: Final = 1

_series = itertools.count(1)


def run(stack: EmbeddedStack) -> Report:
    """Measure each way through the writer in rows/s, and check what it stored."""
    del stack  # its database is Django's by now
    bars = minute_bars(seed=1, rows=ROWS)
    plain = replace(bars, vwap=np.full(ROWS, np.nan), trades=np.full(ROWS, -1, np.int32))
    polygon = [minute_bars(seed=seed, rows=ROWS) for seed in range(PAGES)]
    yahoo = [replace(page, vwap=plain.vwap, trades=plain.trades) for page in polygon]
    polygon_answers = [polygon_answer(page) for page in polygon]
    yahoo_answers = [yahoo_answer(page) for page in yahoo]
    taken = interleave(
        {
            "limit": lambda _: _limit(bars),
            "limit_slim": lambda _: _limit(plain),
            "fresh": lambda _: _fresh(bars),
            "fresh_100_slices": lambda number: _fresh_slices(seed=number),
            "unchanged": lambda _: _unchanged(bars),
            "changed_1pct": lambda number: _changed(bars, seed=number),
            "polygon": lambda _: _durable("polygon", Adjustment.RAW, polygon, polygon_answers),
            "yahoo": lambda _: _durable("yahoo", Adjustment.SPLIT, yahoo, yahoo_answers),
        },
        rounds=ROUNDS,
    )
    return {
        "fresh": against_limit(taken["fresh"], taken["limit"]),
        "unchanged": against_limit(taken["unchanged"], taken["limit"]),
        "changed_1pct": against_limit(taken["changed_1pct"], taken["limit"]),
        "bytes_to_durable": {
            **against_limit(taken["polygon"], taken["limit"]),
            "yahoo": against_limit(taken["yahoo"], taken["limit_slim"]),
        },
        "fresh_100_slices": {
            **against_limit(taken["fresh_100_slices"], taken["limit"]),
            "ms_per_slice": spread(
                [1000 * SLICE_ROWS / rate for rate in taken["fresh_100_slices"]], digits=3
            ),
        },
        "rows_per_batch": ROWS,
    }


def _limit(bars: Bars) -> float:
    """Copy a finished buffer through the parent table: what no writer can pass."""
    stream = b"".join(encode_rows(_columns(next(_series), bars)))

    def copy() -> None:
        with (
            transaction.atomic(),
            wire_cursor(connection.connection) as cursor,
            cursor.copy(
                f"COPY bar ({', '.join(BAR_COLUMNS)}) FROM STDIN (FORMAT binary)"
            ) as target,
        ):
            target.write(stream)

    return len(bars) / seconds(copy)


BAR_COLUMNS: Final = (
    "ts",
    "known_from",
    "attempt_id",
    "open",
    "high",
    "low",
    "close",
    "series_id",
    "sequence",
    "final",
    "trades",
    "volume",
    "vwap",
)


def _columns(series_id: int, bars: Bars) -> list[Column]:
    n = len(bars)
    return [
        Column(TIMESTAMPTZ, bars.ts),
        Column(TIMESTAMPTZ, np.full(n, YEAR.end_us)),
        Column(INT8, np.full(n, _ATTEMPT)),
        *(Column(FLOAT8, prices) for prices in (bars.open, bars.high, bars.low, bars.close)),
        Column(INT4, np.full(n, series_id)),
        Column(INT4, bars.sequence),
        Column(BOOL, bars.final),
        Column(INT4, bars.trades, bars.trades == -1),
        Column(FLOAT8, bars.volume, np.isnan(bars.volume)),
        Column(FLOAT8, bars.vwap, np.isnan(bars.vwap)),
    ]


def _batch(series_id: int, bars: Bars) -> SeriesBars:
    return SeriesBars(
        series_id=series_id,
        attempt_id=_ATTEMPT,
        window_start_us=YEAR.start_us,
        window_end_us=YEAR.end_us,
        bars=bars,
    )


def _write(batches: Sequence[SeriesBars]) -> list[WriteCounts]:
    with transaction.atomic():
        return write_bars(connection, batches)


def _timed_write(batches: Sequence[SeriesBars], expected: WriteCounts) -> float:
    counts: list[WriteCounts] = []
    taken = seconds(lambda: counts.extend(_write(batches)))
    if counts != [expected] * len(batches):
        raise WrongContent("writer", f"counts {counts[0]} instead of {expected}")
    return sum(len(batch.bars) for batch in batches) / taken


def _counts(*, inserted: int = 0, unchanged: int = 0, revised: int = 0) -> WriteCounts:
    return WriteCounts(inserted=inserted, unchanged=unchanged, revised=revised, vanished=0)


def _fresh(bars: Bars) -> float:
    series_id = next(_series)
    rate = _timed_write([_batch(series_id, bars)], _counts(inserted=ROWS))
    _check("fresh", series_id, bars)
    return rate


def _fresh_slices(*, seed: int) -> float:
    bars = minute_bars(seed=seed, rows=SLICE_ROWS)
    series_ids = list(itertools.islice(_series, SLICES))
    batches = [_batch(series_id, bars) for series_id in series_ids]
    rate = _timed_write(batches, _counts(inserted=SLICE_ROWS))
    _check("fresh_100_slices", series_ids[-1], bars)
    return rate


def _unchanged(bars: Bars) -> float:
    series_id = next(_series)
    _write([_batch(series_id, bars)])
    rate = _timed_write([_batch(series_id, bars)], _counts(unchanged=ROWS))
    _check("unchanged", series_id, bars)
    return rate


def _changed(bars: Bars, *, seed: int) -> float:
    series_id = next(_series)
    _write([_batch(series_id, bars)])
    rows = np.random.default_rng(seed).choice(ROWS, ROWS // 100, replace=False)
    close = bars.close.copy()
    close[rows] = bars.low[rows] - 0.01
    later = replace(bars, close=close)
    expected = _counts(unchanged=ROWS - len(rows), revised=len(rows))
    rate = _timed_write([_batch(series_id, later)], expected)
    _check("changed_1pct", series_id, later, revised=len(rows))
    return rate


def _durable(
    provider: str, adjustment: Adjustment, pages: Sequence[Bars], answers: Sequence[Response]
) -> float:
    """Take answers from bytes to committed rows: parsed and judged ahead, written in order."""
    adapter, query = get_adapter(provider), minute_query(adjustment)
    series_ids = list(itertools.islice(_series, len(answers)))

    def work() -> None:
        for series_id, good in zip(series_ids, _read_ahead(adapter, query, answers), strict=True):
            _write([_batch(series_id, good)])

    rate = sum(map(len, pages)) / seconds(work)
    for series_id, page in zip(series_ids, pages, strict=True):
        _check(provider, series_id, page)
    return rate


def _read_ahead(adapter: Adapter, query: BarQuery, answers: Sequence[Response]) -> Iterator[Bars]:
    """Parse and judge one answer while the one before is being written, as a worker does."""
    read: Callable[[Response], Bars] = lambda response: _good_bars(adapter, query, response)  # noqa: E731
    with ThreadPoolExecutor(max_workers=1) as ahead:
        yield from ahead.map(read, answers)


def _good_bars(adapter: Adapter, query: BarQuery, response: Response) -> Bars:
    page = adapter.parse(query, response)
    verdict = validate(
        page.bars,
        window=YEAR,
        expectation=EXPECTATION,
        as_of_us=to_us(response.received_at),
        finality_delay_us=adapter.capabilities.finality_delay // timedelta(microseconds=1),
    )
    if verdict.failed or len(verdict.bad_rows):
        raise WrongContent(adapter.name, verdict.failed or "good rows were set aside")
    return verdict.good


def _check(benchmark: str, series_id: int, bars: Bars, *, revised: int = 0) -> None:
    """Compare every stored value of the series with what was given."""
    names = ("open", "high", "low", "close", "volume", "vwap", "trades")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (extract(epoch FROM ts) * 1000000)::bigint, open, high, low, close, volume,"
            " vwap, coalesce(trades, -1) FROM bar WHERE series_id = %s ORDER BY ts",
            [series_id],
        )
        stored = np.array(cursor.fetchall(), np.float64).reshape(-1, 1 + len(names)).T
        cursor.execute("SELECT count(*) FROM bar_revision WHERE series_id = %s", [series_id])
        versions = cursor.fetchone()
    if versions != (revised,):
        raise WrongContent(benchmark, f"{versions} revisions instead of {revised}")
    for column, given in zip(
        stored, (bars.ts, *(getattr(bars, name) for name in names)), strict=True
    ):
        if not np.array_equal(column, given.astype(np.float64), equal_nan=True):
            raise WrongContent(benchmark, f"series {series_id} differs")

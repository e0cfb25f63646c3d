"""Backfills that want the same bars at the same time ask the provider for them once."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connections

from ingestion.domain.windows import to_us
from providers.base import RateLimit
from providers.venues import load_sessions
from tests.limits.work import PROVIDER, backfill, fresh_symbols, restrict, wait_for
from tests.recovery.field import Field, day

JOBS = 20
DAY = timedelta(days=1)


@pytest.mark.parametrize("staff", [4], indirect=True)
def test_twenty_overlapping_backfills_make_each_request_once(field: Field) -> None:
    """No window of a symbol is fetched twice, whole or in part, and every job completes."""
    control = restrict(field, RateLimit(200, timedelta(seconds=1)), max_in_flight=16)
    # Long enough answers that many of the jobs meet at the same slice.
    control.arm({"kind": "latency", "seconds": 0.05})
    symbols = fresh_symbols(3)

    # Neither begins nor ends fall on the boundaries of slices.
    starts = [day("2006-03-08") + number * 11 * DAY for number in range(JOBS)]
    ends = [start + (200 + number % 7 * 40) * DAY for number, start in enumerate(starts)]

    def open_one(number: int) -> int:
        try:
            return backfill(
                field, symbols, start=starts[number], end=ends[number], slice_span=30 * DAY
            )
        finally:
            connections.close_all()

    sessions = load_sessions("XNYS")  # once, rather than by each thread at the same time
    with ThreadPoolExecutor(JOBS) as people:
        jobs = list(people.map(open_one, range(JOBS)))
    wait_for("the end", lambda: set(field.states(jobs).values()) == {"completed"}, within=60)
    stats = control.stats()[PROVIDER]
    assert stats["identical_requests"]["extra"] == 0
    assert stats["violations"] == 0
    assert set(stats["by_symbol"]) == set(symbols)
    assert_disjoint(control.log(PROVIDER))
    # Together they asked for far more than what was fetched, and got each session once.
    asked = field.value("SELECT count(*) FROM slice WHERE job_id = ANY(%s)", jobs)
    assert asked > 2 * stats["requests"]
    wanted = sessions.between(to_us(min(starts)), to_us(max(ends)))
    assert field.sql(
        "SELECT sum(inserted), sum(unchanged), sum(revised) FROM attempt WHERE job_id = ANY(%s)",
        jobs,
    ) == [(len(symbols) * len(wanted.labels), 0, 0)]


def assert_disjoint(requests: Iterable[dict[str, Any]]) -> None:
    windows = sorted((one["symbol"], one["start"], one["end"]) for one in requests)
    for (symbol, start, end), (next_symbol, next_start, next_end) in pairwise(windows):
        assert symbol != next_symbol or end < next_start, (
            f"{symbol}: {start} to {end} and {next_start} to {next_end}"
        )

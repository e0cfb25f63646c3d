"""Seconds to plan 100,000 slices of a job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import connection

from benchmarks.measure import Report, seconds
from benchmarks.work import BENCH, PLANNED_AT, empty_tables
from ingestion.domain.spec import JobRequest
from ingestion.services.open_job import open_job
from ingestion.services.plan_job import plan_job
from mdc.stack.embedded import EmbeddedStack
from providers.types import Timeframe

SLICES = 100_000
SYMBOLS = 200


def run(stack: EmbeddedStack) -> Report:
    """Plan a slice a session of minutes for 200 symbols over two years, three times."""
    taken = sorted(_once() for _ in range(3))
    return {"seconds_100k": round(taken[1], 2), "min_max": [round(taken[0], 2), round(taken[2], 2)]}


def _once() -> float:
    empty_tables()
    job = open_job(
        JobRequest(
            provider="polygon",
            symbols=tuple(f"P{n:04}" for n in range(SYMBOLS)),
            timeframes=(Timeframe.M1,),
            start=datetime(2022, 1, 1, tzinfo=UTC),
            end=datetime(2024, 1, 1, tzinfo=UTC),
            slice_span=timedelta(days=1),
        ),
        now=PLANNED_AT,
        actor=BENCH,
    )
    taken = seconds(lambda: plan_job(job.job_id, max_transactions=10_000, high_water=10_000_000))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM slice")
        planned = int(cursor.fetchone()[0])
    # 501 sessions of 200 symbols are a little more than 100,000.
    if planned < SLICES:
        raise AssertionError(f"{planned} slices planned")
    return taken * SLICES / planned

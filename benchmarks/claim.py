"""Milliseconds a claim takes with a million ready slices of 10,000 jobs in the table."""

from __future__ import annotations

import statistics
import time
from uuid import uuid4

from django.db import connection

from benchmarks.measure import Report
from benchmarks.work import empty_tables
from ingestion.store.claim import claim
from mdc.stack.embedded import EmbeddedStack

JOBS = 10_000
SLICES_PER_JOB = 100
CLAIMS = 400
SLICES_PER_CLAIM = 16

_FILL = """
INSERT INTO instrument (symbol, name, asset_class, venue, currency, has_volume)
SELECT 'B' || n, '', 'equity', 'XNYS', 'USD', true FROM generate_series(1, %(jobs)s) n;
INSERT INTO series (provider, instrument_id, event_type, timeframe, adjustment, hours, anchor,
                    precedence)
SELECT 'polygon', n, 'bar', '1m', 'raw', 'regular', 'open', 100
FROM generate_series(1, %(jobs)s) n;
INSERT INTO account (provider, name, egress, enabled, writes, circuit, circuit_reason,
                     max_in_flight)
VALUES ('polygon', 'default', 'default', true, true, 'closed', '', 64);
INSERT INTO budget (account_id, endpoint, algorithm, n, window_ms, guard_ms, cost, sends, stretch,
                    reset_tz, used, reserve_pct)
VALUES (1, 'bars', 'gcra', 1000000, 1000, 0, 1, '{}', 1, 'UTC', 0, 0);
INSERT INTO job (workload, kind, account_id, state, desired, desired_at, wait_reason, priority,
                 weight, vtime, max_slices_per_round, max_concurrency, tries, retry_class, spec,
                 planned, created_at, error_class, error)
SELECT 'historical', 'backfill', 1, 'running', 'run', now(), '', 100, 1, random(), 5, 5, 5, 'fast',
       '{"provider": "polygon", "start": "2000-01-01T00:00:00+00:00", "end": null,
         "rate_limit": null, "series": []}', true, now(), '', ''
FROM generate_series(1, %(jobs)s);
INSERT INTO slice (job_id, series_id, account_id, "window", state, next_attempt_at, tries, crashes,
                   suspect, rows, error_class, error)
SELECT j, j, 1, tstzrange(timestamptz '2000-01-01' + make_interval(hours => n),
                          timestamptz '2000-01-01' + make_interval(hours => n + 1)),
       'ready', now(), 0, 0, false, 0, '', ''
FROM generate_series(1, %(jobs)s) j, generate_series(1, %(per_job)s) n
"""


def run(stack: EmbeddedStack) -> Report:
    """Claim 16 slices at a time, as a busy worker does, while leases pile up."""
    empty_tables()
    with connection.cursor() as cursor:
        cursor.execute(_FILL, {"jobs": JOBS, "per_job": SLICES_PER_JOB})
        cursor.execute("VACUUM ANALYZE slice, job")
    executor = uuid4()
    taken = []
    claimed = 0
    for _ in range(CLAIMS):
        begun = time.perf_counter()
        got = claim(account_id=1, executor_id=executor, k=SLICES_PER_CLAIM, idle=False)
        taken.append((time.perf_counter() - begun) * 1000)
        claimed += len(got.slices)
    if claimed != CLAIMS * SLICES_PER_CLAIM:
        raise AssertionError(f"{claimed} slices claimed")
    taken.sort()
    return {
        "p95_ms": round(taken[int(len(taken) * 0.95)], 2),
        "median_ms": round(statistics.median(taken), 2),
        "max_ms": round(taken[-1], 2),
        "ready_slices": JOBS * SLICES_PER_JOB,
        "jobs": JOBS,
    }

"""Jobs in every state, and rows for every table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client

from ingestion.domain.actor import Actor
from ingestion.domain.spec import JobRequest
from ingestion.models import JobDefinition, RetryClass, Schedule, Slot
from ingestion.services.ensure_roles import ensure_roles
from ingestion.services.open_job import open_job
from ingestion.services.plan_job import plan_job
from ingestion.services.settle_job import settle_job
from providers.base import RateLimit
from providers.types import Timeframe

ACTOR = Actor(name="seed", source="cli")
SYMBOLS = 30


def log_in(name: str, *, group: str | None = None, superuser: bool = False) -> Client:
    """Make a person of the staff and log them in."""
    user = User.objects.create_user(name, is_staff=True, is_superuser=superuser)
    if group:
        user.groups.add(Group.objects.get(name=group))
    client = Client()
    client.force_login(user)
    return client


def make_job(
    *,
    symbols: int = 3,
    draft: bool = False,
    prefix: str = "SYM",
    timeframe: Timeframe = Timeframe.D1,
    days: int = 90,
    per_second: int = 5,
) -> int:
    """Open a backfill of invented symbols at the synthetic provider."""
    end = datetime(2024, 3, 1, tzinfo=UTC)
    request = JobRequest(
        provider="synthetic",
        symbols=tuple(f"{prefix}{number:03d}" for number in range(symbols)),
        timeframes=(timeframe,),
        start=end - timedelta(days=days),
        end=end,
        venue="XNYS",
        rate_limit=RateLimit(n=per_second, window=timedelta(seconds=1)),
    )
    return open_job(request, now=end + timedelta(days=30), actor=ACTOR, draft=draft).job_id


def start_running(job_id: int) -> None:
    """Plan a queued job and let it run."""
    plan_job(job_id)
    settle_job(job_id)


def kill_slices(job_id: int, *, count: int) -> None:
    """Let some ready slices of a job be out of tries."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE slice SET state = 'dead', tries = 5, error_class = 'TransientError',"
            " error = 'the provider answered 503 five times'"
            " WHERE id IN (SELECT id FROM slice WHERE job_id = %s AND state = 'ready'"
            " ORDER BY id LIMIT %s)",
            [job_id, count],
        )


def lease_slice(job_id: int) -> None:
    """Let somebody hold one ready slice of a job."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE slice SET state = 'leased', lease_token = gen_random_uuid(),"
            " executor_id = gen_random_uuid(), leased_at = now(),"
            " lease_until = now() + interval '15 seconds'"
            " WHERE id = (SELECT min(id) FROM slice WHERE job_id = %s AND state = 'ready')",
            [job_id],
        )


def fill() -> int:
    """Fill every table with more rows than a careless page could read one by one.

    Returns the number of a running job with failed slices.
    """
    ensure_roles()
    job_id = make_job(symbols=SYMBOLS)
    for number in range(SYMBOLS):
        make_job(symbols=2, draft=True, prefix=f"J{number}X")
    start_running(job_id)
    kill_slices(job_id, count=2)
    definition = JobDefinition.objects.create(
        name="daily",
        symbols=["SYM000"],
        timeframe="1d",
        history_start="2000-01-01",
        providers=["synthetic"],
    )
    schedules = Schedule.objects.bulk_create(
        Schedule(
            name=f"nightly-{n}",
            definition=definition,
            rule={"kind": "cron", "expression": "0 1 * * *"},
        )
        for n in range(SYMBOLS)
    )
    Slot.objects.bulk_create(
        Slot(
            schedule=one,
            due="2024-03-01T01:00Z",
            disposition="fired",
            decided_at="2024-03-01T01:00Z",
        )
        for one in schedules
    )
    RetryClass.objects.create(name="patient", tries=12, cap_seconds=900)
    with connection.cursor() as cursor:
        for statement in _ROWS:
            cursor.execute(statement, {"job": job_id} if "%(job)s" in statement else None)
    return job_id


_ROWS = (
    """INSERT INTO executor (host, pid, started_at, last_seen, draining)
       SELECT 'worker', n, now(), now(), false FROM generate_series(1, 30) n""",
    """INSERT INTO fetch_run (executor_id, account_id, slots, started_at, lease_until)
       SELECT e.id, a.id, 1, now(), now() FROM executor e, (SELECT id FROM account LIMIT 1) a""",
    """INSERT INTO budget (account_id, endpoint, algorithm, n, window_ms, guard_ms, cost, sends,
                           stretch, reset_tz, used, reserve_pct)
       SELECT id, 'bars', 'log', 5, 60000, 160, 1, ARRAY[now()], 1, 'UTC', 0, 0 FROM account""",
    """INSERT INTO provider_symbol (provider, vendor_symbol, instrument_id, valid)
       SELECT 'synthetic', symbol || '.X', id, '[2000-01-01,2030-01-01)' FROM instrument""",
    """INSERT INTO attempt (slice_id, job_id, series_id, account_id, n, executor_id, leased_at,
                            ended_at, outcome, requests, pages, waited, rows_in, inserted,
                            unchanged, revised, vanished, quarantined, error_class, detail,
                            payload_sha, code_version)
       SELECT id, job_id, series_id, account_id, 1, (SELECT id FROM executor LIMIT 1), now(), now(),
              'done', 1, 1, '{}', 62, 60, 1, 1, 0, 0, '', '{}', '', '0'
       FROM slice WHERE job_id = %(job)s""",
    """INSERT INTO checkpoint (job_id, series_id, frontier, ts, sequence, updated_at)
       SELECT job_id, series_id, max(upper("window")), max(upper("window")), 0, now()
       FROM slice WHERE job_id = %(job)s GROUP BY 1, 2""",
    """INSERT INTO coverage (series_id, loaded, first_ts, updated_at)
       SELECT series_id, range_agg("window"), min(lower("window")), now()
       FROM slice WHERE job_id = %(job)s GROUP BY 1""",
    """INSERT INTO empty_proof (series_id, "window", reason, attempt_id, proven_at, expires_at)
       SELECT id, '[2024-01-15,2024-01-16)', 'no_trade', 1, now(), now() FROM series""",
    """INSERT INTO missing_session (series_id, "window", looks, attempt_id, seen_at)
       SELECT id, '[2024-01-17,2024-01-18)', 1, 1, now() FROM series""",
    """INSERT INTO finding (kind, series_id, provider, "window", severity, state, fingerprint,
                            evidence, attempt_id, times, closed_by, reason)
       SELECT 'spike', id, '', '[2024-01-15,2024-01-16)', 'warning', 'open', 'spike:' || id,
              '{"z": 9.5}', 1, 2, '', '' FROM series""",
    """INSERT INTO inspection (series_id, pending)
       SELECT id, '{[2024-01-15,2024-01-18)}' FROM series""",
    """INSERT INTO quarantine (attempt_id, series_id, ts, reason, raw)
       SELECT 1, id, now(), 'ohlc', '{"open": -1}' FROM series""",
    """INSERT INTO bar (ts, known_from, attempt_id, open, high, low, close, series_id, sequence,
                        final, trades, volume, vwap)
       SELECT day, now(), 1, 10.125, 12, 9, 11, s.id, 0, true, 7, 1234567, NULL
       FROM series s, generate_series('2024-01-02Z'::timestamptz, '2024-01-12Z', '1 day') day""",
    """INSERT INTO bar_revision
       SELECT ts, known_from - interval '1 hour', attempt_id, open, high, low, close, series_id,
              sequence, final, trades, volume, vwap, known_from FROM bar""",
    """INSERT INTO calendar_override (venue, session, kind, reason, declared_by, source)
       SELECT 'XNYS', '2024-02-01'::date + n, 'closed', 'a storm', 'seed', 'cli'
       FROM generate_series(1, 30) n""",
    """INSERT INTO signal (name, symbols, timeframe, "window", evidence, actor, reason)
       SELECT 'gap', ARRAY['SYM000'], '1d', '[2024-01-15,2024-01-16)', '{}', 'seed', 'a hole'
       FROM generate_series(1, 30) n""",
    """INSERT INTO signal_match (signal_id, schedule_id, slot_id)
       SELECT s.id, o.schedule_id, o.id FROM slot o, (SELECT max(id) AS id FROM signal) s""",
    """INSERT INTO freshness (definition_id, venue, session, closed_at, due_at, judged_at, series,
                              lacking, sample, complete_at)
       SELECT d.id, 'XNYS', '2024-01-01'::date + n, now(), now(), now(), 2, n % 2, '["SYM000"]',
              CASE n % 2 WHEN 0 THEN now() END
       FROM job_definition d, generate_series(1, 30) n""",
    """INSERT INTO beat_lease (name, holder, host, until)
       SELECT 'beat-' || n, gen_random_uuid(), 'host', now() FROM generate_series(1, 30) n""",
    """INSERT INTO watchlist (name, symbols)
       SELECT 'list' || n, ARRAY['SYM000', 'SYM001'] FROM generate_series(1, 30) n""",
    """INSERT INTO file_source (name, path, layout)
       SELECT 'source' || n, '/prices/*.csv', '{"files": []}' FROM generate_series(1, 30) n""",
    """INSERT INTO corporate_action (instrument_id, provider, ex_date, kind, value, currency,
                                     known_from, known_to)
       SELECT id, 'synthetic', '2024-02-01', kind, 2, 'USD', now() - interval '1 day',
              CASE kind WHEN 'split' THEN now() END
       FROM instrument, unnest(ARRAY['split', 'dividend']) kind""",
    """INSERT INTO target (name, kind, config, batch_size, enabled, failures, error,
                           delivered_bars, delivered_batches)
       SELECT 'lake-' || n, 'parquet', '{"path": "/lake"}', 1000, n <> 2, n % 3, '', 7, 1
       FROM generate_series(1, 30) n""",
    """INSERT INTO outbox (target_id, series_id, "window", attempt_id, rows)
       SELECT t.id, s.id, '[2024-01-02,2024-01-12)', 1, 10
       FROM target t, (SELECT id FROM series LIMIT 3) s""",
)

"""Write the jobs that definitions start: many at once, unresolved, each with its audit event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson
from django.db import connection

from ingestion.domain.actor import Actor
from ingestion.domain.asked import kind_of, priority_bounds
from ingestion.domain.schedules import ScheduleAction
from ingestion.domain.spec import DEFAULT_TRIES
from ingestion.domain.windows import Window
from ingestion.store import audit
from ingestion.store.retry_classes import tries_by_class


@dataclass(frozen=True, slots=True)
class NewJob:
    """Hold one job to be: of which definition, for which slot, after which other job.

    Without `symbols` it is about all of the definition's. `due` is what the definition's deadline
    and the age of its retries count from.
    """

    id: int
    definition_id: int
    provider: str
    account_id: int
    action: ScheduleAction
    due: datetime
    reason: str
    symbols: Sequence[str] = ()
    session: date | None = None
    window: Window | None = None
    slot_id: int | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class AccountState:
    """Name a provider's default account, and whether it may send at all."""

    account_id: int
    is_usable: bool


def default_accounts(*, egress: str) -> dict[str, AccountState]:
    """Return the default accounts of this egress, by provider."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT provider, id, enabled AND circuit = 'closed' FROM account"
            " WHERE name = 'default' AND egress = %s",
            [egress],
        )
        return {row[0]: AccountState(*row[1:]) for row in cursor.fetchall()}


# What is asked, pace and promises are the definition's, as they are now. Whether a retry comes too
# late is judged by PostgreSQL's clock, which is not the one that a rehearsal moved. The request is
# read by ingestion.domain.asked, the spec by ingestion.domain.spec.
_INSERT = """
INSERT INTO job (id, definition_id, slot_id, after_id, workload, kind, account_id, state, desired,
                 wait_reason, priority, weight, vtime, max_slices_per_round, max_concurrency, tries,
                 retry_class, request, spec, planned, deadline_at, stale_at, error_class, error)
SELECT g.id, d.id, g.slot_id, g.after_id, 'historical', g.kind, g.account_id, 'queued', 'run', '',
       least(greatest(d.priority, g.lowest), g.highest), d.weight, 0, d.max_slices_per_round,
       d.max_concurrency, coalesce(d.tries, (%(tries)s::jsonb ->> d.retry_class)::int, %(few)s),
       d.retry_class,
       jsonb_build_object(
           'action', g.action, 'provider', g.provider,
           'symbols', coalesce(g.symbols, to_jsonb(d.symbols)),
           'timeframe', d.timeframe, 'adjustment', d.adjustment, 'hours', d.hours,
           'venue', d.venue, 'history_start', d.history_start,
           'slice_span', extract(epoch FROM d.slice_span)::float8,
           'session', g.session, 'window', g."window"),
       jsonb_build_object('provider', g.provider, 'series', '[]'::jsonb,
                          'start', d.history_start || 'T00:00:00+00:00', 'end', NULL,
                          'rate_limit', NULL),
       false, g.due + d.deadline, clock_timestamp() + (g.due + d.stale_after - %(now)s), '', ''
FROM json_to_recordset(%(jobs)s)
     AS g(id bigint, definition_id bigint, slot_id bigint, after_id bigint, kind text,
          action text, provider text, account_id bigint, lowest int, highest int, symbols jsonb,
          session date, "window" jsonb, due timestamptz)
JOIN job_definition d ON d.id = g.definition_id
"""


def insert_jobs(jobs: Sequence[NewJob], *, now: datetime, actor: Actor) -> None:
    """Queue jobs that planning will resolve; two statements, however many there are."""
    if not jobs:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            {
                "now": now,
                "tries": orjson.dumps(tries_by_class()).decode(),
                "few": DEFAULT_TRIES,
                "jobs": orjson.dumps([_row(one) for one in jobs]).decode(),
            },
        )
    audit.record_each(
        actor=actor,
        action="job.open",
        object_type="job",
        object_ids=[one.id for one in jobs],
        reasons=[one.reason for one in jobs],
    )


def _row(one: NewJob) -> dict[str, Any]:
    lowest, highest = priority_bounds(one.action)
    return {
        "id": one.id,
        "definition_id": one.definition_id,
        "slot_id": one.slot_id,
        "after_id": one.after,
        "kind": kind_of(one.action, bounded=one.window is not None),
        "action": one.action,
        "provider": one.provider,
        "account_id": one.account_id,
        "lowest": lowest,
        "highest": highest,
        "symbols": list(one.symbols) or None,
        "session": one.session,
        "window": [one.window.start, one.window.end] if one.window else None,
        "due": one.due,
    }

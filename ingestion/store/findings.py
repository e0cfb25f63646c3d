"""The only writer of `finding`: what looks wrong, counted while it lasts and closed with a reason.

Rows of `finding` come after everything but inspections and signals in the order of locks, and many
are always taken by ascending fingerprint.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from django.db import IntegrityError, connection, transaction

from ingestion.domain.actor import SYSTEM, Actor
from ingestion.domain.coverage import Ranges
from ingestion.domain.errors import FindingRefused, UnknownFinding
from ingestion.domain.findings import UNSETTLED, Check, FindingState, Severity
from ingestion.domain.windows import Window
from ingestion.store import audit
from ingestion.store.ranges import multirange_text
from ingestion.store.storable import storable_json

# A repair that goes on keeps what it repairs; one that is over did not help.
_KEEP: Final = """
INSERT INTO finding AS f (kind, series_id, provider, "window", severity, state, fingerprint,
                          evidence, attempt_id, job_id, times, found_at, seen_at, closed_by, reason)
SELECT g.kind, g.series_id, g.provider,
       CASE WHEN g.starts IS NULL THEN NULL ELSE tstzrange(g.starts, g.ends) END, g.severity,
       CASE WHEN g.job_id IS NULL THEN 'open' ELSE 'repairing' END, g.fingerprint,
       g.evidence::jsonb, g.attempt_id, g.job_id, 1, %(now)s, %(now)s, '', ''
FROM unnest(%(kind)s::text[], %(series_id)s::int[], %(provider)s::text[],
            %(starts)s::timestamptz[], %(ends)s::timestamptz[], %(severity)s::text[],
            %(fingerprint)s::text[], %(evidence)s::text[], %(attempt_id)s::int8[],
            %(job_id)s::int8[])
     AS g(kind, series_id, provider, starts, ends, severity, fingerprint, evidence, attempt_id,
          job_id)
ORDER BY g.fingerprint
ON CONFLICT (fingerprint) WHERE state IN ('open', 'repairing') DO UPDATE
SET times = f.times + 1, seen_at = excluded.seen_at, evidence = excluded.evidence,
    severity = excluded.severity, "window" = excluded."window",
    attempt_id = coalesce(excluded.attempt_id, f.attempt_id),
    job_id = coalesce(excluded.job_id, f.job_id),
    state = CASE
        WHEN excluded.job_id IS NOT NULL THEN 'repairing'
        WHEN f.state = 'repairing' AND EXISTS (
            SELECT 1 FROM job j WHERE j.id = f.job_id
            AND j.state IN ('draft', 'queued', 'running', 'paused')) THEN 'repairing'
        ELSE 'open' END
RETURNING id, fingerprint, times = 1
"""

_ACCEPTED: Final = """
SELECT DISTINCT ON (fingerprint) fingerprint, id, severity, upper("window")
FROM finding WHERE state = 'accepted' AND fingerprint = ANY(%s)
ORDER BY fingerprint, id DESC
"""

_RESOLVE_UNSEEN: Final = """
UPDATE finding SET state = 'resolved', closed_at = %(now)s, closed_by = %(by)s,
                   reason = 'it was looked for again and not found'
WHERE id IN (SELECT id FROM finding
             WHERE series_id = %(series)s AND kind = ANY(%(kinds)s)
               AND state IN ('open', 'repairing')
               AND "window" <@ %(inspected)s::tstzmultirange
               AND fingerprint <> ALL(%(seen)s)
             ORDER BY fingerprint FOR UPDATE)
"""

_ROW: Final = """
SELECT id, kind, series_id, provider, "window", severity, state, fingerprint, evidence::text,
       attempt_id, job_id
FROM finding
"""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Hold what was seen, ready to be kept; `job_id` names the repair that is under way for it."""

    kind: Check
    severity: Severity
    fingerprint: str
    evidence: Mapping[str, Any]
    series_id: int | None = None
    provider: str = ""
    window: Window | None = None
    attempt_id: int | None = None
    job_id: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """Hold the ids of findings that are new, by fingerprint, and count those seen again."""

    new: Mapping[str, int]
    again: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """Hold as what a finding was accepted."""

    finding_id: int
    severity: Severity
    end: datetime | None


@dataclass(frozen=True, slots=True)
class FindingRow:
    """Hold a finding's row as it stands."""

    id: int
    kind: Check
    series_id: int | None
    provider: str
    window: Window | None
    severity: Severity
    state: FindingState
    fingerprint: str
    evidence: Mapping[str, Any]
    attempt_id: int | None
    job_id: int | None


def keep(sightings: Sequence[Sighting], *, now: datetime) -> Kept:
    """Open findings, or count those that are unsettled already, in one statement.

    Of several sightings with one fingerprint the last counts.
    """
    rows = list({one.fingerprint: one for one in sightings}.values())
    if not rows:
        return Kept(new={}, again=0)
    with connection.cursor() as cursor:
        cursor.execute(
            _KEEP,
            {
                "now": now,
                "kind": [one.kind.value for one in rows],
                "series_id": [one.series_id for one in rows],
                "provider": [one.provider for one in rows],
                "starts": [one.window.start if one.window else None for one in rows],
                "ends": [one.window.end if one.window else None for one in rows],
                "severity": [one.severity.value for one in rows],
                "fingerprint": [one.fingerprint for one in rows],
                "evidence": [storable_json(dict(one.evidence)) for one in rows],
                "attempt_id": [one.attempt_id for one in rows],
                "job_id": [one.job_id for one in rows],
            },
        )
        found = cursor.fetchall()
    new = {fingerprint: finding_id for finding_id, fingerprint, is_new in found if is_new}
    return Kept(new=new, again=len(found) - len(new))


def accepted(fingerprints: Collection[str]) -> dict[str, Accepted]:
    """Return what a person last accepted under these fingerprints."""
    if not fingerprints:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_ACCEPTED, [list(fingerprints)])
        return {
            fingerprint: Accepted(finding_id, Severity(severity), end)
            for fingerprint, finding_id, severity, end in cursor.fetchall()
        }


def resolve_unseen(
    series_id: int,
    *,
    kinds: Collection[Check],
    inspected: Ranges,
    seen: Collection[str],
    now: datetime,
) -> int:
    """Resolve what lies wholly in the inspected windows and was not seen; return how many."""
    if not len(inspected):
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            _RESOLVE_UNSEEN,
            {
                "series": series_id,
                "kinds": [kind.value for kind in kinds],
                "inspected": multirange_text(inspected),
                "seen": list(seen),
                "now": now,
                "by": SYSTEM.name,
            },
        )
        return int(cursor.rowcount)


def read(finding_ids: Collection[int]) -> list[FindingRow]:
    """Return findings by number; raises UnknownFinding for the first that does not exist."""
    return _rows(finding_ids, locking="")


def lock(finding_ids: Collection[int]) -> list[FindingRow]:
    """Lock findings until the transaction ends; raises UnknownFinding."""
    return _rows(finding_ids, locking=" FOR UPDATE")


def _rows(finding_ids: Collection[int], *, locking: str) -> list[FindingRow]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_ROW} WHERE id = ANY(%s) ORDER BY fingerprint{locking}", [list(finding_ids)]
        )
        found = [_row(row) for row in cursor.fetchall()]
    lacking = set(finding_ids) - {one.id for one in found}
    if lacking:
        raise UnknownFinding(min(lacking))
    return found


def unsettled_of_job(job_id: int) -> list[FindingRow]:
    """Lock and return the findings that a job was opened to repair and that wait for it."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_ROW} WHERE job_id = %s AND state = 'repairing' ORDER BY fingerprint FOR UPDATE",
            [job_id],
        )
        return [_row(row) for row in cursor.fetchall()]


def unsettled_of_series(series_id: int, kind: Check) -> list[FindingRow]:
    """Return the findings of one kind in one series that are not settled."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_ROW} WHERE series_id = %s AND kind = %s AND state = ANY(%s) ORDER BY id",
            [series_id, kind.value, [state.value for state in UNSETTLED]],
        )
        return [_row(row) for row in cursor.fetchall()]


def seen_since(fingerprints: Collection[str], *, since: datetime) -> set[str]:
    """Return those of these that are unsettled and were seen after a moment."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT fingerprint FROM finding WHERE state IN ('open', 'repairing')"
            " AND fingerprint = ANY(%s) AND seen_at > %s",
            [list(fingerprints), since],
        )
        return {fingerprint for (fingerprint,) in cursor.fetchall()}


def vanished_of(series_ids: Collection[int]) -> list[FindingRow]:
    """Lock and return the findings that name vanished bars of series, accepted ones included."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_ROW} WHERE series_id = ANY(%s) AND kind = 'vanished'"
            " AND state IN ('open', 'repairing', 'accepted') ORDER BY fingerprint FOR UPDATE",
            [list(series_ids)],
        )
        return [_row(row) for row in cursor.fetchall()]


def count_since(series_id: int, kind: Check, *, since: datetime) -> int:
    """Count how often a series showed one kind of finding of late, repetitions included."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(times), 0) FROM finding"
            " WHERE series_id = %s AND kind = %s AND seen_at > %s",
            [series_id, kind.value, since],
        )
        return int(cursor.fetchone()[0])


def repairing(finding_ids: Collection[int], *, job_id: int) -> None:
    """Note the job that is to repair locked findings."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE finding SET state = 'repairing', job_id = %s WHERE id = ANY(%s)",
            [job_id, list(finding_ids)],
        )


def settle(
    rows: Sequence[FindingRow],
    state: FindingState,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
) -> None:
    """Close locked findings for good, with an audit event each where a person does it."""
    _move(rows, state, closed_at=now, closed_by=actor.name, reason=reason)
    if actor != SYSTEM:
        _audit(rows, state, actor=actor, reason=reason)


def fail_repair(rows: Sequence[FindingRow], *, why: str) -> None:
    """Open locked findings again whose repair is over and did not help, and say so in them."""
    _move(rows, FindingState.OPEN, closed_at=None, closed_by="", reason="")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE finding SET evidence = evidence || jsonb_build_object('repair', %s::text)"
            " WHERE id = ANY(%s)",
            [why, [one.id for one in rows]],
        )


def reopen(rows: Sequence[FindingRow], *, actor: Actor, reason: str) -> None:
    """Open locked findings again; raises FindingRefused where the same is open already."""
    try:
        with transaction.atomic():
            _move(rows, FindingState.OPEN, closed_at=None, closed_by="", reason="")
    except IntegrityError as error:
        raise FindingRefused(
            rows[0].id, "the same thing was found again and is open under another number"
        ) from error
    _audit(rows, FindingState.OPEN, actor=actor, reason=reason)


def _move(
    rows: Sequence[FindingRow],
    state: FindingState,
    *,
    closed_at: datetime | None,
    closed_by: str,
    reason: str,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE finding SET state = %s, closed_at = %s, closed_by = %s, reason = %s"
            " WHERE id = ANY(%s)",
            [state.value, closed_at, closed_by, reason, [one.id for one in rows]],
        )


def _audit(rows: Sequence[FindingRow], state: FindingState, *, actor: Actor, reason: str) -> None:
    for one in rows:
        audit.record(
            actor=actor,
            action=f"finding.{state}",
            object_type="finding",
            object_id=one.id,
            before={"state": one.state.value},
            after={"state": state.value},
            reason=reason,
        )


def _row(row: tuple[Any, ...]) -> FindingRow:
    return FindingRow(
        id=row[0],
        kind=Check(row[1]),
        series_id=row[2],
        provider=row[3],
        window=Window(row[4].lower, row[4].upper) if row[4] else None,
        severity=Severity(row[5]),
        state=FindingState(row[6]),
        fingerprint=row[7],
        evidence=orjson.loads(row[8]),
        attempt_id=row[9],
        job_id=row[10],
    )

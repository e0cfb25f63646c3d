"""The only writer of `target`: leases, what became of deliveries, and what people decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

from ingestion.domain.errors import UnknownTarget
from ingestion.domain.windows import from_us, to_us

# Longer than any sink may take for one batch.
LEASE = timedelta(seconds=45)
_IDLE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class TargetRow:
    """Hold one target; `batch` and `batch_until_us` name a delivery that was begun before."""

    id: int
    name: str
    kind: str
    config: Mapping[str, Any]
    batch_size: int
    enabled: bool
    providers: tuple[str, ...] | None
    symbols: tuple[str, ...] | None
    timeframes: tuple[str, ...] | None
    made_us: int
    failures: int
    error: str
    next_attempt_at: datetime
    delivered_bars: int
    delivered_batches: int
    delivered_at: datetime | None
    batch: tuple[int, ...] | None
    batch_until_us: int | None


_COLUMNS = (
    "id, name, kind, config::text, batch_size, enabled, providers, symbols, timeframes, created_at,"
    " failures, error, next_attempt_at, delivered_bars, delivered_batches, delivered_at, batch,"
    " batch_until"
)


def _row(values: Sequence[Any]) -> TargetRow:
    def names(value: list[str] | None) -> tuple[str, ...] | None:
        return None if value is None else tuple(value)

    return TargetRow(
        id=values[0],
        name=values[1],
        kind=values[2],
        config=orjson.loads(values[3]),
        batch_size=values[4],
        enabled=values[5],
        providers=names(values[6]),
        symbols=names(values[7]),
        timeframes=names(values[8]),
        made_us=to_us(values[9]),
        failures=values[10],
        error=values[11],
        next_attempt_at=values[12],
        delivered_bars=values[13],
        delivered_batches=values[14],
        delivered_at=values[15],
        batch=tuple(values[16]) if values[16] else None,
        batch_until_us=to_us(values[17]) if values[17] else None,
    )


def due_targets() -> list[int]:
    """List targets that have something to deliver and may try now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.id FROM target t WHERE t.enabled AND t.next_attempt_at <= clock_timestamp()"
            " AND (t.lease_until IS NULL OR t.lease_until < clock_timestamp())"
            " AND EXISTS (SELECT FROM outbox o WHERE o.target_id = t.id) ORDER BY t.id"
        )
        return [target_id for (target_id,) in cursor.fetchall()]


def lease(target_id: int, *, token: UUID) -> TargetRow | None:
    """Take or prolong the right to deliver; None where it is not due or somebody else's."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE target SET lease_token = %(token)s,"
            " lease_until = clock_timestamp() + make_interval(secs => %(lease)s)"
            " WHERE id = %(id)s AND enabled AND next_attempt_at <= clock_timestamp()"
            " AND (lease_token IS NULL OR lease_token = %(token)s"
            "      OR lease_until < clock_timestamp())"
            f" RETURNING {_COLUMNS}",
            {"id": target_id, "token": token, "lease": LEASE.total_seconds()},
        )
        found = cursor.fetchone()
    return _row(found) if found else None


def begin_batch(target_id: int, *, entries: Sequence[int], until_us: int | None) -> None:
    """Remember of what the delivery consists, for whoever has to repeat it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE target SET batch = %s, batch_until = %s WHERE id = %s",
            [list(entries), None if until_us is None else from_us(until_us), target_id],
        )


def release(target_id: int, *, token: UUID) -> None:
    """Give the lease back."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE target SET lease_token = NULL, lease_until = NULL"
            " WHERE id = %s AND lease_token = %s",
            [target_id, token],
        )


def end_batch(target_id: int, *, token: UUID, bars: int) -> bool:
    """Count a delivery; False, with nothing done, where the lease was lost meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE target SET batch = NULL, batch_until = NULL, failures = 0, error = '',"
            " delivered_bars = delivered_bars + %(bars)s,"
            " delivered_batches = delivered_batches + (%(bars)s > 0)::int,"
            " delivered_at = CASE WHEN %(bars)s > 0 THEN clock_timestamp() ELSE delivered_at END"
            " WHERE id = %(id)s AND lease_token = %(token)s",
            {"id": target_id, "token": token, "bars": bars},
        )
        return bool(cursor.rowcount)


def fail_batch(target_id: int, *, token: UUID, error: str, delay: float, stop: bool) -> bool:
    """Note why a delivery failed and when to try again; False where the lease was lost."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE target SET failures = failures + 1, error = %s, enabled = enabled AND NOT %s,"
            " next_attempt_at = clock_timestamp() + make_interval(secs => %s),"
            " lease_token = NULL, lease_until = NULL WHERE id = %s AND lease_token = %s",
            [error, stop, delay, target_id, token],
        )
        return bool(cursor.rowcount)


def add_target(
    *,
    name: str,
    kind: str,
    config: Mapping[str, Any],
    batch_size: int,
    providers: Sequence[str] | None,
    symbols: Sequence[str] | None,
    timeframes: Sequence[str] | None,
) -> int | None:
    """Declare a target and return its id; None where the name is taken."""

    def names(given: Sequence[str] | None) -> list[str] | None:
        return None if given is None else list(given)

    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO target (name, kind, config, batch_size, enabled, providers, symbols,"
            " timeframes, failures, error, delivered_bars, delivered_batches)"
            " VALUES (%s, %s, %s::jsonb, %s, true, %s::text[], %s::text[], %s::text[], 0, '', 0, 0)"
            " ON CONFLICT (name) DO NOTHING RETURNING id",
            [
                name,
                kind,
                orjson.dumps(config).decode(),
                batch_size,
                names(providers),
                names(symbols),
                names(timeframes),
            ],
        )
        found = cursor.fetchone()
    return int(found[0]) if found else None


def read_target(name: str) -> TargetRow:
    """Read one target; raises UnknownTarget."""
    return _one(name, locking="")


def lock_target(name: str) -> TargetRow:
    """Lock a target until the transaction ends and read it; raises UnknownTarget."""
    return _one(name, locking="FOR NO KEY UPDATE")


def keep_target(name: str) -> TargetRow:
    """Let nobody remove a target until the transaction ends, and read it; raises UnknownTarget."""
    return _one(name, locking="FOR KEY SHARE")


def lock_to_remove(name: str) -> TargetRow:
    """Lock a target against all that notes anything for it; raises UnknownTarget."""
    return _one(name, locking="FOR UPDATE")


def _one(name: str, *, locking: str) -> TargetRow:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM target WHERE name = %s {locking}", [name])
        found = cursor.fetchone()
    if found is None:
        raise UnknownTarget(name)
    return _row(found)


def set_enabled(target_id: int, *, enabled: bool) -> None:
    """Withhold deliveries, or let them go on at once and as if nothing had failed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE target SET enabled = %(on)s,"
            " failures = CASE WHEN %(on)s THEN 0 ELSE failures END,"
            " error = CASE WHEN %(on)s THEN '' ELSE error END,"
            " next_attempt_at = CASE WHEN %(on)s THEN clock_timestamp() ELSE next_attempt_at END"
            " WHERE id = %(id)s",
            {"id": target_id, "on": enabled},
        )


def set_batch_size(target_id: int, *, batch_size: int) -> None:
    """Change how many bars a delivery has; one that was begun is composed anew."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE target SET batch_size = %s, batch = NULL, batch_until = NULL WHERE id = %s",
            [batch_size, target_id],
        )


def delete_target(target_id: int) -> int:
    """Forget a locked target and what is noted for it; return how many notes that were."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM outbox WHERE target_id = %s", [target_id])
        forgotten = int(cursor.rowcount)
        cursor.execute("DELETE FROM target WHERE id = %s", [target_id])
    return forgotten


@dataclass(frozen=True, slots=True)
class Standing:
    """Hold a target, what is still to be delivered to it, and for how long (seconds)."""

    target: TargetRow
    pending_entries: int
    pending_bars: int
    lag: float
    idle: bool

    @property
    def state(self) -> str:
        """Say in a word or two how it goes on."""
        if not self.target.enabled:
            return "stopped" if self.target.error else "paused"
        if self.target.failures:
            return "retrying"
        return "no worker" if self.idle else "on"


def standings() -> list[Standing]:
    """Read every target and what is pending for it, by name."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM target ORDER BY name")
        rows = [_row(found) for found in cursor.fetchall()]
        cursor.execute(
            "SELECT o.target_id, count(*), sum(o.rows)::bigint,"
            " extract(epoch FROM clock_timestamp() - min(o.created_at))::float8,"
            # Due for so long, and nobody has even begun: the process that delivers is not there.
            " t.lease_token IS NULL AND greatest(min(o.created_at), t.next_attempt_at,"
            "   coalesce(t.delivered_at, '-infinity'))"
            "   < clock_timestamp() - make_interval(secs => %s)"
            " FROM outbox o JOIN target t ON t.id = o.target_id GROUP BY o.target_id, t.id",
            [_IDLE.total_seconds()],
        )
        pending = {found[0]: tuple(found[1:]) for found in cursor.fetchall()}
    return [Standing(row, *pending.get(row.id, (0, 0, 0.0, False))) for row in rows]

"""Keep signals, who is to act on them, and who did.

Nothing here waits for a schedule's row, so a signal may be raised in any transaction, whatever it
holds: a schedule that is just being fired is woken by `wake_waiting` a moment later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import connection

from ingestion.domain.actor import Actor
from ingestion.domain.windows import Window
from ingestion.models import Signal
from providers.types import Timeframe

_WOKEN_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class NewSignal:
    """Hold what happened, to whom and when.

    No symbols mean all of whoever listens, no timeframe every one, no window all that is asked by
    default.
    """

    name: str
    symbols: Sequence[str] = ()
    timeframe: Timeframe | None = None
    window: Window | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Hold what waits for one schedule: the union of the signals' symbols, the hull of windows.

    `symbols` are cut to the definition's, () means all of them; `window` None means all that is
    asked by default; `signals` counts, `first_id` is the oldest one, `matches` marks them as fired.
    """

    schedule_id: int
    symbols: tuple[str, ...]
    window: Window | None
    signals: int
    first_id: int
    matches: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Listener:
    """Hold a schedule that is to act on a signal; without `fires_at` it has done so already."""

    schedule: str
    definition: str
    fires_at: datetime | None
    paused: bool


# Whom a signal (s) concerns: a schedule (sc) and its definition (d), as they are now. The first
# line is the predicate and the key of the index schedule_on_signal.
_CONCERNS: Final = """
    (sc.rule -> 'kind') = '"signal"'::jsonb AND (sc.rule ->> 'name') = s.name
    AND (s.timeframe = '' OR s.timeframe = d.timeframe)
    AND (cardinality(s.symbols) = 0 OR s.symbols && d.symbols)
"""

_MATCH: Final = f"""
INSERT INTO signal_match (signal_id, schedule_id)
SELECT s.id, sc.id
FROM signal s, schedule sc JOIN job_definition d ON d.id = sc.definition_id
WHERE s.id = ANY(%(ids)s) AND {_CONCERNS}
  AND coalesce(sc.starts_at, '-infinity') <= %(now)s AND %(now)s < coalesce(sc.ends_at, 'infinity')
ON CONFLICT DO NOTHING
RETURNING schedule_id
"""

# What waits to be acted on: matches without a slot that concern the schedule still.
_WAITING: Final = f"""
FROM signal_match m
JOIN signal s ON s.id = m.signal_id
JOIN schedule sc ON sc.id = m.schedule_id
JOIN job_definition d ON d.id = sc.definition_id
WHERE m.slot_id IS NULL AND {_CONCERNS}
"""

_WAKE: Final = """
UPDATE schedule SET next_due_at = w.at, next_fire_at = w.at
FROM (SELECT id, greatest(%(now)s + gather, last_fired_at + cooldown) AS at FROM schedule
      WHERE id = ANY(%(ids)s) AND next_fire_at IS NULL
      ORDER BY id FOR NO KEY UPDATE SKIP LOCKED) w
WHERE schedule.id = w.id
"""

_GATHERED: Final = f"""
WITH waiting AS MATERIALIZED (
    SELECT m.id AS match_id, m.schedule_id, d.id AS definition_id, s.id, s.symbols, s."window"
    {_WAITING} AND m.schedule_id = ANY(%(ids)s)
), named AS (
    SELECT n.schedule_id, array_agg(n.symbol ORDER BY n.symbol) AS symbols
    FROM (SELECT DISTINCT schedule_id, definition_id, symbol
          FROM waiting, unnest(symbols) symbol) n
    JOIN job_definition d ON d.id = n.definition_id AND n.symbol = ANY(d.symbols)
    GROUP BY n.schedule_id
)
SELECT w.schedule_id, bool_or(cardinality(w.symbols) = 0), max(n.symbols),
       bool_or(w."window" IS NULL), min(lower(w."window")), max(upper(w."window")),
       count(*), min(w.id), array_agg(w.match_id)
FROM waiting w LEFT JOIN named n USING (schedule_id)
GROUP BY w.schedule_id
"""


def raise_many(signals: Sequence[NewSignal], *, actor: Actor, now: datetime) -> list[int]:
    """Record signals in the caller's transaction and wake who listens; return their ids.

    Three statements, however many they are. A schedule that was asleep fires after its gathering
    time, but not before its cool-down is over; one that is due already keeps its time.
    """
    if not signals:
        return []
    made = Signal.objects.bulk_create(
        Signal(
            name=one.name,
            symbols=list(one.symbols),
            timeframe=one.timeframe.value if one.timeframe else "",
            window=(one.window.start, one.window.end) if one.window else None,
            evidence=dict(one.evidence),
            actor=actor.name,
            reason=one.reason,
            raised_at=now,
        )
        for one in signals
    )
    ids = [signal.pk for signal in made]
    with connection.cursor() as cursor:
        cursor.execute(_MATCH, {"ids": ids, "now": now})
        _wake({schedule_id for (schedule_id,) in cursor.fetchall()}, now=now)
    return ids


def wake_waiting(*, now: datetime) -> int:
    """Wake the schedules for which something waits and that sleep; return how many there were.

    They are those that were just being fired when the signal was raised.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT m.schedule_id {_WAITING} AND sc.next_fire_at IS NULL LIMIT %s",
            [_WOKEN_AT_ONCE],
        )
        asleep = {schedule_id for (schedule_id,) in cursor.fetchall()}
    return _wake(asleep, now=now)


def gathered(schedule_ids: Collection[int]) -> dict[int, Gathered]:
    """Return what waits for each of these schedules; those for which nothing does are left out."""
    with connection.cursor() as cursor:
        cursor.execute(_GATHERED, {"ids": list(schedule_ids)})
        return {row[0]: _gathered(*row) for row in cursor.fetchall()}


def mark_fired(slots: Mapping[int, int], *, found: Mapping[int, Gathered]) -> None:
    """Note by which slot what was gathered for each schedule was acted on.

    Both map from the schedule's id. What was raised since it was gathered goes on waiting.
    """
    pairs = [(match, slot) for key, slot in slots.items() for match in found[key].matches]
    if pairs:
        matches, by = zip(*pairs, strict=True)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE signal_match m SET slot_id = f.slot_id"
                " FROM unnest(%s::int8[], %s::int8[]) AS f(id, slot_id) WHERE m.id = f.id",
                [list(matches), list(by)],
            )


def waiting(schedule_ids: Collection[int]) -> set[int]:
    """Return those of these schedules for which something waits."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT m.schedule_id {_WAITING} AND m.schedule_id = ANY(%s)",
            [list(schedule_ids)],
        )
        return {schedule_id for (schedule_id,) in cursor.fetchall()}


def listeners(signal_id: int) -> list[Listener]:
    """Return the schedules that are to act on a signal, by name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sc.name, d.name, CASE WHEN m.slot_id IS NULL THEN sc.next_fire_at END,"
            "       sc.paused_at IS NOT NULL OR NOT d.enabled"
            " FROM signal_match m JOIN schedule sc ON sc.id = m.schedule_id"
            " JOIN job_definition d ON d.id = sc.definition_id"
            " WHERE m.signal_id = %s ORDER BY sc.name",
            [signal_id],
        )
        return [Listener(*row) for row in cursor.fetchall()]


def told_holes(name: str, holes: Collection[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return those of these holes, (series, start in µs), that a signal has told of already."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT h.series_id, h.start_us"
            " FROM unnest(%s::int8[], %s::int8[]) AS h(series_id, start_us)"
            " WHERE EXISTS (SELECT 1 FROM signal s WHERE s.name = %s AND s.evidence @>"
            "   jsonb_build_object('series', h.series_id, 'start_us', h.start_us))",
            [[one for one, _ in holes], [start for _, start in holes], name],
        )
        return {(series_id, start_us) for series_id, start_us in cursor.fetchall()}


def _wake(schedule_ids: Iterable[int], *, now: datetime) -> int:
    ids = list(schedule_ids)
    if not ids:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_WAKE, {"ids": ids, "now": now})
        return int(cursor.rowcount)


def _gathered(
    schedule_id: int,
    everything: bool,
    symbols: Sequence[str] | None,
    unbounded: bool,
    start: datetime | None,
    end: datetime | None,
    signals: int,
    first_id: int,
    matches: Sequence[int],
) -> Gathered:
    return Gathered(
        schedule_id=schedule_id,
        symbols=() if everything else tuple(symbols or ()),
        window=Window(start, end) if start and end and not unbounded else None,
        signals=signals,
        first_id=first_id,
        matches=tuple(matches),
    )

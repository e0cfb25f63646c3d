"""Keep how each session was kept: who is to be judged when, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from django.db import connection

from ingestion.models import Freshness, JobDefinition

# The condition of the index definition_freshness_switched, word for word.
_SWITCHED: Final = """
    (enabled AND freshness IS NOT NULL AND freshness_since IS NULL)
    OR (freshness IS NULL AND freshness_since IS NOT NULL)
    OR (NOT enabled AND freshness_since IS NOT NULL)
"""
_BREACHES_WATCHED: Final = 500


@dataclass(frozen=True, slots=True)
class Judgement:
    """Hold what was found of one session of one venue for a definition when it was due."""

    definition_id: int
    venue: str
    session: date
    closed_at: datetime
    due_at: datetime
    judged_at: datetime
    series: int
    lacking: int
    sample: Sequence[str]

    @property
    def complete_at(self) -> datetime | None:
        """Return when the session was seen complete, which may be still to come."""
        return None if self.lacking else self.judged_at


@dataclass(frozen=True, slots=True)
class Breach:
    """Hold a session that was not complete when it was due, and still is not."""

    id: int
    definition_id: int
    venue: str
    session: date
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Late:
    """Hold a session that was not complete when it was due, and some of the symbols that lacked."""

    definition_id: int
    venue: str
    session: date
    due_at: datetime
    lacking: int
    series: int
    sample: Sequence[str]
    complete_at: datetime | None


@dataclass(frozen=True, slots=True)
class Watch:
    """Say since when a definition is judged, and when it is looked at next."""

    since: datetime
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class Kept:
    """Count how a definition's sessions of one venue were kept in a span of time.

    `open` breaches are not complete yet; `slowest` is the longest time after a close until a
    session of them was complete.
    """

    definition_id: int
    venue: str
    judged: int
    on_time: int
    open: int
    last_session: date
    last_lacking: int
    last_complete_at: datetime | None
    slowest: timedelta | None


def switch_watches(*, now: datetime) -> int:
    """Begin to watch who has a target by now, and end it where there is none any more."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE job_definition SET"
            " freshness_since = CASE WHEN freshness_since IS NULL THEN %(now)s::timestamptz END,"
            " next_freshness_at = CASE WHEN freshness_since IS NULL THEN %(now)s::timestamptz END"
            f" WHERE {_SWITCHED}",
            {"now": now},
        )
        return int(cursor.rowcount)


def look_again(*, now: datetime) -> int:
    """Let all that is watched be looked at: a calendar or a definition has changed."""
    return JobDefinition.objects.filter(
        freshness__isnull=False, freshness_since__isnull=False, next_freshness_at__gt=now
    ).update(next_freshness_at=now)


def due_definitions(*, now: datetime, limit: int, symbols: int) -> list[int]:
    """List definitions to look at, longest due first: at most so many, with so many symbols."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM ("
            "  SELECT id, row_number() OVER w AS place,"
            "         sum(cardinality(symbols)) OVER w AS symbols"
            "  FROM (SELECT id, symbols, next_freshness_at FROM job_definition"
            "        WHERE freshness IS NOT NULL AND freshness_since IS NOT NULL"
            "          AND next_freshness_at <= %(now)s"
            "        ORDER BY next_freshness_at, id LIMIT %(limit)s) d"
            "  WINDOW w AS (ORDER BY next_freshness_at, id)) t"
            " WHERE place = 1 OR symbols <= %(symbols)s ORDER BY place",
            {"now": now, "limit": limit, "symbols": symbols},
        )
        return [definition_id for (definition_id,) in cursor.fetchall()]


def lock_watched(definition_ids: Collection[int], *, now: datetime) -> dict[int, datetime]:
    """Lock those of these definitions that are due and nobody else looks at.

    Returns since when each is watched.
    """
    found = (
        JobDefinition.objects.select_for_update(skip_locked=True, no_key=True)
        .filter(id__in=definition_ids, freshness__isnull=False, next_freshness_at__lte=now)
        .order_by("id")
        .values_list("id", "freshness_since")
    )
    return {definition_id: since for definition_id, since in found if since is not None}


def judged_sessions(
    definition_ids: Collection[int], *, since: date
) -> dict[tuple[int, str], set[date]]:
    """Return the sessions judged already from a date on, per definition and venue."""
    found: dict[tuple[int, str], set[date]] = {}
    for definition_id, venue, session in Freshness.objects.filter(
        definition_id__in=definition_ids, session__gte=since
    ).values_list("definition_id", "venue", "session"):
        found.setdefault((definition_id, venue), set()).add(session)
    return found


def open_breaches(definition_ids: Collection[int]) -> list[Breach]:
    """Return the newest breaches of these definitions that are not complete yet."""
    rows = Freshness.objects.filter(definition_id__in=definition_ids, complete_at=None)
    newest = rows.order_by("-id").values_list("id", "definition_id", "venue", "session", "due_at")
    return [Breach(*row) for row in newest[: _BREACHES_WATCHED * len(definition_ids)]]


def record_judgements(judgements: Iterable[Judgement]) -> None:
    """Write what was found, in one statement."""
    Freshness.objects.bulk_create(
        Freshness(
            definition_id=one.definition_id,
            venue=one.venue,
            session=one.session,
            closed_at=one.closed_at,
            due_at=one.due_at,
            judged_at=one.judged_at,
            series=one.series,
            lacking=one.lacking,
            sample=list(one.sample),
            complete_at=one.complete_at,
        )
        for one in judgements
    )


def close_breaches(ids: Collection[int], *, at: datetime) -> None:
    """Note that these sessions are complete by now."""
    if ids:
        Freshness.objects.filter(id__in=ids, complete_at=None).update(complete_at=at)


def put_off(times: dict[int, datetime]) -> None:
    """Set when each definition is to be looked at next."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE job_definition d SET next_freshness_at = t.at"
            " FROM unnest(%s::int8[], %s::timestamptz[]) AS t(id, at) WHERE d.id = t.id",
            [list(times), list(times.values())],
        )


_KEPT: Final = """
SELECT definition_id, venue, count(*),
       count(*) FILTER (WHERE lacking = 0), count(*) FILTER (WHERE complete_at IS NULL),
       max(session),
       (array_agg(lacking ORDER BY session DESC))[1],
       (array_agg(complete_at ORDER BY session DESC))[1],
       max(complete_at - closed_at) FILTER (WHERE lacking > 0)
FROM freshness
WHERE due_at >= %(since)s AND (%(ids)s::int8[] IS NULL OR definition_id = ANY(%(ids)s))
GROUP BY definition_id, venue ORDER BY definition_id, venue
"""


def kept_since(since: datetime, *, definition_ids: Collection[int] | None = None) -> list[Kept]:
    """Count how sessions that were due since a moment were kept, by definition and venue."""
    with connection.cursor() as cursor:
        cursor.execute(
            _KEPT,
            {"since": since, "ids": None if definition_ids is None else list(definition_ids)},
        )
        return [Kept(*row) for row in cursor.fetchall()]


_LATE: Final = """
SELECT definition_id, venue, session, due_at, lacking, series,
       ARRAY(SELECT jsonb_array_elements_text(sample)), complete_at
FROM (SELECT f.*, row_number() OVER (PARTITION BY definition_id
                                     ORDER BY session DESC, venue) AS place
      FROM freshness f
      WHERE lacking > 0 AND due_at >= %(since)s
        AND (%(ids)s::int8[] IS NULL OR definition_id = ANY(%(ids)s))) t
WHERE place <= %(each)s ORDER BY definition_id, place
"""


def late_sessions(
    *, since: datetime, each: int, definition_ids: Collection[int] | None = None
) -> list[Late]:
    """Return the newest sessions that were not complete when they were due, `each` a definition."""
    ids = None if definition_ids is None else list(definition_ids)
    with connection.cursor() as cursor:
        cursor.execute(_LATE, {"since": since, "each": each, "ids": ids})
        return [Late(*row) for row in cursor.fetchall()]


def read_watches(definition_ids: Collection[int] | None = None) -> dict[int, Watch]:
    """Return since when definitions are judged, and when they are looked at next."""
    rows = JobDefinition.objects.filter(freshness__isnull=False, freshness_since__isnull=False)
    if definition_ids is not None:
        rows = rows.filter(id__in=definition_ids)
    found = rows.values_list("id", "freshness_since", "next_freshness_at")
    return {key: Watch(since, next_at) for key, since, next_at in found if since is not None}

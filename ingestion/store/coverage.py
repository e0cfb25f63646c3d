"""Write what is loaded and what is explained; in stamp space, one row of coverage per series.

Every function runs in the transaction that wrote the bars, under the series' advisory lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection
from psycopg.types.multirange import Multirange

from ingestion.domain.coverage import Ranges
from ingestion.domain.windows import Window, from_us, to_us

NO_TRADE_GOOD_FOR = timedelta(days=30)
NOT_LISTED_GOOD_FOR = timedelta(days=365)
BEYOND_HISTORY_GOOD_FOR = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Known:
    """Hold what was known of a series before a finish: what is loaded in and around a window.

    `first_us` is the first bar ever stored.
    """

    loaded: Ranges
    first_us: int | None


@dataclass(frozen=True, slots=True)
class Advance:
    """Hold what one finish adds to one series; `missing` is (start, end) of each empty unit."""

    series_id: int
    attempt_id: int
    covered: Ranges
    missing: tuple[tuple[int, int], ...]
    not_listed: Ranges
    first_us: int | None


def known_coverage(windows: Sequence[tuple[int, Window]]) -> list[Known]:
    """Read, per (series, window), what is loaded there and in the sessions that it cuts."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO coverage (series_id, loaded, updated_at)"
            " SELECT DISTINCT s, '{}'::tstzmultirange, clock_timestamp() FROM unnest(%s::int[]) s"
            " ON CONFLICT DO NOTHING",
            [[series_id for series_id, _ in windows]],
        )
        cursor.execute(
            "SELECT c.loaded * tstzmultirange(tstzrange(g.starts - interval '1 day',"
            "   g.ends + interval '1 day')), c.first_ts"
            " FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY"
            "   AS g(series_id, starts, ends, n) JOIN coverage c USING (series_id) ORDER BY g.n",
            [
                [series_id for series_id, _ in windows],
                [window.start for _, window in windows],
                [window.end for _, window in windows],
            ],
        )
        rows = cursor.fetchall()
    return [
        Known(loaded=to_ranges(loaded), first_us=to_us(first) if first else None)
        for loaded, first in rows
    ]


def loaded_and_explained(series_id: int, window: Window) -> Ranges:
    """Read what planning may leave out of a window: loaded, or explained by an unexpired proof."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (coalesce((SELECT loaded FROM coverage WHERE series_id = %(series)s), '{}')"
            " + coalesce((SELECT range_agg(\"window\") FROM empty_proof WHERE series_id = %(series)s"
            "   AND expires_at > now() AND \"window\" && %(window)s::tstzrange), '{}'))"
            " * tstzmultirange(%(window)s::tstzrange)",
            {"series": series_id, "window": _range_text(window.start_us, window.end_us)},
        )
        (found,) = cursor.fetchone()
    return to_ranges(found)


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Name a part of a not_listed proof that an earlier bar has disproved."""

    series_id: int
    window: Window
    attempt_id: int


def advance_coverage(advances: Sequence[Advance]) -> list[Withdrawn]:
    """Add what was covered, forget absences that it disproves, note or confirm new ones.

    Returns what is no longer explained as "not listed yet"; the caller notes it as missing.
    """
    by_series = {series_id: _merge(series_id, advances) for series_id in _series(advances)}
    ordered = [by_series[series_id] for series_id in sorted(by_series)]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE coverage c SET loaded = c.loaded + g.covered::tstzmultirange,"
            " first_ts = least(c.first_ts, g.first_ts), updated_at = clock_timestamp()"
            " FROM unnest(%s::int[], %s::text[], %s::timestamptz[]) AS g(series_id, covered, first_ts)"
            " WHERE c.series_id = g.series_id",
            [
                [one.series_id for one in ordered],
                [_multirange_text(one.covered) for one in ordered],
                [from_us(one.first_us) if one.first_us is not None else None for one in ordered],
            ],
        )
        _disprove(cursor, ordered)
        _prove_not_listed(cursor, advances)
        withdrawn = _withdraw_not_listed(cursor, sorted(by_series))
    note_missing(
        [
            (one.series_id, start, end, one.attempt_id)
            for one in advances
            for start, end in one.missing
        ]
    )
    return withdrawn


def prove_beyond_history(*, series_id: int, window: Window) -> None:
    """Explain the part of a window that the provider's declared history does not reach."""
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO empty_proof (series_id, "window", reason, attempt_id, proven_at, expires_at)'
            " SELECT %s, unnest(tstzmultirange(tstzrange(%s, %s)) - coalesce((SELECT range_agg"
            ' ("window") FROM empty_proof WHERE series_id = %s AND expires_at > now()), \'{}\')),'
            " 'beyond_provider_history', 0, clock_timestamp(), clock_timestamp() + %s",
            [series_id, window.start, window.end, series_id, BEYOND_HISTORY_GOOD_FOR],
        )


def _disprove(cursor: Any, ordered: Sequence[Advance]) -> None:
    """Drop missing sessions and proofs where bars are now, and misjudged listings."""
    ids = [one.series_id for one in ordered]
    cursor.execute(
        "SELECT series_id FROM missing_session WHERE series_id = ANY(%s)"
        " UNION SELECT series_id FROM empty_proof WHERE series_id = ANY(%s)",
        [ids, ids],
    )
    touched = {series_id for (series_id,) in cursor.fetchall()}
    rows = [one for one in ordered if one.series_id in touched]
    if not rows:
        return
    given = [[one.series_id for one in rows], [_multirange_text(one.covered) for one in rows]]
    cursor.execute(
        "DELETE FROM missing_session m USING unnest(%s::int[], %s::text[]) AS g(series_id, covered)"
        ' WHERE m.series_id = g.series_id AND m."window" <@ g.covered::tstzmultirange',
        given,
    )
    cursor.execute(
        "WITH gone AS (DELETE FROM empty_proof p"
        " USING unnest(%s::int[], %s::text[]) AS g(series_id, covered)"
        ' WHERE p.series_id = g.series_id AND p."window" && g.covered::tstzmultirange'
        " RETURNING p.*, g.covered::tstzmultirange AS covered)"
        ' INSERT INTO empty_proof (series_id, "window", reason, attempt_id, proven_at, expires_at)'
        ' SELECT series_id, unnest(tstzmultirange("window") - covered), reason, attempt_id,'
        " proven_at, expires_at FROM gone",
        given,
    )


def note_missing(found: Sequence[tuple[int, int, int, int]]) -> None:
    """Remember empty sessions, as (series, start µs, end µs, attempt); a second look proves them."""
    if not found:
        return
    with connection.cursor() as cursor:
        _note_missing(cursor, found)


def _note_missing(cursor: Any, found: Sequence[tuple[int, int, int, int]]) -> None:
    cursor.execute(
        'INSERT INTO missing_session AS m (series_id, "window", looks, attempt_id, seen_at)'
        " SELECT g.series_id, tstzrange(g.starts, g.ends), 1, g.attempt_id, clock_timestamp()"
        " FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[], %s::bigint[])"
        "   AS g(series_id, starts, ends, attempt_id)"
        ' ON CONFLICT (series_id, "window") DO UPDATE SET looks = m.looks + 1,'
        " attempt_id = excluded.attempt_id, seen_at = excluded.seen_at",
        [
            [row[0] for row in found],
            [from_us(row[1]) for row in found],
            [from_us(row[2]) for row in found],
            [row[3] for row in found],
        ],
    )
    cursor.execute(
        "WITH confirmed AS (DELETE FROM missing_session WHERE series_id = ANY(%s) AND looks >= 2"
        ' RETURNING series_id, "window", attempt_id)'
        ' INSERT INTO empty_proof (series_id, "window", reason, attempt_id, proven_at, expires_at)'
        ' SELECT series_id, unnest(range_agg("window")), \'no_trade\', max(attempt_id),'
        " clock_timestamp(), clock_timestamp() + %s FROM confirmed GROUP BY series_id",
        [list({row[0] for row in found}), NO_TRADE_GOOD_FOR],
    )


def _prove_not_listed(cursor: Any, advances: Sequence[Advance]) -> None:
    """Explain the empty run before the first bar ever.

    Slices end in any order, so each finish compares all that is known with the first bar as it is
    now: the result does not depend on the order.
    """
    found = [
        (one.series_id, start, end, one.attempt_id)
        for one in advances
        for start, end in one.not_listed
    ]
    if found:
        cursor.execute(
            'INSERT INTO empty_proof (series_id, "window", reason, attempt_id, proven_at, expires_at)'
            " SELECT g.series_id, unnest(tstzmultirange(tstzrange(g.starts, g.ends)) - coalesce(("
            '   SELECT range_agg(p."window") FROM empty_proof p WHERE p.series_id = g.series_id'
            "   AND p.reason = 'not_listed'), '{}')),"
            " 'not_listed', g.attempt_id, clock_timestamp(), clock_timestamp() + %s"
            " FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[], %s::bigint[])"
            "   AS g(series_id, starts, ends, attempt_id)",
            [
                NOT_LISTED_GOOD_FOR,
                [row[0] for row in found],
                [from_us(row[1]) for row in found],
                [from_us(row[2]) for row in found],
                [row[3] for row in found],
            ],
        )
    ids = sorted(_series(advances))
    cursor.execute(
        "WITH early AS (DELETE FROM missing_session m USING coverage c"
        ' WHERE m.series_id = ANY(%s) AND c.series_id = m.series_id AND upper(m."window") <= c.first_ts'
        ' RETURNING m.series_id, m."window", m.attempt_id)'
        ' INSERT INTO empty_proof (series_id, "window", reason, attempt_id, proven_at, expires_at)'
        ' SELECT series_id, unnest(range_agg("window")), \'not_listed\', max(attempt_id),'
        " clock_timestamp(), clock_timestamp() + %s FROM early GROUP BY series_id",
        [ids, NOT_LISTED_GOOD_FOR],
    )


def _withdraw_not_listed(cursor: Any, series_ids: Sequence[int]) -> list[Withdrawn]:
    """Cut not_listed proofs back to what lies before the first bar ever."""
    cursor.execute(
        "WITH gone AS (DELETE FROM empty_proof p USING coverage c WHERE p.series_id = ANY(%s)"
        " AND c.series_id = p.series_id AND p.reason = 'not_listed'"
        ' AND upper(p."window") > c.first_ts RETURNING p.*, c.first_ts),'
        " kept AS (INSERT INTO empty_proof"
        ' (series_id, "window", reason, attempt_id, proven_at, expires_at)'
        ' SELECT series_id, tstzrange(lower("window"), first_ts), reason, attempt_id, proven_at,'
        ' expires_at FROM gone WHERE lower("window") < first_ts)'
        ' SELECT series_id, greatest(lower("window"), first_ts), upper("window"), attempt_id'
        " FROM gone",
        [list(series_ids)],
    )
    return [
        Withdrawn(series_id, Window(start, end), attempt_id)
        for series_id, start, end, attempt_id in cursor.fetchall()
    ]


def _series(advances: Sequence[Advance]) -> set[int]:
    return {one.series_id for one in advances}


def _merge(series_id: int, advances: Sequence[Advance]) -> Advance:
    own = [one for one in advances if one.series_id == series_id]
    firsts = [one.first_us for one in own if one.first_us is not None]
    covered = own[0].covered
    for one in own[1:]:
        covered = covered.union(one.covered)
    return Advance(
        series_id=series_id,
        attempt_id=own[-1].attempt_id,
        covered=covered,
        missing=(),
        not_listed=Ranges.empty(),
        first_us=min(firsts, default=None),
    )


def to_ranges(value: Multirange[Any]) -> Ranges:
    """Convert PostgreSQL's multirange to the domain's set of intervals."""
    return Ranges.of([(to_us(one.lower), to_us(one.upper)) for one in value])


def _range_text(start_us: int, end_us: int) -> str:
    return f"[{from_us(start_us).isoformat()},{from_us(end_us).isoformat()})"


def _multirange_text(ranges: Ranges) -> str:
    return "{" + ",".join(_range_text(start, end) for start, end in ranges) + "}"

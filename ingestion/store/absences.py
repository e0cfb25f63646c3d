"""Write what is explained although no bar is there: missing sessions, then proofs.

Slices end in any order, so each call compares all that is known of a series with its first bar as
it is now: the result does not depend on the order. Runs in the finishing transaction, after
`advance_coverage`, under the series' advisory lock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection

from ingestion.domain.coverage import Ranges
from ingestion.domain.looks import JUST_NOW, REFUSED, Looks, add_looks
from ingestion.domain.windows import Window, from_us, to_us
from ingestion.store.ranges import multirange_text, to_ranges

NO_TRADE_GOOD_FOR = timedelta(days=30)
FRESH_NO_TRADE_GOOD_FOR = timedelta(hours=1)
NOT_LISTED_GOOD_FOR = timedelta(days=365)
BEYOND_HISTORY_GOOD_FOR = timedelta(days=90)

_HAVE_ANY = """
SELECT series_id FROM missing_session WHERE series_id = ANY(%s)
UNION SELECT series_id FROM empty_proof WHERE series_id = ANY(%s)
"""

_DROP_MISSING = """
DELETE FROM missing_session m
USING unnest(%s::int[], %s::text[]) AS g(series_id, covered)
WHERE m.series_id = g.series_id AND m."window" <@ g.covered::tstzmultirange
"""

_CUT_PROOFS = """
WITH gone AS (
    DELETE FROM empty_proof p
    USING unnest(%s::int[], %s::text[]) AS g(series_id, covered)
    WHERE p.series_id = g.series_id AND p."window" && g.covered::tstzmultirange
    RETURNING p.*, g.covered::tstzmultirange AS covered
)
INSERT INTO empty_proof (series_id, "window", reason, attempt_id, proven_at, expires_at)
SELECT series_id, unnest(tstzmultirange("window") - covered), reason, attempt_id, proven_at,
       expires_at
FROM gone
"""

_DROP_MISSING_WITHIN = """
DELETE FROM missing_session WHERE series_id = ANY(%(ids)s)
AND "window" && %(ranges)s::tstzmultirange
"""

# That a series was not listed, or that the history ends, says nothing of a session's hours.
_CUT_PROOFS_WITHIN = """
WITH gone AS (
    DELETE FROM empty_proof
    WHERE series_id = ANY(%(ids)s) AND reason IN ('no_trade', 'halted', 'closed')
      AND "window" && %(ranges)s::tstzmultirange
    RETURNING *
)
INSERT INTO empty_proof (series_id, "window", reason, attempt_id, proven_at, expires_at)
SELECT series_id, unnest(tstzmultirange("window") - %(ranges)s::tstzmultirange), reason,
       attempt_id, proven_at, expires_at
FROM gone
"""

# What was known of windows that were looked at again; the caller writes what it is now.
_TAKE_MISSING = """
DELETE FROM missing_session m USING unnest(%s::int[], %s::text[]) AS g(series_id, seen)
WHERE m.series_id = g.series_id AND m."window" && g.seen::tstzmultirange
RETURNING m.series_id, m."window", m.looks, m.attempt_id, m.seen_at
"""

_SETTLED = """
SELECT g.series_id, coalesce(c.loaded, '{}') * hull,
       coalesce((SELECT range_agg(p."window") FROM empty_proof p
                 WHERE p.series_id = g.series_id AND p.expires_at > clock_timestamp()
                   AND p."window" && range_merge(g.seen::tstzmultirange)), '{}') * hull
FROM unnest(%s::int[], %s::text[]) AS g(series_id, seen)
CROSS JOIN LATERAL (SELECT tstzmultirange(range_merge(g.seen::tstzmultirange)) AS hull) h
LEFT JOIN coverage c ON c.series_id = g.series_id
"""

_PUT_MISSING = """
INSERT INTO missing_session (series_id, "window", looks, attempt_id, seen_at)
SELECT g.series_id, tstzrange(g.starts, g.ends), g.looks, g.attempt_id,
       coalesce(g.seen_at, clock_timestamp())
FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[], %s::bigint[], %s::int[],
            %s::timestamptz[])
     AS g(series_id, starts, ends, attempt_id, looks, seen_at)
"""

# Bars may be late: silence about a session proves something for as long again as it has lasted.
_CONFIRM_MISSING = """
WITH confirmed AS (
    DELETE FROM missing_session WHERE series_id = ANY(%(series)s) AND looks >= 2
    RETURNING series_id, "window", attempt_id,
              least(%(longest)s, greatest(%(shortest)s,
                    extract(epoch FROM clock_timestamp() - upper("window")))) AS good_for
)
INSERT INTO empty_proof (series_id, "window", reason, attempt_id, proven_at, expires_at)
SELECT series_id, unnest(range_agg("window")), 'no_trade', max(attempt_id), clock_timestamp(),
       clock_timestamp() + make_interval(secs => min(good_for)::float8)
FROM confirmed GROUP BY series_id, good_for >= %(longest)s
"""

_PROVE_NOT_LISTED = """
INSERT INTO empty_proof (series_id, "window", reason, attempt_id, proven_at, expires_at)
SELECT g.series_id,
       unnest(tstzmultirange(tstzrange(g.starts, g.ends)) - coalesce((
           SELECT range_agg(p."window") FROM empty_proof p
           WHERE p.series_id = g.series_id AND p.reason = 'not_listed'
             AND p.expires_at > clock_timestamp()), '{}')),
       'not_listed', g.attempt_id, clock_timestamp(),
       clock_timestamp() + make_interval(secs => %s)
FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[], %s::bigint[])
     AS g(series_id, starts, ends, attempt_id)
"""

# When a series began: with its first bar, or before that with a known listing.
_BEGAN = """
WITH began AS (
    SELECT c.series_id, least(c.first_ts, i.listed_from::timestamp AT TIME ZONE 'UTC') AS at
    FROM coverage c JOIN series s ON s.id = c.series_id JOIN instrument i ON i.id = s.instrument_id
    WHERE c.series_id = ANY(%s)
)
"""

_MISSING_BEFORE_BEGIN = f"""{_BEGAN}, early AS (
    DELETE FROM missing_session m USING began b
    WHERE m.series_id = b.series_id AND upper(m."window") <= b.at AND m.looks > 0
    RETURNING m.series_id, m."window", m.attempt_id
)
INSERT INTO empty_proof (series_id, "window", reason, attempt_id, proven_at, expires_at)
SELECT series_id, unnest(range_agg("window")), 'not_listed', max(attempt_id), clock_timestamp(),
       clock_timestamp() + make_interval(secs => %s)
FROM early GROUP BY series_id
"""

_WITHDRAW_NOT_LISTED = f"""{_BEGAN}, gone AS (
    DELETE FROM empty_proof p USING began b
    WHERE p.series_id = b.series_id AND p.reason = 'not_listed' AND upper(p."window") > b.at
    RETURNING p.*, b.at
), kept AS (
    INSERT INTO empty_proof (series_id, "window", reason, attempt_id, proven_at, expires_at)
    SELECT series_id, tstzrange(lower("window"), at), reason, attempt_id, proven_at, expires_at
    FROM gone WHERE lower("window") < at
)
SELECT series_id, greatest(lower("window"), at), upper("window"), attempt_id FROM gone
"""

_ABSENT_WITHIN = """
SELECT coalesce((SELECT range_agg(a."window") FROM (
           SELECT m."window" FROM missing_session m
           WHERE m.series_id = g.series_id AND m."window" && tstzrange(g.starts, g.ends)
           UNION ALL
           SELECT p."window" FROM empty_proof p
           WHERE p.series_id = g.series_id AND p."window" && tstzrange(g.starts, g.ends)
             AND p.reason = 'not_listed') a), '{}') * tstzmultirange(tstzrange(g.starts, g.ends))
FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY
     AS g(series_id, starts, ends, n)
ORDER BY g.n
"""

_PROVE_BEYOND_HISTORY = """
INSERT INTO empty_proof (series_id, "window", reason, attempt_id, proven_at, expires_at)
SELECT g.series_id,
       unnest(tstzmultirange(tstzrange(g.starts, g.ends))
              - coalesce((SELECT c.loaded FROM coverage c WHERE c.series_id = g.series_id), '{}')
              - coalesce((SELECT range_agg(p."window") FROM empty_proof p
                          WHERE p.series_id = g.series_id AND p.expires_at > now()), '{}')),
       'beyond_provider_history', 0, clock_timestamp(),
       clock_timestamp() + make_interval(secs => %s)
FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) AS g(series_id, starts, ends)
"""

_WITHDRAW_BEYOND_HISTORY = """
WITH gone AS (
    DELETE FROM empty_proof p
    USING unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) AS g(series_id, starts, ends)
    WHERE p.series_id = g.series_id AND p.reason = 'beyond_provider_history'
      AND p."window" && tstzrange(g.starts, g.ends)
    RETURNING p.*, tstzmultirange(tstzrange(g.starts, g.ends)) AS reached
)
INSERT INTO empty_proof (series_id, "window", reason, attempt_id, proven_at, expires_at)
SELECT series_id, unnest(tstzmultirange("window") - reached), reason, attempt_id, proven_at,
       expires_at
FROM gone
"""


@dataclass(frozen=True, slots=True)
class Absence:
    """Hold one window without bars, with the attempt that showed it.

    `refused` means that rows came and none of them could be stored: that confirms nothing.
    """

    series_id: int
    start_us: int
    end_us: int
    attempt_id: int
    refused: bool = False


def disprove_absences(covered: Mapping[int, Ranges]) -> None:
    """Drop missing sessions and cut proofs where bars are now, by series."""
    with connection.cursor() as cursor:
        cursor.execute(_HAVE_ANY, [list(covered), list(covered)])
        touched = sorted(series_id for (series_id,) in cursor.fetchall())
        if not touched:
            return
        given = _sets({series_id: covered[series_id] for series_id in touched})
        cursor.execute(_DROP_MISSING, given)
        cursor.execute(_CUT_PROOFS, given)


def prove_not_listed(found: Sequence[Absence], *, series_ids: Sequence[int]) -> list[Absence]:
    """Explain empty runs before a series began; withdraw proofs that reach beyond its beginning.

    Returns what was withdrawn: it is unexplained again, and the caller notes its sessions as
    missing.
    """
    with connection.cursor() as cursor:
        if found:
            cursor.execute(
                _PROVE_NOT_LISTED, [NOT_LISTED_GOOD_FOR.total_seconds(), *_columns(found)]
            )
        cursor.execute(_WITHDRAW_NOT_LISTED, [sorted(series_ids)])
        return [
            Absence(series_id, window.start_us, window.end_us, attempt_id)
            for series_id, start, end, attempt_id in cursor.fetchall()
            for window in (Window(start, end),)
        ]


def note_missing(found: Sequence[Absence], *, series_ids: Sequence[int]) -> None:
    """Remember empty sessions, one absence each, and prove what can be proven of all that are.

    Those before the series began were not listed; a second look that agrees means no_trade, however
    the two cut the session. What is loaded is not missing, and what an unexpired proof explains
    stays explained, however often it is looked at, until rows come that are refused.
    """
    ids = sorted(series_ids)
    refused = _by_series([one for one in found if one.refused])
    if refused:
        with connection.cursor() as cursor:
            cursor.execute(_CUT_PROOFS, _sets(refused))
    if found:
        _add_looks(found)
    with connection.cursor() as cursor:
        cursor.execute(_MISSING_BEFORE_BEGIN, [ids, NOT_LISTED_GOOD_FOR.total_seconds()])
        if found:
            cursor.execute(
                _CONFIRM_MISSING,
                {
                    "series": ids,
                    "longest": NO_TRADE_GOOD_FOR.total_seconds(),
                    "shortest": FRESH_NO_TRADE_GOOD_FOR.total_seconds(),
                },
            )


def _add_looks(found: Sequence[Absence]) -> None:
    sets = _sets(_by_series(found))
    with connection.cursor() as cursor:
        cursor.execute(_SETTLED, sets)
        settled = {row[0]: (to_ranges(row[1]), to_ranges(row[2])) for row in cursor.fetchall()}
        cursor.execute(_TAKE_MISSING, sets)
        known: dict[int, list[tuple[Any, ...]]] = {}
        for series_id, *row in cursor.fetchall():
            known.setdefault(series_id, []).append(tuple(row))
        rows: list[tuple[Any, ...]] = []
        for series_id, seen in _grouped(found).items():
            loaded, proven = settled[series_id]
            looks = add_looks(
                _known_looks(known.get(series_id, [])), seen, loaded=loaded, proven=proven
            )
            rows += [(series_id, *row) for row in _rows(looks)]
        if rows:
            cursor.execute(_PUT_MISSING, [list(column) for column in zip(*rows, strict=True)])


def _grouped(found: Sequence[Absence]) -> dict[int, Looks]:
    by_series: dict[int, list[Absence]] = {}
    for one in found:
        by_series.setdefault(one.series_id, []).append(one)
    return {
        series_id: Looks.of(
            (one.start_us, one.end_us, REFUSED if one.refused else 1, one.attempt_id, JUST_NOW)
            for one in absences
        )
        for series_id, absences in by_series.items()
    }


def _known_looks(rows: Sequence[tuple[Any, ...]]) -> Looks:
    return Looks.of(
        (to_us(window.lower), to_us(window.upper), looks, attempt_id, to_us(seen_at))
        for window, looks, attempt_id, seen_at in rows
    )


def _rows(looks: Looks) -> list[tuple[Any, ...]]:
    columns = (looks.starts, looks.ends, looks.attempts, looks.looks, looks.since)
    return [
        (from_us(start), from_us(end), attempt, n, None if since == JUST_NOW else from_us(since))
        for start, end, attempt, n, since in zip(*(c.tolist() for c in columns), strict=True)
    ]


def _by_series(found: Sequence[Absence]) -> dict[int, Ranges]:
    spans: dict[int, list[tuple[int, int]]] = {}
    for one in found:
        spans.setdefault(one.series_id, []).append((one.start_us, one.end_us))
    return {series_id: Ranges.of(pairs) for series_id, pairs in spans.items()}


def _sets(ranges: Mapping[int, Ranges]) -> list[list[Any]]:
    return [list(ranges), [multirange_text(one) for one in ranges.values()]]


def absent_within(sessions: Sequence[tuple[int, Window]]) -> list[Ranges]:
    """Read, per (series, session), which parts were seen empty while no bar of it was known."""
    with connection.cursor() as cursor:
        cursor.execute(
            _ABSENT_WITHIN,
            [
                [series_id for series_id, _ in sessions],
                [session.start for _, session in sessions],
                [session.end for _, session in sessions],
            ],
        )
        return [to_ranges(found) for (found,) in cursor.fetchall()]


def prove_beyond_history(windows: Mapping[int, Window]) -> None:
    """Explain what the provider's history does not reach, by series."""
    _for_windows(_PROVE_BEYOND_HISTORY, windows, BEYOND_HISTORY_GOOD_FOR.total_seconds())


def withdraw_beyond_history(windows: Mapping[int, Window]) -> None:
    """Take back proofs of that kind where the provider's history does reach by now, by series."""
    _for_windows(_WITHDRAW_BEYOND_HISTORY, windows)


def forget_absences(series_ids: Sequence[int]) -> None:
    """Remove proofs and missing sessions of series, so that everything is looked for again."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM empty_proof WHERE series_id = ANY(%s)", [list(series_ids)])
        cursor.execute("DELETE FROM missing_session WHERE series_id = ANY(%s)", [list(series_ids)])


def forget_within(series_ids: Collection[int], ranges: Ranges) -> None:
    """Remove what was said of sessions that are others now: missing ones, and proofs of silence."""
    given: dict[str, Any] = {"ids": sorted(series_ids), "ranges": multirange_text(ranges)}
    with connection.cursor() as cursor:
        cursor.execute(_DROP_MISSING_WITHIN, given)
        cursor.execute(_CUT_PROOFS_WITHIN, given)


def _for_windows(statement: str, windows: Mapping[int, Window], *values: float) -> None:
    if not windows:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            statement,
            [
                *values,
                list(windows),
                [window.start for window in windows.values()],
                [window.end for window in windows.values()],
            ],
        )


def _columns(found: Sequence[Absence]) -> list[list[Any]]:
    return [
        [one.series_id for one in found],
        [from_us(one.start_us) for one in found],
        [from_us(one.end_us) for one in found],
        [one.attempt_id for one in found],
    ]

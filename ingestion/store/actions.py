"""Record and read splits and dividends, each with the time in which it was known.

Bar series of one instrument at one provider state the same actions again and again. What is stated
as it stands costs one read and takes no lock; only a difference takes the instrument's advisory
lock, after the locks of any series, and is judged again under it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import numpy as np
import psycopg
from django.db import connection as default_connection

from ingestion.domain.adjusting import Stamps, date_us, same_value
from ingestion.domain.windows import Window, from_us, to_us
from ingestion.store.series_reads import Connection
from providers.bars import FloatColumn
from providers.instruments import ActionKind, CorporateAction

LOCK_CLASS: Final = 7303
LOCK_STRIPES: Final = 1024

_INSTRUMENTS = """
SELECT id, instrument_id FROM series WHERE id = ANY(%s)
"""
_OPEN = """
SELECT id, instrument_id, provider, ex_date, kind, value, currency, known_from
FROM corporate_action
WHERE known_to IS NULL AND instrument_id = ANY(%s) AND provider = ANY(%s)
"""
# Stripes in ascending order, so that two callers never wait for each other.
_LOCK = """
SELECT pg_advisory_xact_lock(%s, stripe)
FROM (SELECT DISTINCT id %% %s AS stripe FROM unnest(%s::int[]) id ORDER BY 1) stripes
"""
_CLOSE = "UPDATE corporate_action SET known_to = %s WHERE id = ANY(%s) AND known_to IS NULL"
_ADD = """
INSERT INTO corporate_action
    (instrument_id, provider, ex_date, kind, value, currency, attempt_id, known_from)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""
_KNOWN = """
SELECT a.instrument_id, i.symbol, a.provider, a.ex_date, a.kind, a.value, a.currency,
       a.known_from, a.known_to
FROM corporate_action a JOIN instrument i ON i.id = a.instrument_id
WHERE (%(ids)s::bigint[] IS NULL OR a.instrument_id = ANY(%(ids)s))
  AND (%(symbols)s::text[] IS NULL OR i.symbol = ANY(%(symbols)s))
  AND (%(provider)s::text IS NULL OR a.provider = %(provider)s)
  AND a.known_from <= coalesce(%(as_of)s::timestamptz, 'infinity')
  AND (a.known_to IS NULL OR a.known_to > coalesce(%(as_of)s::timestamptz, 'infinity'))
  AND (%(announced)s
       OR a.ex_date <= (coalesce(%(as_of)s::timestamptz, now()) AT TIME ZONE 'UTC')::date)
ORDER BY i.symbol, a.ex_date, a.kind, a.provider
"""
# The table of bars as it stands, or as it was known at a time; only final bars count.
_CLOSES_BEFORE = """
SELECT last.ts, last.close
FROM unnest(%(moments)s::timestamptz[]) WITH ORDINALITY AS g(moment, n)
LEFT JOIN LATERAL (
    SELECT b.ts, b.close FROM bar b
    WHERE b.series_id = %(series)s AND b.ts < g.moment AND b.final
    ORDER BY b.ts DESC, b.sequence DESC LIMIT 1
) last ON true
ORDER BY g.n
"""
_CLOSES_BEFORE_AS_OF = """
SELECT last.ts, last.close
FROM unnest(%(moments)s::timestamptz[]) WITH ORDINALITY AS g(moment, n)
LEFT JOIN LATERAL (
    (SELECT b.ts, b.sequence, b.close FROM bar b
     WHERE b.series_id = %(series)s AND b.ts < g.moment AND b.final
       AND b.known_from <= %(as_of)s
     ORDER BY b.ts DESC, b.sequence DESC LIMIT 1)
    UNION ALL
    (SELECT r.ts, r.sequence, r.close FROM bar_revision r
     WHERE r.series_id = %(series)s AND r.ts < g.moment AND r.final
       AND r.known_from <= %(as_of)s AND r.known_to > %(as_of)s
     ORDER BY r.ts DESC, r.sequence DESC LIMIT 1)
    ORDER BY 1 DESC, 2 DESC LIMIT 1
) last ON true
ORDER BY g.n
"""

_Key = tuple[int, str, date, ActionKind]


@dataclass(frozen=True, slots=True)
class StatedActions:
    """Hold what one answer states of one series' instrument inside a window of ex-dates.

    `complete` says that actions which are absent there do not exist (any more).
    """

    series_id: int
    provider: str
    window: Window
    attempt_id: int | None
    actions: tuple[CorporateAction, ...]
    complete: bool = False


@dataclass(frozen=True, slots=True)
class InstrumentActions:
    """Hold what somebody states of an instrument itself; `window` None: no absence is meant."""

    instrument_id: int
    provider: str
    actions: tuple[CorporateAction, ...]
    attempt_id: int | None = None
    window: Window | None = None


@dataclass(frozen=True, slots=True)
class KnownAction:
    """Hold one action with who stated it and when that was known, [known_from, known_to)."""

    instrument_id: int
    symbol: str
    provider: str
    action: CorporateAction
    known_from: datetime
    known_to: datetime | None


@dataclass(frozen=True, slots=True)
class _OpenRow:
    id: int
    value: float
    currency: str
    known_from: datetime


@dataclass(frozen=True, slots=True)
class _Difference:
    closed: tuple[_OpenRow, ...]
    added: tuple[tuple[_Key, CorporateAction, int | None], ...]

    def __bool__(self) -> bool:
        return bool(self.closed or self.added)


def record_actions(stated: Sequence[StatedActions]) -> int:
    """Record what answers state, in the caller's transaction; return how many rows were written.

    Equal statements cost nothing. A changed value closes the old row and adds one. What is absent
    is withdrawn only where the statement is complete.
    """
    telling = [one for one in stated if one.actions or one.complete]
    if not telling:
        return 0
    instruments = _instruments_of({one.series_id for one in telling})
    return record_instrument_actions(
        [
            InstrumentActions(
                instrument_id=instruments[one.series_id],
                provider=one.provider,
                actions=one.actions,
                attempt_id=one.attempt_id,
                window=one.window if one.complete else None,
            )
            for one in telling
            if one.series_id in instruments
        ]
    )


def record_instrument_actions(stated: Sequence[InstrumentActions]) -> int:
    """Record statements about instruments, in the caller's transaction; return the rows written."""
    if not _compare(stated, _open_rows(stated)):
        return 0
    _lock(one.instrument_id for one in stated)
    difference = _compare(stated, _open_rows(stated))
    if difference:
        _write(difference)
    return len(difference.closed) + len(difference.added)


def actions_of(
    connection: Connection = default_connection,
    *,
    instrument_ids: Sequence[int] | None = None,
    symbols: Sequence[str] | None = None,
    provider: str | None = None,
    as_of: datetime | None = None,
    announced: bool = False,
) -> list[KnownAction]:
    """Return the actions known at `as_of` (None: now), by symbol, ex-date, kind and provider.

    Those whose ex-date lies after that moment's date are left out unless `announced`.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _KNOWN,
            {
                "ids": list(instrument_ids) if instrument_ids is not None else None,
                "symbols": list(symbols) if symbols is not None else None,
                "provider": provider,
                "as_of": as_of,
                "announced": announced,
            },
        )
        return [
            KnownAction(
                instrument_id=instrument_id,
                symbol=symbol,
                provider=named,
                action=CorporateAction(ex_date, ActionKind(kind), value, currency),
                known_from=known_from,
                known_to=known_to,
            )
            for (
                instrument_id, symbol, named, ex_date, kind, value, currency, known_from, known_to
            ) in cursor
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class InstrumentKey:
    """Hold what recording an action takes of an instrument."""

    id: int
    venue: str


def find_instruments(symbols: Collection[str]) -> dict[str, InstrumentKey]:
    """Return, by symbol, those of the instruments that are known."""
    with default_connection.cursor() as cursor:
        cursor.execute(
            "SELECT symbol, id, venue FROM instrument WHERE symbol = ANY(%s)", [sorted(symbols)]
        )
        return {symbol: InstrumentKey(found, venue) for symbol, found, venue in cursor}


def withdraw_actions(
    instrument_id: int, *, provider: str, ex_date: date, kind: ActionKind
) -> CorporateAction | None:
    """Close what a provider states of one day, in the caller's transaction; return what it was."""
    statement = InstrumentActions(instrument_id, provider=provider, actions=())
    _lock([instrument_id])
    row = _open_rows([statement]).get((instrument_id, provider, ex_date, kind))
    if row is None:
        return None
    _write(_Difference(closed=(row,), added=()))
    return CorporateAction(ex_date, kind, row.value, row.currency)


def closes_before(
    connection: psycopg.Connection[Any],
    series_id: int,
    *,
    moments_us: Stamps,
    as_of: datetime | None = None,
) -> tuple[Stamps, FloatColumn]:
    """Return, per moment in µs, stamp and close of the last final bar before it.

    Where there is none the close is NaN and the stamp the moment itself.
    """
    stamps, closes = moments_us.copy(), np.full(len(moments_us), np.nan)
    values = {
        "series": series_id,
        "moments": [from_us(us) for us in moments_us.tolist()],
        "as_of": as_of,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLOSES_BEFORE if as_of is None else _CLOSES_BEFORE_AS_OF, values)
        for row, (stamp, close) in enumerate(cursor):
            if stamp is not None:
                stamps[row], closes[row] = to_us(stamp), close
    return stamps, closes


def _instruments_of(series_ids: Iterable[int]) -> dict[int, int]:
    with default_connection.cursor() as cursor:
        cursor.execute(_INSTRUMENTS, [sorted(series_ids)])
        return dict(cursor.fetchall())


def _open_rows(stated: Sequence[InstrumentActions]) -> dict[_Key, _OpenRow]:
    with default_connection.cursor() as cursor:
        cursor.execute(
            _OPEN,
            [
                sorted({one.instrument_id for one in stated}),
                sorted({one.provider for one in stated}),
            ],
        )
        return {
            (instrument_id, provider, ex_date, ActionKind(kind)): _OpenRow(
                row_id, value, currency, known_from
            )
            for (
                row_id, instrument_id, provider, ex_date, kind, value, currency, known_from
            ) in cursor
        }  # fmt: skip


def _compare(stated: Sequence[InstrumentActions], known: Mapping[_Key, _OpenRow]) -> _Difference:
    """Return what recording would change; of two statements in one batch the later one counts."""
    told: dict[_Key, tuple[CorporateAction, int | None]] = {}
    for one in stated:
        for action in one.actions:
            key = (one.instrument_id, one.provider, action.ex_date, action.kind)
            told[key] = (action, one.attempt_id)
    changed = {
        key: (action, attempt_id)
        for key, (action, attempt_id) in told.items()
        if not _states(known.get(key), action)
    }
    gone = [
        row
        for key, row in known.items()
        if key in changed or (key not in told and _is_withdrawn(key, stated))
    ]
    return _Difference(
        closed=tuple(gone), added=tuple((key, *what) for key, what in sorted(changed.items()))
    )


def _states(row: _OpenRow | None, action: CorporateAction) -> bool:
    """Tell whether a row says the same; a statement without a currency contradicts none."""
    return (
        row is not None
        and same_value(row.value, action.value)
        and action.currency in ("", row.currency)
    )


def _is_withdrawn(key: _Key, stated: Sequence[InstrumentActions]) -> bool:
    instrument_id, provider, ex_date, _ = key
    return any(
        one.window is not None
        and (one.instrument_id, one.provider) == (instrument_id, provider)
        and one.window.start_us <= date_us(ex_date) < one.window.end_us
        for one in stated
    )


def _lock(instrument_ids: Iterable[int]) -> None:
    with default_connection.cursor() as cursor:
        cursor.execute(_LOCK, [LOCK_CLASS, LOCK_STRIPES, sorted(set(instrument_ids))])


def _write(difference: _Difference) -> None:
    with default_connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (moment,) = cursor.fetchone()
        # A clock that was set back must not make a row end before it began.
        for row in difference.closed:
            moment = max(moment, row.known_from + timedelta(microseconds=1))
        cursor.execute(_CLOSE, [moment, [row.id for row in difference.closed]])
        cursor.executemany(
            _ADD,
            [
                (instrument_id, provider, ex_date, kind.value, action.value, action.currency,
                 attempt_id, moment)
                for (instrument_id, provider, ex_date, kind), action, attempt_id in difference.added
            ],
        )  # fmt: skip

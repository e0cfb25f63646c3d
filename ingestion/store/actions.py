"""Record splits and dividends, each with the time in which it was known.

Bar series of one instrument at one provider state the same actions again and again. What is stated
as it stands costs one read and takes no lock; only a difference takes the instrument's advisory
lock, after the locks of any series, and is judged again under it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from django.db import connection as default_connection

from ingestion.domain.adjusting import date_us, same_value
from ingestion.domain.windows import Window
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

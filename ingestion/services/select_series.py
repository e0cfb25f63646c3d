"""Decide which stored series serve a selection, and what comes out of each."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

import psycopg

from ingestion.domain.adjusting import CannotAdjust
from ingestion.domain.choosing import MADE_UP
from ingestion.domain.errors import MdcError
from ingestion.domain.selection import (
    BEST,
    SelectedSeries,
    Selection,
    Source,
    is_divisible,
)
from ingestion.services.find_series import find_series
from ingestion.store.action_reads import actions_of
from ingestion.store.series_reads import SeriesRow
from providers.types import Adjustment, Anchor, Hours, Timeframe

_NAMED: Final = 3
_STEPS: Final = (Adjustment.RAW, Adjustment.SPLIT, Adjustment.SPLIT_DIV)

Key = TypeVar("Key", bound=Hashable)


class NothingShorter(MdcError):
    """Signal symbols of which no bars are stored that could be put together."""

    def __init__(self, symbols: Sequence[str], *, target: Timeframe) -> None:
        super().__init__(
            f"nothing shorter than {target} that divides it is stored of {_named(symbols)}; "
            "`mdc coverage` shows what is"
        )
        self.symbols = tuple(symbols)
        self.target = target


def select_series(
    connection: psycopg.Connection[Any], selection: Selection
) -> tuple[SelectedSeries, ...]:
    """Return what comes out of a selection, in listing order; none where no series has its shape.

    Raises NothingStored for a symbol without any series, NothingShorter where nothing can be
    put together, and CannotAdjust where no basis is stored that leads to the wanted one, or where
    nothing was ever recorded of an instrument that would change its prices.
    """
    rows = find_series(
        symbols=selection.symbols,
        timeframes=selection.timeframes,
        provider=None if selection.is_best else selection.provider,
        connection=connection,
    )
    rows = [one for one in rows if _has_shape(one, selection)]
    if selection.is_best:
        rows = _without_made_up(rows)
    if selection.adjust is not None:
        rows = _adjustable(rows, selection=selection, basis=selection.adjust)
    if selection.resample is not None:
        rows = _resamplable(rows, selection=selection, target=selection.resample)
    if selection.adjust is not None:
        _check_actions(connection, rows, selection=selection)
    by_output = _grouped(rows, lambda one: _output(one, selection))
    return tuple(
        replace(output, sources=tuple(_source(one) for one in _by_precedence(sources)))
        for output, sources in sorted(by_output.items(), key=lambda pair: pair[0].sort_key)
    )


def _has_shape(row: SeriesRow, selection: Selection) -> bool:
    return (
        (row.hours is selection.hours or _holds_regular(row, selection))
        and (selection.anchor in (None, row.anchor) or not row.timeframe.is_intraday)
        and selection.adjustment in (None, row.adjustment)
    )


def _holds_regular(row: SeriesRow, selection: Selection) -> bool:
    """Tell whether regular bars can be picked out of an extended series to derive others from."""
    return (
        selection.resample is not None
        and selection.hours is Hours.REGULAR
        and row.timeframe.is_intraday
        and (row.anchor is Anchor.OPEN or row.timeframe is Timeframe.M1)
    )


def _without_made_up(rows: Sequence[SeriesRow]) -> list[SeriesRow]:
    """Drop made-up prices wherever somebody has real ones of the symbol."""
    real = {one.symbol for one in rows if one.provider not in MADE_UP}
    return [one for one in rows if one.provider not in MADE_UP or one.symbol not in real]


def _resamplable(
    rows: Sequence[SeriesRow], *, selection: Selection, target: Timeframe
) -> list[SeriesRow]:
    """Keep one timeframe per symbol and provider, the shortest; regular series before extended."""
    shorter = [one for one in rows if is_divisible(target, by=one.timeframe)]
    lacking = sorted({one.symbol for one in rows} - {one.symbol for one in shorter})
    if lacking or not rows:
        raise NothingShorter(lacking or selection.symbols, target=target)

    def rank(row: SeriesRow) -> tuple[object, ...]:
        return (row.hours is not selection.hours, row.timeframe.duration)

    return _first_of_each(shorter, by=lambda one: _owner(one, selection), rank=rank)


def _adjustable(
    rows: Sequence[SeriesRow], *, selection: Selection, basis: Adjustment
) -> list[SeriesRow]:
    """Keep one basis per symbol, timeframe and provider: the least adjusted one that leads on."""
    leading = [one for one in rows if _leads(one.adjustment, to=basis)]
    lacking = sorted({one.symbol for one in rows} - {one.symbol for one in leading})
    if lacking:
        held = sorted({one.adjustment.value for one in rows if one.symbol in lacking})
        raise CannotAdjust(
            f"{_named(lacking)} is stored as {', '.join(held)} alone, from which {basis} prices "
            f"cannot be computed; fetch a raw series, or export {' or '.join(held)} as it is"
        )
    return _first_of_each(
        leading,
        by=lambda one: (_owner(one, selection), one.timeframe),
        rank=lambda one: (_STEPS.index(one.adjustment),),
    )


def _leads(stored: Adjustment, *, to: Adjustment) -> bool:
    return _STEPS.index(stored) <= _STEPS.index(to)


def _check_actions(
    connection: psycopg.Connection[Any], rows: Sequence[SeriesRow], *, selection: Selection
) -> None:
    """Refuse to call prices adjusted of which nobody ever said what to adjust for."""
    if selection.unadjusted_ok:
        return
    asked = {
        one.instrument_id: one.symbol for one in rows if one.adjustment is not selection.adjust
    }
    if not asked:
        return
    known = actions_of(
        connection, instrument_ids=list(asked), as_of=selection.as_of, announced=True
    )
    lacking = asked.keys() - {one.instrument_id for one in known}
    if lacking:
        when = "" if selection.as_of is None else " at that time"
        raise CannotAdjust(
            f"no split or dividend of {_named(sorted(asked[one] for one in lacking))} is recorded"
            f"{when}, so that adjusted prices would be the stored ones: fetch daily bars from "
            "yahoo, or use `mdc actions import`; or say with --allow-unadjusted that it has none"
        )


def _output(row: SeriesRow, selection: Selection) -> SelectedSeries:
    return SelectedSeries(
        provider=BEST if selection.is_best else row.provider,
        symbol=row.symbol,
        event_type=row.event_type,
        timeframe=selection.resample or row.timeframe,
        adjustment=selection.adjust or row.adjustment,
        hours=selection.hours,
        anchor=row.anchor,
        venue=row.venue,
        sources=(),
    )


def _source(row: SeriesRow) -> Source:
    return Source(
        series_id=row.id,
        instrument_id=row.instrument_id,
        provider=row.provider,
        timeframe=row.timeframe,
        adjustment=row.adjustment,
        hours=row.hours,
        listed_from=row.listed_from,
        delisted_on=row.delisted_on,
    )


def _by_precedence(rows: Iterable[SeriesRow]) -> list[SeriesRow]:
    return sorted(rows, key=lambda one: (one.precedence, one.id))


def _owner(row: SeriesRow, selection: Selection) -> tuple[object, ...]:
    """Name whose bars a choice among several series is made for.

    Providers to choose from have to agree, so that with the best one they are one owner.
    """
    provider = BEST if selection.is_best else row.provider
    basis = row.adjustment if selection.adjust is None else selection.adjust
    return (row.symbol, provider, row.anchor, basis)


def _first_of_each(
    rows: Sequence[SeriesRow],
    *,
    by: Callable[[SeriesRow], Hashable],
    rank: Callable[[SeriesRow], tuple[Any, ...]],
) -> list[SeriesRow]:
    """Keep, of each group, the rows of lowest rank."""
    groups = _grouped(rows, by)
    lowest = {key: min(rank(one) for one in members) for key, members in groups.items()}
    return [one for key, members in groups.items() for one in members if rank(one) == lowest[key]]


def _grouped(
    rows: Iterable[SeriesRow], by: Callable[[SeriesRow], Key]
) -> dict[Key, list[SeriesRow]]:
    groups: dict[Key, list[SeriesRow]] = {}
    for one in rows:
        groups.setdefault(by(one), []).append(one)
    return groups


def _named(symbols: Sequence[str]) -> str:
    if not symbols:
        return "anything"
    shown = ", ".join(symbols[:_NAMED])
    return shown if len(symbols) <= _NAMED else f"{shown} and {len(symbols) - _NAMED} more"

"""Damage rows on request, the same rows each time a rule meets the same answer."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from providers.bars import Bars
from providers.sessions import Sessions
from providers.simulator.market import forming, session_labels
from providers.simulator.rules import (
    BadOhlc,
    Conflict,
    Duplicate,
    Forming,
    Nulls,
    OutOfOrder,
    Revise,
    RowRule,
    Withhold,
)

PRICES = ("open", "high", "low", "close")
LabelsOf = Callable[[Bars], NDArray[np.int64]]


def damage(bars: Bars, rules: Iterable[RowRule], *, sessions: Sessions, intraday: bool) -> Bars:
    """Apply row rules in order."""

    def labels_of(rows: Bars) -> NDArray[np.int64]:
        return session_labels(sessions, rows.ts) if intraday else rows.ts

    for rule in rules:
        if len(bars):
            bars = _apply(rule, bars, labels_of)
    return bars


@singledispatch
def _apply(rule: RowRule, bars: Bars, labels_of: LabelsOf) -> Bars:
    raise TypeError(f"no row fault for {type(rule).__name__}")


@_apply.register
def _(rule: Duplicate, bars: Bars, labels_of: LabelsOf) -> Bars:
    del labels_of
    return bars.take(np.sort(np.r_[np.arange(len(bars)), _pick(rule, bars, rule.rows)]))


@_apply.register
def _(rule: Conflict, bars: Bars, labels_of: LabelsOf) -> Bars:
    del labels_of
    picked = _pick(rule, bars, rule.rows)
    twins = bars.take(picked)
    twins = _replaced(
        twins, close=(twins.open + twins.close) / 2 + 0.01, volume=np.floor(twins.volume * 1.5) + 1
    )
    places = np.r_[np.arange(len(bars)), picked]
    return Bars.concat([bars, twins]).take(np.argsort(places, kind="stable"))


@_apply.register
def _(rule: OutOfOrder, bars: Bars, labels_of: LabelsOf) -> Bars:
    del labels_of
    if rule.reverse:
        return bars.take(slice(None, None, -1))
    return bars.take(_generator(rule, bars).permutation(len(bars)))


@_apply.register
def _(rule: Forming, bars: Bars, labels_of: LabelsOf) -> Bars:
    del labels_of
    return forming(bars, rule.fraction)


@_apply.register
def _(rule: BadOhlc, bars: Bars, labels_of: LabelsOf) -> Bars:
    del labels_of
    picked = _pick(rule, bars, rule.rows)
    high, low = bars.high.copy(), bars.low.copy()
    high[picked], low[picked] = low[picked] - 0.01, high[picked] + 0.01
    return _replaced(bars, high=high, low=low)


@_apply.register
def _(rule: Nulls, bars: Bars, labels_of: LabelsOf) -> Bars:
    del labels_of
    picked = _pick(rule, bars, rule.rows)
    columns = {name: getattr(bars, name).copy() for name in (*PRICES, "volume")}
    for column in columns.values():
        column[picked] = np.nan
    return _replaced(bars, **columns)


@_apply.register
def _(rule: Withhold, bars: Bars, labels_of: LabelsOf) -> Bars:
    return bars.take(~np.isin(labels_of(bars), _stamps(rule.dates)))


@_apply.register
def _(rule: Revise, bars: Bars, labels_of: LabelsOf) -> Bars:
    revised = np.isin(labels_of(bars), _stamps(rule.dates)) if rule.dates else True
    columns = {
        name: np.where(revised, np.round(getattr(bars, name) * rule.factor, 6), getattr(bars, name))
        for name in PRICES
    }
    volume = np.where(revised, np.round(bars.volume * rule.volume_factor), bars.volume)
    return _replaced(bars, **columns, volume=volume)


def _replaced(bars: Bars, **columns: NDArray[np.float64]) -> Bars:
    return Bars(*(columns.get(name, getattr(bars, name)) for name in Bars.__slots__))


def _generator(rule: RowRule, bars: Bars) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(rule.name.encode()), int(bars.ts[0]) & 0xFFFFFFFF])


def _pick(rule: RowRule, bars: Bars, rows: int) -> NDArray[np.int64]:
    return np.sort(_generator(rule, bars).choice(len(bars), min(rows, len(bars)), replace=False))


def _stamps(dates: Iterable[str]) -> NDArray[np.int64]:
    return (
        np.array(
            [int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) for day in dates],
            dtype=np.int64,
        )
        * 1_000_000
    )

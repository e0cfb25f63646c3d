"""Bring together what adjusting one stored series takes: its actions and the closes before them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from ingestion.domain.adjusting import (
    Factors,
    Stamps,
    check_adjustable,
    choose_actions,
    dividend_dates,
    factors,
)
from ingestion.store.action_reads import actions_of
from ingestion.store.bar_reads import stamp_bounds
from ingestion.store.closes import closes_before
from providers.sessions import DAY_US, Sessions
from providers.types import Adjustment, Timeframe

# No venue closes for longer between two sessions, bar wars.
_STALE_US: Final = 14 * DAY_US


def series_factors(
    connection: psycopg.Connection[Any],
    *,
    series_id: int,
    instrument_id: int,
    provider: str,
    timeframe: Timeframe,
    sessions: Sessions,
    basis_from: Adjustment,
    basis_to: Adjustment,
    as_of: datetime | None = None,
) -> Factors:
    """Return the factors from a series' own basis to another one, as known at `as_of` (None: now).

    Use them as `factors.adjust(bars, labels_us=bar_labels(bars.ts, ...))`. A dividend from long
    after the last stored bar does not count: there is no price to relate it to, and it would only
    scale the whole series. Raises CannotAdjust.
    """
    check_adjustable(timeframe, basis_from=basis_from, basis_to=basis_to)
    known = actions_of(connection, instrument_ids=[instrument_id], as_of=as_of)
    chosen = choose_actions(((one.provider, one.action) for one in known), provider=provider)
    days = dividend_dates(chosen, basis_from=basis_from, basis_to=basis_to)
    moments = _moments(days, timeframe=timeframe, sessions=sessions)
    stamps, closes = closes_before(connection, series_id, moments_us=moments, as_of=as_of)
    closes[_long_after_the_last(connection, series_id, stamps, moments)] = np.nan
    return factors(
        chosen,
        closes_before=closes,
        close_labels_us=bar_labels(stamps, timeframe=timeframe, sessions=sessions),
        basis_from=basis_from,
        basis_to=basis_to,
    )


def _long_after_the_last(
    connection: psycopg.Connection[Any], series_id: int, stamps: Stamps, moments: Stamps
) -> NDArray[np.bool_]:
    """Tell which dividends came so long after the last bar that its close says nothing of them."""
    stale: NDArray[np.bool_] = moments - stamps > _STALE_US
    if stale.any():
        bounds = stamp_bounds(connection, [series_id])
        stale &= stamps == (bounds[1] if bounds else 0)
    return stale


def bar_labels(stamps: Stamps, *, timeframe: Timeframe, sessions: Sessions) -> Stamps:
    """Return the label (00:00Z in µs) of the session that each bar belongs to.

    Pre- and post-market bars belong to the nearer session; a daily bar's stamp is its label.
    """
    if not timeframe.is_intraday or not len(sessions):
        return stamps - stamps % DAY_US
    borders = (sessions.closes[:-1] + sessions.opens[1:]) // 2
    return sessions.labels[np.searchsorted(borders, stamps, side="right")]


def _moments(days: Stamps, *, timeframe: Timeframe, sessions: Sessions) -> Stamps:
    """Return before when the close of the last session before each ex-date is to be found."""
    if not timeframe.is_intraday or not len(sessions):
        return days
    before = np.searchsorted(sessions.labels, days) - 1
    return np.where(before < 0, sessions.opens[0], sessions.closes[before])

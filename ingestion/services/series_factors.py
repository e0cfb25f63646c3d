"""Bring together what adjusting one stored series takes: its actions and the closes before them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import psycopg

from ingestion.domain.adjusting import (
    Factors,
    Stamps,
    check_adjustable,
    choose_actions,
    dividend_dates,
    factors,
)
from ingestion.store.actions import actions_of, closes_before
from providers.sessions import DAY_US, Sessions
from providers.types import Adjustment, Timeframe


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

    Use them as `factors.adjust(bars, labels_us=bar_labels(bars.ts, ...))`. Raises CannotAdjust.
    """
    check_adjustable(timeframe, basis_from=basis_from, basis_to=basis_to)
    known = actions_of(connection, instrument_ids=[instrument_id], as_of=as_of)
    chosen = choose_actions(((one.provider, one.action) for one in known), provider=provider)
    days = dividend_dates(chosen, basis_from=basis_from, basis_to=basis_to)
    moments = _moments(days, timeframe=timeframe, sessions=sessions)
    stamps, closes = closes_before(connection, series_id, moments_us=moments, as_of=as_of)
    return factors(
        chosen,
        closes_before=closes,
        close_labels_us=bar_labels(stamps, timeframe=timeframe, sessions=sessions),
        basis_from=basis_from,
        basis_to=basis_to,
    )


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

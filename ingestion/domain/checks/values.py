"""Bars that contradict themselves, and bars where the venue's calendar has none."""

from __future__ import annotations

from typing import Any

import numpy as np

from ingestion.domain.checks.evidence import bars_around, bounded
from ingestion.domain.checks.found import Found
from ingestion.domain.checks.stretch import Mask, Stretch, true_runs
from ingestion.domain.findings import Check, Severity
from ingestion.domain.quality import Reason, value_faults
from providers.bars import Bars


def sound(bars: Bars, *, may_be_negative: bool) -> Mask:
    """Tell which bars contradict nothing and so may be reckoned with."""
    faults = value_faults(bars, allow_negative_prices=may_be_negative)
    return ~_any_of(faults)


def _any_of(faults: dict[Reason, Mask]) -> Mask:
    return np.asarray(np.logical_or.reduce(list(faults.values())), np.bool_)


def find_contradictions(stretch: Stretch) -> list[Found]:
    """Return runs of bars whose high is not the highest, whose prices are none, and the like.

    A fetch refuses such rows; SQL and imports with --no-validate do not.
    """
    faults = value_faults(stretch.bars, allow_negative_prices=stretch.may_be_negative)
    found = []
    for first, last in true_runs(_any_of(faults)):
        if stretch.is_judged(first, last):
            counted = {
                reason.value: int(mask[first : last + 1].sum()) for reason, mask in faults.items()
            }
            found.append(_found(stretch, Check.OHLC, first, last, _named(counted)))
    return bounded(found)


def _named(counted: dict[str, int]) -> dict[str, Any]:
    return {"reasons": {name: number for name, number in counted.items() if number}}


def find_strays(stretch: Stretch) -> list[Found]:
    """Return runs of bars whose stamps no session of the series' hours holds.

    They come from a calendar that has changed since, or from writers beside mdc.
    """
    if not len(stretch.bars):
        return []
    off = ~stretch.expectation.on_grid(stretch.bars.ts)
    found = []
    for first, last in true_runs(off):
        if stretch.is_judged(first, last):
            why = {"reasons": {Reason.OFF_GRID.value: last - first + 1}}
            found.append(_found(stretch, Check.OUTSIDE_SESSION, first, last, why))
    return bounded(found)


def _found(stretch: Stretch, kind: Check, first: int, last: int, why: dict[str, Any]) -> Found:
    start_us, end_us = stretch.span(first, last)
    severity = Severity.ERROR if kind is Check.OHLC else Severity.WARNING
    evidence = {
        **why,
        "bars_affected": last - first + 1,
        "bars_around": bars_around(stretch.bars, first, last),
    }
    return Found(kind, severity, start_us, end_us, evidence)

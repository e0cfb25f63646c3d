"""Judge the pages of one answer: what is good, what is refused, and what silence proves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ingestion.calendars import expectation_for
from ingestion.domain.expectation import Expectation
from ingestion.domain.quality import Verdict, validate
from ingestion.domain.updating import settled_until
from ingestion.domain.windows import Window, to_us
from ingestion.store.series import SeriesFacts
from providers.bars import Bars
from providers.types import Hours, Page


@dataclass(frozen=True, slots=True)
class Refused:
    """Hold one refused row; `ts_us` is None where it is no possible time."""

    ts_us: int | None
    reason: str
    raw: object


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold what became of the rows of an answer.

    `outside_hours` counts sound rows of a part of the day that the series does not hold,
    `proven_until_us` is how far silence means "no bar". `failed` says why nothing may be stored;
    None where it may.
    """

    bars: Bars
    refused: tuple[Refused, ...]
    rows_in: int
    collapsed: int
    outside_hours: int
    proven_until_us: int | None
    failed: str | None


def validate_answer(
    pages: Sequence[Page],
    *,
    facts: SeriesFacts,
    window: Window,
    as_of_us: int,
    finality_delay_us: int,
    minimum_bars: int,
    max_bad_fraction: float,
    strict: bool,
) -> Answer:
    """Validate all pages together; `as_of_us` is when they were asked for, by PostgreSQL."""
    bars = _without_noise(Bars.concat([page.bars for page in pages]), facts)
    expectation = _expectation(facts, facts.hours)
    verdict = validate(
        bars,
        window=window,
        expectation=expectation,
        as_of_us=as_of_us,
        finality_delay_us=finality_delay_us,
        minimum_bars=minimum_bars,
        max_bad_fraction=max_bad_fraction,
        # Minutes before and after the session are no fault of a regular series.
        extended=_expectation(facts, Hours.EXTENDED) if facts.timeframe.is_intraday else None,
        strict=strict,
        allow_negative_prices=facts.may_be_negative,
    )
    return Answer(
        bars=verdict.good,
        refused=_refused(pages, bars, verdict),
        rows_in=len(bars),
        collapsed=verdict.collapsed,
        outside_hours=verdict.outside_hours,
        proven_until_us=_proven_until(
            pages,
            verdict.good,
            expectation=expectation,
            settled_us=as_of_us - finality_delay_us,
            window=window,
        ),
        failed=verdict.failed,
    )


def _expectation(facts: SeriesFacts, hours: Hours) -> Expectation:
    return expectation_for(
        venue=facts.venue, timeframe=facts.timeframe, hours=hours, anchor=facts.anchor
    )


def _without_noise(bars: Bars, facts: SeriesFacts) -> Bars:
    """Leave out the volume of an instrument that has none: providers send zeros, or worse."""
    if facts.has_volume:
        return bars
    absent = np.full(len(bars), np.nan)
    return replace(bars, volume=absent, vwap=absent)


def _proven_until(
    pages: Sequence[Page], good: Bars, *, expectation: Expectation, settled_us: int, window: Window
) -> int | None:
    """Return up to where silence means "no bar": not beyond a truncation, not into the unsettled.

    Bars whose end, and the provider's delay after it, lie in the future may still arrive. A bar
    that the provider itself calls forming is not settled either, and is asked for again.
    """
    limits = [to_us(page.proven_until) for page in pages if page.proven_until is not None]
    limits += good.ts[~good.final][:1].tolist()
    if window.end_us > settled_us:
        units = expectation.units_between(window.start_us, window.end_us)
        if expectation.timeframe.is_intraday:
            limits.append(settled_until(expectation, settled_us=settled_us))
        else:
            open_units = units.starts[expectation.bar_ends(units.starts) > settled_us]
            limits.extend(int(start) for start in open_units[:1])
    return min(limits, default=None)


def _refused(pages: Sequence[Page], bars: Bars, verdict: Verdict) -> tuple[Refused, ...]:
    """Pair refused rows with what the provider sent."""
    if not len(verdict.bad_rows):
        return ()
    rows: list[Refused] = []
    for row, reason in zip(verdict.bad_rows.tolist(), verdict.reasons, strict=True):
        page, index = _locate(pages, row)
        stamp = int(bars.ts[row])
        rows.append(
            Refused(
                ts_us=stamp if reason != "bad_stamp" else None,
                reason=str(reason),
                raw=page.raw_row(index),
            )
        )
    return tuple(rows)


def _locate(pages: Sequence[Page], row: int) -> tuple[Page, int]:
    for page in pages:
        if row < len(page.bars):
            return page, row
        row -= len(page.bars)
    raise IndexError(row)

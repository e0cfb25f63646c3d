"""Judge the pages of one answer: what is good, what is refused, and what silence proves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

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

    `outside_hours` counts sound rows of a part of the day that the series does not hold, `beside`
    are the bars next to the window that came along with it, as they came, to be compared.
    `proven_until_us` is how far silence means "no bar". `failed` says why nothing may be stored;
    None where it may.
    """

    bars: Bars
    beside: Bars
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
    asked: Window,
) -> Answer:
    """Validate all pages together; `as_of_us` is when they were asked for, by PostgreSQL.

    What came of `asked` beside the window is no part of the answer.
    """
    sent = _without_noise(Bars.concat([page.bars for page in pages]), facts)
    own = _own_rows(sent, window=window, asked=asked)
    bars = sent if own is None else sent.take(own)
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
        beside=Bars.empty() if own is None else _ascending(sent.take(~own)),
        refused=_refused(pages, sent, verdict, own=own),
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


def _own_rows(sent: Bars, *, window: Window, asked: Window) -> NDArray[np.bool_] | None:
    """Tell which rows are not just beside the window; None where no further rows were asked for."""
    if asked == window:
        return None
    before = (sent.ts >= asked.start_us) & (sent.ts < window.start_us)
    after = (sent.ts >= window.end_us) & (sent.ts < asked.end_us)
    return ~(before | after)


def _ascending(bars: Bars) -> Bars:
    """Return bars by stamp, of repeated ones the first."""
    _, rows = np.unique(bars.ts, return_index=True)
    return bars.take(rows)


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
    # What is asked for beside the window may be all that came before a truncation.
    return max(window.start_us, min(limits)) if limits else None


def _refused(
    pages: Sequence[Page], sent: Bars, verdict: Verdict, *, own: NDArray[np.bool_] | None
) -> tuple[Refused, ...]:
    """Pair refused rows with what the provider sent."""
    if not len(verdict.bad_rows):
        return ()
    bad = verdict.bad_rows if own is None else np.flatnonzero(own)[verdict.bad_rows]
    rows: list[Refused] = []
    for row, reason in zip(bad.tolist(), verdict.reasons, strict=True):
        page, index = _locate(pages, row)
        stamp = int(sent.ts[row])
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

"""What a reader asks of the stored bars, and the shape in which it comes: plain values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingestion.domain.errors import BadRequest
from providers.bars import Bars
from providers.types import Adjustment, Anchor, Hours, Timeframe

# Stands where a provider's name would: per session, the one whose bars are most complete.
BEST: Final = "best"

Codes = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Selection:
    """Ask for stored bars; what is left empty does not narrow.

    `adjustment` names the basis on which bars are stored, `adjust` one to compute. `resample`
    derives longer bars from stored ones: of the single timeframe given, or of the finest there
    is. `start` and `end` bound the stamps that come out, [start, end). `as_of` reads what was
    known at that moment. `final_only` leaves out bars that are still forming. `unadjusted_ok`
    says that an instrument without any recorded action is meant to come out as it is stored.
    """

    symbols: tuple[str, ...] = ()
    timeframes: tuple[Timeframe, ...] = ()
    provider: str | None = None
    hours: Hours = Hours.REGULAR
    anchor: Anchor | None = None
    adjustment: Adjustment | None = None
    adjust: Adjustment | None = None
    resample: Timeframe | None = None
    start: datetime | None = None
    end: datetime | None = None
    as_of: datetime | None = None
    final_only: bool = False
    unadjusted_ok: bool = False

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.end < self.start:
            raise BadRequest("the end lies before the start; swap them", field="end")
        if self.adjust is Adjustment.RAW:
            raise BadRequest(
                "raw prices are stored, not computed; ask for the stored adjustment raw instead",
                field="adjust",
            )
        if self.resample is not None:
            _check_resample(self.resample, self.timeframes)
        if self.is_best and self.resample in (Timeframe.W1, Timeframe.MO1):
            raise BadRequest(
                f"the best provider is chosen session by session, so that a {self.resample} bar "
                "would mix providers; resample to 1d at most, or name one provider",
                field="resample",
            )

    @property
    def is_best(self) -> bool:
        """Tell whether the provider is to be chosen session by session."""
        return self.provider == BEST


def _check_resample(target: Timeframe, given: tuple[Timeframe, ...]) -> None:
    if len(given) > 1:
        raise BadRequest(
            "name one timeframe to resample from, or none for the finest that is stored",
            field="timeframes",
        )
    if given and not is_divisible(target, by=given[0]):
        raise BadRequest(
            f"{target} bars cannot be made of {given[0]} bars; resample from a shorter "
            f"timeframe that divides {target}",
            field="resample",
        )


def is_divisible(target: Timeframe, *, by: Timeframe) -> bool:
    """Tell whether bars of one length are whole groups of bars of a shorter one.

    A session is made of any intraday bars; weeks and months of sessions, a month not of weeks.
    """
    if target.duration <= by.duration or by is Timeframe.W1:
        return False
    return not target.is_intraday or not target.duration % by.duration


@dataclass(frozen=True, slots=True)
class Source:
    """Name one stored series that serves a selection; nothing is expected outside its listing."""

    series_id: int
    instrument_id: int
    provider: str
    timeframe: Timeframe
    adjustment: Adjustment
    hours: Hours
    listed_from: date | None
    delisted_on: date | None


@dataclass(frozen=True, slots=True)
class SelectedSeries:
    """Identify one sequence of bars that comes out, and the series it is made of.

    `provider` is BEST where there are several sources to choose from, in the order of their
    precedence; they share everything but the provider. `timeframe`, `adjustment` and `hours` are
    those of the bars that come out.
    """

    provider: str
    symbol: str
    event_type: str
    timeframe: Timeframe
    adjustment: Adjustment
    hours: Hours
    anchor: Anchor
    venue: str
    sources: tuple[Source, ...]

    @property
    def is_derived(self) -> bool:
        """Tell whether its bars are made of shorter ones."""
        return self.timeframe is not self.sources[0].timeframe

    @property
    def sort_key(self) -> tuple[str, ...]:
        """Return the order of every listing: by code point, whatever the database collates by."""
        return (
            self.provider,
            self.symbol,
            self.timeframe.value,
            self.adjustment.value,
            self.hours.value,
            self.anchor.value,
        )


@dataclass(frozen=True, slots=True, eq=False)
class SelectedChunk:
    """Hold some bars of one selected series, ascending by (ts, sequence).

    `codes` says per bar which of the series' sources it comes from; None: all from the first.
    `complete` tells, for derived bars, whether everything that was to go into each was there.
    `left_out` counts stored bars that lie in no session and so in no derived bar; a last chunk
    that only reports them has no bars.
    """

    series: SelectedSeries
    bars: Bars
    codes: Codes | None = None
    complete: NDArray[np.bool_] | None = None
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.bars)

    @property
    def is_derived(self) -> bool:
        """Tell whether the bars are made of shorter ones."""
        return self.series.is_derived

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> SelectedChunk:
        """Select bars by mask, index array or slice, in that order."""
        return replace(
            self,
            bars=self.bars.take(rows),
            codes=None if self.codes is None else self.codes[rows],
            complete=None if self.complete is None else self.complete[rows],
        )

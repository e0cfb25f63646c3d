"""Judging many series in one pass says of each what judging it unit by unit says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Expectation
from ingestion.domain.gaps import ALWAYS, EVER, Asked, Evidence, Gap, GapKind, GapReport, find_gaps
from ingestion.domain.spans import Spans
from ingestion.domain.windows import DAY_US
from tests.domain.shapes import expectations, moments, some_ranges, spans

KINDS = ("loaded", "proofs", "not_listed", "missing", "refused", "failed")


@dataclass(frozen=True)
class Drawn:
    """One series: what is asked of it, when it lived, what is known."""

    window: tuple[int, int]
    life: Ranges
    known: Mapping[str, Ranges]


dates = st.integers(0, 90).map(lambda day: day * DAY_US)
lives = st.one_of(
    st.just(Ranges.of([(ALWAYS, EVER)])),
    st.lists(st.tuples(dates, dates).map(sorted).map(tuple), max_size=3).map(Ranges.of),
)
drawn = st.builds(Drawn, spans, lives, st.fixed_dictionaries(dict.fromkeys(KINDS, some_ranges)))


def judge(expectation: Expectation, series: list[Drawn], *, now_us: int) -> list[GapReport]:
    """Judge all of them together."""
    return find_gaps(
        expectation,
        asked=Asked.of(
            Spans.of_ranges({n: Ranges.of([one.window]) for n, one in enumerate(series)}),
            lives=Spans.of_ranges({n: one.life for n, one in enumerate(series)}),
        ),
        evidence=Evidence(
            **{
                kind: Spans.of_ranges({n: one.known[kind] for n, one in enumerate(series)})
                for kind in KINDS
            }
        ),
        count=len(series),
        now_us=now_us,
    )


@dataclass(frozen=True)
class Unit:
    """One expected unit that is over, and what became of it."""

    start: int
    end: int
    piece: int
    fate: str


def units_of(expectation: Expectation, one: Drawn, *, now_us: int) -> list[Unit]:
    """Judge one unit after the other, with nothing but questions to Ranges."""
    found: list[Unit] = []
    settled = one.known["loaded"].union(one.known["proofs"]).union(one.known["not_listed"])
    for piece, (born, gone) in enumerate(one.life.pairs()):
        start, end = max(one.window[0], born), min(one.window[1], gone)
        units = expectation.units_between(start, end) if start < end else None
        if units is None:
            continue
        over = units.ends
        if not expectation.timeframe.is_intraday:
            over = expectation.bar_ends(units.starts)
        mine = (over <= now_us) & (units.labels >= born) & (units.labels < gone)
        units = units.take(mine)
        for begin, stop in zip(units.starts.tolist(), units.ends.tolist(), strict=True):
            found.append(Unit(begin, stop, piece, _fate(one, settled, begin, stop)))
    return found


def _fate(one: Drawn, settled: Ranges, start: int, end: int) -> str:
    if one.known["not_listed"].covers(start, end):
        return "not_listed"
    if one.known["loaded"].covers(start, end):
        return "loaded"
    if settled.covers(start, end):
        return "explained"
    for kind in (GapKind.FAILED, GapKind.REFUSED, GapKind.MISSING):
        if len(one.known[kind.value].clip(start, end)):
            return kind.value
    return GapKind.UNKNOWN.value


def grouped(units: list[Unit]) -> list[Gap]:
    """Join lacking neighbours of one kind, as a person would with a pencil."""
    gaps: list[Gap] = []
    before: Unit | None = None
    for one in units:
        if one.fate in {kind.value for kind in GapKind}:
            last = gaps[-1] if gaps else None
            if last and before and (before.fate, before.piece) == (one.fate, one.piece):
                gaps[-1] = Gap(last.start, one.end, last.units + 1, last.kind)
            else:
                gaps.append(Gap(one.start, one.end, 1, GapKind(one.fate)))
        before = one
    return gaps


@settings(max_examples=30, deadline=None)
@given(expectations, st.lists(drawn, min_size=1, max_size=4), moments)
def test_together_as_one_by_one(expectation: Expectation, series: list[Drawn], now_us: int) -> None:
    """Counts and gaps of each are those of its own units, whatever stands beside it."""
    for one, report in zip(series, judge(expectation, series, now_us=now_us), strict=True):
        units = units_of(expectation, one, now_us=now_us)
        fates = [unit.fate for unit in units]
        listed = [fate for fate in fates if fate != "not_listed"]
        assert report.expected == len(listed)
        assert (report.loaded, report.explained) == (
            fates.count("loaded"),
            fates.count("explained"),
        )
        assert list(report.gaps) == grouped(units)
        assert report.lacking == len(listed) - report.loaded - report.explained


@settings(max_examples=30, deadline=None)
@given(expectations, drawn, moments)
def test_the_watermark_passes_no_gap(expectation: Expectation, one: Drawn, now_us: int) -> None:
    """Before it nothing lacks, not even of a session that is not over; it lies where data is."""
    (report,) = judge(expectation, [one], now_us=now_us)
    if report.watermark is None:
        return
    mark = report.watermark
    assert all(gap.start >= mark for gap in report.gaps)
    known = one.known["loaded"].union(one.known["proofs"])
    assert int(known.starts[0]) < mark
    settled = known.union(one.known["not_listed"])
    for piece in one.life.clip(*one.window).pairs():
        stamps = expectation.promised.stamps(piece[0], min(piece[1], mark))
        labels = _labels(expectation, stamps)
        born, gone = next(life for life in one.life.pairs() if life[0] <= piece[0] < life[1])
        expected = stamps[(labels >= born) & (labels < gone)]
        assert settled.contains(expected).all()


def _labels(expectation: Expectation, stamps: np.ndarray) -> np.ndarray:
    at = np.searchsorted(expectation.units.starts, stamps, side="right") - 1
    return expectation.units.labels[at]

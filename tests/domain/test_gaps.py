"""Gaps are expected sessions that are over, neither loaded nor explained."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.calendars import expectation_for
from ingestion.domain.coverage import Ranges
from ingestion.domain.gaps import ALWAYS, EVER, Asked, Evidence, GapKind, GapReport, find_gaps
from ingestion.domain.spans import Spans
from ingestion.domain.windows import DAY_US, Window, from_us, to_us
from providers.types import Anchor, Hours, Timeframe

FAR_FUTURE = to_us(datetime(2030, 1, 1, tzinfo=UTC))
JANUARY = Window(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC))


def days(*spans: tuple[str, str]) -> Ranges:
    """Build ranges from half-open pairs of dates in January 2024."""
    return Ranges.of_windows(
        Window(
            datetime.fromisoformat(f"2024-01-{first}T00:00Z"),
            datetime.fromisoformat(f"2024-01-{end}T00:00Z"),
        )
        for first, end in spans
    )


def evidence(**known: Ranges | None) -> Evidence:
    """Know of series 0 nothing but what is given."""
    return Evidence(**{name: Spans.of_ranges({0: one}) for name, one in known.items() if one})


@pytest.fixture(scope="module", autouse=True)
def calendar() -> None:
    """Load the calendar first: the examples of a property have a deadline each."""
    expectation()


def expectation(timeframe: Timeframe = Timeframe.D1, venue: str = "XNYS"):
    return expectation_for(
        venue=venue, timeframe=timeframe, hours=Hours.REGULAR, anchor=Anchor.OPEN
    )


def judge(
    known: Evidence,
    *,
    timeframe: Timeframe = Timeframe.D1,
    venue: str = "XNYS",
    window: Window = JANUARY,
    now_us: int = FAR_FUTURE,
) -> GapReport:
    """Judge series 0 over one window, as if it had always been listed."""
    ever = Ranges.of([(ALWAYS, EVER)])
    (report,) = find_gaps(
        expectation(timeframe, venue),
        asked=Asked.of(
            Spans.of_ranges({0: Ranges.of_windows([window])}), lives=Spans.of_ranges({0: ever})
        ),
        evidence=known,
        count=1,
        now_us=now_us,
    )
    return report


def spans(report) -> list[tuple[str, str, int, str]]:
    return [
        (f"{from_us(gap.start):%d}", f"{from_us(gap.end):%d}", gap.units, gap.kind.value)
        for gap in report.gaps
    ]


def test_nothing_known_is_one_gap_over_every_session() -> None:
    """Weekends and the two holidays of the month are not counted, and do not split the gap."""
    report = judge(evidence())
    assert (report.expected, report.loaded, report.lacking) == (21, 0, 21)
    assert spans(report) == [("02", "01", 21, "unknown")]


def test_holidays_need_no_loading() -> None:
    """Loaded sessions alone leave no gap, with nothing said of the days between."""
    sessions = expectation().units_between(JANUARY.start_us, JANUARY.end_us)
    report = judge(evidence(loaded=sessions.ranges()))
    assert (report.expected, report.loaded, report.gaps) == (21, 21, ())


def test_kinds_split_gaps() -> None:
    """A failed slice beats a vain look, which beats not having asked."""
    report = judge(
        evidence(
            loaded=days(("02", "08"), ("20", "31")),
            missing=days(("08", "11")),
            failed=days(("10", "12")),
        )
    )
    assert spans(report) == [
        ("08", "10", 2, "missing"),
        ("10", "12", 2, "failed"),
        ("12", "20", 5, "unknown"),
        ("31", "01", 1, "unknown"),
    ]


def test_proofs_explain_and_listing_is_not_expected() -> None:
    """Before the listing nothing is expected; an explained session is expected and no gap."""
    report = judge(
        evidence(
            not_listed=days(("01", "10")), proofs=days(("11", "12")), loaded=days(("10", "11"))
        )
    )
    assert (report.expected, report.loaded, report.explained) == (15, 1, 1)
    assert spans(report) == [("12", "01", 13, "unknown")]


def test_a_session_is_expected_once_it_is_over() -> None:
    """While New York trades on the 31st its daily bar cannot exist yet."""
    before = to_us(datetime(2024, 1, 31, 20, 59, tzinfo=UTC))
    after = to_us(datetime(2024, 1, 31, 21, 0, tzinfo=UTC))
    assert judge(evidence(), now_us=before).expected == 20
    assert judge(evidence(), now_us=after).expected == 21


def test_intraday_sessions_count_as_one() -> None:
    """A session of minutes is a unit: covered wholly or not at all."""
    units = expectation(Timeframe.M1).units_between(JANUARY.start_us, JANUARY.end_us)
    whole = units.ranges()
    bitten = whole.subtract(Ranges.of([(int(units.starts[3]), int(units.starts[3]) + 60_000_000)]))
    assert judge(evidence(loaded=whole), timeframe=Timeframe.M1).lacking == 0
    report = judge(evidence(loaded=bitten), timeframe=Timeframe.M1)
    assert (report.expected, report.lacking) == (21, 1)


def test_weeks_are_units_of_their_own() -> None:
    """A week is expected when its last session is over."""
    report = judge(evidence(), timeframe=Timeframe.W1)
    assert [from_us(gap.start).date().isoformat() for gap in report.gaps] == ["2024-01-01"]
    assert report.expected == 5


def test_beyond_the_calendar_nothing_is_expected() -> None:
    """A window that reaches out of what the calendar knows is cut, not refused."""
    window = Window(datetime(1950, 1, 1, tzinfo=UTC), datetime(1960, 1, 8, tzinfo=UTC))
    report = judge(evidence(), window=window)
    assert report.expected == 4


pairs = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=5)


@given(pairs, pairs, pairs, pairs, pairs)
def test_every_session_is_counted_once(
    loaded: list[tuple[int, int]],
    proofs: list[tuple[int, int]],
    not_listed: list[tuple[int, int]],
    missing: list[tuple[int, int]],
    failed: list[tuple[int, int]],
) -> None:
    """Each session is exactly one of unlisted, loaded, explained, lacking, as one by one."""

    def ranges(parts: list[tuple[int, int]]) -> Ranges:
        return Ranges.of(
            (JANUARY.start_us + min(part) * DAY_US, JANUARY.start_us + max(part) * DAY_US)
            for part in parts
        )

    parts = {
        "loaded": ranges(loaded),
        "proofs": ranges(proofs),
        "not_listed": ranges(not_listed),
        "missing": ranges(missing),
        "failed": ranges(failed),
    }
    report = judge(evidence(**parts))
    assert report.expected == report.loaded + report.explained + report.lacking
    settled = parts["loaded"].union(parts["proofs"]).union(parts["not_listed"])
    units = expectation().units_between(JANUARY.start_us, JANUARY.end_us)
    lacking: list[tuple[int, GapKind]] = []
    for start, end in zip(units.starts.tolist(), units.ends.tolist(), strict=True):
        if settled.covers(start, end):
            continue
        kind = GapKind.UNKNOWN
        if len(parts["missing"].clip(start, end)):
            kind = GapKind.MISSING
        if len(parts["failed"].clip(start, end)):
            kind = GapKind.FAILED
        lacking.append((start, kind))
    found = [
        (start, gap.kind)
        for gap in report.gaps
        for start in units.starts[(units.starts >= gap.start) & (units.ends <= gap.end)].tolist()
    ]
    assert found == lacking
    assert sum(gap.units for gap in report.gaps) == len(lacking)
    assert np.all(np.diff([gap.start for gap in report.gaps]) > 0)


@pytest.mark.parametrize("venue", ["24/7", "XTKS", "CMES"])
def test_other_venues(venue: str) -> None:
    """Every venue is judged by its own sessions."""
    shape = expectation(venue=venue)
    report = judge(evidence(), venue=venue)
    assert report.expected == len(shape.expected_units(JANUARY))

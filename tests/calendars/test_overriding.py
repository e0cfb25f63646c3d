"""Sessions with what is declared of them trade exactly the minutes that are left."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.domain.expectation import expect
from providers.declared import Declared, DeclaredSession, trying
from providers.instants import to_us
from providers.overriding import overridden
from providers.session_kinds import SessionKind, session_kinds
from providers.sessiongrid import SessionGrid
from providers.sessions import DAY_US, NO_BREAK, Sessions
from providers.types import Anchor, Hours, Timeframe
from providers.venues import load_calendar, load_sessions

MINUTE = 60_000_000
# Where the clocks change on another night each, at half an hour too, and with a lunch break.
VENUES = {
    "XNYS": "2024-03-06",
    "XLON": "2024-03-27",
    "XASX": "2024-04-03",
    "XHKG": "2024-03-27",
    "CMES": "2024-10-30",
    "24/7": "2024-02-27",
}
minutes = st.integers(-120, 1560)
spans = st.tuples(minutes, st.integers(1, 400))


def label_of(day: str) -> int:
    return to_us(datetime.fromisoformat(day).replace(tzinfo=UTC))


def week_of(venue: str) -> Sessions:
    start = label_of(VENUES[venue])
    return load_calendar(venue).between(start, start + 8 * DAY_US)


def traded(sessions: Sessions) -> set[int]:
    """Return every minute that trades, the slow way: one by one, from the columns alone."""
    found: set[int] = set()
    for row in range(len(sessions)):
        found |= set(range(int(sessions.opens[row]), int(sessions.closes[row]), MINUTE))
        if sessions.break_starts[row] != NO_BREAK:
            pause = range(int(sessions.break_starts[row]), int(sessions.break_ends[row]), MINUTE)
            found -= set(pause)
    return found


@st.composite
def declarations(draw: st.DrawFn, sessions: Sessions) -> list[DeclaredSession]:
    """Draw statements about some of the sessions, in minutes around each one's label."""
    declared = []
    for label in sorted(draw(st.sets(st.sampled_from(sessions.labels.tolist()), max_size=4))):
        row = int(np.searchsorted(sessions.labels, label))
        low, high = int(sessions.opens[row]), int(sessions.closes[row])
        length = (high - low) // MINUTE
        cut = st.integers(0, length // 2 - 1)
        declared.append(
            DeclaredSession(
                label,
                closed=draw(st.integers(0, 4)) == 0,
                opens=draw(st.none() | cut.map(lambda m, low=low: low + m * MINUTE)),
                closes=draw(st.none() | cut.map(lambda m, high=high: high - m * MINUTE)),
                halts=tuple(
                    (low + at * MINUTE, low + (at + long) * MINUTE)
                    for at, long in draw(st.lists(spans, max_size=3))
                ),
            )
        )
    return declared


def left_over(sessions: Sessions, declared: list[DeclaredSession]) -> set[int]:
    """Return the minutes that should be left, by the words of each statement."""
    said = {one.label: one for one in declared}
    left: set[int] = set()
    for row, label in enumerate(sessions.labels.tolist()):
        one = said.get(label)
        usual = traded(sessions.rows(slice(row, row + 1)))
        if one is None:
            left |= usual
            continue
        opens = int(sessions.opens[row]) if one.opens is None else one.opens
        closes = int(sessions.closes[row]) if one.closes is None else one.closes
        halted = {at for low, high in one.halts for at in range(low, high, MINUTE)}
        if not one.closed:
            left |= {at for at in usual if opens <= at < closes} - halted
    return left


@pytest.mark.parametrize("venue", VENUES)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_exactly_what_is_left_is_expected(venue: str, data: st.DataObject) -> None:
    """Closures, other hours and halts, beside or over a lunch break, over nights of DST."""
    week = week_of(venue)
    declared = data.draw(declarations(week))
    found = overridden(week, declared)
    left = left_over(week, declared)

    expectation = expect(found, timeframe=Timeframe.M1, hours=Hours.REGULAR, anchor=Anchor.OPEN)
    low, high = label_of(VENUES[venue]) - DAY_US, label_of(VENUES[venue]) + 10 * DAY_US
    assert set(expectation.promised.stamps(low, high).tolist()) == left
    expect.cache_clear()

    if len(found):
        grid = SessionGrid.over(
            found, timeframe=Timeframe.M1, anchor=Anchor.OPEN, start_us=low, end_us=high
        )
        laid = np.concatenate([group.stamps.reshape(-1) for group in grid.groups()])
        assert set(laid.tolist()) == left

    # The columns stay what every reader of sessions relies on.
    assert (np.diff(found.labels) > 0).all()
    assert (found.opens < found.closes).all()
    assert (found.closes[:-1] <= found.opens[1:]).all()
    assert (found.earliest <= found.opens).all()
    assert (found.closes <= found.latest).all()
    starts, ends, owner = found.pauses()
    assert (starts < ends).all()
    assert (ends[:-1] < starts[1:]).all()
    assert (found.opens[owner] < starts).all()
    assert (ends < found.closes[owner]).all()
    untouched = ~np.isin(week.labels, [one.label for one in declared])
    kept = np.isin(found.labels, week.labels[untouched])
    for name in ("opens", "closes", "break_starts", "break_ends", "earliest", "latest"):
        assert getattr(found, name)[kept].tolist() == getattr(week, name)[untouched].tolist()


@pytest.mark.parametrize("step", [Timeframe.M5, Timeframe.H1])
@pytest.mark.parametrize("anchor", list(Anchor))
def test_bars_are_counted_anew_after_a_halt(step: Timeframe, anchor: Anchor) -> None:
    """As after a lunch break: the first bar after it begins where trading does."""
    week = week_of("XNYS")
    opens = int(week.opens[0])
    halt = (opens + 17 * MINUTE, opens + 32 * MINUTE)
    found = overridden(week, [DeclaredSession(int(week.labels[0]), halts=(halt,))])
    grid = expect(found, timeframe=step, hours=Hours.REGULAR, anchor=anchor).promised
    stamps = grid.stamps(opens - DAY_US, int(week.closes[0]))
    if anchor is Anchor.OPEN:
        assert halt[1] in stamps
        assert not any(halt[0] <= stamp < halt[1] for stamp in stamps.tolist())
    # What the simulator and the synthetic prices lay is what the planner expects.
    laid = SessionGrid.over(
        found.rows(slice(0, 1)),
        timeframe=step,
        anchor=anchor,
        start_us=opens - DAY_US,
        end_us=int(week.closes[0]),
    )
    (group,) = laid.groups()
    assert group.stamps.reshape(-1).tolist() == stamps.tolist()


def test_a_halt_that_reaches_the_close_shortens_the_session() -> None:
    """Nothing trades after it, so the session is over; over all of it, there is none."""
    week = week_of("XNYS")
    opens, closes = int(week.opens[0]), int(week.closes[0])
    label = int(week.labels[0])
    cut = overridden(week, [DeclaredSession(label, halts=((closes - MINUTE, closes + DAY_US),))])
    assert int(cut.closes[0]) == closes - MINUTE
    assert not len(cut.halt_starts)
    gone = overridden(week, [DeclaredSession(label, halts=((opens, closes),))])
    assert label not in gone.labels


def test_what_trades_after_the_close_follows_it() -> None:
    """A declared half day of New York has its late trading until 17:00, as the rules' ones."""
    year = load_calendar("XNYS")
    label = label_of("2024-11-29")  # a half day that the calendar knows
    usual = label_of("2024-11-27")
    closes = to_us(datetime(2024, 11, 27, 18, tzinfo=UTC))
    found = overridden(year, [DeclaredSession(usual, closes=closes)])
    declared = found.between(usual, usual + DAY_US)
    known = found.between(label, label + DAY_US)
    assert int(declared.latest[0] - declared.labels[0]) == int(known.latest[0] - known.labels[0])
    assert int(declared.earliest[0] - declared.labels[0]) == int(
        known.earliest[0] - known.labels[0]
    )


@pytest.mark.parametrize(
    ("opens", "closes", "kind"),
    [
        (None, "13:00", SessionKind.EARLY_CLOSE),
        ("11:00", None, SessionKind.LATE_OPEN),
        ("11:00", "13:00", SessionKind.SPECIAL),
        (None, "17:30", SessionKind.SPECIAL),
        (None, None, SessionKind.NORMAL),
    ],
)
def test_kinds_follow_what_is_declared(
    opens: str | None, closes: str | None, kind: SessionKind
) -> None:
    """A session is told from its neighbours by its hours, whoever stated them."""
    zone = ZoneInfo("America/New_York")

    def at(text: str | None) -> int | None:
        if text is None:
            return None
        return to_us(datetime.fromisoformat(f"2026-07-15T{text}").replace(tzinfo=zone))

    label = label_of("2026-07-15")
    year = load_calendar("XNYS")
    found = overridden(year, [DeclaredSession(label, opens=at(opens), closes=at(closes))])
    assert session_kinds(found)[np.searchsorted(found.labels, label)] is kind
    assert (session_kinds(found) == session_kinds(year)).sum() >= len(year) - 1


def test_a_session_on_a_day_without_one_is_special() -> None:
    """Also where its hours are the usual ones; it needs both of them."""
    year, label = load_calendar("XNYS"), label_of("2026-07-03")
    opens, closes = label + 810 * MINUTE, label + 1200 * MINUTE
    found = overridden(year, [DeclaredSession(label, opens=opens, closes=closes)])
    assert len(found) == len(year) + 1
    assert session_kinds(found)[np.searchsorted(found.labels, label)] is SessionKind.SPECIAL
    half = overridden(year, [DeclaredSession(label, closes=closes)])
    assert half.labels.tolist() == year.labels.tolist()


def test_a_change_leaves_other_venues_the_objects_they_were() -> None:
    """What was built for a venue is built anew only where something is declared of it."""
    tokyo, london = load_sessions("XTKS"), load_sessions("XLON")
    closed = DeclaredSession(label_of("2026-07-15"), closed=True)
    with trying(Declared(1, {"XLON": (closed,)})):
        assert load_sessions("XTKS") is tokyo
        changed = load_sessions("XLON")
        assert len(changed) == len(london) - 1
        with trying(Declared(2, {"XLON": (closed,), "XPAR": (closed,)})):
            assert load_sessions("XLON") is changed
    assert load_sessions("XLON").labels.tolist() == london.labels.tolist()


def test_aliases_share_what_is_declared_unless_they_have_their_own() -> None:
    """Nasdaq keeps New York's closures; its own statement of a session counts before."""
    first, second = label_of("2026-07-14"), label_of("2026-07-15")
    closed = (DeclaredSession(first, closed=True), DeclaredSession(second, closed=True))
    own = (DeclaredSession(second, closes=second + 1020 * MINUTE),)
    with trying(Declared(1, {"XNYS": closed, "XNAS": own})):
        nasdaq = load_sessions("XNAS")
        assert first not in nasdaq.labels
        assert second in nasdaq.labels
        assert second not in load_sessions("XNYS").labels
        assert nasdaq.venue == "XNAS"


def test_around_the_clock_is_not_always_open_once_it_was_halted() -> None:
    """A pause of a 24/7 venue is a pause; days beside it run on through."""
    label = label_of("2026-07-15")
    outage = (label + 60 * MINUTE, label + 90 * MINUTE)
    found = overridden(load_calendar("24/7"), [DeclaredSession(label, halts=(outage,))])
    assert not found.always_open
    assert len(found) == len(load_calendar("24/7"))
    day = found.between(label, label + DAY_US)
    starts, ends, _ = day.pauses()
    assert (starts.tolist(), ends.tolist()) == ([outage[0]], [outage[1]])
    assert replace(found, always_open=True).closes.tolist() == load_calendar("24/7").closes.tolist()

"""Due times follow what people declared of sessions, and only there."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.calendars import sessions_for
from ingestion.domain.due import Due, dues_between
from ingestion.domain.due_notes import noted
from ingestion.domain.overrides import Override, OverrideKind, declared_sessions
from ingestion.domain.rules import parse_rule
from ingestion.domain.windows import from_us, to_us
from providers.declared import Declared, trying
from providers.venues import load_calendar

FIRST = date(2026, 11, 16)
# Three weeks around Thanksgiving: a holiday and a half day are among them.
DAYS = [FIRST + timedelta(days=number) for number in range(21)]
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
Hours = dict[date, tuple[datetime, datetime]]
# What is declared of a day: a name of `override` below.
DECLARED = st.dictionaries(
    st.sampled_from(DAYS), st.sampled_from(("closed", "early", "late", "special", "halt"))
)


def usual() -> Hours:
    """Return the open and close of each session of New York, as the calendar has them."""
    sessions = load_calendar("XNYS")
    start, end = (to_us(datetime(*day.timetuple()[:3], tzinfo=UTC)) for day in (DAYS[0], DAYS[-1]))
    rows = sessions.between(start, end + 1)
    return {
        from_us(label).date(): (from_us(opens), from_us(closes))
        for label, opens, closes in zip(rows.labels, rows.opens, rows.closes, strict=True)
    }


def override(day: date, name: str, hours: Hours) -> Override | None:
    """Return an override of a day, None where it would make no sense there."""
    noon = datetime(day.year, day.month, day.day, 16, tzinfo=UTC)
    if day not in hours:
        if name != "special":
            return None
        return Override("XNYS", day, OverrideKind.SPECIAL, noon, noon + 2 * HOUR)
    opens, closes = hours[day]
    match name:
        case "closed":
            return Override("XNYS", day, OverrideKind.CLOSED)
        case "early":
            return Override("XNYS", day, OverrideKind.HOURS, closes_at=closes - HOUR)
        case "late":
            return Override("XNYS", day, OverrideKind.HOURS, opens_at=opens + HOUR)
        case "halt":
            return Override("XNYS", day, OverrideKind.HALT, noon, noon + 20 * MINUTE)
    return None


def with_overrides(hours: Hours, overrides: list[Override]) -> Hours:
    """Return what holds after them, reckoned by hand."""
    held = dict(hours)
    for one in overrides:
        opens, closes = held.get(one.session, (None, None))
        if one.kind is OverrideKind.CLOSED:
            del held[one.session]
        elif one.kind is not OverrideKind.HALT:
            held[one.session] = (one.opens_at or opens, one.closes_at or closes)
    return dict(sorted(held.items()))


@given(names=DECLARED)
@settings(max_examples=20, deadline=None)
def test_dues_follow_the_override_table(names: dict[date, str]) -> None:
    """Closed days have none, other hours move them, special sessions add some, halts take steps."""
    hours = usual()
    overrides = [
        one for day, name in names.items() if (one := override(day, name, hours)) is not None
    ]
    held = with_overrides(hours, overrides)
    halts = [(one.opens_at, one.closes_at) for one in overrides if one.kind is OverrideKind.HALT]
    start = datetime(2026, 11, 16, tzinfo=UTC)
    with trying(Declared(1, declared_sessions(overrides))):
        sessions = sessions_for("XNYS")

        def dues(rule: str) -> list[Due]:
            return list(
                dues_between(
                    parse_rule(rule),
                    tz="UTC",
                    sessions=sessions,
                    after=start,
                    until=start + timedelta(days=21),
                    limit=5000,
                )
            )

        assert dues("close + 15 min") == [
            Due(closes + 15 * MINUTE, day) for day, (_, closes) in held.items()
        ]
        assert dues("open - 5 min") == [
            Due(opens - 5 * MINUTE, day) for day, (opens, _) in held.items()
        ]
        steps = []
        for day, (opens, closes) in held.items():
            inside = [(a, b) for a, b in halts if opens < a and b < closes]
            starts = [opens, *(b for _, b in inside)]
            ends = [*(a for a, _ in inside), closes]
            for begin, end in zip(starts, ends, strict=True):
                whole = (end - begin) // (25 * MINUTE)
                steps += [Due(begin + n * 25 * MINUTE, day) for n in range(1, whole + 1)]
        assert dues("every 25 min while open") == steps


@pytest.mark.parametrize("name", ["early", "late", "special"])
def test_a_declared_oddity_is_explained(name: str) -> None:
    """Whoever looks at the next due times is told of it."""
    hours = usual()
    day = date(2026, 11, 21 if name == "special" else 18)
    declared = override(day, name, hours)
    assert declared is not None
    rule, words = {
        "early": ("close", "half day, closes at 15:00"),
        "late": ("open", "opens late, at 10:30"),
        "special": ("close", "special session, 11:00 to 13:00"),
    }[name]
    with trying(Declared(1, declared_sessions([declared]))):
        sessions = sessions_for("XNYS")
        start = datetime(2026, 11, 17, tzinfo=UTC)
        found = dues_between(
            parse_rule(rule),
            tz="UTC",
            sessions=sessions,
            after=start,
            until=start + timedelta(days=6),
            limit=10,
        )
        told = noted(found, parse_rule(rule), tz="UTC", sessions=sessions, since=start)
    assert {due.session: due.note for due in told if due.note} == {day: words}

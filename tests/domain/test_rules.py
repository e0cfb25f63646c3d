"""Rules read as people type them, keep as JSON, and say themselves in plain words."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.domain.rules import (
    AtSession,
    BadRule,
    Cron,
    Edge,
    Every,
    Of,
    Once,
    OnSignal,
    Rule,
    WhileOpen,
    describe_rule,
    needs_venue,
    parse_rule,
    rule_from_json,
    rule_text,
    rule_to_json,
)

AT_SIX = datetime(2026, 11, 21, 18, tzinfo=UTC)

RULES = st.one_of(
    st.sampled_from(("30 18 * * 1-5", "*/5 * * * *", "0 0 29 2 *", "0 9 * * MON#1")).map(Cron),
    st.integers(1, 10**7).map(Every),
    st.integers(-(10**9), 4 * 10**9).map(lambda second: Once(datetime.fromtimestamp(second, UTC))),
    st.builds(
        AtSession,
        st.sampled_from(Edge),
        st.integers(-400 * 86_400, 400 * 86_400),
        st.sampled_from(Of),
    ),
    st.integers(1, 10**6).map(WhileOpen),
    st.text("aZ0_-", min_size=1, max_size=64).map(OnSignal),
)


@given(rule=RULES)
@settings(max_examples=50, deadline=None)
def test_a_rule_survives_being_typed_and_being_kept(rule: Rule) -> None:
    """Its text and its JSON both read back as the same rule, and it can say what it means."""
    assert parse_rule(rule_text(rule)) == rule
    assert rule_from_json(rule_to_json(rule)) == rule
    assert describe_rule(rule, tz="UTC", venue="XNYS")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("cron 30 18 * * 1-5", Cron("30 18 * * 1-5")),
        ("  30   18 * * mon-fri ", Cron("30 18 * * mon-fri")),
        ("every 6 h", Every(21_600)),
        ("Every 90min", Every(5_400)),
        ("every hour", Every(3_600)),
        ("once 2026-11-21T18:00Z", Once(AT_SIX)),
        ("once at 2026-11-21 18:00", Once(AT_SIX)),
        ("once 2026-11-21T13:00-05:00", Once(AT_SIX)),
        ("close + 15 min", AtSession(Edge.CLOSE, 900)),
        ("close", AtSession(Edge.CLOSE)),
        ("CLOSE+7d", AtSession(Edge.CLOSE, 7 * 86_400)),
        ("the open - 5 min", AtSession(Edge.OPEN, -300)),
        ("every 1 min while open", WhileOpen(60)),
        (
            "first session of the week, close + 15 min",
            AtSession(Edge.CLOSE, 900, Of.FIRST_OF_WEEK),
        ),
        ("last session of each month, at the open", AtSession(Edge.OPEN, 0, Of.LAST_OF_MONTH)),
        ("on signal gap", OnSignal("gap")),
    ],
)
def test_people_may_type_it_so(text: str, rule: Rule) -> None:
    """Blanks, capitals, articles and the ways to write a span make no difference."""
    assert parse_rule(text) == rule


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no rule; write"),
        ("whenever", "'whenever' is no rule; write `cron 30 18 * * 1-5`"),
        ("close + 15", "is no rule"),
        ("close 15 min", "is no rule"),
        ("every 3 fortnights", "'fortnights' is no unit of time; use s, min, h, d or w"),
        ("every 0 s", "at most every second"),
        ("every 9999999 d", "at least every ten years"),
        ("close + 500 d", "at most 400 days"),
        ("cron 30 18 * *", "five fields"),
        ("cron 0 30 18 * * 1-5", "five fields"),
        ("cron 61 * * * *", "bad minute"),
        ("cron 0 0 31 2 *", "bad day-of-month"),
        ("once tomorrow", "'tomorrow' is no moment"),
        ("once 0001-01-01T00:00+14:00", "is no moment"),
        ("on signal a.b", "is no name of a signal"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(text: str, said: str) -> None:
    """The sentence says what would be understood."""
    with pytest.raises(BadRule, match=re.escape(said)):
        parse_rule(text)


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"kind": "moon"},
        {"kind": "cron"},
        {"kind": "cron", "expression": 5},
        {"kind": "every", "seconds": "60"},
        {"kind": "every", "seconds": True},
        {"kind": "close", "of": "each_other"},
        {"kind": "signal", "name": None},
    ],
)
def test_a_stored_rule_that_is_none_is_refused(stored: dict[str, object]) -> None:
    """Whoever wrote into the table by hand is told, and no worker dies of a KeyError."""
    with pytest.raises(BadRule):
        rule_from_json(stored)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("close + 15 min", "15 min after each close of XNYS"),
        ("open - 90 s", "90 s before each open of XNYS"),
        ("close", "at each close of XNYS"),
        (
            "first session of the week, close + 1 h",
            "1 h after the close of the first session of each week at XNYS",
        ),
        ("every 1 min while open", "every 1 min while XNYS is open"),
        (
            "cron 30 18 * * 1-5",
            "at 18:30 on Monday through Friday, by the clock of America/New_York",
        ),
        ("once 2026-11-21T18:00Z", "once, at 2026-11-21 18:00:00Z"),
        ("on signal gap", "when the signal gap is raised"),
    ],
)
def test_plain_words(text: str, words: str) -> None:
    """A person who does not know the notation understands when it is due."""
    assert describe_rule(parse_rule(text), tz="America/New_York", venue="XNYS") == words


def test_only_rules_on_sessions_need_a_venue() -> None:
    """The others go by a clock or by nothing."""
    assert [needs_venue(rule) for rule in (AtSession(Edge.OPEN), WhileOpen(60))] == [True, True]
    others = (Cron("0 0 * * *"), Every(60), Once(AT_SIX + timedelta(1)), OnSignal("gap"))
    assert not any(needs_venue(rule) for rule in others)

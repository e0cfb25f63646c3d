"""What holds of all that was declared, whatever order other sessions were spoken of in."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.domain.overrides import Override, OverrideKind, declared_sessions, what_holds

DAYS = [date(2026, 12, 1), date(2026, 12, 2)]
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


@st.composite
def statements(draw: st.DrawFn) -> list[Override]:
    """Draw statements about four sessions, with hours that fit their kinds."""
    found = []
    for venue, session, kind, start, long in draw(
        st.lists(
            st.tuples(
                st.sampled_from(["XNYS", "XLON"]),
                st.sampled_from(DAYS),
                st.sampled_from(OverrideKind),
                st.integers(0, 3),
                st.integers(1, 2),
            ),
            max_size=12,
        )
    ):
        opens = NOON + timedelta(hours=start)
        timed = kind not in (OverrideKind.CLOSED, OverrideKind.WITHDRAWN)
        found.append(
            Override(
                venue,
                session,
                kind,
                opens if timed else None,
                opens + timedelta(hours=long) if timed else None,
            )
        )
    return found


@settings(max_examples=50, deadline=None)
@given(said=statements())
def test_the_last_word_holds_halts_together_until_withdrawn(said: list[Override]) -> None:
    """Session by session: nothing before a withdrawal, one word about the day, every halt."""
    held = what_holds(said)
    for venue in ("XNYS", "XLON"):
        for session in DAYS:
            about = [one for one in said if (one.venue, one.session) == (venue, session)]
            ends = [n for n, one in enumerate(about) if one.kind is OverrideKind.WITHDRAWN]
            since = about[ends[-1] + 1 :] if ends else about
            words = [one for one in since if one.kind is not OverrideKind.HALT]
            halts = {one for one in since if one.kind is OverrideKind.HALT}
            mine = [one for one in held if (one.venue, one.session) == (venue, session)]
            assert [one for one in mine if one.kind is not OverrideKind.HALT] == words[-1:]
            assert {one for one in mine if one.kind is OverrideKind.HALT} == halts
    assert set(what_holds(held)) == set(held)
    # What calendars take is ascending, one entry for each session.
    for sessions in declared_sessions(held).values():
        labels = [one.label for one in sessions]
        assert labels == sorted(set(labels))

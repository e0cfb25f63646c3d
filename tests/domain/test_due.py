"""Due times over changed clocks, half days, breaks and ends of calendars; none lost, none twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby, pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.calendars import sessions_for
from ingestion.domain.due import (
    Due,
    check_exclusions,
    dues_between,
    is_excluded,
    jittered,
    next_due,
)
from ingestion.domain.errors import BadRequest, CalendarEnds
from ingestion.domain.rules import Rule, WhileOpen, parse_rule
from ingestion.domain.windows import DAY_US, MINUTE_US, from_us, to_us
from tests.domain.shapes import VENUES

MINUTE = timedelta(minutes=1)
# A night on which the clock goes forward and one on which it goes back, in each zone. Sao Paulo
# skipped midnight itself, Lord Howe Island changes by half an hour.
NIGHTS = {
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Europe/London": ("2026-03-29", "2026-10-25"),
    "Europe/Berlin": ("2026-03-29", "2026-10-25"),
    "Australia/Sydney": ("2026-10-04", "2026-04-05"),
    "America/Sao_Paulo": ("2018-11-04", "2018-02-18"),
    "Australia/Lord_Howe": ("2026-10-04", "2026-04-05"),
}
NIGHT = st.sampled_from([(zone, night) for zone, nights in NIGHTS.items() for night in nights])
MINUTES = {
    "*": range(60),
    "*/20": range(0, 60, 20),
    "0": (0,),
    "30": (30,),
    "5,35": (5, 35),
    "10-50/20": (10, 30, 50),
}
HOURS = {
    "*": range(24),
    "*/2": range(0, 24, 2),
    "0": (0,),
    "1": (1,),
    "2": (2,),
    "1-3": (1, 2, 3),
    "23": (23,),
}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def between(
    rule: Rule | str, start: datetime, end: datetime, *, tz: str = "UTC", venue: str = ""
) -> list[datetime]:
    rule = parse_rule(rule) if isinstance(rule, str) else rule
    sessions = sessions_for(venue) if venue else None
    dues = dues_between(rule, tz=tz, sessions=sessions, after=start, until=end, limit=10_000)
    return [due.at for due in dues]


class TestCron:
    """Cron rules mean what cronsim means, on every night of every zone."""

    @given(
        night=NIGHT,
        minute=st.sampled_from(sorted(MINUTES)),
        hour=st.sampled_from(sorted(HOURS)),
        first=st.integers(0, 1440),
    )
    @settings(max_examples=50, deadline=None)
    def test_a_night_of_changed_clocks(
        self, night: tuple[str, str], minute: str, hour: str, first: int
    ) -> None:
        """Reckoned minute by minute from what the clock on the wall shows.

        A time of day is due when the clock first shows it or goes past it; with a star, whenever
        the clock shows a match.
        """
        zone, day = night
        start = at(day) - timedelta(days=1) + first * MINUTE
        end = at(day) + timedelta(days=2)
        expected = []
        seen = start.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        # What the clock has shown before the start counts as seen, the hour before it included.
        for back in range(1, 120):
            shown = (start - back * MINUTE).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
            seen = max(seen, shown)
        once_each = not minute.startswith("*") and not hour.startswith("*")
        moment = start + MINUTE
        while moment <= end:
            shown = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
            passed = [shown]
            if once_each:
                passed = [seen + step * MINUTE for step in range(1, (shown - seen) // MINUTE + 1)]
                seen = max(seen, shown)
            if any(one.minute in MINUTES[minute] and one.hour in HOURS[hour] for one in passed):
                expected.append(moment)
            moment += MINUTE
        assert between(f"cron {minute} {hour} * * *", start, end, tz=zone) == expected

    @given(
        night=NIGHT.filter(lambda night: night[0] not in ("America/Sao_Paulo",)).filter(
            lambda night: night[0] != "Australia/Lord_Howe"
        ),
        expression=st.sampled_from(
            ("30 2 * * *", "*/15 1-3 * * *", "0 * * * *", "30 1 * * 0", "0 0 1 * *", "15 2,3 L * *")
        ),
    )
    @settings(max_examples=30, deadline=None)
    def test_the_same_as_cronsim(self, night: tuple[str, str], expression: str) -> None:
        """Where a zone changes by whole hours and not at midnight, cronsim itself says the same."""
        zone, day = night
        start = at(day) - timedelta(days=3)
        theirs = CronSim(expression, start.astimezone(ZoneInfo(zone)))
        # cronsim gives a skipped time and the one it moves to both, where both are asked for.
        expected = sorted({next(theirs).astimezone(UTC) for _ in range(60)})
        assert between(f"cron {expression}", start, expected[-1], tz=zone) == expected

    def test_what_never_comes_again_is_none(self) -> None:
        """Asking ends where cronsim gives up: within 50 years the rule must match."""
        leap = parse_rule("cron 0 0 29 2 *")
        assert next_due(leap, tz="UTC", sessions=None, after=at("2096-03-01")) == Due(
            at("2104-02-29"), None
        )
        never = parse_rule("cron 0 0 30 2 1#5")
        assert next_due(never, tz="UTC", sessions=None, after=at("2026-01-01")) is not None

    def test_between_two_seconds(self) -> None:
        """A moment with a fraction loses neither the minute before it nor the one after."""
        rule = parse_rule("cron 30 18 * * *")
        just_before = at("2026-11-21T18:29:59.999999")
        due = next_due(rule, tz="UTC", sessions=None, after=just_before)
        assert due == Due(at("2026-11-21T18:30"), None)
        just_after = just_before + timedelta(microseconds=2)
        due = next_due(rule, tz="UTC", sessions=None, after=just_after)
        assert due == Due(at("2026-11-22T18:30"), None)


class TestEvery:
    """Intervals are counted, never added up."""

    def test_from_the_epoch(self) -> None:
        """Six hours are due at 0, 6, 12 and 18 in UTC, whatever the asking moment."""
        dues = between("every 6 h", at("2026-03-28T13:37:11.5"), at("2026-03-29T12:00"))
        assert [due.hour for due in dues] == [18, 0, 6, 12]

    def test_from_a_start(self) -> None:
        """The start itself is due, then each interval from it, without drift."""
        start = at("2026-01-01T00:07")
        rule = parse_rule("every 90 min")
        dues = dues_between(
            rule,
            tz="UTC",
            sessions=None,
            after=at("2020-01-01"),
            until=start + 1000 * timedelta(minutes=90),
            limit=2000,
            counted_from=start,
        )
        assert [due.at for due in dues] == [start + n * timedelta(minutes=90) for n in range(1001)]

    def test_once(self) -> None:
        """A single moment is due once, and then never more."""
        rule, moment = parse_rule("once 2026-11-21T18:00Z"), at("2026-11-21T18:00")
        before = next_due(rule, tz="UTC", sessions=None, after=moment - MINUTE)
        assert before == Due(moment, None)
        assert next_due(rule, tz="UTC", sessions=None, after=moment) is None

    def test_a_signal_is_never_due_by_itself(self) -> None:
        """Only raising it makes it due."""
        assert between("on signal gap", at("2000-01-01"), at("2030-01-01")) == []


class TestSessions:
    """Rules on sessions follow the venue's calendar."""

    def test_a_half_day_is_due_earlier(self) -> None:
        """New York closes at 13:00 the day after Thanksgiving, which itself is no session."""
        dues = between("close + 15 min", at("2026-11-25"), at("2026-12-01"), venue="XNYS")
        assert [f"{due:%m-%d %H:%M}" for due in dues] == [
            "11-25 21:15",
            "11-27 18:15",
            "11-30 21:15",
        ]

    @pytest.mark.parametrize(
        ("venue", "around"),
        [
            ("XNYS", "2026-03-08"),
            ("XLON", "2026-03-29"),
            ("XFRA", "2026-10-25"),
            ("XASX", "2026-10-04"),
        ],
    )
    def test_the_venue_keeps_its_wall_clock(self, venue: str, around: str) -> None:
        """Over a change of clocks the due time stays the same in the venue's zone."""
        start = at(around) - timedelta(days=7)
        zone = ZoneInfo(sessions_for(venue).tz)
        dues = between("open - 5 min", start, start + timedelta(days=14), venue=venue)
        assert len({due.astimezone(zone).time() for due in dues}) == 1
        assert len({due.time() for due in dues}) == 2

    @given(
        venue=st.sampled_from(("XNYS", "XHKG", "24/7", "FX", "XTAE", "CMES")),
        year=st.integers(1990, 2034),
        edge=st.sampled_from(("open", "close")),
        place=st.sampled_from(("first", "last")),
        period=st.sampled_from(("week", "month")),
        minutes=st.integers(-3000, 3000),
    )
    @settings(max_examples=40, deadline=None)
    def test_first_and_last_of_week_and_month(
        self, venue: str, year: int, edge: str, place: str, period: str, minutes: int
    ) -> None:
        """Grouped by hand: ISO weeks, calendar months, by the session's own date."""
        sessions = sessions_for(venue)
        rows = sessions.between(
            to_us(datetime(year - 1, 12, 1, tzinfo=UTC)),
            to_us(datetime(year + 1, 2, 1, tzinfo=UTC)),
        )
        instants = rows.opens if edge == "open" else rows.closes
        days = [from_us(label).date() for label in rows.labels.tolist()]

        def group(row: int) -> tuple[int, int]:
            iso = days[row].isocalendar()
            return (iso[0], iso[1]) if period == "week" else (days[row].year, days[row].month)

        offset = timedelta(minutes=minutes)
        chosen = [
            list(members)[0 if place == "first" else -1]
            for _, members in groupby(range(len(days)), group)
        ]
        start, end = datetime(year, 1, 10, tzinfo=UTC), datetime(year, 12, 20, tzinfo=UTC)
        expected = [
            Due(due, days[row])
            for row in chosen
            if start < (due := from_us(instants[row]) + offset) <= end
        ]
        sign = "-" if minutes < 0 else "+"
        rule = parse_rule(
            f"{place} session of the {period}, {edge} {sign} {abs(minutes)} min"
            if minutes
            else f"{place} session of the {period}, {edge}"
        )
        dues = dues_between(rule, tz="UTC", sessions=sessions, after=start, until=end, limit=400)
        assert list(dues) == expected

    def test_a_period_that_is_not_known_whole_is_not_counted(self) -> None:
        """The last known session of a calendar may not be the last of its week."""
        whole = VENUES["weekdays"]
        cut = replace(whole.rows(slice(0, 3)), known_until=int(whole.labels[3]))
        last = parse_rule("last session of the week, close")
        with pytest.raises(CalendarEnds):
            next_due(last, tz="UTC", sessions=cut, after=at("1970-01-01"))
        first = parse_rule("first session of the week, close")
        due = next_due(first, tz="UTC", sessions=cut, after=at("1970-01-01"))
        assert due is not None
        assert due.session == date(1970, 1, 5)


class TestWhileOpen:
    """Steps are counted through trading, anew after each pause."""

    @given(
        name=st.sampled_from(sorted(VENUES)),
        minutes=st.integers(1, 500),
        start=st.integers(0, 60 * 1440),
        length=st.integers(1, 3000),
    )
    @settings(max_examples=50, deadline=None)
    def test_against_walking_the_minutes(
        self, name: str, minutes: int, start: int, length: int
    ) -> None:
        """Minute by minute: how long has it traded without a pause?"""
        sessions = VENUES[name]
        first = 3 * 1440
        last = start + first + length
        traded = np.zeros(last + 1, bool)
        for row in range(len(sessions)):
            opens, closes = int(sessions.opens[row]), int(sessions.closes[row])
            traded[max(opens // MINUTE_US, 0) : closes // MINUTE_US] = True
        for begin, end in zip(
            *(column // MINUTE_US for column in sessions.pauses()[:2]), strict=True
        ):
            traded[begin:end] = False
        elapsed, expected = 0, []
        for minute in range(last):
            elapsed = elapsed + 1 if traded[minute] else 0
            if elapsed and elapsed % minutes == 0 and minute + 1 > start + first:
                expected.append(from_us((minute + 1) * MINUTE_US))
        dues = dues_between(
            WhileOpen(minutes * 60),
            tz="UTC",
            sessions=sessions,
            after=from_us((start + first) * MINUTE_US),
            until=from_us(last * MINUTE_US),
            limit=5000,
        )
        assert [due.at for due in dues] == expected

    def test_lunch_in_hong_kong(self) -> None:
        """No step falls into lunch, and the first after it is one step later."""
        dues = between("every 30 min while open", at("2026-11-23"), at("2026-11-24"), venue="XHKG")
        local = [f"{due.astimezone(ZoneInfo('Asia/Hong_Kong')):%H:%M}" for due in dues]
        assert local[:5] == ["10:00", "10:30", "11:00", "11:30", "12:00"]
        assert local[5:] == ["13:30", "14:00", "14:30", "15:00", "15:30", "16:00"]

    def test_an_early_close_ends_it(self) -> None:
        """The day after Thanksgiving has 210 minutes, the close itself included."""
        dues = between("every 1 min while open", at("2026-11-26"), at("2026-11-29"), venue="XNYS")
        assert len(dues) == 210
        assert dues[-1] == at("2026-11-27T18:00")

    def test_around_the_clock_it_runs_on(self) -> None:
        """At 24/7 seven minutes do not begin again at midnight, and midnight belongs to the day."""
        rule = parse_rule("every 7 min while open")
        dues = dues_between(
            rule,
            tz="UTC",
            sessions=sessions_for("24/7"),
            after=at("2026-11-21"),
            until=at("2026-11-24"),
            limit=5000,
        )
        assert {later.at - earlier.at for earlier, later in pairwise(dues)} == {7 * MINUTE}
        hourly = parse_rule("every 1 h while open")
        midnight = next_due(
            hourly, tz="UTC", sessions=sessions_for("24/7"), after=at("2026-11-21T23:30")
        )
        assert midnight == Due(at("2026-11-22"), date(2026, 11, 21))


class TestSteps:
    """However it is asked, the same due times come out."""

    @given(
        rule=st.sampled_from(
            (
                *("cron 30 2 * * *", "cron */20 1-3 * * *", "cron 5 * * * *", "every 100 min"),
                *("close + 15 min", "open - 5 min", "close + 1 d", "every 45 min while open"),
                *("first session of the week, open", "once 2026-11-01T06:30Z"),
            )
        ).map(parse_rule),
        venue=st.sampled_from(("XNYS", "XHKG", "XASX", "CMES", "24/7", "FX")),
        night=NIGHT,
        cuts=st.lists(st.integers(0, 12 * 1440 * 60), min_size=1, max_size=8),
        halted=st.booleans(),
    )
    @settings(max_examples=30, deadline=None)
    def test_none_is_lost_and_none_is_twice(
        self, rule: Rule, venue: str, night: tuple[str, str], cuts: list[int], halted: bool
    ) -> None:
        """Asked at once, in any steps, or one after the other; with and without a halt."""
        zone, day = night
        sessions = sessions_for(venue)
        start = at(day) - timedelta(days=6)
        if halted:
            near = sessions.overlapping(to_us(start), to_us(start) + 12 * DAY_US)
            third = (near.closes[:4] - near.opens[:4]) // 3 // MINUTE_US * MINUTE_US
            halts = near.opens[:4] + third
            sessions = replace(sessions, halt_starts=halts, halt_ends=halts + MINUTE_US)
        edges = [start, *(start + timedelta(seconds=cut) for cut in sorted(cuts))]

        def ask(after: datetime, until: datetime, limit: int = 10_000) -> list[Due]:
            dues = dues_between(
                rule, tz=zone, sessions=sessions, after=after, until=until, limit=limit
            )
            return list(dues)

        whole = ask(start, edges[-1])
        assert [due for after, until in pairwise(edges) for due in ask(after, until)] == whole
        assert all(earlier.at < later.at for earlier, later in pairwise(whole))
        moment, singly = start, []
        while len(singly) < min(len(whole), 40):
            due = next_due(rule, tz=zone, sessions=sessions, after=moment)
            assert due is not None
            assert [due] == ask(moment, due.at, limit=1)
            singly.append(due)
            moment = due.at
        assert singly == whole[:40]

    def test_the_end_of_a_calendar_is_no_silence(self) -> None:
        """Within what is known there may be none; beyond it the error names the last session."""
        sessions = sessions_for("XNYS")
        rule = parse_rule("close + 15 min")
        end = from_us(sessions.known_until)
        asked = {"tz": "UTC", "sessions": sessions, "limit": 10}
        last = dues_between(rule, after=end - timedelta(days=2), until=end + timedelta(9), **asked)
        assert [due.session for due in last] == [date(2035, 12, 31)]
        quiet = at("2026-11-21")
        assert dues_between(rule, after=quiet, until=quiet + timedelta(days=1), **asked) == ()
        with pytest.raises(CalendarEnds, match="2035-12-31") as ended:
            dues_between(rule, after=end, until=end + timedelta(days=9), **asked)
        assert ended.value.venue == "XNYS"


class TestExclusions:
    """Excluded days are those of the session, or of the zone where there is none."""

    def test_by_date_in_the_zone(self) -> None:
        """23:30Z on the 23rd is the 24th in Tokyo."""
        due = Due(at("2026-12-23T23:30"), None)
        assert is_excluded(["2026-12-24"], due, tz="Asia/Tokyo")
        assert not is_excluded(["2026-12-24"], due, tz="UTC")

    def test_by_session(self) -> None:
        """A due time belongs to its session, also when it lies on another day."""
        due = Due(at("2026-12-24T01:00"), date(2026, 12, 23))
        assert is_excluded(["2026-12-23"], due, tz="UTC")
        assert not is_excluded(["2026-12-24"], due, tz="UTC")

    def test_half_open_pairs(self) -> None:
        """The first day of a pair is excluded, the last is not."""
        pair = [["2026-12-24", "2027-01-02"]]
        days = [date(2026, 12, 23), date(2026, 12, 24), date(2027, 1, 1), date(2027, 1, 2)]
        found = [is_excluded(pair, Due(at("2027-06-01"), day), tz="UTC") for day in days]
        assert found == [False, True, True, False]

    def test_what_may_be_excluded(self) -> None:
        """Dates as they are kept, and pairs of them in order."""
        check_exclusions([])
        check_exclusions(["2026-12-24", ["2026-12-24", "2027-01-02"]])

    @pytest.mark.parametrize(
        "wrong",
        [
            *("24.12.2026", "20261224", 5, None, ["2026-12-24"], {"on": "2026-12-24"}),
            ["2026-12-24", "2026-12-24"],
            ["2026-12-24", 7],
        ],
    )
    def test_what_is_no_excluded_day(self, wrong: object) -> None:
        """Refused when it is declared, instead of never excluding anything."""
        with pytest.raises(BadRequest, match="no excluded day"):
            check_exclusions([wrong])


@given(number=st.integers(1, 10**9), seconds=st.integers(1, 86_400))
@settings(max_examples=30, deadline=None)
def test_jitter_is_the_same_each_time(number: int, seconds: int) -> None:
    """It lies within its span, does not change, and another schedule has another."""
    due, jitter = at("2026-11-21T18:00"), timedelta(seconds=seconds)
    fires = jittered(number, due, jitter)
    assert due <= fires < due + jitter
    assert fires == jittered(number, due, jitter)
    assert fires != jittered(number + 1, due, jitter)
    assert jittered(number, due, None) == due

"""A change of a calendar touches what hangs on its sessions, and nothing else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ingestion.calendars import sessions_for
from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadOverride, BadRequest
from ingestion.domain.expectation import OutsideCalendar
from ingestion.domain.override_text import Statement
from ingestion.domain.overrides import OverrideKind
from ingestion.domain.rules import parse_rule
from ingestion.models import CalendarOverride, Instrument, JobDefinition, Series
from ingestion.services.apply_calendar_change import CalendarChange
from ingestion.services.declare_override import declare_override
from ingestion.services.declare_schedule import ScheduleRequest, declare_schedule
from ingestion.services.refresh_calendars import refresh_calendars
from ingestion.services.show_calendar import known_calendars
from ingestion.services.withdraw_override import withdraw_override
from ingestion.store.venues import ensure_venue_sessions
from providers.declared import Declared, use_declared
from providers.venues import UnknownVenue, load_calendar
from tests.protocol.scene import Worker, day, loaded, missing, open_running, sql, truthful

pytestmark = pytest.mark.django_db

TESTER = Actor("tester", "cli")
NOW = datetime(2024, 2, 20, 12, tzinfo=UTC)
LOADED = "{[2024-01-01,2024-02-20)}"
# An ordinary Wednesday; Washington's Birthday, without a session; the Friday before.
WEDNESDAY, HOLIDAY, FRIDAY = "2024-02-14", "2024-02-19", "2024-02-16"
# What happened is written down anew, and clocks go on.
_LEDGERS = {"audit_event", "calendar_override"}


def declare(
    venue: str, session: str, kind: str, opens: str = "", closes: str = "", now: datetime = NOW
) -> CalendarChange:
    statement = Statement(
        venue, date.fromisoformat(session), OverrideKind(kind), opens, closes, "announced"
    )
    return declare_override(statement, actor=TESTER, now=now)


def withdraw(venue: str, session: str) -> CalendarChange:
    return withdraw_override(
        venue, date.fromisoformat(session), reason="denied", actor=TESTER, now=NOW
    )


@pytest.fixture
def series() -> dict[str, int]:
    """Store five series of three venues, loaded, with two proofs and two missing sessions each."""
    # Venues that share a calendar, of which other tests had sessions stored, change with it.
    sql("DELETE FROM venue_session WHERE venue <> 'XNYS'")
    made = {}
    for name, venue, timeframe in (
        ("day", "XNYS", "1d"),
        ("minute", "XNYS", "1m"),
        ("week", "XNYS", "1w"),
        ("nasdaq", "XNAS", "1d"),
        ("london", "XLON", "1d"),
    ):
        instrument = Instrument.objects.create(symbol=name.upper(), venue=venue)
        one = Series.objects.create(
            provider="synthetic",
            instrument=instrument,
            timeframe=timeframe,
            adjustment="raw",
        )
        made[name] = one.id
        sql(
            "INSERT INTO coverage (series_id, loaded, updated_at) VALUES (%s, %s, %s)",
            one.id,
            LOADED,
            NOW,
        )
        # They reach over a weekend and a holiday.
        for reason in ("no_trade", "not_listed"):
            sql(
                'INSERT INTO empty_proof (series_id, "window", reason, attempt_id, proven_at,'
                " expires_at) VALUES (%s, '[2024-02-15,2024-02-21)', %s, 1, %s, %s)",
                one.id,
                reason,
                NOW,
                NOW,
            )
        for session in (WEDNESDAY, "2024-02-15"):
            sql(
                'INSERT INTO missing_session (series_id, "window", looks, attempt_id, seen_at)'
                " VALUES (%s, tstzrange(%s::timestamptz, %s::timestamptz + interval '21 h'), 1, 1,"
                " %s)",
                one.id,
                f"{session}Z",
                f"{session}Z",
                NOW,
            )
    return made


def everything() -> dict[str, dict[str, str]]:
    """Return every row of our tables, by table and by where it stands."""
    tables = sql(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind = 'r' AND relname !~ '^(django|auth)_'"
    )
    found = {}
    for (table,) in tables:
        if table not in _LEDGERS:
            # Sixty years of sessions beside the one that is looked at need not be compared.
            some = " WHERE t.label > '2023-01-01' AND t.label < '2026-01-01'"
            rows = sql(
                f"SELECT md5(t::text), t::text FROM {table} t{some * (table == 'venue_session')}"
            )
            found[table] = dict(rows)
    return found


def moved(before: dict[str, dict[str, str]]) -> dict[str, int]:
    """Count, by table, the rows that are not what they were."""
    after = everything()
    counts = {table: len(set(rows) ^ set(after[table])) for table, rows in before.items()}
    return {table: count for table, count in counts.items() if count}


def doubted(series_id: int) -> list[tuple[str, str]]:
    rows = sql(
        "SELECT lower(one), upper(one) FROM coverage, unnest(doubted) one WHERE series_id = %s",
        series_id,
    )
    return [(f"{start:%m-%d %H:%M}", f"{end:%m-%d %H:%M}") for start, end in rows]


def proofs_of(series_id: int, reason: str) -> list[tuple[str, str]]:
    rows = sql(
        'SELECT lower("window"), upper("window") FROM empty_proof'
        " WHERE series_id = %s AND reason = %s ORDER BY 1",
        series_id,
        reason,
    )
    return [(f"{start:%m-%d}", f"{end:%m-%d}") for start, end in rows]


def test_a_closed_session_takes_its_explanations_along(series: dict[str, int]) -> None:
    """Its row goes and what was missing in it; coverage stays; London and other days are as was."""
    before = everything()
    change = declare("XNYS", WEDNESDAY, "closed")
    assert change.sessions["XNYS"] == (date(2024, 2, 14),)
    assert change.sessions["XNAS"] == (date(2024, 2, 14),)
    assert change.doubted == 0
    gone = {name: missing(one) for name, one in series.items()}
    assert gone["day"] == gone["minute"] == gone["nasdaq"] == {"2024-02-15": 1}
    assert gone["week"] == gone["london"] == {WEDNESDAY: 1, "2024-02-15": 1}
    # One session's row, a missing session of three series, and their windows to be inspected.
    assert moved(before) == {"venue_session": 1, "missing_session": 3, "inspection": 3}
    assert sql("SELECT count(*) FROM inspection WHERE series_id = %s", series["london"]) == [(0,)]


def test_a_withdrawn_closure_lets_the_day_be_fetched_again(series: dict[str, int]) -> None:
    """A session is there that nothing stands for: what silence covered is in doubt."""
    declare("XNYS", WEDNESDAY, "closed")
    before = everything()
    change = withdraw("XNYS", WEDNESDAY)
    assert change.doubted == 3
    assert doubted(series["day"]) == doubted(series["nasdaq"]) == [("02-14 00:00", "02-15 00:00")]
    assert doubted(series["minute"]) == [("02-14 14:30", "02-14 21:00")]
    assert doubted(series["week"]) == doubted(series["london"]) == []
    assert moved(before) == {"venue_session": 1, "coverage": 6}


def test_a_special_session_is_expected_where_silence_was_covered(series: dict[str, int]) -> None:
    """Proofs of silence are cut where it lies; that nothing was listed then stays true."""
    change = declare("XNYS", HOLIDAY, "special", "10:00", "14:00")
    assert change.doubted == 3
    assert doubted(series["day"]) == [("02-19 00:00", "02-20 00:00")]
    assert doubted(series["minute"]) == [("02-19 15:00", "02-19 19:00")]
    assert proofs_of(series["day"], "no_trade") == [("02-15", "02-19"), ("02-20", "02-21")]
    assert proofs_of(series["day"], "not_listed") == [("02-15", "02-21")]
    assert proofs_of(series["london"], "no_trade") == [("02-15", "02-21")]
    # The week was to be over on Friday in either case.
    assert doubted(series["week"]) == []


def test_a_later_close_leaves_bars_that_were_not_over(series: dict[str, int]) -> None:
    """Also the daily bar and, on a Friday, the week's: they were taken before their end."""
    declare("XNYS", FRIDAY, "hours", closes="17:00")
    assert doubted(series["day"]) == [("02-16 00:00", "02-17 00:00")]
    assert doubted(series["minute"]) == [("02-16 14:30", "02-16 22:00")]
    assert doubted(series["week"]) == [("02-12 00:00", "02-19 00:00")]


@pytest.mark.parametrize(
    ("kind", "opens", "closes"), [("hours", "", "13:00"), ("halt", "11:00", "11:30")]
)
def test_less_is_no_reason_to_fetch(
    series: dict[str, int], kind: str, opens: str, closes: str
) -> None:
    """An early close or a halt: everything loaded stays so; taken back, minutes are in doubt."""
    before = everything()
    assert declare("XNYS", WEDNESDAY, kind, opens, closes).doubted == 0
    touched = moved(before)
    assert set(touched) == {"venue_session", "inspection"}
    assert touched["venue_session"] == 2
    withdraw("XNYS", WEDNESDAY)
    assert doubted(series["minute"]) == [("02-14 14:30", "02-14 21:00")]
    # A daily bar ends later only where the close does.
    assert bool(doubted(series["day"])) == (kind == "hours")


def test_sessions_to_come_change_nothing_stored(series: dict[str, int]) -> None:
    """What is announced in time costs no request and no inspection."""
    before = everything()
    change = declare("XNYS", "2024-06-12", "closed")
    assert change.sessions["XNYS"] == (date(2024, 6, 12),)
    assert moved(before) == {"venue_session": 1}


def test_next_fires_and_freshness_follow(series: dict[str, int]) -> None:
    """Schedules of that venue are due by the new close, those of others when they were."""
    definition = JobDefinition.objects.create(
        name="daily",
        symbols=["DAY"],
        timeframe="1d",
        history_start=date(2024, 1, 1),
        providers=["synthetic"],
        freshness=timedelta(minutes=20),
        freshness_since=NOW,
        next_freshness_at=NOW + timedelta(days=1),
    )
    for venue in ("XNYS", "XLON"):
        declare_schedule(
            ScheduleRequest(venue, definition.name, parse_rule("close + 15 min"), venue=venue),
            now=NOW,
            actor=TESTER,
        )
    due = dict(sql("SELECT name, next_due_at FROM schedule"))
    assert due["XNYS"] == datetime(2024, 2, 20, 21, 15, tzinfo=UTC)
    change = declare("XNYS", "2024-02-20", "hours", closes="13:00")
    assert change.schedules == 1
    after = dict(sql("SELECT name, next_due_at FROM schedule"))
    assert after == due | {"XNYS": datetime(2024, 2, 20, 18, 15, tzinfo=UTC)}
    definition.refresh_from_db()
    assert definition.next_freshness_at == NOW


def test_what_holds_already_writes_nothing() -> None:
    """Saying it again is no new statement, taking it back is, and then it can be said again."""
    assert declare("XNYS", WEDNESDAY, "closed").written == 1
    assert declare("XNYS", WEDNESDAY, "closed").written == 0
    assert withdraw("XNYS", WEDNESDAY).written == 1
    assert declare("XNYS", WEDNESDAY, "closed").written == 1
    assert CalendarOverride.objects.count() == 3
    (events,) = sql("SELECT count(*) FROM audit_event WHERE action = 'calendar.declare'")
    assert events == (3,)


def test_a_refused_statement_leaves_no_trace() -> None:
    """Neither in the tables nor in what this process thinks of the sessions."""
    usual = sessions_for("XNYS")
    with pytest.raises(BadOverride, match="nothing is left of the session"):
        declare("XNYS", WEDNESDAY, "hours", closes="09:00")
    assert not CalendarOverride.objects.exists()
    assert sessions_for("XNYS") is usual


@pytest.mark.parametrize(
    ("venue", "session", "kind", "opens", "closes", "said"),
    [
        ("XNYS", HOLIDAY, "closed", "", "", "no session on that day, so none to close"),
        ("XNYS", HOLIDAY, "hours", "", "13:00", "declare it special"),
        ("XNYS", HOLIDAY, "halt", "10:00", "11:00", "so none to halt"),
        ("XNYS", HOLIDAY, "special", "10:00", "", "needs its start and its end"),
        ("XNYS", WEDNESDAY, "special", "10:00", "11:00", "declare other hours"),
        ("XNYS", WEDNESDAY, "halt", "17:00", "18:00", "a halt lies within the session"),
        ("XNYS", WEDNESDAY, "closed", "10:00", "", "has no hours"),
        ("XNYS", WEDNESDAY, "hours", "", "", "need an open, a close, or both"),
        ("XNYS", WEDNESDAY, "hours", "12:00", "11:00", "not after"),
        ("XNYS", WEDNESDAY, "hours", "", "25:00", "is no hour; write 13:00"),
        ("XNYS", WEDNESDAY, "hours", "", "2024-02-20T10:00Z", "does not belong"),
        ("XNYS", WEDNESDAY, "withdrawn", "", "", "nothing to withdraw"),
        ("24/7", WEDNESDAY, "hours", "", "2024-02-15T01:00Z", "close after the session of"),
        ("XNYS", "2024-03-10", "special", "02:30", "04:00", "is no hour"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(
    venue: str, session: str, kind: str, opens: str, closes: str, said: str
) -> None:
    """Each names venue and session and says what would fit."""
    with pytest.raises(BadOverride, match=said) as refused:
        declare(venue, session, kind, opens, closes)
    assert str(refused.value).startswith(f"{venue} {session}: ")


def test_beyond_the_calendar_is_an_error_that_names_its_last_session() -> None:
    """The package's tables end; nobody declares sessions where all others are unknown."""
    last = "2026-12-31"
    with pytest.raises(OutsideCalendar, match=f"its last known session is {last}"):
        declare("XSHG", "2027-02-01", "closed")
    with pytest.raises(UnknownVenue):
        declare("XXXX", WEDNESDAY, "closed")
    with pytest.raises(BadRequest, match="say why"):
        declare_override(
            Statement("XNYS", date(2024, 2, 14), OverrideKind.CLOSED, reason=" "),
            actor=TESTER,
            now=NOW,
        )


def test_a_process_learns_of_a_change_where_its_work_begins() -> None:
    """Until then it keeps what it knows; a stale one does not write its sessions over new rows."""
    declare("XNYS", WEDNESDAY, "closed")
    stored = sql("SELECT count(*) FROM venue_session WHERE venue = 'XNYS'")
    use_declared(Declared())  # as another process, which began before
    assert len(sessions_for("XNYS")) == len(load_calendar("XNYS"))
    ensure_venue_sessions(sessions_for("XNYS"))
    assert sql("SELECT count(*) FROM venue_session WHERE venue = 'XNYS'") == stored
    refresh_calendars()
    assert len(sessions_for("XNYS")) == len(load_calendar("XNYS")) - 1
    known = sessions_for("XNYS")
    refresh_calendars()
    assert sessions_for("XNYS") is known


def test_nothing_is_covered_by_a_calendar_that_is_no_more() -> None:
    """A fetch that began before the change is judged by the calendar after it."""
    job = open_running("AAA", start=day("2024-01-10"), end=day("2024-01-18"))
    worker = Worker.of(job)
    claimed = worker.claim_one()
    declare("XNYS", "2024-01-15", "special", "10:00", "14:00")  # a Monday without a session
    use_declared(Declared())
    worker.finish(truthful(claimed))
    assert missing(claimed.series_id) == {"2024-01-15": 1}
    gaps = loaded(claimed.series_id)
    assert [str(span) for span in _days(gaps)] == [
        "2024-01-10..2024-01-15",
        "2024-01-16..2024-01-18",
    ]


def _days(ranges: Any) -> list[str]:
    def text(us: int) -> str:
        return f"{datetime.fromtimestamp(us / 1e6, UTC):%Y-%m-%d}"

    return [f"{text(start)}..{text(end)}" for start, end in ranges]


def test_calendars_that_end_soon_are_named_ninety_days_ahead(series: dict[str, int]) -> None:
    """Of venues in use only, whether a series or a schedule uses them; one day earlier, none."""
    Instrument.objects.create(symbol="UNUSED", venue="XBOM")
    definition = JobDefinition.objects.create(
        name="daily",
        symbols=["DAY"],
        timeframe="1d",
        history_start=date(2024, 1, 1),
        providers=["synthetic"],
    )
    declare_schedule(
        ScheduleRequest("china", definition.name, parse_rule("close + 15 min"), venue="XSHG"),
        now=NOW,
        actor=TESTER,
    )
    near = datetime(2026, 10, 3, 1, tzinfo=UTC)
    found = known_calendars(now=near)
    assert found.venues == ("XLON", "XNAS", "XNYS", "XSHG")
    assert [(one.venue, str(one.last_session)) for one in found.ending] == [("XSHG", "2026-12-31")]
    assert known_calendars(now=near - timedelta(days=1)).ending == ()

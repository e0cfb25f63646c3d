"""The SQL function coverage_gaps finds exactly the planted holes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.calendars import expectation_for, sessions_for
from ingestion.domain.windows import DAY_US, from_us, to_us
from ingestion.models import Account, Instrument, Job, Series
from ingestion.services.show_coverage import show_coverage
from providers.types import Timeframe
from tests.protocol.scene import sql, store_sessions

pytestmark = pytest.mark.django_db

Span = tuple[datetime, datetime]
Gap = tuple[datetime, datetime, int, str]
DAYS = 40
HALF_DAY = date(2025, 11, 28)  # the day after Thanksgiving closes at 13:00 in New York
ONE_DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _calendar(db: None) -> None:
    store_sessions()


def now() -> datetime:
    """Return PostgreSQL's idea of now, as the function sees it."""
    ((found,),) = sql("SELECT now()")
    return found


def labels(days: int = DAYS) -> list[datetime]:
    """Return the dates, at 00:00Z, of the sessions of the last days that are over."""
    moment = now()
    first = datetime.combine(moment.date() - timedelta(days=days), time(), UTC)
    sessions = sessions_for("XNYS")
    return [
        from_us(label)
        for label, closes in zip(sessions.labels.tolist(), sessions.closes.tolist(), strict=True)
        if from_us(label) >= first and from_us(closes) <= moment
    ]


def last_end(timeframe: str) -> datetime:
    """Return the end of the last week or month of which the last session has closed."""
    expectation = expectation_for(venue="XNYS", timeframe=timeframe, hours="regular", anchor="open")
    moment = to_us(now())
    units = expectation.units_between(moment - 90 * DAY_US, moment + 40 * DAY_US)
    return from_us(int(units.ends[expectation.bar_ends(units.starts) <= moment][-1]))


def make_series(timeframe: str = "1d", **instrument: object) -> int:
    """Make a series of AAA with nothing known about it."""
    made, _ = Instrument.objects.get_or_create(symbol="AAA", venue="XNYS", **instrument)
    return Series.objects.create(
        provider="synthetic", instrument=made, timeframe=timeframe, adjustment="raw"
    ).id


def daily(stamps: Sequence[datetime]) -> list[Span]:
    """Return each session as its span of stamps."""
    return [(stamp, stamp + ONE_DAY) for stamp in stamps]


def load(series_id: int, spans: Sequence[Span]) -> None:
    """Declare spans as loaded."""
    text = ",".join(f"[{start.isoformat()},{end.isoformat()})" for start, end in spans)
    sql(
        "INSERT INTO coverage (series_id, loaded, updated_at)"
        " VALUES (%s, %s::tstzmultirange, now())",
        series_id,
        "{" + text + "}",
    )


def prove(series_id: int, span: Span, *, reason: str = "no_trade", good_for: str = "1 day") -> None:
    """Explain a span."""
    sql(
        'INSERT INTO empty_proof (series_id, "window", reason, attempt_id, expires_at)'
        " VALUES (%s, tstzrange(%s, %s), %s, 1, now() + %s::interval)",
        series_id,
        *span,
        reason,
        good_for,
    )


def miss(series_id: int, span: Span) -> None:
    """Note a session as looked for in vain."""
    sql(
        'INSERT INTO missing_session (series_id, "window", looks, attempt_id)'
        " VALUES (%s, tstzrange(%s, %s), 1, 1)",
        series_id,
        *span,
    )


def bury(series_id: int, span: Span) -> None:
    """Leave a dead slice."""
    account, _ = Account.objects.get_or_create(provider="synthetic")
    job = Job.objects.create(workload="historical", kind="backfill", account=account, spec={})
    sql(
        'INSERT INTO slice (job_id, series_id, account_id, "window", state, tries, crashes,'
        " suspect, rows, error_class, error)"
        " VALUES (%s, %s, %s, tstzrange(%s, %s), 'dead', 5, 0, false, 0, 'X', 'x')",
        job.id,
        series_id,
        account.id,
        *span,
    )


def gaps(timeframe: str = "1d", days: int = DAYS) -> list[Gap]:
    """Ask for the gaps of AAA."""
    return [
        (start, end, sessions, kind)
        for start, end, sessions, kind in sql(
            "SELECT gap_start, gap_end, sessions, kind FROM coverage_gaps('AAA', %s, %s)",
            timeframe,
            days,
        )
    ]


def whole(stamps: Sequence[datetime], kind: str = "unknown") -> Gap:
    """Return the gap over neighbouring daily sessions."""
    return (stamps[0], stamps[-1] + ONE_DAY, len(stamps), kind)


def test_a_series_of_which_nothing_is_known_is_one_gap() -> None:
    """From the first expected session to the last that is over, everything is unknown."""
    make_series()
    assert gaps() == [whole(labels())]


def test_weekends_and_holidays_are_no_gaps() -> None:
    """Where every session is loaded, what lies between them is not expected."""
    load(make_series(), daily(labels()))
    assert gaps() == []


def test_planted_holes_are_found_exactly() -> None:
    """A leading, an interior and a trailing hole come back as they were planted."""
    days = labels()
    load(make_series(), daily(days[3:10] + days[11:-2]))
    assert gaps() == [whole(days[:3]), whole(days[10:11]), whole(days[-2:])]


def test_a_hole_over_a_weekend_is_one_gap() -> None:
    """Neighbouring sessions of one kind are one row, with the weekend between them."""
    days = labels()
    friday = next(n for n, one in enumerate(days) if one.weekday() == 4 and n + 1 < len(days))
    load(make_series(), daily(days[:friday] + days[friday + 2 :]))
    assert gaps() == [whole(days[friday : friday + 2])]


def test_a_session_that_is_loaded_in_part_is_a_gap() -> None:
    """Half an hour that lacks at the end of a session makes the session a gap, and only it."""
    days = labels()
    series_id = make_series("30m")
    opens, closes = session_times(days[5].date())
    load(series_id, [(days[0], closes - timedelta(minutes=30)), (closes, now())])
    assert gaps("30m") == [(opens, closes, 1, "unknown")]


def session_times(label: date) -> Span:
    """Return when a session opens and closes."""
    ((opens, closes),) = sql(
        "SELECT opens_at, closes_at FROM venue_session WHERE venue = 'XNYS' AND label = %s", label
    )
    return opens, closes


@pytest.mark.parametrize(("until", "found"), [("18:00", 0), ("17:30", 1)])
def test_a_half_day_ends_at_its_early_close(until: str, found: int) -> None:
    """Bars until the early close are the whole session; half an hour less is a gap."""
    opens, closes = session_times(HALF_DAY)
    assert closes.time() == time(18)
    end = datetime.combine(HALF_DAY, time.fromisoformat(until), UTC)
    days = (now().date() - HALF_DAY).days
    midnight = datetime.combine(HALF_DAY, time(), UTC)
    load(make_series("30m"), [(midnight, end), (midnight + ONE_DAY, now())])
    assert gaps("30m", days) == [(opens, closes, 1, "unknown")] * found


def test_gaps_say_why_they_are_there() -> None:
    """Failed beats missing beats unknown; neighbours of different kinds are different rows."""
    days = labels()
    series_id = make_series()
    load(series_id, daily(days[4:]))
    bury(series_id, (days[1], days[1] + ONE_DAY))
    miss(series_id, (days[1], days[1] + ONE_DAY))
    miss(series_id, (days[2], days[2] + ONE_DAY))
    assert gaps() == [
        whole(days[:1]),
        whole(days[1:2], "failed"),
        whole(days[2:3], "missing"),
        whole(days[3:4]),
    ]


def test_a_failure_that_was_made_good_is_no_gap() -> None:
    """A dead slice over a loaded window explains nothing and hides nothing."""
    days = labels()
    series_id = make_series()
    load(series_id, daily(days))
    bury(series_id, (days[0], days[-1]))
    assert gaps() == []


def test_an_unexpired_proof_explains_and_an_expired_one_does_not() -> None:
    """A proof counts until it expires; then the session is a gap again."""
    days = labels()
    series_id = make_series()
    load(series_id, daily(days[2:]))
    prove(series_id, (days[0], days[0] + ONE_DAY))
    prove(series_id, (days[1], days[1] + ONE_DAY), good_for="-1 second")
    assert gaps() == [whole(days[1:2])]


def test_an_instrument_is_expected_from_its_listing_to_its_delisting() -> None:
    """Sessions before the listing and from the delisting on are no gaps."""
    days = labels()
    make_series(listed_from=days[4].date(), delisted_on=days[9].date())
    assert gaps() == [whole(days[4:9])]


def test_a_week_is_one_unit() -> None:
    """Weekly series lack whole weeks, named by their Monday, until the last that has closed."""
    load(make_series("1w"), [])
    (gap,) = gaps("1w", 10 * 7)
    assert gap[1] == last_end("1w")
    assert gap[0].weekday() == 0
    assert (gap[1] - gap[0]).days // 7 == gap[2] >= 9


def test_a_month_is_one_unit() -> None:
    """Monthly series lack whole months, until the last that has closed."""
    load(make_series("1mo"), [])
    (gap,) = gaps("1mo", 100)
    assert gap[1] == last_end("1mo")
    assert gap[0].day == 1


def test_other_symbols_timeframes_and_the_future_do_not_show() -> None:
    """The function answers for what it was asked and for sessions that are over."""
    make_series("30m")
    assert gaps("1d") == []
    assert all(end <= now() for _, end, _, _ in gaps("30m"))


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(fates=st.lists(st.sampled_from("lpnmdu"), min_size=60, max_size=60))
def test_sql_and_the_planner_see_the_same_gaps(fates: list[str]) -> None:
    """Whatever became of each session, the function and show_coverage judge it alike."""
    sql("DELETE FROM slice")
    sql("DELETE FROM job")
    sql("DELETE FROM coverage")
    sql("DELETE FROM empty_proof")
    sql("DELETE FROM missing_session")
    sql("DELETE FROM series")
    sql("DELETE FROM instrument")
    days = labels()
    series_id = make_series()
    spans = list(zip(fates, daily(days), strict=False))
    load(series_id, [span for fate, span in spans if fate == "l"])
    for fate, span in spans:
        match fate:
            case "p":
                prove(series_id, span)
            case "n":
                prove(series_id, span, reason="not_listed")
            case "m":
                miss(series_id, span)
            case "d":
                bury(series_id, span)
    (seen,) = show_coverage(
        now=now(),
        symbols=["AAA"],
        timeframes=[Timeframe.D1],
        start=datetime.combine(now().date() - timedelta(days=DAYS), time(), UTC),
        end=now(),
    )
    assert gaps() == [
        (from_us(one.start), from_us(one.end), one.units, one.kind.value)
        for one in seen.report.gaps
    ]


def test_the_function_reads_nothing_else_of_the_database() -> None:
    """It is declared stable, so that PostgreSQL may call it once per query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT provolatile FROM pg_proc WHERE proname = 'coverage_gaps'")
        assert cursor.fetchall() == [("s",)]

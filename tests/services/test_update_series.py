"""An update asks for what is lacking up to the newest settled bar, and else for nothing at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ingestion.domain.errors import BadRequest
from ingestion.domain.spec import JobRequest, JobSpec
from ingestion.domain.states import JobKind
from ingestion.models import Job
from ingestion.services.open_job import open_job
from ingestion.services.plan_job import plan_job
from ingestion.services.reset_state import reset_state
from ingestion.services.settle_job import settle_job
from ingestion.services.update_series import Updated, stored_requests, update_series
from providers.types import Hours, Timeframe
from tests.protocol.scene import (
    NOW,
    TESTER,
    Worker,
    ask,
    dates,
    day,
    fetched,
    loaded,
    missing,
    open_running,
    proofs,
    series_of,
    sessions_between,
    sql,
    stored_days,
    truth,
    value,
    withholding,
)

pytestmark = pytest.mark.django_db

# NOW is a Monday noon: Friday's session is the last closed one.
LAST_CLOSED = "2024-05-31"


def wish(*symbols: str, **request: Any) -> JobRequest:
    """Ask for an update."""
    return ask(*symbols, **{"kind": JobKind.UPDATE, "start": None, "end": None, **request})


def update(*symbols: str, now: datetime = NOW, **request: Any) -> Updated:
    """Open an update."""
    return update_series(wish(*symbols, **request), now=now, actor=TESTER)


def run(updated: Updated, answer: Any = None) -> int:
    """Plan and work off what an update opened; return its job."""
    assert updated.job is not None
    job_id = updated.job.job_id
    assert plan_job(job_id)
    Worker.of(job_id).work_off(answer)
    settle_job(job_id)
    return job_id


def requests_made() -> int:
    """Count all requests that were ever made."""
    return int(value("SELECT coalesce(sum(requests), 0) FROM attempt"))


def test_nothing_stored_begins_at_the_lookback() -> None:
    """The window begins on the midnight so long ago and ends with the last closed session."""
    job = run(update(lookback=timedelta(days=10)))
    spec = JobSpec.from_json(Job.objects.get(id=job).spec)
    assert (spec.start, spec.end) == (day("2024-05-24"), day("2024-06-01"))
    assert stored_days(series_of(job))[0] == "2024-05-24"
    assert stored_days(series_of(job))[-1] == LAST_CLOSED


def test_a_second_update_asks_nothing_and_writes_nothing() -> None:
    """No job is opened, and the next day only that day is asked for."""
    run(update("AAA", "BBB", timeframes=(Timeframe.D1, Timeframe.H1, Timeframe.W1)))
    before = requests_made(), Job.objects.count(), value("SELECT count(*) FROM audit_event")
    again = update("AAA", "BBB", timeframes=(Timeframe.D1, Timeframe.H1, Timeframe.W1))
    assert again == Updated(provider="synthetic", job=None, series=6, current=6)
    assert (requests_made(), Job.objects.count(), value("SELECT count(*) FROM audit_event")) == (
        before
    )
    later = update("AAA", now=NOW + timedelta(days=1))
    assert later.job is not None
    plan_job(later.job.job_id)
    assert sql('SELECT lower("window"), upper("window") FROM slice WHERE job_id = %s',
               later.job.job_id) == [(day("2024-06-01"), day("2024-06-04"))]  # fmt: skip


def test_only_series_that_lack_something_are_in_the_job() -> None:
    """Of many series the current ones are counted and left alone."""
    run(update("AAA", "BBB"))
    updated = update("AAA", "BBB", "CCC")
    assert (updated.series, updated.current) == (3, 2)
    job = run(updated)
    assert [one.symbol for one in JobSpec.from_json(Job.objects.get(id=job).spec).series] == ["CCC"]


def test_it_begins_where_coverage_ends_however_long_ago() -> None:
    """The lookback bounds only what nothing is stored of."""
    Worker.of(open_running(end=day("2024-02-01"))).work_off()
    job = run(update())
    assert stored_days(series_of(job)) == dates(_all_sessions("2024-01-01", "2024-06-01"))


def test_what_was_missing_or_failed_within_the_lookback_is_asked_again() -> None:
    """A late bar is found by the next run; older holes are left to a backfill."""
    Worker.of(open_running(end=NOW)).work_off(withholding("2024-02-14", "2024-05-29"))
    series = value("SELECT id FROM series")
    assert missing(series) == {"2024-02-14": 1, "2024-05-29": 1}
    job = run(update())
    assert stored_days(series)[-3:] == ["2024-05-29", "2024-05-30", "2024-05-31"]
    assert missing(series) == {"2024-02-14": 1}
    assert value("SELECT outcome FROM job WHERE id = %s", job) == "complete"
    assert update().job is None


def test_silence_about_a_young_session_is_not_believed_for_long() -> None:
    """What was proven empty a day after it is asked for again a day later, not in a month."""
    now: datetime = value("SELECT now()")
    opened = {"now": now, "venue": "24/7", "timeframes": (Timeframe.D1,)}
    yesterday = f"{now - timedelta(days=1):%Y-%m-%d}"
    for _ in range(2):
        run(update("AAA", **opened), withholding(yesterday))
    ((reason, first, _),) = proofs(value("SELECT id FROM series"))
    assert (reason, first) == ("no_trade", yesterday)
    assert value("SELECT expires_at - proven_at FROM empty_proof") <= timedelta(days=1, seconds=1)
    assert update("AAA", **opened).job is None
    sql("UPDATE empty_proof SET expires_at = now()")
    run(update("AAA", **opened))
    assert stored_days(value("SELECT id FROM series"))[-1] == yesterday


def test_a_bar_that_its_provider_calls_forming_is_asked_for_until_it_is_final() -> None:
    """It is stored, yet not covered: the next update settles it."""

    def last_forming(claimed: Any) -> Any:
        bars = truth(claimed)
        final = bars.final.copy()
        final[-1] = False
        return fetched(claimed, replace(bars, final=final), proven_until=day(LAST_CLOSED))

    job = run(update(slice_span=None), last_forming)
    series = series_of(job)
    assert sql("SELECT final FROM bar ORDER BY ts DESC LIMIT 1") == [(False,)]
    assert loaded(series).ends.tolist()[-1] < 1717200000_000_000
    run(update(slice_span=None))
    assert value("SELECT count(*) FROM bar WHERE NOT final") == 0
    assert update().job is None


def test_a_weekend_lacks_nothing() -> None:
    """Where no bar is promised since the last one, the series is current."""
    friday_night = day("2024-06-01T02:00")
    run(update(now=friday_night, timeframes=(Timeframe.M15,)))
    assert update(now=day("2024-06-02T23:00"), timeframes=(Timeframe.M15,)).job is None
    assert update(now=day("2024-06-03T14:00"), timeframes=(Timeframe.M15,)).job is not None


def test_months_begin_with_the_month_at_the_lookback() -> None:
    """The lookback is rounded to the bar that it falls into, or a month would never be found."""
    job = run(update(timeframes=(Timeframe.MO1,)))
    assert stored_days(series_of(job)) == ["2024-05-01"]


def test_a_given_start_is_taken_at_its_word() -> None:
    """From there on all that is lacking is asked for."""
    run(update())
    job = run(update(start=day("2024-04-01")))
    assert stored_days(series_of(job))[0] == "2024-04-01"
    assert update(start=day("2024-04-01")).job is None


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("start", {"kind": JobKind.BACKFILL, "end": NOW}),
        ("lookback", {"lookback": timedelta(0)}),
        ("retry_delay", {"retry_delay": -1.0}),
        ("retry_delay", {"retry_delay": float("nan")}),
    ],
)
def test_what_an_update_cannot_mean_is_refused(field: str, change: dict[str, Any]) -> None:
    """The error names the field."""
    with pytest.raises(BadRequest) as refused:
        open_job(wish(**change), now=NOW, actor=TESTER)
    assert refused.value.field == field


def test_after_a_reset_everything_stored_is_asked_for_again() -> None:
    """However old it is: a doubt is settled by the next run of whatever kind."""
    Worker.of(open_running(end=NOW)).work_off()
    reset_state(series_ids=[value("SELECT id FROM series")], actor=TESTER)
    job = run(update())
    assert value("SELECT sum(unchanged) FROM attempt WHERE job_id = %s", job) == len(
        _all_sessions("2024-01-01", "2024-06-01")
    )
    assert update().job is None


def test_all_that_is_stored_makes_the_fewest_exact_requests() -> None:
    """Symbols with the same timeframes share a request; nothing is asked that is not stored."""
    Worker.of(open_running("AAA", "BBB", timeframes=(Timeframe.D1, Timeframe.H1))).work_off()
    Worker.of(open_running("CCC")).work_off()
    Worker.of(open_running("CCC", timeframes=(Timeframe.H1,), hours=Hours.EXTENDED)).work_off()
    asked = {
        (one.symbols, tuple(t.value for t in one.timeframes), one.hours.value)
        for one in stored_requests()
    }
    assert asked == {
        (("AAA", "BBB"), ("1d", "1h"), "regular"),
        (("CCC",), ("1d",), "regular"),
        (("CCC",), ("1h",), "extended"),
    }
    assert {one.symbols for one in stored_requests(symbols=["CCC"])} == {("CCC",)}
    before = value("SELECT count(*) FROM series")
    for one in stored_requests():
        update_series(one, now=NOW, actor=TESTER)
    assert value("SELECT count(*) FROM series") == before


def test_five_hundred_current_series_take_a_handful_of_queries() -> None:
    """The number of queries does not depend on the number of symbols, nor does opening the job."""
    symbols = [f"S{n:03}" for n in range(500)]
    with CaptureQueriesContext(
        connection,
    ) as opening:
        opened = update(*symbols)
    assert opened.job is not None
    assert len(opening) < 40
    sql(
        "INSERT INTO coverage (series_id, loaded, updated_at)"
        " SELECT id, '{[2024-05-01,2024-06-01)}', now() FROM series"
    )
    with CaptureQueriesContext(connection) as looking:
        assert update(*symbols).current == 500
    assert len(looking) <= 6


def _all_sessions(start: str, end: str) -> Any:
    return sessions_between(start, end).starts

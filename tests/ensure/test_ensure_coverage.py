"""Ensuring answers at once, queues exactly what lacks, and does so once however often asked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from ingestion.domain.ensuring import MOST_SLICES_BEYOND, EnsureRequest, Urgency
from ingestion.domain.errors import BadRequest
from ingestion.domain.states import JobState
from ingestion.domain.windows import Window
from ingestion.models import Job
from ingestion.services.ensure_coverage import Ensured, EnsuredGap, ensure_coverage
from ingestion.services.fail_slices import fail_slice
from ingestion.services.pause_job import pause_job
from ingestion.services.settle_job import settle_job
from providers.errors import UnknownSymbol
from providers.types import Timeframe
from tests.protocol.scene import (
    D1,
    NOW,
    TESTER,
    Worker,
    attempts_of,
    day,
    failed,
    open_queued,
    open_running,
    sessions_between,
    sql,
    value,
    withholding,
)

pytestmark = pytest.mark.django_db


def ensure(*symbols: str, now: datetime = NOW, **request: Any) -> Ensured:
    """Want January to March 2024 of the synthetic provider."""
    wanted: dict[str, Any] = {
        "symbols": symbols or ("AAA",),
        "timeframe": D1,
        "start": day("2024-01-01"),
        "end": day("2024-04-01"),
        "provider": "synthetic",
    }
    return ensure_coverage(EnsureRequest(**(wanted | request)), now=now, actor=TESTER)


def the_job(ensured: Ensured) -> int:
    """Return the one job that sees to what lacks."""
    (job,) = ensured.jobs
    assert job.job.id == ensured.job_id
    return job.job.id


def done(job_id: int, **answer: Any) -> None:
    """Let a worker finish a job."""
    Worker.of(job_id).work_off(**answer)
    assert settle_job(job_id) is JobState.COMPLETED


def windows_of(job_id: int) -> list[tuple[str, str]]:
    """Return the first and last dates of a job's slices."""
    rows = sql(
        'SELECT lower("window"), upper("window") FROM slice WHERE job_id = %s ORDER BY 1', job_id
    )
    return [(f"{start:%m-%d}", f"{end:%m-%d}") for start, end in rows]


def test_what_nobody_has_asked_for_is_queued_at_once_before_repairs() -> None:
    ensured = ensure()
    (series,) = ensured.series
    sessions = len(sessions_between("2024-01-01", "2024-04-01"))
    assert (series.promised, series.loaded, series.explained) == (sessions, 0, 0)
    assert series.gaps == (EnsuredGap(Window(day("2024-01-02"), day("2024-03-29")), sessions),)
    assert not ensured.covered
    job = Job.objects.get(id=the_job(ensured))
    assert (job.priority, job.state, job.planned) == (180, "running", True)
    assert ensured.jobs[0].slices.ready == len(windows_of(job.id)) > 0
    assert ensured.opened == (job.id,)


def test_a_repeated_call_makes_no_second_job_and_can_only_raise_the_first() -> None:
    first = the_job(ensure())
    again = ensure(urgency=Urgency.URGENT)
    assert the_job(again) == first
    assert again.opened == ()
    assert Job.objects.get(id=first).priority == 199
    assert the_job(ensure(urgency=Urgency.HIGH)) == first
    assert Job.objects.get(id=first).priority == 199
    assert Job.objects.count() == 1


def test_what_is_covered_asks_nobody_and_writes_nothing() -> None:
    done(the_job(ensure()))
    events = value("SELECT count(*) FROM audit_event")
    ensured = ensure()
    assert ensured.covered
    assert (ensured.job_id, ensured.jobs, ensured.series[0].gaps) == (None, (), ())
    assert ensured.series[0].loaded == ensured.series[0].promised > 0
    assert value("SELECT count(*) FROM audit_event") == events


def test_exactly_the_gaps_are_queued() -> None:
    """Two holes in what is loaded make two slices, and nothing between them is asked for."""
    done(open_running(start=day("2024-01-01"), end=day("2024-01-20")))
    done(open_running(start=day("2024-02-01"), end=day("2024-03-01")))
    ensured = ensure(start=day("2024-01-10"), end=day("2024-03-09"))
    assert [(gap.window.start, gap.window.end) for gap in ensured.series[0].gaps] == [
        (day("2024-01-22"), day("2024-02-01")),
        (day("2024-03-01"), day("2024-03-09")),
    ]
    job = the_job(ensured)
    slices = windows_of(job)
    assert slices[0][0] == "01-20"
    assert slices[-1] == ("03-01", "03-09")
    assert not any("02-01" <= start < "03-01" for start, _ in slices)
    Worker.of(job).work_off()
    assert {outcome for outcome, *_ in attempts_of(job)} == {"done"}


def test_a_small_open_job_is_joined_and_raised() -> None:
    backfill = open_running()
    assert the_job(ensure(start=day("2024-02-01"), end=day("2024-02-10"))) == backfill
    assert Job.objects.get(id=backfill).priority == 180
    reason = "SELECT reason FROM audit_event WHERE action = 'job.change_priority'"
    assert value(reason) == "someone waits for it"


def test_a_job_that_is_not_planned_yet_is_joined_too() -> None:
    backfill = open_queued()
    assert the_job(ensure(start=day("2024-02-01"), end=day("2024-02-10"))) == backfill


def test_a_large_job_is_not_raised_for_a_little_of_it() -> None:
    """Its slices would all go before what others wait for: the little gets a job of its own."""
    backfill = open_running(slice_span=timedelta(days=1))
    assert value("SELECT count(*) FROM slice") > MOST_SLICES_BEYOND + 1
    ensured = ensure(start=day("2024-02-01"), end=day("2024-02-02"))
    job = the_job(ensured)
    assert job != backfill
    assert Job.objects.get(id=backfill).priority == 100
    assert the_job(ensure(start=day("2024-02-01"), end=day("2024-02-02"))) == job
    Worker.of(job).work_off()
    paid = value("SELECT count(*) FROM attempt WHERE requests > 0")
    assert paid == len(windows_of(backfill))


@pytest.mark.parametrize("state", ["paused", "ended"])
def test_a_job_that_does_not_go_on_is_not_joined(state: str) -> None:
    first = open_running()
    if state == "paused":
        pause_job(first, actor=TESTER)
    else:
        done(first, answer=withholding("2024-02-05"))
    assert the_job(ensure()) != first


def test_what_has_just_failed_is_not_begun_over_and_over() -> None:
    """A program that asks until all is there gets the failed job for a minute, then a new try."""
    job = the_job(ensure())
    worker = Worker.of(job)
    for one in worker.claim():
        fail_slice(
            failed(one, UnknownSymbol("no such thing", provider="synthetic")),
            account_id=worker.account_id,
            executor_id=worker.id,
        )
    assert settle_job(job) is JobState.FAILED
    again = ensure()
    assert the_job(again) == job
    assert (again.covered, again.opened) == (False, ())
    sql("UPDATE job SET ended_at = ended_at - interval '61 seconds'")
    assert the_job(ensure()) != job


def test_several_jobs_each_do_their_part_and_only_the_rest_is_new() -> None:
    one = open_running("AAA", start=day("2024-01-01"), end=day("2024-02-01"))
    two = open_running("BBB")
    ensured = ensure("AAA", "BBB", "CCC")
    assert {progress.job.id for progress in ensured.jobs} == {one, two, ensured.job_id}
    (new,) = ensured.opened
    assert windows_of(new)[0][0] == "01-01"  # of CCC
    of_first = sql(
        'SELECT min(lower(s."window")) FROM slice s JOIN series r ON r.id = s.series_id'
        " JOIN instrument i ON i.id = r.instrument_id WHERE i.symbol = 'AAA' AND s.job_id = %s",
        new,
    )
    assert of_first == [(day("2024-02-01"),)]


def test_minutes_that_are_not_settled_yet_are_stated_and_not_queued() -> None:
    """At a quarter past the open, minutes are settled up to the provider's delay only."""
    now = day("2024-06-03T14:00")
    ensured = ensure(
        timeframe=Timeframe.M1, start=day("2024-06-03"), end=day("2024-06-03T20:00"), now=now
    )
    (series,) = ensured.series
    assert day("2024-06-03T13:30") < series.settled_until <= now
    assert series.window is not None
    assert series.window.end == series.settled_until
    assert series.promised + series.unsettled == 390
    assert value('SELECT max(upper("window")) FROM slice') == series.settled_until


def test_a_window_of_which_nothing_is_settled_makes_no_job() -> None:
    ensured = ensure(start=day("2024-06-03"), end=day("2024-06-04"))
    assert ensured.covered
    assert ensured.series[0].unsettled == 1
    assert Job.objects.count() == 0


def test_without_a_provider_the_stored_series_says_where_to_ask() -> None:
    done(open_running("AAA", end=day("2024-02-01")))
    ensured = ensure("AAA", provider=None)
    assert ensured.series[0].provider == "synthetic"
    with pytest.raises(BadRequest, match="nothing is stored of CCC at 1d"):
        ensure("AAA", "CCC", provider=None)


def test_a_job_for_gaps_is_judged_by_them_alone() -> None:
    """A session between them that lacks in vain is another job's; this one has done its own."""
    done(open_running(start=day("2024-02-01"), end=day("2024-03-01")))
    job = the_job(ensure(start=day("2024-01-29"), end=day("2024-03-05")))
    series = value("SELECT series_id FROM slice WHERE job_id = %s LIMIT 1", job)
    sql(
        'INSERT INTO missing_session (series_id, "window", attempt_id, looks) SELECT %s,'
        " tstzrange('2024-02-05', '2024-02-06'), min(id), 1 FROM attempt",
        series,
    )
    done(job)
    assert Job.objects.get(id=job).outcome == "complete"


def test_a_session_that_was_missing_is_asked_for_once_more_and_then_explained() -> None:
    done(the_job(ensure()), answer=withholding("2024-02-05"))
    again = ensure()
    assert [gap.window.start for gap in again.series[0].gaps] == [day("2024-02-05")]
    done(the_job(again), answer=withholding("2024-02-05"))
    last = ensure()
    assert last.covered
    assert last.series[0].explained == 1


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"start": NOW + timedelta(days=1)}, "start"),
        ({"end": day("2023-12-01")}, "end"),
        ({"symbols": ()}, "symbols"),
    ],
)
def test_what_cannot_be_meant_is_refused(request_: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as refused:
        ensure(**request_)
    assert refused.value.field == field

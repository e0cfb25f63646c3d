"""What a fired job means is found when it is planned: its series, windows, and what is lacking."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest, UnknownDefinition
from ingestion.domain.schedules import ScheduleAction
from ingestion.domain.states import JobState
from ingestion.domain.windows import Window
from ingestion.models import Instrument, Job, Slice
from ingestion.services.pause_job import pause_job
from ingestion.services.plan_job import plan_or_fail
from ingestion.services.resume_job import resume_job
from ingestion.services.settle_job import settle_job
from ingestion.services.start_definition import start_definition
from tests.protocol.scene import day, open_running, sql
from tests.schedules.scene import at, define, fire, jobs, schedule

pytestmark = pytest.mark.django_db

PERSON = Actor(name="ada", source="cli")


def _planned(job: Job, *, now: str) -> list[tuple[str, datetime, datetime]]:
    """Plan a job and return what is asked of it, by symbol."""
    assert plan_or_fail(job.id, now=at(now))
    job.refresh_from_db()
    assert job.request is None
    return [
        (
            one["symbol"],
            datetime.fromisoformat(one["start"]),
            datetime.fromisoformat(one["end"]),
        )
        for one in job.spec["series"]
        if one["start"]
    ]


def test_an_update_asks_from_the_start_of_the_history() -> None:
    define()
    schedule("close + 15 min")
    fire("2024-06-03T20:15")
    found = _planned(jobs()[0], now="2024-06-03T20:15")
    assert found == [
        ("AAA", at("2024-05-01"), at("2024-06-04")),
        ("BBB", at("2024-05-01"), at("2024-06-04")),
    ]
    assert Slice.objects.filter(job=jobs()[0]).exists()


def test_an_update_that_lacks_nothing_is_complete_at_once() -> None:
    define(symbols=["AAA"])
    job_id = open_running("AAA", start=day("2024-05-01"), end=day("2024-06-01"))
    sql(
        "INSERT INTO coverage (series_id, loaded, updated_at) SELECT id,"
        " '{[2024-05-01,2024-06-04)}', now() FROM series"
    )
    assert job_id
    schedule("close + 15 min")
    fire("2024-06-03T20:15")
    (job,) = jobs()
    _planned(job, now="2024-06-03T20:15")
    assert (job.state, job.outcome) == ("completed", "complete")
    assert [one["symbol"] for one in job.spec["series"]] == ["AAA"]
    assert not Slice.objects.filter(job=job).exists()
    assert settle_job(job.id).value == "completed"


@pytest.mark.parametrize(
    ("timeframe", "start", "end"),
    [
        ("1d", "2024-05-31", "2024-06-01"),
        ("1m", "2024-05-31T13:30", "2024-05-31T20:00"),
        # The week is not over on its Friday's close, plus one day: it ends with Sunday.
        ("1w", "2024-05-27", "2024-06-03"),
    ],
)
def test_a_verification_is_about_the_session_it_is_due_for(
    timeframe: str, start: str, end: str
) -> None:
    """Three days after the close of the 31st of May that session is fetched again."""
    define(timeframe=timeframe, symbols=["AAA"])
    schedule("close + 3 d", action="verify", now=at("2024-06-03T12:00"))
    fire("2024-06-03T20:00")
    (job,) = jobs()
    assert job.kind == "reconcile"
    assert job.priority == 100
    assert _planned(job, now="2024-06-03T20:00") == [("AAA", at(start), at(end))]


def test_a_verification_of_no_session_takes_the_last_closed_one_of_each_venue() -> None:
    Instrument.objects.create(symbol="AAA", venue="XNYS")
    Instrument.objects.create(symbol="BBB", venue="XTKS")
    define(venue="")
    schedule("cron 0 7 * * *", venue="", action="verify", now=at("2024-06-04T00:00"))
    fire("2024-06-04T07:00")
    found = _planned(jobs()[0], now="2024-06-04T07:00")
    assert found == [
        ("AAA", at("2024-06-03"), at("2024-06-04")),
        ("BBB", at("2024-06-04"), at("2024-06-05")),
    ]


def _start(**asked: Any) -> Job:
    job_id = start_definition("daily", now=at("2024-06-03T21:00"), actor=PERSON, **asked)
    return Job.objects.get(id=job_id)


def test_a_repair_fetches_its_window_again() -> None:
    """A window of instants means the stamps of the sessions it lies in."""
    define()
    window = Window(at("2024-05-30T13:30"), at("2024-05-31T20:00"))
    job = _start(action=ScheduleAction.REPAIR, symbols=["BBB"], window=window, reason="a hole")
    assert (job.kind, job.priority, job.slot_id) == ("repair", 150, None)
    assert _planned(job, now="2024-06-03T21:00") == [("BBB", at("2024-05-30"), at("2024-06-01"))]


def test_a_repair_of_no_window_fills_what_is_lacking() -> None:
    define()
    job = _start(action=ScheduleAction.REPAIR)
    assert (job.kind, job.priority) == ("update", 150)
    assert len(_planned(job, now="2024-06-03T21:00")) == 2


def test_only_symbols_of_the_definition_can_be_started() -> None:
    define()
    with pytest.raises(BadRequest, match="ZZZ is not among the symbols"):
        _start(symbols=["ZZZ"])
    with pytest.raises(UnknownDefinition):
        start_definition("weekly", now=at("2024-06-03T21:00"), actor=PERSON)


def test_the_venue_of_a_definition_is_for_symbols_nobody_knows() -> None:
    """What is known to trade elsewhere stays there."""
    Instrument.objects.create(symbol="AAA", venue="XTKS")
    define(venue="XLON")
    _planned(_start(), now="2024-06-03T21:00")
    venues = dict(Instrument.objects.values_list("symbol", "venue"))
    assert venues == {"AAA": "XTKS", "BBB": "XLON"}


@pytest.mark.parametrize(
    ("columns", "error_class"),
    [
        ({"venue": "ATLANTIS"}, "UnknownVenue"),
        ({"history_start": "2030-01-01"}, "BadRequest"),
        ({"adjustment": "split_div", "providers": ["polygon"]}, "UnsupportedRequest"),
    ],
)
def test_what_cannot_be_meant_fails_the_job_with_a_sentence(
    columns: dict[str, Any], error_class: str
) -> None:
    define(**columns)
    job = _start()
    assert not plan_or_fail(job.id, now=at("2024-06-03T21:00"))
    job.refresh_from_db()
    assert (job.state, job.error_class) == ("failed", error_class)
    assert job.error


def test_a_job_that_was_stopped_before_it_was_planned_stays_as_it_is() -> None:
    """It is resolved once it goes on."""
    define()
    job = _start()
    assert pause_job(job.id, actor=PERSON) is JobState.PAUSED
    assert not plan_or_fail(job.id, now=at("2024-06-03T21:00"))
    job.refresh_from_db()
    assert job.request is not None
    assert resume_job(job.id, actor=PERSON) is JobState.QUEUED
    assert len(_planned(job, now="2024-06-03T21:00")) == 2


def test_the_deadline_counts_from_the_due_time() -> None:
    define(deadline=timedelta(hours=1))
    assert _start().deadline_at == at("2024-06-03T22:00")

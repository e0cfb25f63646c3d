"""A realtime job that was away says what it has left behind."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ingestion.domain.states import Workload
from ingestion.models import Signal
from ingestion.services.open_job import open_job
from ingestion.services.poll_job import poll_job
from providers.types import Timeframe
from tests.protocol.scene import TESTER, Worker, ask, day, fetched, truth

pytestmark = pytest.mark.django_db

MORNING = day("2024-06-03T15:00")  # a Monday; the session is open from 13:30Z until 20:00Z


@pytest.fixture
def job() -> int:
    """Open a realtime job that reaches two hours back."""
    request = ask(
        timeframes=(Timeframe.M5,),
        start=MORNING - timedelta(hours=1),
        end=None,
        slice_span=timedelta(hours=2),
        workload=Workload.REALTIME,
        poll_seconds=60,
    )
    return open_job(request, now=MORNING, actor=TESTER).job_id


def poll(job: int, now: datetime) -> None:
    """Poll once, and answer all that is over by then."""
    assert poll_job(job, now=now) == 1
    worker = Worker.of(job)
    one = worker.claim_one()
    worker.finish(fetched(one, truth(one), proven_until=now))


def told() -> list[tuple[datetime, datetime]]:
    """Return the windows of the signals so far."""
    windows = Signal.objects.filter(name="realtime_gap").order_by("id")
    return [(one.window.lower, one.window.upper) for one in windows]


def test_what_polls_did_not_reach_is_signalled_once(job: int) -> None:
    """The job was away for four hours and reaches two hours back."""
    poll(job, MORNING)
    poll(job, MORNING + timedelta(minutes=5))
    assert told() == []
    away = MORNING + timedelta(hours=4, minutes=5)
    for minutes in (0, 1, 2):
        poll(job, away + timedelta(minutes=5 * minutes))
    (hole,) = told()
    assert hole == (MORNING + timedelta(minutes=5), away - timedelta(minutes=115))
    signal = Signal.objects.get()
    assert (signal.symbols, signal.timeframe) == (["AAA"], "5m")


def test_a_night_is_no_gap(job: int) -> None:
    """Nothing is expected between two sessions, whoever was away then."""
    for at in ("2024-06-03T15:00", "2024-06-03T16:50", "2024-06-03T18:40", "2024-06-03T20:00"):
        poll(job, day(at))
    for at in ("2024-06-04T13:40", "2024-06-04T13:45", "2024-06-04T15:45"):
        poll(job, day(at))
    assert told() == []

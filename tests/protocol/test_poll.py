"""Realtime jobs go through the same states; each poll asks anew for what is not final yet."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from ingestion.domain.states import JobState, Workload
from ingestion.domain.windows import to_us
from ingestion.services.cancel_job import cancel_job
from ingestion.services.fail_slices import fail_slice
from ingestion.services.open_job import open_job
from ingestion.services.pause_job import pause_job
from ingestion.services.poll_job import poll_job
from ingestion.services.resume_job import resume_job
from ingestion.services.settle_job import settle_job
from ingestion.services.start_job import start_job
from ingestion.services.tick import tick
from providers.bars import Bars
from providers.errors import PermanentError
from providers.types import Timeframe
from tests.protocol.scene import (
    TESTER,
    Worker,
    ask,
    day,
    failed,
    fetched,
    loaded,
    slice_states,
    sql,
    state_of,
    truth,
    value,
)

pytestmark = pytest.mark.django_db

OPEN = day("2024-06-03T15:02:30")  # a Monday, the session has been open since 13:30Z


def open_polling(*, timeframe: Timeframe = Timeframe.M5, now: datetime = OPEN, **more: Any) -> int:
    """Open a realtime job that asks every ten seconds."""
    request = ask(
        timeframes=(timeframe,),
        start=now - timedelta(hours=1),
        end=None,
        slice_span=None,
        workload=Workload.REALTIME,
        poll_seconds=10,
        **more,
    )
    return open_job(request, now=now, actor=TESTER, draft=True).job_id


def started(**more: Any) -> int:
    """Open and start one."""
    job = open_polling(**more)
    start_job(job, actor=TESTER)
    return job


def until(bars: Bars, now: datetime, *, step: timedelta = timedelta(minutes=5)) -> Bars:
    """Return what a provider would say at a moment: bars that have begun, the last one forming."""
    bars = bars.take(bars.ts <= to_us(now))
    is_final = bars.ts + step // timedelta(microseconds=1) <= to_us(now)
    close = np.where(is_final, bars.close, bars.low)
    columns = {name: getattr(bars, name) for name in Bars.__slots__}
    return Bars(**(columns | {"final": is_final, "close": close}))


def answer(job: int, now: datetime) -> tuple[datetime, datetime]:
    """Poll, and answer as the provider would at that moment; return the window that was asked."""
    assert poll_job(job, now=now) == 1
    worker = Worker.of(job)
    one = worker.claim_one()
    step = timedelta(minutes=5)
    settled = datetime.fromtimestamp(to_us(now) // 300_000_000 * 300, tz=now.tzinfo)
    worker.finish(fetched(one, until(truth(one), now, step=step), proven_until=settled))
    return one.start, one.end


def test_a_poll_asks_up_to_the_end_of_the_forming_bar() -> None:
    """The first poll looks back two hours at most, to the end of the bar that is forming."""
    job = open_polling(now=OPEN)
    start_job(job, actor=TESTER)
    assert poll_job(job, now=OPEN) == 1
    assert state_of(job) is JobState.RUNNING
    assert sql('SELECT lower("window"), upper("window") FROM slice') == [
        (day("2024-06-03T14:00"), day("2024-06-03T15:05"))
    ]


def test_the_slice_is_armed_again_and_asks_only_for_what_is_not_final() -> None:
    """One slice per series serves all polls; the window follows the coverage."""
    job = started()
    assert answer(job, OPEN)[1] == day("2024-06-03T15:05")
    later = OPEN + timedelta(minutes=5)
    assert answer(job, later) == (day("2024-06-03T15:00"), day("2024-06-03T15:10"))
    assert value("SELECT count(*) FROM slice") == 1
    assert value("SELECT count(*) FROM attempt") == 2
    assert settle_job(job) is JobState.RUNNING


def test_forming_bars_are_replaced_and_become_final() -> None:
    """No revision is kept of a bar that was never final, and the stored end is the truth."""
    job = started()
    series = None
    for seconds in range(0, 600, 60):
        answer(job, OPEN + timedelta(seconds=seconds))
    ((series,),) = sql("SELECT DISTINCT series_id FROM bar")
    rows = sql("SELECT ts, final FROM bar ORDER BY ts")
    assert [final for _, final in rows[-2:]] == [True, False]
    assert all(final for _, final in rows[:-1])
    assert value("SELECT count(*) FROM bar_revision") == 0
    assert loaded(series).ends[-1] == to_us(rows[-1][0])
    one_final = sql("SELECT close, low FROM bar WHERE final ORDER BY ts DESC LIMIT 1")[0]
    assert one_final[0] != one_final[1]


def test_a_poll_that_is_still_open_is_left_alone() -> None:
    """A slice that is leased, or waits for its retry, is not armed over."""
    job = started()
    assert poll_job(job, now=OPEN) == 1
    assert poll_job(job, now=OPEN + timedelta(seconds=10)) == 0
    Worker.of(job).claim_one()
    assert poll_job(job, now=OPEN + timedelta(seconds=20)) == 0
    assert value('SELECT upper("window") FROM slice') == day("2024-06-03T15:05")


def test_a_dead_poll_does_not_end_the_job() -> None:
    """A poll that failed for good is followed by the next one, with all its tries."""
    job = started(tries=1)
    poll_job(job, now=OPEN)
    worker = Worker.of(job)
    error = PermanentError("no", provider="synthetic")
    fail_slice(
        failed(worker.claim_one(), error), account_id=worker.account_id, executor_id=worker.id
    )
    assert slice_states(job) == {"dead": 1}
    assert settle_job(job) is JobState.RUNNING
    assert poll_job(job, now=OPEN + timedelta(minutes=1)) == 1
    assert sql("SELECT state, tries FROM slice") == [("ready", 0)]


def test_the_tick_polls_what_is_due() -> None:
    """The next poll is due after the interval, by the clock of the tick."""
    job = started()
    assert tick(now=OPEN, processes=2).polled == 1
    assert value("SELECT next_poll_at FROM job") == OPEN + timedelta(seconds=10)
    sql("UPDATE job SET next_poll_at = clock_timestamp() + interval '5 seconds'")
    sql("UPDATE slice SET state = 'done'")
    assert tick(now=OPEN, processes=2).polled == 0
    sql("UPDATE job SET next_poll_at = clock_timestamp()")
    assert tick(now=OPEN, processes=2).polled == 1
    assert state_of(job) is JobState.RUNNING


def test_a_realtime_job_goes_through_the_same_states() -> None:
    """Draft, queued, running, paused, running, cancelled: by the same verbs."""
    job = open_polling()
    assert state_of(job) is JobState.DRAFT
    assert poll_job(job, now=OPEN) == 0
    start_job(job, actor=TESTER)
    assert state_of(job) is JobState.QUEUED
    assert poll_job(job, now=OPEN) == 1
    assert pause_job(job, actor=TESTER) is JobState.PAUSED
    assert poll_job(job, now=OPEN + timedelta(minutes=1)) == 0
    assert Worker.of(job).claim() == ()
    assert resume_job(job, actor=TESTER) is JobState.RUNNING
    answer_late = Worker.of(job).claim_one()
    assert cancel_job(job, actor=TESTER) is JobState.RUNNING
    Worker.of(job).finish(fetched(answer_late, until(truth(answer_late), OPEN)))
    assert settle_job(job) is JobState.CANCELLED
    assert poll_job(job, now=OPEN + timedelta(minutes=2)) == 0


def test_a_realtime_job_never_completes_by_itself() -> None:
    """Between two polls it has no open slice, and yet runs on."""
    job = started()
    answer(job, OPEN)
    assert slice_states(job) == {"done": 1}
    tick(now=OPEN, processes=2)
    assert settle_job(job) is JobState.RUNNING


@pytest.mark.parametrize(
    ("timeframe", "now", "forming"),
    [
        (Timeframe.M1, "2024-06-03T15:02:30", "2024-06-03T15:02"),
        (Timeframe.H1, "2024-06-03T15:10", "2024-06-03T14:30"),
        (Timeframe.H4, "2024-06-03T17:10", "2024-06-03T13:30"),
        (Timeframe.D1, "2024-06-03T15:10", "2024-06-03"),
        (Timeframe.W1, "2024-06-07T15:10", "2024-06-03"),
        (Timeframe.W1, "2024-06-03T15:10", "2024-06-03"),
        (Timeframe.MO1, "2024-06-28T15:10", "2024-06-01"),
        (Timeframe.MO1, "2024-03-29T15:10", "2024-03-01"),
    ],
)
def test_every_poll_contains_the_forming_bar_and_the_one_before(
    timeframe: Timeframe, now: str, forming: str
) -> None:
    """However long the bar, the window holds its stamp, although all earlier bars are known."""
    moment = day(now)
    job = started(timeframe=timeframe, now=moment)
    poll_job(job, now=moment)
    ((start, end),) = sql('SELECT lower("window"), upper("window") FROM slice')
    assert start <= day(forming) < end
    assert end > moment


def test_a_poll_reaches_back_no_further_than_needed_after_a_long_silence() -> None:
    """After a night without a worker the window is two hours, not the night."""
    job = started()
    answer(job, OPEN)
    start, end = answer(job, OPEN + timedelta(days=1))
    assert end - start <= timedelta(hours=2)

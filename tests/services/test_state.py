"""A reset doubts what is stored without losing it; the state says where a series stands."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ingestion.domain.coverage import Ranges
from ingestion.domain.windows import Window
from ingestion.services.find_series import NothingStored
from ingestion.services.open_job import open_job
from ingestion.services.plan_job import plan_job
from ingestion.services.reset_state import reset_state
from ingestion.services.settle_job import settle_job
from ingestion.services.show_state import SeriesState, show_state
from ingestion.store.coverage import read_known
from providers.registry import get_adapter
from providers.types import Timeframe
from tests.protocol.scene import (
    NOW,
    TESTER,
    Worker,
    ask,
    day,
    loaded,
    missing,
    open_queued,
    open_running,
    proofs,
    series_of,
    sql,
    stored_days,
    us,
    value,
    withholding,
)

pytestmark = pytest.mark.django_db


def doubted(series_id: int) -> Ranges:
    """Return what is to be fetched again."""
    return read_known([series_id])[series_id].doubted


def state(**filters: Any) -> SeriesState:
    """Return the state of the one series."""
    (one,) = show_state(now=NOW, **filters)
    return one


def test_a_reset_and_a_backfill_make_a_reconciliation() -> None:
    """Bars stay; what comes again is unchanged, what does not is counted as vanished."""
    first = open_running()
    Worker.of(first).work_off()
    series = series_of(first)
    stored = stored_days(series)
    before = loaded(series)
    assert reset_state(series_ids=[series, 999_999], actor=TESTER, reason="looks wrong") == 1
    assert (len(loaded(series)), doubted(series)) == (0, before)
    assert stored_days(series) == stored
    assert sql(
        "SELECT actor, object_id, reason FROM audit_event WHERE action = 'series.reset'"
    ) == [("tester", str(series), "looks wrong")]
    again = open_running()
    Worker.of(again).work_off(withholding("2024-01-17", "2024-02-28"))
    assert sql(
        "SELECT sum(inserted), sum(unchanged), sum(vanished) FROM attempt WHERE job_id = %s", again
    ) == [(0, len(stored) - 2, 2)]
    assert (loaded(series), len(doubted(series))) == (before, 0)
    assert stored_days(series) == stored
    assert missing(series) == {}
    settle_job(again)
    assert value("SELECT outcome FROM job WHERE id = %s", again) == "complete"
    assert value("SELECT count(*) FROM slice WHERE job_id = %s", open_running()) == 0


def test_a_reset_forgets_proofs_and_missing_sessions() -> None:
    """Every session is looked for anew, also those that nobody found twice."""
    for _ in range(2):
        Worker.of(open_running()).work_off(withholding("2024-01-17"))
    Worker.of(open_running(end=day("2024-04-20"))).work_off(withholding("2024-04-10"))
    series = value("SELECT id FROM series")
    assert (len(proofs(series)), missing(series)) == (1, {"2024-04-10": 1})
    reset_state(series_ids=[series], actor=TESTER)
    assert (proofs(series), missing(series)) == ([], {})
    Worker.of(open_running(end=day("2024-04-20"))).work_off()
    assert {"2024-01-17", "2024-04-10"} <= set(stored_days(series))
    assert not len(doubted(series))


def test_a_run_settles_only_the_doubts_that_it_looked_at() -> None:
    """A backfill of one month leaves the rest to be fetched by a later one."""
    Worker.of(open_running()).work_off()
    series = value("SELECT id FROM series")
    reset_state(series_ids=[series], actor=TESTER)
    Worker.of(open_running(start=day("2024-02-01"), end=day("2024-03-01"))).work_off()
    assert loaded(series) == Ranges.of([(us("2024-02-01"), us("2024-03-01"))])
    assert doubted(series) == Ranges.of(
        [(us("2024-01-01"), us("2024-02-01")), (us("2024-03-01"), us("2024-04-01"))]
    )


def test_what_no_provider_reaches_any_more_is_believed_again() -> None:
    """Old minutes cannot be fetched twice: they count as loaded, and only the rest is asked for."""
    lookback = get_adapter("yahoo").capabilities.timeframes[Timeframe.M5].lookback
    assert lookback is not None
    old, new = NOW - lookback - timedelta(days=20), NOW - timedelta(days=3)
    request = ask(
        provider="yahoo",
        timeframes=(Timeframe.M5,),
        start=old.replace(hour=0),
        end=NOW,
        slice_span=None,
    )
    open_job(request, now=NOW, actor=TESTER)
    series = value("SELECT id FROM series")
    sql(
        "INSERT INTO coverage (series_id, loaded, updated_at)"
        " VALUES (%s, tstzmultirange(tstzrange(%s, %s)), now())",
        series,
        old,
        new,
    )
    reset_state(series_ids=[series], actor=TESTER)
    job = open_job(request, now=NOW, actor=TESTER).job_id
    assert plan_job(job)
    reach = value('SELECT min(lower("window")) FROM slice WHERE job_id = %s', job)
    assert loaded(series) == Ranges.of_windows([Window(old, reach)])
    assert doubted(series) == Ranges.of_windows([Window(reach, new)])


def test_the_state_says_where_a_series_stands() -> None:
    """Watermark, bars, holes, the last try and the jobs that are still at it."""
    job = open_running()
    Worker.of(job).work_off(withholding("2024-02-14"))
    queued = open_queued()
    one = state(symbols=["AAA"], timeframes=[Timeframe.D1])
    assert (one.watermark, one.bars, one.loaded_spans) == (day("2024-02-14"), 60, 2)
    assert (one.first_bar, one.last_bar) == (day("2024-01-02"), day("2024-03-28"))
    assert (one.missing, one.doubted) == (1, False)
    assert (one.last_outcome, one.last_error) == ("done", "")
    assert one.last_attempt_at is not None
    assert one.open_jobs == (job, queued)
    reset_state(series_ids=[one.series.id], actor=TESTER)
    after = state()
    assert (after.doubted, after.watermark, after.bars, after.missing) == (True, None, 60, 0)


def test_the_state_of_what_is_not_stored_is_refused() -> None:
    """A symbol without any series is named in the error."""
    with pytest.raises(NothingStored, match="ZZZ"):
        show_state(symbols=["ZZZ"], now=NOW)


def test_a_completed_job_has_come_to_its_end_also_where_others_had_been() -> None:
    """What another job had covered counts: the checkpoint is the end, with the last bar before."""
    Worker.of(open_running(start=day("2024-02-01"))).work_off()
    job = open_running(start=day("2024-01-01"), end=day("2024-03-10"))
    Worker.of(job).work_off()
    none = open_running(start=day("2024-02-05"), end=day("2024-03-10"))
    for one in (job, none):
        settle_job(one)
        assert sql("SELECT frontier, ts FROM checkpoint WHERE job_id = %s", one) == [
            (day("2024-03-10"), day("2024-03-08"))
        ]

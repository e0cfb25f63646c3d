"""A plan asks for what is expected and neither stored nor explained: no more, no less, once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from ingestion.domain.coverage import Ranges
from ingestion.domain.states import JobKind, JobState
from ingestion.domain.windows import to_us
from ingestion.services import plan_job as planning
from ingestion.services.pause_job import pause_job
from ingestion.services.plan_job import plan_job, plan_or_fail
from ingestion.services.preview_job import preview_job
from ingestion.services.resume_job import resume_job
from ingestion.services.settle_job import settle_job
from ingestion.services.tick import tick
from ingestion.store.series import load_facts
from providers.adapters.synthetic import PAGE_ROWS
from providers.bars import Bars
from providers.base import RateLimit
from providers.registry import get_adapter
from providers.types import Credentials, Timeframe
from tests.protocol.scene import (
    NOW,
    TESTER,
    RefusingEdge,
    Worker,
    ask,
    day,
    expire_leases,
    fetched,
    open_queued,
    open_running,
    series_of,
    slice_states,
    sql,
    state_of,
    us,
    value,
    withholding,
)

pytestmark = pytest.mark.django_db


def windows(job_id: int) -> list[tuple[datetime, datetime]]:
    """Return the slices of a job in order."""
    return sql(
        'SELECT lower("window"), upper("window") FROM slice WHERE job_id = %s'
        " ORDER BY series_id, 1",
        job_id,
    )


def union(job_id: int) -> Ranges:
    """Return what a job's slices hold together."""
    return Ranges.of((to_us(start), to_us(end)) for start, end in windows(job_id))


def days(*spans: tuple[str, str]) -> Ranges:
    """Build ranges from half-open pairs of dates."""
    return Ranges.of((us(start), us(end)) for start, end in spans)


def test_slices_partition_the_window() -> None:
    """The slices are disjoint, adjacent, and hold exactly what was asked for."""
    job = open_running(start=day("2024-01-03"), end=day("2024-03-30"), slice_span=timedelta(days=7))
    cut = windows(job)
    assert cut[0][0] == day("2024-01-03")
    assert cut[-1][1] == day("2024-03-30")
    assert [end for _, end in cut[:-1]] == [start for start, _ in cut[1:]]
    assert len(cut) > 10


def test_overlapping_jobs_share_their_boundaries() -> None:
    """Inner boundaries lie on one grid, so that two jobs make identical slices."""
    wide = windows(open_running(start=day("2023-11-03")))
    narrow = windows(open_running(start=day("2024-01-03"), end=day("2024-03-20")))
    assert set(narrow[1:-1]) <= set(wide)


def test_weekends_alone_make_no_slice() -> None:
    """No slice expects nothing: pieces without a session join their neighbours."""
    job = open_running(slice_span=timedelta(days=1))
    assert slice_states(job)["ready"] == 61


def test_a_job_over_a_weekend_has_nothing_to_do() -> None:
    """Where nothing is expected the job is planned, without slices, and completes."""
    job = open_running(start=day("2024-01-06"), end=day("2024-01-08"))
    assert slice_states(job) == {}
    assert settle_job(job) is JobState.COMPLETED


def test_what_is_loaded_is_not_planned_again() -> None:
    """A wider job lacks only what lies outside the coverage."""
    Worker.of(open_running(start=day("2024-02-01"), end=day("2024-03-01"))).work_off()
    job = open_running(start=day("2024-01-02"), end=day("2024-04-01"))
    assert union(job) == days(("2024-01-02", "2024-02-01"), ("2024-03-01", "2024-04-01"))


def test_what_is_proven_empty_is_not_planned_until_the_proof_expires() -> None:
    """An unexpired proof is as good as coverage; an expired one is not."""
    for _ in range(2):
        Worker.of(open_running()).work_off(withholding("2024-02-14"))
    assert windows(open_running()) == []
    sql("UPDATE empty_proof SET expires_at = now()")
    assert union(open_running()) == days(("2024-02-14", "2024-02-15"))


def test_a_missing_session_is_planned_again() -> None:
    """What one look did not find is looked for by the next job."""
    Worker.of(open_running()).work_off(withholding("2024-02-14"))
    assert union(open_running()) == days(("2024-02-14", "2024-02-15"))


def test_a_reconciliation_plans_everything() -> None:
    """Coverage and proofs do not shorten a reconciliation."""
    for _ in range(2):
        Worker.of(open_running()).work_off(withholding("2024-02-14"))
    again = open_running(kind=JobKind.RECONCILE)
    assert union(again) == days(("2024-01-01", "2024-04-01"))


def test_nothing_is_planned_before_the_listing() -> None:
    """An instrument's listing date bounds its plans."""
    open_queued()
    sql("UPDATE instrument SET listed_from = '2024-03-01'")
    assert windows(open_running())[0][0] == day("2024-03-01")


def test_planning_stops_at_the_high_water_mark_and_goes_on_from_its_cursor() -> None:
    """Ready slices are bounded; what is planned in several goes equals one plan."""
    whole = windows(
        open_running("AAA", "BBB", start=day("2005-01-03"), slice_span=timedelta(days=1))
    )
    job = open_queued("CCC", "DDD", start=day("2005-01-03"), slice_span=timedelta(days=1))
    goes = 0
    while not plan_job(job, high_water=2500):
        goes += 1
        assert value("SELECT planned FROM job WHERE id = %s", job) is False
        assert slice_states(job)["ready"] <= 2500 + planning.SLICES_PER_TRANSACTION
        ready = slice_states(job)["ready"]
        assert not plan_job(job, high_water=2500)
        assert slice_states(job)["ready"] == ready
        # A worker has done them all meanwhile.
        sql("UPDATE slice SET state = 'done' WHERE job_id = %s", job)
    assert goes >= 2
    assert windows(job) == whole
    assert value("SELECT plan_cursor FROM job WHERE id = %s", job) is None


def test_a_plan_broken_off_between_transactions_goes_on() -> None:
    """Each transaction leaves slices and cursor together: the next one begins behind them."""
    job = open_queued(start=day("2005-01-03"), slice_span=timedelta(days=1))
    assert not plan_job(job, max_transactions=1)
    assert slice_states(job) == {"ready": planning.SLICES_PER_TRANSACTION}
    assert state_of(job) is JobState.RUNNING
    assert not plan_job(job, max_transactions=1)
    assert plan_job(job)
    cut = windows(job)
    assert [end for _, end in cut[:-1]] == [start for start, _ in cut[1:]]
    assert (cut[0][0], cut[-1][1]) == (day("2005-01-03"), day("2024-04-01"))


def test_the_tick_asks_for_plans_that_are_not_finished() -> None:
    """A queued job, and a running one whose ready slices run low, are named; no other."""
    job = open_queued(start=day("2005-01-03"), slice_span=timedelta(days=1))
    assert tick(now=NOW, processes=2).plan == (job,)
    plan_job(job, max_transactions=1)
    assert tick(now=NOW, processes=2).plan == (job,)
    plan_job(job)
    assert tick(now=NOW, processes=2).plan == ()


def test_a_paused_job_is_not_planned() -> None:
    """Planning waits with the job, and goes on with it."""
    job = open_queued()
    assert pause_job(job, actor=TESTER) is JobState.PAUSED
    assert not plan_job(job)
    assert windows(job) == []
    assert resume_job(job, actor=TESTER) is JobState.QUEUED
    assert plan_job(job)
    assert state_of(job) is JobState.RUNNING


def test_a_job_that_cannot_be_planned_fails_with_the_reason() -> None:
    """The calendar's end is said on the job; it does not wait for ever."""
    job = open_queued()
    sql(
        "UPDATE job SET spec = jsonb_set(spec, '{series,0,start}', %s)",
        Jsonb("1800-01-01T00:00:00+00:00"),
    )
    assert not plan_or_fail(job, now=NOW)
    ((state, error_class, error),) = sql("SELECT state, error_class, error FROM job")
    assert (state, error_class) == ("failed", "OutsideCalendar")
    assert "ask for a window inside" in error


TABLES = (
    *("account", "attempt", "audit_event", "bar", "bar_revision", "budget", "checkpoint"),
    *("coverage", "empty_proof", "instrument", "job", "missing_session", "provider_symbol"),
    *("quarantine", "series", "slice", "venue_session"),
)


def everything() -> list[Any]:
    """Return what would tell any write: the rows of all tables, counted and versioned."""
    return [
        sql(f"SELECT count(*), max(xmin::text::bigint), min(ctid) FROM {table}") for table in TABLES
    ]


REQUESTS: dict[str, dict[str, Any]] = {
    "daily": {},
    "default_span": {"slice_span": None, "start": day("2001-01-01")},
    "hourly": {"timeframes": (Timeframe.H1,)},
    "minutes": {"timeframes": (Timeframe.M1,), "slice_span": timedelta(days=90)},
    "several": {"timeframes": (Timeframe.D1, Timeframe.M30, Timeframe.W1)},
    "reconcile": {"kind": JobKind.RECONCILE},
    "weekend": {"start": day("2024-01-06"), "end": day("2024-01-08")},
}


@pytest.mark.parametrize("request_of", list(REQUESTS))
@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
def test_a_preview_is_the_plan(request_of: str, known: bool) -> None:
    """Slices and requests are exact, rows within a percent, and nothing at all is written."""
    if known:
        job = open_running("AAA", start=day("2024-02-01"), end=day("2024-02-15"))
        Worker.of(job).work_off(withholding("2024-02-13"))
    request = ask("AAA", "BBB", **REQUESTS[request_of])
    before = everything()
    preview = preview_job(request, now=NOW)
    assert everything() == before
    job = open_running("AAA", "BBB", **REQUESTS[request_of])
    assert preview.slices == slice_states(job).get("ready", 0)
    assert preview.slices == sum(one.slices for one in preview.series)
    work(job)
    done = sql("SELECT coalesce(sum(requests), 0), coalesce(sum(rows_in), 0) FROM attempt"
               " WHERE job_id = %s", job)  # fmt: skip
    assert preview.requests == done[0][0]
    assert preview.rows == pytest.approx(done[0][1], rel=0.01)


def work(job_id: int) -> None:
    """Fetch a job page by page from the synthetic provider, counting the requests."""
    worker = Worker.of(job_id)
    while claimed := worker.claim():
        for one in claimed:
            pages, token = [], None
            query = load_facts([one.series_id])[one.series_id].query(one.start, one.end)
            while not pages or token:
                page = get_adapter("synthetic").fetch_page(
                    query,
                    token=token,
                    credentials=Credentials(),
                    base_url="",
                    edge=RefusingEdge(),
                )
                assert len(page.bars) <= PAGE_ROWS
                pages.append(page.bars)
                token = page.next_token
            worker.finish(fetched(one, Bars.concat(pages), requests=len(pages)))


def test_a_preview_knows_what_is_covered() -> None:
    """The fraction that is stored already is said; a covered request needs nothing."""
    Worker.of(open_running(end=day("2024-02-15"))).work_off()
    half = preview_job(ask(), now=NOW).series[0]
    assert half.covered_fraction == pytest.approx(45 / 91, abs=0.01)
    Worker.of(open_running()).work_off()
    rest = preview_job(ask(), now=NOW)
    assert (rest.slices, rest.requests, rest.rows) == (0, 0, 0)
    assert rest.series[0].covered_fraction == 1.0


def test_a_preview_counts_the_time_at_the_budget() -> None:
    """A hundred requests at ten a minute take nine more minutes after the first ten."""
    request = ask(
        slice_span=timedelta(days=1),
        start=day("2024-01-02"),
        end=day("2024-05-25"),
        rate_limit=RateLimit(10, timedelta(minutes=1)),
    )
    preview = preview_job(request, now=NOW)
    assert preview.requests == 101
    assert preview.seconds == 600


def test_a_window_that_reaches_into_the_future_is_cut_to_what_is_final() -> None:
    """The last session that is over at `now` is the last one planned."""
    now = datetime.fromisoformat("2024-03-20T15:00+00:00")  # the session is open
    job = open_running(now=now, end=day("2024-03-21"))
    assert windows(job)[-1][1] == day("2024-03-20")
    assert series_of(job)


def test_leases_that_died_do_not_disturb_a_plan_that_goes_on() -> None:
    """Planning continues beside work on the slices that are there."""
    job = open_queued(start=day("2005-01-03"), slice_span=timedelta(days=1))
    plan_job(job, max_transactions=1)
    Worker.of(job).claim(10)
    expire_leases(job)
    assert plan_job(job)
    assert slice_states(job)["leased"] == 10

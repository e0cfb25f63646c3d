"""A finish covers exactly what it proves; silence is missing, then a fact that expires."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ingestion.domain.coverage import Ranges
from ingestion.domain.states import JobKind
from ingestion.domain.windows import Window, to_us
from ingestion.services.plan_job import plan_job
from ingestion.services.settle_job import settle_job
from providers.bars import Bars
from providers.types import Timeframe
from tests.protocol.scene import (
    Worker,
    day,
    fetched,
    loaded,
    missing,
    open_queued,
    open_running,
    proofs,
    series_of,
    sql,
    stored_days,
    truth,
    truthful,
    us,
    value,
    withholding,
)

pytestmark = pytest.mark.django_db


def windows(job_id: int) -> Ranges:
    """Return all that a job's slices cover between them."""
    rows = sql('SELECT lower("window"), upper("window") FROM slice WHERE job_id = %s', job_id)
    return Ranges.of((to_us(start), to_us(end)) for start, end in rows)


def days(*spans: tuple[str, str]) -> Ranges:
    """Build ranges from half-open pairs of dates."""
    return Ranges.of((us(start), us(end)) for start, end in spans)


def outcome(job_id: int) -> str | None:
    """Settle a job and return the outcome it ends with."""
    settle_job(job_id)
    return str(value("SELECT outcome FROM job WHERE id = %s", job_id))


def expire_proofs(reason: str) -> None:
    """Let proofs of a kind run out without waiting."""
    sql("UPDATE empty_proof SET expires_at = now() - interval '1 second' WHERE reason = %s", reason)


def good_for() -> timedelta:
    """Return for how long the one proof holds."""
    held: timedelta = value("SELECT expires_at - proven_at FROM empty_proof")
    return timedelta(days=held.days)


def january(**request: object) -> int:
    """Open a job over January 2024 in one slice."""
    wanted = {"end": day("2024-02-01"), "slice_span": timedelta(days=10_000)}
    return open_running(**{**wanted, **request})


def test_everything_answered_is_all_covered() -> None:
    """Weekends and holidays are covered by silence; nothing is missing and the job is complete."""
    job = open_running()
    Worker.of(job).work_off()
    series = series_of(job)
    assert loaded(series) == windows(job)
    assert len(stored_days(series)) == 61
    assert (missing(series), proofs(series), outcome(job)) == ({}, [], "complete")


def test_coverage_is_the_window_without_the_sessions_that_lack_a_bar() -> None:
    """Each session without a bar is cut out of the coverage to the day and noted as missing."""
    job = open_running()
    Worker.of(job).work_off(withholding("2024-01-17", "2024-02-28", "2024-02-29"))
    series = series_of(job)
    holes = days(("2024-01-17", "2024-01-18"), ("2024-02-28", "2024-03-01"))
    assert loaded(series) == windows(job).subtract(holes)
    assert missing(series) == {"2024-01-17": 1, "2024-02-28": 1, "2024-02-29": 1}
    assert (proofs(series), outcome(job)) == ([], "partial")


def test_beyond_what_is_proven_nothing_is_said() -> None:
    """Coverage ends at proven_until, and what lies behind it is not missing either."""
    job = january()
    one = Worker.of(job).claim_one()
    bars = truth(one).take(truth(one).ts < us("2024-01-18"))
    Worker.of(job).finish(fetched(one, bars, proven_until=day("2024-01-18")))
    series = series_of(job)
    assert loaded(series).ends.tolist() == [us("2024-01-18")]
    assert missing(series) == {}


def test_absent_minutes_of_a_session_with_bars_are_no_gap() -> None:
    """Two minutes of trade on a day prove that the rest of the day was silent."""
    job = january(timeframes=(Timeframe.M1,))
    one = Worker.of(job).claim_one()
    bars = truth(one, without=["2024-01-11"])
    sparse = bars.take((bars.ts < us("2024-01-10")) | (bars.ts % 3_600_000_000 == 0))
    Worker.of(job).finish(fetched(one, sparse))
    series = series_of(job)
    session = Ranges.of([(us("2024-01-11T14:30"), us("2024-01-11T21:00"))])
    assert loaded(series) == Ranges.of_windows([Window(one.start, one.end)]).subtract(session)
    assert missing(series) == {"2024-01-11": 1}


def test_a_second_look_by_another_attempt_proves_that_nothing_traded() -> None:
    """A second job asks for the missing session alone, agrees, and ends complete."""
    first = january()
    Worker.of(first).work_off(withholding("2024-01-17"))
    assert outcome(first) == "partial"
    second = january()
    assert windows(second).intersect(days(("2024-01-16", "2024-01-18"))).total_us > 0
    one = Worker.of(second).claim_one()
    assert (one.start, one.end) == (day("2024-01-17"), day("2024-01-18"))
    Worker.of(second).finish(fetched(one, Bars.empty()))
    series = series_of(second)
    assert proofs(series) == [("no_trade", "2024-01-17", "2024-01-18")]
    assert missing(series) == {}
    assert outcome(second) == "complete"
    assert good_for() == timedelta(days=30)
    by = value("SELECT attempt_id FROM empty_proof WHERE series_id = %s", series)
    assert by == value("SELECT id FROM attempt WHERE job_id = %s", second)


@pytest.mark.parametrize(
    ("reason", "withheld", "looks"),
    [
        ("no_trade", ("2024-01-17", "2024-01-18"), 2),
        ("not_listed", ("2024-01-02", "2024-01-03"), 1),
    ],
)
def test_a_proof_explains_until_it_expires(
    reason: str, withheld: tuple[str, ...], looks: int
) -> None:
    """While it holds nothing is planned; afterwards its sessions are asked for and proven again."""
    series = 0
    for _ in range(looks):
        job = january()
        Worker.of(job).work_off(withholding(*withheld))
        series = series_of(job)
    assert {kind for kind, _, _ in proofs(series)} == {reason}
    job = open_queued(end=day("2024-02-01"))
    assert plan_job(job)
    assert len(windows(job)) == 0
    expire_proofs(reason)
    for _ in range(looks):
        job = january()
        assert all(windows(job).contains([us(one) for one in withheld]))
        Worker.of(job).work_off(withholding(*withheld))
    assert outcome(job) == "complete"
    job = january()
    assert len(windows(job)) == 0


def test_a_leading_empty_run_was_not_listed() -> None:
    """Sessions before the first bar ever are explained for a year by one look."""
    job = january()
    Worker.of(job).work_off(withholding("2024-01-02", "2024-01-03", "2024-01-04"))
    series = series_of(job)
    (proof,) = proofs(series)
    assert (proof[0], proof[2]) == ("not_listed", "2024-01-05")
    assert (missing(series), outcome(job)) == ({}, "complete")
    assert good_for() == timedelta(days=365)


def test_a_known_listing_date_leaves_no_excuse() -> None:
    """From the listing on, silence before the first bar is missing, in this finish and later."""
    setup = open_queued()
    sql("UPDATE instrument SET listed_from = '2024-01-03' WHERE symbol = 'AAA'")
    job = january()
    Worker.of(job).work_off(withholding("2024-01-03", "2024-01-04"))
    series = series_of(job)
    assert missing(series) == {"2024-01-03": 1, "2024-01-04": 1}
    rest = open_running(start=day("2024-02-01"), end=day("2024-03-01"))
    Worker.of(rest).work_off()
    assert missing(series) == {"2024-01-03": 1, "2024-01-04": 1}
    assert proofs(series) == []
    assert outcome(job) == "partial"
    assert setup != job


def test_an_earlier_bar_withdraws_the_proof_of_no_listing() -> None:
    """What the proof explained is missing again, and the job that found the bar ends partial."""
    late = open_running(start=day("2024-01-08"), end=day("2024-02-01"))
    Worker.of(late).work_off(withholding("2024-01-08", "2024-01-09", "2024-01-10"))
    series = series_of(late)
    assert [reason for reason, _, _ in proofs(series)] == ["not_listed"]
    assert outcome(late) == "complete"
    whole = open_running(end=day("2024-02-01"))
    Worker.of(whole).work_off()
    assert stored_days(series)[0] == "2024-01-02"
    assert missing(series) == {"2024-01-08": 1, "2024-01-09": 1, "2024-01-10": 1}
    assert proofs(series) == []
    assert outcome(whole) == "partial"


def test_a_reconciliation_may_disprove_and_confirm_in_one_look() -> None:
    """A bar inside a run that was not listed splits it; the silence around it is judged anew."""
    listing = january()
    Worker.of(listing).work_off(
        withholding("2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08")
    )
    again = january(kind=JobKind.RECONCILE)
    Worker.of(again).work_off(withholding("2024-01-02", "2024-01-04", "2024-01-05", "2024-01-08"))
    series = series_of(again)
    assert stored_days(series)[0] == "2024-01-03"
    # Both looks found nothing on these days, so nothing traded.
    explained = {start: reason for reason, start, _ in proofs(series)}
    assert set(explained.values()) == {"not_listed", "no_trade"}
    assert missing(series) == {}
    assert outcome(again) == "complete"


def test_bars_that_arrive_later_delete_missing_sessions() -> None:
    """The hole closes, nothing stays missing, and the new bar is stored."""
    job = january()
    Worker.of(job).work_off(withholding("2024-01-17", "2024-01-18"))
    again = january()
    Worker.of(again).work_off()
    series = series_of(again)
    assert (missing(series), proofs(series)) == ({}, [])
    assert loaded(series) == windows(job)
    assert len(stored_days(series)) == 21
    assert outcome(again) == "complete"


def test_bars_that_arrive_later_cut_proofs() -> None:
    """Of three proven days the middle one trades after all: two proofs remain, with their terms."""
    withheld = ("2024-01-17", "2024-01-18", "2024-01-19")
    for _ in range(2):
        job = january()
        Worker.of(job).work_off(withholding(*withheld))
    series = series_of(job)
    assert proofs(series) == [("no_trade", "2024-01-17", "2024-01-20")]
    terms = sql("SELECT attempt_id, proven_at, expires_at FROM empty_proof")
    again = january(kind=JobKind.RECONCILE)
    Worker.of(again).work_off(withholding("2024-01-17", "2024-01-19"))
    assert proofs(series) == [
        ("no_trade", "2024-01-17", "2024-01-18"),
        ("no_trade", "2024-01-19", "2024-01-20"),
    ]
    assert sql("SELECT DISTINCT attempt_id, proven_at, expires_at FROM empty_proof") == terms


def test_looking_at_a_proven_session_again_does_not_make_it_missing() -> None:
    """A reconciliation that agrees with an unexpired proof ends complete."""
    for _ in range(2):
        job = january()
        Worker.of(job).work_off(withholding("2024-01-17"))
    again = january(kind=JobKind.RECONCILE)
    Worker.of(again).work_off(withholding("2024-01-17"))
    series = series_of(again)
    assert missing(series) == {}
    assert proofs(series) == [("no_trade", "2024-01-17", "2024-01-18")]
    assert outcome(again) == "complete"


def test_what_another_job_loaded_meanwhile_is_not_missing() -> None:
    """A window around it is fetched whole, and the answer may lack a session that is stored."""
    inner = january(start=day("2024-01-15"), end=day("2024-01-20"))
    outer = january(start=day("2024-01-10"))
    worker = Worker.of(inner)
    worker.finish(truthful(worker.claim_one()))
    worker.finish(withholding("2024-01-17", "2024-01-25")(worker.claim_one()))
    series = series_of(outer)
    assert loaded(series).contains(us("2024-01-17"))
    assert "2024-01-17" in stored_days(series)
    assert missing(series) == {"2024-01-25": 1}


def test_one_look_through_two_pages_is_one_look() -> None:
    """A batch may hold several slices of a series; each session is looked at once."""
    job = open_running()
    claimed = Worker.of(job).claim()
    Worker.of(job).finish(*[withholding("2024-01-17", "2024-02-28")(one) for one in claimed])
    assert missing(series_of(job)) == {"2024-01-17": 1, "2024-02-28": 1}


@pytest.mark.parametrize("timeframe", [Timeframe.W1, Timeframe.MO1])
def test_weeks_and_months_are_covered_whole(timeframe: Timeframe) -> None:
    """The unit of longer bars is the bar: one missing week or month is cut out whole."""
    job = open_running(timeframes=(timeframe,), slice_span=timedelta(days=10_000))
    one = Worker.of(job).claim_one()
    bars = truth(one)
    (gone,) = bars.ts[1:2].tolist()
    Worker.of(job).finish(fetched(one, bars.take(bars.ts != gone)))
    series = series_of(job)
    (lost,) = sql('SELECT lower("window"), upper("window") FROM missing_session')
    assert [us(f"{one:%Y-%m-%d}") for one in lost] == [gone, bars.ts[2]]
    assert loaded(series) == windows(job).subtract(Ranges.of([(gone, int(bars.ts[2]))]))


def test_a_yielded_part_covers_up_to_where_it_stopped() -> None:
    """What lies behind resume_from is neither covered nor missing."""
    job = january()
    one = Worker.of(job).claim_one()
    bars = truth(one).take(truth(one).ts < us("2024-01-18"))
    Worker.of(job).finish(fetched(one, bars, resume_from=day("2024-01-18")))
    series = series_of(job)
    assert loaded(series).ends.tolist() == [us("2024-01-18")]
    assert missing(series) == {}
    (rest,) = Worker.of(job).claim()
    assert rest.start == day("2024-01-18")
    Worker.of(job).finish(truthful(rest))
    assert loaded(series) == windows(job)

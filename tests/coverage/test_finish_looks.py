"""What finishes prove between them: looks that agree, rows that are refused, answers cut short."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from ingestion.domain.gaps import GapReport
from ingestion.domain.states import JobKind
from ingestion.services.find_gaps import series_gaps
from ingestion.services.settle_job import settle_job
from ingestion.services.show_coverage import show_coverage
from ingestion.services.validate_answer import Refused
from ingestion.store.claim import Claimed
from providers.bars import Bars
from providers.types import Timeframe
from tests.protocol.conftest import _calendar
from tests.protocol.scene import (
    NOW,
    Worker,
    day,
    fetched,
    loaded,
    missing,
    open_running,
    proofs,
    series_of,
    sql,
    truth,
    us,
    value,
    withholding,
)

__all__ = ["_calendar"]
pytestmark = pytest.mark.django_db
M30 = Timeframe.M30


def january(**request: Any) -> int:
    """Open a job over January 2024 in one slice."""
    wanted = {"end": day("2024-02-01"), "slice_span": timedelta(days=10_000)}
    return open_running(**{**wanted, **request})


def look(job_id: int, answer: Callable[[Claimed], Any]) -> int:
    """Let every slice of a job be answered so; return its series."""
    Worker.of(job_id).work_off(answer)
    return series_of(job_id)


def judged(series_id: int) -> GapReport:
    """Judge January."""
    span = {"start": day("2024-01-01"), "end": day("2024-02-01")}
    return series_gaps([series_id], now=NOW, **span)[series_id]


def refusing(*dates: str, silent: Sequence[str] = ()) -> Callable[[Claimed], Any]:
    """Answer with rows on these dates of which none can be stored, and none on the silent ones."""

    def answer(claimed: Claimed) -> Any:
        inside = [one for one in dates if claimed.start <= day(one) < claimed.end]
        refused = [Refused(ts_us=us(one), reason="ohlc", raw={}) for one in inside]
        return fetched(claimed, truth(claimed, without=[*dates, *silent]), refused=refused)

    return answer


def nothing(claimed: Claimed) -> Any:
    """Answer without a single bar."""
    return fetched(claimed, Bars.empty())


def test_two_jobs_that_cut_a_session_differently_confirm_each_other() -> None:
    """One looked at the session whole, the other in two halves: nothing traded."""
    first = january(timeframes=(M30,))
    series = look(first, withholding("2024-01-17"))
    assert missing(series) == {"2024-01-17": 1}
    noon = day("2024-01-17T18:00")
    for start, end in ((day("2024-01-17"), noon), (noon, day("2024-01-18"))):
        assert judged(series).lacking == 1
        look(january(timeframes=(M30,), start=start, end=end), nothing)
    assert missing(series) == {}
    assert {(reason, start) for reason, start, _ in proofs(series)} == {("no_trade", "2024-01-17")}
    assert (judged(series).lacking, judged(series).explained) == (0, 1)


def test_what_only_one_job_looked_at_stays_missing() -> None:
    """Half a session that was looked at twice is explained, the other half is not."""
    series = look(january(timeframes=(M30,)), withholding("2024-01-17"))
    half = {"start": day("2024-01-17"), "end": day("2024-01-17T18:00")}
    look(january(timeframes=(M30,), **half), nothing)
    rows = sql('SELECT lower("window"), upper("window"), looks FROM missing_session')
    assert rows == [(day("2024-01-17T18:00"), day("2024-01-17T21:00"), 1)]
    assert value('SELECT upper("window") FROM empty_proof') == day("2024-01-17T18:00")
    assert [gap.kind.value for gap in judged(series).gaps] == ["missing"]


def test_refused_rows_never_prove_that_nothing_traded() -> None:
    """However often all rows of a session are refused, it stays a gap, and says why."""
    for _ in range(3):
        series = look(january(), refusing("2024-01-17"))
        assert missing(series) == {"2024-01-17": 0}
        assert proofs(series) == []
    assert [gap.kind.value for gap in judged(series).gaps] == ["refused"]
    # From then on two looks that find nothing at all are two looks.
    look(january(), withholding("2024-01-17"))
    assert (missing(series), proofs(series)) == ({"2024-01-17": 1}, [])
    look(january(), withholding("2024-01-17"))
    assert proofs(series) == [("no_trade", "2024-01-17", "2024-01-18")]


def test_refused_rows_take_a_proof_back() -> None:
    """A day without trading on which rows come after all is a gap again."""
    for _ in range(2):
        series = look(january(), withholding("2024-01-17", "2024-01-18"))
    assert proofs(series) == [("no_trade", "2024-01-17", "2024-01-19")]
    look(january(kind=JobKind.RECONCILE), refusing("2024-01-18", silent=["2024-01-17"]))
    assert proofs(series) == [("no_trade", "2024-01-17", "2024-01-18")]
    assert missing(series) == {"2024-01-18": 0}


def test_a_page_cut_short_is_found_and_healed() -> None:
    """An answer that ends on a Wednesday at noon leaves that afternoon open, and nothing more."""
    job = january(timeframes=(M30,))

    def cut(claimed: Claimed) -> Any:
        bars = truth(claimed)
        return fetched(claimed, bars.take(bars.ts < us("2024-01-17T17:00")))

    series = look(job, cut)
    assert loaded(series).ends[0] == us("2024-01-17T17:00")
    report = judged(series)
    assert report.watermark == us("2024-01-17T14:30")
    assert report.lacking == 11  # from the 17th on
    settle_job(job)
    assert value("SELECT outcome FROM job WHERE id = %s", job) == "partial"
    look(january(timeframes=(M30,)), lambda claimed: fetched(claimed, truth(claimed)))
    assert judged(series).gaps == ()


def test_an_afternoon_without_trading_is_proven_by_a_second_look() -> None:
    """A thin series that really fell silent costs one more request, and is complete."""
    for _ in range(2):
        job = january(timeframes=(M30,), end=day("2024-01-19"))
        series = look(
            job,
            lambda claimed: fetched(
                claimed, truth(claimed).take(truth(claimed).ts < us("2024-01-17T17:00"))
            ),
        )
    settle_job(job)
    assert value("SELECT outcome FROM job WHERE id = %s", job) == "complete"
    assert missing(series) == {}


def test_nothing_is_expected_after_the_last_day_of_an_instrument() -> None:
    """A delisting bounds what is missing and what is a gap; so does the provider's last name."""
    series = look(january(end=day("2024-01-20")), withholding())
    assert judged(series).lacking == 8
    sql("UPDATE instrument SET delisted_on = '2024-01-20'")
    assert judged(series).gaps == ()
    sql("UPDATE instrument SET delisted_on = NULL")
    sql("UPDATE provider_symbol SET valid = daterange(NULL, '2024-01-24')")
    assert judged(series).lacking == 2


def test_absences_are_shown_with_evidence_and_expiry() -> None:
    """Each window without bars names its reason, its attempt and job, and how long that holds."""
    look(january(), withholding("2024-01-10"))
    second = january()
    look(second, withholding("2024-01-10"))
    third = january(kind=JobKind.RECONCILE)
    series = look(third, withholding("2024-01-10", "2024-01-17"))
    look(january(kind=JobKind.RECONCILE, start=day("2024-01-25")), refusing("2024-01-26"))
    (shown,) = show_coverage(now=NOW, with_absences=True)
    assert shown.series.id == series
    proof, *rest = shown.absences
    assert (proof.reason, proof.start, proof.job_id) == ("no_trade", day("2024-01-10"), second)
    assert proof.explains
    assert proof.expires_at is not None
    assert proof.expires_at > proof.seen_at
    # Bars that are stored are not missing, whatever a later answer lacks.
    assert rest == []

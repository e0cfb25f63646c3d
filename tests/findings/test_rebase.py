"""A series on a new basis is fetched again as a whole; no row of it is written between the old."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingestion.domain.coverage import Ranges
from ingestion.domain.states import JobKind
from ingestion.domain.windows import Window
from ingestion.models import Finding, Job, Signal
from ingestion.services.doubt_rebased import doubt_rebased
from ingestion.services.fetch_slice import Fetched
from ingestion.services.find_overlaps import find_overlaps
from ingestion.services.plan_job import plan_job
from ingestion.services.settle_job import settle_job
from ingestion.store.claim import Claimed
from ingestion.store.series import load_facts
from providers.bars import Bars
from providers.registry import get_adapter
from providers.types import Adjustment
from tests.protocol.scene import (
    NOW,
    Worker,
    day,
    fetched,
    loaded,
    open_running,
    slice_states,
    sql,
    truth,
    truth_between,
    us,
    value,
)

pytestmark = pytest.mark.django_db

SPLIT = {"adjustment": Adjustment.SPLIT}
JANUARY = {"start": day("2024-01-01"), "end": day("2024-02-01")}
FEBRUARY = {"start": day("2024-02-01"), "end": day("2024-03-01")}
ONE_SLICE = {"slice_span": timedelta(days=10_000)}


def scaled(bars: Bars, ratio: float) -> Bars:
    """Return bars on another basis."""
    prices = {name: getattr(bars, name) * ratio for name in ("open", "high", "low", "close")}
    return replace(bars, **prices)


def asked_beside(claimed: Claimed) -> Window | None:
    """Say what a run would ask for a claim."""
    return find_overlaps(
        [claimed],
        load_facts([claimed.series_id]),
        adapter=get_adapter("synthetic"),
        now=NOW,
    ).get(claimed.slice_id)


def answer(claimed: Claimed, ratio: float = 1.0, *, of_window: float | None = None) -> Fetched:
    """Answer as a run does, with the bars beside the window, on a basis of the test's choice."""
    asked = asked_beside(claimed)
    beside = Bars.empty()
    if asked:
        around = truth_between(claimed.series_id, asked)
        inside = (around.ts >= us_of(claimed.start)) & (around.ts < us_of(claimed.end))
        beside = scaled(around.take(~inside), ratio)
    own = scaled(truth(claimed), ratio if of_window is None else of_window)
    return replace(fetched(claimed, own), beside=beside)


def us_of(moment: datetime) -> int:
    return us(f"{moment:%Y-%m-%d}")


def load(ratio: float = 1.0, **request: Any) -> int:
    """Run a whole job of adjusted prices on a basis; return its number."""
    job_id = open_running(**(SPLIT | JANUARY | request))
    Worker.of(job_id).work_off(lambda claimed: answer(claimed, ratio))
    settle_job(job_id)
    return job_id


def outcome(job_id: int) -> tuple[str, str | None]:
    return Job.objects.values_list("state", "outcome").get(id=job_id)


def the_series() -> int:
    return int(value("SELECT id FROM series"))


def ratios() -> set[float]:
    """Return on which bases the stored bars of the series stand."""
    truth_now = truth_between(the_series(), Window(day("2023-12-01"), day("2024-04-01")))
    known = dict(zip(truth_now.ts.tolist(), truth_now.close.tolist(), strict=True))
    rows = sql("SELECT (extract(epoch FROM ts) * 1e6)::int8, close FROM bar")
    return {round(close / known[ts], 3) for ts, close in rows}


def test_the_same_basis_is_written_on_and_costs_no_further_request() -> None:
    load()
    job_id = open_running(**(SPLIT | FEBRUARY | ONE_SLICE))
    claimed = Worker.of(job_id).claim_one()
    asked = asked_beside(claimed)
    assert asked is not None
    assert asked.end == claimed.end
    assert len(truth_between(claimed.series_id, Window(asked.start, claimed.start))) == 10
    Worker.of(job_id).finish(answer(claimed))
    assert not Finding.objects.exists()
    assert loaded(the_series()) == Ranges.of([(us("2024-01-01"), us("2024-03-01"))])
    assert value("SELECT count(*) FROM bar WHERE ts < '2024-02-01'") == 21, "compared, not written"


def test_another_basis_is_not_written_and_the_whole_series_is_repaired() -> None:
    load()
    job_id = load(0.25, **FEBRUARY)
    assert ratios() == {1.0}, "nothing was spliced"
    assert set(slice_states(job_id)) == {"superseded"}
    assert outcome(job_id) == ("completed", "partial"), "what it wanted is not there yet"
    assert loaded(the_series()) == Ranges.empty()
    finding = Finding.objects.get()
    assert (finding.kind, finding.state, finding.window) == ("basis_change", "repairing", None)
    assert finding.evidence["ratio"] == pytest.approx(0.25)
    assert finding.evidence["bars"] == 10
    repair = Job.objects.get(kind=JobKind.REPAIR.value)
    assert finding.job_id == repair.id
    assert (repair.state, repair.priority) == ("queued", 150)
    assert Signal.objects.get().name == "basis_change"
    told = sql("SELECT outcome, detail->'rebased'->>'bars' FROM attempt WHERE job_id = %s", job_id)
    assert set(told) == {("superseded", "10")}

    assert plan_job(repair.id)
    Worker.of(repair.id).work_off(lambda claimed: answer(claimed, 0.25))
    settle_job(repair.id)
    assert ratios() == {0.25}
    assert loaded(the_series()).covers(us("2024-01-01"), us("2024-03-01"))
    assert value("SELECT count(*) FROM bar_revision") == 21, "what was known before stays readable"
    finding.refresh_from_db()
    assert (finding.state, finding.closed_by) == ("resolved", "mdc")
    assert Job.objects.count() == 3


def test_older_bars_before_stored_ones_are_compared_with_those() -> None:
    load(**FEBRUARY)
    job_id = load(0.5, **ONE_SLICE)
    assert set(slice_states(job_id)) == {"superseded"}
    assert ratios() == {1.0}


def test_a_refetch_finds_the_new_basis_by_its_own_bars() -> None:
    load()
    load(2.0, kind=JobKind.RECONCILE, **ONE_SLICE)
    assert ratios() == {1.0}
    assert Finding.objects.get().evidence["ratio"] == pytest.approx(2.0)


def test_a_sample_that_shows_it_has_the_whole_series_repaired() -> None:
    """Neither the sample nor the small slices of the job that met it bind the repair."""
    load()
    job_id = open_running(kind=JobKind.RECONCILE, **(SPLIT | JANUARY))
    sql(
        "UPDATE job SET spec = jsonb_set(jsonb_set(spec, '{series,0,sample}',"
        " '{\"share\": 0.05, \"seed\": 1}'), '{series,0,only}',"
        ' \'[["2024-01-08T00:00:00Z", "2024-01-12T00:00:00Z"]]\') WHERE id = %s',
        job_id,
    )
    worker = Worker.of(job_id)
    worker.finish(answer(worker.claim_one(), 0.25))
    spec = Job.objects.get(kind="repair").spec["series"][0]
    assert not {"sample", "only"} & spec.keys()
    assert spec["start"] <= "2024-01-02"
    assert spec["end"] >= "2024-01-31"
    assert spec["span_seconds"] > timedelta(days=365).total_seconds()


def test_corrections_of_single_bars_are_revisions() -> None:
    load()
    job_id = open_running(kind=JobKind.RECONCILE, **(SPLIT | JANUARY | ONE_SLICE))
    worker = Worker.of(job_id)
    claimed = worker.claim_one()
    bars = truth(claimed)
    close = bars.close.copy()
    close[[2, 5, 9, 12]] *= [1.01, 0.98, 1.03, 0.97]
    worker.finish(replace(answer(claimed), bars=replace(bars, close=close, high=bars.high * 1.05)))
    assert not Finding.objects.filter(kind="basis_change").exists()


def test_raw_prices_are_not_compared() -> None:
    job_id = open_running(**JANUARY)
    Worker.of(job_id).work_off()
    other = open_running(**FEBRUARY)
    assert asked_beside(Worker.of(other).claim_one()) is None


def test_the_repair_and_others_write_on_while_the_series_is_in_doubt() -> None:
    """What is doubted says nothing of the basis, so nobody waits and nobody opens a second one."""
    load()
    load(0.25, **FEBRUARY)
    march = load(0.25, start=day("2024-03-01"), end=day("2024-03-15"))
    assert set(slice_states(march)) == {"done"}
    assert Job.objects.filter(kind="repair").count() == 1
    assert Finding.objects.get().times == 1


def test_two_slices_of_one_batch_open_one_repair() -> None:
    load()
    job_id = open_running(**(SPLIT | FEBRUARY))
    worker = Worker.of(job_id)
    claims = worker.claim()
    assert len(claims) > 1
    worker.finish(*[answer(claimed, 0.25) for claimed in claims])
    assert set(slice_states(job_id)) == {"superseded"}
    assert Job.objects.filter(kind="repair").count() == 1


def test_an_answer_from_before_the_change_is_found_by_the_repair() -> None:
    """It was on its way while another slice showed the change: it lands in the doubted series."""
    load()
    job_id = open_running(**(SPLIT | FEBRUARY))
    worker = Worker.of(job_id)
    late, telling = worker.claim(2)
    on_its_way = answer(late, 1.0)
    worker.finish(answer(telling, 0.25))
    worker.finish(on_its_way)
    repair = Job.objects.get(kind="repair")
    for _ in range(3):
        plan_job(repair.id)
        Worker.of(repair.id).work_off(lambda claimed: answer(claimed, 0.25))
        settle_job(repair.id)
        repair = Job.objects.filter(kind="repair").latest("id")
    assert ratios() == {0.25}
    assert set(Finding.objects.values_list("state", flat=True)) == {"resolved"}


def test_a_provider_without_a_lasting_basis_is_not_asked_for_ever() -> None:
    load()
    basis = 1.0
    for _ in range(6):
        basis /= 2
        load(basis, kind=JobKind.RECONCILE, **ONE_SLICE)
        sql("UPDATE coverage SET loaded = loaded + doubted, doubted = '{}'")
    assert Job.objects.filter(kind="repair").count() == 3
    finding = Finding.objects.get()
    assert finding.severity == "error"
    assert "nothing is asked again" in finding.evidence["unrepaired"]


def test_bars_beyond_the_reach_of_the_provider_leave_the_finding_open() -> None:
    load()
    load(0.25, **FEBRUARY)
    repair = Job.objects.get(kind="repair")
    sql(
        "UPDATE job SET spec = jsonb_set(jsonb_set(spec, '{start}', '\"2024-01-20T00:00:00Z\"'),"
        " '{series,0,start}', '\"2024-01-20T00:00:00Z\"') WHERE id = %s",
        repair.id,
    )
    assert plan_job(repair.id)
    Worker.of(repair.id).work_off(lambda claimed: answer(claimed, 0.25))
    settle_job(repair.id)
    finding = Finding.objects.get()
    assert finding.state == "open"
    assert "did not mend it" in finding.evidence["repair"]


def test_a_stated_split_goes_the_same_way() -> None:
    load()
    ex_date = datetime.now(UTC).date() + timedelta(days=1)
    sql(
        "INSERT INTO corporate_action (instrument_id, provider, ex_date, kind, value, currency,"
        " known_from) SELECT id, 'synthetic', %s, 'split', 4, '', now() FROM instrument",
        ex_date,
    )
    assert doubt_rebased(now=datetime.now(UTC) + timedelta(days=2)) == 1
    repair = Job.objects.get(kind="repair")
    assert Finding.objects.get().job_id == repair.id
    assert loaded(the_series()) == Ranges.empty()

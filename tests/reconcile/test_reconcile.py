"""A reconciliation looks again at what is stored: all of it, a share, or what was read long ago."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from ingestion.domain.errors import BadRequest
from ingestion.domain.sampling import drawn
from ingestion.domain.spec import JobSpec, Sample
from ingestion.domain.states import JobState
from ingestion.models import Job
from ingestion.services.open_job import open_resolved
from ingestion.services.plan_job import plan_job
from ingestion.services.preview_job import preview_resolved
from ingestion.services.resolve_reconciliation import Part, resolve_reconciliation
from ingestion.services.settle_job import settle_job
from ingestion.services.summarize_job import summarize_job
from ingestion.services.update_series import stored_requests
from ingestion.store.claim import Claimed
from providers.adapters.synthetic import Synthetic
from tests.protocol.scene import (
    NOW,
    TESTER,
    Worker,
    day,
    fetched,
    open_running,
    slice_states,
    sql,
    truth,
    value,
)

pytestmark = pytest.mark.django_db


def store(**request: Any) -> int:
    """Load what is asked and return its job."""
    job = open_running(**request)
    Worker.of(job).work_off()
    assert settle_job(job) is JobState.COMPLETED
    return job


def reconcile(part: Part = Part(), **request: Any) -> int | None:  # noqa: B008
    """Open a reconciliation of all that is stored; return its job, planned, if there is one."""
    (asked,) = stored_requests()
    resolved = resolve_reconciliation(
        replace(asked, **{"slice_span": timedelta(days=10), **request}), part, now=NOW
    )
    if not resolved.series:
        return None
    job = open_resolved(resolved, now=NOW, actor=TESTER).job_id
    assert plan_job(job)
    assert preview_resolved(resolved).slices == sum(slice_states(job).values())
    return job


def windows_of(job_id: int) -> list[tuple[str, str]]:
    """Return the first and last dates of a job's slices."""
    rows = sql(
        'SELECT lower("window"), upper("window") FROM slice WHERE job_id = %s ORDER BY 1', job_id
    )
    return [(f"{start:%m-%d}", f"{end:%m-%d}") for start, end in rows]


def test_all_that_is_stored_is_fetched_once_more_and_nothing_else() -> None:
    stored = store(start=day("2024-01-10"), end=day("2024-03-10"))
    job = reconcile()
    assert job is not None
    assert windows_of(job) == windows_of(stored)
    assert Job.objects.get(id=job).kind == "reconcile"


def test_a_window_is_fetched_once_more() -> None:
    store()
    job = reconcile(start=day("2024-02-01"), end=day("2024-02-05"))
    assert job is not None
    assert (windows_of(job)[0][0], windows_of(job)[-1][1]) == ("02-01", "02-05")


def test_a_run_reports_per_symbol_what_it_found_and_marks_its_tries() -> None:
    store(start=day("2024-01-01"), end=day("2024-01-11"))
    job = reconcile(slice_span=timedelta(days=60))
    assert job is not None

    def otherwise(claimed: Claimed) -> Any:
        """One bar is dearer than it was stored, another is gone, and one is new."""
        bars = truth(claimed)
        keep = np.arange(len(bars)) != 2
        close = np.where(np.arange(len(bars)) == 1, bars.close * 1.01, bars.close)
        high = np.maximum(bars.high, close)
        return fetched(claimed, replace(bars, close=close, high=high).take(keep))

    sql("DELETE FROM bar WHERE ts = (SELECT min(ts) FROM bar)")
    Worker.of(job).work_off(otherwise)
    settle_job(job)
    (series,) = summarize_job(job, now=NOW).series
    sessions = value("SELECT count(*) FROM bar")
    found = (series.inserted, series.unchanged, series.revised, series.vanished)
    assert found == (1, sessions - 3, 1, 1)
    marks = sql("SELECT DISTINCT job_id, detail->>'reconciled' FROM attempt ORDER BY 1")
    assert [mark for _, mark in marks] == [None, "true"]


def test_a_sample_is_the_same_each_time_and_another_with_another_seed() -> None:
    store()
    span = timedelta(days=2)
    whole = len(windows_of(reconcile(slice_span=span) or 0))
    samples = [
        windows_of(reconcile(Part(sample=Sample(0.3, seed)), slice_span=span) or 0)
        for seed in ("a", "a", "b")
    ]
    assert samples[0] == samples[1] != samples[2]
    assert len(samples[0]) == -(-whole * 3 // 10)


def test_planning_in_steps_draws_the_same_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one transaction has no room for is drawn by the next as if there had been one."""
    store()
    at_once = windows_of(reconcile(Part(sample=Sample(0.5, "x"))) or 0)
    monkeypatch.setattr("ingestion.services.plan_job.SLICES_PER_TRANSACTION", 2)
    assert windows_of(reconcile(Part(sample=Sample(0.5, "x"))) or 0) == at_once


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5, 1.0])
def test_a_draw_has_its_share_rounded_up_and_is_spread(share: float) -> None:
    starts = np.arange(1000, dtype=np.int64) * 86_400_000_000
    chosen = drawn(starts, Sample(share, "s"), series_id=7)
    assert chosen.sum() == round(share * 1000)
    assert abs(np.flatnonzero(chosen).mean() - 500) < 300
    other = drawn(starts, Sample(share, "s"), series_id=8)
    assert share == 1.0 or (other != chosen).any()
    assert drawn(starts[:1], Sample(share, "s"), series_id=7).all()


def test_what_an_older_adapter_read_is_fetched_until_none_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half of it was read by the new version already; afterwards nothing is outdated."""
    store(start=day("2024-01-01"), end=day("2024-02-01"))
    monkeypatch.setattr(Synthetic, "version", 2)
    store(start=day("2024-02-01"), end=day("2024-04-01"))
    sql("ALTER TABLE attempt DISABLE TRIGGER USER")
    sql("UPDATE attempt SET adapter_version = 2 WHERE job_id = (SELECT max(id) FROM job)")
    part = Part(parsed_before=2)
    job = reconcile(part)
    assert job is not None
    assert (windows_of(job)[0][0], windows_of(job)[-1][1]) == ("01-01", "02-01")
    Worker.of(job).work_off()
    sql("UPDATE attempt SET adapter_version = 2 WHERE job_id = %s", job)
    assert reconcile(part) is None


def test_a_version_that_does_not_exist_is_refused() -> None:
    store()
    with pytest.raises(BadRequest, match="adapter of synthetic is at version 1"):
        reconcile(Part(parsed_before=2))


def test_parts_and_samples_survive_on_the_job() -> None:
    store()
    job = reconcile(Part(sample=Sample(0.25, "s")), start=day("2024-02-01"), end=day("2024-03-01"))
    spec = JobSpec.from_json(Job.objects.get(id=job).spec)
    (series,) = spec.series
    assert series.sample == Sample(0.25, "s")
    only = replace(series, only=((day("2024-02-03"), day("2024-02-05")),))
    again = JobSpec.from_json(replace(spec, series=(only,)).to_json())
    assert again.series == (only,)
    assert [(one.start.day, one.end.day) for one in only.meant()] == [(3, 5)]

"""What comes along with bars is stored with them, in the same transaction or not at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from ingestion.models import Target
from providers.instruments import ActionKind, CorporateAction
from tests.protocol.scene import Worker, day, open_running, sql, truthful, value

pytestmark = pytest.mark.django_db

SPLIT = CorporateAction(date(2024, 1, 17), ActionKind.SPLIT, 7.0)
DIVIDEND = CorporateAction(date(2024, 1, 10), ActionKind.DIVIDEND, 0.5, "USD")


def test_a_finish_records_the_actions_that_came_along() -> None:
    """Each with its attempt; the same ones stated again cost nothing."""
    for _ in range(2):
        job = open_running("AAA", end=day("2024-02-01"), slice_span=None)
        sql("UPDATE coverage SET loaded = '{}'")
        for one in Worker.of(job).claim():
            Worker.of(job).finish(replace(truthful(one), actions=(SPLIT, DIVIDEND)))
        sql("UPDATE coverage SET loaded = '{}'")
    attempt = value("SELECT min(id) FROM attempt")
    assert sql(
        "SELECT kind, ex_date, value, provider, attempt_id FROM corporate_action ORDER BY ex_date"
    ) == [
        ("dividend", date(2024, 1, 10), 0.5, "synthetic", attempt),
        ("split", date(2024, 1, 17), 7.0, "synthetic", attempt),
    ]


def test_a_finish_notes_what_the_jobs_targets_are_to_be_sent() -> None:
    """All that match unless the job names some, or none; a fenced slice brings nothing."""
    for name in ("lake", "bus"):
        Target.objects.create(name=name, kind="bus")
    noted: list[list[str]] = []
    for n, targets in enumerate([None, ("lake",), ()]):
        job = open_running(f"S{n}", end=day("2024-02-01"), slice_span=None, targets=targets)
        worker = Worker.of(job)
        (one,) = worker.claim()
        assert worker.finish(truthful(one)).fenced == 0
        assert worker.finish(replace(truthful(one), actions=(SPLIT,))).fenced == 1
        names = sql(
            "SELECT t.name FROM outbox o JOIN target t ON t.id = o.target_id"
            " WHERE o.series_id = %s ORDER BY 1",
            one.series_id,
        )
        noted.append([name for (name,) in names])
    assert noted == [["bus", "lake"], ["lake"], []]
    assert value("SELECT count(*) FROM corporate_action") == 0

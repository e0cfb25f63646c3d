"""The checkpoint stands at the end of the contiguous prefix of done slices, after every finish."""

from __future__ import annotations

from itertools import permutations

import pytest
from django.db import transaction

from ingestion.services.fail_slices import fail_slice
from providers.errors import PermanentError
from tests.protocol.scene import (
    Worker,
    day,
    failed,
    fetched,
    open_running,
    sql,
    truth,
    truthful,
    value,
)

pytestmark = pytest.mark.django_db


def test_after_every_finish_in_every_order() -> None:
    """It never passes a slice that is not done, and names the last bar stored before it."""
    job = open_running(start=day("2024-01-01"), end=day("2024-02-05"))
    worker = Worker.of(job)
    # The second slice is empty, so that the last bar may lie a slice further back.
    claimed = sorted(worker.claim(), key=lambda one: one.start)
    assert len(claimed) == 4
    answers = [
        fetched(one, truth(one).take(slice(0, 0) if number == 1 else slice(None)))
        for number, one in enumerate(claimed)
    ]
    for order in permutations(range(4)):
        with transaction.atomic():
            done: set[int] = set()
            for number in order:
                worker.finish(answers[number])
                done.add(number)
                prefix = next((n for n in range(4) if n not in done), 4)
                frontier = claimed[prefix].start if prefix < 4 else claimed[-1].end
                last = value("SELECT max(ts) FROM bar WHERE ts < %s", frontier)
                assert sql("SELECT job_id, frontier, ts, sequence FROM checkpoint") == [
                    (job, frontier, last, 0)
                ], (order, number)
            transaction.set_rollback(True)


def test_a_dead_slice_holds_the_checkpoint_until_it_is_replayed() -> None:
    """What follows a failure is stored, yet the checkpoint waits; replayed, it goes to the end."""
    job = open_running(start=day("2024-01-01"), end=day("2024-02-05"))
    worker = Worker.of(job)
    claimed = sorted(worker.claim(), key=lambda one: one.start)
    error = PermanentError("the request is wrong", provider="synthetic")
    fail_slice(failed(claimed[1], error), account_id=worker.account_id, executor_id=worker.id)
    worker.finish(*[truthful(one) for one in (claimed[0], *claimed[2:])])
    assert value("SELECT frontier FROM checkpoint") == claimed[1].start
    sql("UPDATE slice SET state = 'ready' WHERE state = 'dead'")
    worker.work_off()
    assert value("SELECT frontier FROM checkpoint") == claimed[-1].end

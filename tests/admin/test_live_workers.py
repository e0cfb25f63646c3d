"""What people ask for on the pages, real workers do: the database is all that joins them."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from ingestion.domain.states import JobState, SliceState
from ingestion.models import Job, Slice
from ingestion.services.ensure_roles import OPERATOR, ensure_roles
from mdc.stack.embedded import EmbeddedStack
from providers.types import Timeframe
from tests.admin.seeds import kill_slices, log_in, make_job
from tests.stack.waiting import until


@pytest.fixture
def db(staff_db: EmbeddedStack) -> EmbeddedStack:
    """Use the workers' database; see `staff_db`."""
    return staff_db


def act(client: Client, job_id: int, verb: str) -> None:
    client.post(reverse("admin:ingestion_job_act", args=[job_id, verb]))


def count(job_id: int, state: SliceState) -> int:
    return Slice.objects.filter(job_id=job_id, state=state).count()


def is_in(job_id: int, state: JobState) -> bool:
    return Job.objects.get(pk=job_id).state == state


def test_a_job_is_started_paused_resumed_and_cancelled_at_work(db: EmbeddedStack) -> None:
    """A paused or cancelled job holds no lease, and a resumed one goes on where it stopped."""
    ensure_roles()
    client = log_in("otto-live", group=OPERATOR)
    # Two requests a second: nobody finishes this before the test is done with it.
    job_id = make_job(draft=True, prefix="LIVE", timeframe=Timeframe.M1, days=1500, per_second=2)
    act(client, job_id, "start")
    until(lambda: count(job_id, SliceState.DONE) > 0)
    act(client, job_id, "pause")
    until(lambda: is_in(job_id, JobState.PAUSED))
    assert count(job_id, SliceState.LEASED) == 0
    done = count(job_id, SliceState.DONE)
    act(client, job_id, "resume")
    until(lambda: count(job_id, SliceState.DONE) > done)
    act(client, job_id, "cancel")
    until(lambda: is_in(job_id, JobState.CANCELLED))
    assert count(job_id, SliceState.LEASED) == 0
    assert count(job_id, SliceState.READY) == 0
    page = client.get(reverse("admin:ingestion_job_change", args=[job_id]))
    assert "otto-live" in page.content.decode()


def test_failed_slices_are_tried_again_by_the_workers(db: EmbeddedStack) -> None:
    """After the click the job completes by itself."""
    ensure_roles()
    client = log_in("olga-live", group=OPERATOR)
    job_id = make_job(prefix="AGAIN", timeframe=Timeframe.M1, days=400, per_second=20)
    until(lambda: count(job_id, SliceState.READY) > 0)
    act(client, job_id, "pause")
    until(lambda: is_in(job_id, JobState.PAUSED))
    kill_slices(job_id, count=3)
    dead = count(job_id, SliceState.DEAD)
    assert dead > 0
    act(client, job_id, "retry_failed")
    act(client, job_id, "resume")
    until(lambda: is_in(job_id, JobState.COMPLETED), within=60)
    assert count(job_id, SliceState.DEAD) == 0

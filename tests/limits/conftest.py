"""Servers and a simulator for this folder; each test brings the workers that it needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from ingestion.services.cancel_job import cancel_job
from tests.recovery.field import TESTER, Field, at_home_in, open_field


@pytest.fixture(scope="session")
def servers_and_simulator() -> Iterator[Field]:
    with open_field() as running:
        yield running


@pytest.fixture
def field(servers_and_simulator: Field, django_db_blocker: DjangoDbBlocker) -> Iterator[Field]:
    control = servers_and_simulator.simulator.control
    control.disarm()
    control.limit("polygon")
    control.limit("yahoo")
    control.reset()
    with at_home_in(servers_and_simulator, django_db_blocker) as prepared:
        try:
            yield prepared
        finally:
            for job_id, state in prepared.states().items():
                if state not in ("completed", "failed", "cancelled"):
                    cancel_job(job_id, actor=TESTER)

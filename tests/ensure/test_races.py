"""Callers at the same moment make one job between them."""

from __future__ import annotations

import functools

import pytest

from ingestion.models import Job
from tests.ensure.test_ensure_coverage import ensure
from tests.protocol.test_races import together


@pytest.fixture(autouse=True)
def db(committing: None) -> None:
    """Commit for real; by this name pytest-django learns that the test database is needed."""


def test_callers_at_once_get_the_same_job() -> None:
    """Also where nothing is stored of the symbol, so that no series could be locked."""
    answers = together(*[functools.partial(ensure, "RACE")] * 4)
    (job,) = Job.objects.values_list("id", flat=True)
    assert [answer.job_id for answer in answers] == [job] * 4
    assert sum(len(answer.opened) for answer in answers) == 1

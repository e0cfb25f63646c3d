"""Callers at the same moment make one job between them."""

from __future__ import annotations

import functools

import pytest

from tests.ensure.test_ensure_coverage import ensure
from tests.protocol.scene import value
from tests.protocol.test_races import together


@pytest.fixture(autouse=True)
def db(committing: None) -> None:
    """Commit for real; by this name pytest-django learns that the test database is needed."""


def test_callers_at_once_get_the_same_job() -> None:
    """Also where nothing is stored of the symbol, and while the first one's job is planned."""
    rounds = 5
    for number in range(rounds):
        answers = together(*[functools.partial(ensure, f"RACE{number}")] * 4)
        assert len({answer.job_id for answer in answers}) == 1
        assert sum(len(answer.opened) for answer in answers) == 1
    assert value("SELECT count(*) FROM job") == rounds

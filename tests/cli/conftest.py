"""The command in this process, on the real test database, with jobs that were really done."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from django.conf import settings
from django.db import connection, connections
from pytest_django import DjangoDbBlocker

from ingestion.domain.actor import Actor
from ingestion.domain.spec import JobRequest
from ingestion.domain.states import JobKind
from ingestion.process import this_executor
from ingestion.provider_access import access_for_account, quality_rules
from ingestion.services.open_job import open_job
from ingestion.services.plan_job import plan_or_fail
from ingestion.services.run_slices import RunLimits, run_slices
from ingestion.services.tick import tick
from mdc.cli.main import cli
from providers.types import Timeframe
from tests.tables import empty_tables

TESTER = Actor(name="tester", source="cli")
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def committed(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let a module's tests commit; everything is emptied when they are over.

    A module uses it through a fixture named `db` of its own: by that name pytest-django learns
    that the test database is needed.
    """
    with django_db_blocker.unblock():
        try:
            yield
        finally:
            empty_tables()


@pytest.fixture
def run() -> Run:
    """Run the command line and insist that no error escapes it."""

    def invoke(*words: str) -> Result:
        result = CliRunner().invoke(cli, [str(word) for word in words], prog_name="mdc")
        assert result.exception is None or isinstance(result.exception, SystemExit), (
            result.exception
        )
        assert "Traceback" not in result.stderr
        return result

    return invoke


@pytest.fixture
def run_json(run: Run) -> Callable[..., Any]:
    """Run a command that succeeds and read the JSON on its standard output."""

    def invoke(*words: str) -> Any:
        result = run(*words)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return invoke


def request(
    *symbols: str,
    timeframe: Timeframe = Timeframe.D1,
    start: datetime = datetime(2024, 1, 1, tzinfo=UTC),
    end: datetime = datetime(2024, 4, 1, tzinfo=UTC),
    kind: JobKind = JobKind.BACKFILL,
    slice_span: timedelta | None = None,
) -> JobRequest:
    """Ask the synthetic provider, which needs no network."""
    return JobRequest(
        provider="synthetic",
        symbols=symbols,
        timeframes=(timeframe,),
        start=start,
        end=end,
        kind=kind,
        slice_span=slice_span,
    )


def open_now(asked: JobRequest, *, draft: bool = False) -> int:
    """Open a job at this moment."""
    return open_job(asked, now=datetime.now(UTC), actor=TESTER, draft=draft).job_id


def work_until_done(*job_ids: int) -> None:
    """Do in this process what workers and beat do, until the jobs have ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        report = tick(now=datetime.now(UTC), processes=1)
        for job_id in report.plan:
            plan_or_fail(job_id, now=datetime.now(UTC))
        for account_id, _ in report.fetch:
            access = access_for_account(account_id)
            run_slices(
                account_id=account_id,
                executor=this_executor(),
                access=access,
                rules=quality_rules(access.adapter),
                limits=RunLimits(processes=1),
            )
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM job WHERE id = ANY(%s) AND ended_at IS NULL",
                [list(job_ids)],
            )
            (open_jobs,) = cursor.fetchone()
        if not open_jobs:
            return
        time.sleep(0.05)
    pytest.fail(f"jobs {job_ids} did not end")


def execute(query: str, *values: object) -> None:
    """Change the database behind the program's back."""
    with connection.cursor() as cursor:
        cursor.execute(query, list(values))


def command_environment() -> dict[str, str]:
    """Return an environment in which `python -m mdc` uses the test database."""
    entry = connections["default"].settings_dict
    url = f"postgresql://{entry['USER']}@/{entry['NAME']}?host={entry['HOST']}"
    return {**os.environ, "MDC_DATABASE_URL": url, "MDC_HOME": str(settings.MDC_HOME.root)}

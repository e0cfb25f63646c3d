"""Whole runs over HTTP against a provider that sends what providers should not send."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from ingestion.domain.states import JobKind
from ingestion.services.fetch_slice import Access, QualityRules
from ingestion.services.run_slices import Executor, RunLimits, run_slices
from ingestion.services.settle_job import settle_job
from providers.bytebudget import ByteBudget
from providers.http import HttpEdge
from providers.registry import get_adapter
from providers.simulator.process import Simulator
from providers.types import Credentials
from tests.protocol.conftest import committing  # noqa: F401 a fixture
from tests.protocol.scene import (
    account_of,
    day,
    missing,
    open_running,
    proofs,
    series_of,
    sql,
    value,
)

KEY = "simulated-key"
SIMULATED_NOW = datetime(2024, 6, 3, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Fault:
    """Hold what strikes a symbol, and what must come of it.

    `ends` is state and outcome of its job; `reasons` count the quarantine; `bars` are stored.
    """

    rule: dict[str, Any]
    ends: tuple[str, str | None]
    bars: int
    reasons: dict[str, int]
    error: str = ""
    attempts: tuple[str, ...] = ("done",)


COMPLETE, PARTIAL, FAILED = ("completed", "complete"), ("completed", "partial"), ("failed", None)
# January 2024 has 21 sessions.
FAULTS = {
    "NONE": Fault({}, COMPLETE, 21, {}),
    "DUP": Fault({"kind": "duplicate", "rows": 3}, COMPLETE, 21, {}),
    "CON": Fault({"kind": "conflict"}, PARTIAL, 20, {"duplicate_conflict": 2}),
    "OHLC": Fault({"kind": "bad_ohlc", "rows": 2}, PARTIAL, 19, {"ohlc": 2}),
    "NULLS": Fault({"kind": "nulls", "rows": 2}, PARTIAL, 19, {"empty_row": 2}),
    "ORDER": Fault({"kind": "out_of_order"}, COMPLETE, 21, {}),
    "BACK": Fault({"kind": "out_of_order", "reverse": True}, COMPLETE, 21, {}),
    "EMPTY": Fault({"kind": "empty"}, PARTIAL, 0, {}),
    "AWRY": Fault(
        {"kind": "bad_ohlc", "rows": 6},
        FAILED,
        0,
        {"ohlc": 12},
        error="BadBatch",
        attempts=("retry", "dead"),
    ),
    "CUT": Fault(
        {"kind": "truncate"}, FAILED, 0, {}, error="TransientError", attempts=("retry", "dead")
    ),
    "LOST": Fault(
        {"kind": "truncate", "cut_connection": True},
        FAILED,
        0,
        {},
        error="TransientError",
        attempts=("retry", "dead"),
    ),
    "GARB": Fault({"kind": "garbage"}, FAILED, 0, {}, error="PayloadError", attempts=("dead",)),
    "ONCE": Fault({"kind": "truncate", "times": 1}, COMPLETE, 21, {}, attempts=("retry", "done")),
}


@pytest.fixture
def db(committing: None) -> None:  # noqa: F811 the fixture
    """Let tests commit; by this name pytest-django learns that the test database is needed."""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Run a provider of invented prices that strikes each symbol in its own way."""
    rules = [
        {"name": name, "symbol": name} | fault.rule for name, fault in FAULTS.items() if fault.rule
    ]
    config = {"now": SIMULATED_NOW.isoformat(), "polygon": {"keys": [KEY]}, "faults": rules}
    with Simulator(config) as running:
        yield running


def run(account_id: int, simulator: Simulator) -> None:
    """Work on an account as a worker process does, until nothing is due."""
    adapter = get_adapter("polygon")
    in_flight = ByteBudget(1 << 26)
    run_slices(
        account_id=account_id,
        executor=Executor(uuid.uuid4(), "test", 1),
        access=Access(
            adapter=adapter,
            credentials=Credentials(key=KEY),
            base_url=simulator.base_url,
            edge=HttpEdge(
                connect_timeout=5,
                read_timeout=5,
                total_deadline=10,
                max_bytes=1 << 24,
                byte_budget=in_flight,
                provider="polygon",
                user_agent="mdc-test",
            ),
            bytes_in_flight=in_flight,
        ),
        rules=QualityRules(),
        limits=RunLimits(seconds=20, processes=1),
    )


def open_each(*symbols: str, **request: Any) -> dict[str, int]:
    """Open a job per symbol over January 2024, at a provider without a limit."""
    jobs = {
        symbol: open_running(
            symbol, provider="polygon", end=day("2024-02-01"), slice_span=None, tries=2, **request
        )
        for symbol in symbols
    }
    sql("DELETE FROM budget")
    return jobs


def check(name: str, job_id: int) -> None:
    """Compare what a fault left with what it must leave."""
    fault = FAULTS[name]
    settle_job(job_id)
    assert sql("SELECT state, outcome FROM job WHERE id = %s", job_id) == [fault.ends], name
    series = series_of(job_id)
    assert value("SELECT count(*) FROM bar WHERE series_id = %s", series) == fault.bars, name
    reasons = sql("SELECT reason, count(*) FROM quarantine WHERE series_id = %s GROUP BY 1", series)
    assert dict(reasons) == fault.reasons, name
    attempts = sql("SELECT outcome FROM attempt WHERE job_id = %s ORDER BY id", job_id)
    assert tuple(outcome for (outcome,) in attempts) == fault.attempts, name
    ((error,),) = sql("SELECT error_class FROM slice WHERE job_id = %s", job_id)
    assert error == fault.error, name
    expected = 0 if fault.ends == FAILED else 21 - fault.bars
    assert len(missing(series)) == expected, name
    assert proofs(series) == [], name


@pytest.mark.usefixtures("db")
def test_every_fault_ends_as_it_must(simulator: Simulator) -> None:
    """Each symbol ends by its own fault alone; what failed or is missing is fetched when healed."""
    jobs = open_each(*FAULTS)
    run(account_of(jobs["NONE"]), simulator)
    for name, job_id in jobs.items():
        check(name, job_id)
    simulator.control.disarm()
    again = open_each(*FAULTS)
    run(account_of(jobs["NONE"]), simulator)
    for name, job_id in again.items():
        settle_job(job_id)
        outcome = sql("SELECT state, outcome FROM job WHERE id = %s", job_id)
        assert outcome == [COMPLETE], name
    per_series = sql("SELECT series_id, count(*) FROM bar GROUP BY 1")
    assert [count for _, count in per_series] == [21] * len(FAULTS)
    assert value("SELECT count(*) FROM missing_session") == 0
    # What was complete was not asked for again.
    assert value("SELECT count(*) FROM slice WHERE job_id = %s", again["NONE"]) == 0
    assert value("SELECT count(*) FROM bar_revision") == 0


@pytest.mark.usefixtures("db")
def test_a_reconciliation_tells_unchanged_from_revised_and_vanished(simulator: Simulator) -> None:
    """The provider corrects one day and withdraws another: the old values and the bar stay."""
    simulator.control.disarm()
    (job,) = open_each("REC").values()
    run(account_of(job), simulator)
    before = sql("SELECT ts, close FROM bar ORDER BY ts")
    simulator.control.arm(
        {"kind": "revise", "symbol": "REC", "dates": ["2024-01-10"], "factor": 1.5},
        {"kind": "withhold", "symbol": "REC", "dates": ["2024-01-17"]},
    )
    (again,) = open_each("REC", kind=JobKind.RECONCILE).values()
    run(account_of(job), simulator)
    settle_job(again)
    counts = "SELECT inserted, unchanged, revised, vanished FROM attempt WHERE job_id = %s"
    assert sql(counts, again) == [(0, 19, 1, 1)]
    after = dict(sql("SELECT ts, close FROM bar ORDER BY ts"))
    changed = [(ts, close) for ts, close in before if after[ts] != close]
    assert [f"{ts:%Y-%m-%d}" for ts, _ in changed] == ["2024-01-10"]
    assert sql("SELECT ts, close FROM bar_revision") == changed
    assert missing(series_of(again)) == {}
    assert sql("SELECT state, outcome FROM job WHERE id = %s", again) == [COMPLETE]

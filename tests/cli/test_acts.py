"""Commands that make jobs, act on them and wait for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections

from ingestion.models import Job
from tests.cli.conftest import (
    Run,
    command_environment,
    execute,
    open_now,
    request,
    work_until_done,
)
from tests.stack.waiting import until

RunJson = Callable[..., Any]
RANGE = ("--start", "2024-01-01", "--end", "2024-03-31")


@pytest.fixture(scope="module", autouse=True)
def db(committed: None) -> None:
    """Commit, as the command does."""


@pytest.fixture(autouse=True)
def _account_is_well() -> None:
    execute("UPDATE account SET circuit = 'closed', circuit_reason = ''")


def table_sizes() -> dict[str, int]:
    """Count the rows of every table that a request could touch."""
    tables = ("job", "slice", "series", "instrument", "account", "audit_event", "attempt", "bar")
    with connection.cursor() as cursor:
        sizes = {}
        for name in tables:
            cursor.execute(f"SELECT count(*) FROM {name}")
            (sizes[name],) = cursor.fetchone()
    return sizes


def state_of(run_json: RunJson, job_id: int) -> tuple[str, str]:
    """Return state and desired state."""
    shown = run_json("job", "show", str(job_id), "--json")
    return shown["state"], shown["desired"]


def test_a_dry_run_is_exact_and_leaves_no_trace(run_json: RunJson, run: Run) -> None:
    """Requests and rows are those of the real run; no table changes."""
    words = ("backfill", "synthetic", "--symbols", "DRY,RUN", *RANGE)
    before = table_sizes()
    plan = run_json(*words, "--dry-run", "--json")
    assert "Nothing was fetched or written" in run(*words, "--dry-run").stdout
    assert table_sizes() == before
    made = run_json(*words, "--no-wait", "--json")
    work_until_done(made["job_id"])
    summary = run_json("job", "show", str(made["job_id"]), "--follow", "--json")
    assert plan["requests"] == sum(one["requests"] for one in summary["series"]) == 2
    assert plan["rows"] == sum(one["inserted"] for one in summary["series"]) == 122
    again = run_json(*words, "--dry-run", "--json")
    assert (again["requests"], again["series"][0]["covered_fraction"]) == (0, 1.0)
    reconciled = run_json(*words, "--dry-run", "--reconcile", "--json")
    assert reconciled["requests"] == 2


def test_flags_reach_the_job(run_json: RunJson) -> None:
    """Every option is stored with the job that it was given for."""
    made = run_json(
        *("backfill", "--provider", "synthetic", "--symbols", "A1,A2", "--symbol", "A3"),
        *("--timeframe", "1d,1h", "--timeframes", "1W", "--start", "2024-01-02T00:00Z"),
        *("--end", "2024-02-01T00:00Z", "--venue", "XLON", "--priority", "7"),
        *("--max-retries", "2", "--retry-class", "conservative", "--max-workers", "3"),
        *("--retry-delay", "90", "--no-validate", "--targets", "none"),
        *("--slices-per-round", "4", "--rate-limit", "10/30s", "--reconcile", "--draft", "--json"),
    )
    assert made["state"] == "draft"
    shown = run_json("job", "show", str(made["job_id"]), "--json")
    assert shown["symbols"] == ["A1", "A2", "A3"]
    assert shown["timeframes"] == ["1d", "1h", "1w"]
    assert shown["kind"] == "reconcile"
    assert (shown["start"], shown["end"]) == ("2024-01-02T00:00:00Z", "2024-02-01T00:00:00Z")
    assert (shown["priority"], shown["tries"], shown["retry_class"]) == (7, 3, "conservative")
    assert (shown["retry_delay"], shown["validate"], shown["targets"]) == (90.0, False, [])
    assert (shown["max_concurrency"], shown["slices_per_round"]) == (3, 4)
    assert shown["rate_limit"] == {"requests": 10, "seconds": 30.0}


def test_a_rate_limit_above_the_providers_own_is_remarked_on(run: Run) -> None:
    """The flag only lowers, and says so when it would not."""
    words = ("backfill", "yahoo", "--symbols", "A", *RANGE, "--dry-run")
    assert "only lowers" in run(*words, "--rate-limit", "100000/s").stderr
    assert "only lowers" not in run(*words, "--rate-limit", "1/h").stderr


def test_a_draft_starts_pauses_resumes_and_ends(run: Run, run_json: RunJson) -> None:
    """Each act says where the job stands, and lands in the audit trail with its reason."""
    made = run("backfill", "synthetic", "--symbols", "LIFE", *RANGE, "--draft")
    assert made.exit_code == 0
    job_id = int(made.stdout.split()[1])
    assert f"Next: mdc job start {job_id}" in made.stdout
    assert run("job", "pause", str(job_id)).exit_code == 1
    assert "started" in run("job", "start", str(job_id)).stdout
    assert state_of(run_json, job_id) == ("queued", "run")
    assert run("job", "pause", str(job_id), "--reason", "lunch").exit_code == 0
    assert state_of(run_json, job_id) == ("paused", "pause")
    waits = run_json("job", "show", str(job_id), "--json")["waits"]
    assert waits == f"`mdc job resume {job_id}` goes on from the checkpoint"
    assert run("job", "resume", str(job_id)).exit_code == 0
    assert state_of(run_json, job_id)[1] == "run"
    assert run("job", "cancel", str(job_id)).exit_code == 0
    assert state_of(run_json, job_id)[0] == "cancelled"
    events = run_json("job", "events", str(job_id), "--json")
    assert "lunch" in [event["reason"] for event in events]
    refused = run("job", "resume", str(job_id))
    assert refused.exit_code == 1
    assert "cannot go from cancelled" in refused.stderr


def test_one_refusal_does_not_keep_the_others_from_theirs(run: Run, run_json: RunJson) -> None:
    """Several jobs in one command: what can be done is done, and the exit code tells."""
    job_id = open_now(request("MANY"))
    result = run("job", "cancel", "4711", str(job_id))
    assert result.exit_code == 1
    assert "job 4711: there is no job 4711" in result.stderr
    assert state_of(run_json, job_id)[0] == "cancelled"


def test_failed_slices_are_tried_again(run: Run, run_json: RunJson) -> None:
    """By number or for every job that has some; nothing to retry is said."""
    job_id = open_now(request("FAIL"))
    work_until_done(job_id)
    nothing = run("job", "retry-failed", str(job_id))
    assert (nothing.exit_code, "no failed slices" in nothing.stderr) == (1, True)
    dead = "UPDATE slice SET state = 'dead', error_class = 'PayloadError', error = 'odd'"
    execute(f"{dead} WHERE job_id = %s", job_id)
    execute("UPDATE job SET state = 'failed', outcome = NULL WHERE id = %s", job_id)
    assert "1 slice will be tried again" in run("job", "retry-failed", "--all").stdout
    work_until_done(job_id)
    assert state_of(run_json, job_id)[0] == "completed"
    assert "No job has failed slices" in run("job", "retry-failed", "--all").stdout


def test_waiting_without_a_worker_ends_with_what_to_do(run: Run, run_json: RunJson) -> None:
    """A dead stack is noticed, and the job keeps its place."""
    job_id = open_now(request("ALONE"))
    execute("DELETE FROM executor")
    execute("UPDATE job SET desired_at = now() - interval '30 s' WHERE id = %s", job_id)
    shown = run_json("job", "show", str(job_id), "--json")
    assert shown["waits"] == "no worker; run `mdc up`"
    execute("UPDATE job SET desired_at = now() - interval '90 s' WHERE id = %s", job_id)
    result = run("job", "show", str(job_id), "--follow")
    assert result.exit_code == 1
    assert "no worker has taken up job" in result.stderr
    assert "run `mdc up`" in result.stderr
    assert state_of(run_json, job_id)[0] == "queued"
    run("job", "cancel", str(job_id))


def test_a_stopped_account_ends_the_wait_with_its_reason(run: Run) -> None:
    """A refused key is told at once instead of being waited for."""
    job_id = open_now(request("STOP"))
    execute(
        "UPDATE account SET circuit = 'open',"
        " circuit_reason = 'synthetic refused the key; set MDC_PROVIDER_SYNTHETIC_KEY.'"
    )
    result = run("job", "show", str(job_id), "--follow")
    assert result.exit_code == 1
    assert "synthetic refused the key; set MDC_PROVIDER_SYNTHETIC_KEY." in result.stderr
    assert f"`mdc job resume {job_id}` goes on from here" in result.stderr
    run("job", "cancel", str(job_id))


def test_waiting_ends_when_somebody_pauses(run: Run) -> None:
    """A paused job is summed up; that is no success."""
    job_id = open_now(request("HALT"))
    run("job", "pause", str(job_id))
    result = run("job", "show", str(job_id), "--follow")
    assert result.exit_code == 1
    assert f"Next: mdc job resume {job_id}" in result.stdout
    run("job", "cancel", str(job_id))


def test_waiting_sees_a_job_through(run: Run) -> None:
    """`backfill` stays, prints plain lines where there is no terminal, and ends with 0."""
    ended: list[int] = []

    def work() -> None:
        try:
            until(lambda: Job.objects.filter(id=ended[0]).exists(), within=30)
            work_until_done(*ended)
        finally:
            connections.close_all()

    with connection.cursor() as cursor:
        # Jobs that other tests rolled back have used up numbers all the same.
        cursor.execute("SELECT last_value + is_called::int FROM job_id_seq")
        ended.append(cursor.fetchone()[0])
    worker = threading.Thread(target=work)
    worker.start()
    result = run("backfill", "synthetic", "--symbols", "SEEN,THRU", *RANGE)
    worker.join()
    assert result.exit_code == 0, result.stderr
    assert f"job {ended[0]} completed: 2 of 2 slices, 122 bars" in result.stderr
    assert "2 of 2 slices done, success rate 100.0%" in result.stdout
    assert "Next: mdc export --symbols SEEN,THRU" in result.stdout


def test_ctrl_c_leaves_the_job_running(run_json: RunJson) -> None:
    """The command says how to follow and how to end what goes on without it."""
    words = ("backfill", "synthetic", "--symbols", "LEFT", *RANGE)
    command = subprocess.Popen(
        [sys.executable, "-m", "mdc", *words],
        env=command_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stderr is not None
    first = command.stderr.readline()
    os.kill(command.pid, signal.SIGINT)
    _, rest = command.communicate(timeout=30)
    job_id = int(first.split()[1])
    assert command.returncode == 130, first + rest
    assert f"Job {job_id} goes on without you: `mdc job show {job_id} --follow`" in rest
    assert f"`mdc job cancel {job_id}`" in rest
    assert state_of(run_json, job_id) == ("queued", "run")

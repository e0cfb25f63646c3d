"""Jobs tell their progress: a line per finished series, and a file that is always valid JSON."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from ingestion.models import Job
from providers.types import Timeframe
from tests.cli.conftest import Run, execute, open_now, request, work_until_done
from tests.stack.waiting import until

RunJson = Callable[..., Any]
RANGE = ("--start", "2024-01-01", "--end", "2024-03-31")


@pytest.fixture(scope="module", autouse=True)
def db(committed: None) -> None:
    """Commit, as the command does."""


def next_job() -> int:
    """Return the number that the next job will have."""
    with connection.cursor() as cursor:
        # Jobs that other tests rolled back have used up numbers all the same.
        cursor.execute("SELECT last_value + is_called::int FROM job_id_seq")
        (number,) = cursor.fetchone()
    return int(number)


@contextmanager
def working(*job_ids: int) -> Iterator[None]:
    """Do beside the test what workers do, once the jobs are there."""

    def work() -> None:
        try:
            until(lambda: Job.objects.filter(id__in=job_ids).count() == len(job_ids), within=30)
            work_until_done(*job_ids)
        finally:
            connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    yield
    worker.join()


@contextmanager
def reading(path: Path, seen: list[dict[str, Any]]) -> Iterator[None]:
    """Read a file all the while, as a program beside mdc does."""
    stop = threading.Event()

    def read() -> None:
        while not stop.wait(0.002):
            if path.exists():
                seen.append(json.loads(path.read_text()))

    reader = threading.Thread(target=read)
    reader.start()
    yield
    stop.set()
    reader.join()


def test_progress_is_told_while_it_happens(run: Run, tmp_path: Path) -> None:
    """`--verbose` names each finished series once; the file can be read at every moment."""
    path, seen = tmp_path / "progress.json", []
    job_id = next_job()
    with working(job_id), reading(path, seen):
        result = run(
            *("backfill", "synthetic", "--symbols", "SEEN", "THRU", "--timeframes", "1d", "1w"),
            *(*RANGE, "-v", "--progress-file", str(path)),
        )
    assert result.exit_code == 0, result.stderr
    told = [line.split(" bars in ")[0] for line in result.stderr.splitlines() if " in " in line]
    assert sorted(told) == ["SEEN/1d: 61", "SEEN/1w: 13", "THRU/1d: 61", "THRU/1w: 13"]
    states = [one["state"] for one in seen]
    assert states == sorted(states, key=["opening", "running", "ended"].index)
    last = json.loads(path.read_text())
    assert (last["version"], last["state"], last["exit_code"], last["error"]) == (
        1,
        "ended",
        0,
        None,
    )
    (job,) = last["jobs"]
    assert (job["job_id"], job["state"], job["outcome"]) == (job_id, "completed", "complete")
    assert (job["slices"]["done"], job["rows"]) == (4, 148)
    assert {(one["symbol"], one["timeframe"], one["state"]) for one in job["series"]} == {
        (symbol, timeframe, "done") for symbol in ("SEEN", "THRU") for timeframe in ("1d", "1w")
    }
    assert [one.name for one in tmp_path.iterdir()] == ["progress.json"]


def test_all_jobs_of_an_update_are_told_of(run: Run, tmp_path: Path) -> None:
    """Series of different timeframes are two jobs; both stand in the file and in the summary."""
    path = tmp_path / "progress.json"
    stored = (request("ONE", "TWO"), request("TWO", timeframe=Timeframe.W1))
    work_until_done(*map(open_now, stored))
    first = next_job()
    with working(first, first + 1):
        result = run("update", "--symbols", "ONE", "TWO", "--progress-file", str(path))
    assert result.exit_code == 0, result.stderr
    held = json.loads(path.read_text())
    assert [(one["job_id"], one["state"]) for one in held["jobs"]] == [
        (first, "completed"),
        (first + 1, "completed"),
    ]
    assert {len(one["series"]) for one in held["jobs"]} == {1, 2}
    assert result.stdout.count("success rate 100.0%") == 2


def test_failed_series_say_why(run: Run) -> None:
    """The line holds the error of what failed; a series without work says so."""
    job_id = open_now(request("BAD", "GOOD"))
    work_until_done(job_id)
    execute(
        "UPDATE slice SET state = 'dead', rows = 0, error_class = 'PayloadError', error = 'odd'"
        " WHERE job_id = %s AND series_id = (SELECT s.id FROM series s JOIN instrument i"
        " ON i.id = s.instrument_id WHERE i.symbol = 'BAD')",
        job_id,
    )
    execute("UPDATE job SET state = 'completed', outcome = 'partial' WHERE id = %s", job_id)
    result = run("job", "show", str(job_id), "--follow", "-v")
    assert result.exit_code == 1
    assert "1 of 1 slice failed (PayloadError: odd)" in result.stderr
    assert "GOOD/1d: 61 bars in " in result.stderr
    again = open_now(request("GOOD"))
    work_until_done(again)
    assert "GOOD/1d: nothing to fetch" in run("job", "show", str(again), "--follow", "-v").stderr


@pytest.mark.parametrize("name", ["missing/progress.json", ".", "/dev/null"])
def test_a_bad_place_is_refused_before_there_is_a_job(run: Run, tmp_path: Path, name: str) -> None:
    """Nobody learns after an hour that nothing was written."""
    before = next_job()
    place = str(tmp_path / name)
    words = ("backfill", "synthetic", "--symbols", "A", *RANGE)
    result = run(*words, "--progress-file", place)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "name " in result.stderr
    assert next_job() == before
    absent = run(*words, "--no-wait", "--progress-file", str(tmp_path / "p.json"))
    assert (absent.exit_code, "leave out --no-wait" in absent.stderr) == (2, True)


def test_a_command_that_ends_early_closes_its_file(run: Run, tmp_path: Path) -> None:
    """A refusal after the file was opened stands in the file too."""
    path = tmp_path / "progress.json"
    path.write_text("of yesterday")
    result = run(
        *("backfill", "synthetic", "--symbols", "A", "--venue", "NOPE", *RANGE),
        *("--progress-file", str(path)),
    )
    assert result.exit_code == 2
    held = json.loads(path.read_text())
    assert (held["state"], held["jobs"]) == ("ended", [])
    assert "unknown venue 'NOPE'" in held["error"]

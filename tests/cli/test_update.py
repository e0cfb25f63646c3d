"""`mdc update` asks for what is missing and for nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.cli.conftest import Run, execute, work_until_done

RunJson = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def db(committed: None) -> None:
    """Commit, as the command does."""


def counted(query: str) -> int:
    """Return one number from the database."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        (number,) = cursor.fetchone()
    return int(number)


def updated(run_json: RunJson, *words: str) -> dict[str, Any]:
    """Run an update, do its work, and return what the command said."""
    said: dict[str, Any] = run_json("update", *words, "--no-wait", "--json")
    work_until_done(*(job["job_id"] for job in said["jobs"]))
    return said


def test_the_second_run_makes_no_request(run: Run, run_json: RunJson, tmp_path: Path) -> None:
    """From a file of symbols: first the lookback, then nothing at all, and one line says so."""
    names = tmp_path / "names.txt"
    names.write_text("NEW1\nNEW2\n")
    words = ("synthetic", "--symbols", f"@{names}", "OLD", "--lookback-days", "20")
    first = updated(run_json, *words)
    assert (first["series"], first["current"], len(first["jobs"])) == (3, 0, 1)
    oldest = counted(
        "SELECT extract(epoch FROM now() - min(ts)) / 86400 FROM bars WHERE symbol = 'OLD'"
    )
    assert 15 <= oldest <= 25
    tables = ("job", "slice", "attempt", "audit_event", "series", "coverage")
    before = {name: counted(f"SELECT count(*) FROM {name}") for name in tables}
    again = run("update", *words)
    assert (again.exit_code, again.stderr) == (0, "")
    assert again.stdout == "Up to date: 3 series, nothing to fetch.\n"
    assert {name: counted(f"SELECT count(*) FROM {name}") for name in tables} == before
    assert run_json("update", *words, "--json") == {
        "series": 3,
        "current": 3,
        "jobs": [],
        "refused": [],
    }


def test_all_that_is_stored_is_updated_from_where_it_ends(run_json: RunJson, run: Run) -> None:
    """Without symbols every stored series is asked, and only those behind get work."""
    end = datetime.now(UTC).date() - timedelta(days=45)
    made = run_json(
        *("backfill", "synthetic", "--symbols", "LATE", "SLOW", "--timeframe", "1w", "--no-wait"),
        *("--start", (end - timedelta(days=90)).isoformat(), "--end", end.isoformat(), "--json"),
    )
    work_until_done(made["job_id"])
    # Other tests keep other timeframes.
    words = ("--timeframes", "1w")
    preview = run_json("update", *words, "--dry-run", "--json")
    assert [one["provider"] for one in preview] == ["synthetic"]
    assert {one["symbol"] for one in preview[0]["series"]} == {"LATE", "SLOW"}
    said = updated(run_json, *words)
    assert (said["series"], said["current"], len(said["jobs"])) == (2, 0, 1)
    summary = run_json("job", "show", str(said["jobs"][0]["job_id"]), "--follow", "--json")
    assert (summary["kind"], {one["symbol"] for one in summary["series"]}) == (
        "update",
        {"LATE", "SLOW"},
    )
    assert all(one["inserted"] and not one["unchanged"] for one in summary["series"])
    assert run("update", *words).stdout == "Up to date: 2 series, nothing to fetch.\n"


def test_what_is_not_stored_needs_a_provider(run: Run) -> None:
    """Nothing is guessed: the sentence says how to begin."""
    result = run("update", "--symbols", "NEVER")
    assert result.exit_code == 1
    assert "mdc update PROVIDER --symbols NEVER" in result.stderr
    assert "name PROVIDER" in run("update", "--venue", "XLON").stderr
    nothing = run("update", "polygon")
    assert (nothing.exit_code, "stored yet" in nothing.stdout) == (0, True)


def test_one_provider_that_refuses_does_not_keep_the_others(run: Run, run_json: RunJson) -> None:
    """A series of a provider that is no more is told, the rest is updated, the exit code is 1."""
    updated(run_json, "synthetic", "--symbols", "GONE", "STAYS")
    execute(
        "UPDATE series SET provider = 'closed' WHERE instrument_id ="
        " (SELECT id FROM instrument WHERE symbol = 'GONE')"
    )
    result = run("update", "--symbols", "GONE", "STAYS")
    assert result.exit_code == 1
    assert "mdc: closed: unknown provider 'closed'" in result.stderr
    assert "Up to date: 1 series" in result.stdout


def test_a_draft_is_announced(run: Run) -> None:
    """The line says how many series are behind, and how the job is started."""
    result = run("update", "synthetic", "--symbols", "DRAFT", "DRAWN", "--draft")
    assert result.exit_code == 0
    assert "synthetic: 2 of 2 series behind; job" in result.stdout
    assert "is draft (mdc job start" in result.stdout

"""`mdc ensure`, `job priority`, `reconcile` and `diff`, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.conftest import Run, execute, open_now, request, work_until_done

RunJson = Callable[..., Any]
RANGE = ("--start", "2024-01-01", "--end", "2024-03-31")


@pytest.fixture(scope="module", autouse=True)
def db(committed: None) -> None:
    """Commit, as the command does."""


def test_ensure_answers_queues_once_and_then_finds_all_there(run: Run, run_json: RunJson) -> None:
    words = ("ensure", "WANTED,OTHER", "--provider", "synthetic", *RANGE)
    first = run_json(*words, "--urgency", "high", "--json")
    assert (first["covered"], len(first["series"])) == (False, 2)
    (job,) = first["jobs"]
    assert (job["job_id"], job["priority"], job["opened"]) == (first["job_id"], 190, True)
    assert job["slices"]["ready"] == 2
    said = run("ensure", "OTHER", "--provider", "synthetic", *RANGE)
    assert f"Job {job['job_id']} is at it already, with priority 190: 0 of 2 slices" in said.stdout
    work_until_done(job["job_id"])
    done = run(*words)
    assert (done.exit_code, "All there: 2 series" in done.stdout) == (0, True)
    assert run_json("ensure", "WANTED", *RANGE, "--wait", "--json")["jobs"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ensure", "--days", "3"], "name at least one symbol"),
        (["ensure", "A"], "say how far back"),
        (["ensure", "A", "--days", "3", *RANGE], "keep one"),
        (["ensure", "A", "--start", "2999-01-01"], "outside the years"),
        (["ensure", "A", "--start", "2150-01-01"], "the start 2150-01-01 lies in the future"),
        (["ensure", "A", "--start", "2024-01-01", "--end", "2150-01-01"], "the end 2150-01-01"),
        (["ensure", "A", "--days", "3", "--timeframe", "1d,1m"], "one timeframe at a time"),
        (["ensure", "NEVERSEEN", "--days", "3"], "name a provider with --provider"),
        (["reconcile"], "say what to fetch once more"),
        (["reconcile", "--sample", "0%"], "is no share"),
        (["reconcile", *RANGE, "--seed", "x"], "--seed draws a sample"),
        (["diff"], "--as-of"),
        (["diff", "--as-of", "2024-02-01", "2024-01-01"], "earlier moment first"),
        (["job", "priority", "1", "256"], "0<=x<=255"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(
    run: Run, words: list[str], said: str
) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_priority_is_changed_while_the_job_is_open(run: Run, run_json: RunJson) -> None:
    job = open_now(request("LATER"))
    assert run("job", "priority", job, "150").stdout == f"Job {job} has priority 150; it had 100.\n"
    assert run_json("job", "show", job, "--json")["priority"] == 150
    work_until_done(job)
    ended = run("job", "priority", job, "10")
    assert (ended.exit_code, "is completed" in ended.stderr) == (1, True)
    assert run("job", "priority", "999999", "10").exit_code == 1


def test_a_reconciliation_is_previewed_and_drafted_and_its_changes_are_told(
    run: Run, run_json: RunJson
) -> None:
    work_until_done(open_now(request("AGAIN")))
    words = ("reconcile", "--symbols", "AGAIN", "--sample", "100%")
    (preview,) = run_json(*words, "--dry-run", "--json")
    assert (preview["provider"], preview["slices"]) == ("synthetic", 1)
    (draft,) = run_json(*words, "--draft", "--json")["jobs"]
    assert draft["state"] == "draft"
    assert run("reconcile", "--symbols", "AGAIN", "--parsed-before", "2").exit_code == 2
    # As if it had been known long ago, and revised two days later.
    of_it = "series_id = (SELECT s.id FROM series s JOIN instrument i ON i.id = s.instrument_id"
    of_it += " WHERE i.symbol = 'AGAIN')"
    execute(f"UPDATE bar SET known_from = '2024-05-01' WHERE {of_it}")
    execute(
        "INSERT INTO bar_revision SELECT ts, known_from, attempt_id, open, high, low, close + 1,"
        " series_id, sequence, final, trades, volume, vwap, '2024-05-03' FROM bar"
        f" WHERE {of_it} AND ts = '2024-01-03'"
    )
    execute(f"UPDATE bar SET known_from = '2024-05-03' WHERE {of_it} AND ts = '2024-01-03'")
    moments = ("diff", "--symbols", "AGAIN", "--as-of", "2024-05-02", "2024-05-04")
    (counts,) = run_json(*moments, "--json")
    assert (counts["added"], counts["changed"], counts["withdrawn"]) == (0, 1, 0)
    row = json.loads(run(*moments, "--rows", "--json").stdout)
    assert row["old"]["close"] == pytest.approx(row["new"]["close"] + 1)
    assert "AGAIN/1d 2024-01-03 changed: close" in run(*moments, "--rows").stdout
    quiet = run("diff", "--symbols", "AGAIN", "--as-of", "2024-05-04", "2024-05-05")
    assert quiet.stdout == "No bar changed: 1 series.\n"

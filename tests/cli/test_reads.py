"""Listings, descriptions, summaries and coverage say what the tables hold."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from ingestion.domain.states import JobKind
from ingestion.services.summarize_job import summarize_job
from mdc.cli.summary_table import render_summary
from providers.types import Timeframe
from tests.cli.conftest import Run, execute, open_now, request, work_until_done

RunJson = Callable[..., Any]


@dataclass(frozen=True)
class Market:
    """Name the jobs that the tests look at."""

    done: int
    again: int
    draft: int
    partial: int


@pytest.fixture(scope="module", autouse=True)
def db(committed: None) -> Market:
    """A done backfill with two sessions taken out, its reconciliation's draft, a partial job."""
    done = open_now(request("BETA", "ALPHA"))
    work_until_done(done)
    execute(
        "UPDATE coverage SET loaded = loaded"
        " - '{[2024-01-16T00:00Z,2024-01-17T00:00Z),[2024-02-01T00:00Z,2024-02-02T00:00Z)}'"
        " WHERE series_id = (SELECT s.id FROM series s JOIN instrument i ON i.id = s.instrument_id"
        "                    WHERE i.symbol = 'ALPHA')"
    )
    execute(
        "DELETE FROM bar WHERE ts IN ('2024-01-16T00:00Z', '2024-02-01T00:00Z') AND series_id ="
        " (SELECT s.id FROM series s JOIN instrument i ON i.id = s.instrument_id"
        "  WHERE i.symbol = 'ALPHA')"
    )
    again = open_now(request("BETA", kind=JobKind.RECONCILE))
    work_until_done(again)
    partial = open_now(
        request("GAMMA", timeframe=Timeframe.M1, slice_span=timedelta(days=30)),
    )
    work_until_done(partial)
    execute(
        "UPDATE slice SET state = 'dead', tries = 5, error_class = 'TransientError',"
        " error = 'the provider hung up' WHERE id ="
        " (SELECT max(id) FROM slice WHERE job_id = %s)",
        partial,
    )
    execute("UPDATE job SET outcome = 'partial' WHERE id = %s", partial)
    return Market(
        done=done, again=again, partial=partial, draft=open_now(request("BETA"), draft=True)
    )


def test_jobs_are_listed_newest_first(run_json: RunJson, db: Market) -> None:
    """A listing pages by number and knows each job's progress."""
    listed = run_json("job", "list", "--json", "--before", str(db.draft + 1))
    assert [one["job_id"] for one in listed] == [db.draft, db.partial, db.again, db.done]
    done = listed[-1]
    assert (done["state"], done["outcome"], done["provider"]) == (
        "completed",
        "complete",
        "synthetic",
    )
    assert done["symbols"] == ["ALPHA", "BETA"]
    assert done["timeframes"] == ["1d"]
    assert done["slices"]["total"] == done["slices"]["done"] == 2
    assert done["rows"] == 122
    older = run_json("job", "list", "--json", "--before", str(db.partial), "--limit", "1")
    assert [one["job_id"] for one in older] == [db.again]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--state", "draft"), ["draft"]),
        (("--state", "completed", "--state", "draft"), ["draft", "partial", "again", "done"]),
        (("--provider", "yahoo"), []),
        (("--state", "running"), []),
    ],
)
def test_jobs_are_filtered(
    run_json: RunJson, db: Market, words: tuple[str, ...], names: list[str]
) -> None:
    """States add up, a provider without jobs has none."""
    # Other tests of this module may have opened jobs since.
    listed = run_json("job", "list", "--json", "--before", str(db.draft + 1), *words)
    assert [one["job_id"] for one in listed] == [getattr(db, name) for name in names]


def test_an_empty_listing_says_what_to_do(run: Run) -> None:
    """Nothing is no error."""
    result = run("job", "list", "--provider", "yahoo")
    assert result.exit_code == 0
    assert "mdc backfill --help" in result.stdout


def test_a_job_is_described(run: Run, db: Market) -> None:
    """Everything that a person must know of a job stands in `job show`, times in UTC."""
    text = run("job", "show", str(db.partial)).stdout
    facts = dict(re.findall(r"^(\w[\w ]*?)  +(\S.*)$", text, flags=re.MULTILINE))
    assert facts["workload"] == "historical"
    assert facts["kind"] == "backfill"
    assert facts["provider"] == "synthetic"
    assert facts["symbols"] == "GAMMA"
    assert facts["timeframe"] == "1m"
    assert facts["state"] == "completed (partial)"
    assert facts["desired"] == "run"
    assert facts["tries"] == "at most 5 a slice"
    assert facts["retry class"] == "fast"
    assert facts["next retry"] == "-"
    assert facts["freshness target"] == "-"
    assert facts["deadline"] == "-"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", facts["created"])
    assert "TransientError, 1 slice (GAMMA)" in text
    assert "it said: the provider hung up" in text
    assert f"mdc job retry-failed {db.partial}" in text


def test_a_description_has_a_checkpoint_per_symbol(run_json: RunJson, db: Market) -> None:
    """A checkpoint is the end of what is done without a hole, and the last bar before it."""
    shown = run_json("job", "show", str(db.done), "--json")
    assert shown["start"] == "2024-01-01T00:00:00Z"
    by_symbol = {one["symbol"]: one for one in shown["series"]}
    assert set(by_symbol) == {"ALPHA", "BETA"}
    assert by_symbol["BETA"]["checkpoint"] == {
        "until": "2024-04-01T00:00:00Z",
        "ts": "2024-03-28T00:00:00Z",
        "sequence": 0,
    }
    written = [by_symbol["BETA"][name] for name in ("inserted", "unchanged", "revised", "vanished")]
    assert written == [by_symbol["BETA"]["rows"], 0, 0, 0]
    assert shown["freshness_target"] is None
    assert shown["failures"] == []


def test_a_definition_gives_freshness_and_deadline(run_json: RunJson, db: Market) -> None:
    """Both come from the template that a job was made from."""
    execute(
        "INSERT INTO job_definition (name, symbols, timeframe, adjustment, hours, venue,"
        " history_start,"
        " providers, max_slices_per_round, max_concurrency, tries, freshness, deadline, priority,"
        " weight, retry_class, revision, enabled) VALUES ('daily', '{BETA}', '1d', 'raw',"
        " 'regular', '', '2020-01-01', '{synthetic}', 5, 5, 5, '30 minutes', '2 hours', 100, 1,"
        " 'fast', 1, true)"
    )
    execute(
        "UPDATE job SET definition_id = (SELECT id FROM job_definition WHERE name = 'daily')"
        " WHERE id = %s",
        db.again,
    )
    shown = run_json("job", "show", str(db.again), "--json")
    assert shown["definition"] == "daily"
    assert shown["freshness_target"] == 1800.0
    late = datetime.fromisoformat(shown["deadline"]) - datetime.fromisoformat(shown["started_at"])
    assert late == timedelta(hours=2)


def test_events_are_the_audit_trail(run_json: RunJson, run: Run, db: Market) -> None:
    """Who did what comes in order, and a page goes on after the last event seen."""
    events = run_json("job", "events", str(db.done), "--json")
    assert events[0]["actor"] == "tester"
    assert events[0]["source"] == "cli"
    assert events[-1]["after"]["state"] == "completed"
    assert [one["id"] for one in events] == sorted(one["id"] for one in events)
    later = run_json("job", "events", str(db.done), "--after", str(events[0]["id"]), "--json")
    assert later == events[1:]
    assert "tester" in run("job", "events", str(db.done)).stdout


def test_coverage_counts_sessions_bars_and_gaps(run_json: RunJson) -> None:
    """Sessions without bars are gaps; duplicates are counted by a query."""
    covered = {one["symbol"]: one for one in run_json("coverage", "--timeframe", "1d", "--json")}
    alpha, beta = covered["ALPHA"], covered["BETA"]
    assert (beta["expected"], beta["loaded"], beta["lacking"]) == (61, 61, 0)
    assert (beta["bars"], beta["duplicates"], beta["watermark"]) == (
        61,
        0,
        "2024-04-01T00:00:00Z",
    )
    assert (alpha["expected"], alpha["loaded"], alpha["lacking"]) == (61, 59, 2)
    assert alpha["watermark"] == "2024-01-16T00:00:00Z"
    assert alpha["gaps"] == [
        {
            "start": "2024-01-16T00:00:00Z",
            "end": "2024-01-17T00:00:00Z",
            "units": 1,
            "kind": "unknown",
        },
        {
            "start": "2024-02-01T00:00:00Z",
            "end": "2024-02-02T00:00:00Z",
            "units": 1,
            "kind": "unknown",
        },
    ]


def test_coverage_over_a_range(run_json: RunJson, run: Run) -> None:
    """A range is judged as asked: what was never fetched is a gap in it."""
    words = ("coverage", "--symbols", "BETA", "--start", "2023-12-01", "--end", "2024-01-05")
    (beta,) = run_json(*words, "--json")
    assert (beta["expected"], beta["loaded"], beta["lacking"], beta["bars"]) == (24, 4, 20, 4)
    text = run(*words, "--gaps").stdout
    assert "2023-12-01" in text
    assert "unknown" in text


def test_the_database_function_finds_the_same_gaps() -> None:
    """People who use SQL and people who use the command see the same holes."""
    from django.db import connection

    days = (datetime.now(UTC) - datetime(2024, 1, 1, tzinfo=UTC)).days + 1
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT gap_start, gap_end, sessions, kind FROM coverage_gaps('ALPHA', '1d', %s)"
            " WHERE gap_start < '2024-03-29'",
            [days],
        )
        gaps = cursor.fetchall()
    assert [(row[0].date().isoformat(), row[2], row[3]) for row in gaps] == [
        ("2024-01-16", 1, "unknown"),
        ("2024-02-01", 1, "unknown"),
    ]


def test_a_summary_counts_what_a_job_did(run_json: RunJson, db: Market) -> None:
    """Reconciling what is stored changes nothing and says so."""
    summary = run_json("job", "show", str(db.again), "--follow", "--json")
    (beta,) = summary["series"]
    assert summary["success_rate"] == 1.0
    assert (beta["expected"], beta["bars"], beta["gaps"], beta["duplicates"]) == (61, 61, 0, 0)
    assert (beta["inserted"], beta["unchanged"], beta["revised"], beta["vanished"]) == (0, 61, 0, 0)
    assert beta["requests"] == 1
    assert beta["seconds"] > 0
    assert beta["bars_per_second"] > 0
    assert summary["next_command"].startswith("mdc export --symbols BETA --timeframe 1d")


def test_a_summary_names_gaps_and_the_command_that_asks_again(run: Run, db: Market) -> None:
    """The command repeats the backfill in the words in which people give dates."""
    result = run("job", "show", str(db.done), "--follow")
    assert result.exit_code == 0
    assert (
        "2 expected sessions without bars; `mdc coverage --symbols ALPHA --gaps`" in result.stdout
    )
    assert (
        "Next: mdc backfill synthetic --symbols BETA,ALPHA --timeframe 1d --start 2024-01-01"
        " --end 2024-03-31" in result.stdout
    )


def test_a_partial_job_fails_the_command_and_groups_its_failures(run: Run, db: Market) -> None:
    """Failures come by class, with an example and what to do."""
    result = run("job", "show", str(db.partial), "--follow")
    assert result.exit_code == 1
    assert "completed (partial)" in result.stdout
    assert "Failed: TransientError, 1 slice (GAMMA)" in result.stdout
    assert "what to do: " in result.stdout
    assert f"Next: mdc job retry-failed {db.partial}" in result.stdout


def test_a_reconciliation_reports_revised_and_vanished_rows(run_json: RunJson) -> None:
    """What changed at the provider since is told apart."""
    first = open_now(request("DELTA"))
    work_until_done(first)
    series = "(SELECT s.id FROM series s JOIN instrument i ON i.id = s.instrument_id"
    series += " WHERE i.symbol = 'DELTA')"
    execute(f"UPDATE bar SET close = close + 1 WHERE series_id = {series} AND ts = '2024-01-03Z'")
    execute(f"DELETE FROM bar WHERE series_id = {series} AND ts = '2024-01-04Z'")
    execute(
        f"INSERT INTO bar SELECT '2024-01-06Z', known_from, attempt_id, open, high, low, close,"
        f" series_id, 0, final, trades, volume, vwap FROM bar WHERE series_id = {series}"
        f" AND ts = '2024-01-05Z'"
    )
    second = open_now(request("DELTA", kind=JobKind.RECONCILE))
    work_until_done(second)
    summary = run_json("job", "show", str(second), "--follow", "--json")
    (delta,) = summary["series"]
    assert (delta["inserted"], delta["revised"], delta["vanished"]) == (1, 1, 1)
    assert delta["unchanged"] == 59


def test_waits_and_refused_rows_are_summed_by_cause(run: Run, run_json: RunJson) -> None:
    """Seconds come from what attempts recorded and from the time between tries."""
    job_id = open_now(request("OMEGA"))
    work_until_done(job_id)
    tries = (
        (10, 11, "retry", "ThrottledError", 1.5),
        (14, 15, "retry", "TransientError", 0.5),
        (20, 21, "crashed", "LeaseExpired", 0),
        (26, 27, "done", "", 0),
    )
    for leased, ended, outcome, error, budget in tries:
        execute(
            "INSERT INTO attempt (slice_id, job_id, series_id, account_id, n, leased_at, ended_at,"
            " outcome, requests, pages, waited, rows_in, inserted, unchanged, revised, vanished,"
            " quarantined, error_class, detail, payload_sha, code_version)"
            " SELECT 99, job_id, series_id, account_id, 2, ended_at + make_interval(secs => %s),"
            " ended_at + make_interval(secs => %s), %s, 1, 0, jsonb_build_object('budget', %s),"
            " 0, 0, 0, 0, 0, 0, %s, '{}', '', '' FROM attempt WHERE job_id = %s"
            " ORDER BY id LIMIT 1",
            *(leased, ended, outcome, budget, error, job_id),
        )
    execute(
        "INSERT INTO quarantine (attempt_id, series_id, ts, reason, raw)"
        " SELECT max(id), 1, NULL, 'negative', '{}' FROM attempt WHERE job_id = %s",
        job_id,
    )
    summary = run_json("job", "show", str(job_id), "--follow", "--json")
    waited = summary["waited_seconds"]
    assert (waited["throttled"], waited["backoff"], waited["lost worker"]) == (3.0, 5.0, 5.0)
    assert waited["budget"] >= 2.0
    assert summary["quarantined"] == {"negative": 1}
    (omega,) = summary["series"]
    assert (omega["throttled"], omega["retries"], omega["crashes"]) == (1, 2, 1)
    text = run("job", "show", str(job_id), "--follow").stdout
    assert "throttled 3.0 s" in text
    assert "1 attempt lost to dying workers" in text
    assert "Refused rows, kept in the quarantine: negative 1." in text


@pytest.mark.parametrize("width", [80, 200])
def test_a_summary_fits_the_terminal(db: Market, width: int) -> None:
    """Narrow terminals get the same figures in several tables, with no word broken."""
    page = io.StringIO()
    console = Console(file=page, width=width, markup=False, highlight=False)
    render_summary(summarize_job(db.done, now=datetime.now(UTC)), console)
    table, _, rest = page.getvalue().partition("\n\nJob ")
    assert max(len(line) for line in table.splitlines()) <= width
    heads = ("expected sessions", "gaps", "duplicates", "inserted", "unchanged", "revised")
    for head in (*heads, "vanished", "requests", "throttled", "time", "bars/s"):
        assert head in table
    assert table.count("ALPHA") == (1 if width == 200 else 3)
    assert rest.startswith(f"{db.done} completed (complete): 2 of 2 slices done, success rate 100")


def test_coverage_says_how_complete_and_why_not(run_json: RunJson, run: Run) -> None:
    """Part, gaps and absences with their attempt; bars are not counted where nobody asks."""
    words = ("coverage", "--symbols", "ALPHA", "--timeframe", "1d", "--absences")
    (alpha,) = run_json(*words, "--no-bars", "--json")
    assert alpha["completeness"] == pytest.approx(59 / 61)
    assert (alpha["bars"], alpha["duplicates"], alpha["first_bar"]) == (None, None, None)
    assert alpha["absences"] == []
    text = run(*words, "--gaps").stdout
    assert "96.72 %" in text
    assert "No absences." in text
    (beta,) = run_json("coverage", "--symbols", "BETA", "--timeframe", "1d", "--json")
    assert beta["completeness"] == 1
    assert "absences" not in beta

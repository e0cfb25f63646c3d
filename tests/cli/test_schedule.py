"""Datasets and their schedules, declared, shown and acted on from the terminal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ingestion.domain.moved_clock import MovedClock
from ingestion.models import AuditEvent, Job, JobDefinition, Schedule, Slot
from tests.cli.conftest import Run

pytestmark = pytest.mark.django_db
RunJson = Callable[..., Any]
# The evening before Thanksgiving, which a half day follows.
NOW = datetime(2026, 11, 25, 22, tzinfo=UTC)


@pytest.fixture(autouse=True)
def thanksgiving(settings: Any) -> None:
    """Move the clock, so that the calendar's answers are known."""
    settings.CLOCK = MovedClock(anchor=datetime.now(UTC), shown=NOW, rate=1)


@pytest.fixture
def nightly(run: Run) -> None:
    """Declare a dataset of New York."""
    done = run(
        *("definition", "add", "nightly", "--symbols", "AAPL", "MSFT", "--start", "2020-01-01"),
        *("--provider", "synthetic", "--venue", "xnys", "--freshness", "20min"),
    )
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("nightly keeps 2 symbols at 1d.\nNext: mdc definition start")


def add(run: Run, name: str, rule: str, *options: str) -> None:
    done = run("schedule", "add", name, "nightly", rule, *options)
    assert done.exit_code == 0, done.stderr


@pytest.mark.usefixtures("nightly")
def test_a_definition_lives(run: Run, run_json: RunJson) -> None:
    """Added, listed, shown, started and removed; each act is in the ledger."""
    (listed,) = run_json("definition", "list", "--json")
    assert (listed["symbols"], listed["venue"], listed["schedules"]) == (
        ["AAPL", "MSFT"],
        "XNYS",
        0,
    )
    assert "20 min" in run("definition", "list").stdout
    shown = run("definition", "show", "nightly").stdout
    assert "fresh within 20 min of each close" in shown
    assert "Nothing starts it yet" in shown
    started = run("definition", "start", "nightly", "--symbols", "AAPL", "--reason", "now")
    job = Job.objects.get()
    assert f"job {job.pk}" in started.stdout
    assert run_json("definition", "show", "nightly", "--json")["jobs"][0]["job_id"] == job.pk
    refused = run("definition", "remove", "nightly")
    assert (refused.exit_code, "add --yes" in refused.stderr) == (2, True)
    assert "its bars stay" in run("definition", "remove", "nightly", "--yes").stdout
    assert not JobDefinition.objects.exists()
    assert Job.objects.get().definition_id is None
    acts = AuditEvent.objects.filter(object_type="job_definition").order_by("id")
    assert [one.action for one in acts] == ["job_definition.create", "job_definition.delete"]


def test_a_definition_may_be_verified_later(run: Run, run_json: RunJson) -> None:
    """One schedule an age, or nothing at all where an age is none."""
    words = ("definition", "add", "daily", "--symbols", "AAPL", "--start", "2020-01-01")
    words += ("--provider", "synthetic", "--verify-after")
    refused = run(*words, "1h,soon")
    assert (refused.exit_code, "'soon' is no span" in refused.stderr) == (2, True)
    assert not JobDefinition.objects.exists()
    assert "daily-verify-7d: verify 7 d after each close of" in run(*words, "1h,7d").stdout
    found = run_json("schedule", "list", "--definition", "daily", "--json")
    assert [(one["rule"], one["action"]) for one in found] == [
        ("close + 1 h", "verify"),
        ("close + 7 d", "verify"),
    ]


def test_what_comes_before_bars_are_final_is_told(run: Run) -> None:
    """Yahoo's bars may change for half an hour: sooner nothing is complete, and nothing fetched."""
    words = ("definition", "add", "daily", "--symbols", "AAPL", "--start", "2020-01-01")
    words += ("--provider", "yahoo", "polygon", "--venue", "XNYS")
    refused = run(*words, "--freshness", "20min")
    assert refused.exit_code == 2
    assert refused.stderr == (
        "mdc: polygon's bars may change until 20 min after the close, so no session is complete"
        " within 20 min: promise more, such as 50 min\n"
    )
    added = run(*words, "--freshness", "1h", "--verify-after", "5min")
    assert 'mdc schedule add daily daily "close + 35 min"' in added.stdout
    assert "daily-verify-5min: yahoo's bars may change until 30 min" in added.stderr
    early = run("schedule", "add", "early", "daily", "close + 30 min")
    told = "this leaves the session to the next time; `close + 31 min` fetches it"
    assert (early.exit_code, told in early.stderr) == (0, True)
    assert told in run("schedule", "show", "early").stdout
    assert run("schedule", "add", "late", "daily", "close + 31 min").stderr == ""


@pytest.mark.usefixtures("nightly")
def test_next_says_why_odd_times_are_odd(run: Run, run_json: RunJson) -> None:
    """The half day after Thanksgiving, in New York's time and in UTC."""
    add(run, "closing", "close + 15 min")
    found = run_json("schedule", "next", "closing", "-n", "2", "--json")
    assert found["words"] == "15 min after each close of XNYS"
    assert found["next"] == [
        {
            "due": "2026-11-27T18:15:00Z",
            "local": "2026-11-27T13:15:00-05:00",
            "session": "2026-11-27",
            "fires_at": "2026-11-27T18:15:00Z",
            "excluded": False,
            "note": "half day, closes at 13:00",
        },
        {
            "due": "2026-11-30T21:15:00Z",
            "local": "2026-11-30T16:15:00-05:00",
            "session": "2026-11-30",
            "fires_at": "2026-11-30T21:15:00Z",
            "excluded": False,
            "note": None,
        },
    ]
    shown = run("schedule", "next", "closing", "-n", "1").stdout
    assert "Fri 2026-11-27 13:15 EST" in shown
    assert "2026-11-27 18:15:00Z" in shown
    assert "half day, closes at 13:00" in shown


@pytest.mark.usefixtures("nightly")
def test_next_says_what_does_not_fire_or_fires_later(run: Run, run_json: RunJson) -> None:
    """Excluded days, jitter, and the end."""
    add(
        *(run, "few", "cron 0 12 * * *", "--tz", "UTC", "--jitter", "1h", "--end", "2026-11-29"),
        *("--exclude", "2026-11-26", "2026-11-28..2026-12-01"),
    )
    found = run_json("schedule", "next", "few", "--json")
    assert [one["excluded"] for one in found["next"]] == [True, False, True, True]
    assert found["next"][1]["fires_at"] > found["next"][1]["due"]
    assert found["ends"] == "it is never due after that"
    shown = run("schedule", "next", "few").stdout
    assert shown.count("excluded, does not fire") == 3
    assert "No more: it is never due after that." in shown


@pytest.mark.usefixtures("nightly")
def test_a_schedule_lives(run: Run, run_json: RunJson) -> None:
    """Added, listed, shown, paused, resumed, triggered and removed; each act is in the ledger."""
    add(run, "closing", "close + 15 min", "--overlap", "buffer_one", "--reason", "for the fund")
    (listed,) = run_json("schedule", "list", "--json")
    assert (listed["rule"], listed["venue"], listed["tz"]) == (
        "close + 15 min",
        "XNYS",
        "America/New_York",
    )
    assert (listed["state"], listed["next_due_at"]) == ("on", "2026-11-27T18:15:00Z")
    assert run("schedule", "pause", "closing", "--note", "vendor is down").exit_code == 0
    assert "vendor is down" in run("schedule", "list").stdout
    assert "paused already" in run("schedule", "pause", "closing").stdout
    assert "next due: 2026-11-27 18:15:00Z" in run("schedule", "resume", "closing").stdout
    fired = run("schedule", "trigger", "closing", "--reason", "try it").stdout
    assert f"job {Job.objects.get().pk}" in fired
    shown = run("schedule", "show", "closing").stdout
    for words in ("buffer_one", "15 min after each close of XNYS", "half day", "1 fired", "try it"):
        assert words in shown
    assert run_json("schedule", "show", "closing", "--json")["slots"][0]["disposition"] == "fired"
    assert run("schedule", "remove", "closing").exit_code == 2
    assert "with it 1 slot" in run("schedule", "remove", "closing", "--yes").stdout
    assert not Slot.objects.exists()
    assert Job.objects.get().slot_id is None
    acts = AuditEvent.objects.filter(object_type="schedule").order_by("id")
    assert [(one.action, one.reason) for one in acts] == [
        ("schedule.create", "for the fund"),
        ("schedule.pause", "vendor is down"),
        ("schedule.resume", ""),
        ("schedule.trigger", "try it"),
        ("schedule.delete", ""),
    ]


@pytest.mark.usefixtures("nightly")
def test_a_schedule_may_listen(run: Run) -> None:
    """It has no due time until somebody raises its signal."""
    add(run, "mending", "on signal gap", "--action", "repair", "--cooldown", "10min")
    shown = run("schedule", "show", "mending").stdout
    assert "waits for its signal" in shown
    assert "at most one job in 10 min" in shown
    assert "Due when the signal is raised." in run("schedule", "next", "mending").stdout


@pytest.mark.usefixtures("nightly")
def test_a_stored_rule_that_is_none_is_told(run: Run) -> None:
    """Whoever wrote it by SQL sees it in the list; the list does not die of it."""
    add(run, "broken", "every 6 h")
    Schedule.objects.update(rule={"kind": "moon"})
    assert "no kind of rule is named 'moon'" in run("schedule", "list").stdout
    assert "no kind of rule is named 'moon'" in run("schedule", "next", "broken").stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("next", "nope"), 1, "there is no schedule named 'nope'; `mdc schedule list`"),
        (("list", "--definition", "nope"), 1, "there is no definition named 'nope'"),
        (("remove", "nope", "--yes"), 1, "there is no schedule named 'nope'"),
        (("pause", "nope"), 1, "there is no schedule named 'nope'"),
        (("add", "a", "nope", "close"), 1, "there is no definition named 'nope'"),
        (("add", "a", "nightly", "sometimes"), 2, "'sometimes' is no rule; write `cron"),
        (("add", "a b", "nightly", "close"), 2, "'a b' is no name for a schedule"),
        (("add", "a", "nightly", "close", "--venue", "MARS"), 2, "unknown venue 'MARS'"),
        (("add", "a", "nightly", "close", "--tz", "Mars/City"), 2, "Mars/City is no time zone"),
        (("add", "a", "nightly", "once 2020-01-01"), 2, "is never due from now on"),
        (
            ("add", "a", "nightly", "first session of the month, open", "--end", "2026-11-27"),
            2,
            "is never due from now on before its end",
        ),
        (("add", "a", "nightly", "close", "--exclude", "Christmas"), 2, "is no excluded day"),
        (("add", "a", "nightly", "close", "--jitter", "2d"), 2, "a jitter is at most a day"),
        (("add", "taken", "nightly", "close"), 2, "there is a schedule named taken already"),
        (("add", "a", "nightly", "close", "--start", "2036-02-01"), 2, "the last is 2035-12-31"),
        (("next", "taken", "-n", "0"), 2, "0 is not in the range"),
    ],
)
@pytest.mark.usefixtures("nightly")
def test_wrong_usage_is_answered_in_a_sentence(
    words: tuple[str, ...], code: int, said: str, run: Run
) -> None:
    """What is wrong, and what to do."""
    add(run, "taken", "close")
    refused = run("schedule", *words)
    assert (refused.exit_code, said in refused.stderr) == (code, True), refused.stderr
    assert Schedule.objects.count() == 1


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        (("--provider", "nasdaq"), 2, "nasdaq"),
        (("--venue", "MARS"), 2, "unknown venue 'MARS'"),
        (("--start", "2030-01-01"), 2, "lies in the future"),
        (("--retry-class", "heroic"), 2, "unknown retry class 'heroic'"),
        (("--provider", "synthetic", "synthetic"), 0, ""),
        (("--timeframes", "1d", "1h"), 2, "has one bar length"),
    ],
)
def test_a_definition_that_could_not_work_is_refused(
    changed: tuple[str, ...], code: int, said: str, run: Run
) -> None:
    """Before any job fails on it."""
    given = {"--symbols": ("AAPL",), "--provider": ("synthetic",), "--start": ("2020-01-01",)}
    given[changed[0]] = changed[1:]
    words = [word for flag, values in given.items() for word in (flag, *values)]
    done = run("definition", "add", "daily", *words)
    assert (done.exit_code, said in done.stderr) == (code, True), done.stderr
    assert JobDefinition.objects.exists() is (code == 0)


@pytest.mark.usefixtures("nightly")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("start", "nope"), 1, "there is no definition named 'nope'"),
        (("start", "nightly", "--symbols", "IBM"), 2, "IBM is not among the symbols"),
        (("start", "nightly", "--end", "2026-01-01"), 2, "--end goes with --start"),
        (("start", "nightly", "--start", "2030-01-01"), 2, "lies in the future"),
        (("show", "nope"), 1, "there is no definition named 'nope'"),
        (
            ("add", "nightly", "--symbols", "A", "--start", "2020-01-01", "--provider", "yahoo"),
            2,
            "there is a definition named nightly already",
        ),
    ],
)
def test_wrong_usage_of_definitions(words: tuple[str, ...], code: int, said: str, run: Run) -> None:
    """What is wrong, and what to do."""
    refused = run("definition", *words)
    assert (refused.exit_code, said in refused.stderr) == (code, True), refused.stderr

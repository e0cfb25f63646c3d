"""Signals, freshness and figures from the terminal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingestion.domain.moved_clock import MovedClock
from ingestion.models import JobDefinition, Schedule, Signal
from ingestion.services.judge_freshness import judge_freshness
from tests.cli.conftest import Run

pytestmark = pytest.mark.django_db
RunJson = Callable[..., Any]
NOW = datetime(2024, 1, 2, 22, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _daily(settings: Any) -> None:
    """Promise a dataset of New York, and let its first session be overdue."""
    settings.CLOCK = MovedClock(anchor=datetime.now(UTC), shown=NOW, rate=1)
    definition = JobDefinition.objects.create(
        name="daily",
        symbols=["AAA", "BBB"],
        timeframe="1d",
        history_start="2020-01-01",
        providers=["synthetic"],
        freshness=timedelta(minutes=20),
    )
    rule = {"kind": "signal", "name": "freshness_breached"}
    Schedule.objects.create(name="mend", definition=definition, action="repair", rule=rule)
    judge_freshness(now=NOW - timedelta(hours=5))
    judge_freshness(now=NOW - timedelta(minutes=40))


def test_a_signal_says_who_starts_and_when(run: Run, run_json: RunJson) -> None:
    """People see what they have set off; programs too."""
    Schedule.objects.update(next_due_at=None, next_fire_at=None)
    told = run("signal", "freshness_breached", "--symbols", "AAA", "--timeframe", "1d")
    assert "is heard by 1 schedule" in told.stdout
    assert "mend starts daily at 2024-01-02 22:00:" in told.stdout
    window = ("--start", "2024-01-02", "--end", "2024-01-03")
    heard = run_json("signal", "freshness_breached", *window, "--reason", "why", "--json")
    assert [one["schedule"] for one in heard["schedules"]] == ["mend"]
    signal = Signal.objects.get(pk=heard["signal"])
    assert signal.reason == "why"
    assert (signal.window.lower.day, signal.window.upper.day) == (2, 4)
    Schedule.objects.update(paused_at=NOW)
    assert "mend is paused" in run("signal", "freshness_breached").stdout
    assert "0 schedules" in run("signal", "nobody").stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("a gap",), "is no name for a signal"),
        (("gap", "--start", "2024-01-02"), "give both --start and --end"),
        (("gap", "--timeframe", "1d", "1m"), "one bar length"),
        (("gap", "--start", "2024-01-03", "--end", "2024-01-02"), "lies before the start"),
    ],
)
def test_a_signal_that_cannot_be_meant_is_refused(
    run: Run, words: tuple[str, ...], sentence: str
) -> None:
    """One sentence, exit code 2, and nothing is raised."""
    before = Signal.objects.count()
    refused = run("signal", *words)
    assert (refused.exit_code, Signal.objects.count()) == (2, before)
    assert sentence in refused.stderr


def test_freshness_shows_what_was_late(run: Run, run_json: RunJson) -> None:
    """Per venue, with the sessions that were late and what they lacked."""
    shown = run("freshness").stdout
    assert "0 of 1" in shown
    assert "2024-01-02 lacks 2" in shown
    assert "AAA BBB" in shown
    (one,) = run_json("freshness", "daily", "--json")
    assert (one["definition"], one["target"], one["judged"], one["on_time"]) == (
        "daily",
        1200.0,
        1,
        0,
    )
    assert one["late"][0] == {
        "venue": "XNYS",
        "session": "2024-01-02",
        "due_at": "2024-01-02T21:20:00Z",
        "lacking": 2,
        "of": 2,
        "sample": ["AAA", "BBB"],
        "complete_at": None,
    }
    assert run("freshness", "nope").exit_code == 1


def test_figures_are_summed(run: Run, run_json: RunJson) -> None:
    """For people a table, for programs one object."""
    shown = run("kpi", "--since", "1d").stdout
    assert "freshness breached 1" in shown
    assert "of 1 sessions in time; 1 still lack bars" in shown
    found = run_json("kpi", "--json")
    assert found["signals"] == {"freshness_breached": 1}
    assert found["freshness"] == [{"definition": "daily", "judged": 1, "on_time": 0, "open": 1}]
    assert (found["completion_reliability"], found["lateness"]["p99"]) == (None, None)
    assert run("kpi", "--since", "soon").exit_code == 2


def test_without_a_target_there_is_nothing_to_show(run: Run) -> None:
    """The command says how to set one."""
    JobDefinition.objects.all().delete()
    assert "--freshness 1h" in run("freshness").stdout

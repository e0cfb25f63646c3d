"""`mdc state` shows how far series have come, and lets them be looked at again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ingestion.models import AuditEvent, Bar
from tests.cli.conftest import Run, execute, open_now, request, work_until_done

RunJson = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def db(committed: None) -> None:
    """Two series, done."""
    work_until_done(open_now(request("AAA", "BBB")))


@pytest.fixture(autouse=True)
def _nothing_is_doubted() -> None:
    execute("UPDATE coverage SET loaded = loaded + doubted, doubted = '{}'")


def test_state_is_shown_per_series(run: Run, run_json: RunJson) -> None:
    """All, one symbol, or one series; for people and as JSON."""
    assert [one["symbol"] for one in run_json("state", "show", "--json")] == ["AAA", "BBB"]
    (one,) = run_json("state", "show", "AAA", "1D", "--provider", "synthetic", "--json")
    assert (one["bars"], one["loaded_spans"], one["doubted"], one["open_jobs"]) == (
        61,
        1,
        False,
        [],
    )
    assert (one["watermark"], one["last_outcome"]) == ("2024-04-01T00:00:00Z", "done")
    text = run("state", "show", "AAA").stdout
    assert "2024-01-02" in text
    assert "complete before" in text
    refused = run("state", "show", "CCC")
    assert (refused.exit_code, "nothing is stored of CCC" in refused.stderr) == (1, True)


def test_a_reset_series_is_fetched_again_as_a_reconciliation(run: Run, run_json: RunJson) -> None:
    """Bars stay, the ledger knows who did it and why, and the next update compares."""
    before = Bar.objects.count()
    result = run("state", "reset", "AAA", "1d", "--reason", "vendor fixed history")
    assert result.exit_code == 0, result.stderr
    assert "Reset 1 series (AAA/1d of synthetic). Bars stay" in result.stdout
    assert "Next: mdc update --symbols AAA --timeframe 1d" in result.stdout
    assert Bar.objects.count() == before
    reset = AuditEvent.objects.filter(action="series.reset", reason="vendor fixed history")
    assert reset.count() == 1
    (one,) = run_json("state", "show", "AAA", "--json")
    assert (one["doubted"], one["bars"], one["watermark"]) == (True, 61, None)
    said = run_json(
        *("update", "--symbols", "AAA", "--timeframe", "1d", "--end", "2024-03-31"),
        *("--no-wait", "--json"),
    )
    work_until_done(said["jobs"][0]["job_id"])
    summary = run_json("job", "show", str(said["jobs"][0]["job_id"]), "--follow", "--json")
    assert (summary["series"][0]["unchanged"], summary["series"][0]["inserted"]) == (61, 0)
    assert run_json("state", "show", "AAA", "--json")[0]["doubted"] is False


def test_resetting_everything_is_asked_for(run: Run, run_json: RunJson) -> None:
    """Where nobody can be asked --yes is needed; nothing is half named."""
    unasked = run("state", "reset", "--all")
    assert (unasked.exit_code, "resets 2 series: add --yes" in unasked.stderr) == (2, True)
    for words in (("AAA",), (), ("AAA", "1d", "--all", "--yes")):
        assert run("state", "reset", *words).exit_code == 2
    assert not any(one["doubted"] for one in run_json("state", "show", "--json"))
    every = run("state", "reset", "--all", "--yes")
    assert "Reset 2 series (AAA/1d of synthetic, BBB/1d of synthetic)" in every.stdout
    assert all(one["doubted"] for one in run_json("state", "show", "--json"))
    assert "nothing to reset" in run("state", "reset", "--all", "--provider", "yahoo").stdout

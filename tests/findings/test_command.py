"""`mdc findings`: what people type, and what they are told."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from ingestion.domain.checks.found import Found
from ingestion.domain.coverage import Ranges
from ingestion.domain.findings import Check, Severity
from ingestion.domain.windows import DAY_US
from ingestion.models import Finding
from ingestion.services.record_findings import record_findings
from mdc.cli.main import cli
from tests.protocol.scene import NOW, Worker, open_running, series_of, us

pytestmark = pytest.mark.django_db

Run = Callable[..., Result]
MONDAY = us("2024-01-08")


@pytest.fixture
def run() -> Run:
    """Run the command line and insist that no error escapes it."""

    def invoke(*words: object) -> Result:
        result = CliRunner().invoke(cli, ["findings", *map(str, words)], prog_name="mdc")
        assert result.exception is None or isinstance(result.exception, SystemExit), (
            result.exception
        )
        return result

    return invoke


@pytest.fixture
def spikes() -> list[int]:
    """Two findings in a loaded series; return their numbers, ascending."""
    job_id = open_running()
    Worker.of(job_id).work_off()
    days = [MONDAY, MONDAY + DAY_US]
    record_findings(
        series_of(job_id),
        [Found(Check.SPIKE, Severity.WARNING, day, day + DAY_US, {"z": 9.5}) for day in days],
        inspected=Ranges.of([(MONDAY, MONDAY + 7 * DAY_US)]),
        now=NOW,
    )
    return sorted(Finding.objects.values_list("id", flat=True))


def test_what_is_open_is_listed_and_can_be_narrowed(run: Run, spikes: list[int]) -> None:
    listed = json.loads(run("list", "--json").stdout)
    assert [one["finding"] for one in listed] == spikes[::-1]
    assert (listed[0]["symbol"], listed[0]["evidence"]) == ("AAA", {"z": 9.5})
    assert "spike" in run("list", "--symbols", "AAA", "--kind", "spike").stdout
    for filters in (["--symbols", "BBB"], ["--kind", "gap"], ["--state", "accepted"]):
        assert "No findings" in run("list", *filters).stdout
    assert run("list", "--all", "--state", "open").exit_code == 2


def test_one_is_shown_with_its_evidence(run: Run, spikes: list[int]) -> None:
    shown = run("show", spikes[0]).stdout
    assert "spike (warning) in AAA 1d of synthetic from 2024-01-08 to 2024-01-09" in shown
    assert "9.5" in shown
    missing = run("show", 99999999)
    assert (missing.exit_code, "there is no finding 99999999" in missing.stderr) == (1, True)


def test_one_that_cannot_be_accepted_keeps_no_other_from_it(run: Run, spikes: list[int]) -> None:
    assert run("accept", spikes[0]).exit_code == 2, "a reason is needed"
    assert run("accept", spikes[0], "--reason", " ").exit_code == 2
    result = run("accept", 99999999, *spikes, "--reason", "a fat finger")
    assert result.exit_code == 1
    assert "there is no finding 99999999" in result.stderr
    assert set(Finding.objects.values_list("state", flat=True)) == {"accepted"}
    refused = run("accept", spikes[0], "--reason", "again", "--delete-bars")
    assert (refused.exit_code, "only bars that vanished" in refused.stderr) == (1, True)
    assert "is open again" in run("reopen", spikes[0]).stdout
    assert run("reopen", spikes[0]).exit_code == 1


def test_a_repair_says_what_to_follow_and_is_settled_by_the_next_look(
    run: Run, spikes: list[int]
) -> None:
    said = run("repair", *spikes, "--reason", "look again").stdout
    job_id = Finding.objects.values_list("job_id", flat=True).distinct().get()
    assert f"Job {job_id} repairs 2 findings" in said
    assert f"mdc job show {job_id} --follow" in said
    again = run("repair", spikes[0])
    assert (again.exit_code, f"job {job_id} is repairing it" in again.stderr) == (1, True)

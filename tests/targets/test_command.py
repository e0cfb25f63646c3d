"""`mdc target`: every act is one command, audited, and wrong usage is one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ingestion.models import AuditEvent, Target
from ingestion.store.targets import standings
from ingestion.target_access import open_sink
from ingestion.targets.registry import SINKS, sink_class
from mdc.cli.main import cli
from tests.protocol.scene import sql
from tests.targets.receiver import Answer, receiving
from tests.targets.receiving import a_job, commit, daily, deliver_next, drain

pytestmark = pytest.mark.django_db


def run(*words: str) -> Result:
    """Run the command line in this process."""
    result = CliRunner().invoke(cli, ["target", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def listed() -> dict[str, Any]:
    """Return the one target as the listing has it."""
    (found,) = json.loads(run("list", "--json").stdout)
    return found


def test_every_kind_has_a_name_a_guarantee_and_a_row_in_the_table() -> None:
    """The registry, the table's check and the classes agree."""
    assert tuple(SINKS) == Target.KINDS
    for kind in SINKS:
        assert kind == sink_class(kind).KIND
        assert "at least once" in sink_class(kind).GUARANTEE


def test_a_lake_from_its_declaration_to_its_end(tmp_path: Path) -> None:
    """Declared, tested, fed, listed, replayed, resized, paused, resumed, removed; all audited."""
    words = ("--path", str(tmp_path / "lake"), "--symbols", "AAA", "BBB", "--timeframe", "1D")
    result = run("add", "lake", "parquet", *words, "--batch-size", "7")
    assert result.exit_code == 0, result.stderr
    assert "at least once and on the disk" in result.stdout
    assert run("test", "lake").exit_code == 0
    commit(a_job("AAA")["AAA"], daily(0, 5))
    shown = listed()
    assert (shown["kind"], shown["state"], shown["batch_size"]) == ("parquet", "on", 7)
    assert (shown["pending_entries"], shown["pending_bars"]) == (1, 5)
    assert (shown["symbols"], shown["timeframes"]) == (["AAA", "BBB"], ["1d"])
    assert shown["lag_seconds"] >= 0
    drain(standings()[0].target.id, open_sink)
    assert listed()["delivered_bars"] == 5
    assert "5 bars of 1 series" in run("replay", "lake", "--start", "2024-01-01").stdout
    assert "1 bar of 1 series" in run("replay", "lake", "--end", "2024-01-01").stdout
    assert run("resize", "lake", "--batch-size", "9").exit_code == 0
    assert run("pause", "lake", "--reason", "disk").exit_code == 0
    assert listed()["state"] == "paused"
    assert run("resume", "lake").exit_code == 0
    assert listed()["state"] == "on"
    refused = run("remove", "lake")
    assert (refused.exit_code, "add --yes" in refused.stderr) == (2, True)
    assert "2 pending delivery notes" in run("remove", "lake", "--yes").stdout
    acts = AuditEvent.objects.filter(object_type="target").order_by("id")
    words = ("add", "replay", "replay", "resize", "pause", "resume", "remove")
    assert [one.action for one in acts] == [f"target.{word}" for word in words]
    assert acts[4].reason == "disk"


def test_the_listing_shows_what_is_wrong() -> None:
    """The error, the next try, and what the kind promises."""
    with receiving(Answer(503)) as receiver:
        assert run("add", "hook", "webhook", "--url", receiver.url).exit_code == 0
        failed = run("test", "hook")
        assert (failed.exit_code, "later (503)" in failed.stderr) == (1, True)
        commit(a_job("AAA")["AAA"], daily(0, 5))
        deliver_next(standings()[0].target.id, open_sink)
    assert listed()["state"] == "retrying"
    assert "later (503)" in listed()["error"]
    page = run("list").stdout
    assert "retry at" in page
    assert "same Idempotency-Key" in page


def test_a_missing_worker_is_noticed() -> None:
    """What has been due for half a minute and nobody has begun wants the process that delivers."""
    assert run("add", "bus", "bus").exit_code == 0
    commit(a_job("AAA")["AAA"], daily(0, 5))
    sql("UPDATE outbox SET created_at = now() - interval '1 minute'")
    assert listed()["state"] == "on"
    sql("UPDATE target SET next_attempt_at = now() - interval '1 minute'")
    assert listed()["state"] == "no worker"
    assert "process `deliver`" in run("list").stdout


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("add", "lake", "parquet"), 2, "--path DIR"),
        (("add", "lake", "parquet", "--path", "/proc/lake"), 2, "nothing can be written in"),
        (("add", "lake", "parquet", "--url", "http://x/"), 2, "does not belong to a parquet"),
        (("add", "Lake", "bus"), 2, "small letters"),
        (("add", "bus", "bus", "--routing-key", "{x}"), 2, "nothing else in braces"),
        (("add", "hook", "webhook", "--url", "http://u:p@h/"), 2, "MDC_TARGET_HOOK_URL"),
        (("add", "hook", "webhook", "--batch-size", "0"), 2, "batch-size"),
        (("add", "hook", "carrier-pigeon"), 2, "carrier-pigeon"),
        (("add", "bus", "bus", "--providers", "yahooo"), 2, "unknown provider"),
        (("pause", "nobody"), 1, "no target named 'nobody'"),
        (("remove", "nobody"), 1, "no target named 'nobody'"),
        (("replay", "nobody"), 1, "no target named 'nobody'"),
    ],
)
def test_wrong_usage_is_one_sentence(words: tuple[str, ...], code: int, says: str) -> None:
    """It says what to do; nothing is declared."""
    result = run(*words)
    assert result.exit_code == code
    assert says in result.stderr
    assert standings() == []


def test_a_name_is_taken_once() -> None:
    """The second one is told how to proceed."""
    assert run("add", "bus", "bus").exit_code == 0
    result = run("add", "bus", "bus")
    assert (result.exit_code, "mdc target remove bus --yes" in result.stderr) == (2, True)


def test_no_target_is_said_in_words() -> None:
    """The bar table alone is the default."""
    assert "bar table alone" in run("list").stdout

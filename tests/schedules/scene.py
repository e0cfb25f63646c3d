"""Declare definitions and schedules, let time pass, and read the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ingestion.domain.rules import parse_rule, rule_to_json
from ingestion.models import Job, JobDefinition, Schedule, Slot
from ingestion.services.fire_schedules import FireReport, fire_schedules
from ingestion.services.recompute_fires import recompute_fires
from tests.protocol.scene import sql


def at(text: str) -> datetime:
    """Read an ISO time as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# A Monday at the exchange, before it opens.
START = at("2024-06-03T08:00")


def define(name: str = "daily", **columns: Any) -> JobDefinition:
    """Declare a definition at the synthetic provider."""
    wanted: dict[str, Any] = {
        "symbols": ["AAA", "BBB"],
        "timeframe": "1d",
        "venue": "XNYS",
        "history_start": "2024-05-01",
        "providers": ["synthetic"],
    }
    return JobDefinition.objects.create(name=name, **(wanted | columns))


def schedule(
    rule: str, *, name: str = "nightly", now: datetime = START, **columns: Any
) -> Schedule:
    """Declare a schedule, of the definition `daily` if not of another, as due from `now` on."""
    if "definition" not in columns:
        found = JobDefinition.objects.filter(name="daily").first()
        columns["definition"] = found or define()
    row = Schedule.objects.create(
        name=name,
        rule=rule_to_json(parse_rule(rule)),
        venue=columns.pop("venue", "XNYS"),
        **columns,
    )
    recompute_fires(now=now, schedule_ids=[row.id])
    row.refresh_from_db()
    return row


def fire(now: datetime | str) -> FireReport:
    """Fire all that is due at a moment."""
    moment = at(now) if isinstance(now, str) else now
    report = fire_schedules(now=moment)
    while report.more:
        report = fire_schedules(now=moment)
    return report


def ledger(name: str = "nightly") -> list[tuple[str, str]]:
    """Return the slots of a schedule as (due, disposition), in the order of due times."""
    rows = Slot.objects.filter(schedule__name=name).order_by("due")
    return [(f"{row.due:%Y-%m-%dT%H:%M}", row.disposition) for row in rows]


def dispositions(name: str = "nightly") -> list[str]:
    """Return what became of a schedule's due times, in their order."""
    return [disposition for _, disposition in ledger(name)]


def reasons(name: str = "nightly") -> list[str]:
    """Return the reasons in a schedule's ledger."""
    return [row.reason for row in Slot.objects.filter(schedule__name=name).order_by("due")]


def jobs(name: str = "nightly") -> list[Job]:
    """Return the jobs of a schedule, the first first."""
    return list(Job.objects.filter(slot__schedule__name=name).order_by("slot__due"))


def end_jobs(state: str = "completed") -> None:
    """Let every open job have ended."""
    sql(
        "UPDATE job SET state = %s, ended_at = now(), outcome = %s"
        " WHERE state IN ('queued', 'running', 'paused')",
        state,
        "complete" if state == "completed" else None,
    )


MINUTE = timedelta(minutes=1)

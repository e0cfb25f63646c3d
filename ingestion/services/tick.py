"""One second of housekeeping: reap, poll, settle, and say which hints to send."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ingestion.services.plan_job import READY_LOW_WATER
from ingestion.services.poll_job import poll_job
from ingestion.services.reap_leases import reap_leases
from ingestion.services.settle_job import settle_job
from ingestion.store import inspections, slices, sweeps
from ingestion.store.targets import due_targets

JOBS_PER_TICK = 500
PLANS_PER_TICK = 20
_DUE_WORTH_COUNTING = 64
_STALE_PER_TICK = 5000


@dataclass(frozen=True, slots=True)
class TickReport:
    """Hold what a tick did, and the hints it asks for: jobs to plan, fetches per account, targets
    to deliver to, and whether stored bars wait to be inspected."""

    reaped: int
    polled: int
    settled: int
    plan: tuple[int, ...]
    fetch: tuple[tuple[int, int], ...]
    deliver: tuple[int, ...]
    inspect: bool


def tick(*, now: datetime, processes: int) -> TickReport:
    """Run every sweep once; `processes` is how many fetches can run side by side."""
    reaped = reap_leases()
    slices.drop_stale(_STALE_PER_TICK)
    polled = sum(poll_job(job_id, now=now) for job_id in sweeps.jobs_to_poll(JOBS_PER_TICK))
    to_settle = sweeps.jobs_to_settle(JOBS_PER_TICK)
    for job_id in to_settle:
        settle_job(job_id)
    sweeps.explain_waits(JOBS_PER_TICK)
    return TickReport(
        reaped=reaped,
        polled=polled,
        settled=len(to_settle),
        plan=tuple(sweeps.jobs_to_plan(PLANS_PER_TICK, low_water=READY_LOW_WATER)),
        fetch=tuple(fetch_hints(processes=processes)),
        deliver=tuple(due_targets()),
        inspect=inspections.is_due(),
    )


def fetch_hints(*, processes: int) -> list[tuple[int, int]]:
    """Return (account, further fetches wanted) for accounts whose due work lacks hands.

    Where several accounts have work, one may take all processes but one, so that a sick provider
    cannot starve the rest.
    """
    demands = sweeps.demand(at_most=_DUE_WORTH_COUNTING)
    most = processes if len(demands) <= 1 else max(1, processes - 1)
    hints = []
    for one in demands:
        wanted = 1 if one.due == 1 else most
        if wanted > one.runs:
            hints.append((one.account_id, wanted - one.runs))
    return hints

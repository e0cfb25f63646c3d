"""Celery's shells: hints arrive here and call one service each."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from celery import shared_task
from django.conf import settings

from ingestion import clock
from ingestion.domain.actor import Actor
from ingestion.firing import fire_due
from ingestion.hints import queue_has_room
from ingestion.process import is_alive, this_executor, this_host
from ingestion.provider_access import access_for_account, quality_rules
from ingestion.services.bury_executors import bury_executors
from ingestion.services.deliver_target import deliver_target
from ingestion.services.housekeeping import keep_house
from ingestion.services.judge_freshness import judge_freshness
from ingestion.services.miss_deadlines import miss_deadlines
from ingestion.services.plan_job import plan_or_fail
from ingestion.services.refresh_calendars import refresh_calendars
from ingestion.services.run_slices import RunLimits, run_slices
from ingestion.services.start_definition import start_definition
from ingestion.services.tick import fetch_hints
from ingestion.services.tick import tick as run_tick
from ingestion.services.work_inspections import work_inspections
from ingestion.store.crashpoints import crash_point
from ingestion.target_access import open_sink

HINT_EXPIRES = 30
PERIODIC = Actor(name="periodic task", source="beat")


@shared_task(name="ingestion.tasks.tick")
def tick() -> None:
    """Bury the dead, fire what beat missed, reap, poll, settle, hint at what is to do, judge."""
    bury_executors(host=this_host(), is_alive=is_alive)
    refresh_calendars()
    fire_due()
    now = clock.now()
    report = run_tick(now=now, processes=settings.FETCH_PROCESSES)
    crash_point("tick.before_hints")
    for job_id in report.plan:
        plan.apply_async(args=[job_id], queue="control", expires=HINT_EXPIRES)
    _hint_fetches(report.fetch)
    _hint_deliveries(report.deliver)
    # One is enough: a second inspector would find the first one at work.
    if report.inspect and queue_has_room("deliver", most=1):
        inspect.apply_async(queue="deliver", expires=HINT_EXPIRES)
    # Last: judging may take a second, and nobody waits for it.
    miss_deadlines(now=now)
    judge_freshness(now=now)


@shared_task(name="ingestion.tasks.plan")
def plan(job_id: int) -> str:
    """Plan a job on from its cursor, and let its first slices be fetched at once."""
    refresh_calendars()
    planned = plan_or_fail(job_id, now=clock.now())
    _hint_fetches(fetch_hints(processes=settings.FETCH_PROCESSES))
    return "planned" if planned else "goes on later"


@shared_task(name="ingestion.tasks.fetch")
def fetch(account_id: int) -> str:
    """Work on an account's due slices for at most 25 s."""
    refresh_calendars()
    access = access_for_account(account_id)
    report = run_slices(
        account_id=account_id,
        executor=this_executor(),
        access=access,
        rules=quality_rules(access.adapter),
        limits=RunLimits(processes=settings.FETCH_PROCESSES),
    )
    return str(report) if report else "no free fetch slot"


@shared_task(name="ingestion.tasks.deliver")
def deliver(target_id: int) -> str:
    """Deliver what is noted for a target, for at most 25 s."""
    return str(deliver_target(target_id, open_sink=open_sink, random=random.random))


@shared_task(name="ingestion.tasks.inspect")
def inspect() -> str:
    """Look at what was stored since the checks last looked, for at most 25 s."""
    refresh_calendars()
    return str(work_inspections(now=clock.now()))


@shared_task(name="ingestion.start_job")
def start_job(definition: str) -> str:
    """Start a definition by its name: for a PeriodicTask of one's own."""
    job_id = start_definition(definition, now=clock.now(), actor=PERIODIC, egress=settings.EGRESS)
    return f"job {job_id}"


@shared_task(name="ingestion.tasks.housekeeping")
def housekeeping() -> str:
    """Make partitions ahead of time and forget executors that are long gone."""
    return str(keep_house(now=clock.now()))


def _hint_fetches(hints: Iterable[tuple[int, int]]) -> None:
    wanted = [account_id for account_id, count in hints for _ in range(count)]
    if wanted and queue_has_room("fetch", most=2 * settings.FETCH_PROCESSES):
        for account_id in wanted:
            fetch.apply_async(args=[account_id], queue="fetch", expires=HINT_EXPIRES)


def _hint_deliveries(targets: Sequence[int]) -> None:
    # No more wait than there are targets, even where nobody works them off.
    if targets and queue_has_room("deliver", most=len(targets)):
        for target_id in targets:
            deliver.apply_async(args=[target_id], queue="deliver", expires=HINT_EXPIRES)

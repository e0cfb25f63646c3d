"""The demo, step by step."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console

from ingestion.domain.actor import Actor
from ingestion.domain.spec import JobRequest
from ingestion.domain.states import JobKind, Outcome
from ingestion.services.open_job import open_job
from ingestion.services.show_coverage import show_coverage
from ingestion.services.summarize_job import JobSummary, summarize_job
from ingestion.services.watch_job import JobProgress
from mdc.cli.follow import follow_job
from mdc.cli.output import count, span
from mdc.demo.checks import Sessions, check_gaps, check_job, check_prices, check_reconciliation
from mdc.demo.errors import DemoFailed
from mdc.demo.plan import POLYGON, YAHOO, DemoPlan
from mdc.demo.provider import open_accounts, withheld_rules
from mdc.demo.report import rows_of, show_answers, show_rows
from mdc.demo.source import History
from mdc.demo.stored import read_stored
from mdc.demo.strike import Strike, count_redone
from mdc.stack.embedded import EmbeddedStack
from providers.simulator.process import SimulatorControl
from providers.types import Timeframe

_ACTOR = Actor(name="demo", source="cli")
_NOTHING: Sessions = {}


@dataclass(frozen=True, slots=True)
class Stage:
    """Hold what every step needs; `clock` returns the time in UTC."""

    plan: DemoPlan
    source: History
    stack: EmbeddedStack
    simulator: SimulatorControl
    console: Console
    clock: Callable[[], datetime]


def tell(stage: Stage) -> None:
    """Run the three jobs and check each; raises DemoFailed where something is not as it must be."""
    open_accounts(stage.plan)
    first = _backfill(stage)
    before = read_stored(YAHOO)
    second = _backfill_under_fire(stage)
    third = _reconcile(stage, before=before)
    _sum_up(stage, [first, third, second])


def _backfill(stage: Stage) -> JobSummary:
    plan, console = stage.plan, stage.console
    withheld = _withheld(plan)
    _headline(console, "1. A backfill from yahoo: fetched in slices, through Celery")
    summary = _run(stage, YAHOO, kind=JobKind.BACKFILL)
    check_job(summary, outcome=Outcome.PARTIAL if withheld else Outcome.COMPLETE)
    show_rows(rows_of([summary]), console)
    _check_stored(stage, YAHOO, absent=withheld)
    for symbol, days in plan.withheld.items():
        dates = ", ".join(day.isoformat() for day in days)
        console.print(f"Gaps of {symbol}: {dates} (withheld for now)")
    return summary


def _backfill_under_fire(stage: Stage) -> JobSummary:
    plan, console = stage.plan, stage.console
    if plan.kill_at is None:
        _headline(console, "2. The same from polygon")
        summary = _run(stage, POLYGON, kind=JobKind.BACKFILL)
    else:
        _headline(console, "2. The same from polygon, while the fetch worker is killed with -9")
        strike = Strike(stage.stack, console, at=plan.kill_at)
        summary = _run(stage, POLYGON, kind=JobKind.BACKFILL, on_look=strike.look)
        if strike.killed is None:
            raise DemoFailed("the second job ended before its worker could be killed")
        _tell_recovery(strike, console)
    check_job(summary, outcome=Outcome.COMPLETE)
    _check_stored(stage, POLYGON, absent=_NOTHING)
    return summary


def _tell_recovery(strike: Strike, console: Console) -> None:
    done, redone = count_redone(strike.struck)
    if done < len(strike.struck):
        raise DemoFailed(f"{len(strike.struck) - done} slices in flight at the kill are not done")
    saved = f"; {done - redone} had just been committed" if redone < done else ""
    console.print(f"The job finished by itself: {redone} of the {done} were fetched again{saved}.")


def _reconcile(stage: Stage, *, before: History) -> JobSummary:
    plan, console = stage.plan, stage.console
    withheld = _withheld(plan)
    _headline(console, "3. A reconciliation: yahoo serves the withheld sessions now")
    stage.simulator.disarm(*withheld_rules(plan))
    summary = _run(stage, YAHOO, kind=JobKind.RECONCILE)
    check_job(summary, outcome=Outcome.COMPLETE)
    after = read_stored(YAHOO)
    check_reconciliation(summary, before=before, after=after, filled=withheld)
    _check_stored(stage, YAHOO, absent=_NOTHING)
    inserted = sum(one.inserted for one in summary.series)
    unchanged = sum(one.unchanged for one in summary.series)
    console.print(
        f"{inserted} inserted, exactly the withheld sessions; "
        f"{unchanged:,} unchanged, none revised."
    )
    return summary


def _run(
    stage: Stage,
    provider: str,
    *,
    kind: JobKind,
    on_look: Callable[[JobProgress], None] = lambda progress: None,
) -> JobSummary:
    """Open a job and show its progress until it stands still."""
    plan = stage.plan
    opened = open_job(
        JobRequest(
            provider=provider,
            symbols=plan.symbols,
            timeframes=(Timeframe.D1,),
            start=plan.start,
            end=plan.end,
            kind=kind,
            slice_span=plan.slice_span,
            slices_per_round=plan.in_flight,
            max_concurrency=plan.in_flight,
        ),
        now=stage.clock(),
        actor=_ACTOR,
    )
    deadline = time.monotonic() + plan.patience.total_seconds()

    def look(progress: JobProgress) -> None:
        if time.monotonic() > deadline:
            raise DemoFailed(
                f"job {opened.job_id} has not ended within {span(plan.patience.total_seconds())}"
                f" ({progress.waits or 'it is at work'})"
            )
        on_look(progress)

    follow_job(opened.job_id, console=stage.console, on_look=look)
    summary = summarize_job(opened.job_id, now=stage.clock())
    job = summary.job
    stage.console.print(
        f"Job {job.id} {job.state} ({job.outcome}): {count(summary.slices.total, 'slice')}, "
        f"{count(summary.slices.rows, 'bar')} in {span(summary.seconds)}."
    )
    return summary


def _check_stored(stage: Stage, provider: str, *, absent: Sessions) -> None:
    coverages = show_coverage(now=stage.clock(), provider=provider)
    check_gaps(coverages, absent=absent)
    wanted = {symbol: stage.source[symbol] for symbol in stage.plan.symbols}
    bars, values = check_prices(
        provider, source=wanted, stored=read_stored(provider), absent=absent
    )
    stage.console.print(
        f"Compared with the source file: {count(bars, 'bar')}, {count(values, 'value')}, all equal."
    )


def _sum_up(stage: Stage, summaries: list[JobSummary]) -> None:
    console = stage.console
    _headline(console, "What came of it")
    show_rows(rows_of(summaries), console)
    console.print("What the simulator saw:")
    recorded = Counter[str]()
    for summary in summaries:
        for one in summary.series:
            recorded[one.provider] += one.requests
    show_answers(stage.simulator.stats(), recorded=recorded, console=console)


def _withheld(plan: DemoPlan) -> Sessions:
    return {symbol: frozenset(days) for symbol, days in plan.withheld.items()}


def _headline(console: Console, text: str) -> None:
    console.print()
    console.print(text, style="bold")

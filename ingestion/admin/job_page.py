"""Compose the page of one job from what the services tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from ingestion.admin.audit import describe_change
from ingestion.admin.display import NOTHING, badge, duration, instant, pace, page_link, stamp
from ingestion.admin.job_actions import JobVerb, Standing, offered_verbs
from ingestion.admin.slice import took
from ingestion.domain.spec import JobSpec
from ingestion.domain.states import SliceState
from ingestion.models import Attempt, AuditEvent, Budget
from ingestion.services.describe_job import JobDescription, SeriesProgress
from ingestion.store.job_reads import JobRow, NextRetry, SliceTally

SERIES_SHOWN = 25
ATTEMPTS_SHOWN = 20
EVENTS_SHOWN = 30
_SYMBOLS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Table:
    """Hold a table as unfold's component draws it; `more` says what is left out."""

    headers: tuple[str, ...]
    rows: list[list[object]]
    more: str | SafeString = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """Hold the shares of a progress bar in percent, and its words."""

    done: float
    dead: float
    words: str


def progress_of(slices: SliceTally, *, planned: bool) -> Progress:
    """Put the tally of slices into a bar; without all slices planned the end is not known."""
    if not slices.total:
        return Progress(0.0, 0.0, "nothing to do" if planned else "not planned yet")
    share = 100.0 / slices.total
    words = f"{slices.done:,} of {slices.total:,}{'' if planned else '+'} slices"
    if slices.dead:
        words += f", {slices.dead:,} failed"
    return Progress(round(slices.done * share, 1), round(slices.dead * share, 1), words)


def state_badges(job: JobRow) -> list[SafeString]:
    """Show the state, its outcome where that is not plain success, and what was asked meanwhile."""
    badges = [badge(job.state.value)]
    if job.outcome is not None and job.outcome.value == "partial":
        badges.append(badge("partial"))
    if not job.state.is_final and job.desired.value != "run" and job.state.value != "paused":
        badges.append(badge(f"{job.desired.value} asked", tone="warning", sign="schedule"))
    return badges


def waits(job: JobRow) -> str:
    """Say why a queued or running job waits, as the tick last found."""
    if not job.wait_reason:
        return ""
    until = f" until {instant(job.wait_until)}" if job.wait_until else ""
    return f"{job.wait_reason}{until}"


def some_symbols(symbols: tuple[str, ...], count: int) -> str:
    """Name the first symbols and count the rest."""
    shown = ", ".join(symbols)
    return f"{shown} and {count - len(symbols):,} more" if count > len(symbols) else shown


def compose(description: JobDescription) -> dict[str, Any]:
    """Return everything that the template of a job's page shows."""
    job, slices = description.progress.job, description.progress.slices
    verbs = offered_verbs(Standing(state=job.state, desired=job.desired, dead=slices.dead))
    return {
        "job": job,
        "badges": state_badges(job),
        "waits": description.progress.waits,
        "progress": progress_of(slices, planned=job.planned),
        "verbs": [(verb, _verb_label(verb, slices)) for verb in verbs],
        "facts": _facts(description),
        "states": _states(job.id, slices),
        "series": _series(description),
        "failures": _failures(description),
        "attempts": _attempts(job.id, description.spec),
        "events": _events(job.id),
    }


def _verb_label(verb: JobVerb, slices: SliceTally) -> str:
    if verb.name == "retry_failed":
        return f"Retry {slices.dead:,} failed {'slice' if slices.dead == 1 else 'slices'}"
    return verb.label


def _facts(description: JobDescription) -> list[tuple[str, list[tuple[str, object]]]]:
    job, spec = description.progress.job, description.spec
    retry = description.progress.next_retry
    return [
        ("Work", _work_facts(job, spec)),
        ("Pace", _pace_facts(job, spec)),
        ("Promises and failures", _promise_facts(job, retry)),
        (
            "Times",
            [
                ("Created", instant(job.created_at)),
                ("Started", instant(job.started_at)),
                ("Ended", instant(job.ended_at)),
            ],
        ),
    ]


def _work_facts(job: JobRow, spec: JobSpec) -> list[tuple[str, object]]:
    symbols = tuple(dict.fromkeys(one.symbol for one in spec.series))
    bases = sorted({f"{one.adjustment.value}, {one.hours.value} hours" for one in spec.series})
    return [
        ("Workload", f"{job.workload.value} · {job.kind.value}"),
        ("Provider", page_link("account_change", job.provider, job.account_id)),
        ("Symbols", some_symbols(symbols[:_SYMBOLS_SHOWN], len(symbols))),
        ("Timeframe", ", ".join(job.timeframes)),
        ("Window", f"{stamp(spec.start)} → {stamp(spec.end) if spec.end else 'open'}"),
        ("Adjustment", "; ".join(bases)),
        ("Validation", "full" if job.validate else "only what no table can hold is refused"),
        ("Targets", "all that match" if job.targets is None else ", ".join(job.targets) or "none"),
        ("Definition", job.definition or "none"),
    ]


def _pace_facts(job: JobRow, spec: JobSpec) -> list[tuple[str, object]]:
    spans = sorted({one.span for one in spec.series})
    own_limit = NOTHING
    if spec.rate_limit:
        own_limit = f"{spec.rate_limit.n:,} per {duration(spec.rate_limit.window)}"
    facts: list[tuple[str, object]] = [
        ("Priority", job.priority),
        ("Slice span", ", ".join(duration(span) for span in spans)),
        ("Slices per round", job.slices_per_round),
        ("At most at once", job.max_concurrency),
        ("Own rate limit", own_limit),
    ]
    if job.poll_seconds:
        facts.append(("Asks every", f"{job.poll_seconds} s"))
    facts += [
        (
            f"Budget for {budget.endpoint}",
            page_link("budget_change", pace(budget.n, budget.window_ms), budget.pk),
        )
        for budget in Budget.objects.filter(job_id=job.id).order_by("id")
    ]
    return facts


def _promise_facts(job: JobRow, retry: NextRetry | None) -> list[tuple[str, object]]:
    next_retry: object = NOTHING
    if retry is not None:
        where = page_link("slice_change", f"slice {retry.slice_id}", retry.slice_id)
        next_retry = SafeString(
            f"{instant(retry.at)} · {where} · {retry.waiting:,} waiting for another try"
        )
    return [
        ("Freshness target", duration(job.freshness)),
        ("Deadline", duration(job.deadline)),
        ("Tries per slice", job.tries),
        ("Retry class", _retries(job)),
        ("Next retry", next_retry),
    ]


def _retries(job: JobRow) -> str:
    words = job.retry_class.replace("_", " ")
    return words if job.retry_delay is None else f"{words}, from {job.retry_delay:g} s"


def _states(job_id: int, slices: SliceTally) -> list[tuple[SafeString, SafeString]]:
    """Count the slices by state, each with a link to them."""
    counts = [(state.value, getattr(slices, state.value)) for state in SliceState]
    return [
        (badge(name), page_link("slice_changelist", f"{count:,}", job=job_id, state__exact=name))
        for name, count in counts
        if count or name in (SliceState.READY, SliceState.DONE)
    ]


def _series(description: JobDescription) -> Table:
    """Show where each series stands: those that need help first, then those with most to do."""
    job_id = description.progress.job.id
    ranked = sorted(
        description.series, key=lambda one: (-one.slices.dead, -one.most_tries, one.spec.symbol)
    )
    more: str | SafeString = ""
    if len(ranked) > SERIES_SHOWN:
        more = page_link(
            "checkpoint_changelist",
            f"{len(ranked) - SERIES_SHOWN:,} more series: all checkpoints of this job",
            job=job_id,
        )
    return Table(
        headers=("Symbol", "Timeframe", "Slices", "Checkpoint", "Last bar", "Most tries"),
        rows=[_series_row(job_id, one) for one in ranked[:SERIES_SHOWN]],
        more=more,
    )


def _series_row(job_id: int, one: SeriesProgress) -> list[object]:
    spec, checkpoint = one.spec, one.checkpoint
    slices = page_link(
        "slice_changelist",
        progress_of(one.slices, planned=True).words if one.slices.total else "none",
        job=job_id,
        series=spec.series_id,
    )
    return [
        page_link("series_change", spec.symbol, spec.series_id),
        spec.timeframe.value,
        slices,
        f"complete until {stamp(checkpoint.frontier)}" if checkpoint else "none yet",
        stamp(checkpoint.ts) if checkpoint else NOTHING,
        one.most_tries,
    ]


def _failures(description: JobDescription) -> list[dict[str, object]]:
    job_id = description.progress.job.id
    return [
        {
            "failure": failure,
            "symbols": some_symbols(failure.symbols, max(failure.series, len(failure.symbols))),
            "link": page_link(
                "slice_changelist",
                f"{failure.slices:,} {'slice' if failure.slices == 1 else 'slices'}",
                job=job_id,
                state__exact=SliceState.DEAD.value,
                error=failure.error_class,
            ),
        }
        for failure in description.failures
    ]


def _attempts(job_id: int, spec: JobSpec) -> Table:
    names = {one.series_id: f"{one.symbol} {one.timeframe.value}" for one in spec.series}
    recent = Attempt.objects.filter(job_id=job_id).order_by("-id")[:ATTEMPTS_SHOWN]
    return Table(
        headers=(
            "Attempt",
            "Ended",
            "Outcome",
            "Series",
            "Requests",
            "Took",
            "New / same / revised",
            "Error",
        ),
        rows=[
            [
                page_link("attempt_change", attempt.pk, attempt.pk),
                instant(attempt.ended_at),
                badge(attempt.outcome),
                names.get(attempt.series_id, attempt.series_id),
                attempt.requests,
                took(attempt),
                f"{attempt.inserted:,} / {attempt.unchanged:,} / {attempt.revised:,}",
                attempt.error_class or NOTHING,
            ]
            for attempt in recent
        ],
        more=page_link("attempt_changelist", "all attempts of this job", job=job_id),
    )


def _events(job_id: int) -> Table:
    recent = AuditEvent.objects.filter(object_type="job", object_id=str(job_id)).order_by("-id")
    return Table(
        headers=("When", "Who", "Through", "What", "Change", "Reason"),
        rows=[
            [
                instant(event.at),
                event.actor,
                event.source,
                event.action.removeprefix("job.").replace("_", " "),
                describe_change(event.before, event.after) or NOTHING,
                event.reason or NOTHING,
            ]
            for event in recent[:EVENTS_SHOWN]
        ],
        more=page_link(
            "auditevent_changelist", "all events of this job", type="job", object=job_id
        ),
    )

"""The sidebar and the first page: every table by its purpose, and what goes on now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from ingestion.admin.display import NOTHING, instant, page_link
from ingestion.admin.job_page import Table, progress_of, some_symbols, state_badges, waits
from ingestion.domain.states import JobState
from ingestion.models import Account, AuditEvent, Target
from ingestion.services.list_jobs import list_failed_jobs, list_jobs
from ingestion.services.watch_job import WORKER_SILENCE
from ingestion.store import job_reads

_OPEN = (JobState.QUEUED, JobState.RUNNING, JobState.PAUSED)
_OPEN_SHOWN = 20
_FAILED_SHOWN = 20
_EVENTS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """Name one page of the sidebar: `app.model` says whose view permission it asks for."""

    title: str
    model: str
    icon: str

    @property
    def permission(self) -> str:
        """Return the permission that shows the entry."""
        app, model = self.model.split(".")
        return f"{app}.view_{model}"

    @property
    def url(self) -> str:
        """Return the address of the list."""
        return reverse(f"admin:{self.model.replace('.', '_')}_changelist")


GROUPS: dict[str, tuple[Entry, ...]] = {
    "Work": (
        Entry("Jobs", "ingestion.job", "work"),
        Entry("Slices", "ingestion.slice", "view_module"),
        Entry("Attempts", "ingestion.attempt", "receipt_long"),
        Entry("Checkpoints", "ingestion.checkpoint", "flag"),
    ),
    "Data": (
        Entry("Bars", "ingestion.bar", "candlestick_chart"),
        Entry("Bar revisions", "ingestion.barrevision", "history"),
        Entry("Coverage", "ingestion.coverage", "calendar_month"),
        Entry("Missing sessions", "ingestion.missingsession", "event_busy"),
        Entry("Empty proofs", "ingestion.emptyproof", "verified"),
        Entry("Quarantine", "ingestion.quarantine", "report"),
        Entry("Findings", "ingestion.finding", "flag"),
        Entry("Inspections", "ingestion.inspection", "troubleshoot"),
    ),
    "Catalogue": (
        Entry("Instruments", "ingestion.instrument", "sell"),
        Entry("Provider symbols", "ingestion.providersymbol", "translate"),
        Entry("Series", "ingestion.series", "show_chart"),
        Entry("Watchlists", "ingestion.watchlist", "list_alt"),
        Entry("Corporate actions", "ingestion.corporateactionrecord", "call_split"),
        Entry("Venue sessions", "ingestion.venuesession", "schedule"),
        Entry("Calendar overrides", "ingestion.calendaroverride", "edit_calendar"),
    ),
    "Plans": (
        Entry("Job definitions", "ingestion.jobdefinition", "description"),
        Entry("Schedules", "ingestion.schedule", "event_repeat"),
        Entry("Slots", "ingestion.slot", "event_available"),
        Entry("Signals", "ingestion.signal", "campaign"),
        Entry("Signal matches", "ingestion.signalmatch", "hearing"),
        Entry("Freshness", "ingestion.freshness", "timelapse"),
        Entry("Retry classes", "ingestion.retryclass", "replay"),
    ),
    "Providers": (
        Entry("Accounts", "ingestion.account", "key"),
        Entry("Budgets", "ingestion.budget", "speed"),
        Entry("File sources", "ingestion.filesource", "folder_open"),
    ),
    "Deliveries": (
        Entry("Targets", "ingestion.target", "outbox"),
        Entry("Pending", "ingestion.outboxentry", "pending_actions"),
    ),
    "Operation": (
        Entry("Audit events", "ingestion.auditevent", "fact_check"),
        Entry("Executors", "ingestion.executor", "memory"),
        Entry("Fetch runs", "ingestion.fetchrun", "sync"),
        Entry("Beat", "ingestion.beatlease", "favorite"),
        Entry("Periodic tasks", "django_celery_beat.periodictask", "timer"),
        Entry("Intervals", "django_celery_beat.intervalschedule", "avg_pace"),
        Entry("Crontabs", "django_celery_beat.crontabschedule", "calendar_clock"),
        Entry("Clocked times", "django_celery_beat.clockedschedule", "alarm"),
        Entry("Solar times", "django_celery_beat.solarschedule", "wb_twilight"),
        Entry("Users", "auth.user", "person"),
        Entry("Groups", "auth.group", "group"),
    ),
}


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """List the pages that the person may see; unfold's SIDEBAR navigation names this function."""
    return [
        {
            "title": title,
            "separator": True,
            "items": [
                {
                    "title": entry.title,
                    "icon": entry.icon,
                    "link": entry.url,
                    "active": request.path.startswith(entry.url) and _owns(entry, request.path),
                }
                for entry in entries
                if request.user.has_perm(entry.permission)
            ],
        }
        for title, entries in GROUPS.items()
    ]


def home(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add to the first page what goes on now; unfold's DASHBOARD_CALLBACK names this function."""
    groups = [
        (title, [entry for entry in entries if request.user.has_perm(entry.permission)])
        for title, entries in GROUPS.items()
    ]
    context["groups"] = [(title, entries) for title, entries in groups if entries]
    context["title"] = "What goes on"
    if request.user.has_perm("ingestion.view_job"):
        context["signs"] = _signs()
        context["open_jobs"] = _open_jobs()
    if request.user.has_perm("ingestion.view_auditevent"):
        context["recent"] = _recent()
    return context


def _owns(entry: Entry, path: str) -> bool:
    """Tell whether no entry with a longer address claims the page."""
    claims = [
        other.url for entries in GROUPS.values() for other in entries if path.startswith(other.url)
    ]
    return max(claims, key=len) == entry.url


def _signs() -> list[dict[str, object]]:
    """Say in a few signs whether all is well; each links to what to do about it."""
    pulse = job_reads.worker_pulse(within=WORKER_SILENCE)
    failed = list_failed_jobs(limit=_FAILED_SHOWN + 1)
    stopped = list(Account.objects.filter(circuit="open").order_by("id")[:5])
    held = Account.objects.filter(blocked_until__gt=pulse.now).count()
    few = f"{len(failed)}" if len(failed) <= _FAILED_SHOWN else f"more than {_FAILED_SHOWN}"
    return [
        {
            "name": "Workers alive",
            "value": pulse.alive,
            "well": pulse.alive > 0,
            "hint": page_link("executor_changelist", "last seen " + instant(pulse.last_seen)),
        },
        {
            "name": "Jobs with failed slices",
            "value": few,
            "well": not failed,
            "hint": page_link("slice_changelist", "failed slices", state__exact="dead"),
        },
        {
            "name": "Accounts stopped",
            "value": len(stopped),
            "well": not stopped,
            "hint": page_link(
                "account_changelist", ", ".join(map(str, stopped)) or "none", circuit__exact="open"
            ),
        },
        {
            "name": "Accounts throttled",
            "value": held,
            "well": not held,
            "hint": page_link("account_changelist", "accounts"),
        },
        *_target_signs(),
    ]


def _target_signs() -> list[dict[str, object]]:
    """Say which deliveries are held up; nothing where nobody has a target."""
    targets = list(Target.objects.order_by("name").values_list("name", "error"))
    held = [name for name, error in targets if error]
    if not targets:
        return []
    return [
        {
            "name": "Targets held up",
            "value": len(held),
            "well": not held,
            "hint": page_link("target_changelist", ", ".join(held[:5]) or "targets"),
        }
    ]


def _open_jobs() -> Table:
    listed = list_jobs(states=_OPEN, limit=_OPEN_SHOWN)
    return Table(
        headers=("Job", "State", "Progress", "Why it waits", "Symbols", "Provider", "Priority"),
        rows=[
            [
                page_link("job_change", f"job {one.job.id}", one.job.id),
                state_badges(one.job)[-1],
                progress_of(one.slices, planned=one.job.planned).words,
                waits(one.job) or NOTHING,
                some_symbols(one.job.symbols, one.job.symbol_count),
                one.job.provider,
                one.job.priority,
            ]
            for one in listed
        ],
        more=page_link("job_changelist", "all jobs"),
    )


def _recent() -> Table:
    events = AuditEvent.objects.order_by("-id")[:_EVENTS_SHOWN]
    return Table(
        headers=("When", "Who", "What", "On"),
        rows=[
            [
                instant(event.at),
                f"{event.actor} ({event.source})",
                event.action,
                f"{event.object_type} {event.object_id}",
            ]
            for event in events
        ],
        more=page_link("auditevent_changelist", "all events"),
    )

"""Jobs: the list, the page of each, and what people can ask of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ingestion.admin.bar import name_series
from ingestion.admin.base import BoundedAdmin, BoundedList, person
from ingestion.admin.display import instant, page_link, stamp
from ingestion.admin.job_actions import MOST_AT_ONCE, VERBS, Verb, perform, shorten
from ingestion.admin.job_page import compose, progress_of, some_symbols, state_badges, waits
from ingestion.admin.keyset import KeysetPage
from ingestion.domain.errors import UnknownJob
from ingestion.domain.states import JobState
from ingestion.models import Checkpoint, Job
from ingestion.services.describe_job import describe_job
from ingestion.store import job_reads
from ingestion.store.job_reads import JobRow, SliceTally

if TYPE_CHECKING:
    _Action = Callable[["JobAdmin", HttpRequest, QuerySet[Job]], HttpResponse | None]
    _Rows = QuerySet[Any]


class ListedJobs(BoundedList):
    """Add to each job of the page what the list shows of its symbols and slices."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, then its specs and tallies: two queries, however long the page."""
        super().get_results(request)
        jobs: list[Any] = list(self.result_list)
        ids = [job.pk for job in jobs]
        rows = {row.id: row for row in job_reads.select_jobs(ids=ids, limit=len(ids))}
        tallies = job_reads.tally_jobs(ids)
        for job in jobs:
            job.row = rows.get(job.pk)
            job.tally = tallies.get(job.pk, SliceTally())
        # A job that was deleted between the queries has nothing left to show.
        self.result_list = [job for job in jobs if job.row is not None]


def bulk(verb: Verb) -> _Action:
    """Make the list's action for a verb."""

    @admin.action(description=verb.label, permissions=["act"])
    def run(model_admin: JobAdmin, request: HttpRequest, queryset: QuerySet[Job]) -> Any:
        return model_admin.act_on_many(request, verb, queryset)

    run.__name__ = verb.name
    return run


@admin.register(Job)
class JobAdmin(BoundedAdmin):
    """Show jobs and act on them; what a job does is frozen when it is opened."""

    list_display = (
        "number",
        "standing",
        "progress",
        "waiting",
        "symbols",
        "provider",
        "what",
        "priority",
        "created",
    )
    list_display_links = None
    list_filter = (
        "state",
        "workload",
        "kind",
        ("account__provider", admin.AllValuesFieldListFilter),
    )
    search_fields = ("id",)
    search_help_text = "A job's number, a symbol, or a part of a definition's name"
    ordering = ("-id",)
    sortable_by = ("number", "priority")
    actions = tuple(bulk(verb) for verb in VERBS.values())

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: jobs are opened by `mdc backfill` or a schedule, which plan them first."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: a job changes through its actions alone."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: what was done stays known."""
        return False

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may start, pause, resume, cancel and retry."""
        return request.user.has_perm("ingestion.change_job")

    # --- the list -----------------------------------------------------------------------------

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ListedJobs]:
        """Use the list that knows symbols and slices."""
        return ListedJobs

    def get_queryset(self, request: HttpRequest) -> _Rows:
        """Leave out the columns that grow with a job's symbols."""
        return super().get_queryset(request).defer("spec", "plan_cursor")

    def get_search_results(
        self, request: HttpRequest, queryset: _Rows, search_term: str
    ) -> tuple[_Rows, bool]:
        """Find a job by its number, or jobs by a symbol or a part of the definition's name."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.isdecimal():
            return queryset.filter(pk=int(term)), False
        of_symbol = Q(spec__contains={"series": [{"symbol": term.upper()}]})
        return queryset.filter(of_symbol | Q(definition__name__icontains=term)), False

    @admin.display(description="job", ordering="id")
    def number(self, job: Any) -> SafeString:
        """Link the job's page."""
        return page_link("job_change", f"job {job.pk}", job.pk)

    @admin.display(description="state")
    def standing(self, job: Any) -> SafeString:
        """Show the state."""
        return SafeString(" ".join(state_badges(job.row)))

    @admin.display(description="progress")
    def progress(self, job: Any) -> SafeString:
        """Show how many slices are done and how many failed."""
        return render_to_string(
            "admin/ingestion/progress.html",
            {"progress": progress_of(job.tally, planned=job.row.planned)},
        )

    @admin.display(description="why it waits")
    def waiting(self, job: Any) -> str:
        """Show why a queued or running job does not work."""
        return waits(job.row)

    @admin.display(description="symbols")
    def symbols(self, job: Any) -> str:
        """Show the first symbols and the timeframes."""
        row: JobRow = job.row
        return f"{some_symbols(row.symbols, row.symbol_count)} · {', '.join(row.timeframes)}"

    @admin.display(description="provider")
    def provider(self, job: Any) -> str:
        """Show who is asked."""
        return str(job.row.provider)

    @admin.display(description="kind")
    def what(self, job: Any) -> str:
        """Show the workload and why the job exists."""
        return f"{job.row.workload.value} {job.row.kind.value}"

    @admin.display(description="created")
    def created(self, job: Any) -> str:
        """Show when the job was opened."""
        return instant(job.row.created_at)

    # --- the page -----------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """Add the verbs of a job and the checkpoints."""
        act = path(
            "<int:job_id>/act/<slug:verb>/",
            self.admin_site.admin_view(self.act_view),
            name="ingestion_job_act",
        )
        checkpoints = CheckpointPage.url("checkpoints/", site=self.admin_site)
        return [act, checkpoints, *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show everything that is known of one job."""
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        if not self.has_view_permission(request) or object_id is None:
            raise PermissionDenied
        number = unquote(object_id)
        if not number.isdecimal():
            raise Http404(f"{number} is not the number of a job.")
        try:
            description = describe_job(int(number))
        except UnknownJob as error:
            raise Http404(error.message) from error
        context = {
            **self.admin_site.each_context(request),
            **compose(description),
            "opts": self.opts,
            "original": Job(pk=int(number)),
            "title": f"Job {number}",
            "media": self.media,
            "may_act": self.has_act_permission(request),
        }
        return TemplateResponse(request, "admin/ingestion/job.html", context)

    # --- acting -------------------------------------------------------------------------------

    def act_view(self, request: HttpRequest, job_id: int, verb: str) -> HttpResponse:
        """Run one verb on one job and go back to its page."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_act_permission(request):
            raise PermissionDenied
        if verb not in VERBS:
            raise Http404(f"Nothing called {verb} can be done to a job.")
        self._act(request, VERBS[verb], [job_id])
        return redirect("admin:ingestion_job_change", job_id)

    def act_on_many(
        self, request: HttpRequest, verb: Verb, queryset: QuerySet[Job]
    ) -> HttpResponse | None:
        """Run a verb on the chosen jobs, after a look at their number where that is wise."""
        everywhere = request.POST.get("select_across") == "1"
        ids = list(queryset.order_by("id").values_list("id", flat=True)[: MOST_AT_ONCE + 1])
        if len(ids) > MOST_AT_ONCE:
            messages.error(
                request,
                f"These are more than {MOST_AT_ONCE:,} jobs: narrow the list by a filter "
                "and act in parts. Nothing was done.",
            )
            return None
        if (verb.confirm or everywhere) and "confirmed" not in request.POST:
            return self._ask(request, verb, ids)
        self._act(request, verb, ids)
        return None

    def _ask(self, request: HttpRequest, verb: Verb, ids: Sequence[int]) -> HttpResponse:
        by_state = dict(
            Job.objects.filter(id__in=ids).values_list("state").annotate(Count("id")).order_by()
        )
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"{verb.label} {len(ids):,} {'job' if len(ids) == 1 else 'jobs'}?",
            "verb": verb,
            "ids": ids,
            "by_state": [(state.value, by_state[state]) for state in JobState if state in by_state],
        }
        return TemplateResponse(request, "admin/ingestion/job_confirm.html", context)

    def _act(self, request: HttpRequest, verb: Verb, ids: Sequence[int]) -> None:
        reason = request.POST.get("reason", "").strip()[:500]
        result = perform(verb, ids, actor=person(request), reason=reason)
        if result.done:
            messages.success(request, shorten(result.done))
        if result.refused:
            messages.error(request, shorten(result.refused))


class CheckpointForm(forms.Form):
    """Read which job's or series' checkpoints are wanted."""

    job = forms.IntegerField(required=False, min_value=1, label="Job number")
    series = forms.IntegerField(required=False, min_value=1, label="Series number")


class CheckpointPage(KeysetPage):
    """Show how far each job has durably come in each of its series."""

    model = Checkpoint
    title = "Checkpoints"
    note = "Everything before 'complete until' is settled; the last bar is the newest one stored."
    form_class = CheckpointForm
    headers = ("Job", "Series", "Complete until", "Last bar", "Sequence", "Updated")

    def narrow(self, queryset: _Rows, chosen: dict[str, Any]) -> _Rows:
        """Keep the chosen job and series."""
        named = {f"{name}_id": chosen[name] for name in ("job", "series") if chosen.get(name)}
        return queryset.filter(**named)

    def cells(self, rows: Sequence[Any]) -> list[list[object]]:
        """Return what to show of each checkpoint."""
        names = name_series({row.series_id for row in rows})
        return [
            [
                page_link("job_change", f"job {row.job_id}", row.job_id),
                format_html("{}", names.get(row.series_id, row.series_id)),
                stamp(row.frontier),
                stamp(row.ts),
                row.sequence,
                instant(row.updated_at),
            ]
            for row in rows
        ]

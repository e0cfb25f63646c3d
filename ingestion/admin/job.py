"""Jobs: the list, the page of each, and what people can ask of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ingestion.admin.acting import ActingAdmin, Verb, list_actions, reason_of, tell
from ingestion.admin.bar import name_series
from ingestion.admin.base import BoundedList, person
from ingestion.admin.display import instant, page_link, stamp
from ingestion.admin.job_actions import VERBS, perform
from ingestion.admin.job_page import compose, progress_of, some_symbols, state_badges, waits
from ingestion.admin.keyset import KeysetPage
from ingestion.domain.errors import UnknownJob
from ingestion.domain.states import JobState
from ingestion.models import Checkpoint, Job
from ingestion.services.describe_job import describe_job
from ingestion.store import job_reads
from ingestion.store.job_reads import JobRow, SliceTally

if TYPE_CHECKING:
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


@admin.register(Job)
class JobAdmin(ActingAdmin):
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
    verbs = VERBS
    actions: Any = list_actions(VERBS.values())
    confirm_template = "admin/ingestion/job_confirm.html"

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: jobs are opened by `mdc backfill` or a schedule, which plan them first."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: a job changes through its actions alone."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: what was done stays known."""
        return False

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
        """Add the checkpoints."""
        checkpoints = CheckpointPage.url("checkpoints/", site=self.admin_site)
        return [checkpoints, *super().get_urls()]

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

    def asks_first(self, request: HttpRequest, verb: Verb[Any, Any]) -> bool:
        """Ask before what cannot be undone, and before more than the page shows."""
        return verb.confirm or request.POST.get("select_across") == "1"

    def confirm_context(self, numbers: Sequence[int]) -> dict[str, Any]:
        """Count the jobs by state."""
        by_state = dict(
            Job.objects.filter(id__in=numbers).values_list("state").annotate(Count("id")).order_by()
        )
        return {
            "by_state": [(state.value, by_state[state]) for state in JobState if state in by_state]
        }

    def act(self, request: HttpRequest, verb: Verb[Any, Any], numbers: Sequence[int]) -> None:
        """Run a verb on jobs."""
        tell(request, perform(verb, numbers, actor=person(request), reason=reason_of(request)))


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

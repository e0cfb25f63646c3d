"""What looks wrong in the data: the evidence, and what people can do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from ingestion.admin.base import LedgerAdmin, person
from ingestion.admin.display import NOTHING, badge, instant, page_link, window
from ingestion.admin.filters import exact_filter
from ingestion.admin.finding_actions import MOST_AT_ONCE, VERBS, FindingVerb, perform
from ingestion.admin.job_actions import shorten
from ingestion.domain.findings import FindingState, Severity, evidence_words
from ingestion.models import Finding

if TYPE_CHECKING:
    _Act = Callable[["FindingAdmin", HttpRequest, QuerySet[Finding]], HttpResponse | None]

# Tone and sign: the word and the sign carry the meaning.
_STATES = {
    FindingState.OPEN: ("warning", "flag"),
    FindingState.REPAIRING: ("info", "build"),
    FindingState.RESOLVED: ("success", "check"),
    FindingState.ACCEPTED: ("default", "handshake"),
}
_SEVERITIES = {
    Severity.NOTE: ("default", "info"),
    Severity.WARNING: ("warning", "warning"),
    Severity.ERROR: ("danger", "error"),
}


def _listed(verb: FindingVerb) -> _Act:
    """Make the list's action for a verb."""

    @admin.action(description=verb.label, permissions=["act"])
    def run(
        model_admin: FindingAdmin, request: HttpRequest, queryset: QuerySet[Finding]
    ) -> HttpResponse | None:
        return model_admin.act_on_many(request, verb, queryset)

    run.__name__ = verb.name
    return run


@admin.register(Finding)
class FindingAdmin(LedgerAdmin):
    """Show findings and act on them; the checks write them."""

    change_form_outer_before_template = "admin/ingestion/finding.html"
    list_display = (
        "id",
        "kind",
        "how_bad",
        "standing",
        "about",
        "span",
        "times",
        "seen",
        "evidence_short",
    )
    list_filter = (
        "state",
        "kind",
        "severity",
        exact_filter("series_id", title="series number", name="series"),
        exact_filter("series__instrument__symbol", title="symbol", name="symbol", numeric=False),
        exact_filter("provider", title="provider", name="provider", numeric=False),
        exact_filter("job_id", title="job number", name="job"),
    )
    list_select_related = ("series__instrument",)
    actions: Any = tuple(_listed(verb) for verb in VERBS.values())
    fields = (
        ("kind", "how_bad", "standing"),
        ("about", "span"),
        "told",
        ("times", "found", "seen"),
        ("attempt_link", "job_link"),
        ("closed", "closed_by"),
        "reason",
    )

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may repair, accept and reopen."""
        return request.user.has_perm("ingestion.change_finding")

    # --- acting -------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """Add the verbs of a finding."""
        act = path(
            "<int:finding_id>/act/<slug:verb>/",
            self.admin_site.admin_view(self.act_view),
            name="ingestion_finding_act",
        )
        return [act, *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show above the page what can be asked of the finding."""
        context = dict(extra_context or {})
        found = None
        if object_id is not None and self.has_act_permission(request):
            found = self.get_object(request, unquote(object_id))
        if found is not None:
            context["finding"] = found
            context["verbs"] = [verb for verb in VERBS.values() if verb.offered(found)]
        return super().changeform_view(request, object_id, form_url, context)

    def act_view(self, request: HttpRequest, finding_id: int, verb: str) -> HttpResponse:
        """Run one verb on one finding and go back to its page."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_act_permission(request):
            raise PermissionDenied
        if verb not in VERBS:
            raise Http404(f"Nothing called {verb} can be done to a finding.")
        self._act(request, VERBS[verb], [finding_id])
        return redirect("admin:ingestion_finding_change", finding_id)

    def act_on_many(
        self, request: HttpRequest, verb: FindingVerb, queryset: QuerySet[Finding]
    ) -> HttpResponse | None:
        """Ask for the reason, then run a verb on the chosen findings."""
        ids = list(queryset.order_by("id").values_list("id", flat=True)[: MOST_AT_ONCE + 1])
        if len(ids) > MOST_AT_ONCE:
            messages.error(
                request,
                f"These are more than {MOST_AT_ONCE:,} findings: narrow the list by a filter "
                "and act in parts. Nothing was done.",
            )
            return None
        if "confirmed" not in request.POST:
            noun = "finding" if len(ids) == 1 else "findings"
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": f"{verb.label}: {len(ids):,} {noun}?",
                "verb": verb,
                "ids": ids,
            }
            return TemplateResponse(request, "admin/ingestion/finding_confirm.html", context)
        self._act(request, verb, ids)
        return None

    def _act(self, request: HttpRequest, verb: FindingVerb, ids: Sequence[int]) -> None:
        reason = request.POST.get("reason", "").strip()[:500]
        done, refused = perform(verb, ids, actor=person(request), reason=reason)
        if done:
            messages.success(request, shorten(tuple(done)))
        if refused:
            messages.error(request, shorten(tuple(refused)))

    # --- what is shown ------------------------------------------------------------------------

    @admin.display(description="severity")
    def how_bad(self, row: Finding) -> SafeString:
        """Show how much it matters."""
        tone, sign = _SEVERITIES[Severity(row.severity)]
        return badge(row.severity, tone=tone, sign=sign)

    @admin.display(description="state")
    def standing(self, row: Finding) -> SafeString:
        """Show where it stands."""
        tone, sign = _STATES[FindingState(row.state)]
        return badge(row.state, tone=tone, sign=sign)

    @admin.display(description="about")
    def about(self, row: Finding) -> SafeString | str:
        """Link the series, or name the provider."""
        if row.series is None:
            return row.provider
        return page_link("series_change", row.series, row.series_id)

    @admin.display(description="window")
    def span(self, row: Finding) -> str:
        """Show the window in stamps."""
        return window(row.window)

    @admin.display(description="first seen")
    def found(self, row: Finding) -> str:
        """Show when it was found first."""
        return instant(row.found_at)

    @admin.display(description="last seen")
    def seen(self, row: Finding) -> str:
        """Show when it was found last."""
        return instant(row.seen_at)

    @admin.display(description="evidence")
    def evidence_short(self, row: Finding) -> str:
        """Show the first numbers."""
        return ", ".join(f"{name} {value}" for name, value in evidence_words(row.evidence)[:3])

    @admin.display(description="evidence")
    def told(self, row: Finding) -> SafeString | str:
        """Show the evidence, one line each."""
        words = evidence_words(row.evidence, most=20)
        return format_html_join("", "<div><b>{}</b>: {}</div>", words) or NOTHING

    @admin.display(description="attempt")
    def attempt_link(self, row: Finding) -> SafeString | str:
        """Link the attempt that showed it."""
        if row.attempt_id is None:
            return NOTHING
        return page_link("attempt_change", f"attempt {row.attempt_id}", row.attempt_id)

    @admin.display(description="repair")
    def job_link(self, row: Finding) -> SafeString | str:
        """Link the repair that was last opened for it."""
        if row.job_id is None:
            return NOTHING
        return page_link("job_change", f"job {row.job_id}", row.job_id)

    @admin.display(description="closed")
    def closed(self, row: Finding) -> str:
        """Show when it was settled."""
        return instant(row.closed_at)

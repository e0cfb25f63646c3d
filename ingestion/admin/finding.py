"""What looks wrong in the data: the evidence, and what people can do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from ingestion.admin.acting import ActingAdmin, Verb, list_actions, reason_of, tell
from ingestion.admin.base import LedgerAdmin, person
from ingestion.admin.display import NOTHING, badge, instant, page_link, window
from ingestion.admin.filters import exact_filter
from ingestion.admin.finding_actions import VERBS, perform
from ingestion.domain.findings import FindingState, Severity, evidence_lines, evidence_words
from ingestion.models import Finding

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


@admin.register(Finding)
class FindingAdmin(ActingAdmin, LedgerAdmin):
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
    verbs = VERBS
    actions: Any = list_actions(VERBS.values())
    confirm_template = "admin/ingestion/finding_confirm.html"
    question = "{verb}: {rows}?"
    fields = (
        ("kind", "how_bad", "standing"),
        ("about", "span"),
        "told",
        ("times", "found", "seen"),
        ("attempt_link", "job_link"),
        ("closed", "closed_by"),
        "reason",
    )

    # --- acting -------------------------------------------------------------------------------

    def page_context(self, request: HttpRequest, row: Finding) -> dict[str, Any]:
        """Show what can be asked of the finding."""
        if not self.has_act_permission(request):
            return {}
        return {"finding": row, "verbs": [verb for verb in VERBS.values() if verb.offered(row)]}

    def act(self, request: HttpRequest, verb: Verb[Any, Any], numbers: Sequence[int]) -> None:
        """Run a verb on findings."""
        chosen = VERBS[verb.name]
        tell(request, perform(chosen, numbers, actor=person(request), reason=reason_of(request)))

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
        """Show the evidence, one line each; of the bars around a line for each bar."""
        told = [
            (name, format_html_join("", "<br>{}" if len(lines) > 1 else "{}", zip(lines)))
            for name, lines in evidence_lines(row.evidence, most=20)
        ]
        return format_html_join("", "<div><b>{}</b>: {}</div>", told) or NOTHING

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

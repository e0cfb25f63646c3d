"""How each session was kept: complete when it was due, late, or still lacking."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from ingestion.admin.base import LedgerAdmin
from ingestion.admin.display import NOTHING, badge, instant, page_link
from ingestion.admin.filters import exact_filter
from ingestion.models import Freshness


@admin.register(Freshness)
class FreshnessAdmin(LedgerAdmin):
    """Show what was judged when it was due; nothing here is ever judged again."""

    list_display = ("id", "dataset", "venue", "session", "kept", "lacked", "due", "complete")
    list_filter = (
        exact_filter("definition_id", title="definition number", name="definition"),
        exact_filter("venue", title="venue", name="venue", numeric=False),
        ("complete_at", admin.EmptyFieldListFilter),
    )
    list_select_related = ("definition",)
    search_fields = ("definition__name",)
    fields = (
        ("dataset", "venue", "session"),
        ("closed", "due", "judged"),
        ("kept", "lacked", "complete"),
        "such_as",
    )

    @admin.display(description="definition")
    def dataset(self, row: Freshness) -> SafeString:
        """Link the definition."""
        return page_link("jobdefinition_change", row.definition.name, row.definition_id)

    @admin.display(description="kept")
    def kept(self, row: Freshness) -> SafeString:
        """Show whether it was on time, came later, or still lacks."""
        if not row.lacking:
            return badge("on time", tone="success", sign="check")
        if row.complete_at:
            return badge("late", tone="warning", sign="schedule")
        return badge("lacking", tone="danger", sign="error")

    @admin.display(description="lacked when due")
    def lacked(self, row: Freshness) -> str:
        """Count the symbols that were not complete."""
        return f"{row.lacking:,} of {row.series:,}"

    @admin.display(description="such as")
    def such_as(self, row: Freshness) -> str:
        """Show some of the symbols that lacked."""
        return ", ".join(row.sample) or NOTHING

    @admin.display(description="closed")
    def closed(self, row: Freshness) -> str:
        """Show when the session's bars were over."""
        return instant(row.closed_at)

    @admin.display(description="due")
    def due(self, row: Freshness) -> str:
        """Show when it was to be complete."""
        return instant(row.due_at)

    @admin.display(description="judged")
    def judged(self, row: Freshness) -> str:
        """Show when it was judged."""
        return instant(row.judged_at)

    @admin.display(description="complete")
    def complete(self, row: Freshness) -> str:
        """Show when it was seen complete."""
        return instant(row.complete_at)

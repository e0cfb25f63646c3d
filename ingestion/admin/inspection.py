"""What was written and waits for the quality checks."""

from __future__ import annotations

from django.contrib import admin

from ingestion.admin.base import LedgerAdmin
from ingestion.admin.display import NOTHING, instant, window
from ingestion.admin.filters import exact_filter
from ingestion.models import Inspection


@admin.register(Inspection)
class InspectionAdmin(LedgerAdmin):
    """Show which series were written since the checks last looked; rows go by themselves."""

    list_display = ("series", "windows", "waits_since")
    list_filter = (exact_filter("series_id", title="series number", name="series"),)
    list_select_related = ("series__instrument",)
    search_fields = ("series__instrument__symbol",)
    ordering = ("since",)
    fields = ("series", "windows", "waits_since")

    @admin.display(description="windows to look at")
    def windows(self, row: Inspection) -> str:
        """Show every window that is still to be looked at."""
        return "; ".join(window(part) for part in row.pending) or NOTHING

    @admin.display(description="since", ordering="since")
    def waits_since(self, row: Inspection) -> str:
        """Show since when it waits, or until when it was put off."""
        return instant(row.since)

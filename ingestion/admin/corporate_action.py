"""Splits and dividends as providers stated them."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from ingestion.admin.base import LedgerAdmin
from ingestion.admin.display import badge, instant, page_link
from ingestion.models import CorporateActionRecord


@admin.register(CorporateActionRecord)
class CorporateActionAdmin(LedgerAdmin):
    """Show what is known of splits and dividends, and what was known once."""

    list_display = ("ex", "of", "kind", "amount", "provider", "known", "standing")
    list_filter = ("kind", "provider", ("known_to", admin.EmptyFieldListFilter))
    list_select_related = ("instrument",)
    search_fields = ("instrument__symbol",)
    ordering = ("-ex_date", "-id")
    fields = ("of", "kind", "ex", "amount", "provider", "evidence", "known", "standing")

    @admin.display(description="ex date")
    def ex(self, row: CorporateActionRecord) -> str:
        """Show the first session that trades without it."""
        return row.ex_date.isoformat()

    @admin.display(description="instrument")
    def of(self, row: CorporateActionRecord) -> SafeString:
        """Link the instrument."""
        return page_link("instrument_change", row.instrument.symbol, row.instrument_id)

    @admin.display(description="value")
    def amount(self, row: CorporateActionRecord) -> str:
        """Show new shares per old one, or cash per share."""
        if row.kind == "split":
            return f"{row.value:g} for 1"
        return f"{row.value:g} {row.currency}".strip()

    @admin.display(description="known since")
    def known(self, row: CorporateActionRecord) -> str:
        """Show since when it has been known."""
        return instant(row.known_from)

    @admin.display(description="standing")
    def standing(self, row: CorporateActionRecord) -> SafeString:
        """Show whether the statement still stands."""
        if row.known_to is None:
            return badge("stands", tone="success", sign="check")
        return badge(f"until {instant(row.known_to)}", tone="default", sign="history")

    @admin.display(description="evidence")
    def evidence(self, row: CorporateActionRecord) -> SafeString | str:
        """Link the attempt that brought it."""
        if row.attempt_id is None:
            return "stated by hand or from a file"
        return page_link("attempt_change", f"attempt {row.attempt_id}", row.attempt_id)

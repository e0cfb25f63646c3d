"""Instruments, how providers call them, and the series kept of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.postgres.fields import DateRangeField
from django.contrib.postgres.forms import RangeWidget
from django.http import HttpRequest
from django.urls import URLPattern
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from ingestion.admin.bar import BarPage, BarRevisionPage
from ingestion.admin.base import AuditedAdmin
from ingestion.admin.coverage import VenueSessionPage
from ingestion.admin.display import page_link
from ingestion.models import Instrument, ProviderSymbol, Series

if TYPE_CHECKING:
    from django.contrib.admin.widgets import AdminDateWidget
else:  # the same widget in the look of ours
    from unfold.widgets import UnfoldAdminSingleDateWidget as AdminDateWidget


class DateSpan(RangeWidget):
    """Ask for the first date and for the first one that no longer counts."""

    template_name = "unfold/widgets/range.html"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(AdminDateWidget(), attrs)


@admin.register(Instrument)
class InstrumentAdmin(AuditedAdmin):
    """Edit what is traded; the venues' sessions hang from here."""

    list_display = (
        "symbol",
        "name",
        "asset_class",
        "underlying",
        "venue",
        "currency",
        "listed",
        "has_volume",
        "facts_from",
    )
    list_filter = ("asset_class", "venue", "currency", "facts_from")
    search_fields = ("symbol", "name")
    ordering = ("symbol",)
    fields = (
        ("symbol", "name"),
        ("asset_class", "underlying"),
        ("venue", "currency", "has_volume"),
        ("listed_from", "delisted_on"),
        "facts_from",
    )
    readonly_fields = ("facts_from",)

    def also_changed(self, obj: Any) -> Iterable[str]:
        """Let nobody's guess replace what a person has said."""
        obj.facts_from = "user"
        return ("facts_from",)

    @admin.display(description="listed")
    def listed(self, row: Instrument) -> str:
        """Show from when to when the instrument was listed, as far as it is known."""
        start, end = row.listed_from, row.delisted_on
        return f"{start or '…'} → {end or '…'}" if start or end else "not known"

    def get_urls(self) -> list[URLPattern]:
        """Add the sessions of the venues."""
        return [VenueSessionPage.url("sessions/", site=self.admin_site), *super().get_urls()]


@admin.register(ProviderSymbol)
class ProviderSymbolAdmin(AuditedAdmin):
    """Edit how a provider calls an instrument, and when it did so."""

    list_display = ("vendor_symbol", "provider", "instrument", "valid", "roll_rule")
    list_filter = ("provider",)
    list_select_related = ("instrument",)
    formfield_overrides = {DateRangeField: {"widget": DateSpan}}
    search_fields = ("vendor_symbol", "instrument__symbol")
    autocomplete_fields = ("instrument",)
    ordering = ("provider", "vendor_symbol", "id")


@admin.register(Series)
class SeriesAdmin(AuditedAdmin):
    """Show what identifies each series; only its precedence among providers may be edited."""

    list_display = (
        "id",
        "instrument",
        "provider",
        "timeframe",
        "adjustment",
        "hours",
        "anchor",
        "precedence",
        "held",
    )
    list_filter = ("provider", "timeframe", "adjustment", "hours")
    list_select_related = ("instrument",)
    search_fields = ("instrument__symbol",)
    ordering = ("id",)
    readonly_fields = (
        "provider",
        "instrument",
        "event_type",
        "timeframe",
        "adjustment",
        "hours",
        "anchor",
        "held",
    )
    fields = (*readonly_fields, "precedence")

    @admin.display(description="what is held")
    def held(self, row: Series) -> SafeString:
        """Link the bars, their revisions, coverage and slices of the series."""
        links = [
            (page_link("bar_changelist", "bars", series=row.pk),),
            (page_link("barrevision_changelist", "revisions", series=row.pk),),
            (page_link("coverage_changelist", "coverage", series=row.pk),),
            (page_link("slice_changelist", "slices", series=row.pk),),
        ]
        return format_html_join(" · ", "{}", links)

    def get_urls(self) -> list[URLPattern]:
        """Add the bars and their revisions."""
        return [
            BarPage.url("bars/", site=self.admin_site),
            BarRevisionPage.url("revisions/", site=self.admin_site),
            *super().get_urls(),
        ]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: a series begins with the job that fills it."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: its bars have no foreign key and would lose their name."""
        return False

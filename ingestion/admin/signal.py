"""Signals that were raised, and what they started."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from ingestion.admin.base import LedgerAdmin
from ingestion.admin.display import NOTHING, instant, page_link, window
from ingestion.admin.filters import exact_filter
from ingestion.models import Signal, SignalMatch

SYMBOLS_SHOWN = 8


@admin.register(Signal)
class SignalAdmin(LedgerAdmin):
    """Show what happened to whom; `mdc signal` raises one by hand."""

    list_display = ("id", "name", "some", "timeframe", "span", "actor", "raised", "started")
    list_filter = (exact_filter("name", title="name", name="name", numeric=False),)
    fields = (
        ("name", "actor", "raised"),
        "symbols",
        ("timeframe", "span"),
        "reason",
        "evidence",
        "started",
    )

    @admin.display(description="symbols")
    def some(self, row: Signal) -> str:
        """Show the first symbols."""
        more = f" and {len(row.symbols) - SYMBOLS_SHOWN:,} more"
        shown = ", ".join(row.symbols[:SYMBOLS_SHOWN])
        return (shown + (more if len(row.symbols) > SYMBOLS_SHOWN else "")) or "all"

    @admin.display(description="window")
    def span(self, row: Signal) -> str:
        """Show the window in stamps."""
        return window(row.window)

    @admin.display(description="raised")
    def raised(self, row: Signal) -> str:
        """Show when it was raised."""
        return instant(row.raised_at)

    @admin.display(description="starts")
    def started(self, row: Signal) -> SafeString:
        """Link the schedules that are to act on it."""
        return page_link("signalmatch_changelist", "who hears it", signal=row.pk)


@admin.register(SignalMatch)
class SignalMatchAdmin(LedgerAdmin):
    """Show which schedule acts on which signal, and by which slot it did."""

    list_display = ("id", "told", "schedule", "acted", "waits")
    list_filter = (
        exact_filter("signal_id", title="signal number", name="signal"),
        exact_filter("schedule_id", title="schedule number", name="schedule"),
    )
    list_select_related = ("signal", "schedule", "slot")
    fields = ("told", "schedule", "acted", "waits")

    @admin.display(description="signal")
    def told(self, row: SignalMatch) -> SafeString:
        """Link the signal."""
        return page_link("signal_change", f"{row.signal.name} {row.signal_id}", row.signal_id)

    @admin.display(description="acted on by")
    def acted(self, row: SignalMatch) -> str:
        """Link the slot that it became part of."""
        if row.slot is None:
            return NOTHING
        return page_link("slot_change", str(row.slot), row.slot_id)

    @admin.display(description="waits", boolean=True)
    def waits(self, row: SignalMatch) -> bool:
        """Tell whether it is still to be acted on."""
        return row.slot_id is None

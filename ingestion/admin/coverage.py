"""What is loaded, what is proven empty, what is missing, and the sessions all are judged by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.utils.safestring import SafeString

from ingestion.admin.base import LedgerAdmin
from ingestion.admin.display import NOTHING, instant, page_link, stamp, window
from ingestion.admin.filters import exact_filter
from ingestion.admin.keyset import KeysetPage
from ingestion.models import Coverage, EmptyProof, MissingSession, VenueSession

if TYPE_CHECKING:
    _Rows = QuerySet[Any]

WINDOWS_SHOWN = 3

_by_series = exact_filter("series_id", title="series number", name="series")


@admin.register(Coverage)
class CoverageAdmin(LedgerAdmin):
    """Show the loaded windows of each series."""

    list_display = ("series", "first_bar", "windows", "holes", "in_doubt", "updated")
    list_filter = (_by_series,)
    list_select_related = ("series__instrument",)
    search_fields = ("series__instrument__symbol",)
    ordering = ("-series",)
    fields = ("series", "first_bar", "all_windows", "in_doubt", "updated")

    @admin.display(description="first bar")
    def first_bar(self, row: Coverage) -> str:
        """Show the stamp of the first bar ever stored."""
        return stamp(row.first_ts)

    @admin.display(description="loaded windows")
    def windows(self, row: Coverage) -> str:
        """Show the latest loaded windows."""
        loaded = list(row.loaded)
        shown = [window(part) for part in loaded[-WINDOWS_SHOWN:]]
        return ("… " if len(loaded) > WINDOWS_SHOWN else "") + "; ".join(shown) or NOTHING

    @admin.display(description="breaks")
    def holes(self, row: Coverage) -> int:
        """Count the breaks between loaded windows; closed days without bars are among them."""
        return max(0, len(row.loaded) - 1)

    @admin.display(description="loaded windows")
    def all_windows(self, row: Coverage) -> str:
        """Show every loaded window."""
        return "; ".join(window(part) for part in row.loaded) or NOTHING

    @admin.display(description="to be fetched again")
    def in_doubt(self, row: Coverage) -> str:
        """Show what was loaded once and was reset since; its bars stay."""
        return "; ".join(window(part) for part in row.doubted) or NOTHING

    @admin.display(description="updated")
    def updated(self, row: Coverage) -> str:
        """Show when a slice last added to it."""
        return instant(row.updated_at)


class _OfAttempt(LedgerAdmin):
    """Share the columns of findings that rest on an attempt."""

    list_select_related = ("series__instrument",)
    search_fields = ("series__instrument__symbol",)

    @admin.display(description="window")
    def span(self, row: Any) -> str:
        """Show the window in stamps."""
        return window(row.window)

    @admin.display(description="evidence")
    def evidence(self, row: Any) -> SafeString:
        """Link the attempt that showed it."""
        return page_link("attempt_change", f"attempt {row.attempt_id}", row.attempt_id)


@admin.register(EmptyProof)
class EmptyProofAdmin(_OfAttempt):
    """Show the windows that are known to hold no bars, and why."""

    list_display = ("id", "series", "span", "reason", "evidence", "proven", "expires")
    list_filter = (_by_series, "reason")
    fields = ("series", "span", "reason", "evidence", "proven", "expires")

    @admin.display(description="proven")
    def proven(self, row: EmptyProof) -> str:
        """Show when it was proven."""
        return instant(row.proven_at)

    @admin.display(description="looked at again after")
    def expires(self, row: EmptyProof) -> str:
        """Show when the proof stops to count."""
        return instant(row.expires_at)


@admin.register(MissingSession)
class MissingSessionAdmin(_OfAttempt):
    """Show the expected sessions for which a first look found no bar."""

    list_display = ("id", "series", "span", "looks", "evidence", "seen")
    list_filter = (_by_series,)
    fields = ("series", "span", "looks", "evidence", "seen")

    @admin.display(description="seen")
    def seen(self, row: MissingSession) -> str:
        """Show when the last look was."""
        return instant(row.seen_at)


class VenueForm(forms.Form):
    """Read which venue, and until which date, the sessions are wanted."""

    venue = forms.CharField(required=False, label="Venue (MIC)", max_length=8)
    until = forms.DateField(
        required=False, label="Until and with", widget=forms.DateInput(attrs={"type": "date"})
    )


class VenueSessionPage(KeysetPage):
    """Show the sessions of venues as SQL judges gaps by."""

    model = VenueSession
    title = "Venue sessions"
    note = "Opens, closes and breaks in UTC."
    form_class = VenueForm
    headers = ("Venue", "Session", "Weekday", "Opens", "Closes", "Break")

    def narrow(self, queryset: _Rows, chosen: dict[str, Any]) -> _Rows:
        """Keep the chosen venue and dates."""
        if chosen.get("venue"):
            queryset = queryset.filter(venue=chosen["venue"].upper())
        if chosen.get("until"):
            queryset = queryset.filter(label__lte=chosen["until"])
        return queryset

    def cells(self, rows: Sequence[Any]) -> list[list[object]]:
        """Return what to show of each session."""
        return [
            [
                row.venue,
                row.label.isoformat(),
                f"{row.label:%A}",
                instant(row.opens_at),
                instant(row.closes_at),
                f"{instant(row.break_start)} → {instant(row.break_end)}"
                if row.break_start
                else NOTHING,
            ]
            for row in rows
        ]

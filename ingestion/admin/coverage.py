"""What is loaded, what is proven empty, what is missing, and the sessions all are judged by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from ingestion import clock
from ingestion.admin.base import BoundedList, LedgerAdmin
from ingestion.admin.display import NOTHING, instant, page_link, stamp, window
from ingestion.admin.filters import exact_filter
from ingestion.admin.keyset import KeysetPage
from ingestion.domain.gaps import NOTHING_EXPECTED, GapReport, percent
from ingestion.domain.windows import from_us
from ingestion.models import Coverage, EmptyProof, MissingSession, VenueSession
from ingestion.services.find_gaps import series_gaps

if TYPE_CHECKING:
    _Rows = QuerySet[Any]

WINDOWS_SHOWN = 3
ROWS_SHOWN = 50

_by_series = exact_filter("series_id", title="series number", name="series")


class _JudgedList(BoundedList):
    """Judge all series of the page at once."""

    def get_results(self, request: HttpRequest) -> None:
        """Read one page."""
        super().get_results(request)
        rows = list(self.result_list)
        reports = series_gaps([row.pk for row in rows], now=clock.now())
        for row in rows:
            row.report = reports.get(row.pk, NOTHING_EXPECTED)
        self.result_list = rows


@admin.register(Coverage)
class CoverageAdmin(LedgerAdmin):
    """Show how complete each series is, its loaded windows and its gaps."""

    list_display = (
        *("series", "complete", "complete_before", "lacking", "first_bar", "windows"),
        *("in_doubt", "updated"),
    )
    list_filter = (_by_series,)
    list_select_related = ("series__instrument",)
    search_fields = ("series__instrument__symbol",)
    ordering = ("-series",)
    fields = (
        *("series", "complete", "complete_before", "gaps", "absences", "first_bar"),
        *("all_windows", "in_doubt", "updated"),
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[BoundedList]:
        """Use the list that judges its page."""
        return _JudgedList

    @admin.display(description="complete")
    def complete(self, row: Coverage) -> str:
        """Show which part of the expected sessions is loaded or explained."""
        part = _report(row).completeness
        return NOTHING if part is None else percent(part)

    @admin.display(description="complete before")
    def complete_before(self, row: Coverage) -> str:
        """Show up to where nothing lacks."""
        mark = _report(row).watermark
        return stamp(None if mark is None else from_us(mark))

    @admin.display(description="sessions in gaps")
    def lacking(self, row: Coverage) -> int:
        """Count the expected sessions that are neither loaded nor explained."""
        return _report(row).lacking

    @admin.display(description="gaps")
    def gaps(self, row: Coverage) -> SafeString | str:
        """Show the newest gaps, each with its kind."""
        found = _report(row).gaps
        lines = [
            (
                f"{stamp(from_us(one.start))} → {stamp(from_us(one.end))}: {one.units:,} sessions,"
                f" {one.kind}",
            )
            for one in reversed(found[-ROWS_SHOWN:])
        ]
        return format_html_join(mark_safe("<br>"), "{}", lines) or NOTHING

    @admin.display(description="why there are no bars")
    def absences(self, row: Coverage) -> SafeString:
        """Lead to the proofs and to the sessions looked for in vain."""
        return format_html_join(
            ", ",
            "{}",
            [
                (page_link("emptyproof_changelist", "proofs", series=row.pk),),
                (page_link("missingsession_changelist", "missing sessions", series=row.pk),),
            ],
        )

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


def _report(row: Coverage) -> GapReport:
    """Return what the list has judged already, or judge the one series of a page."""
    known: GapReport | None = getattr(row, "report", None)
    if known is None:
        known = series_gaps([row.pk], now=clock.now()).get(row.pk, NOTHING_EXPECTED)
        row.report = known  # type: ignore[attr-defined]
    return known


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

    list_display = ("id", "series", "span", "found", "evidence", "seen")
    list_filter = (_by_series,)
    fields = ("series", "span", "found", "evidence", "seen")

    @admin.display(description="found")
    def found(self, row: MissingSession) -> str:
        """Show how often nothing came, or that what came was refused."""
        if not row.looks:
            return "rows that could not be stored"
        return f"nothing, {row.looks} time{'s' if row.looks > 1 else ''}"

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
    note = "Opens, closes, breaks and halts in UTC."
    form_class = VenueForm
    headers = ("Venue", "Session", "Weekday", "Opens", "Closes", "Break", "Halts", "Extended hours")

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
                "; ".join(window(part) for part in row.halts) or NOTHING,
                f"{instant(row.earliest_at)} → {instant(row.latest_at)}"
                if (row.earliest_at, row.latest_at) != (row.opens_at, row.closes_at)
                else NOTHING,
            ]
            for row in rows
        ]

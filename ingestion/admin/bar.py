"""Bars, their superseded versions, and the rows that were refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.utils.safestring import SafeString

from ingestion.admin.base import LedgerAdmin
from ingestion.admin.display import NOTHING, badge, instant, page_link, stamp
from ingestion.admin.filters import exact_filter
from ingestion.admin.keyset import KeysetPage
from ingestion.models import Bar, BarRevision, Quarantine, Series

if TYPE_CHECKING:
    _Rows = QuerySet[Any]


class SeriesWindowForm(forms.Form):
    """Read which series, and which of its dates, a list is about."""

    symbol = forms.CharField(required=False, label="Symbol")
    series = forms.IntegerField(required=False, min_value=1, label="Series number")
    start = forms.DateField(
        required=False, label="From", widget=forms.DateInput(attrs={"type": "date"})
    )
    end = forms.DateField(
        required=False, label="Until and with", widget=forms.DateInput(attrs={"type": "date"})
    )

    def clean_symbol(self) -> list[int] | None:
        """Return the series of the symbol."""
        symbol = self.cleaned_data["symbol"].strip()
        if not symbol:
            return None
        found = list(
            Series.objects.filter(instrument__symbol__iexact=symbol).values_list("id", flat=True)
        )
        if not found:
            raise ValidationError(f"No series is stored of {symbol}.")
        return found


def narrow_window(queryset: _Rows, chosen: dict[str, Any]) -> _Rows:
    """Keep the rows of the chosen series and dates."""
    if chosen.get("symbol"):
        queryset = queryset.filter(series_id__in=chosen["symbol"])
    if chosen.get("series"):
        queryset = queryset.filter(series_id=chosen["series"])
    if chosen.get("start"):
        queryset = queryset.filter(ts__gte=datetime.combine(chosen["start"], time.min, tzinfo=UTC))
    if chosen.get("end"):
        end = datetime.combine(chosen["end"], time.min, tzinfo=UTC) + timedelta(days=1)
        queryset = queryset.filter(ts__lt=end)
    return queryset


def name_series(series_ids: set[int]) -> dict[int, SafeString]:
    """Link each series by its name, in one query."""
    found = Series.objects.select_related("instrument").in_bulk(series_ids)
    return {number: page_link("series_change", series, number) for number, series in found.items()}


def number(value: float | None) -> str:
    """Write a price or volume with every digit that is stored."""
    return NOTHING if value is None else f"{value:,.15g}"


class BarPage(KeysetPage):
    """Show the stored bars."""

    model: type[Model] = Bar
    title = "Bars"
    note = "Stamped by their start in UTC; daily and longer bars by their session date."
    form_class = SeriesWindowForm
    headers: Sequence[str] = (
        "Series",
        "Stamp",
        "Open",
        "High",
        "Low",
        "Close",
        "Volume",
        "VWAP",
        "Trades",
        "Sequence",
        "Final",
        "Known from",
        "Attempt",
    )

    def narrow(self, queryset: _Rows, chosen: dict[str, Any]) -> _Rows:
        """Keep the rows of the chosen series and dates."""
        return narrow_window(queryset, chosen)

    def cells(self, rows: Sequence[Any]) -> list[list[object]]:
        """Return what to show of each bar."""
        names = name_series({row.series_id for row in rows})
        return [
            [
                names.get(row.series_id, row.series_id),
                *_values(row),
                instant(row.known_from),
                page_link("attempt_change", row.attempt_id, row.attempt_id),
            ]
            for row in rows
        ]


class BarRevisionPage(BarPage):
    """Show the superseded versions of bars."""

    model = BarRevision
    title = "Bar revisions"
    note = "Each row was the truth from 'known from' until 'known to'; the bars hold what followed."
    headers = (*BarPage.headers[:-1], "Known to", "Attempt")

    def cells(self, rows: Sequence[Any]) -> list[list[object]]:
        """Return what to show of each version."""
        shown = super().cells(rows)
        return [
            [*cells[:-1], instant(row.known_to), cells[-1]]
            for row, cells in zip(rows, shown, strict=True)
        ]


def _values(row: Any) -> list[object]:
    return [
        stamp(row.ts),
        number(row.open),
        number(row.high),
        number(row.low),
        number(row.close),
        number(row.volume),
        number(row.vwap),
        NOTHING if row.trades is None else f"{row.trades:,}",
        row.sequence,
        badge("final", tone="success", sign="check")
        if row.final
        else badge("forming", tone="info", sign="hourglass_empty"),
    ]


@admin.register(Quarantine)
class QuarantineAdmin(LedgerAdmin):
    """Show the rows that validation refused, as the provider sent them."""

    list_display = ("id", "series", "stamp", "reason", "raw", "attempt")
    list_filter = (
        exact_filter("series_id", title="series number", name="series"),
        exact_filter("attempt_id", title="attempt number", name="attempt"),
        exact_filter("reason", title="reason", name="reason", numeric=False),
    )
    fields = ("series", "attempt", "stamp", "reason", "raw")

    @admin.display(description="series")
    def series(self, row: Quarantine) -> SafeString:
        """Link the series."""
        return page_link("series_change", row.series_id, row.series_id)

    @admin.display(description="attempt")
    def attempt(self, row: Quarantine) -> SafeString:
        """Link the attempt that brought the row."""
        return page_link("attempt_change", row.attempt_id, row.attempt_id)

    @admin.display(description="stamp")
    def stamp(self, row: Quarantine) -> str:
        """Show the stamp, where the row had a readable one."""
        return stamp(row.ts)

"""The ledger of who did what, when and why."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ingestion.admin.base import LedgerAdmin
from ingestion.admin.display import NOTHING, instant, page_link
from ingestion.admin.filters import exact_filter
from ingestion.models import AuditEvent


@admin.register(AuditEvent)
class AuditEventAdmin(LedgerAdmin):
    """Show the audit ledger, which the database itself keeps from changing."""

    list_display = ("id", "when", "actor", "source", "action", "object", "change", "reason")
    list_filter = (
        exact_filter("object_type", title="kind of object", name="type", numeric=False),
        exact_filter("object_id", title="object", name="object", numeric=False),
        exact_filter("actor", title="actor", name="actor", numeric=False),
        exact_filter("action", title="action", name="action", numeric=False),
    )
    search_fields = ("object_id",)
    search_help_text = "A kind and a number, such as: job 12"
    fields = (
        "when",
        "actor",
        "source",
        "action",
        "object",
        "before_shown",
        "after_shown",
        "reason",
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Read `job 12` as the events of job 12, along the index."""
        kind, _, number = search_term.strip().partition(" ")
        if not kind:
            return queryset, False
        if not number:
            return queryset.filter(object_type=kind), False
        return queryset.filter(object_type=kind, object_id=number.strip()), False

    @admin.display(description="when")
    def when(self, row: AuditEvent) -> str:
        """Show the time of the act."""
        return instant(row.at)

    @admin.display(description="object")
    def object(self, row: AuditEvent) -> str | SafeString:
        """Link what was acted on, where it has a page."""
        words = f"{row.object_type} {row.object_id}"
        try:
            view = f"{row.object_type.replace('_', '')}_change"
            return page_link(view, words, row.object_id)
        except NoReverseMatch:
            return words

    @admin.display(description="change")
    def change(self, row: AuditEvent) -> str:
        """Show what changed, shortly."""
        return describe_change(row.before, row.after)

    @admin.display(description="before")
    def before_shown(self, row: AuditEvent) -> str | SafeString:
        """Show what was."""
        return _pretty(row.before)

    @admin.display(description="after")
    def after_shown(self, row: AuditEvent) -> str | SafeString:
        """Show what became of it."""
        return _pretty(row.after)


def describe_change(before: Any, after: Any, *, limit: int = 120) -> str:
    """Put the difference of two recorded states into a few words."""
    before, after = before or {}, after or {}
    parts = []
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        parts.append(f"{name}: {new}" if name not in before else f"{name}: {old} → {new}")
    words = "; ".join(parts)
    return words if len(words) <= limit else words[: limit - 1] + "…"


def _pretty(value: Any) -> str | SafeString:
    if value is None:
        return NOTHING
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return format_html('<pre class="whitespace-pre-wrap">{}</pre>', text)

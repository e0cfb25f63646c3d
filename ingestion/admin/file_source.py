"""Folders of price files that people have declared."""

from __future__ import annotations

import json

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ingestion.admin.base import LedgerAdmin
from ingestion.admin.display import instant, page_link
from ingestion.models import FileSource


@admin.register(FileSource)
class FileSourceAdmin(LedgerAdmin):
    """Show declared sources; `mdc files` declares them, for it reads the files as it does."""

    list_display = ("name", "path", "series", "declared")
    search_fields = ("name", "path")
    ordering = ("name",)
    sortable_by = ("name",)
    fields = ("name", "path", "how", "series", "declared")

    @admin.display(description="how it is read")
    def how(self, row: FileSource) -> SafeString:
        """Show the stored layout."""
        text = json.dumps(row.layout, indent=2, ensure_ascii=False)
        return format_html('<pre style="white-space: pre-wrap">{}</pre>', text)

    @admin.display(description="series")
    def series(self, row: FileSource) -> SafeString:
        """Link the series that it provides."""
        name = f"files:{row.name}"
        return page_link("series_changelist", name, provider__exact=name)

    @admin.display(description="declared")
    def declared(self, row: FileSource) -> str:
        """Show when it was declared."""
        return instant(row.declared_at)

"""Worker processes and the fetch tasks that run in them."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from ingestion.admin.base import LedgerAdmin
from ingestion.admin.display import instant, page_link
from ingestion.models import Executor, FetchRun


@admin.register(Executor)
class ExecutorAdmin(LedgerAdmin):
    """Show the worker processes by their heartbeat."""

    list_display = ("id", "host", "pid", "started", "seen", "draining")
    ordering = ("-last_seen",)
    fields = ("host", "pid", "started", "seen", "draining", "runs")

    @admin.display(description="started")
    def started(self, row: Executor) -> str:
        """Show when the process began."""
        return instant(row.started_at)

    @admin.display(description="last seen")
    def seen(self, row: Executor) -> str:
        """Show the last heartbeat."""
        return instant(row.last_seen)

    @admin.display(description="fetch runs")
    def runs(self, row: Executor) -> SafeString:
        """Link the fetch tasks of the process."""
        return page_link("fetchrun_changelist", "fetch runs", executor=row.pk)


@admin.register(FetchRun)
class FetchRunAdmin(LedgerAdmin):
    """Show which running tasks hold fetch slots of which account."""

    list_display = ("id", "executor", "account", "slots", "started", "lease")
    list_filter = ("account",)
    list_select_related = ("executor", "account")
    fields = ("executor", "account", "slots", "started", "lease")

    @admin.display(description="started")
    def started(self, row: FetchRun) -> str:
        """Show when the task began."""
        return instant(row.started_at)

    @admin.display(description="holds its slots until")
    def lease(self, row: FetchRun) -> str:
        """Show until when the slots are held without a sign of life."""
        return instant(row.lease_until)

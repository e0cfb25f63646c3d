"""Accounts at providers and the budgets that pace them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from ingestion.admin.base import AuditedAdmin, LedgerInline, person
from ingestion.admin.display import NOTHING, badge, instant, pace, page_link
from ingestion.models import Account, Budget
from ingestion.services.reopen_account import reopen_account

# Workers write these columns while a form lies open: shown, never part of it.
_LIVE = ("circuit_shown", "circuit_reason", "blocked", "paced")


class BudgetInline(LedgerInline):
    """Show the limits of an account; they are edited on their own pages."""

    model = Budget
    fields = ("budget", "pace", "slowed", "used")
    readonly_fields = fields

    @admin.display(description="budget")
    def budget(self, row: Budget) -> SafeString:
        """Link the budget."""
        return page_link("budget_change", f"{row.endpoint} ({row.algorithm})", row.pk)

    @admin.display(description="limit")
    def pace(self, row: Budget) -> str:
        """Show the limit in words."""
        return pace(row.n, row.window_ms)

    @admin.display(description="slowed")
    def slowed(self, row: Budget) -> str:
        """Show how much throttling has stretched the spacing."""
        return _slowed(row)


@admin.register(Account)
class AccountAdmin(AuditedAdmin):
    """Edit who may ask a provider; the key itself is never stored here."""

    list_display = (
        "__str__",
        "egress",
        "enabled",
        "writes",
        "circuit_shown",
        "blocked",
        "paced",
        "max_in_flight",
    )
    list_filter = ("provider", "enabled", "circuit")
    search_fields = ("provider", "name")
    ordering = ("provider", "name", "egress")
    readonly_fields = _LIVE
    fieldsets = (
        (
            None,
            {"fields": (("provider", "name", "egress"), ("enabled", "writes"), "max_in_flight")},
        ),
        ("Now", {"fields": _LIVE}),
    )
    inlines = (BudgetInline,)
    actions = ("reopen",)

    @admin.display(description="circuit", ordering="circuit")
    def circuit_shown(self, row: Account) -> SafeString:
        """Show whether requests are let through, and why not."""
        return badge(row.circuit)

    @admin.display(description="blocked until")
    def blocked(self, row: Account) -> str:
        """Show until when the provider asked us to stay away."""
        return instant(row.blocked_until)

    @admin.display(description="paced until")
    def paced(self, row: Account) -> str:
        """Show when the budgets next allow a request."""
        return instant(row.paced_until)

    @admin.action(description="Let requests through again", permissions=["change"])
    def reopen(self, request: HttpRequest, queryset: QuerySet[Account]) -> None:
        """Close the circuit of the chosen accounts."""
        reopened = [
            str(account)
            for account in queryset
            if reopen_account(account.pk, actor=person(request))
        ]
        if reopened:
            messages.success(request, f"Requests go out again for {', '.join(reopened)}.")
        else:
            messages.info(request, "Nothing to do: none of these accounts was stopped.")


@admin.register(Budget)
class BudgetAdmin(AuditedAdmin):
    """Edit limits; what was sent and learned is kept by the workers and only shown."""

    list_display = ("id", "owner", "endpoint", "algorithm", "pace", "slowed", "used")
    list_filter = ("algorithm",)
    list_select_related = ("account", "job")
    autocomplete_fields = ("account",)
    raw_id_fields = ("job",)
    ordering = ("-id",)
    readonly_fields = ("sent", "tat", "slowed", "stretched_at", "learned_floor", "day", "used")
    fieldsets = (
        (None, {"fields": (("account", "job"), ("endpoint", "algorithm"))}),
        (
            "Limit",
            {
                "fields": (
                    ("n", "window_ms", "guard_ms"),
                    ("cost", "reserve_pct", "reset_tz"),
                )
            },
        ),
        ("Now", {"fields": readonly_fields}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave out the large columns of the jobs."""
        return super().get_queryset(request).defer("job__spec", "job__plan_cursor")

    @admin.display(description="of")
    def owner(self, row: Budget) -> SafeString:
        """Link the account or the job that the limit belongs to."""
        if row.account_id is not None:
            return page_link("account_change", row.account, row.account_id)
        return page_link("job_change", f"job {row.job_id}", row.job_id)

    @admin.display(description="limit")
    def pace(self, row: Budget) -> str:
        """Show the limit in words."""
        return pace(row.n, row.window_ms)

    @admin.display(description="slowed")
    def slowed(self, row: Budget) -> str:
        """Show how much throttling has stretched the spacing."""
        return _slowed(row)

    @admin.display(description="latest sends")
    def sent(self, row: Budget) -> str:
        """Show the newest send times that still count."""
        return ", ".join(instant(at) for at in (row.sends or [])[-5:]) or NOTHING


def _slowed(row: Budget) -> str:
    return f"× {row.stretch:.3g} since {instant(row.stretched_at)}" if row.stretch > 1 else "no"

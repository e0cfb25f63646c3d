"""Schedules, and the ledger of what became of each due time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.utils.safestring import SafeString

from ingestion.admin.base import AuditedAdmin, LedgerAdmin
from ingestion.admin.display import badge, instant, page_link
from ingestion.admin.filters import exact_filter
from ingestion.models import Schedule, Slot

if TYPE_CHECKING:
    from django.forms import Textarea as TextArea

    _ScheduleForm = forms.ModelForm[Schedule]
else:  # the same widget in the look of ours
    from unfold.widgets import UnfoldAdminTextareaWidget as TextArea

    _ScheduleForm = forms.ModelForm


class ScheduleForm(_ScheduleForm):
    """Refuse what could never fire."""

    class Meta:
        model = Schedule
        fields = "__all__"
        widgets = {"rule": TextArea({"rows": 3}), "note": TextArea({"rows": 3})}

    def clean_tz(self) -> str:
        """Require a time zone of the IANA database."""
        name: str = self.cleaned_data["tz"]
        if name not in available_timezones():
            raise ValidationError(f"{name} is no time zone; write it like America/New_York.")
        return name

    def clean_rule(self) -> Any:
        """Require an object."""
        rule = self.cleaned_data["rule"]
        if not isinstance(rule, dict) or not rule:
            raise ValidationError('A rule is an object, such as {"cron": "30 18 * * 1-5"}.')
        return rule

    def clean(self) -> dict[str, Any] | None:
        """Require an end after the start."""
        cleaned = super().clean() or self.cleaned_data
        start, end = cleaned.get("starts_at"), cleaned.get("ends_at")
        if start and end and end <= start:
            raise ValidationError({"ends_at": "The end must lie after the start."})
        return cleaned


@admin.register(Schedule)
class ScheduleAdmin(AuditedAdmin):
    """Edit when a definition is due; the next due time is reckoned by the scheduler."""

    form = ScheduleForm
    list_display = (
        "name",
        "definition",
        "action",
        "rule",
        "zone",
        "next_fire",
        "overlap",
        "catchup",
        "paused_at",
    )
    list_filter = ("action", "overlap", "catchup")
    list_select_related = ("definition",)
    search_fields = ("name", "definition__name", "note")
    autocomplete_fields = ("definition",)
    ordering = ("-id",)
    readonly_fields = ("next_fire", "ledger")
    fieldsets = (
        (None, {"fields": (("name", "definition"), "action", "rule", ("tz", "venue"), "note")}),
        ("Limits", {"fields": ("starts_at", "ends_at", ("overlap", "catchup"))}),
        ("Lateness", {"fields": (("max_lateness", "jitter"),)}),
        ("Now", {"fields": ("next_fire", "ledger")}),
    )

    @admin.display(description="zone", ordering="tz")
    def zone(self, row: Schedule) -> str:
        """Show the time zone and the venue whose sessions count."""
        return f"{row.tz} · {row.venue}" if row.venue else row.tz

    @admin.display(description="next due", ordering="next_fire_at")
    def next_fire(self, row: Schedule) -> str:
        """Show when the schedule is next due."""
        return instant(row.next_fire_at)

    @admin.display(description="slots")
    def ledger(self, row: Schedule) -> SafeString:
        """Link what became of each due time."""
        return page_link("slot_changelist", "all due times", schedule=row.pk)


@admin.register(Slot)
class SlotAdmin(LedgerAdmin):
    """Show the one disposition of each due time."""

    list_display = ("id", "due_at", "disposed", "schedule", "decided", "reason")
    list_filter = (
        exact_filter("schedule_id", title="schedule number", name="schedule"),
        "disposition",
    )
    list_select_related = ("schedule__definition",)
    fields = ("schedule", "due_at", "disposed", "decided", "reason")

    @admin.display(description="due")
    def due_at(self, row: Slot) -> str:
        """Show the due time."""
        return instant(row.due)

    @admin.display(description="disposition")
    def disposed(self, row: Slot) -> SafeString:
        """Show what became of it."""
        return badge(row.disposition)

    @admin.display(description="decided")
    def decided(self, row: Slot) -> str:
        """Show when it was decided."""
        return instant(row.decided_at)

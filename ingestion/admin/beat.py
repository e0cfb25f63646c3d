"""django-celery-beat's own pages in the look of ours, and which beat leads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django_celery_beat import admin as beat
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from ingestion.admin.base import BoundedAdmin, LedgerAdmin
from ingestion.admin.display import instant
from ingestion.models import BeatLease

if TYPE_CHECKING:
    from django.contrib.admin.widgets import AdminTextInputWidget as TextInput
    from django.forms import Select
else:  # the same widgets in the look of ours
    from unfold.widgets import UnfoldAdminSelectWidget as Select
    from unfold.widgets import UnfoldAdminTextInputWidget as TextInput

for _model in (PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule):
    admin.site.unregister(_model)


class TaskSelect(Select, beat.TaskSelectWidget):  # type: ignore[misc]
    """Offer the tasks that the workers know."""


class PeriodicTaskForm(beat.PeriodicTaskForm):  # type: ignore[misc]
    """Choose or type the name of a task."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A person who may only look gets no fields.
        for name, widget in (("task", TextInput()), ("regtask", TaskSelect())):
            if name in self.fields:
                self.fields[name].widget = widget


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(beat.PeriodicTaskAdmin, BoundedAdmin):  # type: ignore[misc]
    """Edit what beat sends; our own ticks are entered again at every start."""

    form = PeriodicTaskForm

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offer actions to those who may change tasks: the package itself checks nothing."""
        if not self.has_change_permission(request):
            return {}
        actions: dict[str, Any] = super().get_actions(request)
        return actions


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(BoundedAdmin):
    """Edit intervals."""


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(BoundedAdmin):
    """Edit crontab lines."""

    list_display = ("__str__", "human_readable")
    readonly_fields = ("human_readable",)


@admin.register(SolarSchedule)
class SolarScheduleAdmin(BoundedAdmin):
    """Edit schedules by the sun."""


@admin.register(ClockedSchedule)
class ClockedScheduleAdmin(BoundedAdmin):
    """Edit single times."""


@admin.register(BeatLease)
class BeatLeaseAdmin(LedgerAdmin):
    """Show which beat leads; another one takes over once the lease has run out."""

    list_display = ("name", "host", "held_until", "leads_since", "holder")
    fields = list_display

    @admin.display(description="until")
    def held_until(self, row: BeatLease) -> str:
        """Show when the lease runs out unless it is renewed."""
        return instant(row.until)

    @admin.display(description="leads since")
    def leads_since(self, row: BeatLease) -> str:
        """Show when this beat began to lead."""
        return instant(row.taken_at)

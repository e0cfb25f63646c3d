"""Schedules, and the ledger of what became of each due time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import F, QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest
from django.utils.safestring import SafeString

from ingestion import clock
from ingestion.admin.acting import ActingAdmin, Verb, list_actions, reason_of
from ingestion.admin.base import BoundedList, ForgettingAdmin, LedgerAdmin, person
from ingestion.admin.display import NOTHING, badge, instant, page_link, sentence
from ingestion.admin.filters import exact_filter
from ingestion.admin.schedule_actions import VERBS
from ingestion.admin.schedule_form import ScheduleForm
from ingestion.admin.schedule_page import compose, last_slot, state_badge
from ingestion.domain.actor import Actor
from ingestion.domain.errors import MdcError
from ingestion.models import Schedule, Slot
from ingestion.services.declare_schedule import remove_schedule
from ingestion.services.recompute_fires import recompute_fires
from ingestion.services.show_schedule import show_schedule
from ingestion.store.schedule_reads import last_slots, view
from providers.errors import UnknownProvider

if TYPE_CHECKING:
    _Rows = QuerySet[Any]

# What moves due times; the rest counts when the next one comes.
_TIMING = frozenset(("rule", "tz", "venue", "starts_at", "ends_at", "jitter"))


class ListedSchedules(BoundedList):
    """Add to each schedule its rule in words and what became of its last due time."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, then the last slots: two queries, however long the page."""
        super().get_results(request)
        schedules: list[Any] = list(self.result_list)
        slots = last_slots([one.pk for one in schedules], limit=1)
        last = {one.schedule_id: one for one in slots}
        for schedule in schedules:
            schedule.view = view(schedule)
            schedule.last = last.get(schedule.pk)
        self.result_list = schedules


@admin.register(Schedule)
class ScheduleAdmin(ActingAdmin, ForgettingAdmin):
    """Edit when a definition is due; see when it will be, and what became of it."""

    form = ScheduleForm
    change_form_outer_before_template = "admin/ingestion/schedule.html"
    list_display = (
        "name",
        "definition",
        "action",
        "when",
        "next_due",
        "standing",
        "last",
        "overlap",
        "catchup",
    )
    list_filter = (
        "action",
        "overlap",
        "catchup",
        ("paused_at", admin.EmptyFieldListFilter),
    )
    list_select_related = ("definition",)
    search_fields = ("name", "definition__name", "venue", "note")
    autocomplete_fields = ("definition",)
    ordering = ("name",)
    sortable_by = ("name", "next_due")
    verbs = VERBS
    actions: Any = list_actions(VERBS.values())
    fieldsets = (
        (None, {"fields": (("name", "definition"), "action", "rule", ("venue", "tz"))}),
        ("Limits", {"fields": ("starts_at", "ends_at", "exclusions")}),
        (
            "Policies",
            {
                "fields": (
                    ("overlap", "catchup"),
                    ("max_lateness", "jitter"),
                    "pause_after_failures",
                )
            },
        ),
        ("Signals", {"fields": (("cooldown", "gather"),)}),
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ListedSchedules]:
        """Use the list that knows rules in words and last slots."""
        return ListedSchedules

    def save_model(
        self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool
    ) -> None:
        """Write what was edited; where that moves due times, reckon them anew from now on."""
        super().save_model(request, obj, form, change)
        if not change or _TIMING & set(form.changed_data):
            recompute_fires(now=clock.now(), schedule_ids=[obj.pk])
        warning = show_schedule(obj.name, now=clock.now()).warning
        if warning:
            messages.warning(request, sentence(warning))

    def forget(self, obj: Any, actor: Actor) -> None:
        """Forget a schedule and its slots."""
        remove_schedule(obj.name, actor=actor)

    # --- the list -----------------------------------------------------------------------------

    @admin.display(description="when")
    def when(self, row: Any) -> str:
        """Show the rule in plain words."""
        return str(row.view.words)

    @admin.display(description="next due", ordering="next_due_at")
    def next_due(self, row: Schedule) -> str:
        """Show when the schedule is next due."""
        return instant(row.next_due_at)

    @admin.display(description="state")
    def standing(self, row: Any) -> SafeString:
        """Show whether it fires."""
        return state_badge(row.view)

    @admin.display(description="last")
    def last(self, row: Any) -> SafeString | str:
        """Show what became of the last due time."""
        return last_slot(row.last)

    # --- the page -----------------------------------------------------------------------------

    def page_context(self, request: HttpRequest, row: Schedule) -> dict[str, Any]:
        """Show what comes, what was, and what can be asked."""
        return {
            "page": compose(show_schedule(row.name, now=clock.now())),
            "may_act": self.has_act_permission(request),
        }

    # --- acting -------------------------------------------------------------------------------

    def act_on_many(self, request: HttpRequest, verb: Verb[Any, Any], queryset: _Rows) -> None:
        """Run a verb on the chosen schedules, however many, by name."""
        self.act(request, verb, list(queryset.order_by("name").values_list("id", flat=True)))

    def act(self, request: HttpRequest, verb: Verb[Any, Any], numbers: Sequence[int]) -> None:
        """Run a verb on schedules; a refusal does not keep the others from theirs."""
        chosen = Schedule.objects.filter(pk__in=numbers).order_by("name")
        names = list(chosen.values_list("name", flat=True))
        if not names:
            raise Http404("There is no such schedule.")
        note = reason_of(request)
        for name in names:
            try:
                messages.success(request, verb.run(name, person(request), note))
            except MdcError as error:
                messages.error(request, f"{name}: {error.message}")
            except UnknownProvider as error:
                messages.error(request, f"{name}: {error.args[0]}")


@admin.register(Slot)
class SlotAdmin(LedgerAdmin):
    """Show the one disposition of each due time."""

    list_display = (
        "id",
        "due_at",
        "session",
        "disposed",
        "schedule",
        "started",
        "decided",
        "reason",
    )
    list_filter = (
        exact_filter("schedule_id", title="schedule number", name="schedule"),
        "disposition",
    )
    list_select_related = ("schedule__definition",)
    fields = ("schedule", "due_at", "session", "disposed", "into", "started", "decided", "reason")

    def get_queryset(self, request: HttpRequest) -> _Rows:
        """Add the number of the job, without the job."""
        slots: _Rows = super().get_queryset(request).annotate(job_number=F("job__id"))
        return slots

    @admin.display(description="due")
    def due_at(self, row: Slot) -> str:
        """Show the due time."""
        return instant(row.due)

    @admin.display(description="disposition")
    def disposed(self, row: Slot) -> SafeString:
        """Show what became of it."""
        return badge(row.disposition)

    @admin.display(description="job")
    def started(self, row: Any) -> SafeString | str:
        """Link the job that it started."""
        if row.job_number is None:
            return NOTHING
        return page_link("job_change", f"job {row.job_number}", row.job_number)

    @admin.display(description="decided")
    def decided(self, row: Slot) -> str:
        """Show when it was decided."""
        return instant(row.decided_at)

"""Job definitions and retry classes: templates that people edit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from ingestion import clock
from ingestion.admin.base import AuditedAdmin, ForgettingAdmin, LedgerInline, person
from ingestion.admin.display import instant, page_link, sentence
from ingestion.admin.schedule_page import state_badge
from ingestion.calendars import sessions_for
from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest, MdcError
from ingestion.domain.expectation import OutsideCalendar
from ingestion.domain.retry import RETRY_CLASSES
from ingestion.models import JobDefinition, RetryClass, Schedule
from ingestion.services.declare_definition import (
    DefinitionRequest,
    check_definition,
    remove_definition,
)
from ingestion.services.start_definition import start_definition
from ingestion.store.freshness import look_again
from ingestion.store.schedule_reads import view
from providers.errors import UnknownProvider, UnsupportedRequest
from providers.registry import adapter_names
from providers.types import Adjustment, Hours, Timeframe
from providers.venues import UnknownVenue

if TYPE_CHECKING:
    from django.forms import Textarea as TextArea
    from django.forms import TextInput

    _DefinitionForm = forms.ModelForm[JobDefinition]
else:  # the same widgets in the look of ours
    from unfold.widgets import UnfoldAdminTextareaWidget as TextArea
    from unfold.widgets import UnfoldAdminTextInputWidget as TextInput

    _DefinitionForm = forms.ModelForm


class DefinitionForm(_DefinitionForm):
    """Refuse names that nothing stands behind, before a job fails on them."""

    class Meta:
        model = JobDefinition
        fields = "__all__"
        widgets = {"symbols": TextArea({"rows": 4}), "providers": TextInput}

    def clean_providers(self) -> list[str]:
        """Require at least one provider, all with an adapter."""
        chosen: list[str] = self.cleaned_data["providers"]
        known = adapter_names()
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise ValidationError(
                f"No adapter is named {', '.join(unknown)}; there are {', '.join(known)}."
            )
        return chosen

    def clean_retry_class(self) -> str:
        """Require a built-in retry class or a row of our own."""
        name: str = self.cleaned_data["retry_class"]
        if name not in RETRY_CLASSES and not RetryClass.objects.filter(name=name).exists():
            raise ValidationError(
                f"No retry class is named {name}; {', '.join(RETRY_CLASSES)} are built in."
            )
        return name

    def clean(self) -> dict[str, Any]:
        """Refuse what its jobs would fail on."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        try:
            venue = sessions_for(cleaned["venue"]).venue if cleaned["venue"] else ""
            check_definition(_request(cleaned), now=clock.now())
        except BadRequest as error:
            field = _FIELDS.get(error.field, error.field)
            self.add_error(field if field in self.fields else None, sentence(error.message))
        except UnknownVenue as error:
            self.add_error("venue", sentence(str(error.args[0])))
        except UnsupportedRequest as error:
            self.add_error("timeframe", sentence(error.message))
        except OutsideCalendar as error:
            self.add_error("history_start", sentence(str(error.args[0])))
        else:
            cleaned["venue"] = venue
        return cleaned


# What requests call otherwise.
_FIELDS: Final = {"timeframes": "timeframe", "start": "history_start"}
# Of these freshness is judged.
_WATCHED: Final = frozenset(
    ("symbols", "timeframe", "adjustment", "hours", "providers", "freshness", "enabled")
)


def _request(cleaned: Mapping[str, Any]) -> DefinitionRequest:
    return DefinitionRequest(
        name=cleaned["name"],
        symbols=cleaned["symbols"],
        timeframe=Timeframe(cleaned["timeframe"]),
        history_start=cleaned["history_start"],
        providers=cleaned["providers"],
        adjustment=Adjustment(cleaned["adjustment"]) if cleaned["adjustment"] else None,
        hours=Hours(cleaned["hours"]),
        freshness=cleaned["freshness"],
        priority=cleaned["priority"],
        weight=cleaned["weight"],
        retry_class=cleaned["retry_class"],
        tries=cleaned["tries"],
        max_concurrency=cleaned["max_concurrency"],
    )


class ScheduleInline(LedgerInline):
    """Show the schedules of a definition; each is edited on its own page."""

    model = Schedule
    verbose_name_plural = "schedules"
    fields = ("page", "action", "when", "next_due", "standing")
    readonly_fields = fields
    ordering = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        """Read the definition along: each row says whether it is enabled."""
        schedules: QuerySet[Schedule] = super().get_queryset(request).select_related("definition")
        return schedules

    @admin.display(description="schedule")
    def page(self, row: Schedule) -> SafeString:
        """Link the schedule's page."""
        return page_link("schedule_change", row.name, row.pk)

    @admin.display(description="when")
    def when(self, row: Schedule) -> str:
        """Show the rule in plain words."""
        return view(row).words

    @admin.display(description="next due")
    def next_due(self, row: Schedule) -> str:
        """Show when it is next due."""
        return instant(row.next_due_at)

    @admin.display(description="state")
    def standing(self, row: Schedule) -> SafeString:
        """Show whether it fires."""
        return state_badge(view(row))


@admin.register(JobDefinition)
class JobDefinitionAdmin(ForgettingAdmin):
    """Edit what the user wants kept; running jobs keep the form they were opened with."""

    form = DefinitionForm
    inlines = (ScheduleInline,)
    actions = ("start",)
    list_display = (
        "name",
        "what",
        "providers",
        "history_start",
        "freshness",
        "priority",
        "retry_class",
        "enabled",
        "revision",
    )
    list_filter = ("enabled", "timeframe", "retry_class")
    search_fields = ("name",)
    ordering = ("name",)
    readonly_fields = ("revision",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("name", "enabled"),
                    "symbols",
                    ("timeframe", "history_start"),
                    ("providers", "venue"),
                    ("adjustment", "hours"),
                    "revision",
                )
            },
        ),
        ("Promises", {"fields": (("freshness", "deadline"), "stale_after")}),
        (
            "Pace",
            {
                "fields": (
                    ("priority", "weight"),
                    ("max_concurrency", "max_slices_per_round"),
                    ("tries", "retry_class"),
                    "slice_span",
                )
            },
        ),
    )

    @admin.display(description="what")
    def what(self, row: JobDefinition) -> str:
        """Show the first symbols and the timeframe."""
        shown = ", ".join(row.symbols[:3])
        more = f" and {len(row.symbols) - 3:,} more" if len(row.symbols) > 3 else ""
        return f"{shown}{more} · {row.timeframe}"

    def also_changed(self, obj: Any) -> Iterable[str]:
        """Count the edit as a new revision."""
        obj.revision += 1
        return ("revision",)

    def save_model(
        self, request: HttpRequest, obj: Any, form: forms.ModelForm[Any], change: bool
    ) -> None:
        """Write what was edited; where freshness hangs on it, let it be judged anew."""
        super().save_model(request, obj, form, change)
        if _WATCHED & set(form.changed_data):
            look_again(now=clock.now())

    def forget(self, obj: Any, actor: Actor) -> None:
        """Forget a definition, its schedules and their slots; what it fetched stays."""
        remove_definition(obj.name, actor=actor)

    @admin.action(description="Start one job of each now", permissions=["change"])
    def start(self, request: HttpRequest, queryset: QuerySet[JobDefinition]) -> None:
        """Start an update of the chosen definitions."""
        for name in queryset.order_by("name").values_list("name", flat=True):
            try:
                job_id = start_definition(
                    name, now=clock.now(), actor=person(request), egress=settings.EGRESS
                )
            except MdcError as error:
                messages.error(request, f"{name}: {error.message}")
            except UnknownProvider as error:
                messages.error(request, f"{name}: {error.args[0]}")
            else:
                messages.success(request, f"{name} has begun: job {job_id}.")


@admin.register(RetryClass)
class RetryClassAdmin(AuditedAdmin):
    """Edit retry classes of one's own; fast, conservative and provider_safe are built in."""

    list_display = (
        "name",
        "base_seconds",
        "cap_seconds",
        "factor",
        "jitter",
        "tries",
        "error_families",
    )
    search_fields = ("name",)
    ordering = ("name",)
    formfield_overrides = {ArrayField: {"widget": TextInput}}
    fields = (
        "name",
        ("base_seconds", "cap_seconds", "factor"),
        ("jitter", "tries"),
        "error_families",
    )

"""Job definitions and retry classes: templates that people edit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError

from ingestion.admin.base import AuditedAdmin
from ingestion.domain.retry import RETRY_CLASSES
from ingestion.models import JobDefinition, RetryClass
from providers.registry import adapter_names

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


@admin.register(JobDefinition)
class JobDefinitionAdmin(AuditedAdmin):
    """Edit what the user wants kept; running jobs keep the form they were opened with."""

    form = DefinitionForm
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
                    ("name", "enabled", "revision"),
                    "symbols",
                    ("timeframe", "adjustment", "hours"),
                    ("history_start", "providers"),
                )
            },
        ),
        ("Promises", {"fields": (("freshness", "deadline", "stale_after"),)}),
        (
            "Pace",
            {
                "fields": (
                    ("priority", "weight"),
                    ("max_concurrency", "max_slices_per_round", "slice_span"),
                    ("tries", "retry_class"),
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

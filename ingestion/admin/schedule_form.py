"""The form of a schedule: its rule as text, refused where it could never be due."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.core.exceptions import ValidationError

from ingestion import clock
from ingestion.admin.display import sentence
from ingestion.domain.errors import BadRequest, BadRule, CalendarEnds
from ingestion.domain.rules import UNDERSTOOD, parse_rule, rule_from_json, rule_text, rule_to_json
from ingestion.models import Schedule
from ingestion.services.check_schedule import When, check_when

if TYPE_CHECKING:
    from django.forms import Textarea as TextArea
    from django.forms import TextInput

    _ScheduleForm = forms.ModelForm[Schedule]
else:  # the same widgets in the look of ours
    from unfold.widgets import UnfoldAdminTextareaWidget as TextArea
    from unfold.widgets import UnfoldAdminTextInputWidget as TextInput

    _ScheduleForm = forms.ModelForm

_HELP: Final = UNDERSTOOD.replace("`", "")


class ScheduleForm(_ScheduleForm):
    """Read the rule as people type it, and refuse what could never fire."""

    rule = forms.CharField(widget=TextInput(), help_text=_HELP)

    class Meta:
        model = Schedule
        fields = "__all__"
        widgets = {"exclusions": TextArea({"rows": 2})}
        help_texts = {
            "tz": "such as America/New_York; empty: the venue's, or UTC",
            "venue": "whose sessions count, such as XNYS; empty: the definition's",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A person who may only look gets no fields.
        if "tz" in self.fields:
            self.fields["tz"].required = False
            self.fields["tz"].initial = ""
        if self.instance.pk:
            self.initial["rule"] = _typed(self.instance.rule)

    def clean_rule(self) -> dict[str, Any]:
        """Require a rule, and keep it as the database does."""
        try:
            return rule_to_json(parse_rule(self.cleaned_data["rule"]))
        except BadRule as error:
            raise ValidationError(sentence(error.message)) from error

    def clean_exclusions(self) -> Any:
        """Require a list; what is in it is checked with the rest."""
        exclusions = self.cleaned_data["exclusions"] or []
        if not isinstance(exclusions, list):
            raise ValidationError('Write a list, such as ["2026-12-24"].')
        return exclusions

    def clean(self) -> dict[str, Any]:
        """Require that it is ever due, and take zone and venue over where nobody said them."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        rule = rule_from_json(cleaned["rule"])
        try:
            counts = check_when(
                When(
                    rule=rule,
                    tz=cleaned["tz"],
                    venue=cleaned["venue"] or cleaned["definition"].venue,
                    starts_at=cleaned["starts_at"],
                    ends_at=cleaned["ends_at"],
                    jitter=cleaned["jitter"],
                    max_lateness=cleaned["max_lateness"],
                    cooldown=cleaned["cooldown"],
                    gather=cleaned["gather"],
                    exclusions=cleaned["exclusions"],
                ),
                now=clock.now(),
            )
        except BadRequest as error:
            raise ValidationError({error.field: sentence(error.message)}) from error
        except CalendarEnds as error:
            raise ValidationError(sentence(error.message)) from error
        return {**cleaned, "tz": counts.tz, "venue": counts.venue}


def _typed(stored: Any) -> str:
    try:
        return rule_text(rule_from_json(stored))
    except BadRule:
        return json.dumps(stored)

"""What people declared of venues' sessions: added here, never changed or removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest
from django.utils.safestring import SafeString

from ingestion import clock
from ingestion.admin.base import BoundedAdmin, BoundedList, person
from ingestion.admin.display import badge, instant
from ingestion.domain.errors import BadRequest
from ingestion.domain.expectation import OutsideCalendar
from ingestion.domain.override_text import Statement
from ingestion.domain.overrides import OverrideKind
from ingestion.models import CalendarOverride
from ingestion.services.declare_override import check_statement, declare_override
from ingestion.services.list_overrides import list_overrides
from providers.venues import UnknownVenue

if TYPE_CHECKING:
    from django.forms import Textarea as TextArea
    from django.forms import TextInput

    _OverrideForm = forms.ModelForm[CalendarOverride]
else:  # the same widgets in the look of ours
    from unfold.widgets import UnfoldAdminTextareaWidget as TextArea
    from unfold.widgets import UnfoldAdminTextInputWidget as TextInput

    _OverrideForm = forms.ModelForm

_HOUR: Final = (
    "13:00 on the venue's clock, -1 18:00 for the evening before, or 2026-11-27T18:00Z; empty: as"
    " usual"
)


class OverrideForm(_OverrideForm):
    """Take one statement about a session, with hours as people write them."""

    opens = forms.CharField(
        required=False, label="Opens, or a halt begins", widget=TextInput, help_text=_HOUR
    )
    closes = forms.CharField(
        required=False, label="Closes, or a halt ends", widget=TextInput, help_text=_HOUR
    )

    class Meta:
        model = CalendarOverride
        fields = ("venue", "session", "kind", "reason")
        widgets = {"reason": TextArea({"rows": 3})}
        help_texts = {
            "venue": "MIC, such as XNYS; what is declared of it holds for those that share it.",
            "reason": "An announcement, an address, a name.",
        }

    def clean_venue(self) -> str:
        """Know venues in any case."""
        venue: str = self.cleaned_data["venue"]
        return venue.strip().upper()

    def clean(self) -> dict[str, Any]:
        """Refuse what does not fit the calendar."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                check_statement(self.statement())
            except BadRequest as error:
                raise ValidationError(
                    {error.field: error.message} if error.field in self.fields else error.message
                ) from error
            except (OutsideCalendar, UnknownVenue) as error:
                raise ValidationError({"venue": str(error)}) from error
        return cleaned

    def statement(self) -> Statement:
        """Return what was typed."""
        typed = self.cleaned_data
        return Statement(
            venue=typed["venue"],
            session=typed["session"],
            kind=OverrideKind(typed["kind"]),
            opens=typed.get("opens", "").strip(),
            closes=typed.get("closes", "").strip(),
            reason=typed["reason"],
        )


class ListedPage(BoundedList):
    """Know of each statement on the page whether it still holds."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, then what holds: two queries."""
        super().get_results(request)
        held = {one.row.id for one in list_overrides()}
        for row in self.result_list:
            row.holds = row.pk in held


@admin.register(CalendarOverride)
class CalendarOverrideAdmin(BoundedAdmin):
    """Declare what is so of a session; to take it back, declare it withdrawn."""

    form = OverrideForm
    list_display = ("venue", "session", "what", "standing", "reason", "declared_by", "declared")
    list_filter = ("kind", "venue", "source")
    search_fields = ("venue", "reason")
    ordering = ("-id",)
    sortable_by = ()
    actions = None
    # A date's field is two wide: a third one in its row would run over it.
    fieldsets = ((None, {"fields": (("venue", "kind"), "session", ("opens", "closes"), "reason")}),)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show a statement as it was made."""
        if obj is None:
            return self.fieldsets
        shown = (("venue", "session", "kind"), "what", "reason", ("declared_by", "source"))
        return ((None, {"fields": (*shown, "declared")}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Name what is computed."""
        return ("what", "declared") if obj else ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ListedPage]:
        """Use the list that knows what holds."""
        return ListedPage

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: what was declared stays written."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: a statement is taken back by another one."""
        return False

    def save_model(
        self, request: HttpRequest, obj: Any, form: forms.ModelForm[Any], change: bool
    ) -> None:
        """Declare it as the command does, and say what that changed."""
        assert isinstance(form, OverrideForm)
        done = declare_override(form.statement(), actor=person(request), now=clock.now())
        obj.pk = CalendarOverride.objects.filter(venue=obj.venue).latest("id").pk
        days = done.sessions.get(obj.venue, ())
        if days:
            messages.info(request, f"{obj.venue}: {', '.join(map(str, days))} changed.")
        if done.doubted:
            messages.info(request, f"To be fetched again there: {done.doubted:,} series.")
        if done.schedules:
            messages.info(request, f"Next fires reckoned anew: {done.schedules:,} schedules.")

    @admin.display(description="what")
    def what(self, row: CalendarOverride) -> str:
        """Show the kind with its hours, in UTC."""
        hours = [instant(at) for at in (row.opens_at, row.closes_at)]
        if row.opens_at is None and row.closes_at is None:
            return str(row.kind)
        return f"{row.kind} {hours[0]} → {hours[1]}"

    @admin.display(description="holds")
    def standing(self, row: Any) -> SafeString:
        """Show whether a later statement replaced it."""
        if row.holds:
            return badge("holds", tone="success", sign="check")
        return badge("no longer", tone="default", sign="history")

    @admin.display(description="declared")
    def declared(self, row: CalendarOverride) -> str:
        """Show when it was declared."""
        return instant(row.declared_at)

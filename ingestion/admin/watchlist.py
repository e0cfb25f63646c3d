"""Named lists of symbols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from ingestion.admin.base import AuditedAdmin, person
from ingestion.admin.display import instant
from ingestion.domain.errors import BadRequest
from ingestion.domain.symbols import check_symbols
from ingestion.models import Watchlist
from ingestion.services.change_watchlist import set_watchlist

if TYPE_CHECKING:
    from django.forms import Textarea as TextArea

    _WatchlistForm = forms.ModelForm[Watchlist]
else:  # the same widget in the look of ours
    from unfold.widgets import UnfoldAdminTextareaWidget as TextArea

    _WatchlistForm = forms.ModelForm

SYMBOLS_SHOWN = 8


class WatchlistForm(_WatchlistForm):
    """Refuse what no symbol can be."""

    class Meta:
        model = Watchlist
        fields = ("name", "symbols")
        widgets = {"symbols": TextArea({"rows": 6})}
        help_texts = {"symbols": "Separated by commas."}

    def clean_symbols(self) -> list[str]:
        """Keep each symbol once, in the order given."""
        symbols = list(dict.fromkeys(self.cleaned_data["symbols"]))
        try:
            check_symbols(symbols)
        except BadRequest as error:
            raise ValidationError(error.message) from error
        return symbols


@admin.register(Watchlist)
class WatchlistAdmin(AuditedAdmin):
    """Edit lists that `--watchlist NAME` uses."""

    form = WatchlistForm
    list_display = ("name", "count", "some", "changed")
    search_fields = ("name",)
    ordering = ("name",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep the name of a list that exists: commands know it by that."""
        return ("name",) if obj else ()

    def save_model(
        self, request: HttpRequest, obj: Any, form: forms.ModelForm[Any], change: bool
    ) -> None:
        """Set the list as the command does."""
        set_watchlist(obj.name, symbols=obj.symbols, actor=person(request))
        if not change:
            obj.pk = Watchlist.objects.only("pk").get(name=obj.name).pk

    @admin.display(description="symbols")
    def count(self, row: Watchlist) -> int:
        """Count the symbols."""
        return len(row.symbols)

    @admin.display(description="first ones")
    def some(self, row: Watchlist) -> str:
        """Show the first symbols."""
        more = " …" if len(row.symbols) > SYMBOLS_SHOWN else ""
        return ", ".join(row.symbols[:SYMBOLS_SHOWN]) + more

    @admin.display(description="changed")
    def changed(self, row: Watchlist) -> str:
        """Show when it was last changed."""
        return instant(row.updated_at)

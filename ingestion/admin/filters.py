"""List filters that ask for one value instead of listing all that exist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest


class ExactFilter(SimpleListFilter):
    """Narrow a list to the rows whose `field` equals what was typed."""

    template = "admin/ingestion/filter_exact.html"
    field: str
    numeric: bool

    def has_output(self) -> bool:
        """Show the filter always: it lists no choices that could be too few."""
        return True

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer no choices."""
        return []

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Give the template what was typed."""
        yield {"value": self.value() or "", "numeric": self.numeric, "selected": False}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        """Apply the value; text where a number belongs sends the person back to the whole list."""
        value = self.value()
        if not value:
            return queryset
        if self.numeric and not value.isdecimal():
            raise IncorrectLookupParameters
        return queryset.filter(**{self.field: value})


def exact_filter(
    field: str, *, title: str, name: str, numeric: bool = True
) -> type[SimpleListFilter]:
    """Make a filter on a lookup such as `job_id`, typed as `?name=` in the address."""
    return type(
        f"{name.title()}Filter",
        (ExactFilter,),
        {"title": title, "parameter_name": name, "field": field, "numeric": numeric},
    )

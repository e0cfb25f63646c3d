"""Lists of tables whose primary key has several columns, which Django's own admin cannot show.

A page begins where the last one ended, by key (`(a, b) < (x, y)`): page ten thousand of the bars
costs as much as the first, and nothing is ever counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin import AdminSite
from django.contrib.auth.mixins import PermissionRequiredMixin
from django.core.exceptions import BadRequest, ValidationError
from django.db.models import Model, QuerySet
from django.http import QueryDict
from django.urls import URLPattern, path
from django.views.generic import TemplateView

if TYPE_CHECKING:
    _Rows = QuerySet[Any]

ROWS = 100
_SEPARATOR = "~"


@dataclass(frozen=True, slots=True)
class Page:
    """Hold the rows of one page, newest key first, and the keys at which its neighbours begin."""

    rows: list[Any]
    newer: str | None
    older: str | None


def read_page(queryset: _Rows, *, after: str | None, before: str | None) -> Page:
    """Read the page that follows the key `after`, or that precedes the key `before`.

    Keys are as Page gives them; one that cannot be read raises BadRequest.
    """
    # attname: a relation's name would sort by the other table's own order.
    names = [field.attname for field in queryset.model._meta.pk_fields]
    if before:
        rows = list(
            queryset.filter(pk__gt=_read_key(queryset.model, before)).order_by(*names)[: ROWS + 1]
        )
        has_newer, has_older = len(rows) > ROWS, True
        rows = rows[:ROWS][::-1]
    else:
        if after:
            queryset = queryset.filter(pk__lt=_read_key(queryset.model, after))
        rows = list(queryset.order_by(*(f"-{name}" for name in names))[: ROWS + 1])
        has_newer, has_older = bool(after), len(rows) > ROWS
        rows = rows[:ROWS]
    return Page(
        rows=rows,
        newer=_write_key(rows[0]) if rows and has_newer else None,
        older=_write_key(rows[-1]) if rows and has_older else None,
    )


def _write_key(row: Model) -> str:
    values = [getattr(row, field.attname) for field in row._meta.pk_fields]
    return _SEPARATOR.join(
        value.isoformat() if hasattr(value, "isoformat") else str(value) for value in values
    )


def _read_key(model: type[Model], text: str) -> tuple[Any, ...]:
    fields = model._meta.pk_fields
    parts = text.split(_SEPARATOR)
    if len(parts) != len(fields):
        raise BadRequest("This address names no row; go back to the list.")
    try:
        return tuple(field.to_python(part) for field, part in zip(fields, parts, strict=True))
    except ValidationError as error:
        raise BadRequest("This address names no row; go back to the list.") from error


class KeysetPage(PermissionRequiredMixin, TemplateView):
    """Show one table page by page; subclasses say which, and how a row looks.

    `form_class` reads the filters from the address, `headers` name the cells that `cells` makes.
    """

    template_name = "admin/ingestion/keyset.html"
    raise_exception = True
    site: AdminSite
    model: type[Model]
    title: str
    note = ""
    headers: Sequence[str]
    form_class: type[forms.Form] = forms.Form

    @classmethod
    def url(cls, route: str, *, site: AdminSite) -> URLPattern:
        """Return the address of the page inside the admin, named like Django's own lists."""
        view = cls.as_view()
        cls.site = site
        options = cls.model._meta
        return path(
            route,
            site.admin_view(view),
            name=f"{options.app_label}_{options.model_name}_changelist",
        )

    def get_permission_required(self) -> tuple[str]:
        """Ask for the view permission of the table."""
        options = self.model._meta
        return (f"{options.app_label}.view_{options.model_name}",)

    def narrow(self, queryset: _Rows, chosen: dict[str, Any]) -> _Rows:
        """Apply the filters that were filled in."""
        return queryset

    def cells(self, rows: Sequence[Any]) -> list[list[object]]:
        """Return what to show of each row."""
        raise NotImplementedError

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Read one page and the addresses of its neighbours."""
        form = self.form_class(self.request.GET or None)
        page = Page(rows=[], newer=None, older=None)
        if not form.is_bound or form.is_valid():
            chosen = form.cleaned_data if form.is_bound else {}
            page = read_page(
                self.narrow(self.model._default_manager.all(), chosen),
                after=self.request.GET.get("after"),
                before=self.request.GET.get("before"),
            )
        return super().get_context_data(
            **kwargs,
            **self.site.each_context(self.request),
            title=self.title,
            note=self.note,
            form=form,
            headers=self.headers,
            rows=self.cells(page.rows),
            newer_url=self._address(before=page.newer) if page.newer else None,
            older_url=self._address(after=page.older) if page.older else None,
            newest_url=self._address() if page.newer else None,
        )

    def _address(self, **where: str) -> str:
        query = QueryDict(mutable=True)
        query.update(self.request.GET)
        for name in ("after", "before"):
            query.pop(name, None)
        query.update(where)
        return f"?{query.urlencode()}"

"""What our admin pages share: bounded lists, read-only ledgers, audited edits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.db import OperationalError, connection, transaction
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from psycopg.errors import QueryCanceled

from ingestion.admin.pagination import EstimatedPaginator
from ingestion.domain.actor import Actor
from ingestion.store import audit

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin, TabularInline
    from django.contrib.admin.views.main import ChangeList

    _ModelAdmin = ModelAdmin[Any]
    _TabularInline = TabularInline[Any, Any]
else:  # unfold ships no types; its classes are Django's with another look
    from unfold.admin import ModelAdmin as _ModelAdmin
    from unfold.admin import TabularInline as _TabularInline
    from unfold.views import ChangeList

LIST_SECONDS = 5


def person(request: HttpRequest) -> Actor:
    """Name who is logged in, for the audit ledger."""
    return Actor(name=request.user.get_username(), source="admin")


class BoundedList(ChangeList):
    """Leave it to the paginator to say how many rows there are: it knows how well it knows."""

    def get_results(self, request: HttpRequest) -> None:
        """Read one page."""
        super().get_results(request)
        self.full_result_count = self.result_count


class BoundedAdmin(_ModelAdmin):
    """List a table of any size: nothing is counted in full, no page may take long."""

    paginator = EstimatedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 0
    list_filter_submit = True
    list_fullwidth = True

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Use the list that counts nothing twice."""
        return BoundedList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list; a filter that takes too long is dropped, and the person told so."""
        if request.method != "GET" or not request.GET:
            return super().changelist_view(request, extra_context)
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = '{LIST_SECONDS}s'")
                return super().changelist_view(request, extra_context)
        except OperationalError as error:
            if not isinstance(error.__cause__, QueryCanceled):
                raise
        messages.error(
            request,
            f"This filter took longer than {LIST_SECONDS} seconds and was dropped: "
            "narrow the list by a number or a state first.",
        )
        return HttpResponseRedirect(request.path)


class LedgerAdmin(BoundedAdmin):
    """Show what happened; nobody adds, changes or deletes it here."""

    actions = None
    ordering: ClassVar[tuple[str, ...]] = ("-pk",)
    sortable_by: ClassVar[tuple[str, ...]] = ()

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False


class LedgerInline(_TabularInline):
    """Show rows of a ledger on the page of what they belong to."""

    extra = 0
    max_num = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False


class AuditedAdmin(BoundedAdmin):
    """Edit a table by hand, each edit with an audit event in the same transaction.

    Only the columns that were changed are written: workers write other columns of the same row
    (send times, circuits) meanwhile, and an old copy must not overwrite theirs.
    """

    warn_unsaved_form = True

    def also_changed(self, obj: Any) -> Iterable[str]:
        """Set what follows from an edit on the object and name those fields."""
        return ()

    def save_model(
        self, request: HttpRequest, obj: Model, form: ModelForm[Any], change: bool
    ) -> None:
        """Write the edited columns and record what they were."""
        if not change:
            obj.save(force_insert=True)
            self._record(request, "create", obj, after=_plain_row(obj))
            return
        columns = {field.name for field in self.opts.concrete_fields}
        edited = [name for name in form.changed_data if name in columns]
        if not edited:
            return
        edited += self.also_changed(obj)
        stored = self.model._base_manager.select_for_update().get(pk=obj.pk)
        before = _plain_row(stored, edited)
        obj.save(update_fields=edited)
        self._record(request, "change", obj, before=before, after=_plain_row(obj, edited))

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        """Delete one row and record what it was."""
        self._record(request, "delete", obj, before=_plain_row(obj))
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        """Delete the chosen rows together and record what each was."""
        with transaction.atomic():
            for obj in queryset:
                self._record(request, "delete", obj, before=_plain_row(obj))
            super().delete_queryset(request, queryset)

    def _record(
        self,
        request: HttpRequest,
        act: str,
        obj: Model,
        *,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
    ) -> None:
        kind = self.opts.db_table
        audit.record(
            actor=person(request),
            action=f"{kind}.{act}",
            object_type=kind,
            object_id=obj.pk,
            before=before,
            after=after,
        )


class ForgettingAdmin(AuditedAdmin):
    """Let a service forget rows with all that hangs on them, however much that is.

    The page that asks whether to does not list what hangs on them: a ledger may be long.
    """

    def forget(self, obj: Any, actor: Actor) -> None:
        """Forget one row through its service, which audits it."""
        raise NotImplementedError

    def get_deleted_objects(
        self, objs: Iterable[Any], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """Name the rows alone, with the right that deleting them asks for."""
        named = [str(obj) for obj in objs]
        allowed = self.has_delete_permission(request)
        needed = set() if allowed else {str(self.opts.verbose_name)}
        return list(named), {str(self.opts.verbose_name_plural): len(named)}, needed, []

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        """Forget one row."""
        self.forget(obj, person(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        """Forget the chosen rows together."""
        with transaction.atomic():
            for obj in queryset:
                self.forget(obj, person(request))


def _plain_row(obj: Model, names: Iterable[str] | None = None) -> dict[str, Any]:
    chosen = set(names) if names is not None else None
    return {
        field.name: _plain(field.value_from_object(obj))
        for field in obj._meta.concrete_fields
        if chosen is None or field.name in chosen
    }


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str | dict):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)

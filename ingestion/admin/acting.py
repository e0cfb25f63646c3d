"""Acting on rows: verbs as POST actions, on a row's page and on many rows of the list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from ingestion.admin.base import BoundedAdmin
from ingestion.domain.actor import Actor

if TYPE_CHECKING:
    _Rows = QuerySet[Any]
    _ListAction = Callable[["ActingAdmin", HttpRequest, _Rows], HttpResponse | None]

# A request that takes longer would outlast the browser's patience.
MOST_AT_ONCE = 500
_SENTENCES_SHOWN = 5

Subject = TypeVar("Subject")
Standing = TypeVar("Standing")


@dataclass(frozen=True, slots=True)
class Verb(Generic[Subject, Standing]):
    """Describe one verb: its words, its sign, the service behind it and when it is offered.

    `run` takes what it acts on, who asks and why, and returns a sentence.
    """

    name: str
    label: str
    sign: str
    run: Callable[[Subject, Actor, str], str]
    offered: Callable[[Standing], bool]
    confirm: bool = False
    needs_reason: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """Gather what became of a verb on several rows: sentences for people."""

    done: tuple[str, ...]
    refused: tuple[str, ...]


def list_actions(verbs: Iterable[Verb[Any, Any]]) -> tuple[_ListAction, ...]:
    """Make the list's actions for verbs."""
    return tuple(_list_action(verb) for verb in verbs)


def _list_action(verb: Verb[Any, Any]) -> _ListAction:
    @admin.action(description=verb.label, permissions=["act"])
    def run(model_admin: ActingAdmin, request: HttpRequest, queryset: _Rows) -> HttpResponse | None:
        return model_admin.act_on_many(request, verb, queryset)

    run.__name__ = verb.name
    return run


class ActingAdmin(BoundedAdmin):
    """Let people with the right to change rows act on them by `verbs`.

    Whoever inherits says in `act` how a verb runs, and sets `actions` to `list_actions`.
    """

    verbs: ClassVar[Mapping[str, Verb[Any, Any]]]
    confirm_template: ClassVar[str]
    question: ClassVar[str] = "{verb} {rows}?"

    def act(self, request: HttpRequest, verb: Verb[Any, Any], numbers: Sequence[int]) -> None:
        """Run a verb on rows by number, and say what came of it."""
        raise NotImplementedError

    def asks_first(self, request: HttpRequest, verb: Verb[Any, Any]) -> bool:
        """Tell whether a page stands between choosing rows of the list and acting on them."""
        return True

    def confirm_context(self, numbers: Sequence[int]) -> dict[str, Any]:
        """Return what that page shows besides the question."""
        return {}

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Return what a row's page shows above its form."""
        return {}

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may act."""
        return request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")

    def get_urls(self) -> list[URLPattern]:
        """Add the verbs."""
        act = path(
            "<int:number>/act/<slug:verb>/",
            self.admin_site.admin_view(self.act_view),
            name=f"{self.opts.app_label}_{self.opts.model_name}_act",
        )
        return [act, *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show above the form what the person may see and do."""
        context = dict(extra_context or {})
        if object_id is not None and self.has_view_permission(request):
            row = self.get_object(request, unquote(object_id))
            if row is not None:
                context |= self.page_context(request, row)
        return super().changeform_view(request, object_id, form_url, context)

    def act_view(self, request: HttpRequest, number: int, verb: str) -> HttpResponse:
        """Run one verb on one row and go back to its page."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_act_permission(request):
            raise PermissionDenied
        if verb not in self.verbs:
            raise Http404(f"Nothing called {verb} can be done to a {self.opts.verbose_name}.")
        self.act(request, self.verbs[verb], [number])
        return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", number)

    def act_on_many(
        self, request: HttpRequest, verb: Verb[Any, Any], queryset: _Rows
    ) -> HttpResponse | None:
        """Run a verb on the chosen rows, after a look at their number where that is wise."""
        numbers = list(queryset.order_by("id").values_list("id", flat=True)[: MOST_AT_ONCE + 1])
        if len(numbers) > MOST_AT_ONCE:
            messages.error(
                request,
                f"These are more than {MOST_AT_ONCE:,} {self.opts.verbose_name_plural}: narrow the"
                " list by a filter and act in parts. Nothing was done.",
            )
            return None
        if self.asks_first(request, verb) and "confirmed" not in request.POST:
            return self._ask(request, verb, numbers)
        self.act(request, verb, numbers)
        return None

    def _ask(
        self, request: HttpRequest, verb: Verb[Any, Any], numbers: Sequence[int]
    ) -> HttpResponse:
        noun = self.opts.verbose_name if len(numbers) == 1 else self.opts.verbose_name_plural
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": self.question.format(verb=verb.label, rows=f"{len(numbers):,} {noun}"),
            "verb": verb,
            "ids": numbers,
            **self.confirm_context(numbers),
        }
        return TemplateResponse(request, self.confirm_template, context)


def reason_of(request: HttpRequest) -> str:
    """Return why the person asks, as typed."""
    return request.POST.get("reason", "").strip()[:500]


def tell(request: HttpRequest, result: Result) -> None:
    """Show what was done and what was refused."""
    if result.done:
        messages.success(request, shorten(result.done))
    if result.refused:
        messages.error(request, shorten(result.refused))


def shorten(sentences: Sequence[str]) -> str:
    """Join the first few sentences and count the rest."""
    shown = " ".join(sentences[:_SENTENCES_SHOWN])
    more = len(sentences) - _SENTENCES_SHOWN
    return f"{shown} And {more:,} more." if more > 0 else shown

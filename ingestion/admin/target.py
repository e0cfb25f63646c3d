"""Targets that receive bars besides the bar table, and what is still to be delivered to them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.safestring import SafeString

from ingestion.admin.base import BoundedAdmin, BoundedList, LedgerAdmin, person
from ingestion.admin.display import NOTHING, badge, duration, instant, page_link, window
from ingestion.admin.filters import exact_filter
from ingestion.models import OutboxEntry, Target
from ingestion.services.list_targets import list_targets
from ingestion.services.pause_target import pause_target
from ingestion.services.resize_target import resize_target
from ingestion.services.resume_target import resume_target
from ingestion.store.targets import Standing
from ingestion.targets.registry import sink_class

if TYPE_CHECKING:
    _Rows = QuerySet[Any]

# Tone and sign of how a target goes on.
_STATES = {
    "on": ("success", "check"),
    "paused": ("warning", "pause"),
    "stopped": ("danger", "error"),
    "retrying": ("warning", "replay"),
    "no worker": ("danger", "error"),
}


class ListedTargets(BoundedList):
    """Add to each target what is pending for it."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, then the standings: two queries, however many targets."""
        super().get_results(request)
        known = {one.target.id: one for one in list_targets()}
        targets: list[Any] = list(self.result_list)
        for target in targets:
            target.standing = known.get(target.pk)
        # A target that was removed between the queries has nothing left to show.
        self.result_list = [target for target in targets if target.standing is not None]


@admin.register(Target)
class TargetAdmin(BoundedAdmin):
    """Show targets; `mdc target` declares and removes them, for it can try the way to them."""

    list_display = ("name", "kind", "state", "pending", "lag", "delivered", "last", "problem")
    list_filter = ("kind", "enabled")
    search_fields = ("name",)
    ordering = ("name",)
    sortable_by = ("name", "kind")
    actions = ("pause", "resume")
    readonly_fields = (
        "name",
        "kind",
        "guarantee",
        "settings",
        "only",
        "state",
        "pending",
        "lag",
        "delivered",
        "last",
        "problem",
        "next_try",
        "declared",
    )
    fieldsets = (
        (None, {"fields": (("name", "kind"), "guarantee", "settings", "only", "batch_size")}),
        ("Now", {"fields": (("state", "next_try"), "problem", ("pending", "lag"))}),
        ("So far", {"fields": (("delivered", "last"), "declared")}),
    )

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: `mdc target add` checks folder, address and settings where they are used."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: `mdc target remove` says what is forgotten with it."""
        return False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ListedTargets]:
        """Use the list that knows what is pending."""
        return ListedTargets

    def save_model(
        self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool
    ) -> None:
        """Change the batch size, which is all that is edited here."""
        if "batch_size" in form.changed_data:
            resize_target(obj.name, batch_size=obj.batch_size, actor=person(request))

    @admin.action(description="Pause deliveries", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Target]) -> None:
        """Withhold deliveries to the chosen targets."""
        self._act(request, queryset, pause_target, done="paused", undone="paused already")

    @admin.action(description="Let deliveries go on", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Target]) -> None:
        """Let the chosen targets try again at once."""
        self._act(request, queryset, resume_target, done="resumed", undone="not stopped")

    def _act(
        self,
        request: HttpRequest,
        queryset: QuerySet[Target],
        act: Callable[..., bool],
        *,
        done: str,
        undone: str,
    ) -> None:
        names = list(queryset.order_by("name").values_list("name", flat=True))
        acted = [name for name in names if act(name, actor=person(request))]
        if acted:
            messages.success(request, f"Deliveries {done}: {', '.join(acted)}.")
        rest = [name for name in names if name not in acted]
        if rest:
            messages.info(request, f"Nothing to do, {undone}: {', '.join(rest)}.")

    # --- what is shown ------------------------------------------------------------------------

    @admin.display(description="state")
    def state(self, row: Any) -> SafeString:
        """Show how it goes on."""
        word = _standing(row).state
        tone, sign = _STATES[word]
        return badge(word, tone=tone, sign=sign)

    @admin.display(description="pending")
    def pending(self, row: Any) -> SafeString | str:
        """Link what is still to be delivered."""
        standing = _standing(row)
        if not standing.pending_entries:
            return "nothing"
        return page_link("outboxentry_changelist", f"{standing.pending_bars:,} bars", target=row.pk)

    @admin.display(description="oldest waits for")
    def lag(self, row: Any) -> str:
        """Show for how long the oldest bars have been waiting."""
        standing = _standing(row)
        return duration(timedelta(seconds=standing.lag)) if standing.pending_entries else NOTHING

    @admin.display(description="delivered")
    def delivered(self, row: Target) -> str:
        """Count what has arrived."""
        return f"{row.delivered_bars:,} bars in {row.delivered_batches:,} batches"

    @admin.display(description="last delivery")
    def last(self, row: Target) -> str:
        """Show when a batch last arrived."""
        return instant(row.delivered_at)

    @admin.display(description="error")
    def problem(self, row: Target) -> str:
        """Show what the last delivery failed of."""
        return row.error or NOTHING

    @admin.display(description="next try")
    def next_try(self, row: Target) -> str:
        """Show when a failed delivery is tried again."""
        return instant(row.next_attempt_at) if row.enabled and row.failures else NOTHING

    @admin.display(description="guarantee")
    def guarantee(self, row: Target) -> str:
        """Say what a delivery is worth."""
        return sink_class(row.kind).GUARANTEE

    @admin.display(description="settings")
    def settings(self, row: Target) -> str:
        """Show the stored settings, which never hold a secret."""
        return ", ".join(f"{key}: {value}" for key, value in row.config.items()) or NOTHING

    @admin.display(description="receives")
    def only(self, row: Target) -> str:
        """Show which bars it receives."""
        filters = {
            "from": row.providers,
            "of": row.symbols,
            "at": row.timeframes,
        }
        words = [f"{word} {', '.join(names)}" for word, names in filters.items() if names]
        return "bars " + " ".join(words) if words else "all bars"

    @admin.display(description="declared")
    def declared(self, row: Target) -> str:
        """Show since when it has been collecting."""
        return instant(row.created_at)


def _standing(row: Any) -> Standing:
    """Return what the list has read, or read it for the page of one target."""
    if not hasattr(row, "standing"):
        row.standing = next(one for one in list_targets() if one.target.id == row.pk)
    standing: Standing = row.standing
    return standing


@admin.register(OutboxEntry)
class OutboxEntryAdmin(LedgerAdmin):
    """Show the notes of what is still to be delivered, the next ones first."""

    list_display = ("id", "target", "series", "span", "rows", "evidence", "noted")
    list_filter = (exact_filter("target_id", title="target number", name="target"),)
    list_select_related = ("target",)
    ordering = ("id",)
    fields = ("target", "series", "span", "rows", "evidence", "noted")

    @admin.display(description="series")
    def series(self, row: OutboxEntry) -> SafeString:
        """Link the series."""
        return page_link("series_change", f"series {row.series_id}", row.series_id)

    @admin.display(description="window")
    def span(self, row: OutboxEntry) -> str:
        """Show the window in stamps."""
        return window(row.window)

    @admin.display(description="because of")
    def evidence(self, row: OutboxEntry) -> SafeString | str:
        """Link the attempt that brought the bars; a replay has none."""
        if not row.attempt_id:
            return "a replay"
        return page_link("attempt_change", f"attempt {row.attempt_id}", row.attempt_id)

    @admin.display(description="noted")
    def noted(self, row: OutboxEntry) -> str:
        """Show since when it has been waiting."""
        return instant(row.created_at)

"""Slices of jobs and each try at them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString

from ingestion.admin.base import LedgerAdmin
from ingestion.admin.display import NOTHING, badge, instant, page_link, stamp, window
from ingestion.admin.filters import exact_filter
from ingestion.models import Attempt, Slice

_by_job = exact_filter("job_id", title="job number", name="job")
_by_series = exact_filter("series_id", title="series number", name="series")
_by_error = exact_filter("error_class", title="error class", name="error", numeric=False)


@admin.register(Slice)
class SliceAdmin(LedgerAdmin):
    """Show the units of work; they change through their job's actions alone."""

    list_display = (
        "id",
        "job_link",
        "series",
        "span",
        "state_shown",
        "tries",
        "crashes",
        "next_attempt",
        "rows",
        "error_class",
    )
    list_filter = (_by_job, _by_series, "state", _by_error)
    list_select_related = ("series__instrument",)
    fields = (
        "job_link",
        "series",
        "account",
        "span",
        "state_shown",
        ("tries", "crashes", "suspect"),
        "rows",
        "last_bar",
        "resume",
        "next_attempt",
        "lease",
        "error_class",
        "error",
        "replaces_link",
        "attempts",
    )

    @admin.display(description="job")
    def job_link(self, row: Slice) -> SafeString:
        """Link the job."""
        return page_link("job_change", f"job {row.job_id}", row.job_id)

    @admin.display(description="window")
    def span(self, row: Slice) -> str:
        """Show the window in stamps."""
        return window(row.window)

    @admin.display(description="state")
    def state_shown(self, row: Slice) -> SafeString:
        """Show where the slice stands."""
        return badge(row.state)

    @admin.display(description="next attempt")
    def next_attempt(self, row: Slice) -> str:
        """Show when the slice may be tried next, as long as it waits."""
        return instant(row.next_attempt_at) if row.state == "ready" else NOTHING

    @admin.display(description="last bar")
    def last_bar(self, row: Slice) -> str:
        """Show the stamp of the last bar stored."""
        return stamp(row.last_ts)

    @admin.display(description="goes on from")
    def resume(self, row: Slice) -> str:
        """Show where a slice that was given back in the middle goes on."""
        return stamp(row.resume_from)

    @admin.display(description="lease")
    def lease(self, row: Slice) -> str:
        """Show who works on it, and until when that is believed."""
        if row.lease_until is None:
            return NOTHING
        return f"executor {row.executor_id} until {instant(row.lease_until)}"

    @admin.display(description="replaces")
    def replaces_link(self, row: Slice) -> str | SafeString:
        """Link the slice that this one took over from."""
        if row.replaces_id is None:
            return NOTHING
        return page_link("slice_change", f"slice {row.replaces_id}", row.replaces_id)

    @admin.display(description="attempts")
    def attempts(self, row: Slice) -> SafeString:
        """Link each try."""
        return page_link("attempt_changelist", "each try at this slice", slice=row.pk)


@admin.register(Attempt)
class AttemptAdmin(LedgerAdmin):
    """Show each try at a slice: what was asked, what came, what was stored."""

    list_display = (
        "id",
        "ended",
        "outcome_shown",
        "job_link",
        "slice_link",
        "series_link",
        "n",
        "requests",
        "took",
        "rows_in",
        "stored",
        "error_class",
    )
    list_filter = (
        _by_job,
        exact_filter("slice_id", title="slice number", name="slice"),
        _by_series,
        "outcome",
        _by_error,
    )
    fields = (
        ("job_link", "slice_link"),
        ("series_link", "account_link"),
        ("outcome_shown", "n"),
        ("leased", "begun", "ended"),
        ("requests", "pages"),
        "waited",
        ("rows_in", "inserted", "unchanged"),
        ("revised", "vanished", "quarantined"),
        "error_class",
        "detail",
        "payload_sha",
        ("code_version", "executor_id"),
    )

    @admin.display(description="ended")
    def ended(self, row: Attempt) -> str:
        """Show when the try ended."""
        return instant(row.ended_at)

    @admin.display(description="leased")
    def leased(self, row: Attempt) -> str:
        """Show when the slice was taken."""
        return instant(row.leased_at)

    @admin.display(description="begun")
    def begun(self, row: Attempt) -> str:
        """Show when the permit allowed the first request."""
        return instant(row.begun_at)

    @admin.display(description="outcome")
    def outcome_shown(self, row: Attempt) -> SafeString:
        """Show how the try ended."""
        return badge(row.outcome)

    @admin.display(description="job")
    def job_link(self, row: Attempt) -> SafeString:
        """Link the job."""
        return page_link("job_change", row.job_id, row.job_id)

    @admin.display(description="slice")
    def slice_link(self, row: Attempt) -> SafeString:
        """Link the slice."""
        return page_link("slice_change", row.slice_id, row.slice_id)

    @admin.display(description="series")
    def series_link(self, row: Attempt) -> SafeString:
        """Link the series."""
        return page_link("series_change", row.series_id, row.series_id)

    @admin.display(description="account")
    def account_link(self, row: Attempt) -> SafeString:
        """Link the account."""
        return page_link("account_change", row.account_id, row.account_id)

    @admin.display(description="took")
    def took(self, row: Attempt) -> str:
        """Show the time from the first permit to the end."""
        return took(row)

    @admin.display(description="new / same / revised")
    def stored(self, row: Attempt) -> str:
        """Show what the writer did with the rows."""
        return f"{row.inserted:,} / {row.unchanged:,} / {row.revised:,}"


def took(row: Any) -> str:
    """Write the seconds from the first permit, or the lease where none was used, to the end."""
    begun = row.begun_at or row.leased_at
    return f"{max(0.0, (row.ended_at - begun).total_seconds()):.2f} s"

"""Keep what people declare of venues' sessions; append-only."""

from __future__ import annotations

from django.db.models import Max

from ingestion.domain.overrides import Override, OverrideKind
from ingestion.models import CalendarOverride


def read_revision() -> int:
    """Return the revision of all calendars: the last statement's id, 0 before the first."""
    return CalendarOverride.objects.aggregate(last=Max("id"))["last"] or 0


def read_all(*, until: int) -> list[Override]:
    """Return every statement up to a revision, in the order they were made."""
    rows = CalendarOverride.objects.filter(id__lte=until).order_by("id")
    return [
        Override(venue, session, OverrideKind(kind), opens_at, closes_at)
        for venue, session, kind, opens_at, closes_at in rows.values_list(
            "venue", "session", "kind", "opens_at", "closes_at"
        ).iterator()
    ]

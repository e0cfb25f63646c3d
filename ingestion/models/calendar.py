"""What people declare about a venue's sessions beyond the calendar package."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from ingestion.domain.overrides import OverrideKind
from ingestion.models.choices import choices, one_of


class CalendarOverride(models.Model):
    """State what is so of one session; append-only, the last statement of a session holds.

    Times are instants; a halt has both, other hours have one or both, None keeps the usual one.
    A session without an open of its own keeps the venue's. `id` is the revision of all calendars.
    """

    venue = models.CharField(max_length=8)
    session = models.DateField()
    kind = models.CharField(max_length=16, choices=choices(OverrideKind))
    opens_at = models.DateTimeField(null=True, blank=True)
    closes_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField()
    declared_by = models.CharField(max_length=150)
    declared_at = models.DateTimeField(db_default=Now())
    source = models.CharField(max_length=16, help_text="cli, admin, file or api")

    class Meta:
        db_table = "calendar_override"
        indexes = [models.Index(fields=["venue", "session", "-id"], name="override_of_session")]
        constraints = [
            one_of("kind", OverrideKind, name="override_kind_known"),
            models.CheckConstraint(condition=~Q(reason=""), name="override_has_reason"),
            models.CheckConstraint(
                condition=Q(opens_at__isnull=True)
                | Q(closes_at__isnull=True)
                | Q(opens_at__lt=models.F("closes_at")),
                name="override_opens_first",
            ),
            models.CheckConstraint(
                condition=(
                    Q(kind__in=["closed", "withdrawn"])
                    & Q(opens_at__isnull=True)
                    & Q(closes_at__isnull=True)
                )
                | (
                    Q(kind__in=["special", "halt"])
                    & Q(opens_at__isnull=False)
                    & Q(closes_at__isnull=False)
                )
                | (Q(kind="hours") & (Q(opens_at__isnull=False) | Q(closes_at__isnull=False))),
                name="override_times_fit_kind",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.venue} {self.session}: {self.kind}"

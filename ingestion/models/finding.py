"""What the quality checks found, and what they have still to look at."""

from __future__ import annotations

from django.contrib.postgres.fields import DateTimeRangeField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from ingestion.domain.findings import Check, FindingState, Severity
from ingestion.models.choices import choices, one_of
from ingestion.models.fields import TstzMultirangeField
from ingestion.models.instrument import Series
from ingestion.models.job import Job


class Finding(models.Model):
    """Hold one thing that looks wrong, with its evidence.

    `fingerprint` names what was found: while a finding is open or being repaired, the same thing
    found again only counts up. `job` is the repair that was last opened for it.
    """

    kind = models.CharField(max_length=24, choices=choices(Check))
    series = models.ForeignKey(
        Series, null=True, blank=True, on_delete=models.CASCADE, related_name="findings"
    )
    provider = models.CharField(max_length=64, blank=True)
    window = DateTimeRangeField(null=True, blank=True)
    severity = models.CharField(max_length=8, choices=choices(Severity))
    state = models.CharField(
        max_length=12, choices=choices(FindingState), default=FindingState.OPEN
    )
    fingerprint = models.CharField(max_length=64)
    evidence = models.JSONField(default=dict)
    attempt_id = models.BigIntegerField(null=True, blank=True)
    job = models.ForeignKey(
        Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="findings"
    )
    times = models.PositiveIntegerField(default=1)
    found_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.CharField(max_length=150, blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        db_table = "finding"
        indexes = [
            models.Index(fields=["series", "kind"], name="finding_of_series"),
            models.Index(
                fields=["state", "-id"],
                condition=Q(state__in=["open", "repairing"]),
                name="finding_unsettled",
            ),
            models.Index(
                fields=["fingerprint", "-id"],
                condition=Q(state="accepted"),
                name="finding_accepted",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["fingerprint"],
                condition=Q(state__in=["open", "repairing"]),
                name="finding_once_while_unsettled",
            ),
            one_of("kind", Check, name="finding_kind_known"),
            one_of("severity", Severity, name="finding_severity_known"),
            one_of("state", FindingState, name="finding_state_known"),
            models.CheckConstraint(
                condition=~Q(state="accepted") | (~Q(reason="") & ~Q(closed_by="")),
                name="finding_accepted_with_reason",
            ),
            models.CheckConstraint(
                condition=(Q(state__in=["resolved", "accepted"]) & Q(closed_at__isnull=False))
                | (~Q(state__in=["resolved", "accepted"]) & Q(closed_at__isnull=True)),
                name="finding_closed_iff_settled",
            ),
            models.CheckConstraint(
                condition=Q(window__isnull=True) | Q(window__isempty=False),
                name="finding_window_not_empty",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class Inspection(models.Model):
    """Remember which part of a series was written since the quality checks last looked."""

    series = models.OneToOneField(Series, on_delete=models.CASCADE, primary_key=True)
    pending = TstzMultirangeField()
    since = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "inspection"
        indexes = [models.Index(fields=["since"], name="inspection_oldest")]

    def __str__(self) -> str:
        return f"inspection of series {self.series_id}"

"""What is loaded, what is proven empty, and the sessions both are judged by."""

from __future__ import annotations

from django.contrib.postgres.fields import DateTimeRangeField
from django.contrib.postgres.indexes import GistIndex
from django.db import models
from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now

from ingestion.models.fields import TstzMultirangeField
from ingestion.models.instrument import Series


class Coverage(models.Model):
    """Keep the loaded windows of a series in stamp space.

    `doubted` was loaded once and is to be fetched again as a reconciliation; its bars stay.
    """

    series = models.OneToOneField(Series, on_delete=models.CASCADE, primary_key=True)
    loaded = TstzMultirangeField()
    doubted = TstzMultirangeField(db_default=RawSQL("'{}'::tstzmultirange", []))
    first_ts = models.DateTimeField(null=True, help_text="the first bar ever stored")
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "coverage"
        verbose_name_plural = "coverage"

    def __str__(self) -> str:
        return f"coverage of series {self.series_id}"


class EmptyProof(models.Model):
    """Explain a window without bars, with the attempt that showed it and when to look again."""

    REASONS = ("no_trade", "halted", "closed", "not_listed", "beyond_provider_history")

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="proofs")
    window = DateTimeRangeField()
    reason = models.CharField(max_length=32, choices=[(r, r.replace("_", " ")) for r in REASONS])
    attempt_id = models.BigIntegerField()
    proven_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "empty_proof"
        indexes = [GistIndex(fields=["series", "window"], name="empty_proof_window")]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    reason__in=[
                        "no_trade",
                        "halted",
                        "closed",
                        "not_listed",
                        "beyond_provider_history",
                    ]
                ),
                name="empty_proof_reason_known",
            ),
            models.CheckConstraint(
                condition=Q(window__isempty=False), name="empty_proof_window_not_empty"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reason} in series {self.series_id}"


class MissingSession(models.Model):
    """Remember an expected session, or the part of one, that a first look found without any bar.

    A second look that agrees turns it into an EmptyProof; bars that arrive delete it. `looks` is 0
    where the last look brought rows of which none could be stored: that proves nothing.
    """

    series = models.ForeignKey(Series, on_delete=models.CASCADE)
    window = DateTimeRangeField()
    looks = models.PositiveSmallIntegerField(default=1)
    attempt_id = models.BigIntegerField()
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "missing_session"
        constraints = [
            models.UniqueConstraint(fields=["series", "window"], name="missing_session_once")
        ]

    def __str__(self) -> str:
        return f"missing in series {self.series_id}"


class VenueSession(models.Model):
    """Keep a venue's sessions as rows, so that SQL can judge gaps as the planner does.

    Nothing trades in `halts`, as in the break. `earliest_at` and `latest_at` bound the extended
    hours; `utc_offset` is the venue's, in seconds, by which its clock is read at the open.
    """

    pk = models.CompositePrimaryKey("venue", "label")
    venue = models.CharField(max_length=8)
    label = models.DateField()
    opens_at = models.DateTimeField()
    closes_at = models.DateTimeField()
    break_start = models.DateTimeField(null=True)
    break_end = models.DateTimeField(null=True)
    halts = TstzMultirangeField(db_default=RawSQL("'{}'::tstzmultirange", []))
    earliest_at = models.DateTimeField()
    latest_at = models.DateTimeField()
    utc_offset = models.IntegerField(db_default=0)

    class Meta:
        db_table = "venue_session"
        constraints = [
            models.CheckConstraint(
                condition=Q(opens_at__lt=models.F("closes_at")), name="venue_session_opens_first"
            )
        ]

    def __str__(self) -> str:
        return f"{self.venue} {self.label}"

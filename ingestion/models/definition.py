"""Templates for jobs: what the user wants kept, and how failures are retried."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from ingestion.models.choices import choices
from providers.types import Adjustment, Hours, Timeframe


class RetryClass(models.Model):
    """Define a retry class by name; the built-in ones live in ingestion.domain.retry."""

    name = models.SlugField(max_length=32, unique=True)
    base_seconds = models.FloatField(default=1.0)
    cap_seconds = models.FloatField(default=30.0)
    factor = models.FloatField(default=2.0)
    jitter = models.BooleanField(default=True)
    tries = models.PositiveSmallIntegerField(default=5)
    error_families = ArrayField(
        models.CharField(max_length=16), default=list, blank=True, help_text="empty: the default"
    )

    class Meta:
        db_table = "retry_class"
        verbose_name_plural = "retry classes"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(tries__gte=1)
                & models.Q(base_seconds__gt=0)
                & models.Q(cap_seconds__gte=models.F("base_seconds"))
                & models.Q(factor__gte=1),
                name="retry_class_sane",
            )
        ]

    def __str__(self) -> str:
        return self.name


class JobDefinition(models.Model):
    """Declare a dataset with its priority, pace and promises."""

    name = models.SlugField(max_length=100, unique=True)
    symbols = ArrayField(models.CharField(max_length=64))
    timeframe = models.CharField(max_length=8, choices=choices(Timeframe))
    adjustment = models.CharField(
        max_length=16,
        choices=choices(Adjustment),
        blank=True,
        default="",
        help_text="empty: the basis that the provider declares",
    )
    hours = models.CharField(max_length=16, choices=choices(Hours), default=Hours.REGULAR)
    venue = models.CharField(
        max_length=8, blank=True, help_text="calendar of symbols of which nothing is known yet"
    )
    history_start = models.DateField()
    providers = ArrayField(models.CharField(max_length=32), help_text="in order of preference")
    slice_span = models.DurationField(
        null=True,
        blank=True,
        help_text="empty: 30 days for historical work, 2 hours for intraday polling, "
        "and wider for daily bars where one request holds more",
    )
    max_slices_per_round = models.PositiveSmallIntegerField(default=5)
    max_concurrency = models.PositiveSmallIntegerField(default=5)
    tries = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="empty: as many as the retry class allows"
    )
    freshness = models.DurationField(
        null=True, blank=True, help_text="how soon after the close a session must be complete"
    )
    deadline = models.DurationField(
        null=True, blank=True, help_text="how long one job of this definition may take"
    )
    stale_after = models.DurationField(
        null=True, blank=True, help_text="retries that would land later than this are dropped"
    )
    freshness_since = models.DateTimeField(
        null=True, blank=True, help_text="sessions that were due earlier are not judged"
    )
    next_freshness_at = models.DateTimeField(null=True, blank=True)
    priority = models.PositiveSmallIntegerField(default=120)
    weight = models.PositiveSmallIntegerField(default=1)
    retry_class = models.CharField(max_length=32, default="fast")
    revision = models.PositiveIntegerField(default=1)
    enabled = models.BooleanField(default=True)

    class Meta:
        db_table = "job_definition"
        indexes = [
            models.Index(
                fields=["next_freshness_at"],
                condition=models.Q(freshness__isnull=False),
                name="definition_freshness_due",
            ),
            # Whose judging is to begin or to end; empty but for the second after an edit.
            models.Index(
                fields=["id"],
                condition=models.Q(freshness__isnull=False, enabled=True, freshness_since=None)
                | models.Q(freshness=None, freshness_since__isnull=False)
                | models.Q(enabled=False, freshness_since__isnull=False),
                name="definition_freshness_switched",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(priority__lte=255), name="definition_priority_range"
            ),
            models.CheckConstraint(
                condition=models.Q(weight__gte=1)
                & models.Q(max_concurrency__gte=1)
                & models.Q(max_slices_per_round__gte=1)
                & models.Q(tries__gte=1),
                name="definition_counts_positive",
            ),
        ]

    def __str__(self) -> str:
        return self.name

"""How each closed session was kept: complete when it was due, or not."""

from __future__ import annotations

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q

from ingestion.models.definition import JobDefinition


class Freshness(models.Model):
    """Judge one session of one venue for a definition, once, when it was due to be complete.

    `lacking` symbols were not complete then, of `series` that should have been; `complete_at` is
    when all of them were seen to be: at the judgement, or later.
    """

    definition = models.ForeignKey(
        JobDefinition, on_delete=models.CASCADE, related_name="freshness_record"
    )
    venue = models.CharField(max_length=8)
    session = models.DateField()
    closed_at = models.DateTimeField()
    due_at = models.DateTimeField()
    judged_at = models.DateTimeField()
    series = models.PositiveIntegerField()
    lacking = models.PositiveIntegerField()
    sample = models.JSONField(default=list, help_text="some of the symbols that lacked")
    complete_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "freshness"
        verbose_name_plural = "freshness"
        indexes = [
            models.Index(
                fields=["definition"],
                condition=Q(complete_at__isnull=True),
                name="freshness_breached",
            ),
            BrinIndex(fields=["due_at"], autosummarize=True, name="freshness_due"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["definition", "venue", "session"], name="freshness_once"
            ),
            models.CheckConstraint(
                condition=Q(lacking__lte=models.F("series")), name="freshness_lacking_of_series"
            ),
            models.CheckConstraint(
                condition=Q(lacking__gt=0) | Q(complete_at__isnull=False),
                name="freshness_complete_or_lacking",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.venue} {self.session}: {self.series - self.lacking} of {self.series}"

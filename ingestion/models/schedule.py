"""When definitions are due, and what became of each due time."""

from __future__ import annotations

from django.db import models

from ingestion.models.definition import JobDefinition


class Schedule(models.Model):
    """Hold one rule by which a definition becomes due."""

    definition = models.ForeignKey(
        JobDefinition, on_delete=models.CASCADE, related_name="schedules"
    )
    rule = models.JSONField()
    tz = models.CharField(max_length=64, default="UTC")
    venue = models.CharField(max_length=8, blank=True)
    next_fire_at = models.DateTimeField(null=True, blank=True)
    overlap = models.CharField(
        max_length=16,
        default="skip",
        choices=[(v, v) for v in ("skip", "buffer_one", "buffer_all", "allow_all")],
    )
    catchup = models.CharField(
        max_length=16, default="latest", choices=[(v, v) for v in ("none", "latest", "each")]
    )
    max_lateness = models.DurationField(null=True, blank=True)
    jitter = models.DurationField(null=True, blank=True)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    enabled = models.BooleanField(default=True)
    note = models.TextField(blank=True)

    class Meta:
        db_table = "schedule"
        indexes = [
            models.Index(
                fields=["next_fire_at"],
                condition=models.Q(enabled=True),
                name="schedule_due",
            )
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(overlap__in=["skip", "buffer_one", "buffer_all", "allow_all"]),
                name="schedule_overlap_known",
            ),
            models.CheckConstraint(
                condition=models.Q(catchup__in=["none", "latest", "each"]),
                name="schedule_catchup_known",
            ),
        ]

    def __str__(self) -> str:
        return f"schedule {self.pk} of {self.definition}"


class Slot(models.Model):
    """Record the one disposition of one due time."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="slots")
    due = models.DateTimeField()
    disposition = models.CharField(max_length=16)
    decided_at = models.DateTimeField()
    reason = models.TextField(blank=True)

    class Meta:
        db_table = "slot"
        constraints = [
            models.UniqueConstraint(fields=["schedule", "due"], name="slot_once"),
            models.CheckConstraint(
                condition=models.Q(
                    disposition__in=[
                        "fired",
                        "coalesced",
                        "skipped_late",
                        "skipped_overlap",
                        "paused",
                        "excluded",
                    ]
                ),
                name="slot_disposition_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.due:%Y-%m-%d %H:%M}Z {self.disposition}"

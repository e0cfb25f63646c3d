"""Signals: things that happened to symbols, and the schedules that wait for them."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField, DateTimeRangeField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from ingestion.models.schedule import Schedule, Slot


class Signal(models.Model):
    """Record that something happened; append-only.

    Without `symbols` it speaks of all symbols of whoever listens, without `timeframe` of all bar
    lengths, without `window` of all that is asked by default.
    """

    name = models.SlugField(max_length=64)
    symbols = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    timeframe = models.CharField(max_length=8, blank=True)
    window = DateTimeRangeField(null=True, blank=True)
    evidence = models.JSONField(default=dict, blank=True)
    actor = models.CharField(max_length=150)
    reason = models.TextField(blank=True)
    raised_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "signal"
        indexes = [
            models.Index(fields=["name", "-id"], name="signal_of_name"),
            BrinIndex(fields=["raised_at"], autosummarize=True, name="signal_raised"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(window__isnull=True) | Q(window__isempty=False),
                name="signal_window_not_empty",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.pk}"


class SignalMatch(models.Model):
    """Remember that a schedule is to act on a signal, and by which slot it did."""

    signal = models.ForeignKey(Signal, on_delete=models.CASCADE, related_name="matches")
    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="matches")
    slot = models.ForeignKey(
        Slot, null=True, blank=True, on_delete=models.CASCADE, related_name="matches"
    )

    class Meta:
        db_table = "signal_match"
        indexes = [
            models.Index(
                fields=["schedule"], condition=Q(slot__isnull=True), name="signal_match_waiting"
            )
        ]
        constraints = [
            models.UniqueConstraint(fields=["signal", "schedule"], name="signal_match_once")
        ]

    def __str__(self) -> str:
        return f"signal {self.signal_id} for schedule {self.schedule_id}"

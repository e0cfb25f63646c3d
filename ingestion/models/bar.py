"""Prices, their superseded versions, and rows that were refused.

`bar` and `bar_revision` are made by SQL in the migrations (partitions, no foreign keys) and are
written by ingestion.store.bars alone.
"""

from __future__ import annotations

from django.db import models


class Bar(models.Model):
    """Hold one bar of one series."""

    pk = models.CompositePrimaryKey("series_id", "ts", "sequence")
    series_id = models.IntegerField()
    sequence = models.IntegerField()
    ts = models.DateTimeField(help_text="start of the bar, UTC")
    open = models.FloatField()
    high = models.FloatField()
    low = models.FloatField()
    close = models.FloatField()
    volume = models.FloatField(null=True)
    known_from = models.DateTimeField()
    attempt_id = models.BigIntegerField()
    vwap = models.FloatField(null=True)
    trades = models.IntegerField(null=True)
    final = models.BooleanField()

    class Meta:
        db_table = "bar"
        managed = False

    def __str__(self) -> str:
        return f"{self.series_id} {self.ts:%Y-%m-%d %H:%M}Z"


class BarRevision(models.Model):
    """Hold a superseded version of a bar and the time in which it was known."""

    pk = models.CompositePrimaryKey("series_id", "ts", "sequence", "known_from")
    series_id = models.IntegerField()
    sequence = models.IntegerField()
    ts = models.DateTimeField()
    open = models.FloatField()
    high = models.FloatField()
    low = models.FloatField()
    close = models.FloatField()
    volume = models.FloatField(null=True)
    known_from = models.DateTimeField()
    attempt_id = models.BigIntegerField()
    vwap = models.FloatField(null=True)
    trades = models.IntegerField(null=True)
    final = models.BooleanField()
    known_to = models.DateTimeField()

    class Meta:
        db_table = "bar_revision"
        managed = False

    def __str__(self) -> str:
        return f"{self.series_id} {self.ts:%Y-%m-%d %H:%M}Z until {self.known_to}"


class Quarantine(models.Model):
    """Keep a refused row as the provider sent it, with the reason."""

    attempt_id = models.BigIntegerField(db_index=True)
    series_id = models.IntegerField()
    ts = models.DateTimeField(null=True)
    reason = models.CharField(max_length=32)
    raw = models.JSONField()

    class Meta:
        db_table = "quarantine"
        indexes = [models.Index(fields=["series_id", "ts"], name="quarantine_of_series")]

    def __str__(self) -> str:
        return f"{self.reason} in series {self.series_id}"

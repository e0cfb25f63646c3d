"""What is traded, how each provider calls it, and the series kept of it."""

from __future__ import annotations

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField, RangeOperators
from django.db import models

from ingestion.models.choices import choices, one_of
from providers.types import Adjustment, Anchor, Hours, Timeframe


class Instrument(models.Model):
    """Name something traded; `symbol` is canonical and unique."""

    symbol = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=200, blank=True)
    asset_class = models.CharField(max_length=16, default="equity")
    venue = models.CharField(max_length=8, help_text="MIC of the venue, such as XNYS")
    currency = models.CharField(max_length=8, default="USD")
    has_volume = models.BooleanField(default=True)
    listed_from = models.DateField(null=True, blank=True)
    delisted_on = models.DateField(null=True, blank=True)

    class Meta:
        db_table = "instrument"
        ordering = ["symbol"]

    def __str__(self) -> str:
        return self.symbol


class ProviderSymbol(models.Model):
    """Say how a provider calls an instrument, and when it did so."""

    provider = models.CharField(max_length=32)
    vendor_symbol = models.CharField(max_length=64)
    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="aliases")
    valid = DateRangeField(help_text="half-open range of session dates")

    class Meta:
        db_table = "provider_symbol"
        constraints = [
            ExclusionConstraint(
                name="provider_symbol_one_instrument",
                expressions=[
                    ("provider", RangeOperators.EQUAL),
                    ("vendor_symbol", RangeOperators.EQUAL),
                    ("valid", RangeOperators.OVERLAPS),
                ],
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider}:{self.vendor_symbol}"


class Series(models.Model):
    """Identify one stored sequence of records; every part of the identity is declared."""

    id = models.AutoField(primary_key=True)
    provider = models.CharField(max_length=32)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="series")
    event_type = models.CharField(max_length=16, default="bar")
    timeframe = models.CharField(max_length=8, choices=choices(Timeframe))
    adjustment = models.CharField(max_length=16, choices=choices(Adjustment))
    hours = models.CharField(max_length=16, choices=choices(Hours), default=Hours.REGULAR)
    anchor = models.CharField(max_length=16, choices=choices(Anchor), default=Anchor.OPEN)
    precedence = models.PositiveSmallIntegerField(
        default=100, help_text="lower wins in the view bars_best"
    )

    class Meta:
        db_table = "series"
        verbose_name_plural = "series"
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "provider",
                    "instrument",
                    "event_type",
                    "timeframe",
                    "adjustment",
                    "hours",
                    "anchor",
                ],
                name="series_identity",
            ),
            one_of("timeframe", Timeframe, name="series_timeframe_known"),
            one_of("adjustment", Adjustment, name="series_adjustment_known"),
            one_of("hours", Hours, name="series_hours_known"),
            one_of("anchor", Anchor, name="series_anchor_known"),
        ]

    def __str__(self) -> str:
        return f"{self.provider}:{self.instrument.symbol}/{self.timeframe}"

"""What is traded, how each provider calls it, and the series kept of it."""

from __future__ import annotations

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateRangeField, RangeOperators
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from ingestion.models.choices import choices, one_of
from providers.instruments import ActionKind, AssetClass
from providers.types import Adjustment, Anchor, Hours, Timeframe


class Instrument(models.Model):
    """Name something traded; `symbol` is canonical and unique.

    `underlying` is the root symbol of a futures contract, which ends on `delisted_on`. `facts_from`
    says who stated venue and dates: a guess may be replaced by anybody, a user's word by nobody.
    """

    FACTS_FROM = ("guess", "reference", "provider", "user")

    symbol = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=200, blank=True)
    asset_class = models.CharField(
        max_length=16, choices=choices(AssetClass), default=AssetClass.EQUITY
    )
    underlying = models.CharField(
        max_length=64, blank=True, db_default="", help_text="root of a contract"
    )
    venue = models.CharField(max_length=8, help_text="MIC of the venue, such as XNYS")
    currency = models.CharField(max_length=8, default="USD")
    has_volume = models.BooleanField(default=True)
    listed_from = models.DateField(null=True, blank=True)
    delisted_on = models.DateField(
        null=True, blank=True, help_text="the first date without a session, such as after expiry"
    )
    facts_from = models.CharField(
        max_length=16, choices=[(one, one) for one in FACTS_FROM], db_default="user"
    )

    class Meta:
        db_table = "instrument"
        ordering = ["symbol"]
        constraints = [
            one_of("asset_class", AssetClass, name="instrument_asset_class_known"),
            models.CheckConstraint(
                condition=Q(facts_from__in=["guess", "reference", "provider", "user"]),
                name="instrument_facts_from_known",
            ),
            models.CheckConstraint(
                # A NULL would let any row pass; only two known dates can contradict each other.
                condition=Q(listed_from__isnull=True)
                | Q(delisted_on__isnull=True)
                | Q(listed_from__lt=F("delisted_on")),
                name="instrument_listed_before_delisted",
            ),
        ]

    def __str__(self) -> str:
        return self.symbol


class ProviderSymbol(models.Model):
    """Say how a provider calls an instrument, and when it did so."""

    provider = models.CharField(max_length=32)
    vendor_symbol = models.CharField(max_length=64)
    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="aliases")
    valid = DateRangeField(help_text="half-open range of session dates")
    roll_rule = models.CharField(
        max_length=200,
        blank=True,
        db_default="",
        help_text="how the provider splices a continuous series",
    )

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


class Watchlist(models.Model):
    """Name a list of symbols, in the order given."""

    name = models.SlugField(max_length=64, unique=True)
    symbols = ArrayField(models.CharField(max_length=64))
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "watchlist"
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(symbols__len__gte=1), name="watchlist_not_empty")
        ]

    def __str__(self) -> str:
        return self.name


class CorporateActionRecord(models.Model):
    """Record a split or dividend as one provider stated it, and the time in which it was known.

    `value` is new shares per old one, or cash per share, as in providers.instruments. A statement
    that was corrected or withdrawn stays, with `known_to` set.
    """

    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="actions")
    provider = models.CharField(max_length=32)
    ex_date = models.DateField()
    kind = models.CharField(max_length=16, choices=choices(ActionKind))
    value = models.FloatField()
    currency = models.CharField(max_length=8, blank=True)
    attempt_id = models.BigIntegerField(null=True)
    known_from = models.DateTimeField()
    known_to = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "corporate_action"
        verbose_name = "corporate action"
        constraints = [
            models.UniqueConstraint(
                fields=["instrument", "provider", "ex_date", "kind"],
                condition=Q(known_to__isnull=True),
                name="corporate_action_one_truth",
            ),
            models.CheckConstraint(condition=Q(value__gt=0), name="corporate_action_positive"),
            models.CheckConstraint(
                condition=Q(known_to__isnull=True) | Q(known_from__lt=F("known_to")),
                name="corporate_action_known_forward",
            ),
            one_of("kind", ActionKind, name="corporate_action_kind_known"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.value:g} of {self.instrument} on {self.ex_date}"

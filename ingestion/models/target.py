"""Where committed bars are delivered besides the bar table, and what is still to be delivered."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField, DateTimeRangeField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Target(models.Model):
    """Declare one place that receives committed bars; its filters are null for "all".

    `config` is what its kind needs, never a secret: those are read from the environment. A target
    that is not `enabled` delivers nothing, while its outbox goes on collecting. `batch` names the
    entries of the delivery that was begun last and is not over, the last of them up to the stamp
    `batch_until`: another try repeats exactly that.
    """

    KINDS = ("parquet", "bus", "webhook")

    name = models.SlugField(max_length=64, unique=True)
    kind = models.CharField(max_length=16, choices=[(one, one) for one in KINDS])
    config = models.JSONField(default=dict)
    batch_size = models.PositiveIntegerField(default=10_000, help_text="bars in one delivery")
    enabled = models.BooleanField(default=True)
    providers = ArrayField(models.CharField(max_length=32), null=True, blank=True)
    symbols = ArrayField(models.CharField(max_length=64), null=True, blank=True)
    timeframes = ArrayField(models.CharField(max_length=8), null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    next_attempt_at = models.DateTimeField(db_default=Now())
    batch = ArrayField(models.BigIntegerField(), null=True, blank=True)
    batch_until = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0, help_text="deliveries failed in a row")
    error = models.TextField(blank=True)
    delivered_bars = models.PositiveBigIntegerField(default=0)
    delivered_batches = models.PositiveBigIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "target"
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["parquet", "bus", "webhook"]), name="target_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(batch_size__gte=1) & Q(batch_size__lte=1_000_000),
                name="target_batch_size_range",
            ),
            models.CheckConstraint(
                condition=Q(lease_token__isnull=True, lease_until__isnull=True)
                | Q(lease_token__isnull=False, lease_until__isnull=False),
                name="target_token_iff_leased",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class OutboxEntry(models.Model):
    """Say that bars of one committed slice are still to be delivered to one target.

    Written in the transaction that stored the bars, deleted once they are delivered. What is due
    are the bars of the window that this attempt or a later one wrote, as they are at delivery;
    `attempt_id` 0 asks for all of them. `rows` bounds how many that were.
    """

    target = models.ForeignKey(Target, on_delete=models.CASCADE, related_name="outbox")
    series_id = models.IntegerField()
    window = DateTimeRangeField()
    attempt_id = models.BigIntegerField()
    rows = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "outbox"
        verbose_name = "pending delivery"
        verbose_name_plural = "pending deliveries"
        indexes = [models.Index(fields=["target", "id"], name="outbox_of_target")]
        constraints = [
            models.CheckConstraint(
                condition=Q(window__isempty=False), name="outbox_window_not_empty"
            )
        ]

    def __str__(self) -> str:
        return f"series {self.series_id} for {self.target}"

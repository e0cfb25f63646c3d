"""Who may ask a provider, and how often."""

from __future__ import annotations

from django.db import models

from ingestion.models.fields import TstzArrayField


class Account(models.Model):
    """Hold one set of credentials at one provider from one egress; the key itself is never here."""

    provider = models.CharField(max_length=32)
    name = models.CharField(max_length=64, default="default")
    egress = models.CharField(max_length=64, default="local")
    enabled = models.BooleanField(default=True)
    writes = models.BooleanField(default=True, help_text="whether what it fetches may be stored")
    blocked_until = models.DateTimeField(null=True, blank=True)
    circuit = models.CharField(
        max_length=16, default="closed", choices=[("closed", "closed"), ("open", "open")]
    )
    circuit_reason = models.TextField(blank=True)
    max_in_flight = models.PositiveSmallIntegerField(default=16)
    paced_until = models.DateTimeField(
        null=True, blank=True, help_text="when the budgets next allow a request"
    )

    class Meta:
        db_table = "account"
        constraints = [
            models.UniqueConstraint(fields=["provider", "name", "egress"], name="account_identity"),
            models.CheckConstraint(
                condition=models.Q(max_in_flight__gte=1), name="account_in_flight_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider}/{self.name}"


class Budget(models.Model):
    """Keep one limit and the send times counted against it.

    Belongs to an account (the provider's limit) or to a job (its own, which can only lower).
    Instants are PostgreSQL's clock.
    """

    account = models.ForeignKey(Account, null=True, blank=True, on_delete=models.CASCADE)
    job = models.ForeignKey("Job", null=True, blank=True, on_delete=models.CASCADE)
    endpoint = models.CharField(max_length=64, default="bars")
    algorithm = models.CharField(
        max_length=8, choices=[("log", "log"), ("gcra", "gcra"), ("quota", "quota")]
    )
    n = models.PositiveIntegerField(help_text="requests allowed per window")
    window_ms = models.PositiveBigIntegerField()
    guard_ms = models.PositiveIntegerField(default=160)
    cost = models.PositiveSmallIntegerField(default=1)
    sends = TstzArrayField(default=list, blank=True)
    tat = models.DateTimeField(null=True, blank=True)
    stretch = models.FloatField(default=1.0)
    stretched_at = models.DateTimeField(null=True, blank=True)
    learned_floor = models.FloatField(null=True, blank=True)
    day = models.DateField(null=True, blank=True)
    reset_tz = models.CharField(max_length=64, default="UTC")
    used = models.PositiveIntegerField(default=0)
    reserve_pct = models.PositiveSmallIntegerField(default=0)

    class Meta:
        db_table = "budget"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(account__isnull=False) ^ models.Q(job__isnull=False),
                name="budget_of_account_or_job",
            ),
            models.CheckConstraint(
                condition=models.Q(algorithm__in=["log", "gcra", "quota"]),
                name="budget_algorithm_known",
            ),
            models.CheckConstraint(
                condition=models.Q(n__gte=1) & models.Q(window_ms__gte=1),
                name="budget_limit_positive",
            ),
            models.CheckConstraint(
                condition=models.Q(stretch__gte=1.0), name="budget_stretch_only_slows"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.n} per {self.window_ms} ms"

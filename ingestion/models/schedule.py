"""When definitions are due, what became of each due time, and which beat fires them."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Now

from ingestion.domain.schedules import Catchup, Disposition, Overlap, ScheduleAction
from ingestion.models.choices import choices, one_of
from ingestion.models.definition import JobDefinition


class Schedule(models.Model):
    """Hold one rule by which a definition becomes due.

    `rule`, `tz` and `venue` are read by ingestion.domain.rules. `next_due_at` is the next nominal
    due time and `next_fire_at` the same with jitter; both are NULL where nothing is due any more,
    and for a rule on signals until one is raised. Every due time up to `decided_until` has its
    slot. A paused schedule stays due: its slots are recorded as paused. `failures` counts jobs
    that failed in a row.
    """

    name = models.SlugField(max_length=100, unique=True)
    definition = models.ForeignKey(
        JobDefinition, on_delete=models.CASCADE, related_name="schedules"
    )
    action = models.CharField(
        max_length=16, choices=choices(ScheduleAction), default=ScheduleAction.UPDATE
    )
    rule = models.JSONField()
    tz = models.CharField(max_length=64, default="UTC")
    venue = models.CharField(max_length=8, blank=True)
    next_due_at = models.DateTimeField(null=True, blank=True)
    next_fire_at = models.DateTimeField(null=True, blank=True)
    decided_until = models.DateTimeField(null=True, blank=True)
    last_fired_at = models.DateTimeField(null=True, blank=True)
    overlap = models.CharField(max_length=16, choices=choices(Overlap), default=Overlap.SKIP)
    catchup = models.CharField(max_length=16, choices=choices(Catchup), default=Catchup.LATEST)
    max_lateness = models.DurationField(
        null=True, blank=True, help_text="a slot that is later than this is skipped"
    )
    jitter = models.DurationField(
        null=True, blank=True, help_text="each slot fires up to so much after its due time"
    )
    cooldown = models.DurationField(
        default=timedelta(minutes=5), help_text="for signals: at most one job in this time"
    )
    gather = models.DurationField(
        default=timedelta(seconds=5), help_text="for signals: how long the first waits for others"
    )
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    exclusions = models.JSONField(
        default=list, blank=True, help_text='days or [from, before) pairs: ["2026-12-24"]'
    )
    pause_after_failures = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="so many failed jobs in a row pause the schedule"
    )
    failures = models.PositiveSmallIntegerField(default=0)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=150, blank=True)
    note = models.TextField(blank=True)

    class Meta:
        db_table = "schedule"
        indexes = [
            models.Index(
                fields=["next_fire_at"],
                condition=Q(next_fire_at__isnull=False),
                name="schedule_due",
            ),
            models.Index(fields=["venue"], condition=~Q(venue=""), name="schedule_of_venue"),
            models.Index(
                fields=["id"],
                condition=Q(paused_at__isnull=True, failures__gte=F("pause_after_failures")),
                name="schedule_failing",
            ),
            # Who listens to a signal, among any number of schedules that go by the clock.
            models.Index(
                KeyTextTransform("name", "rule"),
                condition=Q(rule__kind="signal"),
                name="schedule_on_signal",
            ),
        ]
        constraints = [
            one_of("action", ScheduleAction, name="schedule_action_known"),
            one_of("overlap", Overlap, name="schedule_overlap_known"),
            one_of("catchup", Catchup, name="schedule_catchup_known"),
            models.CheckConstraint(
                condition=Q(next_due_at__isnull=False) | Q(next_fire_at__isnull=True),
                name="schedule_fires_what_is_due",
            ),
            models.CheckConstraint(
                condition=Q(pause_after_failures__isnull=True) | Q(pause_after_failures__gte=1),
                name="schedule_failures_positive",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Slot(models.Model):
    """Record the one disposition of one due time.

    `session` is the label of the session that the rule fired for; `into` the slot that a coalesced
    one became part of.
    """

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="slots")
    due = models.DateTimeField()
    session = models.DateField(null=True, blank=True)
    disposition = models.CharField(max_length=16, choices=choices(Disposition))
    decided_at = models.DateTimeField()
    into = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="coalesced"
    )
    reason = models.TextField(blank=True)

    class Meta:
        db_table = "slot"
        # Written in the order of time and never changed: a few pages find any span of it.
        indexes = [BrinIndex(fields=["decided_at"], autosummarize=True, name="slot_decided")]
        constraints = [
            models.UniqueConstraint(fields=["schedule", "due"], name="slot_once"),
            one_of("disposition", Disposition, name="slot_disposition_known"),
            models.CheckConstraint(
                condition=Q(into__isnull=True) | Q(disposition="coalesced"),
                name="slot_only_coalesced_go_into",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.due:%Y-%m-%d %H:%M}Z {self.disposition}"


class BeatLease(models.Model):
    """Let one beat lead: the other one idles until this runs out."""

    name = models.CharField(max_length=32, primary_key=True)
    holder = models.UUIDField()
    host = models.CharField(max_length=200)
    until = models.DateTimeField()
    taken_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "beat_lease"

    def __str__(self) -> str:
        return f"{self.name} led by {self.host}"

"""Jobs, their slices, each try at a slice, and how far a job has durably come."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField, DateTimeRangeField
from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from ingestion.domain.states import (
    AttemptOutcome,
    Desired,
    JobKind,
    JobState,
    Outcome,
    SliceState,
    Workload,
)
from ingestion.models.account import Account
from ingestion.models.choices import choices, one_of
from ingestion.models.definition import JobDefinition
from ingestion.models.instrument import Series
from ingestion.models.schedule import Slot


class Job(models.Model):
    """Hold one managed piece of work and where it stands.

    `desired` is what people asked for, `state` what is so; `vtime` is the job's virtual time in
    fair sharing; `spec` is the frozen request as ingestion.domain.spec writes it, without series
    while `request` waits to be resolved. A job waits until the one it comes `after` has ended.
    """

    definition = models.ForeignKey(
        JobDefinition, null=True, blank=True, on_delete=models.SET_NULL, related_name="jobs"
    )
    slot = models.OneToOneField(Slot, null=True, blank=True, on_delete=models.SET_NULL)
    after = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="followers"
    )
    request_key = models.CharField(max_length=128, null=True, blank=True, unique=True)
    workload = models.CharField(max_length=16, choices=choices(Workload))
    kind = models.CharField(max_length=16, choices=choices(JobKind))
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="jobs")
    state = models.CharField(max_length=16, choices=choices(JobState), default=JobState.DRAFT)
    desired = models.CharField(max_length=8, choices=choices(Desired), default=Desired.RUN)
    desired_at = models.DateTimeField(db_default=Now())
    outcome = models.CharField(max_length=16, choices=choices(Outcome), null=True, blank=True)
    wait_reason = models.CharField(max_length=200, blank=True)
    wait_until = models.DateTimeField(null=True, blank=True)
    priority = models.PositiveSmallIntegerField(default=100)
    weight = models.PositiveSmallIntegerField(default=1)
    vtime = models.FloatField(default=0.0)
    max_slices_per_round = models.PositiveSmallIntegerField(default=5)
    max_concurrency = models.PositiveSmallIntegerField(default=5)
    tries = models.PositiveSmallIntegerField(default=5)
    retry_class = models.CharField(max_length=32, default="fast")
    retry_delay = models.FloatField(
        null=True, blank=True, help_text="seconds; the base of the retry class otherwise"
    )
    validate = models.BooleanField(
        default=True,
        db_default=True,
        help_text="without it only what no table can hold is refused",
    )
    targets = ArrayField(
        models.CharField(max_length=64),
        null=True,
        blank=True,
        help_text="names of targets to feed; empty list: none, null: all that match",
    )
    request = models.JSONField(
        null=True, blank=True, help_text="what is asked, until planning has resolved it"
    )
    spec = models.JSONField()
    plan_cursor = models.JSONField(null=True, blank=True)
    planned = models.BooleanField(default=False)
    poll_seconds = models.PositiveIntegerField(null=True, blank=True)
    next_poll_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField(null=True, blank=True)
    deadline_missed_at = models.DateTimeField(null=True, blank=True)
    stale_at = models.DateTimeField(
        null=True, blank=True, help_text="retries that would begin later are dropped"
    )
    error_class = models.CharField(max_length=64, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        db_table = "job"
        ordering = ["-id"]
        indexes = [
            models.Index(
                F("account"),
                F("priority").desc(),
                F("vtime"),
                condition=Q(state="running", desired="run"),
                name="job_race",
            ),
            models.Index(
                fields=["state", "id"],
                condition=Q(state__in=["queued", "running", "paused"]),
                name="job_open",
            ),
            models.Index(
                fields=["deadline_at"],
                condition=Q(deadline_missed_at__isnull=True, deadline_at__isnull=False)
                & Q(state__in=["queued", "running", "paused"]),
                name="job_deadline_due",
            ),
            models.Index(fields=["after"], condition=Q(after__isnull=False), name="job_follows"),
            models.Index(
                fields=["ended_at"], condition=Q(ended_at__isnull=False), name="job_ended"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=(Q(state="completed") & Q(outcome__isnull=False))
                | (~Q(state="completed") & Q(outcome__isnull=True)),
                name="job_outcome_iff_completed",
            ),
            models.CheckConstraint(
                condition=(
                    Q(state__in=["completed", "failed", "cancelled"]) & Q(ended_at__isnull=False)
                )
                | (~Q(state__in=["completed", "failed", "cancelled"]) & Q(ended_at__isnull=True)),
                name="job_ended_iff_terminal",
            ),
            models.CheckConstraint(
                # Said of NULL as well: a check that yields NULL lets the row pass.
                condition=(
                    Q(workload="realtime") & Q(poll_seconds__isnull=False) & Q(poll_seconds__gte=1)
                )
                | (Q(workload="historical") & Q(poll_seconds__isnull=True)),
                name="job_polls_iff_realtime",
            ),
            models.CheckConstraint(condition=Q(priority__lte=255), name="job_priority_range"),
            models.CheckConstraint(
                condition=Q(weight__gte=1)
                & Q(max_concurrency__gte=1)
                & Q(max_slices_per_round__gte=1)
                & Q(tries__gte=1),
                name="job_counts_positive",
            ),
            one_of("state", JobState, name="job_state_known"),
            one_of("desired", Desired, name="job_desired_known"),
            one_of("workload", Workload, name="job_workload_known"),
            one_of("kind", JobKind, name="job_kind_known"),
        ]

    def __str__(self) -> str:
        return f"job {self.pk}"


class Slice(models.Model):
    """Hold one unit of work: one series, one window, and its lease.

    The lease token fences every write; `begun_at` is the send time of the permit, so work had
    begun once it has passed; `suspect` marks a slice that was at work, among others, in a process
    that died: it is claimed alone until it has proved itself.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="slices")
    series = models.ForeignKey(Series, on_delete=models.PROTECT)
    account = models.ForeignKey(Account, on_delete=models.PROTECT)
    window = DateTimeRangeField()
    resume_from = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=16, choices=choices(SliceState), default=SliceState.READY)
    next_attempt_at = models.DateTimeField(db_default=Now())
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    leased_at = models.DateTimeField(null=True, blank=True)
    begun_at = models.DateTimeField(null=True, blank=True)
    executor_id = models.UUIDField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    crashes = models.PositiveSmallIntegerField(default=0)
    suspect = models.BooleanField(default=False)
    last_ts = models.DateTimeField(null=True, blank=True)
    rows = models.PositiveIntegerField(default=0)
    error_class = models.CharField(max_length=64, blank=True)
    error = models.TextField(blank=True)
    replaces = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        db_table = "slice"
        indexes = [
            models.Index(
                fields=["job", "account", "next_attempt_at", "id"],
                condition=Q(state="ready"),
                name="slice_ready",
            ),
            models.Index(
                fields=["lease_until"], condition=Q(state="leased"), name="slice_lease_expiry"
            ),
            # Three ways to say "leased", equal by slice_token_iff_leased: each query names the one
            # of its index, or the planner, for whom a handful of leases all cost the same, picks
            # any of the three and reads every lease.
            models.Index(
                fields=["series"],
                condition=Q(lease_until__isnull=False),
                name="slice_leased_series",
            ),
            models.Index(
                fields=["job"], condition=Q(lease_token__isnull=False), name="slice_leased_job"
            ),
            models.Index(
                fields=["account", "next_attempt_at"],
                condition=Q(state="ready", suspect=True),
                name="slice_suspect",
            ),
            models.Index(fields=["account", "job"], condition=Q(state="dead"), name="slice_dead"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=(
                    Q(state="leased")
                    & Q(lease_token__isnull=False)
                    & Q(lease_until__isnull=False)
                    & Q(executor_id__isnull=False)
                )
                | (~Q(state="leased") & Q(lease_token__isnull=True) & Q(lease_until__isnull=True)),
                name="slice_token_iff_leased",
            ),
            models.CheckConstraint(
                condition=Q(window__isempty=False), name="slice_window_not_empty"
            ),
            one_of("state", SliceState, name="slice_state_known"),
        ]

    def __str__(self) -> str:
        return f"slice {self.pk} of job {self.job_id}"


class Attempt(models.Model):
    """Record one try at a slice, once, when it ends; never changed afterwards."""

    slice_id = models.BigIntegerField()
    job_id = models.BigIntegerField()
    series_id = models.IntegerField()
    account_id = models.BigIntegerField()
    n = models.PositiveSmallIntegerField()
    executor_id = models.UUIDField(null=True)
    leased_at = models.DateTimeField()
    begun_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField()
    outcome = models.CharField(max_length=16, choices=choices(AttemptOutcome))
    requests = models.PositiveIntegerField(default=0)
    pages = models.PositiveIntegerField(default=0)
    waited = models.JSONField(default=dict, help_text="seconds by cause")
    rows_in = models.PositiveIntegerField(default=0)
    inserted = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    revised = models.PositiveIntegerField(default=0)
    vanished = models.PositiveIntegerField(default=0)
    quarantined = models.PositiveIntegerField(default=0)
    error_class = models.CharField(max_length=64, blank=True)
    detail = models.JSONField(default=dict)
    payload_sha = models.CharField(max_length=64, blank=True)
    code_version = models.CharField(max_length=32)
    adapter_version = models.PositiveSmallIntegerField(default=1, db_default=1)

    class Meta:
        db_table = "attempt"
        indexes = [
            models.Index(fields=["job_id", "series_id", "id"], name="attempt_of_job"),
            models.Index(fields=["slice_id"], name="attempt_of_slice"),
            models.Index(fields=["series_id", "id"], name="attempt_of_series"),
            # Written in the order of time and never changed: a few pages find any span of it.
            BrinIndex(fields=["ended_at"], autosummarize=True, name="attempt_ended"),
        ]
        constraints = [one_of("outcome", AttemptOutcome, name="attempt_outcome_known")]

    def __str__(self) -> str:
        return f"attempt {self.pk} at slice {self.slice_id}"


class Checkpoint(models.Model):
    """State how far a job has durably come in one series.

    `frontier` is the exclusive end of the contiguous prefix of done slices; `ts` and `sequence`
    are the last stored record before it.
    """

    pk = models.CompositePrimaryKey("job_id", "series_id")
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="checkpoints")
    series = models.ForeignKey(Series, on_delete=models.PROTECT)
    frontier = models.DateTimeField()
    ts = models.DateTimeField(null=True)
    sequence = models.IntegerField(default=0)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "checkpoint"

    def __str__(self) -> str:
        return f"job {self.job_id} series {self.series_id} until {self.frontier:%Y-%m-%d %H:%M}Z"


class Executor(models.Model):
    """Know a worker process by its heartbeat.

    `host` names the space in which `pid` is unique, `born` is when the process began by that
    host's own clock: together they tell a live process from a later one with the same number.
    """

    id = models.UUIDField(primary_key=True, db_default=RandomUUID())
    host = models.CharField(max_length=200)
    pid = models.IntegerField()
    born = models.FloatField(null=True)
    started_at = models.DateTimeField(db_default=Now())
    last_seen = models.DateTimeField(db_default=Now())
    draining = models.BooleanField(default=False)

    class Meta:
        db_table = "executor"

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class FetchRun(models.Model):
    """Lease fetch slots of an account to one running fetch task."""

    executor = models.ForeignKey(Executor, on_delete=models.CASCADE, related_name="runs")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="runs")
    slots = models.PositiveSmallIntegerField()
    started_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField()

    class Meta:
        db_table = "fetch_run"
        indexes = [models.Index(fields=["account", "lease_until"], name="fetch_run_active")]

    def __str__(self) -> str:
        return f"run {self.pk} on account {self.account_id}"

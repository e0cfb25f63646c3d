"""States of jobs and slices, and the one table of transitions between those of jobs."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never


class Workload(enum.StrEnum):
    """Tell bounded history from an open-ended stream; both go through the same states."""

    HISTORICAL = "historical"
    REALTIME = "realtime"


class JobKind(enum.StrEnum):
    """Name why a job exists."""

    BACKFILL = "backfill"
    UPDATE = "update"
    REPAIR = "repair"
    RECONCILE = "reconcile"

    @property
    def refetches(self) -> bool:
        """Tell whether the job asks for what is covered too, and compares what comes with it."""
        return self in _REFETCHING


_REFETCHING = frozenset({JobKind.REPAIR, JobKind.RECONCILE})


class JobState(enum.StrEnum):
    """Name where a job stands."""

    DRAFT = "draft"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Tell whether nothing but a person's replay can move the job on."""
        return self in _FINAL


_FINAL = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})


class Desired(enum.StrEnum):
    """Name what a person asked of the job; takes effect at the next batch boundary."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"


class Outcome(enum.StrEnum):
    """Qualify a completed job: everything done, or some slices dead."""

    COMPLETE = "complete"
    PARTIAL = "partial"


class SliceState(enum.StrEnum):
    """Name where a slice stands; `ready` and `leased` are the open ones."""

    READY = "ready"
    LEASED = "leased"
    DONE = "done"
    DEAD = "dead"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"

    @property
    def is_open(self) -> bool:
        """Tell whether the slice still has work to do."""
        return self in _OPEN


_OPEN = frozenset({SliceState.READY, SliceState.LEASED})


class AttemptOutcome(enum.StrEnum):
    """Name how one try at a slice ended.

    `skipped` needed no request because coverage was complete; `yielded` gave the slice back at a
    pause, drain or empty budget and burned no try; `crashed` was written by the reaper.
    """

    DONE = "done"
    SKIPPED = "skipped"
    YIELDED = "yielded"
    RETRY = "retry"
    DEAD = "dead"
    SUPERSEDED = "superseded"
    CRASHED = "crashed"


TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    JobState.DRAFT: frozenset({JobState.QUEUED, JobState.CANCELLED}),
    # Straight from queued: planning can find nothing to do, or that nothing can be done.
    JobState.QUEUED: frozenset(
        {
            JobState.RUNNING,
            JobState.PAUSED,
            JobState.COMPLETED,
            JobState.FAILED,
            JobState.CANCELLED,
        }
    ),
    JobState.RUNNING: frozenset(
        {JobState.PAUSED, JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED}
    ),
    # A job paused before its first plan goes back to where it was.
    JobState.PAUSED: frozenset(
        {
            JobState.QUEUED,
            JobState.RUNNING,
            JobState.COMPLETED,
            JobState.FAILED,
            JobState.CANCELLED,
        }
    ),
    # Replaying dead slices opens a finished job again.
    JobState.COMPLETED: frozenset({JobState.QUEUED}),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset(),
}


class ForbiddenTransition(Exception):
    """Signal a move that the transition table does not have."""

    def __init__(self, old: JobState, new: JobState, *, allowed: frozenset[str]) -> None:
        ways = ", ".join(sorted(allowed)) if allowed else "nothing: it is final"
        super().__init__(f"cannot go from {old} to {new}; {old} leads to {ways}")
        self.old = old
        self.new = new
        self.allowed = allowed


def check_transition(old: JobState, new: JobState) -> None:
    """Raise ForbiddenTransition unless a job may go from `old` to `new`."""
    if new not in TRANSITIONS[old]:
        raise ForbiddenTransition(old, new, allowed=frozenset(TRANSITIONS[old]))


@dataclass(frozen=True, slots=True)
class SliceCounts:
    """Count a job's slices by what matters to settling it."""

    ready: int = 0
    leased: int = 0
    done: int = 0
    dead: int = 0

    @property
    def open(self) -> int:
        """Return how many slices still have work to do."""
        return self.ready + self.leased


@dataclass(frozen=True, slots=True)
class Settlement:
    """Hold the state a job should be in, with the outcome that `completed` requires."""

    state: JobState
    outcome: Outcome | None = None


def next_state(
    *, state: JobState, desired: Desired, planned: bool, slices: SliceCounts
) -> Settlement:
    """Decide where a job stands now, from its slices and from what a person asked.

    `planned` is True once no further slice can be planned. The result is the current state where
    nothing changes. Finished work wins over a late pause or cancel; a pause or cancel waits until
    no lease is left, so that a paused or cancelled job holds none.
    """
    match state:
        case JobState.DRAFT:
            return Settlement(JobState.CANCELLED if desired is Desired.CANCEL else state)
        case JobState.QUEUED | JobState.RUNNING:
            return _settle_active(state=state, desired=desired, planned=planned, slices=slices)
        case JobState.PAUSED:
            return _settle_paused(desired=desired, planned=planned, slices=slices)
        case JobState.COMPLETED | JobState.FAILED | JobState.CANCELLED:
            return Settlement(state, _outcome(slices) if state is JobState.COMPLETED else None)
        case _:
            assert_never(state)


def _settle_active(
    *, state: JobState, desired: Desired, planned: bool, slices: SliceCounts
) -> Settlement:
    if planned and not slices.open:
        return _finished(slices)
    match desired:
        case Desired.RUN:
            begun = planned or slices.open or slices.done or slices.dead
            return Settlement(JobState.RUNNING if begun else state)
        case Desired.PAUSE:
            return Settlement(state if slices.leased else JobState.PAUSED)
        case Desired.CANCEL:
            return Settlement(state if slices.leased else JobState.CANCELLED)
        case _:
            assert_never(desired)


def _settle_paused(*, desired: Desired, planned: bool, slices: SliceCounts) -> Settlement:
    match desired:
        case Desired.RUN:
            begun = planned or slices.open or slices.done or slices.dead
            return Settlement(JobState.RUNNING if begun else JobState.QUEUED)
        case Desired.PAUSE:
            return Settlement(JobState.PAUSED)
        case Desired.CANCEL:
            return Settlement(JobState.CANCELLED)
        case _:
            assert_never(desired)


def _finished(slices: SliceCounts) -> Settlement:
    if slices.dead and not slices.done:
        return Settlement(JobState.FAILED)
    return Settlement(JobState.COMPLETED, _outcome(slices))


def _outcome(slices: SliceCounts) -> Outcome:
    return Outcome.PARTIAL if slices.dead else Outcome.COMPLETE

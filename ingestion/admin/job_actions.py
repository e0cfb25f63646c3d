"""What people can ask of a job, and when asking makes sense."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ingestion.admin.acting import Result, Verb
from ingestion.domain.actor import Actor
from ingestion.domain.errors import MdcError
from ingestion.domain.states import Desired, ForbiddenTransition, JobState
from ingestion.services.cancel_job import cancel_job
from ingestion.services.pause_job import pause_job
from ingestion.services.resume_job import resume_job
from ingestion.services.retry_failed import retry_failed
from ingestion.services.start_job import start_job


@dataclass(frozen=True, slots=True)
class Standing:
    """Hold what decides which verbs are offered; `dead` counts failed slices."""

    state: JobState
    desired: Desired
    dead: int


JobVerb: TypeAlias = Verb[int, Standing]


def _start(job_id: int, actor: Actor, reason: str) -> str:
    return _now(job_id, start_job(job_id, actor=actor, reason=reason))


def _pause(job_id: int, actor: Actor, reason: str) -> str:
    state = pause_job(job_id, actor=actor, reason=reason)
    if state is JobState.PAUSED:
        return _now(job_id, state)
    return f"Job {job_id} was asked to pause; it does so at the next batch boundary."


def _resume(job_id: int, actor: Actor, reason: str) -> str:
    return _now(job_id, resume_job(job_id, actor=actor, reason=reason))


def _cancel(job_id: int, actor: Actor, reason: str) -> str:
    state = cancel_job(job_id, actor=actor, reason=reason)
    if state is JobState.CANCELLED:
        return _now(job_id, state)
    return f"Job {job_id} was asked to cancel; it does so at the next batch boundary."


def _retry(job_id: int, actor: Actor, reason: str) -> str:
    count = retry_failed(job_id, actor=actor, reason=reason)
    return f"Job {job_id} tries {count:,} failed {'slice' if count == 1 else 'slices'} again."


def _now(job_id: int, state: JobState) -> str:
    return f"Job {job_id} is {state.value} now."


_OPEN = frozenset({JobState.QUEUED, JobState.RUNNING, JobState.PAUSED})

_VERBS: tuple[JobVerb, ...] = (
    Verb(
        name="start",
        label="Start",
        sign="play_arrow",
        run=_start,
        offered=lambda job: job.state is JobState.DRAFT,
    ),
    Verb(
        name="resume",
        label="Resume from checkpoint",
        sign="resume",
        run=_resume,
        offered=lambda job: (
            job.state is JobState.PAUSED or (job.state in _OPEN and job.desired is Desired.PAUSE)
        ),
    ),
    Verb(
        name="retry_failed",
        label="Retry failed",
        sign="replay",
        run=_retry,
        offered=lambda job: job.dead > 0 and job.state is not JobState.CANCELLED,
    ),
    Verb(
        name="pause",
        label="Pause",
        sign="pause",
        run=_pause,
        offered=lambda job: (
            job.state in (JobState.QUEUED, JobState.RUNNING) and job.desired is Desired.RUN
        ),
    ),
    Verb(
        name="cancel",
        label="Cancel",
        sign="block",
        run=_cancel,
        offered=lambda job: not job.state.is_final and job.desired is not Desired.CANCEL,
        confirm=True,
    ),
)
VERBS: Mapping[str, JobVerb] = {verb.name: verb for verb in _VERBS}


def offered_verbs(standing: Standing) -> list[JobVerb]:
    """List the verbs that make sense now, the one that helps most first."""
    return [verb for verb in VERBS.values() if verb.offered(standing)]


def perform(verb: JobVerb, job_ids: Iterable[int], *, actor: Actor, reason: str) -> Result:
    """Run a verb on each job; one that is refused stops none of the others."""
    done, refused = [], []
    for job_id in job_ids:
        try:
            done.append(verb.run(job_id, actor, reason))
        except (MdcError, ForbiddenTransition) as error:
            refused.append(f"Job {job_id}: {error}")
    return Result(done=tuple(done), refused=tuple(refused))

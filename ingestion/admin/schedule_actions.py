"""What people can ask of a schedule, and when asking makes sense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from django.conf import settings

from ingestion import clock
from ingestion.admin.acting import Verb
from ingestion.domain.actor import Actor
from ingestion.services.pause_schedule import pause_schedule
from ingestion.services.resume_schedule import resume_schedule
from ingestion.services.trigger_schedule import trigger_schedule
from ingestion.store.schedule_reads import ScheduleView


def _pause(name: str, actor: Actor, note: str) -> str:
    paused = pause_schedule(name, now=clock.now(), actor=actor, egress=settings.EGRESS, note=note)
    return f"{name} is paused." if paused else f"{name} was paused already."


def _resume(name: str, actor: Actor, note: str) -> str:
    resumed = resume_schedule(name, now=clock.now(), actor=actor, egress=settings.EGRESS, note=note)
    return f"{name} goes on." if resumed else f"{name} was not paused."


def _trigger(name: str, actor: Actor, note: str) -> str:
    triggered = trigger_schedule(
        name, now=clock.now(), actor=actor, egress=settings.EGRESS, reason=note
    )
    if triggered.job_id is None:
        return f"{name} fired: its series will be inspected."
    return f"{name} fired: job {triggered.job_id}."


ScheduleVerb: TypeAlias = Verb[str, ScheduleView]

_VERBS: Final[tuple[ScheduleVerb, ...]] = (
    Verb("pause", "Pause", "pause", _pause, lambda one: one.paused_at is None),
    Verb("resume", "Resume", "play_arrow", _resume, lambda one: one.paused_at is not None),
    Verb("trigger", "Fire once now", "bolt", _trigger, lambda one: True),
)
VERBS: Final[Mapping[str, ScheduleVerb]] = {verb.name: verb for verb in _VERBS}

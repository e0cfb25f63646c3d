"""What people can ask of a schedule, and when asking makes sense."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from ingestion import clock
from ingestion.domain.actor import Actor
from ingestion.services.pause_schedule import pause_schedule
from ingestion.services.resume_schedule import resume_schedule
from ingestion.services.trigger_schedule import trigger_schedule
from ingestion.store.schedule_reads import ScheduleView


@dataclass(frozen=True, slots=True)
class Verb:
    """Describe one verb: its words, its sign, the service behind it and when it is offered."""

    name: str
    label: str
    sign: str
    run: Callable[[str, Actor, str], str]
    offered: Callable[[ScheduleView], bool]


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


VERBS: Final[Mapping[str, Verb]] = {
    verb.name: verb
    for verb in (
        Verb("pause", "Pause", "pause", _pause, lambda one: one.paused_at is None),
        Verb("resume", "Resume", "play_arrow", _resume, lambda one: one.paused_at is not None),
        Verb("trigger", "Fire once now", "bolt", _trigger, lambda one: True),
    )
}

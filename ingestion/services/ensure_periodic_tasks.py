"""Keep the system's own entries in beat's table; a user's own entries are never touched."""

from __future__ import annotations

from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

SYSTEM_TASKS = (
    ("mdc tick", "ingestion.tasks.tick", 1, IntervalSchedule.SECONDS, 5),
    ("mdc housekeeping", "ingestion.tasks.housekeeping", 1, IntervalSchedule.HOURS, 600),
)


def ensure_periodic_tasks() -> None:
    """Create or correct the system's entries by name, leaving an operator's `enabled` alone."""
    for name, task, every, period, expires in SYSTEM_TASKS:
        interval, _ = IntervalSchedule.objects.get_or_create(every=every, period=period)
        PeriodicTask.objects.update_or_create(
            name=name,
            defaults={
                "task": task,
                "interval": interval,
                "queue": "control",
                "expire_seconds": expires,
                "description": "kept by mdc itself",
            },
        )
    PeriodicTasks.update_changed()

"""Fire what is due, as the shells do: by their one clock, batch after batch."""

from __future__ import annotations

from typing import Final

from django.conf import settings

from ingestion import clock
from ingestion.services.fire_schedules import FireReport, fire_schedules

# 20,000 schedules at once; whatever is due beyond them comes a moment later.
_BATCHES: Final = 40


def fire_due() -> FireReport:
    """Fire until nothing is due any more, each batch at its own moment; return the last report."""
    for _ in range(_BATCHES):
        report = fire_schedules(now=clock.now(), egress=settings.EGRESS)
        if not report.more:
            break
    return report

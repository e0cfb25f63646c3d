"""Look at windows of a series, or at all of it, now."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from ingestion.domain.coverage import Ranges
from ingestion.services.inspect_part import (
    Inspected,
    inspect_part,
    parts_to_inspect,
    read_inspected,
)


def inspect_series(series_id: int, *, ranges: Ranges, now: datetime) -> Inspected:
    """Inspect windows of a series in stamp space and keep what is found, part by part.

    The windows are widened to the sessions that they touch and affect. Each part is a transaction.
    """
    known = read_inspected(series_id, now=now)
    inspected = Inspected()
    for part in parts_to_inspect(known, ranges):
        with transaction.atomic():
            inspected = inspected.join(inspect_part(known, part))
    return inspected

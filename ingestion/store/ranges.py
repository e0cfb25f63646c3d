"""Carry windows between the domain's intervals and PostgreSQL's ranges."""

from __future__ import annotations

from datetime import datetime

from psycopg.types.multirange import Multirange

from ingestion.domain.coverage import Ranges
from ingestion.domain.windows import from_us, to_us


def to_ranges(value: Multirange[datetime]) -> Ranges:
    """Convert PostgreSQL's multirange; nothing that mdc stores begins or ends at infinity."""
    return Ranges.of(
        [(to_us(one.lower), to_us(one.upper)) for one in value if one.lower and one.upper]
    )


def range_text(start_us: int, end_us: int) -> str:
    """Write one half-open window as PostgreSQL reads it."""
    return f"[{from_us(start_us).isoformat()},{from_us(end_us).isoformat()})"


def multirange_text(ranges: Ranges) -> str:
    """Write a set of half-open windows as PostgreSQL reads it."""
    return "{" + ",".join(range_text(start, end) for start, end in ranges) + "}"

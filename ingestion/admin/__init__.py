"""The admin pages, one module per aggregate; they call services and read through the store."""

from ingestion.admin import (
    account,
    audit,
    bar,
    beat,
    coverage,
    definition,
    executor,
    instrument,
    job,
    people,
    schedule,
    slice,
)

__all__ = [
    "account",
    "audit",
    "bar",
    "beat",
    "coverage",
    "definition",
    "executor",
    "instrument",
    "job",
    "people",
    "schedule",
    "slice",
]

"""The admin pages, one module per aggregate; they call services and read through the store."""

from ingestion.admin import (
    account,
    audit,
    bar,
    beat,
    corporate_action,
    coverage,
    definition,
    executor,
    file_source,
    instrument,
    job,
    people,
    schedule,
    slice,
    target,
    watchlist,
)

__all__ = [
    "account",
    "audit",
    "bar",
    "beat",
    "corporate_action",
    "coverage",
    "definition",
    "executor",
    "file_source",
    "instrument",
    "job",
    "people",
    "schedule",
    "slice",
    "target",
    "watchlist",
]

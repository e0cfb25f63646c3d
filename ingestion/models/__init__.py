"""The tables, one file per aggregate; no logic beyond constraints."""

from ingestion.models.account import Account, Budget
from ingestion.models.audit import AuditEvent
from ingestion.models.bar import Bar, BarRevision, Quarantine
from ingestion.models.coverage import Coverage, EmptyProof, MissingSession, VenueSession
from ingestion.models.definition import JobDefinition, RetryClass
from ingestion.models.instrument import Instrument, ProviderSymbol, Series
from ingestion.models.job import Attempt, Checkpoint, Executor, FetchRun, Job, Slice
from ingestion.models.schedule import Schedule, Slot

__all__ = [
    "Account",
    "Attempt",
    "AuditEvent",
    "Bar",
    "BarRevision",
    "Budget",
    "Checkpoint",
    "Coverage",
    "EmptyProof",
    "Executor",
    "FetchRun",
    "Instrument",
    "Job",
    "JobDefinition",
    "MissingSession",
    "ProviderSymbol",
    "Quarantine",
    "RetryClass",
    "Schedule",
    "Series",
    "Slice",
    "Slot",
    "VenueSession",
]

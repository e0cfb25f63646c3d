"""The tables, one file per aggregate; no logic beyond constraints."""

from ingestion.models.account import Account, Budget
from ingestion.models.audit import AuditEvent
from ingestion.models.bar import Bar, BarRevision, Quarantine
from ingestion.models.calendar import CalendarOverride
from ingestion.models.coverage import Coverage, EmptyProof, MissingSession, VenueSession
from ingestion.models.definition import JobDefinition, RetryClass
from ingestion.models.file_source import FileSource
from ingestion.models.finding import Finding, Inspection
from ingestion.models.freshness import Freshness
from ingestion.models.instrument import (
    CorporateActionRecord,
    Instrument,
    ProviderSymbol,
    Series,
    Watchlist,
)
from ingestion.models.job import Attempt, Checkpoint, Executor, FetchRun, Job, Slice
from ingestion.models.schedule import BeatLease, Schedule, Slot
from ingestion.models.signal import Signal, SignalMatch
from ingestion.models.target import OutboxEntry, Target

__all__ = [
    "Account",
    "Attempt",
    "AuditEvent",
    "Bar",
    "BarRevision",
    "BeatLease",
    "Budget",
    "CalendarOverride",
    "Checkpoint",
    "CorporateActionRecord",
    "Coverage",
    "EmptyProof",
    "Executor",
    "FetchRun",
    "FileSource",
    "Finding",
    "Freshness",
    "Inspection",
    "Instrument",
    "Job",
    "JobDefinition",
    "MissingSession",
    "OutboxEntry",
    "ProviderSymbol",
    "Quarantine",
    "RetryClass",
    "Schedule",
    "Series",
    "Signal",
    "SignalMatch",
    "Slice",
    "Slot",
    "Target",
    "VenueSession",
    "Watchlist",
]

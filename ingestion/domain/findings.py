"""The words of quality findings: what is checked, how bad it is, where a finding stands."""

from __future__ import annotations

import enum


class Check(enum.StrEnum):
    """Name what a finding is about."""

    GAP = "gap"
    PARTIAL_SESSION = "partial_session"
    STALE = "stale"
    SPIKE = "spike"
    ZERO_VOLUME = "zero_volume"
    OHLC = "ohlc"
    OUTSIDE_SESSION = "outside_session"
    BASIS_CHANGE = "basis_change"
    SCHEMA_DRIFT = "schema_drift"
    DISAGREEMENT = "disagreement"
    VANISHED = "vanished"


class Severity(enum.StrEnum):
    """Say how much a finding matters: worth knowing, worth a look, wrong until shown otherwise."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


class FindingState(enum.StrEnum):
    """Name where a finding stands; `resolved` was mended, `accepted` a person said why it stays."""

    OPEN = "open"
    REPAIRING = "repairing"
    RESOLVED = "resolved"
    ACCEPTED = "accepted"

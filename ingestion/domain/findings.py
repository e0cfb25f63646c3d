"""The words of quality findings: what is checked, how bad it is, where a finding stands."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from typing import Any


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


# What an inspection finds in a series by itself. The others have moments of their own: a fetch
# sees what vanished or changed its basis, a payload what drifted, a comparison who disagrees.
INSPECTED = frozenset(Check) - {
    Check.BASIS_CHANGE,
    Check.SCHEMA_DRIFT,
    Check.VANISHED,
    Check.DISAGREEMENT,
}

UNSETTLED = (FindingState.OPEN, FindingState.REPAIRING)

_RANK = {severity: rank for rank, severity in enumerate(Severity)}


def series_fingerprint(kind: Check, series_id: int, start_us: int | None = None) -> str:
    """Name what was found in a series: by where it begins, or as one thing of the whole series."""
    return f"{kind}:{series_id}" if start_us is None else f"{kind}:{series_id}:{start_us}"


def provider_fingerprint(kind: Check, provider: str, sentence: str) -> str:
    """Name what was found at a provider, by the sentence that says it."""
    digest = hashlib.sha256(f"{provider}\n{sentence}".encode()).hexdigest()
    return f"{kind}:{digest[:40]}"


def grew_worse(
    *, severity: Severity, end_us: int, than_severity: Severity, than_end_us: int
) -> str:
    """Say why something accepted is worth another look: it is more severe now, or reaches further.

    Returns an empty text where it is as it was accepted.
    """
    if _RANK[severity] > _RANK[than_severity]:
        return f"it was accepted as {than_severity} and is {severity} now"
    if end_us > than_end_us:
        return "it reaches further than what was accepted"
    return ""


def evidence_words(evidence: Mapping[str, Any], *, most: int = 5) -> list[tuple[str, str]]:
    """Return evidence as (name, value) for people: of a long list the first ones and how many."""
    return [(name.replace("_", " "), _words(value, most)) for name, value in evidence.items()]


def evidence_lines(evidence: Mapping[str, Any], *, most: int) -> list[tuple[str, list[str]]]:
    """Return evidence as (name, lines) for people: of rows, such as bars, a line each."""
    return [(name.replace("_", " "), _lines(value, most)) for name, value in evidence.items()]


def _lines(value: Any, most: int) -> list[str]:
    if not (isinstance(value, list) and value and all(isinstance(one, list) for one in value)):
        return [_words(value, most)]
    left_out = len(value) - most
    lines = [_words(row, most) for row in value[:most]]
    return [*lines, f"and {left_out:,} more"] if left_out > 0 else lines


def _words(value: Any, most: int) -> str:
    match value:
        case float():
            return f"{value:.6g}"
        case list() if len(value) > most:
            shown = ", ".join(_words(one, most) for one in value[:most])
            return f"{shown} and {len(value) - most:,} more"
        case list():
            return ", ".join(_words(one, most) for one in value)
        case dict():
            return ", ".join(f"{name} {_words(one, most)}" for name, one in value.items())
        case _:
            return str(value)

"""Note payloads that differ from what their adapter knows of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from ingestion.domain.findings import Check, Severity, provider_fingerprint
from ingestion.services.fetch_slice import Fetched
from ingestion.services.keep_findings import keep_findings
from ingestion.store import findings
from ingestion.store.clock import database_now
from ingestion.store.findings import Sighting

# Every answer of a provider may show it: workers must not wait for each other's count.
_COUNTED_EVERY: Final = timedelta(minutes=1)


def note_drift(fetched: Sequence[Fetched]) -> None:
    """Keep one finding per provider and sentence, at the end of the finishing transaction.

    The evidence is the payload in which it was last seen. What a person accepted stays closed: a
    field that is known to be strange is no news.
    """
    seen = {
        provider_fingerprint(Check.SCHEMA_DRIFT, one.facts.provider, sentence): (one, sentence)
        for one in fetched
        for sentence in one.drift
    }
    if not seen:
        return
    now = database_now()
    known = findings.seen_since(seen, since=now - _COUNTED_EVERY) | findings.accepted(seen).keys()
    seen = {key: value for key, value in seen.items() if key not in known}
    if seen:
        keep_findings(
            [
                Sighting(
                    kind=Check.SCHEMA_DRIFT,
                    severity=Severity.WARNING,
                    fingerprint=fingerprint,
                    evidence={
                        "sentence": sentence,
                        "payload_sha": one.tally.payload_sha,
                        "symbol": one.facts.symbol,
                        "timeframe": one.facts.timeframe.value,
                    },
                    provider=one.facts.provider,
                )
                for fingerprint, (one, sentence) in seen.items()
            ],
            now=now,
        )

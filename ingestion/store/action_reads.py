"""Read splits and dividends as they are, or were, known; needs no Django and no numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import connection as default_connection

from providers.instruments import ActionKind, CorporateAction

if TYPE_CHECKING:
    from ingestion.store.series_reads import Connection

_KNOWN = """
SELECT a.instrument_id, i.symbol, a.provider, a.ex_date, a.kind, a.value, a.currency,
       a.known_from, a.known_to
FROM corporate_action a JOIN instrument i ON i.id = a.instrument_id
WHERE (%(ids)s::bigint[] IS NULL OR a.instrument_id = ANY(%(ids)s))
  AND (%(symbols)s::text[] IS NULL OR i.symbol = ANY(%(symbols)s))
  AND (%(provider)s::text IS NULL OR a.provider = %(provider)s)
  AND a.known_from <= coalesce(%(as_of)s::timestamptz, 'infinity')
  AND (a.known_to IS NULL OR a.known_to > coalesce(%(as_of)s::timestamptz, 'infinity'))
  AND (%(announced)s
       OR a.ex_date <= (coalesce(%(as_of)s::timestamptz, now()) AT TIME ZONE 'UTC')::date)
ORDER BY i.symbol, a.ex_date, a.kind, a.provider
"""


@dataclass(frozen=True, slots=True)
class KnownAction:
    """Hold one action with who stated it and when that was known, [known_from, known_to)."""

    instrument_id: int
    symbol: str
    provider: str
    action: CorporateAction
    known_from: datetime
    known_to: datetime | None


def actions_of(
    connection: Connection = default_connection,
    *,
    instrument_ids: Sequence[int] | None = None,
    symbols: Sequence[str] | None = None,
    provider: str | None = None,
    as_of: datetime | None = None,
    announced: bool = False,
) -> list[KnownAction]:
    """Return the actions known at `as_of` (None: now), by symbol, ex-date, kind and provider.

    Those whose ex-date lies after that moment's date are left out unless `announced`.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _KNOWN,
            {
                "ids": list(instrument_ids) if instrument_ids is not None else None,
                "symbols": list(symbols) if symbols is not None else None,
                "provider": provider,
                "as_of": as_of,
                "announced": announced,
            },
        )
        return [
            KnownAction(
                instrument_id=instrument_id,
                symbol=symbol,
                provider=named,
                action=CorporateAction(ex_date, ActionKind(kind), value, currency),
                known_from=known_from,
                known_to=known_to,
            )
            for (
                instrument_id, symbol, named, ex_date, kind, value, currency, known_from, known_to
            ) in cursor
        ]  # fmt: skip

"""Read what judging gaps must know of series, thousands at a time, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from django.db import connection

from ingestion.domain.gaps import Evidence
from ingestion.domain.spans import NO_SPANS, Spans
from ingestion.store.copyformat import INT4, TIMESTAMPTZ, decode_array, wire_cursor

_WINDOWS = 'array_agg(series_id), array_agg(lower("window")), array_agg(upper("window"))'
# One row a kind: libpq hands rows over one by one, an array in one piece.
_EVIDENCE = f"""
SELECT 'loaded', array_agg(c.series_id), array_agg(lower(r)), array_agg(upper(r))
FROM coverage c, unnest(c.loaded) r WHERE c.series_id = ANY(%(ids)s)
UNION ALL
SELECT 'proofs', {_WINDOWS} FROM empty_proof
WHERE series_id = ANY(%(ids)s) AND expires_at > %(now)s AND reason <> 'not_listed'
UNION ALL
SELECT 'not_listed', {_WINDOWS} FROM empty_proof
WHERE series_id = ANY(%(ids)s) AND expires_at > %(now)s AND reason = 'not_listed'
UNION ALL
SELECT 'missing', {_WINDOWS} FROM missing_session WHERE series_id = ANY(%(ids)s) AND looks > 0
UNION ALL
SELECT 'refused', {_WINDOWS} FROM missing_session WHERE series_id = ANY(%(ids)s) AND looks = 0
UNION ALL
SELECT 'failed', {_WINDOWS} FROM slice WHERE series_id = ANY(%(ids)s) AND state = 'dead'
"""

_ASKED = """
SELECT 'asked', array_agg(series_id), array_agg(starts), array_agg(ends)
FROM (SELECT series_id, min(lower("window")) AS starts, max(upper("window")) AS ends
      FROM slice WHERE series_id = ANY(%(ids)s) AND state <> 'cancelled' GROUP BY series_id) s
"""

# Where a provider always had a name for an instrument, there is no row.
_NAMED = """
SELECT 'named', array_agg(id),
       array_agg(coalesce(lower(v), '0001-01-01')::timestamp AT TIME ZONE 'UTC'),
       array_agg(coalesce(upper(v), '9999-01-01')::timestamp AT TIME ZONE 'UTC')
FROM (SELECT s.id, range_agg(p.valid) AS named
      FROM series s
      JOIN provider_symbol p ON p.provider = s.provider AND p.instrument_id = s.instrument_id
      WHERE s.id = ANY(%(ids)s) AND NOT isempty(p.valid) GROUP BY s.id) s, unnest(s.named) v
WHERE NOT s.named @> daterange(NULL, NULL)
"""


def read_evidence(series_ids: Sequence[int], *, now: datetime) -> Evidence:
    """Gather coverage, unexpired proofs, misses and failures; owners are places in the list."""
    return Evidence(**_read(_EVIDENCE, series_ids, now=now))


def asked_spans(series_ids: Sequence[int]) -> Spans:
    """Return, per place in the list, the span from the first slice's start to the last's end."""
    return _read(_ASKED, series_ids)["asked"]


def named_spans(series_ids: Sequence[int]) -> Spans:
    """Return, per place in the list, when the provider has a name; nothing where it always has."""
    return _read(_NAMED, series_ids)["named"]


def _read(query: str, series_ids: Sequence[int], **values: Any) -> dict[str, Spans]:
    ids = np.asarray(series_ids, np.int64)
    with connection.cursor():  # opens the connection where none is open yet
        pass
    with connection.wrap_database_errors, wire_cursor(connection.connection) as cursor:
        cursor.execute(query, {"ids": ids.tolist(), **values})
        result = cursor.pgresult
        assert result is not None  # a statement that did not raise has one
        return {
            bytes(result.get_value(row, 0) or b"").decode(): _spans(
                ids, *(result.get_value(row, column) for column in (1, 2, 3))
            )
            for row in range(result.ntuples)
        }


def _spans(
    ids: np.ndarray[Any, np.dtype[np.int64]],
    owners: bytes | None,
    starts: bytes | None,
    ends: bytes | None,
) -> Spans:
    if owners is None:
        return NO_SPANS
    order = np.argsort(ids, kind="stable")
    place = order[np.searchsorted(ids, decode_array(INT4, owners), sorter=order)]
    return Spans.of(place, decode_array(TIMESTAMPTZ, starts), decode_array(TIMESTAMPTZ, ends))

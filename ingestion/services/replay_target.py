"""Note what is stored already for another delivery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ingestion.domain.actor import Actor
from ingestion.domain.errors import BadRequest
from ingestion.store import audit, outbox, targets
from ingestion.store.series_reads import SeriesRow, select_series
from ingestion.store.targets import TargetRow
from providers.types import Timeframe


@dataclass(frozen=True, slots=True)
class Replayed:
    """Count the series and bars that will be delivered."""

    series: int
    bars: int


def replay_target(
    name: str,
    *,
    actor: Actor,
    symbols: Sequence[str] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    reason: str = "",
) -> Replayed:
    """Note the stored bars of the target's series in [start, end), as if just committed.

    Raises UnknownTarget, and BadRequest where the target's filters leave none of the symbols.
    """
    with transaction.atomic():
        target = targets.keep_target(name)
        chosen = _chosen(target, symbols)
        bars = [
            outbox.note_stored(target.id, series_id=one.id, start=start, end=end) for one in chosen
        ]
        replayed = Replayed(series=sum(1 for one in bars if one), bars=sum(bars))
        audit.record(
            actor=actor,
            action="target.replay",
            object_type="target",
            object_id=target.name,
            after={
                "series": replayed.series,
                "bars": replayed.bars,
                "symbols": list(symbols) if symbols else None,
                "start": start.isoformat() if start else None,
                "end": end.isoformat() if end else None,
            },
            reason=reason,
        )
    return replayed


def _chosen(target: TargetRow, symbols: Sequence[str] | None) -> list[SeriesRow]:
    allowed = None if target.symbols is None else set(target.symbols)
    wanted = symbols or target.symbols
    if symbols and allowed is not None:
        wanted = [symbol for symbol in symbols if symbol in allowed]
    if symbols and not wanted:
        raise BadRequest(
            f"target {target.name} receives none of these symbols; it is declared for "
            f"{', '.join(target.symbols or ())}",
            field="symbols",
        )
    found = select_series(
        symbols=wanted,
        timeframes=[Timeframe(one) for one in target.timeframes] if target.timeframes else None,
    )
    return [one for one in found if target.providers is None or one.provider in target.providers]

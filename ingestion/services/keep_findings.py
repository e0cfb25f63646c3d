"""Keep findings in the caller's transaction, and raise signals for those that are new."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ingestion.domain.actor import SYSTEM
from ingestion.domain.windows import Window
from ingestion.store import findings, series_reads
from ingestion.store.findings import Kept, Sighting
from ingestion.store.signals import NewSignal, raise_many

_Group = tuple[str, int | None]


def keep_findings(sightings: Sequence[Sighting], *, now: datetime) -> Kept:
    """Open or count findings; each kind that is new in a series raises one signal of its name.

    What was seen before raises none: whoever listens has been told, and a repair that did not help
    must not start the next one by itself.
    """
    kept = findings.keep(sightings, now=now)
    if kept.new:
        raise_many(_signals(sightings, kept), actor=SYSTEM, now=now)
    return kept


def _signals(sightings: Sequence[Sighting], kept: Kept) -> list[NewSignal]:
    groups: dict[_Group, list[Sighting]] = {}
    for one in sightings:
        if one.fingerprint in kept.new:
            groups.setdefault((one.kind.value, one.series_id), []).append(one)
    series = {
        one.id: one
        for one in series_reads.select_series(
            ids={series_id for _, series_id in groups if series_id is not None}
        )
    }
    signals: list[NewSignal] = []
    for (name, series_id), group in groups.items():
        of = series.get(series_id) if series_id is not None else None
        signals.append(
            NewSignal(
                name=name,
                symbols=(of.symbol,) if of else (),
                timeframe=of.timeframe if of else None,
                window=_hull(group),
                evidence={
                    "findings": len(group),
                    "first": kept.new[group[0].fingerprint],
                    "provider": of.provider if of else group[0].provider,
                },
            )
        )
    return signals


def _hull(group: Sequence[Sighting]) -> Window | None:
    windows = [one.window for one in group if one.window]
    if len(windows) < len(group):
        return None
    return Window(min(one.start for one in windows), max(one.end for one in windows))

"""What must be true at the end, whatever happened on the way.

What an undisturbed run would have stored is computed here from the adapter alone, without any of
the machinery under test.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ingestion.domain.selection import Selection
from ingestion.domain.spec import JobSpec, SeriesSpec
from ingestion.formats.forms import ExportFormat
from ingestion.models import Job
from ingestion.services.export_bars import export_bars
from providers.bars import Bars
from providers.errors import NoData
from providers.http import HttpEdge
from providers.registry import get_adapter
from providers.types import BarQuery, Credentials
from tests.recovery.field import KEY, Field

_NUMBERS = ("open", "high", "low", "close", "volume", "vwap")
_EXPORTED = ("ts", "sequence", *_NUMBERS)


@dataclass(frozen=True, slots=True)
class Lost:
    """Name the window of a series that may be missing: what a poisoned slice would have held."""

    symbol: str
    start: datetime
    end: datetime


def prove(field: Field, jobs: Collection[int], *, lost: Collection[Lost] = ()) -> int:
    """Check every promise for historical jobs that have ended and share no series with others.

    Returns the number of bars. All failures name what they found.
    """
    specs = {
        job_id: JobSpec.from_json(spec)
        for job_id, spec in Job.objects.filter(id__in=jobs).values_list("id", "spec")
    }
    assert set(field.states(sorted(jobs)).values()) == {"completed"}
    _prove_nothing_else_died(field, sorted(jobs), dead=len(lost))
    rows = _prove_content(field, specs, lost)
    _prove_coverage(field, specs, lost)
    _prove_checkpoints(field, specs, lost)
    _prove_ledger(field, sorted(jobs), rows=rows)
    return rows


# --- bars --------------------------------------------------------------------------------------


def _prove_content(field: Field, specs: dict[int, JobSpec], lost: Collection[Lost]) -> int:
    """The export, row by row, is what the providers have: no bar missing, twice or different."""
    text = io.BytesIO()
    symbols = sorted({series.symbol for spec in specs.values() for series in spec.series})
    export_bars(text, form=ExportFormat.CSV, selection=Selection(symbols=tuple(symbols)))
    found: dict[tuple[str, str, str], list[list[str]]] = {}
    for row in csv.DictReader(io.StringIO(text.getvalue().decode())):
        key = (row["provider"], row["symbol"], row["timeframe"])
        found.setdefault(key, []).append([row[name] for name in _EXPORTED])
    wanted = _undisturbed(field, specs, lost)
    assert set(found) == {key for key, bars in wanted.items() if len(bars)}
    for key, rows in found.items():
        _compare(key, rows, wanted[key])
    ids = sorted({series.series_id for spec in specs.values() for series in spec.series})
    assert not field.sql(
        "SELECT series_id, ts FROM bar WHERE series_id = ANY(%s) AND NOT final LIMIT 1", ids
    )
    assert not field.sql("SELECT 1 FROM bar_revision WHERE series_id = ANY(%s) LIMIT 1", ids)
    return sum(len(rows) for rows in found.values())


def _compare(key: tuple[str, str, str], rows: list[list[str]], bars: Bars) -> None:
    columns = dict(zip(_EXPORTED, zip(*rows, strict=True), strict=True))
    stamps = np.array([text.removesuffix("Z") for text in columns["ts"]], "datetime64[us]")
    found = stamps.astype(np.int64)
    assert (np.diff(found) > 0).all(), f"{key}: duplicates, or not in order"
    absent = np.setdiff1d(bars.ts, found)
    invented = np.setdiff1d(found, bars.ts)
    assert not len(absent), f"{key}: {len(absent)} of {len(bars)} bars are missing"
    assert not len(invented), f"{key}: {len(invented)} bars too many"
    assert set(columns["sequence"]) == {"0"}
    for name in _NUMBERS:
        numbers = [float(text) if text else np.nan for text in columns[name]]
        np.testing.assert_array_equal(numbers, getattr(bars, name), err_msg=f"{key} {name}")


def _undisturbed(
    field: Field, specs: dict[int, JobSpec], lost: Collection[Lost]
) -> dict[tuple[str, str, str], Bars]:
    """Fetch, straight from the adapters, what all the jobs together ask for."""
    collected: dict[tuple[str, str, str], list[Bars]] = {}
    for spec in specs.values():
        for series in spec.series:
            key = (spec.provider, series.symbol, series.timeframe.value)
            collected.setdefault(key, []).append(_straight(field, spec.provider, series))
    return {
        key: _without(_sorted(Bars.concat(parts)), key[1], lost) for key, parts in collected.items()
    }


def _straight(field: Field, provider: str, series: SeriesSpec) -> Bars:
    if series.start is None or series.end is None:
        return Bars.empty()
    adapter = get_adapter(provider)
    query = BarQuery(
        symbol=series.symbol,
        vendor_symbol=series.vendor_symbol,
        venue=series.venue,
        timeframe=series.timeframe,
        adjustment=series.adjustment,
        hours=series.hours,
        anchor=series.anchor,
        start=series.start,
        end=series.end,
    )
    edge = HttpEdge(
        connect_timeout=5,
        read_timeout=30,
        total_deadline=60,
        max_bytes=64 * 1024 * 1024,
        byte_budget=None,
        provider=provider,
        user_agent="test",
    )
    token: str | None = None
    pages = []
    try:
        while True:
            page = adapter.fetch_page(
                query,
                token=token,
                credentials=Credentials(key=KEY),
                base_url=field.simulator.base_url,
                edge=edge,
            )
            pages.append(page.bars)
            token = page.next_token
            if token is None:
                return Bars.concat(pages)
    except NoData:
        return Bars.empty()


def _sorted(bars: Bars) -> Bars:
    """Order bars and merge what overlapping jobs ask for twice."""
    _, first = np.unique(bars.ts, return_index=True)
    return bars.take(first)


def _without(bars: Bars, symbol: str, lost: Collection[Lost]) -> Bars:
    kept = np.ones(len(bars), np.bool_)
    for gone in lost:
        if gone.symbol == symbol:
            kept &= (bars.ts < _us(gone.start)) | (bars.ts >= _us(gone.end))
    return bars.take(np.flatnonzero(kept))


def _us(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


# --- bookkeeping -------------------------------------------------------------------------------


def _windows(specs: dict[int, JobSpec]) -> Iterator[tuple[int, SeriesSpec]]:
    for job_id, spec in specs.items():
        for series in spec.series:
            if series.start is not None:
                yield job_id, series


def _prove_coverage(field: Field, specs: dict[int, JobSpec], lost: Collection[Lost]) -> None:
    """What is loaded or explained is exactly what was asked for."""
    asked: dict[int, list[str]] = {}
    for _, series in _windows(specs):
        asked.setdefault(series.series_id, []).append(f"[{series.start},{series.end})")
        for gone in lost:
            if gone.symbol == series.symbol:
                asked[series.series_id][-1] = f"[{gone.end},{series.end})"
    for series_id, windows in asked.items():
        ((exact, loaded),) = field.sql(
            "SELECT coalesce(c.loaded, '{}') + coalesce((SELECT range_agg(p.\"window\")"
            "   FROM empty_proof p WHERE p.series_id = c.series_id), '{}') = %s::tstzmultirange,"
            " c.loaded::text FROM coverage c WHERE c.series_id = %s",
            "{" + ",".join(windows) + "}",
            series_id,
        )
        assert exact, f"series {series_id}: covered {loaded}, asked {windows}"


def _prove_checkpoints(field: Field, specs: dict[int, JobSpec], lost: Collection[Lost]) -> None:
    """Every checkpoint stands at the end of its series, or before the slice that died."""
    stopped = {gone.symbol: gone.start for gone in lost}
    askers = Counter(series.series_id for _, series in _windows(specs))
    for job_id, series in _windows(specs):
        ((frontier, position, last),) = field.sql(
            "SELECT c.frontier, c.ts, (SELECT max(ts) FROM bar WHERE series_id = c.series_id"
            "   AND ts < %s) FROM checkpoint c WHERE c.job_id = %s AND c.series_id = %s",
            series.end,
            job_id,
            series.series_id,
        )
        if series.symbol in stopped:
            assert (frontier, position) == (stopped[series.symbol], None)
            continue
        assert frontier == series.end, f"job {job_id}, series {series.series_id}"
        # What another job had covered already leaves no position of its own.
        assert position == last or askers[series.series_id] > 1


def _prove_nothing_else_died(field: Field, jobs: list[int], *, dead: int) -> None:
    """No slice is given up that a poison did not kill; a failure shows what was tried."""
    found = field.sql(
        "SELECT s.id, s.error, s.crashes, s.tries, (SELECT array_agg(to_jsonb(a) ORDER BY a.id)"
        "   FROM attempt a WHERE a.slice_id = s.id)"
        " FROM slice s WHERE job_id = ANY(%s) AND state = 'dead'",
        jobs,
    )
    assert len(found) == dead, found


def _prove_ledger(field: Field, jobs: list[int], *, rows: int) -> None:
    """Every slice was finished exactly once, by somebody, and nobody healthy was blamed."""
    assert not field.sql(
        "SELECT state, count(*) FROM slice WHERE job_id = ANY(%s)"
        " AND (state NOT IN ('done', 'dead') OR lease_token IS NOT NULL"
        "      OR (state = 'done' AND (crashes > 0 OR suspect))) GROUP BY 1",
        jobs,
    )
    finished = field.sql(
        "SELECT s.id, count(a.id) FROM slice s LEFT JOIN attempt a ON a.slice_id = s.id"
        " AND a.outcome IN ('done', 'skipped') WHERE s.job_id = ANY(%s) AND s.state = 'done'"
        " GROUP BY 1 HAVING count(a.id) <> 1",
        jobs,
    )
    assert not finished, f"slices with other than one finish (id, finishes): {finished[:5]}"
    assert field.sql(
        "SELECT sum(inserted), sum(unchanged), sum(revised) FROM attempt WHERE job_id = ANY(%s)",
        jobs,
    ) == [(rows, 0, 0)], "bars were written other than once each"

"""The whole of the recorded series goes through the files provider, by real workers.

sources.toml declares the files as a user would, oracle.py judges each row apart from mdc,
stated.toml says by hand which stamps lie off session and which sessions the files lack.
"""

from __future__ import annotations

import math
import tomllib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from ingestion.domain.actor import Actor
from ingestion.domain.gaps import GapKind
from ingestion.domain.windows import from_us
from ingestion.models import Attempt, Job, Quarantine
from ingestion.services.declare_files import declare_files
from ingestion.services.import_bars import import_bars
from ingestion.services.show_coverage import SeriesCoverage, show_coverage
from ingestion.store.bar_reads import read_chunks
from mdc.stack.embedded import EmbeddedStack
from tests.recorded.oracle import Judged, Row, Stated, judge, read_stated
from tests.stack.waiting import until

TESTER = Actor(name="tester", source="test")
Key = tuple[str, ...]
HERE = Path(__file__).parent
SOURCES = tomllib.loads((HERE / "sources.toml").read_text())
SERIES = read_stated(HERE / "stated.toml")


@pytest.fixture(scope="module")
def coverage(db: EmbeddedStack, recorded: Path) -> dict[Key, SeriesCoverage]:
    """Declare and import every source, wait for the workers, and return what is covered."""
    now = datetime.now(UTC)
    for name, declared in SOURCES.items():
        declare_files(name, str(recorded), declared, actor=TESTER)
    for name in SOURCES:
        imported = import_bars(name, now=now, actor=TESTER)
        assert imported.job is not None
        assert not imported.left_out
    until(lambda: not Job.objects.filter(ended_at__isnull=True).exists(), within=240)
    return {_key(one): one for one in show_coverage(now=now)}


def test_no_file_is_forgotten(recorded: Path) -> None:
    """Each recorded series is stated, and declared, once or more."""
    there = {str(path.relative_to(recorded)) for path in recorded.glob("*/*.csv*")}
    stated = set(chain.from_iterable(one.files for one in SERIES))
    assert stated == {name for name in there if "/actions_" not in name}
    assert {one.source for one in SERIES} == set(SOURCES)


@pytest.mark.parametrize("source", SOURCES)
def test_good_bars_are_stored_bad_rows_quarantined_and_no_gap_is_invented(
    coverage: dict[Key, SeriesCoverage], recorded: Path, source: str
) -> None:
    """Value by value, reason by reason, session by session, for all files of a source."""
    stated = [one for one in SERIES if one.source == source]
    found = {key for key in coverage if key[0] == f"files:{source}"}
    assert found == {one.key for one in stated}
    differences = [
        f"{' '.join(one.key)}: {text}"
        for one in stated
        for text in _differences(one, judge(one, recorded), coverage[one.key])
    ]
    assert differences == []


def _key(found: SeriesCoverage) -> Key:
    one = found.series
    return one.provider, one.symbol, str(one.timeframe), str(one.adjustment), str(one.hours)


def _differences(stated: Stated, judged: Judged, found: SeriesCoverage) -> Iterator[str]:
    stored, outside = _stored(found.series.id), _outside(found.series.id)
    good = judged.bars
    absent = good.keys() - stored.keys()
    if stored.keys() - good.keys():
        yield f"bars that are in no file: {sorted(stored.keys() - good.keys())[:3]}"
    if (outside, len(absent)) != (stated.outside, stated.outside):
        yield f"{outside} rows left out by their hour; absent {len(absent)}: {sorted(absent)[:3]}"
    changed = [stamp for stamp, row in stored.items() if not _equal(row, good.get(stamp))]
    if changed:
        yield f"values differ at {changed[:3]}: {stored[changed[0]]}"
    refused = _refused(found.series.id)
    if refused != judged.refused:
        yield f"quarantine has {_some(refused - judged.refused)}"
        yield f"quarantine lacks {_some(judged.refused - refused)}"
    yield from _wrong_gaps(stated, found)


def _wrong_gaps(stated: Stated, found: SeriesCoverage) -> Iterator[str]:
    report = found.report
    edges = ("", "")
    if report.gaps:
        edges = (_day(report.gaps[0].start), _day(report.gaps[-1].end - 1))
    if (report.lacking, *edges) != (stated.lacking, stated.first_lacking, stated.last_lacking):
        yield f"{report.lacking} sessions lack, from {edges[0]} to {edges[1]}"
    kinds = {gap.kind for gap in report.gaps}
    if kinds - {GapKind.MISSING, GapKind.REFUSED}:
        yield f"gaps of kind {kinds}"
    if report.loaded + report.lacking != report.expected:
        yield f"{report.explained} sessions are explained without evidence"


def _stored(series_id: int) -> dict[datetime, Row]:
    assert isinstance(connection.connection, psycopg.Connection)
    bars: dict[datetime, Row] = {}
    for chunk in read_chunks(connection.connection, series_id, start=None, end=None):
        columns = (chunk.open, chunk.high, chunk.low, chunk.close, chunk.volume)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        bars |= dict(zip(map(from_us, chunk.ts.tolist()), rows, strict=True))
        assert chunk.final.all()
    return bars


def _outside(series_id: int) -> int:
    details = Attempt.objects.filter(series_id=series_id).values_list("detail", flat=True)
    return sum((one or {}).get("outside_hours", 0) for one in details)


def _refused(series_id: int) -> Counter[tuple[datetime, str]]:
    return Counter(Quarantine.objects.filter(series_id=series_id).values_list("ts", "reason"))


def _equal(left: Row, right: Row | None) -> bool:
    return right is not None and all(
        a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(left, right, strict=True)
    )


def _some(refused: Counter[tuple[datetime, str]]) -> str:
    return f"{refused.total()} more, such as {list(refused.items())[:3]}"


def _day(stamp: int) -> str:
    return from_us(stamp).date().isoformat()

"""A folder of files goes through real workers into the tables, and can be imported again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingestion.domain.actor import Actor
from ingestion.models import Bar, Job, Quarantine, Series
from ingestion.services.declare_files import declare_files
from ingestion.services.import_bars import import_bars
from ingestion.services.show_coverage import show_coverage
from ingestion.services.summarize_job import JobSummary, summarize_job
from mdc.stack.embedded import EmbeddedStack
from tests.stack.waiting import until

TESTER = Actor(name="tester", source="test")
NOW = datetime(2024, 6, 1, tzinfo=UTC)

DAYS = """Date,Open,High,Low,Close,Volume
2024-03-06,103,104,102,103.5,1300
2024-03-05,102,103,101,102.5,1200
2024-03-04,101,102,100,101.5,1100
2024-03-01,100,101,99,100.5,1000
"""
# Eastern time at the bars' ends, half past nine to a quarter to ten, and what must not be stored.
MINUTES = """Date;Time;Symbol;Price Open;High;Low;Close;Vol
01/03/2024;09:31;BETA;10,0;10,5;9,5;10,1;100
01/03/2024;09:32;BETA;10,1;10,6;9,6;-;100
01/03/2024;09:33;BETA;10,2;10,1;9,7;10,3;100
01/03/2024;soon;BETA;10,3;10,8;9,8;10,4;100
13/03/2024;09:34;BETA;10,3;10,8;9,8;10,4;100
13/03/2024;09:35;BETA;10,4
13/03/2024;09:36;GAMMA;20,4;20,8;20,1;20,5;7
13/03/2024;09:36;GAMMA;20,4;20,8;20,1;20,6;7
"""
SIDECAR = """
[[files]]
match = "minutes/*.csv"
name = "minutes/{date}.csv"
timeframe = "1m"
timezone = "America/New_York"
stamps = "end"
decimal = ","
adjustment = "split"
columns = { open = "Price Open" }
"""


@pytest.fixture
def db(staff_db: EmbeddedStack) -> EmbeddedStack:
    """Use the workers' database; see `staff_db`."""
    return staff_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Lay out two kinds of files in one folder, with a sidecar."""
    (tmp_path / "ACME_1d.csv").write_text(DAYS)
    (tmp_path / "minutes").mkdir()
    (tmp_path / "minutes" / "2024-03-14.csv").write_text(MINUTES)
    (tmp_path / "mdc-files.toml").write_text(SIDECAR)
    return tmp_path


def bring_in(name: str) -> JobSummary:
    """Import a declared source and wait for its job."""
    imported = import_bars(name, now=NOW, actor=TESTER)
    assert imported.job is not None
    job_id = imported.job.job_id
    until(lambda: Job.objects.filter(id=job_id, ended_at__isnull=False).exists(), within=60)
    return summarize_job(job_id, now=NOW)


def test_a_folder_is_imported_once_whatever_is_repeated(db: EmbeddedStack, folder: Path) -> None:
    """Good rows are bars, bad ones in the quarantine with line and text; again changes nothing."""
    declare_files("vendor", str(folder), actor=TESTER)
    first = bring_in("vendor")
    ids = dict(
        Series.objects.filter(provider="files:vendor").values_list("instrument__symbol", "id")
    )

    days = Bar.objects.filter(series_id=ids["ACME"]).order_by("ts")
    assert [bar.close for bar in days] == [100.5, 101.5, 102.5, 103.5]
    beta = Bar.objects.filter(series_id=ids["BETA"]).order_by("ts")
    assert [(bar.ts.isoformat(), bar.open) for bar in beta] == [
        ("2024-03-01T14:30:00+00:00", 10.0),
        # Clocks went forward on the 10th.
        ("2024-03-13T13:33:00+00:00", 10.3),
    ]
    assert ids.keys() == {"ACME", "BETA", "GAMMA"}
    refused = {
        row.raw["line"]: row for row in Quarantine.objects.filter(series_id__in=ids.values())
    }
    assert {line: row.reason for line, row in refused.items()} == {
        3: "missing_value",
        4: "ohlc",
        5: "bad_stamp",
        7: "missing_value",
        8: "duplicate_conflict",
        9: "duplicate_conflict",
    }
    assert refused[3].raw["text"] == MINUTES.splitlines()[2]
    assert refused[3].raw["file"] == "minutes/2024-03-14.csv"
    assert sum(one.inserted for one in first.series) == 6

    lines = DAYS.replace("102.5,1200", "102.6,1200")
    (folder / "ACME_1d.csv").write_text(lines)
    again = bring_in("vendor")
    assert sum(one.inserted for one in again.series) == 0
    assert sum(one.unchanged for one in again.series) == 5
    assert sum(one.revised for one in again.series) == 1
    assert sum(one.duplicates for one in again.series) == 0

    (acme,) = show_coverage(now=NOW, provider="files:vendor", symbols=["ACME"])
    assert (acme.report.expected, acme.report.lacking) == (4, 0)
    assert acme.watermark == datetime(2024, 3, 7, tzinfo=UTC)

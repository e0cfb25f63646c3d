"""The lake holds every delivered bar as real Parquet files that other tools read."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from ingestion.domain.errors import BadRequest
from ingestion.services.replay_target import replay_target
from ingestion.store.targets import standings
from ingestion.target_access import open_sink
from ingestion.targets.parquet import ParquetLake
from tests.protocol.scene import TESTER, sql
from tests.targets.receiving import a_job, commit, daily, declare, deliver_next, drain, stored

pytestmark = pytest.mark.django_db

DOCUMENTED = Path(__file__).parents[2].joinpath("docs/targets.md").read_text(encoding="utf-8")
LATEST = DOCUMENTED.partition("```sql\n")[2].partition("```")[0]
_WANTED = "provider, symbol, timeframe, epoch_us(ts), sequence, epoch_us(known_from), close"


def lake_at(folder: Path, **request: object) -> int:
    """Declare a lake in a folder."""
    config = ParquetLake.check({"path": str(folder)}, name="lake")
    return declare("lake", "parquet", config=config, **request)


def files(lake: Path) -> list[str]:
    """Name the files of a lake, and nothing that was left half done."""
    found = [one for one in lake.rglob("*") if one.is_file()]
    assert all(one.suffix == ".parquet" for one in found)
    return sorted(str(one.relative_to(lake)) for one in found)


def latest(lake: Path) -> dict:
    """Run the documented query."""
    query = LATEST.replace("'lake/", f"'{lake}/")
    rows = duckdb.sql(f"SELECT {_WANTED} FROM ({query})").fetchall()
    return {row[:5]: row[5:] for row in rows}


def test_a_lake_holds_the_bar_table(tmp_path: Path) -> None:
    """Symbols of every spelling, several years, revisions: the documented query gives the table."""
    target = lake_at(tmp_path, batch_size=9)
    series = a_job("AAA", "BRK/B", "^VIX", "ES=F", "A B", "1E2")
    for one in series.values():
        commit(one, daily(-5, 12))
    commit(series["^VIX"], daily(0, 2, price=11.0, absent=True))
    drain(target, open_sink)
    assert latest(tmp_path) == stored()
    names = files(tmp_path)
    assert {name.split("/")[-2] for name in names} == {"year=2023", "year=2024"}
    assert any(name.startswith("provider=synthetic/timeframe=1d/symbol=BRK%2FB/") for name in names)
    table = ds.dataset(tmp_path, partitioning="hive").to_table()
    assert set(table.column("symbol").to_pylist()) == set(series)


def test_a_file_says_what_is_not_known(tmp_path: Path) -> None:
    """No volume is NULL; stamps are UTC microseconds; forming bars say so."""
    target = lake_at(tmp_path)
    commit(a_job("^VIX")["^VIX"], daily(0, 2, absent=True))
    sql("UPDATE bar SET final = false")
    drain(target, open_sink)
    (name,) = files(tmp_path)
    table = pq.read_table(tmp_path / name, partitioning=None)
    assert table.column("volume").null_count == table.column("trades").null_count == 2
    assert table.column("vwap").null_count == 2
    assert str(table.schema.field("ts").type) == "timestamp[us, tz=UTC]"
    assert table.column("final").to_pylist() == [False, False]
    assert set(table.column("adjustment").to_pylist()) == {"raw"}


def test_a_repeated_batch_replaces_its_files(tmp_path: Path) -> None:
    """The answer was lost, not the batch: after another try there is each file once."""
    target = lake_at(tmp_path, batch_size=20)
    for one in a_job("AAA", "BBB").values():
        commit(one, daily(-5, 12))

    class Forgetful:
        def __init__(self, row: object) -> None:
            self.sink = open_sink(row)

        def deliver(self, batch: object) -> None:
            self.sink.deliver(batch)
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        deliver_next(target, Forgetful)
    before = files(tmp_path)
    assert len(before) == 4
    draft = (tmp_path / before[0]).parent / f".{Path(before[0]).name}.left.draft"
    draft.touch()
    drain(target, open_sink)
    assert set(before) < set(files(tmp_path))
    rows = ds.dataset(tmp_path, partitioning="hive").count_rows()
    assert rows == len(stored()) == 24


def test_a_replay_adds_versions_that_the_query_drops(tmp_path: Path) -> None:
    """What is delivered again stands in further files, equal to the last digit."""
    target = lake_at(tmp_path)
    commit(a_job("AAA")["AAA"], daily(0, 12))
    drain(target, open_sink)
    replay_target("lake", actor=TESTER)
    drain(target, open_sink)
    assert ds.dataset(tmp_path, partitioning="hive").count_rows() == 24
    assert latest(tmp_path) == stored()


def test_a_lake_without_room_says_so_and_waits(tmp_path: Path) -> None:
    """The folder is a file by now: nothing is lost, and the sentence names the place."""
    folder = tmp_path / "lake"
    target = lake_at(folder)
    commit(a_job("AAA")["AAA"], daily(0, 3))
    folder.rmdir()
    folder.touch()
    deliver_next(target, open_sink)
    row = standings()[0].target
    assert row.error.startswith(f"cannot write below {folder}: ")
    assert row.enabled
    folder.unlink()
    drain(target, open_sink)
    assert latest(folder) == stored()


def test_a_folder_is_checked_when_it_is_declared(tmp_path: Path) -> None:
    """Absolute, and one that can be written to."""
    with pytest.raises(BadRequest, match="must be absolute"):
        lake_at(Path("lake"))
    (tmp_path / "file").touch()
    with pytest.raises(BadRequest, match="nothing can be written in"):
        lake_at(tmp_path / "file" / "lake")
    with pytest.raises(BadRequest, match="missing required field `path`"):
        ParquetLake.check({}, name="lake")

"""Every form reads back as what is stored, in order, by the readers that people use."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from ingestion.calendars import expectation_for
from ingestion.domain.selection import BEST, Selection
from ingestion.domain.windows import Window
from ingestion.formats.drafts import open_file, open_folder
from ingestion.formats.forms import COLUMNS, DERIVED, ExportFormat
from ingestion.services.export_bars import ExportStep, export_bars, export_hive
from ingestion.services.select_bars import select_bars
from providers.bars import Bars
from providers.types import Anchor, Hours, Timeframe
from tests.cli.conftest import Run, command_environment
from tests.export.scene import day, store, write
from tests.export.scene import run as execute

ODD = 'BRK/B=é,"x'
NAMES = COLUMNS[:5]
TYPED = (*COLUMNS, "final")


@pytest.fixture(scope="module", autouse=True)
def db(committed: None) -> None:
    """Minutes of two providers, days over a new year, and a symbol that needs quoting."""
    store("polygon", "2024-11-27", "2024-11-29", precedence=10)
    store("yahoo", "2024-11-27", "2024-12-02", price=200)
    odd = store(
        "polygon", "2023-12-29", "2024-01-02", "2024-01-03", symbol=ODD, timeframe=Timeframe.D1
    )
    values = np.array([0.1 + 0.2, 1e-300, 12345678.000000001])
    write(
        odd.id,
        Bars.build(
            ts=odd.bars.ts,
            open=values,
            high=values * 2,
            low=values / 3,
            close=values,
            volume=[np.nan, 0.0, 1e15 / 3],
            vwap=[np.nan, 1 / 3, np.nan],
            trades=[-1, 0, 2**31 - 1],
        ),
    )
    execute(
        "UPDATE bar SET final = false WHERE series_id = %s AND ts >= '2024-01-03 00:00Z'", odd.id
    )
    execute(
        "UPDATE bar SET ts = ts + interval '1.5 seconds' WHERE series_id = %s AND ts < %s",
        odd.id,
        day("2024-01-01"),
    )


def expected(selection: Selection) -> dict[str, list[Any]]:
    """Read the selection without any form, as columns of plain values."""
    from tests.export.scene import Read, plain

    got = Read(list(select_bars(plain(), selection)))
    columns: dict[str, list[Any]] = {name: [] for name in TYPED}
    for chunk in got.chunks:
        for name in NAMES[1:]:
            columns[name] += [str(getattr(chunk.series, name))] * len(chunk)
    columns["provider"] = got.providers
    for name in TYPED[5:]:
        values = getattr(got.bars, name).tolist()
        absent = (lambda v: v == -1) if name == "trades" else (lambda v: v != v)
        columns[name] = [None if absent(value) else value for value in values]
    return columns


def exported(form: ExportFormat, selection: Selection) -> bytes:
    file = io.BytesIO()
    export_bars(file, form=form, selection=selection)
    return file.getvalue()


def typed(table: pa.Table) -> dict[str, list[Any]]:
    """Return a table's columns as plain values, times as µs."""
    assert table.schema.names == list(TYPED)
    table = table.set_column(5, "ts", table["ts"].cast(pa.int64()))
    return {name: table[name].to_pylist() for name in TYPED}


READERS: dict[ExportFormat, Callable[[bytes], dict[str, list[Any]]]] = {
    ExportFormat.PARQUET: lambda data: typed(pq.read_table(io.BytesIO(data))),
    ExportFormat.ARROW: lambda data: typed(pa.ipc.open_file(data).read_all()),
    ExportFormat.ARROWS: lambda data: typed(pa.ipc.open_stream(data).read_all()),
}


@pytest.mark.parametrize("form", READERS)
@pytest.mark.parametrize("provider", [None, BEST])
def test_forms_with_types_read_back_equal(form: ExportFormat, provider: str | None) -> None:
    """Types, order, absent values, and the provider of each bar."""
    selection = Selection(provider=provider)
    assert READERS[form](exported(form, selection)) == expected(selection)


def microseconds(text: str) -> int:
    assert text.endswith("Z")
    return int(np.datetime64(text.removesuffix("Z"), "us").astype(np.int64))


def test_text_reads_back_equal() -> None:
    """CSV and JSON lines have the documented columns; doubles come back bit by bit."""
    selection = Selection(provider=BEST)
    want = expected(selection)
    lines = [json.loads(line) for line in exported(ExportFormat.JSON, selection).splitlines()]
    assert list(lines[0]) == list(COLUMNS)
    table = pyarrow.csv.read_csv(
        io.BytesIO(exported(ExportFormat.CSV, selection)),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(COLUMNS, pa.string()), strings_can_be_null=True
        ),
    ).to_pydict()
    assert list(table) == list(COLUMNS)
    for name in COLUMNS:
        told = [line[name] for line in lines]
        text = table[name]
        if name == "ts":
            assert [microseconds(one) for one in told] == want["ts"]
            assert told == text
        else:
            assert told == want[name], name
            kind = type(next(one for one in want[name] if one is not None))
            assert [None if one is None else kind(one) for one in text] == want[name]
    assert "2023-12-29T00:00:01.500000Z" in table["ts"]


@pytest.mark.parametrize("form", [*ExportFormat])
def test_derived_bars_are_marked(form: ExportFormat) -> None:
    """Two more columns, at the end of the documented ones, only where bars were put together."""
    data = exported(form, Selection(symbols=("AAA",), resample=Timeframe.D1))
    if form in (ExportFormat.CSV, ExportFormat.JSON):
        head, *_ = data.decode().splitlines()
        names = head.split(",") if form is ExportFormat.CSV else list(json.loads(head))
        assert names == [*COLUMNS, *DERIVED]
        assert data.count(b"true") == 2 * 4
        return
    table = {
        ExportFormat.PARQUET: lambda: pq.read_table(io.BytesIO(data)),
        ExportFormat.ARROW: lambda: pa.ipc.open_file(data).read_all(),
        ExportFormat.ARROWS: lambda: pa.ipc.open_stream(data).read_all(),
    }[form]()
    assert table.schema.names == [*TYPED, *DERIVED]
    assert table["derived"].to_pylist() == table["complete"].to_pylist() == [True] * 4


def test_a_file_says_where_it_comes_from() -> None:
    """Version, moment, source and what was computed are in the schema."""
    selection = Selection(
        symbols=("AAA",), provider=BEST, resample=Timeframe.D1, as_of=day("2025-01-01")
    )
    schema = pq.read_schema(io.BytesIO(exported(ExportFormat.PARQUET, selection)))
    told = {key.decode(): value.decode() for key, value in schema.metadata.items()}
    assert told["mdc.as_of"] == "2025-01-01T00:00:00+00:00"
    assert (told["mdc.source"], told["mdc.resample"]) == ("best", "1d")
    assert (told["mdc.adjust"], told["mdc.hours"]) == ("as stored", "regular")
    assert told["mdc.version"]


@pytest.mark.parametrize(
    "by", [("symbol", "year"), ("provider", "timeframe"), ("year",), ("adjustment", "symbol")]
)
def test_a_hive_is_read_by_everybody(by: tuple[str, ...], tmp_path: Path) -> None:
    """pyarrow, polars and duckdb see the columns of the folders, and all rows."""
    selection = Selection(provider=BEST)
    want = expected(selection)
    done = export_hive(tmp_path, partition_by=by, selection=selection)
    assert done.rows == len(want["ts"])
    key = ["ts", "symbol", "close"]
    rows = sorted(zip(*(want[name] for name in key), strict=True))
    years = sorted({1970 + ts // 31_556_952_000_000 for ts in want["ts"]})

    dataset = pyarrow.dataset.dataset(tmp_path, partitioning="hive")
    table = dataset.to_table()
    assert set(table.schema.names) == {*TYPED, *by}
    table = table.set_column(table.schema.get_field_index("ts"), "ts", table["ts"].cast(pa.int64()))
    assert sorted(zip(*(table[name].to_pylist() for name in key), strict=True)) == rows
    if "year" in by:
        assert sorted(set(table["year"].to_pylist())) == years

    frame = pl.scan_parquet(tmp_path / "**/*.parquet", hive_partitioning=True).collect()
    frame = frame.select(pl.col("ts").to_physical(), pl.col("symbol").cast(str), "close")
    assert sorted(frame.rows()) == rows

    counted = duckdb.sql(
        f"SELECT epoch_us(ts), symbol::varchar, close FROM read_parquet('{tmp_path}/**/*.parquet',"
        " hive_partitioning = true) ORDER BY 1, 2, 3"
    ).fetchall()
    assert counted == rows


def test_a_folder_gives_way_only_to_who_says_so(run: Run, tmp_path: Path) -> None:
    """A filled folder is refused; an earlier export is replaced as a whole, nothing else is."""
    lake = tmp_path / "lake"
    words = (
        "export",
        "--symbols",
        "AAA",
        "--partition-by",
        "provider,year",
        "-o",
        lake,
    )
    assert run(*words).exit_code == 0
    assert {path.name for path in lake.iterdir()} == {
        "provider=polygon",
        "provider=yahoo",
    }
    refused = run(*words)
    assert refused.exit_code == 2
    assert (
        "is not empty; name another folder, or replace all of it with --overwrite" in refused.stderr
    )
    assert run(*words, "--provider", "yahoo", "--overwrite").exit_code == 0
    assert [path.name for path in lake.iterdir()] == ["provider=yahoo"]
    (lake / "notes.txt").write_text("mine")
    kept = run(*words, "--overwrite")
    assert kept.exit_code == 2
    assert "holds notes.txt, which no export wrote" in kept.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]
    nothing = run(
        "export", "--partition-by", "year", "--start", "1990-01-01", "--end", "1990-01-02",
        "-o", tmp_path / "none",
    )  # fmt: skip
    assert nothing.exit_code == 0
    assert "No bars match" in nothing.stderr
    assert not (tmp_path / "none").exists()


def interrupt(step: ExportStep) -> None:
    """Press Ctrl-C as soon as something was written."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("form", [*ExportFormat])
def test_an_interrupted_file_is_none(form: ExportFormat, tmp_path: Path) -> None:
    """Neither a half file nor a draft stays, and an older one is as it was."""
    older = tmp_path / "bars"
    older.write_text("older")
    with pytest.raises(KeyboardInterrupt), open_file(older) as file:
        export_bars(file, form=form, selection=Selection(), on_step=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["bars"]
    assert older.read_text() == "older"


def test_an_interrupted_folder_is_none(tmp_path: Path) -> None:
    """The folder takes its name at the end."""
    with (
        pytest.raises(KeyboardInterrupt),
        open_folder(tmp_path / "lake", overwrite=False) as folder,
    ):
        export_hive(folder, partition_by=("year",), selection=Selection(), on_step=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_the_ending_names_the_form_and_a_pipe_takes_a_stream(run: Run, tmp_path: Path) -> None:
    """No --format is needed for a file; Arrow into a pipe is its stream format."""
    words = ("export", "--symbols", "AAA", "--provider", "yahoo")
    for name, magic in (("a.parquet", b"PAR1"), ("b.feather", b"ARROW1"), ("c.jsonl", b'{"prov')):
        result = run(*words, "-o", tmp_path / name)
        assert result.exit_code == 0, result.stderr
        assert "780 bars written to" in result.stderr
        assert (tmp_path / name).read_bytes().startswith(magic)
    piped = subprocess.run(
        [sys.executable, "-m", "mdc", *words, "--format", "arrow"],
        env=command_environment(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert pa.ipc.open_stream(piped.stdout).read_all().num_rows == 780


_PEAKS = """
import io, django
django.setup()
from datetime import datetime, UTC
from pathlib import Path
from ingestion.domain.selection import Selection
from ingestion.formats.forms import ExportFormat
from ingestion.services.export_bars import export_bars

class Nowhere(io.RawIOBase):
    def writable(self): return True
    def write(self, data): return len(data)

def peak(form, last):
    Path("/proc/self/clear_refs").write_text("5")
    done = export_bars(Nowhere(), form=form, selection=Selection(symbols=("LONG",), end=last))
    status = Path("/proc/self/status").read_text()
    return done.rows, int(status.split("VmHWM:")[1].split()[0])

few, many = (peak(ExportFormat.CSV, datetime(year, 1, 1, tzinfo=UTC)) for year in (2012, 2014))
print(*few, *many)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are read from Linux")
def test_memory_is_flat() -> None:
    """Twice as many bars take no more memory, but for what allocators keep."""
    minutes = expectation_for(
        venue="XNYS", timeframe=Timeframe.M1, hours=Hours.REGULAR, anchor=Anchor.OPEN
    )
    stamps = minutes.expected_stamps(Window(day("2010-01-01"), day("2014-01-01")))
    series = store("polygon", "2010-01-04", symbol="LONG")
    prices = np.random.default_rng(1).random(len(stamps))
    write(series.id, Bars.build(ts=stamps, open=prices, high=prices, low=prices, close=prices))
    told = subprocess.run(
        [sys.executable, "-c", _PEAKS],
        env={**command_environment(), "DJANGO_SETTINGS_MODULE": "mdc.settings"},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        timeout=60,
    ).stdout
    # The other tests read everything there is.
    execute("DELETE FROM bar WHERE series_id = %s", series.id)
    few, few_kb, many, many_kb = map(int, told.split())
    assert many > 390_000 > 1.9 * few
    # The columns alone of the additional bars are 14 MB, their text is 18 MB.
    assert many_kb - few_kb < 7_000, told

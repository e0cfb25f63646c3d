"""Whatever files look like, the same bars come out."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from providers.adapters import files
from providers.files import csv_blocks
from providers.files.errors import BadLayout
from providers.files.layout import layout_from_json, parse_layout
from providers.types import Timeframe
from tests.files.folders import adapter_of, bars_of, fetch, query_of, stamps_of

MINUTES = ["2024-03-08 14:30", "2024-03-08 14:31", "2024-03-11 13:30"]
DAYS = ["2024-03-07 00:00", "2024-03-08 00:00", "2024-03-11 00:00"]

# (what it is, file, text, timeframe, layout, stamps)
CASES: list[tuple[str, str, str, str, Mapping[str, Any], list[str]]] = [
    (
        "offsets are written",
        "A_1m.csv",
        "ts,open,high,low,close,volume\n"
        "2024-03-08T09:30:00-05:00,{0}\n2024-03-08T09:31:00-05:00,{1}\n2024-03-11T09:30:00-04:00,{2}",
        "1m",
        {},
        MINUTES,
    ),
    (
        "New York's time, newest first, ends of bars",
        "A_1m.csv",
        "Timestamp,Open,High,Low,Close,Volume\n"
        "2024-03-11 09:31:00,{2}\n2024-03-08 09:32:00,{1}\n2024-03-08 09:31:00,{0}",
        "1m",
        {"timezone": "America/New_York", "stamps": "end"},
        MINUTES,
    ),
    (
        "milliseconds",
        "A_1m.csv",
        "t,o,h,l,c,v\n1709908200000,{0}\n1709908260000,{1}\n1710163800000,{2}",
        "1m",
        {},
        MINUTES,
    ),
    (
        "seconds as text with decimals",
        "A_1m.csv",
        "unix,o,h,l,c,v\n1709908200.0,{0}\n1709908260.0,{1}\n1710163800.0,{2}",
        "1m",
        {},
        MINUTES,
    ),
    (
        "tabs, spelled out",
        "A_1m.tsv",
        "time\topen\thigh\tlow\tclose\tvolume\n"
        "2024.03.08 14:30\t{0}\n2024.03.08 14:31\t{1}\n2024.03.11 13:30\t{2}",
        "1m",
        {"delimiter": "tab"},
        MINUTES,
    ),
    (
        "date and time in two columns, no header, semicolons",
        "A.txt",
        "20240308;14:30:00;{0}\n20240308;14:31:00;{1}\n20240311;13:30:00;{2}",
        "1m",
        {
            "header": False,
            "timeframe": "1m",
            "columns": ["date", "time", "open", "high", "low", "close", "volume"],
        },
        MINUTES,
    ),
    (
        "a time of day, the date in the path",
        "2024-03-08/A_1m.csv",
        "time,open,high,low,close,volume\n9:30,{0}\n09:31,{1}\n10:00,{2}",
        "1m",
        {"name": "{date}/{symbol}_{timeframe}.csv", "timezone": "America/New_York"},
        [*MINUTES[:2], "2024-03-08 15:00"],
    ),
    (
        "angle brackets",
        "A_1m.txt",
        "<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>\n"
        "20240308,143000,{0}\n20240308,143100,{1}\n20240311,133000,{2}",
        "1m",
        {},
        MINUTES,
    ),
    (
        "months before days, afternoon",
        "A_1m.csv",
        "DateTime,Open,High,Low,Close,Volume\n"
        "03/08/2024 2:30 PM,{0}\n03/08/2024 2:31 PM,{1}\n03/11/2024 1:30 PM,{2}",
        "1m",
        {"time_format": "%m/%d/%Y %I:%M %p"},
        MINUTES,
    ),
    (
        "dates of another zone, as written",
        "A_1d.csv",
        "ts,open,high,low,close,volume\n"
        "2024-03-07T00:00:00-05:00,{0}\n2024-03-08T00:00:00-05:00,{1}\n2024-03-11T00:00:00+09:00,{2}",
        "1d",
        {},
        DAYS,
    ),
    (
        "opens of Tokyo in UTC, labelled by Tokyo's date",
        "A_1d.csv",
        "ts,open,high,low,close,volume\n"
        "2024-03-06T15:00:00Z,{0}\n2024-03-07T15:00:00Z,{1}\n2024-03-10T15:00:00Z,{2}",
        "1d",
        {"timezone": "Asia/Tokyo", "dates": "local"},
        DAYS,
    ),
    (
        "the midnight after each day",
        "A_1d.csv",
        "ts,open,high,low,close,volume\n"
        "2024-03-08 00:00:00,{0}\n2024-03-09 00:00:00,{1}\n2024-03-12 00:00:00,{2}",
        "1d",
        {"stamps": "end"},
        DAYS,
    ),
    (
        "days with names of months, years of two digits",
        "A_1d.csv",
        "Date,Open,High,Low,Close,Volume\n7-Mar-24,{0}\n8-Mar-24,{1}\n11-Mar-24,{2}",
        "1d",
        {},
        DAYS,
    ),
    (
        "digits left out",
        "A_1m.csv",
        "ts,open,high,low,close,volume\n"
        "2024-3-8 14:30:00,{0}\n2024-3-8 14:31:00,{1}\n2024-03-11 13:30:00,{2}",
        "1m",
        {},
        MINUTES,
    ),
    (
        "hours of one digit",
        "A_1m.csv",
        "ts,open,high,low,close,volume\n2024-3-8 9:30,{0}\n2024-03-8 9:31,{1}\n2024-03-11 9:30,{2}",
        "1m",
        {"timezone": "America/New_York"},
        MINUTES,
    ),
    (
        "days first, since no month is the thirteenth",
        "A_1d.csv",
        "Date,Open,High,Low,Close,Volume\n07.03.2024,{0}\n08.03.2024,{1}\n13.03.2024,{2}",
        "1d",
        {},
        [*DAYS[:2], "2024-03-13 00:00"],
    ),
    (
        "Fridays become Mondays",
        "A_1wk.csv",
        "Date,Open,High,Low,Close,Volume\n2024-03-01,{0}\n2024-03-08,{1}\n2024-03-15,{2}",
        "1w",
        {},
        ["2024-02-26 00:00", "2024-03-04 00:00", "2024-03-11 00:00"],
    ),
]
ROWS = ("10,12,9,11,100", "11,13,10,12,200", "12,14,11,13,300")


@pytest.mark.parametrize(
    ("file", "text", "timeframe", "layout", "stamps"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_stamps_are_read_however_they_are_written(
    tmp_path: Path,
    file: str,
    text: str,
    timeframe: str,
    layout: Mapping[str, Any],
    stamps: list[str],
) -> None:
    """Each way of writing the same three bars gives them in order, labelled alike."""
    mark = next((one for one in (";", "\t") if one in text), ",")
    rows = [row.replace(",", mark) for row in ROWS]
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.format(*rows))
    # What is resolved and stored is what is read.
    stored = layout_from_json(parse_layout(layout).to_json())
    assert stored == parse_layout(layout)
    bars = bars_of(tmp_path, layout, "A", timeframe)
    assert stamps_of(bars) == stamps
    assert bars.open.tolist() == [10, 11, 12]
    assert bars.close.tolist() == [11, 12, 13]
    assert bars.volume.tolist() == [100, 200, 300]


def test_an_hour_that_comes_twice_is_told_apart_by_its_order(tmp_path: Path) -> None:
    """When clocks go back, the repeated hour is the later one, in files of either direction."""
    times = ["01:00", "01:30", "01:00", "01:30", "02:00"]
    lines = [f"2024-11-03 {time},1,1,1,1,{i}" for i, time in enumerate(times)]
    layout = {"timezone": "America/New_York", "timeframe": "30m"}
    expected = ["05:00", "05:30", "06:00", "06:30", "07:00"]
    for order in (lines, lines[::-1]):
        (tmp_path / "A.csv").write_text("\n".join(["ts,o,h,l,c,v", *order]))
        bars = bars_of(tmp_path, layout, "A", "30m")
        assert stamps_of(bars) == [f"2024-11-03 {time}" for time in expected]
        assert bars.volume.tolist() == [0, 1, 2, 3, 4]


def test_an_hour_that_is_skipped_is_no_stamp(tmp_path: Path) -> None:
    """Half past two did not exist; the row stays with its neighbour, to be refused."""
    (tmp_path / "A_30m.csv").write_text(
        "ts,o,h,l,c,v\n2024-03-10 01:30,1,1,1,1,1\n2024-03-10 02:30,2,2,2,2,2\n"
    )
    page = fetch(adapter_of(tmp_path, {"timezone": "America/New_York"}), query_of("A", "30m"))
    assert stamps_of(page.bars.take(slice(0, 1))) == ["2024-03-10 06:30"]
    assert page.bars.ts[1] == np.iinfo(np.int64).min
    assert page.raw_row(1) == {
        "file": "A_30m.csv",
        "line": 3,
        "text": "2024-03-10 02:30,2,2,2,2,2",
    }


def test_numbers_of_every_spelling(tmp_path: Path) -> None:
    """Decimal commas, thousands, exponents, scaled integers, and words for no value."""
    (tmp_path / "A_1d.csv").write_text(
        'Date;Open;High;Low;Close;Volume\n2024-03-07;"1.234,5";1.300;1.200,25;1250;1,2e3\n'
        "2024-03-08;n/a;1.300;1.200;-;\n"
    )
    layout = {"decimal": ",", "thousands": ".", "nulls": ["n/a", "-"], "price_scale": 0.01}
    bars = bars_of(tmp_path, layout, "A", "1d")
    assert bars.open[0] == 12.345
    assert bars.low[0] == 12.0025
    assert (bars.high[0], bars.close[0], bars.volume[0]) == (13.0, 12.5, 1200.0)
    assert np.isnan([bars.open[1], bars.close[1], bars.volume[1]]).all()


def test_a_cell_far_down_that_is_no_number_spoils_nothing_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of many blocks is read on as text where that is needed, without gap or overlap."""
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 32_768)
    monkeypatch.setattr(files, "PAGE_ROWS", 7000)
    count, torn, odd = 20_000, 15_000, 18_000
    stamps = np.datetime64("2023-01-02T00:00") + np.arange(count).astype("m8[m]")
    lines = [f"{stamp},1.5,2.5,0.5,{i}.25,7" for i, stamp in enumerate(stamps.tolist())]
    lines[torn] += ",surplus"
    lines[odd] = lines[odd].replace("1.5", "soon")
    with gzip.open(tmp_path / "A_1m.csv.gz", "wt") as file:
        file.write("ts,open,high,low,close,volume\n" + "\n".join(lines) + "\n")
    adapter = adapter_of(tmp_path)
    (holding,) = adapter.holdings().series.values()
    assert holding.rows == count
    closes: list[float] = []
    raws = []
    token = None
    while True:
        page = fetch(adapter, query_of("A", "1m"), token=token)
        closes += page.bars.close.tolist()
        bad = np.flatnonzero(np.isnan(page.bars.close) | np.isnan(page.bars.open))
        raws += [page.raw_row(int(i)) for i in bad]
        token = page.next_token
        if token is None:
            break
    assert np.isnan(closes[torn])
    assert [close for i, close in enumerate(closes) if i != torn] == [
        i + 0.25 for i in range(count) if i != torn
    ]
    assert raws == [
        {"file": "A_1m.csv.gz", "line": at + 2, "text": lines[at]} for at in (torn, odd)
    ]


def test_parquet_of_every_kind_of_stamp(tmp_path: Path) -> None:
    """Zoned and naive timestamps, dates, numbers and text are read by their types."""
    prices = {name: [1.0, 2.0] for name in ("open", "high", "low", "close")}
    instants = ["2024-03-08 14:30", "2024-03-08 14:31"]
    zoned = pa.array([1709908200000000, 1709908260000000], pa.timestamp("us", "America/New_York"))
    columns = {
        "zoned": (zoned, "1m"),
        "naive": (zoned.cast(pa.timestamp("us")).cast(pa.timestamp("ns")), "1m"),
        "seconds": (pa.array([1709908200, 1709908260]), "1m"),
        "text": (pa.array([f"{one}:00" for one in instants]), "1m"),
        "days": (pa.array([date(2024, 3, 7), date(2024, 3, 8)]), "1d"),
    }
    for name, (column, timeframe) in columns.items():
        pq.write_table(
            pa.table({"ts": column, **prices}), tmp_path / f"{name.upper()}_{timeframe}.parquet"
        )
    for name, (_, timeframe) in columns.items():
        found = stamps_of(bars_of(tmp_path, {}, name.upper(), timeframe))
        assert found == (DAYS[:2] if timeframe == "1d" else instants), name
    zoned_days = pa.array(
        [1709874000000000, 1710133200000000], pa.timestamp("us", "America/New_York")
    )
    pq.write_table(pa.table({"ts": zoned_days, **prices}), tmp_path / "Z_1d.parquet")
    assert stamps_of(bars_of(tmp_path, {}, "Z", "1d")) == DAYS[1:]


def test_one_file_a_day_with_many_symbols(tmp_path: Path) -> None:
    """A column tells the symbol; a rename holds on its dates alone; a window reads its part."""
    for day in ("2022-06-08", "2022-06-09"):
        (tmp_path / f"{day}.csv").write_text(
            f"ticker,date,open,high,low,close,volume\nFB,{day},1,1,1,1,10\nAAPL,{day},2,2,2,2,20\n"
        )
    layout = {
        "timeframe": "1d",
        "renames": [{"file_symbol": "FB", "symbol": "META", "since": "2022-06-09"}],
    }
    adapter = adapter_of(tmp_path, layout)
    assert {(key.symbol, holding.rows) for key, holding in adapter.holdings().series.items()} == {
        ("FB", 1),
        ("META", 1),
        ("AAPL", 2),
    }
    assert stamps_of(fetch(adapter, query_of("FB", "1d")).bars) == ["2022-06-08 00:00"]
    assert stamps_of(fetch(adapter, query_of("META", "1d")).bars) == ["2022-06-09 00:00"]
    assert fetch(adapter, query_of("AAPL", "1d")).bars.open.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("layout", "complaint"),
    [
        ({"timezone": "New York"}, "unknown timezone"),
        ({"colums": {}}, "colums"),
        ({"columns": {"price": "Last"}}, "no column has the role 'price'"),
        ({"stamps": "middle"}, "start"),
        ({"timeframe": "7m"}, "unknown timeframe"),
        ({"name": "{ticker}.csv"}, "{symbol}"),
        ({"time_format": "whenever"}, "unknown time_format"),
        ({"files": [{"hours": "extended"}]}, "match"),
        ({"price_scale": 0}, "positive"),
        ({"max_bad_percent": 120}, "0 to 100"),
        ({"header": False, "columns": {"ts": "Date"}}, "number"),
    ],
)
def test_a_layout_that_cannot_be_meant_is_refused_in_one_sentence(
    layout: dict[str, Any], complaint: str
) -> None:
    """What is wrong is named, and nothing is guessed."""
    with pytest.raises(BadLayout, match=complaint.replace("{", r"\{").replace("}", r"\}")) as error:
        parse_layout(layout)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "symbol", "timeframe"),
    [
        ("BRK-B_1d.csv", "BRK-B", Timeframe.D1),
        ("brk.b.csv.gz", "brk.b", None),
        ("ES_60min.parquet", "ES", Timeframe.H1),
        ("SPY_daily.txt", "SPY", Timeframe.D1),
        ("EURUSD_BID.csv", "EURUSD_BID", None),
    ],
)
def test_usual_names_tell_symbol_and_timeframe(
    tmp_path: Path, name: str, symbol: str, timeframe: Timeframe | None
) -> None:
    """What looks like a bar length is one; everything before it is the symbol."""
    (tmp_path / name).write_bytes(b"")
    (listed,) = adapter_of(tmp_path)._view.listing.files
    assert (listed.named.symbol, listed.named.timeframe) == (symbol, timeframe)

"""The adapter of a declared source: the suite of every adapter, and what files add to it."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers import registry
from providers.adapters.files import PAGE_ROWS, Files
from providers.base import Adapter
from providers.errors import UnknownProvider, UnknownSymbol, UnsupportedRequest
from providers.files.cache import FileCache
from providers.files.declared import DeclaredSource
from providers.files.errors import FileChanged, UnreadableFile
from providers.files.layout import parse_layout
from providers.instants import from_us, to_us
from providers.registry import Declarations, get_adapter, keep_declarations
from providers.types import BarQuery, Credentials, Request
from tests.files.folders import NO_EDGE, adapter_of, fetch, query_of, stamps_of
from tests.providers.contract import AdapterContract, make_response

HEADER = "ts,open,high,low,close,volume\n"


def write(path: Path, *rows: str) -> Path:
    """Write a file of usual columns."""
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return path


class TestFiles(AdapterContract):
    """Hold for a source that is declared as `vendor`."""

    name: ClassVar[str] = "files:vendor"

    @pytest.fixture(autouse=True)
    def declared(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for timeframe in ("1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "1mo"):
            write(tmp_path / f"ACME_{timeframe}.csv", "2024-03-01 14:30,1,2,0.5,1.5,7")
        source = DeclaredSource("vendor", str(tmp_path), parse_layout({}))
        monkeypatch.setattr(registry, "_declarations", [])
        keep_declarations(
            Declarations(
                find=lambda name: source if name == "vendor" else None, names=lambda: ["vendor"]
            )
        )

    @property
    def adapter(self) -> Adapter:
        """Return the adapter of the source as its folder is now."""
        return get_adapter(self.name)

    def test_registry_knows_it_under_its_name(self) -> None:
        """Each look-up sees the folder anew; another name is refused, saying which there are."""
        first, second = get_adapter("files:vendor"), get_adapter("FILES:Vendor")
        assert first.name == second.name == self.name
        assert first is not second
        with pytest.raises(UnknownProvider, match="files:vendor"):
            get_adapter("files:nobody")

    def test_there_is_no_wire(self) -> None:
        """Nothing can be sent or parsed."""
        with pytest.raises(UnsupportedRequest, match="fetch_page"):
            self.adapter.build_request(
                self.query(), token=None, credentials=Credentials(), base_url=""
            )
        with pytest.raises(UnsupportedRequest, match="fetch_page"):
            self.adapter.parse(self.query(), make_response(200))
        assert Request(url="").url == ""

    def test_it_reaches_as_far_as_its_rows(self) -> None:
        """A window outside is known to be empty; an unknown symbol is told from an empty one."""
        assert self.adapter.reach(self.query()) == (
            datetime(2024, 3, 1, tzinfo=UTC),
            datetime(2024, 3, 2, tzinfo=UTC),
        )
        with pytest.raises(UnknownSymbol, match="mdc files show vendor"):
            self.adapter.capability_for(replace(self.query(), vendor_symbol="OTHER"))


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 400), st.integers(1, 9), st.booleans()), min_size=1, max_size=60
    ),
    cuts=st.lists(st.integers(0, 400), max_size=4),
    files=st.integers(1, 3),
)
def test_every_row_comes_in_exactly_one_slice(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[int, int, bool]],
    cuts: list[int],
    files: int,
) -> None:
    """However rows lie in files, and slices in time, each row is served once, bad stamps too."""
    folder = tmp_path_factory.mktemp("rows")
    base = datetime(2024, 3, 1, tzinfo=UTC)
    lines = []
    for number, (minute, price, bad) in enumerate(rows):
        stamp = "soon" if bad and number else (base + timedelta(minutes=minute)).isoformat()
        lines.append(f"{stamp},{price},{price},{price},{price},{number}")
    for at in range(files):
        part = lines[at::files]
        # A file without a single stamp cannot be read at all.
        if any(not line.startswith("soon") for line in part):
            (folder / str(at)).mkdir()
            write(folder / str(at) / "A_1m.csv", *part)
    kept = sorted(
        int(line.rpartition(",")[2])
        for path in folder.rglob("*.csv")
        for line in path.read_text().splitlines()[1:]
    )
    adapter = adapter_of(folder)
    reach = adapter.reach(query_of("A", "1m"))
    assert reach is not None
    first, end = to_us(reach[0]), to_us(reach[1])
    inner = {first + cut * 60_000_000 for cut in cuts}
    bounds = sorted({first, end} | {cut for cut in inner if first < cut < end})
    served: list[int] = []
    for start, stop in pairwise(bounds):
        query = query_of("A", "1m", start=from_us(start), end=from_us(stop))
        bars = fetch(adapter, query).bars
        good = bars.ts[bars.ts >= 0]
        assert ((good >= start) & (good < stop)).all()
        assert (np.diff(good) >= 0).all()
        served += bars.volume.astype(int).tolist()
    assert sorted(served) == kept


def test_pages_keep_equal_stamps_together(tmp_path: Path) -> None:
    """Rows that may contradict each other are judged together; the next page begins after them."""
    count = PAGE_ROWS + 10
    base = np.datetime64("2020-01-01T00:00")
    minutes = np.minimum(np.arange(count), PAGE_ROWS - 5)
    lines = [f"{stamp},1,1,1,1,{i}" for i, stamp in enumerate((base + minutes).tolist())]
    write(tmp_path / "A_1m.csv", *lines)
    adapter = adapter_of(tmp_path)
    first = fetch(adapter, query_of("A", "1m"))
    assert len(first.bars) == PAGE_ROWS - 5
    assert first.next_token is not None
    second = fetch(adapter, query_of("A", "1m"), token=first.next_token)
    assert len(second.bars) == 15
    assert second.next_token is None
    assert first.resume_from == from_us(int(second.bars.ts[0]))


def test_a_file_that_changes_between_pages_is_noticed(tmp_path: Path) -> None:
    """Half of one content and half of another never make one answer."""
    lines = [
        f"{stamp},1,1,1,1,1"
        for stamp in (np.datetime64("2020-01-01T00:00") + np.arange(PAGE_ROWS + 5)).tolist()
    ]
    path = write(tmp_path / "A_1m.csv", *lines)
    adapter = adapter_of(tmp_path)
    first = fetch(adapter, query_of("A", "1m"))
    write(path, *lines[:-1])
    with pytest.raises(FileChanged, match="read again"):
        fetch(adapter, query_of("A", "1m"), token=first.next_token)
    path.unlink()
    with pytest.raises(FileChanged, match="only file of A"):
        fetch(adapter, query_of("A", "1m"))


def test_another_content_is_read_anew(tmp_path: Path) -> None:
    """What is kept of a file counts for as long as size and time of change are the same."""
    path = write(tmp_path / "A_1d.csv", "2024-03-01,1,1,1,1,1")
    adapter = adapter_of(tmp_path)
    page = fetch(adapter, query_of("A", "1d"))
    assert page.bars.close.tolist() == [1]
    write(path, "2024-03-01,2,2,2,2,2")
    # Not even a time that is set back hides it.
    os.utime(path, ns=(1, 1))
    assert fetch(adapter, query_of("A", "1d")).bars.close.tolist() == [2]
    # The row that was refused is no longer what stands there.
    assert page.raw_row(0) == {"file": "A_1d.csv", "row": 1, "note": "the file was changed since"}


def test_files_that_come_and_go_are_seen_by_the_next_request(tmp_path: Path) -> None:
    """A run that is at work already neither misses a new file nor stumbles over a removed one."""
    (tmp_path / "2024").mkdir()
    (tmp_path / "2024" / "A_1d.csv").write_text(HEADER + "2024-03-01,1,1,1,1,1\n")
    (tmp_path / "A_1d.csv").write_text(HEADER + "2023-03-01,1,1,1,1,1\n")
    adapter = adapter_of(tmp_path, {"files": [{"match": "*", "symbol": "A", "timeframe": "1d"}]})
    assert len(fetch(adapter, query_of("A", "1d")).bars) == 2
    (tmp_path / "A_1d.csv").unlink()
    assert len(fetch(adapter, query_of("A", "1d")).bars) == 1
    (tmp_path / "2024" / "more_1d.csv").write_text(HEADER + "2024-03-04,1,1,1,1,1\n")
    assert len(fetch(adapter, query_of("A", "1d")).bars) == 2


def test_the_least_used_files_are_let_go(tmp_path: Path) -> None:
    """A small cache serves the same rows as a large one, and reads what it has moved to disk."""
    for at in range(6):
        write(tmp_path / f"S{at}_1d.csv", *(f"2024-03-{day:02},{at},9,0,1,1" for day in (1, 4, 5)))
    cache = FileCache(memory_bytes=300)
    adapter = adapter_of(tmp_path, cache=cache)
    for at in [0, 1, 2, 3, 4, 5, 0, 3]:
        bars = fetch(adapter, query_of(f"S{at}", "1d")).bars
        assert bars.open.tolist() == [at] * 3
    assert cache.held() == (1, 5)
    tiny = FileCache(memory_bytes=0, disk_bytes=500)
    for at in [0, 1, 2, 3, 4, 5, 0, 3]:
        bars = fetch(adapter_of(tmp_path, cache=tiny), query_of(f"S{at}", "1d")).bars
        assert bars.open.tolist() == [at] * 3
    assert tiny.held() == (0, 2)


def test_a_window_of_a_file_on_disk_is_that_window(tmp_path: Path) -> None:
    """Only the rows that are asked for are read back."""
    write(tmp_path / "A_1d.csv", *(f"2024-03-{day:02},{day},99,0,1,1" for day in range(1, 29)))
    adapter = adapter_of(tmp_path, cache=FileCache(memory_bytes=0))
    for _ in range(2):
        for first, last in ((1, 28), (5, 9), (9, 9), (20, 28)):
            query = query_of(
                "A",
                "1d",
                start=datetime(2024, 3, first, tzinfo=UTC),
                end=datetime(2024, 3, last, tzinfo=UTC),
            )
            bars = fetch(adapter, query).bars
            assert bars.open.tolist() == list(range(first, last))


BAD_FILES: list[tuple[str, bytes, str]] = [
    (
        "A_1d.csv",
        b"ts,price\n2024-03-01,1\n",
        "no column for open, high, low, close among ts, price",
    ),
    ("A_1d.csv", b"a,b,c,d,e\nx,1,1,1,1\n", "no column for ts, open"),
    ("A_1d.csv", b"ts,open,high,low,close\nsoon,1,1,1,1\n", "'soon'"),
    ("A_1d.csv", b"ts,open,high,low,close\n01/02/2024,1,1,1,1\n", "day or the month"),
    ("A_1d.csv", b"ts,open,high,low,close\n1200-01-01,1,1,1,1\n", "not one of its stamps"),
    ("A.csv", b"ts,open,high,low,close\n2024-03-01,1,1,1,1\n", "declare timeframe"),
    ("A_1d.csv", b"ts,open,open,high,low,close\n2024-03-01,1,1,1,1,1\n", "two columns"),
    (
        "A_1d.csv.gz",
        gzip.compress(HEADER.encode() + b"2024-03-01,1,1,1,1,1\n" * 500, mtime=0)[:-20],
        "damaged",
    ),
    ("A_1d.csv.gz", b"no gzip at all", "damaged"),
    (
        "A_1d.csv",
        HEADER.encode() + b"2024-03-01,1,1,1,1,1\n2024-03-0\xff,1,1,1,1,1\n",
        "no utf-8 text",
    ),
    ("A_1d.parquet", b"no parquet at all", "Parquet"),
]


@pytest.mark.parametrize(("name", "content", "complaint"), BAD_FILES)
def test_a_file_that_cannot_be_read_says_why(
    tmp_path: Path, name: str, content: bytes, complaint: str
) -> None:
    """It is a problem of its own when a folder is looked at, and an error when it is needed."""
    (tmp_path / name).write_bytes(content)
    write(tmp_path / "GOOD_1d.csv", "2024-03-01,1,1,1,1,1")
    adapter = adapter_of(tmp_path)
    assert {key.symbol for key in adapter.holdings().series} == {"GOOD"}
    (problem,) = adapter.holdings().problems
    assert problem.file == name
    assert complaint in problem.message
    with pytest.raises(UnreadableFile, match=name) as error:
        fetch(adapter, query_of("A", "1d"))
    assert error.value.file == name
    assert str(tmp_path) not in str(error.value)


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    """No line at all, or a header alone, is no fault."""
    (tmp_path / "A_1d.csv").write_text("")
    (tmp_path / "B_1d.csv").write_text(HEADER)
    adapter = adapter_of(tmp_path)
    assert adapter.holdings().problems == ()
    assert adapter.holdings().series == {}


def test_rows_without_a_symbol_are_nobodys_bar(tmp_path: Path) -> None:
    """They go with the row before, without a price to store."""
    (tmp_path / "dump.csv").write_text(
        "symbol,ts,open,high,low,close\nA,2024-03-01,1,1,1,1\n,2024-03-04,2,2,2,2\n"
    )
    page = fetch(adapter_of(tmp_path, {"timeframe": "1d"}), query_of("A", "1d"))
    assert stamps_of(page.bars) == ["2024-03-01 00:00", "2024-03-04 00:00"]
    assert np.isnan(page.bars.open).tolist() == [False, True]
    assert json.loads(json.dumps(page.raw_row(1)))["text"] == ",2024-03-04,2,2,2,2"


def test_two_kinds_of_one_symbol_are_two_series(tmp_path: Path) -> None:
    """Basis, hours and anchor are what the layout declares of each file."""
    (tmp_path / "extended").mkdir()
    write(tmp_path / "A_1h.csv", "2024-03-01 14:30,1,1,1,1,1")
    write(tmp_path / "extended" / "A_1h.csv", "2024-03-01 14:00,2,2,2,2,2")
    layout: dict[str, Any] = {
        "files": [
            {
                "match": "extended/*",
                "hours": "extended",
                "anchor": "clock",
                "adjustment": "split",
                "venue": "XNAS",
            }
        ]
    }
    adapter = adapter_of(tmp_path, layout)

    def asked(**fields: str) -> BarQuery:
        return query_of("A", "1h", **fields)

    regular = fetch(adapter, asked()).bars
    extended = fetch(adapter, asked(hours="extended", anchor="clock", adjustment="split")).bars
    assert (regular.open.tolist(), extended.open.tolist()) == ([1], [2])
    assert adapter.capability_for(asked(hours="extended", adjustment="split")).anchor == "clock"
    with pytest.raises(UnsupportedRequest, match="ask for raw or split"):
        adapter.capability_for(asked(adjustment="split_div"))
    with pytest.raises(UnsupportedRequest, match="ask for regular hours"):
        adapter.capability_for(asked(hours="extended"))
    listing = adapter.guess_listing("A")
    assert listing is not None
    assert listing.venue == "XNAS"
    assert isinstance(adapter, Files)
    assert NO_EDGE is None

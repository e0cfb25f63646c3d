"""An export is exactly what is stored, in one order, all or nothing."""

from __future__ import annotations

import csv
import io
import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connection

from ingestion.domain.selection import Selection
from ingestion.formats.forms import COLUMNS, ExportFormat
from ingestion.services.export_bars import export_bars
from providers.types import Timeframe
from tests.cli.conftest import Run, execute, open_now, request, work_until_done

ODD_VALUES = (0.1 + 0.2, 1e-300, 12345678.000000001, 1 / 3)


@pytest.fixture(scope="module", autouse=True)
def db(committed: None) -> None:
    """Two symbols by day, one by minute, numbers that need all their digits, and no volume."""
    daily = open_now(request("BETA", "ALPHA"))
    minutes = open_now(
        request("ALPHA", timeframe=Timeframe.M1, end=datetime(2024, 1, 9, tzinfo=UTC))
    )
    work_until_done(daily, minutes)
    execute(
        "UPDATE bar SET open = %s, high = %s, low = %s, close = %s, volume = NULL, vwap = %s,"
        " trades = 7 WHERE ts = '2024-01-02 00:00Z'",
        *ODD_VALUES,
        ODD_VALUES[0],
    )


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_stored_bar_comes_out_bit_for_bit(run: Run) -> None:
    """Numbers read back as the very doubles that are stored; what is absent stays empty."""
    exported = rows_of(run("export").stdout)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT provider, symbol, event_type, timeframe, adjustment, ts, sequence,"
            " open, high, low, close, volume, vwap, trades FROM bars"
        )
        stored = {(row[1], row[3], row[5], row[6]): row for row in cursor.fetchall()}
    assert len(exported) == len(stored) > 2000
    for row in exported:
        ts = datetime.fromisoformat(row["ts"])
        assert row["ts"].endswith("Z")
        kept = stored[(row["symbol"], row["timeframe"], ts, int(row["sequence"]))]
        for name, value in zip(COLUMNS, kept, strict=True):
            if name in ("open", "high", "low", "close", "volume", "vwap"):
                assert (float(row[name]) if row[name] else None) == value
            elif name != "ts":
                assert row[name] == ("" if value is None else str(value))


def test_the_order_is_fixed(run: Run) -> None:
    """Provider, symbol, timeframe, adjustment by code point, then time and sequence."""
    exported = rows_of(run("export").stdout)
    keys = [
        (*(row[name] for name in COLUMNS[:6] if name != "event_type"), int(row["sequence"]))
        for row in exported
    ]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


def test_json_lines_say_the_same_as_csv(run: Run) -> None:
    """One object a line, numbers as numbers, null where CSV has nothing."""
    words = ("export", "--symbols", "ALPHA", "--timeframe", "1d")
    lines = run(*words, "--format", "json").stdout.splitlines()
    objects = [json.loads(line) for line in lines]
    rows = rows_of(run(*words).stdout)
    assert [list(one) for one in objects[:1]] == [list(COLUMNS)]
    assert objects[0]["open"] == ODD_VALUES[0]
    assert objects[0]["volume"] is None
    assert objects[0]["trades"] == 7
    for one, row in zip(objects, rows, strict=True):
        assert one["ts"] == row["ts"]
        assert one["close"] == float(row["close"])


def test_days_are_included_and_times_are_not(run: Run) -> None:
    """A last day belongs to the export, a last time does not."""
    words = ("export", "--symbols", "ALPHA", "--timeframe", "1m", "--start", "2024-01-03")
    day = rows_of(run(*words, "--end", "2024-01-03").stdout)
    assert (day[0]["ts"], day[-1]["ts"]) == ("2024-01-03T14:30:00Z", "2024-01-03T20:59:00Z")
    until = rows_of(run(*words, "--end", "2024-01-03T15:00Z").stdout)
    assert until[-1]["ts"] == "2024-01-03T14:59:00Z"


def test_a_known_symbol_without_bars_gives_a_header(run: Run) -> None:
    """Nothing in the range is an answer, said on standard error."""
    result = run("export", "--symbols", "BETA", "--start", "1999-01-01", "--end", "1999-12-31")
    assert result.exit_code == 0
    assert result.stdout == ",".join(COLUMNS) + "\n"
    assert "No bars match" in result.stderr


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--symbols", "NEVER"), "nothing is stored of NEVER; `mdc backfill PROVIDER --symbols"),
        (("--symbols", "alpha"), "did you mean ALPHA?"),
        (("--symbols", "BETA", "--timeframe", "1m"), "`mdc coverage --symbols BETA` shows what is"),
        (("--symbols", "ALPHA", "--provider", "yahoo"), "nothing is stored of ALPHA"),
    ],
)
def test_an_unknown_series_is_an_error_and_no_file(
    run: Run, tmp_path: Path, words: tuple[str, ...], hint: str
) -> None:
    """A typing error must not look like an empty market."""
    target = tmp_path / "out.csv"
    result = run("export", *words, "-o", str(target))
    assert result.exit_code == 1
    assert hint in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_whole(run: Run, tmp_path: Path) -> None:
    """The new file has usual permissions, and no draft stays beside it."""
    target = tmp_path / "out.csv"
    target.write_text("older")
    result = run("export", "--symbols", "BETA", "-o", str(target))
    assert result.exit_code == 0
    assert "written to" in result.stderr
    assert result.stdout == ""
    assert len(rows_of(target.read_text())) == 61
    assert stat.S_IMODE(target.stat().st_mode) & 0o600 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.csv"]


def test_a_failed_export_leaves_the_older_file_alone(run: Run, tmp_path: Path) -> None:
    """All or nothing holds for errors too."""
    target = tmp_path / "out.csv"
    target.write_text("older")
    assert run("export", "--symbols", "NEVER", "-o", str(target)).exit_code == 1
    assert target.read_text() == "older"


def test_a_full_or_missing_place_is_one_sentence(run: Run, tmp_path: Path) -> None:
    """A device is written to, never replaced."""
    full = run("export", "--symbols", "BETA", "-o", "/dev/full")
    assert full.exit_code == 1
    assert "cannot write /dev/full: No space left on device" in full.stderr
    assert Path("/dev/full").is_char_device()
    missing = run("export", "--symbols", "BETA", "-o", str(tmp_path / "none" / "out.csv"))
    assert missing.exit_code == 1
    assert "No such file or directory" in missing.stderr


class Blocks(io.RawIOBase):
    """Count what is written, and when."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def write(self, block: bytes) -> int:  # type: ignore[override]
        self.sizes.append(len(block))
        return len(block)


def test_rows_leave_in_blocks() -> None:
    """Memory stays flat: a block is handed on before the next one is read."""
    blocks = Blocks()
    done = export_bars(blocks, form=ExportFormat.JSON, selection=Selection())
    assert done.rows > 2000
    assert len(blocks.sizes) > 2


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("-o", "x.xyz"), "the ending of x.xyz names no format; add --format csv|json|parquet"),
        (("--format", "parquet"), "Parquet is written to a file; name one with -o"),
        (("--overwrite",), "--overwrite goes with --partition-by"),
        (("--partition-by", "symbol"), "--partition-by writes a folder; name it with -o"),
        (("--partition-by", "close", "-o", "x"), "cannot partition by close; choose from provider"),
        (
            ("--partition-by", "year", "--format", "csv", "-o", "x"),
            "only Parquet is partitioned; leave --format csv out",
        ),
        (("--provider", "nobody"), "nobody"),
        (("--resample", "7m"), "7m"),
        (("--resample", "1m", "--timeframe", "1d"), "1m bars cannot be made of 1d bars"),
        (("--resample", "1d", "--timeframe", "1m,5m"), "name one timeframe to resample from"),
        (("--resample", "1w", "--provider", "best"), "a 1w bar would mix providers"),
        (("--as-of", "2150-01-01"), "2150-01-01 00:00:00Z is not yet a minute ago"),
        (("--as-of", "soon"), "soon"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(run: Run, words: tuple[str, ...], hint: str) -> None:
    """Wrong usage ends with code 2 and says what to do instead."""
    result = run("export", *words)
    assert result.exit_code == 2, result.stderr
    assert hint in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--resample", "1m"), "nothing shorter than 1m that divides it is stored of"),
        (("--symbols", "BETA", "--adjust", "split"), "no split or dividend of BETA is recorded"),
    ],
)
def test_what_is_not_stored_is_one_sentence(run: Run, words: tuple[str, ...], hint: str) -> None:
    """What the stored bars cannot give is a failure, and no answer that looks like one."""
    result = run("export", *words)
    assert result.exit_code == 1
    assert hint in result.stderr
    assert result.stdout == ""

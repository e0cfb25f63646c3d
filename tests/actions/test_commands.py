"""`mdc actions`: what people state, line by line, audited, and all or nothing."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from django.db import connection, transaction

from ingestion.domain.windows import Window
from ingestion.models import AuditEvent, CorporateActionRecord, Instrument, Series
from ingestion.services.series_factors import bar_labels, series_factors
from ingestion.store.bars import SeriesBars, write_bars
from providers.bars import Bars
from providers.types import Adjustment, Timeframe
from providers.venues import load_sessions

Run = Callable[..., Result]

# Factors of a share that paid 2.65 twice and was split 7:1, in LEAN's notation and rounding.
LEAN = """\
20120103,0.9911977,0.14285714,1
20120808,0.9911977,0.14285714,619.86
20121106,0.9954535,0.14285714,582.86
20140606,1,0.14285714,645.57
20501231,1,1,0
"""


@pytest.fixture(autouse=True)
def _instruments(db: None) -> None:
    CorporateActionRecord.objects.all().delete()
    for symbol in ("AAPL", "IBM"):
        Instrument.objects.get_or_create(symbol=symbol, defaults={"venue": "XNYS"})


def stored() -> list[tuple[str, str, str, float]]:
    rows = CorporateActionRecord.objects.filter(known_to=None).order_by("ex_date", "kind")
    return [
        (row.instrument.symbol, row.ex_date.isoformat(), row.kind, row.value)
        for row in rows.select_related("instrument")
    ]


def test_a_table_is_taken_whole_and_taking_it_again_changes_nothing(
    run: Run, run_json: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "actions.csv"
    file.write_text(
        "\ufeffsymbol,ex_date,kind,value,currency\n"
        "AAPL,2014-06-09,split,7:1,\n"
        'IBM,2014-05-07,Dividend,1.10,usd\n"IBM",1999-05-27,split,2,\n'
    )
    said = run("actions", "import", file)
    assert (said.exit_code, said.stdout) == (0, "actions.csv states 3 actions; 3 rows written.\n")
    assert (
        run("actions", "import", file).stdout == "actions.csv states 3 actions; 0 rows written.\n"
    )
    assert stored() == [
        ("IBM", "1999-05-27", "split", 2.0),
        ("IBM", "2014-05-07", "dividend", 1.1),
        ("AAPL", "2014-06-09", "split", 7.0),
    ]
    event = AuditEvent.objects.filter(action="actions.import").latest("id")
    assert event.after == {"source": "user", "stated": 3, "rows": 3}
    listed = run_json("actions", "list", "--symbols", "AAPL", "--json")
    assert [(one["ex_date"], one["kind"], one["value"]) for one in listed] == [
        ("2014-06-09", "split", 7.0)
    ]
    assert run_json("actions", "list", "--as-of", "2020-01-01", "--json") == []
    assert "7:1" in run("actions", "list").stdout


def test_every_bad_line_is_named_and_nothing_is_taken(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "actions.csv"
    file.write_text(
        "symbol,ex_date,kind,value\n"
        "AAPL,2014-06-09,split,7:1\n"
        "AAPL,06/09/2014,split,7:1\n"
        "AAPL,2014-06-09,spinoff,1\n"
        "AAPL,2014-06-09,split,0:1\n"
        "AAPL,2014-06-09,dividend,nan\n"
        "AAPL,2014-06-09\n"
        ",2014-06-09,split,2\n"
    )
    said = run("actions", "import", file)
    assert said.exit_code == 2
    assert stored() == []
    lines = said.stderr.splitlines()
    assert [line.split(":")[1].strip() for line in lines[:-1]] == [f"line {n}" for n in range(3, 9)]
    for reason in ("is no date", "no kind of action", "is no split", "is no dividend"):
        assert reason in said.stderr
    assert lines[-1].startswith("mdc: nothing was imported: line 3")


def test_unknown_symbols_stop_an_import_unless_they_may_be_left_out(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "actions.csv"
    file.write_text("symbol,ex_date,kind,value\nZZZ,2014-06-09,split,2\nIBM,2014-06-09,split,2\n")
    said = run("actions", "import", file)
    assert said.exit_code == 2
    assert "line 2: nothing is known of ZZZ" in said.stderr
    assert run("actions", "import", file, "--known-only").exit_code == 0
    assert stored() == [("IBM", "2014-06-09", "split", 2.0)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the header lacks symbol, ex_date, kind, value"),
        ("ex_date,kind,value\n", "the header lacks symbol"),
    ],
)
def test_a_header_is_asked_for(run: Run, tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "actions.csv"
    file.write_text(text)
    said = run("actions", "import", file)
    assert said.exit_code == 2
    assert sentence in said.stderr


def test_actions_are_stated_replaced_and_withdrawn_one_by_one(run: Run) -> None:
    assert run("actions", "add", "AAPL", "2014-06-09", "split", "7").exit_code == 0
    assert (
        run("actions", "add", "AAPL", "2014-06-09", "split", "1:10", "--reason", "typo").exit_code
        == 0
    )
    assert stored() == [("AAPL", "2014-06-09", "split", 0.1)]
    assert "1:10" in run("actions", "list").stdout
    assert run("actions", "withdraw", "AAPL", "2014-06-09", "split").exit_code == 0
    assert stored() == []
    again = run("actions", "withdraw", "AAPL", "2014-06-09", "split")
    assert again.exit_code == 2
    assert "user states no split of AAPL" in again.stderr
    kinds = list(AuditEvent.objects.order_by("id").values_list("action", flat=True))
    assert kinds[-3:] == ["actions.add", "actions.add", "actions.withdraw"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("AAPL", "2014-13-09", "split", "7"), 2, "is no date"),
        (("AAPL", "2014-06-09", "split", "seven"), 2, "write 7:1"),
        (("AAPL", "2014-06-09", "dividend", "-1"), 2, "mdc: "),
        (("aapl", "2014-06-09", "split", "7"), 1, "did you mean AAPL"),
        (("AAPL", "2014-06-09", "dividend", "1", "--currency", "US Dollars"), 2, "no currency"),
        (("AAPL", "2014-06-09", "dividend", "1", "--source", "x" * 33), 2, "names no source"),
    ],
)
def test_what_cannot_be_stated_is_answered_in_one_sentence(
    run: Run, words: tuple[str, ...], code: int, sentence: str
) -> None:
    said = run("actions", "add", *words)
    assert said.exit_code == code
    assert sentence in said.stderr
    assert stored() == []


def test_factors_of_lean_become_round_actions(run: Run, tmp_path: Path) -> None:
    """The ex-date is the session after a line's date; seven decimals leave 2.65 and 7 exact."""
    file = tmp_path / "aapl.csv"
    file.write_text(LEAN)
    assert run("actions", "import", file, "--format", "lean").exit_code == 2, "no symbol is named"
    said = run("actions", "import", file, "--format", "lean", "--symbol", "AAPL")
    assert said.exit_code == 0, said.stderr
    assert stored() == [
        ("AAPL", "2012-08-09", "dividend", 2.65),
        ("AAPL", "2012-11-07", "dividend", 2.65),
        ("AAPL", "2014-06-09", "split", 7.0),
    ]


def test_bad_lines_of_lean_are_named(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "aapl.csv"
    file.write_text("20120808,0.99,1,0\nlater,1,1,1\n20121106,1,1,5\n20111106,1,1,5\n")
    said = run("actions", "import", file, "--format", "lean", "--symbol", "AAPL")
    assert said.exit_code == 2
    assert "line 1: it has no reference price" in said.stderr
    assert "line 2: it is not date, price factor" in said.stderr
    assert "line 3: its date does not lie before" in said.stderr
    assert stored() == []


# --- real files -----------------------------------------------------------------------------------


def recorded(name: str) -> Path:
    root = os.environ.get("MDC_RECORDED_DIR")
    if not root:
        pytest.skip("MDC_RECORDED_DIR is not set")
    return Path(root, "series", "lean_equity", name)


def read_series(path: Path) -> Bars:
    """Read a recorded file of New York days or UTC-offset minutes."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    rows = list(csv.DictReader(text.splitlines()))
    stamps = [datetime.fromisoformat(row["ts"]) for row in rows]
    daily = all(one.hour == one.minute == 0 for one in stamps[:5])
    shown = [one.replace(tzinfo=UTC) if daily else one.astimezone(UTC) for one in stamps]
    return Bars.build(
        ts=[int(one.timestamp()) * 1_000_000 for one in shown],
        **{
            name: [float(row[name]) for row in rows]
            for name in ("open", "high", "low", "close", "volume")
        },
    )


def store(bars: Bars, *, timeframe: str) -> Series:
    series = Series.objects.create(
        provider="lean",
        instrument=Instrument.objects.get(symbol="AAPL"),
        timeframe=timeframe,
        adjustment="raw",
    )
    edge = datetime(1990, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
    window = Window(*edge)
    with transaction.atomic():
        write_bars(
            connection,
            [SeriesBars(series.id, 1, window.start_us, window.end_us, bars)],
        )
    return series


def adjusted(series: Series, bars: Bars, *, to: Adjustment) -> Bars:
    connection.ensure_connection()
    timeframe, sessions = Timeframe(series.timeframe), load_sessions("XNYS")
    factors = series_factors(
        connection.connection,
        series_id=series.id,
        instrument_id=series.instrument_id,
        provider="lean",
        timeframe=timeframe,
        sessions=sessions,
        basis_from=Adjustment.RAW,
        basis_to=to,
    )
    return factors.adjust(
        bars, labels_us=bar_labels(bars.ts, timeframe=timeframe, sessions=sessions)
    )


def test_apples_prices_agree_with_the_factors_that_lean_ships(run: Run) -> None:
    """From 1998 to 2021 through 2:1, 2:1, 7:1 and 4:1: raw x price factor x split factor."""
    file = recorded("actions_AAPL_factors.csv")
    said = run("actions", "import", file, "--format", "lean", "--symbol", "AAPL")
    assert said.exit_code == 0, said.stderr
    splits = {day: value for _, day, kind, value in stored() if kind == "split"}
    assert splits == {
        "2000-06-21": 2.0,
        "2005-02-28": 2.0,
        "2014-06-09": 7.0,
        "2020-08-31": 4.0,
    }
    assert ("AAPL", "2012-08-09", "dividend", 2.65) in stored()

    bars = read_series(recorded("AAPL_1d.csv.gz"))
    series = store(bars, timeframe="1d")
    rows = [line.split(",") for line in file.read_text().split()]
    days = [datetime.strptime(row[0], "%Y%m%d").replace(tzinfo=UTC) for row in rows]
    row = np.searchsorted([int(day.timestamp()) * 1_000_000 for day in days], bars.ts)
    price, split = (np.array([float(one[i]) for one in rows])[row] for i in (1, 2))
    for to, factor in ((Adjustment.SPLIT, split), (Adjustment.SPLIT_DIV, price * split)):
        ours = adjusted(series, bars, to=to)
        for name in ("open", "high", "low", "close"):
            theirs = getattr(bars, name) * factor
            assert np.allclose(getattr(ours, name), theirs, rtol=5e-6), (to, name)
        assert np.allclose(ours.volume, bars.volume / split, rtol=5e-6)

    day = int(datetime(2014, 6, 6, tzinfo=UTC).timestamp()) * 1_000_000
    (friday,) = np.flatnonzero(bars.ts == day)
    split_close = adjusted(series, bars, to=Adjustment.SPLIT).close
    assert split_close[friday] == pytest.approx(645.57 / 28)
    assert split_close[friday + 1] == pytest.approx(93.7 / 4)

    minutes = read_series(recorded("AAPL_1m.csv"))
    by_minute = store(minutes, timeframe="1m")
    ours = adjusted(by_minute, minutes, to=Adjustment.SPLIT)
    before = minutes.ts < int(datetime(2014, 6, 9, 4, tzinfo=UTC).timestamp()) * 1_000_000
    assert np.allclose(minutes.close[before] / ours.close[before], 28)
    assert np.allclose(minutes.close[~before] / ours.close[~before], 4)
    assert before.any()
    assert not before.all()
    assert date(2014, 6, 9) == datetime.fromtimestamp(minutes.ts[~before][0] / 1e6, UTC).date()

"""`read_bars` as quants use it: frames, types, zones, and one sentence where it cannot be."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pytest

from ingestion.domain.errors import BadRequest, MdcError, StoreUnavailable
from mdc import read_bars
from mdc.reading import AmbiguousBars
from tests.reading.conftest import make_series

ROOT = Path(__file__).resolve().parents[2]


def read(address: str, symbols: Any = "AAPL", timeframe: str | None = "1d", **asked: Any) -> Any:
    return read_bars(symbols, timeframe, database_url=address, **asked)


def test_one_symbol_is_indexed_by_time_with_documented_types(address: str) -> None:
    frame = read(address)
    assert frame.index.name == "ts"
    assert frame.index.dtype == pd.DatetimeTZDtype("us", "UTC")
    assert frame.index.is_monotonic_increasing
    assert frame.dtypes.astype(str).to_dict() == {
        **dict.fromkeys(("open", "high", "low", "close", "volume", "vwap"), "float64"),
        "trades": "Int32",
        "final": "bool",
    }
    assert frame["vwap"].isna().all()
    assert frame["trades"].isna().all()
    with psycopg.connect(address) as connection:
        stored = connection.execute(
            "SELECT ts, close, volume FROM bars WHERE symbol = 'AAPL' AND timeframe = '1d'"
            " ORDER BY ts"
        ).fetchall()
    assert [
        (ts, c, v) for ts, c, v in zip(frame.index, frame["close"], frame["volume"], strict=True)
    ] == stored


def test_several_symbols_have_both_levels_in_the_order_given(address: str) -> None:
    frame = read(address, ["IBM", "AAPL"], columns=["close"])
    assert frame.index.names == ["symbol", "ts"]
    assert list(frame.index.get_level_values("symbol").unique()) == ["IBM", "AAPL"]
    pd.testing.assert_frame_equal(frame.loc["IBM"], read(address, "IBM", columns=["close"]))
    assert read(address, ["AAPL"]).index.nlevels == 2, "a list of one is a list"


def test_three_engines_hold_the_same(address: str) -> None:
    """Values, types, nulls and zones agree; polars and Arrow have the keys as columns."""
    asked = {"symbols": ["AAPL", "IBM"], "tz": "America/New_York"}
    pandas = read(address, **asked).reset_index()
    polars = read(address, engine="polars", **asked)
    arrow = read(address, engine="arrow", **asked)
    assert isinstance(polars, pl.DataFrame)
    assert isinstance(arrow, pa.Table)
    assert polars.schema["ts"] == pl.Datetime("us", "America/New_York")
    assert polars.schema["trades"] == pl.Int32
    assert arrow.schema.field("ts").type == pa.timestamp("us", tz="America/New_York")
    assert arrow.schema.field("trades").type == pa.int32()
    assert polars["trades"].null_count() == arrow.column("trades").null_count == len(pandas)
    for name in ("symbol", "ts", "close", "final"):
        texts = [str(value) for value in pandas[name].tolist()]
        assert [str(pd.Timestamp(v) if name == "ts" else v) for v in polars[name]] == texts
        assert [str(v) for v in arrow.column(name).to_pandas().tolist()] == texts


def test_dates_are_whole_days_and_times_exclude_their_end(address: str) -> None:
    days = read(address, start="2005-03-01", end=date(2005, 3, 4)).index
    assert [str(day.date()) for day in days] == [
        "2005-03-01",
        "2005-03-02",
        "2005-03-03",
        "2005-03-04",
    ]
    minutes = read(
        address,
        timeframe="1m",
        start="2005-03-01T14:30Z",
        end=pd.Timestamp("2005-03-01 09:33", tz="America/New_York"),
    )
    assert [f"{ts:%H:%M}" for ts in minutes.index] == ["14:30", "14:31", "14:32"]


def test_venue_time_shows_the_sessions_date_and_local_minutes(address: str) -> None:
    """A day is labelled with its own midnight, never with the evening before."""
    days = read(address, tz="venue", start="2005-04-01", end="2005-04-05").index
    assert str(days.tz) == "America/New_York"
    assert [ts.isoformat() for ts in days[:2]] == [
        "2005-04-01T00:00:00-05:00",
        "2005-04-04T00:00:00-04:00",
    ]
    minutes = read(address, timeframe="1m", tz="venue", end="2005-03-01").index
    assert f"{minutes[0]:%H:%M}" == "09:30"


def test_adjusted_prices_have_no_step_at_the_split(address: str) -> None:
    raw = read(address, start="2005-02-25", end="2005-02-28")
    split = read(address, adjust="split", start="2005-02-25", end="2005-02-28")
    assert raw["close"].tolist() == [88.99, 44.86]
    assert split["close"].tolist() == [88.99 / 2, 44.86]
    assert split["volume"].tolist() == [raw["volume"].iloc[0] * 2, raw["volume"].iloc[1]]


def test_a_dividend_after_the_window_is_counted(address: str) -> None:
    """What is read of January knows of February's dividend and of the close before it."""
    whole = read(address, "IBM", adjust="split_div")["close"]
    january = read(address, "IBM", adjust="split_div", end="2005-01-31")["close"]
    pd.testing.assert_series_equal(january, whole[: len(january)])
    raw = read(address, "IBM")["close"]
    # The next one's ex-date is a week after the last stored bar, those of the summer far later.
    february, april = 1 - 0.18 / raw[:"2005-02-07"].iloc[-1], 1 - 0.2 / raw.iloc[-1]
    assert january.iloc[0] == pytest.approx(raw.iloc[0] * february * april)


def test_derived_bars_say_whether_they_are_complete(address: str) -> None:
    hours = read(address, timeframe="1m", resample="1h", start="2005-03-01", end="2005-03-01")
    assert hours["complete"].dtype == bool
    assert hours["complete"].all()
    assert len(hours) == 7


def test_best_says_whose_bars_they_are(address: str) -> None:
    frame = read(address, provider="best", end="2005-01-31")
    assert frame["provider"].dtype == "category"
    assert set(frame["provider"]) == {"polygon"}


def test_as_of_before_anything_was_known_is_empty_and_typed(address: str) -> None:
    frame = read(address, as_of=datetime(2020, 1, 1, tzinfo=UTC))
    assert len(frame) == 0
    assert frame.index.dtype == pd.DatetimeTZDtype("us", "UTC")
    assert frame["trades"].dtype == "Int32"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"symbols": []}, "at least one symbol"),
        ({"timeframe": None}, "give a timeframe"),
        ({"timeframe": "7m"}, "7m"),
        ({"start": "soon"}, "'soon' is no date"),
        ({"start": "2005-02-02", "end": "2005-01-01"}, "swap them"),
        ({"hours": "night"}, "regular, extended"),
        ({"tz": "Mars/Base"}, "no time zone"),
        ({"engine": "excel"}, "pandas, polars, arrow"),
        ({"columns": ["price"]}, "no column price"),
        ({"symbols": "NOPE"}, "nothing is stored of NOPE"),
        ({"symbols": "aapl"}, "did you mean AAPL"),
        ({"hours": "extended"}, "nothing is stored of AAPL"),
        ({"home": "/tmp"}, "not both"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(
    address: str, asked: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Exception, match=sentence) as refusal:
        read(address, **{"symbols": "AAPL", "timeframe": "1d"} | asked)
    assert "\n" not in str(refusal.value)
    assert type(refusal.value).__module__.startswith(("ingestion.", "providers.", "mdc."))


def test_two_providers_of_one_symbol_have_to_be_told_apart(
    address: str, django_db_blocker: Any
) -> None:
    with django_db_blocker.unblock():
        other = make_series("AAPL", provider="yahoo", timeframe="1d", adjustment="split")
    try:
        with pytest.raises(AmbiguousBars, match="polygon and yahoo; choose one with provider="):
            read(address)
        assert len(read(address, provider="polygon"))
    finally:
        with psycopg.connect(address) as connection:
            connection.execute("DELETE FROM series WHERE id = %s", [other])


def test_no_database_is_said_with_what_to_do_and_no_secret(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="start it with `mdc up`"):
        read_bars("AAPL", "1d", home=tmp_path)
    with pytest.raises(StoreUnavailable) as refusal:
        read_bars("AAPL", "1d", database_url="postgresql://me:s3cret@127.0.0.1:1/mdc")
    assert "s3cret" not in f"{refusal.value} {refusal.value.__cause__}"
    with pytest.raises(BadRequest) as refused:
        read_bars("AAPL", "1d", database_url="postgresql//me:s3cret@host/mdc")
    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_running_event_loop_is_no_obstacle(address: str) -> None:
    """As in a notebook's cell; Django's own connection would refuse to be used there."""

    async def cell() -> Any:
        return read(address, adjust="split", provider="best", tz="venue")

    assert len(asyncio.run(cell())) == len(read(address))


def test_a_plain_script_needs_no_set_up_and_loads_no_more_than_it_uses(address: str) -> None:
    """`import mdc` alone loads nothing; polars is loaded when it is asked for, pandas then not."""
    script = """
import json, sys
import mdc
light = [name for name in ("numpy", "pandas", "django", "psycopg") if name in sys.modules]
from mdc import read_bars
frame = read_bars("AAPL", "1d", engine="polars")
print(json.dumps({
    "light": light, "rows": len(frame), "pandas": "pandas" in sys.modules,
    "settings": "mdc.settings" in sys.modules,
}))
"""
    environment = {
        name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"
    }
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment | {"MDC_DATABASE_URL": address},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said == {"light": [], "rows": len(read(address)), "pandas": False, "settings": False}


def test_a_missing_library_is_named(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MdcError, match="pip install polars"):
        read(address, engine="polars")


def test_rows_of_all_chunks_are_joined(address: str) -> None:
    """Four sessions of minutes come whole and in order."""
    frame = read(address, timeframe="1m", columns=["close"])
    assert len(frame) == 4 * 390
    assert (np.diff(frame.index.asi8) > 0).all()

"""What people see by SQL: every bar with its key, and one bar per key over all providers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection

from ingestion.models import Instrument, Series

pytestmark = pytest.mark.django_db


def rows(query: str) -> list[dict[str, Any]]:
    """Read rows by column name."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def series(provider: str, *, instrument: Instrument, **identity: Any) -> int:
    """Make a daily series."""
    made = Series.objects.create(
        provider=provider,
        instrument=instrument,
        **({"timeframe": "1d", "adjustment": "raw"} | identity),
    )
    return made.id


def add_bar(series_id: int, date: str, *, close: float = 1.0, final: bool = True) -> None:
    """Store one bar."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO bar (ts, known_from, attempt_id, open, high, low, close, series_id,"
            " sequence, final, volume) VALUES (%s, '2024-06-01Z', 7, 1, 9, 1, %s, %s, 0, %s, 100)",
            [f"{date}Z", close, series_id, final],
        )


@pytest.fixture
def aaa(db: None) -> Instrument:
    """Make an instrument."""
    return Instrument.objects.create(symbol="AAA", venue="XNYS")


def test_bars_shows_the_whole_dedupe_key_in_words(aaa: Instrument) -> None:
    """The view names provider, symbol, event type, timeframe, adjustment, hours and anchor."""
    series_id = series("yahoo", instrument=aaa)
    add_bar(series_id, "2024-01-02", close=5)
    (row,) = rows("SELECT * FROM bars")
    assert row == {
        "provider": "yahoo",
        "symbol": "AAA",
        "event_type": "bar",
        "timeframe": "1d",
        "adjustment": "raw",
        "hours": "regular",
        "anchor": "open",
        "ts": datetime(2024, 1, 2, tzinfo=UTC),
        "sequence": 0,
        "open": 1.0,
        "high": 9.0,
        "low": 1.0,
        "close": 5.0,
        "volume": 100.0,
        "vwap": None,
        "trades": None,
        "final": True,
        "known_from": datetime(2024, 6, 1, tzinfo=UTC),
        "attempt_id": 7,
        "series_id": series_id,
    }


def best() -> dict[str, tuple[str, float]]:
    """Return provider and close of the best bar by date."""
    return {
        f"{row['ts']:%Y-%m-%d}": (row["provider"], row["close"])
        for row in rows("SELECT * FROM bars_best")
    }


def test_bars_best_fills_one_provider_with_the_other(aaa: Instrument) -> None:
    """Each key appears once, from whichever provider holds it."""
    first, second = (series(name, instrument=aaa) for name in ("yahoo", "polygon"))
    add_bar(first, "2024-01-02", close=2)
    add_bar(second, "2024-01-02", close=3)
    add_bar(second, "2024-01-03", close=4)
    assert best() == {"2024-01-02": ("yahoo", 2.0), "2024-01-03": ("polygon", 4.0)}


def test_bars_best_follows_precedence_before_age(aaa: Instrument) -> None:
    """A series with a lower precedence wins over an older one."""
    add_bar(series("yahoo", instrument=aaa), "2024-01-02", close=2)
    add_bar(series("polygon", instrument=aaa, precedence=10), "2024-01-02", close=3)
    assert best() == {"2024-01-02": ("polygon", 3.0)}


def test_bars_best_prefers_a_final_bar_to_a_forming_one(aaa: Instrument) -> None:
    """What is still forming yields to what is final, whatever the precedence."""
    add_bar(series("yahoo", instrument=aaa, precedence=1), "2024-01-02", close=2, final=False)
    add_bar(series("polygon", instrument=aaa), "2024-01-02", close=3)
    assert best() == {"2024-01-02": ("polygon", 3.0)}


def test_bars_best_never_mixes_price_bases(aaa: Instrument) -> None:
    """Raw and adjusted prices are different keys: both appear."""
    add_bar(series("yahoo", instrument=aaa, adjustment="split"), "2024-01-02", close=2)
    add_bar(series("polygon", instrument=aaa), "2024-01-02", close=3)
    assert {(row["adjustment"], row["close"]) for row in rows("SELECT * FROM bars_best")} == {
        ("split", 2.0),
        ("raw", 3.0),
    }

"""The shipped real prices are what their attribution says."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from providers.simulator.recorded import STOCKS_FILE, VENUE, load_recordings
from providers.venues import load_sessions

ROWS = {"AAPL": 3270, "FB": 196, "GOOG": 2148, "IBM": 3270, "MSFT": 3270}
FIRST = {
    "AAPL": "2000-03-01",
    "FB": "2012-05-18",
    "GOOG": "2004-08-19",
    "IBM": "2000-03-01",
    "MSFT": "2000-03-01",
}


def test_the_file_is_the_one_named_in_the_attribution():
    """The shipped bytes have the digest and the row counts that ATTRIBUTION.md states."""
    attribution = (STOCKS_FILE.parent / "ATTRIBUTION.md").read_text()
    assert hashlib.sha256(STOCKS_FILE.read_bytes()).hexdigest() in attribution
    for symbol, rows in ROWS.items():
        assert f"| {symbol} | {rows:,} | {FIRST[symbol]} | 2013-03-01 |" in attribution


@pytest.mark.parametrize("symbol", sorted(ROWS))
def test_every_session_has_exactly_one_row(symbol):
    """From its first to its last date a symbol has one row per XNYS session and no other."""
    bars = load_recordings()[symbol].bars
    expected = load_sessions(VENUE).between(int(bars.ts[0]), int(bars.ts[-1]) + 1).labels
    assert len(bars) == ROWS[symbol]
    assert bars.ts[:1].astype("datetime64[us]").astype(str)[0].startswith(FIRST[symbol])
    assert np.array_equal(bars.ts, expected)


@pytest.mark.parametrize("symbol", sorted(ROWS))
def test_every_row_is_sound(symbol):
    """Prices are positive and in order, and every day has a volume."""
    bars = load_recordings()[symbol].bars
    assert (bars.low > 0).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (bars.volume > 0).all()

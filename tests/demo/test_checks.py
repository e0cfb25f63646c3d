"""What the demo calls equal, and the sentence that names a difference."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from mdc.demo.checks import check_prices
from mdc.demo.errors import DemoFailed
from mdc.demo.source import History, Prices, read_source
from providers.simulator.recorded import STOCKS_FILE, load_recordings

FIRST, SECOND = date(2012, 5, 18), date(2012, 5, 21)
FILE: History = {
    "FB": {
        FIRST: Prices(42.05, 45.0, 38.0, 38.23, 573e6),
        SECOND: Prices(36.5, 36.7, 33, 34, 168e6),
    }
}


def stored(**changes: float) -> dict[str, dict[date, Prices]]:
    """Copy the file, its second session changed."""
    return {"FB": {FIRST: FILE["FB"][FIRST], SECOND: FILE["FB"][SECOND]._replace(**changes)}}


def refusal(ours: History, absent: dict[str, set[date]] | None = None) -> str:
    """Return the sentence with which the comparison fails."""
    with pytest.raises(DemoFailed) as failure:
        check_prices("yahoo", source=FILE, stored=ours, absent=absent or {})
    return str(failure.value)


def test_equal_prices_are_counted() -> None:
    """Two bars of five values each."""
    assert check_prices("yahoo", source=FILE, stored=stored(), absent={}) == (2, 10)


@pytest.mark.parametrize("column", Prices._fields)
def test_each_column_is_compared(column: str) -> None:
    """The last bit of any value counts, and the sentence says where it is."""
    value = getattr(FILE["FB"][SECOND], column)
    sentence = refusal(stored(**{column: value * (1 + 2**-52)}))
    assert f"yahoo differs from the source file: FB 2012-05-21 {column} is {value!r}" in sentence


def test_a_value_that_is_absent_is_a_difference() -> None:
    """NaN equals nothing, so that a missing volume is not taken for the right one."""
    assert "volume is 168000000.0 in the file and nan" in refusal(stored(volume=float("nan")))


def test_a_bar_too_few_and_one_too_many_are_differences() -> None:
    """Neither side may have a session that the other lacks."""
    fewer = stored()
    del fewer["FB"][SECOND]
    assert refusal(fewer).endswith("FB has no bar on 2012-05-21, but the file has")
    more = stored()
    more["FB"][date(2012, 5, 20)] = FILE["FB"][FIRST]
    assert "FB has a bar on 2012-05-20 that the file does not have" in refusal(more)


def test_a_withheld_session_must_not_be_there() -> None:
    """Where the provider sent nothing, a bar would be an invention."""
    withheld = {"FB": {SECOND}}
    assert "2012-05-21, which was withheld" in refusal(stored(), absent=withheld)
    fewer = stored()
    del fewer["FB"][SECOND]
    assert check_prices("yahoo", source=FILE, stored=fewer, absent=withheld) == (1, 5)


def test_further_differences_are_counted() -> None:
    """One is spelled out, the number of the others follows."""
    assert refusal(stored(open=1.0, close=2.0)).endswith("and 1 more")


def test_the_file_is_read_as_the_simulator_serves_it() -> None:
    """Two readers, written apart, find the same prices."""
    read = read_source(Path(STOCKS_FILE))
    for symbol, recording in load_recordings().items():
        bars = recording.bars
        assert (
            list(read[symbol]) == bars.ts.astype("datetime64[us]").astype("datetime64[D]").tolist()
        )
        for name in Prices._fields:
            assert [getattr(one, name) for one in read[symbol].values()] == getattr(
                bars, name
            ).tolist()

"""Real splits and dividends of the recorded stocks up to 2013-03-01, as the firms declared them.

Sources: the investor pages of Apple ("Dividend History", "Stock Split History"), IBM ("Dividend
information") and Microsoft ("Dividends and Stock History"). Dates and amounts agree with what the
recordings' adjusted closes imply. GOOG and FB had neither.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from providers.instruments import ActionKind, CorporateAction

_SPLITS: Final = {
    "AAPL": {"2000-06-21": 2.0, "2005-02-28": 2.0},
    "MSFT": {"2003-02-18": 2.0},
}
_DIVIDENDS: Final = {
    "AAPL": {2.65: "2012-08-09 2012-11-07 2013-02-07"},
    "IBM": {
        0.13: "2000-05-08 2000-08-08 2000-11-08 2001-02-07",
        0.14: "2001-05-08 2001-08-08 2001-11-07 2002-02-06 2002-05-08",
        0.15: "2002-08-07 2002-11-06 2003-02-06",
        0.16: "2003-05-07 2003-08-06 2003-11-06 2004-02-06",
        0.18: "2004-05-06 2004-08-06 2004-11-08 2005-02-08",
        0.2: "2005-05-06 2005-08-08 2005-11-08 2006-02-08",
        0.3: "2006-05-08 2006-08-08 2006-11-08 2007-02-07",
        0.4: "2007-05-08 2007-08-08 2007-11-07 2008-02-06",
        0.5: "2008-05-07 2008-08-06 2008-11-06 2009-02-06",
        0.55: "2009-05-06 2009-08-06 2009-11-06 2010-02-08",
        0.65: "2010-05-06 2010-08-06 2010-11-08 2011-02-08",
        0.75: "2011-05-06 2011-08-08 2011-11-08 2012-02-08",
        0.85: "2012-05-08 2012-08-08 2012-11-07 2013-02-06",
    },
    "MSFT": {
        0.08: "2003-02-19 2004-08-23 2005-02-15 2005-05-16 2005-08-15 2005-11-15",
        0.16: "2003-10-15 2010-11-16 2011-02-15 2011-05-17 2011-08-16",
        3.08: "2004-11-15",
        0.09: "2006-02-15 2006-05-15 2006-08-15",
        0.1: "2006-11-14 2007-02-13 2007-05-15 2007-08-14",
        0.11: "2007-11-13 2008-02-19 2008-05-13 2008-08-19",
        0.13: (
            "2008-11-18 2009-02-17 2009-05-19 2009-08-18 2009-11-17 2010-02-16 2010-05-18"
            " 2010-08-17"
        ),
        0.2: "2011-11-15 2012-02-14 2012-05-15 2012-08-14",
        0.23: "2012-11-13 2013-02-19",
    },
}


def recorded_actions(symbol: str) -> tuple[CorporateAction, ...]:
    """Return a symbol's actions, ascending by ex-date; none for any symbol without a recording."""
    splits = [
        CorporateAction(date.fromisoformat(day), ActionKind.SPLIT, ratio)
        for day, ratio in _SPLITS.get(symbol, {}).items()
    ]
    dividends = [
        CorporateAction(date.fromisoformat(day), ActionKind.DIVIDEND, amount, "USD")
        for amount, days in _DIVIDENDS.get(symbol, {}).items()
        for day in days.split()
    ]
    return tuple(sorted([*splits, *dividends], key=lambda one: (one.ex_date, one.kind)))

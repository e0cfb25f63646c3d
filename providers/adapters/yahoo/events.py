"""Read splits and dividends from the events that come along with daily and longer bars.

Yahoo divides a dividend by every later split, as it does with prices: AAPL's 3.29 of 2014-05-08
read 0.47 after the 7:1 split of 2014-06-09 (pandas-datareader issue 651; the recorded chart of
AAPL from 2019 on shows 0.1925 for 0.77, before the 4:1 split of 2020-08-31). Here that is undone.
The splits needed lie between the ex-date and the present, and an answer tells only those inside of
its window: where the window ends in the past and holds dividends, a second page is asked for, of
quarterly bars from the window's end to the present, which are left aside; its events are the later
splits. The token of that page carries the dividends as they stood in the first one.
"""

from __future__ import annotations

import math
from datetime import date
from typing import Final

import msgspec
import numpy as np

from providers.adapters.yahoo.rows import exchange_dates
from providers.adapters.yahoo.wire import DividendEvent, Events, Meta, Result
from providers.instants import from_us, to_us
from providers.instruments import ActionKind, CorporateAction
from providers.rounding import roundest
from providers.types import BarQuery

_SECOND_US: Final = 1_000_000
# Yahoo prints six decimals: Apple's 0.12 of 1987 reads 0.000536 after splits of 224:1.
_PRINTED: Final = 0.5e-6


class Dividend(msgspec.Struct, frozen=True):
    """Hold a dividend as yahoo prints it, and by which splits of its window it was divided."""

    ex_date: date
    printed: float
    ratio: float
    currency: str

    def undone(self, later: float) -> CorporateAction:
        """Return it in the share count of its own day, given the product of the later splits.

        Of all amounts that print alike the roundest was declared.
        """
        ratio, value = self.ratio * later, self.printed
        if ratio != 1:
            value = roundest((value - _PRINTED) * ratio, (value + _PRINTED) * ratio)
        return CorporateAction(self.ex_date, ActionKind.DIVIDEND, value, self.currency)


def read_splits(query: BarQuery, events: Events, meta: Meta) -> tuple[CorporateAction, ...]:
    """Return the splits whose ex-date lies in the query's window."""
    return tuple(
        CorporateAction(from_us(day).date(), ActionKind.SPLIT, ratio)
        for day, ratio in _splits(events, meta)
        if _is_within(query, day)
    )


def read_dividends(query: BarQuery, events: Events, meta: Meta) -> tuple[Dividend, ...]:
    """Return the dividends whose ex-date lies in the query's window."""
    splits = [(day, ratio) for day, ratio in _splits(events, meta) if _is_within(query, day)]
    return tuple(
        Dividend(
            ex_date=from_us(day).date(),
            printed=one.amount,
            ratio=math.prod(ratio for when, ratio in splits if when > day),
            currency=one.currency or meta.currency or "",
        )
        for day, one in _dividends(events, meta)
        if _is_within(query, day)
    )


def reaches_the_present(query: BarQuery, meta: Meta) -> bool:
    """Tell whether no split that has taken effect can lie after the query's window."""
    if meta.regular_market_time is None:
        return False
    (today,) = exchange_dates(np.array([meta.regular_market_time]) * _SECOND_US, meta)
    return to_us(query.end) > int(today)


def pack(dividends: tuple[Dividend, ...]) -> str:
    """Return the token of the page that tells the splits after the window."""
    return msgspec.json.encode(dividends).decode()


def unpack(query: BarQuery, token: str, result: Result) -> tuple[CorporateAction, ...]:
    """Return the dividends that a token carries, with the splits of its page undone."""
    later = math.prod(
        ratio for day, ratio in _splits(result.events, result.meta) if day >= to_us(query.end)
    )
    carried = msgspec.json.decode(token, type=tuple[Dividend, ...])
    return tuple(one.undone(later) for one in carried)


def _splits(events: Events, meta: Meta) -> list[tuple[int, float]]:
    sent = [one for one in events.splits.values() if one.numerator > 0 and one.denominator > 0]
    days = _days([one.date for one in sent], meta)
    return sorted(
        (day, one.numerator / one.denominator) for day, one in zip(days, sent, strict=True)
    )


def _dividends(events: Events, meta: Meta) -> list[tuple[int, DividendEvent]]:
    sent = [one for one in events.dividends.values() if one.amount > 0]
    days = _days([one.date for one in sent], meta)
    return sorted(zip(days, sent, strict=True), key=lambda pair: pair[0])


def _days(seconds: list[int], meta: Meta) -> list[int]:
    """Return the dates at the exchange, 00:00Z in µs, of events; each carries its day's open.

    The keys of the documents are of no use: with longer bars they are the bar's stamp.
    """
    days: list[int] = exchange_dates(np.array(seconds, np.int64) * _SECOND_US, meta).tolist()
    return days


def _is_within(query: BarQuery, day: int) -> bool:
    return to_us(query.start) <= day < to_us(query.end)

"""The `events` of yahoo's daily and longer charts."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from providers.instants import floor_dates
from providers.instruments import ActionKind, CorporateAction
from providers.simulator.actions import recorded_actions
from providers.simulator.market import Market, Stamps, local_midnights, session_spans
from providers.simulator.wire import Ask
from providers.types import Timeframe

_SECOND_US: Final = 1_000_000
# As the real one prints them.
_DIGITS: Final = 6


def events_of(market: Market, ask: Ask, *, now: int) -> dict[str, object]:
    """Return the `events` of [period1, period2] that have happened, if they are asked for.

    Each carries the open of its ex-date; its key is the stamp of the bar it falls into. Dividends
    are divided by the splits since, as the real one's are.
    """
    if ask.timeframe.is_intraday or market.first_stamp(ask.symbol) is None:
        return {}
    sessions = market.sessions(ask.symbol)
    known = recorded_actions(ask.symbol)
    days = np.array([one.ex_date for one in known], "M8[D]").astype("M8[us]").astype(np.int64)
    opens = session_spans(sessions, days)[0]
    keys = opens
    if ask.timeframe is not Timeframe.D1:
        keys = local_midnights(floor_dates(days, ask.timeframe), sessions.tz)
    happened = [one for one, open_us in zip(known, opens.tolist(), strict=True) if open_us <= now]
    shown = np.flatnonzero((opens >= ask.start) & (opens <= min(ask.end, now)))
    asked = ask.options.get("events", "")
    found = {
        name: _documents(kind, known, shown, opens=opens, keys=keys, happened=happened)
        for name, word, kind in (
            ("dividends", "div", ActionKind.DIVIDEND),
            ("splits", "split", ActionKind.SPLIT),
        )
        if word in asked
    }
    events = {name: documents for name, documents in found.items() if documents}
    return {"events": events} if events else {}


def _documents(
    kind: ActionKind,
    known: tuple[CorporateAction, ...],
    shown: Stamps,
    *,
    opens: Stamps,
    keys: Stamps,
    happened: list[CorporateAction],
) -> dict[str, object]:
    return {
        str(int(keys[i]) // _SECOND_US): _document(
            known[i], second=int(opens[i]) // _SECOND_US, happened=happened
        )
        for i in shown.tolist()
        if known[i].kind is kind
    }


def _document(
    action: CorporateAction, *, second: int, happened: list[CorporateAction]
) -> dict[str, object]:
    if action.kind is ActionKind.SPLIT:
        numerator, denominator = action.value.as_integer_ratio()
        return {
            "date": second,
            "numerator": numerator,
            "denominator": denominator,
            "splitRatio": f"{numerator}:{denominator}",
        }
    later = math.prod(
        one.value
        for one in happened
        if one.kind is ActionKind.SPLIT and one.ex_date > action.ex_date
    )
    return {"amount": round(action.value / later, _DIGITS), "date": second}

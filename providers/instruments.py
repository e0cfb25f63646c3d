"""What providers know of an instrument besides its bars: listings and corporate actions."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date


class AssetClass(enum.StrEnum):
    """Name what kind of thing is traded; a continuous future is spliced from contracts."""

    EQUITY = "equity"
    ETF = "etf"
    INDEX = "index"
    FUTURE = "future"
    CONTINUOUS = "continuous"
    FX = "fx"
    CRYPTO = "crypto"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Listing:
    """State where and since when an instrument trades; empty or None where it is not known.

    `venue` is a MIC or one of mdc's own codes (24/7, FX). `listed_from` is the first session,
    `delisted_on` the first date without one. `roll_rule` says in one clause how a continuous
    series is spliced; only a continuous future has one.
    """

    name: str = ""
    asset_class: AssetClass | None = None
    venue: str = ""
    currency: str = ""
    has_volume: bool | None = None
    listed_from: date | None = None
    delisted_on: date | None = None
    roll_rule: str = ""


class ActionKind(enum.StrEnum):
    """Name what a company did to its shares."""

    SPLIT = "split"
    DIVIDEND = "dividend"


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """State one split or cash dividend.

    `ex_date` is the first session that trades without it. `value` is new shares per old share of
    a split (7.0 for 7:1, 0.1 for a 1:10 reverse split), or the cash per share of a dividend, in
    `currency` and in the share count of its own day (not adjusted for later splits).
    """

    ex_date: date
    kind: ActionKind
    value: float
    currency: str = ""

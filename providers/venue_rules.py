"""Say where trading hours differ from exchange_calendars: data only, each rule with its source.

exchange_calendars gives the days and holidays; a venue named here takes its calendar from there
and its hours from the rules. Where a rule must choose between two truths it takes the longer one:
a minute too many accepts a bar that may be good, a minute too few refuses one that is.

Times are `HH:MM` of the venue's own clock, with a leading `-1 ` or `+1 ` for the day before or
after the session's label and a trailing zone where another clock rules (`00:10 UTC`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class HoursRule:
    """State the hours of the sessions labelled in [since, until); empty fields keep what is.

    `opens` holds for every session, `closes`, `pause` and `resume` for those that do not close
    early. `weekdays` are ISO numbers (1 is Monday).
    """

    reason: str
    source: str
    since: str = ""
    until: str = ""
    weekdays: str = "1234567"
    opens: str = ""
    closes: str = ""
    pause: str = ""
    resume: str = ""


@dataclass(frozen=True, slots=True)
class DaysRule:
    """State single days: closed, or trading until `closes` whether they were sessions or not.

    `days` are dates or a name that providers.venue_days knows; a name is looked up in
    [since, until). `adds` also makes sessions of days on which the calendar has none.
    """

    reason: str
    source: str
    days: tuple[str, ...]
    since: str = ""
    until: str = ""
    opens: str = ""
    closes: str = ""
    adds: bool = False

    @property
    def closed(self) -> bool:
        """Tell whether nothing trades on these days."""
        return not self.closes


@dataclass(frozen=True, slots=True)
class ExtendedHours:
    """State when trading outside the session begins and ends; `latest_short` after a half day."""

    earliest: str
    latest: str
    source: str
    latest_short: str = ""


@dataclass(frozen=True, slots=True)
class VenueRules:
    """Name the calendar a venue stands on and what is different there.

    `closes_later` shifts every close, in minutes.
    """

    calendar: str
    tz: str = ""
    closes_later: int = 0
    hours: tuple[HoursRule, ...] = ()
    days: tuple[DaysRule, ...] = ()
    extended: ExtendedHours | None = None


_NINJA = "NinjaTrader advisory 25, 2015-09-15"
_CME_2012 = "CME Group notice on the later close of equity index products, November 2012"
_GLOBEX_DAYS: Final = (
    DaysRule(
        days=("day after Thanksgiving", "Christmas Eve"),
        closes="12:15",
        reason="equity index products close at a quarter past noon, not at noon",
        source="Lean market hours database; CME holiday calendar",
    ),
    DaysRule(
        days=("2018-07-03", "2019-07-03", "2025-07-03"),
        closes="12:15",
        reason="early close before Independence Day",
        source="Lean market hours database",
    ),
    DaysRule(
        days=("Juneteenth",),
        since="2022-01-01",
        closes="12:00",
        reason="a holiday with a morning session since 2022",
        source="Lean market hours database; CME holiday calendar",
    ),
    DaysRule(
        days=(
            *("2010-04-02", "2012-04-06", "2015-04-03"),
            *("2021-04-02", "2023-04-07", "2026-04-03"),
        ),
        closes="08:15",
        adds=True,
        reason="Good Friday with a jobs report: trading until a quarter past eight",
        source="Lean market hours database (2021); pandas_market_calendars, CME Globex equities",
    ),
    DaysRule(
        days=("2018-12-05", "2025-01-09"),
        closes="08:30",
        adds=True,
        reason="national day of mourning: the overnight session only",
        source="CME Group press releases of 2018-12-02 and 2024-12-30",
    ),
)

_US_EXTENDED: Final = ExtendedHours(
    earliest="04:00",
    latest="20:00",
    latest_short="17:00",
    source="hours of the consolidated tape; NYSE Arca and Nasdaq trade until 17:00 on half days",
)
_INDIAN_EXTENDED: Final = ExtendedHours(
    earliest="09:00",
    latest="16:00",
    source="NSE market timings: pre-open 09:00-09:15, closing session 15:40-16:00",
)

VENUES: Final[Mapping[str, VenueRules]] = {
    "XNYS": VenueRules("XNYS", extended=_US_EXTENDED),
    "XCBO": VenueRules(
        "XNYS",
        # Cboe's indices (VIX, SPX) are published until a quarter past four in New York.
        closes_later=15,
    ),
    "CMES": VenueRules(
        "CMES",
        hours=(
            HoursRule(
                until="2012-11-19",
                closes="16:30",
                pause="15:15",
                resume="15:30",
                reason="halt after the cash close, rest from half past four; the hour after the "
                "halt belonged to the next trade date and is kept in the day here",
                source=_CME_2012,
            ),
            HoursRule(
                since="2012-11-19",
                until="2015-09-21",
                closes="16:15",
                pause="15:15",
                resume="15:30",
                reason="close at 16:15; bars of ESZ2013 end at 16:14",
                source=_CME_2012,
            ),
            HoursRule(
                since="2015-09-21",
                until="2021-06-28",
                closes="16:00",
                pause="15:15",
                resume="15:30",
                reason="rest from 16:00 to 17:00",
                source=_NINJA,
            ),
            HoursRule(
                since="2021-06-28",
                closes="16:00",
                reason="rest from 16:00 to 17:00; the halt at 15:15 was given up",
                source="Lean market hours database",
            ),
        ),
        days=_GLOBEX_DAYS,
    ),
    "XNYM": VenueRules(
        "CMES",
        hours=(
            HoursRule(
                until="2015-09-21",
                closes="16:15",
                reason="energy and metals rest from 16:15 and know no halt after the cash close",
                source=_NINJA,
            ),
            HoursRule(
                since="2015-09-21",
                closes="16:00",
                reason="rest from 16:00 to 17:00",
                source=_NINJA,
            ),
        ),
    ),
    "XEUR": VenueRules(
        "XEUR",
        hours=(
            HoursRule(
                until="2005-11-21",
                opens="07:50",
                closes="20:00",
                reason="index futures traded until eight in the evening",
                source="Eurex announcement of 2005-07-06",
            ),
            HoursRule(
                since="2005-11-21",
                until="2018-12-10",
                opens="07:50",
                reason="index futures trade from ten to eight until ten in the evening",
                source="Eurex announcement of 2005-07-06; Eurex trading hours",
            ),
            HoursRule(
                since="2018-12-10",
                opens="00:10 UTC",
                reason="Asian hours: from 01:10 in winter, 02:10 in summer, the same in UTC",
                source="Eurex circular 088/18; Eurex trading hours",
            ),
        ),
        extended=ExtendedHours(
            earliest="00:00 UTC", latest="22:10", source="Eurex trading hours: post-trading period"
        ),
    ),
    "XTKS": VenueRules(
        "XTKS",
        hours=(
            HoursRule(
                until="2011-11-21",
                pause="11:00",
                resume="12:30",
                reason="the morning session ended at eleven",
                source="Tokyo Stock Exchange announcement of 2011 on its morning session",
            ),
        ),
    ),
    "XHKG": VenueRules(
        "XHKG",
        hours=(
            HoursRule(
                until="2011-03-07",
                pause="12:30",
                resume="14:30",
                reason="lunch before the reform of trading hours",
                source="HKEX, phase 1 of the trading hours reform",
            ),
            HoursRule(
                since="2011-03-07",
                until="2012-03-05",
                pause="12:00",
                resume="13:30",
                reason="lunch between the two phases of the reform",
                source="HKEX, phases 1 and 2 of the trading hours reform",
            ),
        ),
    ),
    "XBOM": VenueRules("XBOM", extended=_INDIAN_EXTENDED),
    "XTAE": VenueRules(
        # Not on the package's own calendar: under pandas 3 it forgets its week and its feasts.
        "24/7",
        tz="Asia/Jerusalem",
        hours=(
            HoursRule(
                opens="09:59",
                closes="17:15",
                reason="continuous trading of shares",
                source="TASE trading schedule; exchange_calendars, XTAE",
            ),
            HoursRule(
                until="2026-01-05",
                weekdays="7",
                closes="15:40",
                reason="Sundays end early",
                source="exchange_calendars, XTAE",
            ),
            HoursRule(
                since="2026-01-05",
                weekdays="5",
                closes="13:50",
                reason="Fridays end early",
                source="TASE, change of trading days; exchange_calendars, XTAE",
            ),
        ),
        days=(
            DaysRule(
                days=("half feasts of Israel",),
                closes="14:15",
                reason="the days between the feasts end early",
                source="TASE trading vacation schedule",
            ),
            DaysRule(
                days=("feasts of Israel",),
                reason="closed on feasts and their eves",
                source="TASE trading vacation schedule, known since 2019",
            ),
            DaysRule(
                days=(
                    "2019-04-09",
                    "2019-09-17",
                    "2020-03-02",
                    "2021-03-23",
                    "2022-11-01",
                    "2024-02-27",
                ),
                reason="elections, of parliament and (2024) of towns",
                source="exchange_calendars, XTAE",
            ),
            DaysRule(days=("Saturdays",), reason="the Sabbath", source="TASE trading days"),
            DaysRule(
                days=("Fridays",),
                until="2026-01-05",
                reason="Sunday to Thursday until 2026",
                source="TASE, change of trading days",
            ),
            DaysRule(
                days=("Sundays",),
                since="2026-01-05",
                reason="Monday to Friday since 2026",
                source="TASE, change of trading days",
            ),
        ),
    ),
    "FX": VenueRules(
        "24/5",
        tz="America/New_York",
        hours=(
            HoursRule(
                opens="-1 17:00",
                closes="17:00",
                reason="one session a day from New York's five o'clock to the next",
                source="the convention of spot foreign exchange",
            ),
        ),
    ),
    "OANDA": VenueRules(
        "24/5",
        hours=(
            HoursRule(
                weekdays="5",
                closes="17:00 America/New_York",
                reason="the week ends on Friday at five in New York",
                source="OANDA trading hours; hour bars of 2012 to 2018",
            ),
        ),
        days=(
            DaysRule(
                days=("Sundays",),
                opens="17:00 America/New_York",
                closes="+1 00:00",
                adds=True,
                reason="the week begins on Sunday at five in New York: a short UTC day of its own",
                source="OANDA trading hours; hour bars of 2012 to 2018",
            ),
            DaysRule(
                days=("Christmas", "New Year"),
                since="2010-01-01",
                opens="17:00 America/New_York",
                closes="+1 00:00",
                reason="closed until New York's five o'clock",
                source="hour bars of 2012 to 2018, day bars since 2007",
            ),
            DaysRule(
                days=("Fridays of Christmas or New Year", "Sundays before Christmas or New Year"),
                since="2010-01-01",
                reason="closed, and the week is over or begins a day later",
                source="hour bars of 2012 to 2018, day bars since 2007",
            ),
            DaysRule(
                days=("2016-12-25", "2017-01-01"),
                reason="Christmas and New Year on a Sunday: kept on the Monday",
                source="hour bars of 2012 to 2018",
            ),
            DaysRule(
                days=("2016-12-26", "2017-01-02"),
                opens="17:00 America/New_York",
                closes="+1 00:00",
                reason="Christmas and New Year on a Sunday: kept on the Monday",
                source="hour bars of 2012 to 2018",
            ),
        ),
    ),
}

# Market segments of an exchange, and venues that keep the hours and holidays of another one.
ALIASES: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            *("XNAS", "XNGS", "XNMS", "XNCM", "ARCX", "XASE", "XBOS", "XPHL", "XCHI", "IEXG"),
            *("BATS", "BATY", "EDGA", "EDGX", "MEMX", "OTCM"),
        ),
        "XNYS",
    ),
    **dict.fromkeys(("XCME", "GLBX"), "CMES"),
    # Also the interest rates of the CBOT, whose grains trade less, and CME's currency futures.
    **dict.fromkeys(("XCBT", "XCEC", "XIMM"), "XNYM"),
    "XNSE": "XBOM",
    "TASE": "XTAE",
    **dict.fromkeys(
        (
            *(
                "CRYPTO",
                "COINBASE",
                "BINANCE",
                "BITFINEX",
                "BITSTAMP",
                "BITMEX",
                "BYBIT",
                "DERIBIT",
            ),
            *("FTX", "GEMINI", "KRAKEN", "KUCOIN", "OKX"),
        ),
        "24/7",
    ),
}

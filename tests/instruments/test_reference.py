"""The shipped table is consistent, and is found by symbol, spelling and name."""

from __future__ import annotations

from datetime import date

import pytest
from exchange_calendars import get_calendar_names

from providers.instruments import AssetClass
from providers.reference import (
    VENDORS,
    KnownSymbol,
    find_symbol,
    find_vendor_symbol,
    nearest_contract,
    search,
)
from providers.reference.contracts import read_contract
from providers.reference.spellings import read_polygon_symbol, read_yahoo_symbol
from providers.sessions import DAY_US
from providers.venue_rules import ALIASES, VENUES
from providers.venues import load_sessions


def known(symbol: str) -> KnownSymbol:
    found = find_symbol(symbol)
    assert found is not None, symbol
    return found


def test_every_line_is_consistent(table: list[dict[str, str]]) -> None:
    """Symbols are unique, no spelling means two of them, and each line can be read."""
    symbols = [row["symbol"] for row in table]
    assert len(set(symbols)) == len(symbols) > 400
    for provider in VENDORS:
        spellings = [row[provider] for row in table if row[provider]]
        assert len(set(spellings)) == len(spellings)
    for row in table:
        listing = known(row["symbol"]).listing
        assert listing.name
        assert listing.currency
        assert len(listing.venue) <= 8
        assert len(row["symbol"]) <= 64
        assert bool(listing.roll_rule) == (listing.asset_class is AssetClass.CONTINUOUS)
        assert listing.has_volume is not None


def test_every_venue_has_a_calendar_and_every_date_is_a_session(
    table: list[dict[str, str]],
) -> None:
    """A listing date that is no session of its venue is a slip of the pen."""
    # By what they stand for: a calendar takes a quarter of a second.
    named = {*get_calendar_names(), *VENUES}
    assert {ALIASES.get(row["venue"], row["venue"]) for row in table} <= named
    dated = [row for row in table if row["listed_from"]]
    for venue in {ALIASES.get(row["venue"], row["venue"]) for row in dated}:
        sessions = load_sessions(venue)
        days = set((sessions.labels // DAY_US).tolist())
        for row in dated:
            if ALIASES.get(row["venue"], row["venue"]) == venue:
                day = (date.fromisoformat(row["listed_from"]) - date(1970, 1, 1)).days
                assert day in days, row


@pytest.mark.parametrize("symbol", ["EEM", "USO", "FB"])
def test_a_reused_ticker_has_no_listing_date(symbol: str) -> None:
    """EEM, USO and FB were other companies' before: a date would be a guess."""
    found = find_symbol(symbol)
    assert found is None or found.listing.listed_from is None


def test_futures_and_stocks_of_one_ticker_are_kept_apart() -> None:
    """CL is crude oil, which polygon's CL is not; the stock has a symbol of its own."""
    assert known("CL").listing.asset_class is AssetClass.CONTINUOUS
    assert known("CL").is_unspelled_at("polygon")
    assert not known("CL").is_unspelled_at("synthetic")
    assert known("CL.US").vendors == {"yahoo": "CL", "polygon": "CL"}


def test_a_continuous_series_states_its_roll_rule_where_it_is_spliced() -> None:
    """Yahoo splices ES=F; a contract and a stock are spliced by nobody."""
    assert "not back-adjusted" in known("ES").roll_rule_at("yahoo")
    assert known("ES").roll_rule_at("synthetic") == ""
    assert known("ESZ2013").roll_rule_at("yahoo") == ""
    assert known("AAPL").roll_rule_at("yahoo") == ""


def test_a_contract_is_known_by_its_root() -> None:
    """ESZ2013 ended with the third Friday of December 2013; ESZ13 is another way to say it."""
    found = known("ESZ2013")
    assert found.underlying == "ES"
    assert found.listing.asset_class is AssetClass.FUTURE
    assert found.listing.venue == "CMES"
    assert found.listing.delisted_on == date(2013, 12, 21)
    assert found.vendors == {"yahoo": "ESZ13.CME"}
    assert known("ESZ13") == found
    assert known("CLZ2020").listing.delisted_on is None
    assert find_symbol("ESZ3") is None
    assert "ESZ2013" in [one.symbol for one in search("esz3")]
    assert find_symbol("XYZZ2013") is None


@pytest.mark.parametrize(
    ("code", "year", "meant"),
    [
        ("ESZ3", 2024, "ESZ2023"),
        ("ESZ3", 2018, "ESZ2023"),
        ("ESZ3", 2017, "ESZ2013"),
        ("ESZ2013", 2024, None),
        ("XYZZ3", 2024, None),
    ],
)
def test_one_digit_means_the_nearest_year(code: str, year: int, meant: str | None) -> None:
    """A suggestion, never an answer: of two years as near it is the coming one."""
    found = nearest_contract(code, today=date(year, 6, 1))
    assert (found.symbol if found else None) == meant


@pytest.mark.parametrize(
    ("code", "expiry"),
    [
        ("ESZ2013", date(2013, 12, 20)),
        ("MESH2020", date(2020, 3, 20)),
        ("ESH2008", date(2008, 3, 20)),
        ("ESM2026", date(2026, 6, 18)),
        ("NQU99", date(1999, 9, 17)),
        ("ESF2013", None),
        ("6EZ2013", None),
        ("ESZ3", None),
    ],
)
def test_an_expiry_is_stated_only_where_it_is_certain(code: str, expiry: date | None) -> None:
    """The third Friday of a quarter, or the Thursday before Good Friday and Juneteenth."""
    contract = read_contract(code)
    assert contract is not None
    assert contract.expiry == expiry


@pytest.mark.parametrize("code", ["AAPL", "ES", "ESZ", "7203", "ESA2013", "ESZ201", "ESZ1213", ""])
def test_other_names_are_no_contracts(code: str) -> None:
    """A contract needs a month letter and a year that can be one."""
    assert read_contract(code) is None


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("es", "ES"),
        ("ES=F", "ES"),
        ("^vix", "VIX"),
        ("apple", "AAPL"),
        ("volatility index", "VIX"),
        ("vodafone", "VOD.L"),
        ("c:eurusd", "EURUSD"),
        ("gold", "GC"),
        ("oracl", "ORCL"),
    ],
)
def test_a_search_finds_the_nearest_first(text: str, first: str) -> None:
    """Whole symbols and spellings, then beginnings, then words of the name, in any case."""
    assert search(text)[0].symbol == first


def test_a_search_for_nothing_finds_nothing() -> None:
    """Neither an empty text nor an unknown word has a match."""
    assert search("  ") == []
    assert search("no such thing") == []


@pytest.mark.parametrize(
    ("spelling", "asset_class", "venue", "currency", "has_volume"),
    [
        ("OCDO.L", AssetClass.EQUITY, "XLON", "GBp", True),
        ("ORSTED.CO", None, "XCSE", "DKK", None),
        ("1234.T", None, "XTKS", "JPY", None),
        ("6886.HK", None, "XHKG", "HKD", None),
        ("TOT.TO", None, "XTSE", "CAD", None),
        ("QG=F", AssetClass.CONTINUOUS, "CMES", "USD", True),
        ("KC=F", AssetClass.CONTINUOUS, "IEPA", "USD", True),
        ("NOKSEK=X", AssetClass.FX, "FX", "SEK", False),
        ("PHP=X", AssetClass.FX, "FX", "PHP", False),
        ("SHIB-USD", AssetClass.CRYPTO, "24/7", "USD", True),
        ("^OMX", AssetClass.INDEX, "", "", None),
        ("ESZ13.CME", AssetClass.FUTURE, "CMES", "USD", True),
    ],
)
def test_yahoo_says_by_its_spelling(
    spelling: str,
    asset_class: AssetClass | None,
    venue: str,
    currency: str,
    has_volume: bool | None,
) -> None:
    """Suffixes name exchanges, =F futures, =X currencies, -USD crypto, ^ indices."""
    listing = read_yahoo_symbol(spelling)
    assert listing is not None
    assert (listing.asset_class, listing.venue) == (asset_class, venue)
    assert (listing.currency, listing.has_volume) == (currency, has_volume)


@pytest.mark.parametrize("spelling", ["HUSA", "BRK-C", "FOO.ZZ", "AB.C", "NUE-WT"])
def test_a_bare_ticker_says_nothing(spelling: str) -> None:
    """Any US exchange may be meant, and an unknown suffix is no exchange."""
    assert read_yahoo_symbol(spelling) is None


def test_polygon_says_by_its_prefix() -> None:
    """X: crypto, C: currencies without volume, I: indices without volume."""
    crypto, fx, index = (read_polygon_symbol(one) for one in ("X:SHIBUSD", "C:NOKSEK", "I:XYZ"))
    assert crypto is not None
    assert (crypto.venue, crypto.currency) == ("24/7", "USD")
    assert fx is not None
    assert (fx.venue, fx.currency, fx.has_volume) == ("FX", "SEK", False)
    assert index is not None
    assert index.has_volume is False
    assert read_polygon_symbol("HUSA") is None


def test_a_spelling_leads_back_to_its_symbol() -> None:
    """Yahoo's JPY=X is USDJPY."""
    found = find_vendor_symbol("yahoo", "JPY=X")
    assert found is not None
    assert found.symbol == "USDJPY"
    assert find_vendor_symbol("polygon", "JPY=X") is None

"""Who may contradict whom about an instrument."""

from __future__ import annotations

from dataclasses import fields
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from ingestion.domain.listing_facts import SOURCES, Facts, UserWord, completed, heard, told
from providers.instruments import AssetClass, Listing

LISTINGS = st.builds(
    Listing,
    name=st.sampled_from(["", "One", "Two"]),
    asset_class=st.none() | st.sampled_from(AssetClass),
    venue=st.sampled_from(["", "XNYS", "XLON"]),
    currency=st.sampled_from(["", "USD", "GBp"]),
    has_volume=st.none() | st.booleans(),
    listed_from=st.none() | st.dates(date(1990, 1, 1), date(2000, 1, 1)),
    delisted_on=st.none() | st.dates(date(2010, 1, 1), date(2020, 1, 1)),
)
STATED = [one.name for one in fields(Listing) if one.name != "roll_rule"]
SOURCE = st.sampled_from(SOURCES)


def stated(listing: Listing) -> dict[str, object]:
    values = {name: getattr(listing, name) for name in STATED}
    return {name: value for name, value in values.items() if value is not None and value != ""}


@given(LISTINGS, SOURCE, LISTINGS, SOURCE)
def test_a_better_source_wins_and_a_lesser_one_only_fills(
    held: Listing, holder: str, said: Listing, speaker: str
) -> None:
    """What both state is the better one's, what one states is kept, and nothing is invented."""
    after = heard(Facts(held, facts_from=holder), said, by=speaker)
    wins = SOURCES.index(speaker) >= SOURCES.index(holder)
    first, second = (stated(said), stated(held)) if wins else (stated(held), stated(said))
    assert stated(after.listing) == second | first
    assert after.facts_from == (speaker if wins else holder)


@given(LISTINGS, SOURCE, LISTINGS, st.frozensets(st.sampled_from(["listed_from", "delisted_on"])))
def test_a_persons_word_is_final(
    held: Listing, holder: str, said: Listing, forget: frozenset[str]
) -> None:
    """It replaces, it makes dates unknown again, and silence changes nothing."""
    word = UserWord(listing=said, forget=forget)
    before = Facts(held, facts_from=holder)
    after = told(before, word)
    if not word.says_anything():
        assert after == before
        return
    assert after.facts_from == "user"
    for name, value in stated(said).items():
        assert getattr(after.listing, name) == (None if name in forget else value)
    assert not any(getattr(after.listing, name) for name in forget)
    assert told(after, word) == after


@given(LISTINGS, SOURCE)
def test_what_is_stored_lacks_nothing_it_needs(held: Listing, holder: str) -> None:
    """Class, venue, currency and volume are completed as for shares, and never replaced."""
    after = completed(Facts(held, facts_from=holder), venue="XNAS").listing
    assert after.asset_class is (held.asset_class or AssetClass.EQUITY)
    assert after.venue == (held.venue or "XNAS")
    assert after.currency == (held.currency or "USD")
    assert after.has_volume is (held.has_volume is not False)
    assert (after.listed_from, after.delisted_on) == (held.listed_from, held.delisted_on)

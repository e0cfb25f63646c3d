"""`mdc symbols search` and `show`: what is known of symbols."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import click
from rich.console import Console

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.services.search_symbols import FoundSymbol, search_symbols
from ingestion.services.show_symbol import SymbolDescription, show_symbol
from mdc.cli.errors import SpeakingCommand
from mdc.cli.output import out_console, print_json, table, when
from mdc.cli.shapes import Shape

SOURCES: Final = {
    "user": "you",
    "provider": "a provider",
    "reference": "the shipped reference",
    "guess": "a guess",
}
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command(cls=SpeakingCommand)
@click.argument("text", nargs=-1, required=True)
@_JSON
def search(*, text: tuple[str, ...], as_json: bool) -> None:
    """Find symbols by symbol, name or a provider's spelling; stored ones come first."""
    found = search_symbols(" ".join(text))
    if as_json:
        print_json([_found_shape(one) for one in found])
        return
    if not found:
        click.echo(
            f"Nothing is known of {' '.join(text)}. `mdc symbols add SYMBOL --from yahoo` asks"
            " yahoo."
        )
        return
    made = table("symbol", "name", "class", "venue", "currency", "providers", "known from")
    for one in found:
        listing = one.facts.listing
        made.add_row(
            one.symbol,
            listing.name,
            listing.asset_class.value if listing.asset_class else "",
            listing.venue,
            listing.currency,
            " ".join(f"{provider}:{name}" for provider, name in one.vendors.items()),
            "stored" if one.stored else one.facts.facts_from,
        )
    out_console().print(made)


@click.command(cls=SpeakingCommand)
@click.argument("symbol")
@_JSON
def show(*, symbol: str, as_json: bool) -> None:
    """Print all that is known of a symbol, and who stated it."""
    found = show_symbol(symbol, now=datetime.now(UTC))
    if as_json:
        print_json(_description_shape(found))
        return
    console = out_console()
    _print_facts(found, console)
    _print_names(found, console)
    _print_series(found, console)


def _print_facts(found: SymbolDescription, console: Console) -> None:
    facts, listing = found.facts, found.facts.listing
    rows = {
        "symbol": f"{found.symbol}{'' if found.stored else '  (not stored yet)'}",
        "name": listing.name,
        "class": listing.asset_class.value if listing.asset_class else "",
        "underlying": facts.underlying,
        "venue": f"{listing.venue}  ({found.timezone})",
        "currency": listing.currency,
        "volume": "yes" if listing.has_volume else "none",
        "listed from": str(listing.listed_from or "not known"),
        "delisted on": str(listing.delisted_on or ""),
        "next session": _session(found),
        "stated by": SOURCES[facts.facts_from],
    }
    for name, value in rows.items():
        if value:
            console.print(f"{name:<14}{value}", highlight=False, markup=False, soft_wrap=True)


def _session(found: SymbolDescription) -> str:
    session = found.next_session
    if session is None:
        return "none"
    zone = ZoneInfo(found.timezone)
    opens, closes = session.opens.astimezone(zone), session.closes.astimezone(zone)
    text = f"{session.date}, {opens:%a %H:%M} to {closes:%a %H:%M} {closes:%Z}"
    if session.pause is None:
        return text
    pause, resume = (moment.astimezone(zone) for moment in session.pause)
    return f"{text}, break {pause:%H:%M} to {resume:%H:%M}"


def _print_names(found: SymbolDescription, console: Console) -> None:
    if not found.names and not found.spellings:
        return
    made = table("provider", "calls it", "valid", "roll rule", "from")
    for source, names in (("mapped", found.names), ("reference", found.spellings)):
        for one in names:
            made.add_row(one.provider, one.vendor_symbol, one.dates, one.roll_rule, source)
    console.print()
    console.print(made)


def _print_series(found: SymbolDescription, console: Console) -> None:
    if not found.series:
        return
    made = table(
        *("provider", "timeframe", "adjustment", "hours", "anchor", "from", "to", "bars"),
        numeric=frozenset(("bars",)),
    )
    for one in found.series:
        series = one.series
        made.add_row(
            series.provider,
            series.timeframe.value,
            series.adjustment.value,
            series.hours.value,
            series.anchor.value,
            when(one.first_bar),
            when(one.last_bar),
            f"{one.bars:,}",
        )
    console.print()
    console.print(made)


def _found_shape(found: FoundSymbol) -> Shape:
    return {
        "symbol": found.symbol,
        **found.facts.as_dict(),
        "providers": dict(found.vendors),
        "stored": found.stored,
    }


def _description_shape(found: SymbolDescription) -> Shape:
    return {
        "symbol": found.symbol,
        "stored": found.stored,
        **found.facts.as_dict(),
        "timezone": found.timezone,
        "next_session": asdict(found.next_session) if found.next_session else None,
        "names": [
            {**asdict(one), "mapped": mapped}
            for mapped, names in ((True, found.names), (False, found.spellings))
            for one in names
        ],
        "series": [
            {
                "series_id": one.series.id,
                "provider": one.series.provider,
                "timeframe": one.series.timeframe,
                "adjustment": one.series.adjustment,
                "hours": one.series.hours,
                "anchor": one.series.anchor,
                "first_bar": one.first_bar,
                "last_bar": one.last_bar,
                "bars": one.bars,
            }
            for one in found.series
        ],
    }

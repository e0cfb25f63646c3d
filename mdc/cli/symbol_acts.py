"""`mdc symbols add`, `map` and `unmap`: say what symbols are and how providers call them."""

from __future__ import annotations

import os
import socket
from datetime import UTC, date, datetime
from typing import Any

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.domain.listing_facts import UserWord
from ingestion.provider_access import access_for
from ingestion.services.add_symbol import Added, Stated, add_symbol
from ingestion.services.look_up_symbol import look_up_symbol, spelling_at
from ingestion.services.map_symbol import map_symbol
from ingestion.services.unmap_symbol import unmap_symbol
from mdc.cli import options
from mdc.cli.actor import current_actor
from mdc.cli.errors import SpeakingCommand, SpokenUsage
from mdc.cli.output import count, print_json
from mdc.cli.shapes import Shape
from mdc.cli.symbol_reads import SOURCES
from providers.instruments import AssetClass, Listing
from providers.registry import get_adapter

_NOT_KNOWN = "none"
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Day(click.ParamType[date | str]):
    """Read a date, or `none` where the option allows to forget one."""

    name = "date"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> date | str:
        """Return the date, or the word for one that is not known."""
        if value == _NOT_KNOWN:
            return _NOT_KNOWN
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            raise SpokenUsage(f"{value!r} is no date; write it as 2024-01-31") from None


@click.command(cls=SpeakingCommand)
@click.argument("symbol")
@click.option("--venue", metavar="MIC", help="XNYS, XLON, CMES, FX, 24/7 ...: whose calendar.")
@click.option(
    "--asset-class",
    type=click.Choice([one.value for one in AssetClass]),
    help="What kind of thing is traded.",
)
@click.option("--currency", metavar="CODE", help="In which prices are quoted; GBp is pence.")
@click.option("--name", metavar="TEXT", help="For people.")
@click.option(
    "--listed-from", type=Day(), metavar="DATE|none", help="First session; none: not known."
)
@click.option(
    "--delisted-on",
    type=Day(),
    metavar="DATE|none",
    help="First date without a session; none: still listed.",
)
@click.option("--volume/--no-volume", "has_volume", default=None, help="Whether bars have one.")
@click.option("--underlying", metavar="ROOT", help="Root of a futures contract, such as ES.")
@click.option("--from", "source", metavar="PROVIDER", help="Ask this provider for the facts.")
@click.option("--as", "spelling", metavar="NAME", help="How that provider spells it.")
@click.option(
    "--rejudge",
    is_flag=True,
    help="Fetch stored series again where the new facts contradict them; bars stay till then.",
)
@options.reason()
@_JSON
def add(
    *,
    symbol: str,
    source: str | None,
    spelling: str | None,
    rejudge: bool,
    reason: str,
    as_json: bool,
    **said: Any,
) -> None:
    """Make a symbol known, or correct it.

    Your word counts more than a provider's, that more than the shipped reference's, and a guess
    counts least. What you leave out stays as it is known.
    """
    added = add_symbol(
        symbol,
        word=_word(**said),
        stated=_ask(symbol, source, spelling=spelling),
        rejudge=rejudge,
        actor=current_actor(),
        reason=reason,
    )
    if as_json:
        print_json(_added_shape(added))
        return
    _say(added)


@click.command("map", cls=SpeakingCommand)
@click.argument("symbol")
@click.argument("provider")
@click.argument("vendor_symbol")
@click.option("--from", "valid_from", type=Day(), metavar="DATE", help="First date it holds.")
@click.option("--until", "valid_until", type=Day(), metavar="DATE", help="First date it does not.")
@click.option("--roll-rule", default="", metavar="TEXT", help="How a continuous future is spliced.")
@options.reason()
def map_(
    *,
    symbol: str,
    provider: str,
    vendor_symbol: str,
    valid_from: date | str | None,
    valid_until: date | str | None,
    roll_rule: str,
    reason: str,
) -> None:
    """Say how PROVIDER calls SYMBOL; other names of it give way on these dates."""
    mapped = map_symbol(
        symbol,
        provider=provider,
        vendor_symbol=vendor_symbol,
        valid_from=_date(valid_from),
        valid_until=_date(valid_until),
        roll_rule=roll_rule,
        actor=current_actor(),
        reason=reason,
    )
    for one in mapped.names:
        rule = f"; {one.roll_rule}" if one.roll_rule else ""
        click.echo(f"{one.provider} calls {symbol} {one.vendor_symbol} ({one.dates}{rule}).")
    if mapped.outdated:
        click.echo(
            f"{count(mapped.outdated, 'series')} stored under the names before stay as they are;"
            f" `mdc state reset {symbol} TIMEFRAME` lets the next run compare them."
        )


@click.command(cls=SpeakingCommand)
@click.argument("symbol")
@click.argument("provider")
@click.argument("vendor_symbol", required=False)
@options.reason()
def unmap(*, symbol: str, provider: str, vendor_symbol: str | None, reason: str) -> None:
    """Forget PROVIDER's names of SYMBOL, or one of them; what is stored stays."""
    gone = unmap_symbol(
        symbol,
        provider=provider,
        vendor_symbol=vendor_symbol,
        actor=current_actor(),
        reason=reason,
    )
    for one in gone:
        click.echo(f"{one.provider}'s {one.vendor_symbol} ({one.dates}) no longer means {symbol}.")


def _ask(symbol: str, source: str | None, *, spelling: str | None) -> Stated | None:
    if source is None:
        if spelling is not None:
            raise SpokenUsage("--as says how a provider spells it; name the provider with --from")
        return None
    access = access_for(get_adapter(source).name)
    vendor_symbol = spelling or spelling_at(
        symbol, provider=access.adapter.name, today=datetime.now(UTC).date()
    )
    return look_up_symbol(vendor_symbol, access=access, host=socket.gethostname(), pid=os.getpid())


def _word(
    *,
    venue: str | None,
    asset_class: str | None,
    currency: str | None,
    name: str | None,
    listed_from: date | str | None,
    delisted_on: date | str | None,
    has_volume: bool | None,
    underlying: str | None,
) -> UserWord:
    dates = {"listed_from": listed_from, "delisted_on": delisted_on}
    return UserWord(
        listing=Listing(
            name=name or "",
            asset_class=AssetClass(asset_class) if asset_class else None,
            venue=(venue or "").strip().upper(),
            currency=currency or "",
            has_volume=has_volume,
            listed_from=listed_from if isinstance(listed_from, date) else None,
            delisted_on=delisted_on if isinstance(delisted_on, date) else None,
        ),
        underlying=underlying,
        forget=frozenset(field for field, said in dates.items() if said == _NOT_KNOWN),
    )


def _date(given: date | str | None) -> date | None:
    return given if isinstance(given, date) else None


def _say(added: Added) -> None:
    if not added.changed:
        click.echo(f"{added.symbol} is known so already; nothing was changed.")
        return
    listing = added.facts.listing
    assert listing.asset_class is not None
    said = [listing.asset_class.value, f"at {listing.venue}", f"in {listing.currency}"]
    if not listing.has_volume:
        said.append("without volume")
    if listing.listed_from:
        said.append(f"since {listing.listed_from}")
    if listing.delisted_on:
        said.append(f"gone by {listing.delisted_on}")
    source = SOURCES[added.facts.facts_from]
    click.echo(f"{added.symbol}: {' '.join(said)}, stated by {source}.")
    if added.rejudged:
        click.echo(
            f"{count(added.rejudged, 'series')} will be judged anew: `mdc update --symbols"
            f" {added.symbol}` fetches them again."
        )


def _added_shape(added: Added) -> Shape:
    return {
        "symbol": added.symbol,
        **added.facts.as_dict(),
        "created": added.created,
        "changed": added.changed,
        "rejudged": added.rejudged,
    }

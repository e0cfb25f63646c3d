"""The options that commands have in common, each defined once.

A decorator hands the command one keyword argument, read and checked:

    @click.command(cls=SpeakingCommand)
    @options.symbols()              symbols: tuple[str, ...]; --watchlist and @files included
    @options.timeframes()           timeframes: tuple[Timeframe, ...]
    @options.provider()             provider: str | None, a known name
    @options.hours()                hours: Hours
    @options.adjustment()           adjustment: Adjustment | None
    @options.window()               start, end: Given | None, in order
    @options.following()            verbose: bool, progress_file: Path | None
    @options.as_json()              as_json: bool

`named_provider` takes the provider as the first word, as --provider, or --mock in its place.
Commands that open jobs take `mdc.cli.effort.effort_options` too. Commands must be
SpeakingCommands: those read lists of several words.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.services.show_watchlist import symbols_of
from mdc.cli import inputs
from mdc.cli.decorating import Decorator, before, together
from mdc.cli.output import error_console
from mdc.cli.spoken import SpokenUsage
from mdc.cli.words import ListOption, split_words
from providers.registry import adapter_names, get_adapter, provider_named
from providers.types import Adjustment, Hours, Timeframe

_MOCK_PROVIDER: Final = "synthetic"


def symbols(
    *, required: bool = False, help: str = "Only these; several words, commas or @file."
) -> Decorator:
    """Take --symbols (--symbol, --assets) and --watchlist as one tuple, each symbol once."""

    def prepare(given: dict[str, Any]) -> None:
        typed, lists = given["symbols"], given.pop("watchlists")
        found = split_words(typed)
        if lists:
            found += [one for one in symbols_of(lists) if one not in found]
        if (required or typed) and not found:
            raise SpokenUsage(
                "name at least one symbol: --symbols AAPL MSFT, --symbols @file or --watchlist NAME"
            )
        given["symbols"] = tuple(found)

    return together(
        click.option(
            "--symbols",
            "--symbol",
            "--assets",
            "symbols",
            cls=ListOption,
            metavar="A B|A,B|@FILE",
            help=help,
        ),
        click.option(
            "--watchlist",
            "--watchlists",
            "watchlists",
            cls=ListOption,
            callback=_split,
            metavar="NAME",
            help="The symbols of a watchlist; see `mdc watchlist`.",
        ),
        before(prepare),
    )


def timeframes(
    *, default: tuple[str, ...] = (), help: str = "Bar lengths: 1m 5m 15m 30m 1h 4h 1d 1w 1mo."
) -> Decorator:
    """Take --timeframe (--timeframes), in any spelling that Timeframe.parse reads."""
    return click.option(
        "--timeframe",
        "--timeframes",
        "timeframes",
        cls=ListOption,
        type=inputs.timeframes,
        default=default,
        show_default=bool(default),
        callback=_join,
        metavar="T T|T,T",
        help=help,
    )


def provider(*, help: str = "Only this provider.") -> Decorator:
    """Take --provider and refuse a name that nobody knows."""

    def prepare(given: dict[str, Any]) -> None:
        if given["provider"] is not None:
            given["provider"] = provider_named(given["provider"])

    return together(click.option("--provider", metavar="NAME", help=help), before(prepare))


def named_provider(*, required: bool) -> Decorator:
    """Take the provider as the first word or as --provider; --mock puts made-up prices there.

    A word after a list of symbols belongs to that list: where it left the command without a
    provider, the command says so instead of guessing.
    """

    def prepare(given: dict[str, Any]) -> None:
        positional, named = given["provider"], given.pop("named_provider")
        if positional and named and positional != named:
            raise SpokenUsage(f"two providers are named, {positional} and {named}; keep one")
        chosen = positional or named
        if given.pop("mock"):
            chosen = _mock(in_place_of=chosen)
        if chosen is None:
            _check_unnamed(given["symbols"], required=required)
        given["provider"] = get_adapter(chosen).name if chosen else None

    return together(
        click.argument("provider", required=False),
        click.option("--provider", "named_provider", metavar="NAME", help="The provider."),
        click.option(
            "--mock",
            is_flag=True,
            help="Made-up prices of the provider 'synthetic' instead; needs no network.",
        ),
        before(prepare),
    )


def _mock(*, in_place_of: str | None) -> str:
    instead = ""
    if in_place_of is not None and in_place_of != _MOCK_PROVIDER:
        instead = f" instead of {get_adapter(in_place_of).name}"
    error_console().print(
        f"Mock: made-up prices, stored under the provider '{_MOCK_PROVIDER}'{instead};"
        " no network is used.",
        soft_wrap=True,
    )
    return _MOCK_PROVIDER


def _check_unnamed(words: Sequence[str], *, required: bool) -> None:
    known = adapter_names()
    misread = [word for word in words if word in known]
    if misread:
        raise SpokenUsage(
            f"{misread[-1]} stands in the list of symbols and counts as one; name the provider"
            f" before the list or as --provider {misread[-1]}"
        )
    if required:
        raise SpokenUsage(
            f"name one provider, as the first word or as --provider: {', '.join(known)}"
        )


def hours() -> Decorator:
    """Take --hours as Hours."""

    def prepare(given: dict[str, Any]) -> None:
        given["hours"] = Hours(given["hours"])

    return together(
        click.option(
            "--hours",
            type=click.Choice([one.value for one in Hours]),
            default=Hours.REGULAR.value,
            show_default=True,
            help="Which part of the day the series holds.",
        ),
        before(prepare),
    )


def adjustment(*, help: str | None = None) -> Decorator:
    """Take --adjustment as Adjustment."""

    def prepare(given: dict[str, Any]) -> None:
        if given["adjustment"] is not None:
            given["adjustment"] = Adjustment(given["adjustment"])

    return together(
        click.option(
            "--adjustment", type=click.Choice([one.value for one in Adjustment]), help=help
        ),
        before(prepare),
    )


def window(
    *,
    start_required: bool = False,
    start_help: str = "First day (UTC).",
    end_help: str = "Last day, included; a time such as 2024-01-31T15:00Z is excluded.",
) -> Decorator:
    """Take --start (--start-date) and --end (--end-date); a window that ends first is refused."""

    def prepare(given: dict[str, Any]) -> None:
        inputs.check_order(start=given["start"], end=given["end"])

    return together(
        start(required=start_required, help=start_help),
        click.option(
            "--end", "--end-date", "end", type=inputs.moment, metavar="DATE", help=end_help
        ),
        before(prepare),
    )


def start(*, required: bool = False, help: str = "First day (UTC).") -> Decorator:
    """Take --start (--start-date) alone."""
    return click.option(
        "--start",
        "--start-date",
        "start",
        type=inputs.moment,
        required=required,
        metavar="DATE",
        help=help,
    )


def venue() -> Decorator:
    """Take --venue."""
    return click.option(
        "--venue", metavar="MIC", help="Calendar of symbols of which nothing is known yet."
    )


def priority(*, default: int) -> Decorator:
    """Take --priority."""
    return click.option(
        "--priority",
        type=click.IntRange(0, 255),
        help=f"Higher goes first.  [default: {default}]",
    )


def dry_run() -> Decorator:
    """Take --dry-run."""
    return click.option(
        "--dry-run", is_flag=True, help="Say what would be fetched, and fetch nothing."
    )


def draft() -> Decorator:
    """Take --draft."""
    return click.option(
        "--draft", is_flag=True, help="Make the job, and let `mdc job start` start it."
    )


def wait() -> Decorator:
    """Take --wait/--no-wait."""
    return click.option(
        "--wait/--no-wait", default=True, show_default=True, help="Stay until it ends."
    )


def following() -> Decorator:
    """Take how a command shows the job that it waits for."""
    return together(
        click.option(
            "-v", "--verbose", is_flag=True, help="One line for each series as it finishes."
        ),
        click.option(
            "--progress-file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Keep the job's state there as JSON, replaced at each look.",
        ),
    )


def count_bars() -> Decorator:
    """Take --bars/--no-bars."""
    return click.option(
        "--bars/--no-bars",
        "bars",
        default=None,
        help="Count the stored bars; without either, of up to 100 series.",
    )


def reason() -> Decorator:
    """Take --reason."""
    return click.option("--reason", default="", help="Why, for the audit ledger.")


def as_json(help: str = "Print one JSON object.") -> Decorator:
    """Take --json."""
    return click.option("--json", "as_json", is_flag=True, help=help)


def _split(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(split_words(value))


def _join(
    ctx: click.Context, param: click.Parameter, value: tuple[tuple[Timeframe, ...], ...]
) -> tuple[Timeframe, ...]:
    return tuple(dict.fromkeys(one for group in value for one in group))

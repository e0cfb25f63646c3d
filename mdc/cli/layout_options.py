"""The options that say how files are to be read; each has a setting of the same meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from mdc.cli.spoken import SpokenUsage
from mdc.cli.words import ListOption, split_words
from providers.types import Adjustment, Anchor, Hours

Command = TypeVar("Command", bound=Callable[..., Any])

_LISTS: Final = frozenset({"paths", "exclude", "nulls"})


def _columns(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> dict[str, str] | None:
    pairs = [text.partition("=") for text in split_words(value)]
    if any(not mark or not name for _, mark, name in pairs):
        raise SpokenUsage('--columns takes ROLE=NAME pairs, such as ts=Date "close=Adj Close"')
    return {role: name for role, _, name in pairs} or None


def _choice(kind: Any) -> click.Choice[str]:
    return click.Choice([one.value for one in kind])


_OPTIONS: Final = (
    click.option("--pattern", "name_", metavar="TEXT", help="{symbol}_{timeframe}.csv ...: paths."),
    click.option("--as-symbol", "symbol_", metavar="NAME", help="The symbol of all files."),
    click.option("--timeframe", metavar="T", help="Bar length where no name or column says it."),
    click.option(
        "--columns",
        cls=ListOption,
        callback=_columns,
        metavar="ROLE=NAME",
        help="ts=Date close=Last ...; numbers from 1 where there is no header.",
    ),
    click.option("--timezone", metavar="ZONE", help="Of stamps without an offset.  [default: UTC]"),
    click.option(
        "--stamps", type=click.Choice(["start", "end"]), help="What end of a bar they name."
    ),
    click.option(
        "--dates", type=click.Choice(["written", "local"]), help="What labels a daily bar."
    ),
    click.option("--time-format", metavar="FORMAT", help="auto, iso, epoch_ms, %d.%m.%Y ..."),
    click.option("--delimiter", metavar="C", help="Found out if not given."),
    click.option(
        "--header/--no-header", default=None, help="Whether the first line names columns."
    ),
    click.option("--decimal", metavar="C", help="Mark before decimals.  [default: .]"),
    click.option("--thousands", metavar="C", help="Mark between thousands."),
    click.option("--nulls", cls=ListOption, metavar="WORD", help="Cells that mean: no value."),
    click.option("--encoding", metavar="NAME", help="[default: utf-8]"),
    click.option(
        "--skip-lines", type=click.IntRange(0), metavar="N", help="Lines before the header."
    ),
    click.option("--price-scale", type=float, metavar="X", help="0.0001 ...: what prices count."),
    click.option("--adjustment", type=_choice(Adjustment), help="Basis of prices.  [default: raw]"),
    click.option("--hours", type=_choice(Hours), help="[default: regular]"),
    click.option("--anchor", type=_choice(Anchor), help="[default: open]"),
    click.option("--venue", metavar="MIC", help="Calendar of symbols not known yet."),
    click.option("--paths", cls=ListOption, metavar="GLOB", help="Only these files of a folder."),
    click.option("--exclude", cls=ListOption, metavar="GLOB", help="But not these."),
    click.option(
        "--max-bad-percent",
        type=click.IntRange(0, 100),
        metavar="N",
        help="Fail a slice of which more is bad.  [default: 100]",
    ),
)
_NAMES: Final = (
    *("name_", "symbol_", "timeframe", "columns", "timezone", "stamps", "dates", "time_format"),
    *("delimiter", "header", "decimal", "thousands", "nulls", "encoding", "skip_lines"),
    *("price_scale", "adjustment", "hours", "anchor", "venue", "paths", "exclude"),
    "max_bad_percent",
)


def layout_options(command: Command) -> Command:
    """Take all of them; `taken_layout` makes settings of what was given."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def taken_layout(given: dict[str, Any]) -> dict[str, Any]:
    """Take the layout's options out of a command's, and return those that were given."""
    taken = {name: given.pop(name) for name in _NAMES}
    settings = {name: value for name, value in taken.items() if value not in (None, "", ())}
    for name in ("name", "symbol"):
        if f"{name}_" in settings:
            settings[name] = settings.pop(f"{name}_")
    for name in _LISTS & settings.keys():
        settings[name] = split_words(settings[name])
    return settings

"""Show what a command would fetch, before it fetches anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ingestion.services.preview_job import Preview, SeriesPreview
from mdc.cli.output import count, error_console, out_console, print_json, span, table
from mdc.cli.shapes import preview_shape
from providers.base import RateLimit
from providers.registry import get_adapter

_SERIES_SHOWN: Final = 40


def show_previews(previews: Sequence[tuple[str, Preview]], *, as_json: bool) -> None:
    """Print what each provider would be asked for, for people or as a list in JSON."""
    if as_json:
        print_json([{"provider": name, **preview_shape(one)} for name, one in previews])
        return
    for position, (name, preview) in enumerate(previews):
        if position:
            out_console().print()
        render_preview(preview, provider=name)


def render_preview(preview: Preview, *, provider: str) -> None:
    """Print what each series would take, those that lack most first where there are many."""
    numbers = ("covered", "slices", "requests", "bars")
    made = table("symbol", "timeframe", *numbers, numeric=frozenset(numbers))
    shown: Sequence[SeriesPreview] = preview.series
    if len(shown) > _SERIES_SHOWN:
        shown = sorted(preview.series, key=lambda one: -one.requests)[:_SERIES_SHOWN]
    for one in shown:
        made.add_row(
            one.symbol,
            one.timeframe.value,
            f"{one.covered_fraction:.0%}",
            f"{one.slices:,}",
            f"{one.requests:,}",
            f"{one.rows:,}",
        )
    console = out_console()
    console.print(made)
    if len(shown) < len(preview.series):
        console.print(f"{len(preview.series) - len(shown):,} more: --json shows all of them")
    console.print()
    console.print(
        f"{provider} would get {count(preview.requests, 'request')} for about "
        f"{count(preview.rows, 'bar')}; its limits alone take {span(preview.seconds)}. "
        "Nothing was fetched or written.",
        soft_wrap=True,
    )


def warn_if_no_lower(limit: RateLimit | None, *, provider: str) -> None:
    """Say so where the provider's own limit is the tighter one anyway."""
    if limit is None:
        return
    asked = limit.n / limit.window.total_seconds()
    for declared in get_adapter(provider).capabilities.rate_limits:
        if asked > declared.n / declared.window.total_seconds():
            error_console().print(
                f"{provider} allows {declared.n} requests per "
                f"{span(declared.window.total_seconds())}; --rate-limit only lowers that."
            )

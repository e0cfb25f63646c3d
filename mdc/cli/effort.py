"""How hard and how patiently a job may try: the options of every command that opens one."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any, Final

import click

import mdc.cli.apps_ready  # noqa: F401

# isort: split
from ingestion.domain.retry import RETRY_CLASSES
from ingestion.domain.spec import JobRequest
from ingestion.store.targets import read_target
from mdc.cli import inputs, options
from mdc.cli.decorating import Decorator, before, together
from mdc.cli.spoken import SpokenUsage
from mdc.cli.words import ListOption, split_words
from providers.base import RateLimit

_NO_TARGETS: Final = "none"


@dataclass(frozen=True, slots=True)
class Effort:
    """Hold how hard and how patiently a job may try, what it refuses and whom it feeds."""

    rate_limit: RateLimit | None
    max_concurrency: int | None
    max_retries: int | None
    retry_delay: float | None
    retry_class: str
    slices_per_round: int | None
    slice_span: timedelta | None
    validate: bool
    targets: tuple[str, ...] | None

    def applied(self, request: JobRequest) -> JobRequest:
        """Return the request with this effort."""
        return replace(
            request,
            rate_limit=self.rate_limit,
            max_concurrency=self.max_concurrency,
            tries=None if self.max_retries is None else self.max_retries + 1,
            retry_delay=self.retry_delay,
            retry_class=self.retry_class,
            slices_per_round=self.slices_per_round,
            slice_span=self.slice_span,
            validate=self.validate,
            targets=self.targets,
        )


def effort_options() -> Decorator:
    """Take everything that Effort holds, as `effort`; a target that nobody declared is refused."""

    def prepare(given: dict[str, Any]) -> None:
        given["effort"] = Effort(**{one.name: given.pop(one.name) for one in fields(Effort)})
        for name in given["effort"].targets or ():
            read_target(name)

    return together(
        click.option(
            "--rate-limit", type=inputs.rate, metavar="N/TIME", help="5/s, 60/min ...; only lowers."
        ),
        click.option(
            "--max-workers",
            "--max-concurrency",
            "max_concurrency",
            type=click.IntRange(1, 1000),
            metavar="N",
            help="Slices in work at once.",
        ),
        click.option(
            "--max-retries",
            type=click.IntRange(0, 100),
            metavar="N",
            help="Tries after the first one, per slice.",
        ),
        click.option(
            "--retry-delay",
            type=inputs.delay,
            metavar="SECONDS|SPAN",
            help="First delay before another try; it grows as the retry class says.",
        ),
        click.option(
            "--retry-class",
            default="fast",
            show_default=True,
            metavar="NAME",
            help=f"{', '.join(RETRY_CLASSES)}, or one of your own.",
        ),
        click.option("--slices-per-round", type=click.IntRange(1, 1000), help="Taken in one go."),
        click.option(
            "--slice-span", type=inputs.span, metavar="SPAN", help="30d, 2h ...: width of one."
        ),
        click.option(
            "--no-validate",
            "validate",
            flag_value=False,
            default=True,
            type=bool,
            help="Store odd bars too. Still refused is what no table can hold: no valid time, no"
            " or infinite prices, contradicting duplicates, bars outside the window asked for.",
        ),
        click.option(
            "--targets",
            "--target",
            "targets",
            cls=ListOption,
            callback=_targets,
            metavar="NAME,NAME|none",
            help="Targets to feed.  [default: all that match]",
        ),
        before(prepare),
    )


def fetching_options(*, priority: int) -> Decorator:
    """Take what every command takes that fetches once and may stay until it is done."""
    return together(
        options.priority(default=priority),
        effort_options(),
        options.dry_run(),
        options.draft(),
        options.wait(),
        options.following(),
        options.as_json(),
    )


def _targets(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Return None where nothing was said, and nothing for `none`."""
    names = tuple(split_words(value))
    if not value:
        return None
    if _NO_TARGETS in names:
        if len(names) > 1:
            raise SpokenUsage("--targets none feeds no target; leave the other names out")
        return ()
    return names

"""Coverage as tables: what lacks comes first, and long lists are cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console

from ingestion.domain.gaps import percent
from ingestion.domain.windows import from_us
from ingestion.services.show_coverage import SeriesCoverage
from ingestion.store.absence_reads import AbsenceRow
from mdc.cli.output import NOTHING, count, table, when

ROWS_SHOWN: Final = 200


def render_coverage(found: Sequence[SeriesCoverage], console: Console) -> None:
    """Print one line a series, and one for all; of many series those that lack something."""
    numbers = ("complete", "expected", "loaded", "explained", "gaps", "bars", "duplicates")
    made = table(
        *("provider", "symbol", "timeframe", "adjustment", "from", "before", "complete before"),
        *numbers,
        numeric=frozenset(numbers),
    )
    shown = found
    if len(found) > ROWS_SHOWN:
        shown = sorted(found, key=lambda one: one.report.lacking == 0)[:ROWS_SHOWN]
    for one in shown:
        report = one.report
        made.add_row(
            one.series.provider,
            one.series.symbol,
            one.series.timeframe.value,
            one.series.adjustment.value,
            when(one.window.start if one.window else None),
            when(one.window.end if one.window else None),
            when(one.watermark),
            _percent(report.completeness),
            f"{report.expected:,}",
            f"{report.loaded:,}",
            f"{report.explained:,}",
            f"{report.lacking:,}",
            f"{one.bars.bars:,}" if one.bars else NOTHING,
            f"{one.bars.duplicates:,}" if one.bars else NOTHING,
        )
    console.print(made)
    if len(found) > 1:
        console.print()
        console.print(_over_all(found), soft_wrap=True)
    _say_more(len(found) - len(shown), "series", console)


def render_gaps(found: Sequence[SeriesCoverage], console: Console) -> None:
    """Print one line a gap."""
    gaps = [(one.series, gap) for one in found for gap in one.report.gaps]
    made = table(
        *("provider", "symbol", "timeframe", "from", "before", "sessions", "kind"),
        numeric=frozenset(("sessions",)),
    )
    for series, gap in gaps[:ROWS_SHOWN]:
        made.add_row(
            series.provider,
            series.symbol,
            series.timeframe.value,
            when(from_us(gap.start)),
            when(from_us(gap.end)),
            f"{gap.units:,}",
            gap.kind.value,
        )
    console.print()
    console.print(made if gaps else "No gaps.")
    _say_more(len(gaps) - ROWS_SHOWN, "gap", console)


def render_absences(found: Sequence[SeriesCoverage], console: Console) -> None:
    """Print one line a window without bars: why, what shows it, and until when that holds."""
    absences = [(one.series, absence) for one in found for absence in one.absences]
    made = table(
        *("provider", "symbol", "timeframe", "from", "before", "reason", "shown by", "on"),
        "holds until",
    )
    for series, absence in absences[:ROWS_SHOWN]:
        made.add_row(
            series.provider,
            series.symbol,
            series.timeframe.value,
            when(absence.start),
            when(absence.end),
            absence.reason.replace("_", " "),
            _shown_by(absence),
            when(absence.seen_at),
            when(absence.expires_at) if absence.explains else "not proven: a gap",
        )
    console.print()
    console.print(made if absences else "No absences.")
    _say_more(len(absences) - ROWS_SHOWN, "absence", console)


def _percent(part: float | None) -> str:
    return NOTHING if part is None else percent(part)


def _shown_by(absence: AbsenceRow) -> str:
    if absence.attempt_id is None:
        return "what the provider declares"
    job = f" of job {absence.job_id}" if absence.job_id else ""
    return f"attempt {absence.attempt_id}{job}"


def _over_all(found: Sequence[SeriesCoverage]) -> str:
    expected = sum(one.report.expected for one in found)
    lacking = [one.report.lacking for one in found if one.report.lacking]
    whole = _percent(1 - sum(lacking) / expected if expected else None)
    if not lacking:
        return f"{count(len(found), 'series')}: {whole} complete, no gaps."
    return (
        f"{count(len(found), 'series')}: {whole} complete; {count(sum(lacking), 'session')}"
        f" lacking in {count(len(lacking), 'series')}."
    )


def _say_more(number: int, noun: str, console: Console) -> None:
    if number > 0:
        console.print(f"{count(number, noun)} more: --json lists all")

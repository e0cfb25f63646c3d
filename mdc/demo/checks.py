"""What must be so after each step of the demo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import date

from ingestion.domain.states import JobState, Outcome
from ingestion.domain.windows import from_us
from ingestion.services.show_coverage import SeriesCoverage
from ingestion.services.summarize_job import JobSummary
from mdc.demo.errors import DemoFailed
from mdc.demo.source import History, Prices

Sessions = Mapping[str, Set[date]]


def check_job(summary: JobSummary, *, outcome: Outcome) -> None:
    """Hold a job to its outcome; raises DemoFailed."""
    job = summary.job
    if job.state is JobState.COMPLETED and job.outcome is outcome:
        return
    found = f"{job.state} ({job.outcome})" if job.outcome else str(job.state)
    reason = "; ".join(failure.sample for failure in summary.failures) or job.error
    raise DemoFailed(
        f"job {job.id} is {found} and not completed ({outcome})" + (f": {reason}" if reason else "")
    )


def check_gaps(coverages: Sequence[SeriesCoverage], *, absent: Sessions) -> None:
    """Hold the reported gaps to exactly the sessions that are absent; raises DemoFailed."""
    for one in coverages:
        days = absent.get(one.series.symbol, frozenset())
        spans = [(from_us(gap.start).date(), from_us(gap.end).date()) for gap in one.report.gaps]
        unseen = [day for day in sorted(days) if not any(a <= day < b for a, b in spans)]
        name = f"{one.series.provider} {one.series.symbol}"
        if unseen:
            raise DemoFailed(f"{name} lacks {unseen[0]}, but no gap is reported there")
        if one.report.lacking != len(days):
            raise DemoFailed(
                f"{name} has {one.report.lacking} sessions in gaps, where {len(days)} are absent; "
                f"the first gap begins on {spans[0][0]}"
            )


def check_prices(
    provider: str, *, source: History, stored: History, absent: Sessions
) -> tuple[int, int]:
    """Compare all stored bars of a provider with the source file, value by value.

    Returns how many bars and values were compared; raises DemoFailed naming the first difference.
    """
    found = list(_differences(source=source, stored=stored, absent=absent))
    if found:
        more = f" and {len(found) - 1:,} more" if len(found) > 1 else ""
        raise DemoFailed(
            f"what is stored from {provider} differs from the source file: {found[0]}{more}"
        )
    bars = sum(len(sessions) for sessions in stored.values())
    return bars, bars * len(Prices._fields)


def _differences(*, source: History, stored: History, absent: Sessions) -> Iterator[str]:
    for symbol in sorted(source.keys() | stored.keys()):
        theirs, ours = source.get(symbol, {}), stored.get(symbol, {})
        withheld = absent.get(symbol, frozenset())
        for day in sorted(theirs.keys() | ours.keys()):
            if day not in theirs:
                yield f"{symbol} has a bar on {day} that the file does not have"
            elif day in withheld:
                if day in ours:
                    yield f"{symbol} has a bar on {day}, which was withheld"
            elif day not in ours:
                yield f"{symbol} has no bar on {day}, but the file has"
            else:
                yield from _unequal(symbol, day, theirs[day], ours[day])


def _unequal(symbol: str, day: date, theirs: Prices, ours: Prices) -> Iterator[str]:
    for name, right, stored in zip(Prices._fields, theirs, ours, strict=True):
        if right != stored:
            yield f"{symbol} {day} {name} is {right!r} in the file and {stored!r} in the database"


def check_reconciliation(
    summary: JobSummary, *, before: History, after: History, filled: Sessions
) -> None:
    """Hold a reconciliation to inserting exactly `filled` and leaving all else as it was.

    Both the job's own count and the bars before and after must say so. Raises DemoFailed.
    """
    for one in summary.series:
        old, new = before.get(one.symbol, {}), after.get(one.symbol, {})
        inserted = new.keys() - old.keys()
        wanted = filled.get(one.symbol, frozenset())
        if inserted != wanted or any(new.get(day) != prices for day, prices in old.items()):
            raise DemoFailed(
                f"the reconciliation of {one.symbol} did not insert exactly the "
                f"{len(wanted)} sessions that had been withheld"
            )
        counted = (one.inserted, one.unchanged, one.revised, one.vanished)
        if counted != (len(wanted), len(old), 0, 0):
            raise DemoFailed(
                f"the reconciliation of {one.symbol} counts (inserted, unchanged, revised, "
                f"vanished) as {counted}, where ({len(wanted)}, {len(old)}, 0, 0) is right"
            )

"""Finish a batch of slices: bars, coverage, proofs, checkpoint, attempts; all or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.db import connection, transaction

from ingestion.domain.basis import Rebase
from ingestion.domain.states import AttemptOutcome
from ingestion.domain.windows import from_us
from ingestion.services.build_attempt import build_attempt, build_refused
from ingestion.services.fetch_slice import Fetched, Tally
from ingestion.services.judge_finish import judge_finish
from ingestion.services.keep_basis import basis_evidence, part_rebased, supersede
from ingestion.services.note_drift import note_drift
from ingestion.services.note_vanished import note_vanished, vanished_bars
from ingestion.store import attempts, checkpoints, slices
from ingestion.store.actions import StatedActions, record_actions
from ingestion.store.bars import SeriesBars, WriteCounts, lock_series, write_bars
from ingestion.store.claim import Claimed
from ingestion.store.crashpoints import crash_point
from ingestion.store.inspections import queue_windows
from ingestion.store.outbox import Committed, enqueue


@dataclass(frozen=True, slots=True)
class Finish:
    """Count what a batch did; `fenced` slices belong to somebody else by now."""

    slices: int
    fenced: int
    rows: int
    inserted: int
    unchanged: int
    revised: int


def finish_slices(fetched: Sequence[Fetched], *, account_id: int, executor_id: UUID) -> Finish:
    """Commit a batch in one transaction.

    Slices whose lease was lost are dropped from it without a trace: their rows belong to whoever
    holds the lease now.
    """
    with transaction.atomic():
        owned_ids = slices.finish_slices([_finished(one) for one in fetched])
        owned = [one for one in fetched if one.claimed.slice_id in owned_ids]
        parted = part_rebased(owned)
        sound = parted.sound
        counts = _store(sound, account_id=account_id, executor_id=executor_id) if sound else []
        _set_aside(parted.rebased, account_id=account_id, executor_id=executor_id)
        note_drift(owned)
        # The last rows to lock: of inspections.
        queue_windows((one.claimed.series_id, one.window) for one in sound)
        crash_point("finish.before_commit")
    crash_point("finish.after_commit")
    return Finish(
        slices=len(owned),
        fenced=len(fetched) - len(owned),
        rows=sum(len(one.bars) for one in sound),
        inserted=sum(one.inserted for one in counts),
        unchanged=sum(one.unchanged for one in counts),
        revised=sum(one.revised for one in counts),
    )


def finish_covered(claimed: Sequence[Claimed], *, account_id: int, executor_id: UUID) -> int:
    """Close slices of which nothing was wanted any more, without a request; return how many."""
    if not claimed:
        return 0
    with transaction.atomic():
        owned = slices.finish_slices(
            [slices.Finished(one.slice_id, one.token, last_ts=None, rows=0) for one in claimed]
        )
        mine = [one for one in claimed if one.slice_id in owned]
        # As in a finish with bars: of two that end at once, the later one sees both slices done.
        lock_series(connection, [one.series_id for one in mine])
        checkpoints.advance((one.job_id, one.series_id) for one in mine)
        attempts.insert_attempts(
            [
                build_attempt(
                    one,
                    Tally(),
                    attempt_id=attempt_id,
                    account_id=account_id,
                    executor_id=executor_id,
                    outcome=AttemptOutcome.SKIPPED,
                )
                for one, attempt_id in zip(mine, attempts.next_attempt_ids(len(mine)), strict=True)
            ]
        )
        crash_point("covered.before_commit")
    crash_point("covered.after_commit")
    return len(mine)


def _set_aside(
    rebased: Sequence[tuple[Fetched, Rebase]], *, account_id: int, executor_id: UUID
) -> None:
    """Close slices on another basis without a row of theirs, and have their series repaired."""
    if not rebased:
        return
    numbers = attempts.next_attempt_ids(len(rebased))
    records = []
    for (one, seen), number in zip(rebased, numbers, strict=True):
        begun = build_attempt(
            one.claimed,
            one.tally,
            attempt_id=number,
            account_id=account_id,
            executor_id=executor_id,
            outcome=AttemptOutcome.SUPERSEDED,
        )
        detail = {**begun.detail, "rebased": basis_evidence(seen)}
        records.append(replace(begun, rows_in=one.rows_in, detail=detail))
    attempts.insert_attempts(records)
    supersede(
        rebased,
        {one.claimed.slice_id: number for (one, _), number in zip(rebased, numbers, strict=True)},
    )


def _finished(one: Fetched) -> slices.Finished:
    return slices.Finished(
        slice_id=one.claimed.slice_id,
        token=one.claimed.token,
        last_ts=from_us(int(one.bars.ts[-1])) if len(one.bars) else None,
        rows=len(one.bars),
        resume_from=one.resume_from,
    )


def _store(owned: Sequence[Fetched], *, account_id: int, executor_id: UUID) -> list[WriteCounts]:
    numbers = attempts.next_attempt_ids(len(owned))
    counts = write_bars(
        connection,
        [
            SeriesBars(
                series_id=one.claimed.series_id,
                attempt_id=number,
                window_start_us=one.window.start_us,
                window_end_us=one.window.end_us,
                bars=one.bars,
            )
            for one, number in zip(owned, numbers, strict=True)
        ],
    )
    crash_point("finish.after_bars")
    gone = [vanished_bars(one, count) for one, count in zip(owned, counts, strict=True)]
    judge_finish(owned, numbers)
    record_actions([_stated(one, number) for one, number in zip(owned, numbers, strict=True)])
    enqueue([_committed(one, number) for one, number in zip(owned, numbers, strict=True)])
    checkpoints.advance((one.claimed.job_id, one.claimed.series_id) for one in owned)
    attempts.insert_attempts(
        [
            _attempt(
                one,
                number,
                count,
                vanished=len(lost),
                account_id=account_id,
                executor_id=executor_id,
            )
            for one, number, count, lost in zip(owned, numbers, counts, gone, strict=True)
        ]
    )
    attempts.insert_refused(
        [
            row
            for one, number in zip(owned, numbers, strict=True)
            for row in build_refused(
                one.refused, attempt_id=number, series_id=one.claimed.series_id
            )
        ]
    )
    note_vanished(owned, gone, numbers)
    return counts


def _stated(one: Fetched, number: int) -> StatedActions:
    return StatedActions(
        series_id=one.claimed.series_id,
        provider=one.facts.provider,
        window=one.window,
        attempt_id=number,
        actions=one.actions,
    )


def _committed(one: Fetched, number: int) -> Committed:
    return Committed(
        job_id=one.claimed.job_id,
        series_id=one.claimed.series_id,
        attempt_id=number,
        window=one.window,
        rows=len(one.bars),
    )


def _attempt(
    one: Fetched,
    number: int,
    count: WriteCounts,
    *,
    vanished: int,
    account_id: int,
    executor_id: UUID,
) -> attempts.AttemptRecord:
    begun = build_attempt(
        one.claimed,
        one.tally,
        attempt_id=number,
        account_id=account_id,
        executor_id=executor_id,
        outcome=AttemptOutcome.YIELDED if one.resume_from else AttemptOutcome.DONE,
    )
    noted = {"collapsed": one.collapsed, "outside_hours": one.outside_hours}
    return replace(
        begun,
        rows_in=one.rows_in,
        inserted=count.inserted,
        unchanged=count.unchanged,
        revised=count.revised,
        vanished=vanished,
        quarantined=len(one.refused),
        detail={**begun.detail, **{name: n for name, n in noted.items() if n}},
    )

"""Decide what follows a failed try, and write it down with its attempt."""

from __future__ import annotations

import random
import traceback
from dataclasses import replace
from datetime import timedelta
from typing import assert_never
from uuid import UUID

import structlog
from django.db import transaction

from ingestion.domain.actor import SYSTEM
from ingestion.domain.retry import (
    GiveUp,
    PauseAccount,
    Retry,
    RetryDecision,
    decide,
    too_late,
)
from ingestion.domain.states import AttemptOutcome
from ingestion.domain.windows import Window
from ingestion.services.build_attempt import build_attempt, build_refused
from ingestion.services.fetch_slice import Failed, Yielded
from ingestion.services.slow_down import slow_down
from ingestion.store import attempts, audit, budgets, slices
from ingestion.store.clock import database_now
from ingestion.store.crashpoints import crash_point
from ingestion.store.inspections import queue_windows
from ingestion.store.retry_classes import load_retry_class
from ingestion.store.storable import storable_text
from providers.errors import (
    ErrorFamily,
    ProviderError,
    ThrottledError,
    UnknownSymbol,
    UnsupportedRequest,
)

log = structlog.get_logger(__name__)

_ERROR_LENGTH = 1000


def fail_slice(failed: Failed, *, account_id: int, executor_id: UUID) -> RetryDecision | None:
    """Put a slice back, let it die, or stop its account; None if its lease was lost meanwhile.

    An unknown exception is recorded with its trace, as family `bug`.
    """
    error = failed.error
    family = error.family if isinstance(error, ProviderError) else ErrorFamily.BUG
    claimed = failed.claimed
    with transaction.atomic():
        budgets.lock_account(account_id)
        decision = decide(
            family=family,
            tries=claimed.tries,
            crashes=claimed.crashes,
            retry_class=load_retry_class(claimed.retry_class).adapted(
                tries=claimed.max_tries, delay=claimed.retry_delay
            ),
            retry_after=error.retry_after if isinstance(error, ProviderError) else None,
            now=database_now(),
            random01=random.random(),
            stale_at=claimed.stale_at,
        )
        if isinstance(error, ThrottledError):
            slow_down(error, sent_at=failed.sent_at, account_id=account_id)
        if not _put_back(failed, decision):
            return None
        if isinstance(decision, PauseAccount) and budgets.open_circuit(
            account_id, reason=_text(error)
        ):
            audit.record(
                actor=SYSTEM,
                action="account.open_circuit",
                object_type="account",
                object_id=account_id,
                reason=_text(error),
            )
        if isinstance(error, UnknownSymbol | UnsupportedRequest):
            slices.bury_series(
                job_id=claimed.job_id,
                series_id=claimed.series_id,
                error_class=error.name,
                error=_text(error),
            )
        elif isinstance(decision, GiveUp):
            # What is out of tries is a gap, and nothing was written that would have it looked at.
            window = Window(claimed.start, claimed.end)
            queue_windows([(claimed.series_id, window)])
        _record(failed, decision, account_id=account_id, executor_id=executor_id)
        crash_point("fail.before_commit")
    crash_point("fail.after_commit")
    if family is ErrorFamily.BUG:
        log.error("slice_bug", slice_id=claimed.slice_id, exc_info=error)
    return decision


def give_back(yielded: Yielded, *, account_id: int, executor_id: UUID) -> None:
    """Return a slice untouched; it burns no try.

    One that could only go on when it no longer matters is dropped instead.
    """
    claimed = yielded.claimed
    with transaction.atomic():
        dropped = _too_late(yielded)
        owned = slices.put_back(
            [
                slices.PutBack(
                    slice_id=claimed.slice_id,
                    token=claimed.token,
                    seconds=yielded.seconds,
                    burns_try=False,
                    dead=dropped is not None,
                    error_class=slices.STALE if dropped else "",
                    error=dropped.reason if dropped else "",
                )
            ]
        )
        if owned and yielded.tally.requests:
            _record_yield(yielded, account_id=account_id, executor_id=executor_id)
        crash_point("yield.before_commit")
    crash_point("yield.after_commit")


def _too_late(yielded: Yielded) -> GiveUp | None:
    stale_at = yielded.claimed.stale_at
    if stale_at is None or database_now() + timedelta(seconds=yielded.seconds) < stale_at:
        return None
    return too_late(stale_at)


def _record_yield(yielded: Yielded, *, account_id: int, executor_id: UUID) -> None:
    claimed = yielded.claimed
    (number,) = attempts.next_attempt_ids(1)
    attempts.insert_attempts(
        [
            build_attempt(
                claimed,
                yielded.tally,
                attempt_id=number,
                account_id=account_id,
                executor_id=executor_id,
                outcome=AttemptOutcome.YIELDED,
            )
        ]
    )


def _put_back(failed: Failed, decision: RetryDecision) -> bool:
    seconds, burns, dead = 0.0, False, False
    error_class, error = type(failed.error).__name__, _text(failed.error)
    match decision:
        case Retry():
            seconds = max(0.0, (decision.at - database_now()).total_seconds())
            burns = decision.burns_try
        case GiveUp():
            burns, dead = True, True
            if decision.stale:
                error_class, error = slices.STALE, f"{decision.reason}; {error_class}: {error}"
        case PauseAccount():
            pass
        case _:
            assert_never(decision)
    return bool(
        slices.put_back(
            [
                slices.PutBack(
                    slice_id=failed.claimed.slice_id,
                    token=failed.claimed.token,
                    seconds=seconds,
                    burns_try=burns,
                    dead=dead,
                    error_class=error_class,
                    error=error,
                )
            ]
        )
    )


def _record(failed: Failed, decision: RetryDecision, *, account_id: int, executor_id: UUID) -> None:
    claimed, error = failed.claimed, failed.error
    (number,) = attempts.next_attempt_ids(1)
    detail: dict[str, object] = {"error": _text(error)}
    if isinstance(error, ProviderError):
        detail |= {"family": error.family.value, "status": error.status}
    else:
        detail |= {"family": ErrorFamily.BUG.value, "trace": traceback.format_exception(error)}
    if isinstance(decision, GiveUp):
        detail["reason"] = decision.reason
    begun = build_attempt(
        claimed,
        failed.tally,
        attempt_id=number,
        account_id=account_id,
        executor_id=executor_id,
        outcome=AttemptOutcome.DEAD if isinstance(decision, GiveUp) else AttemptOutcome.RETRY,
    )
    attempts.insert_attempts(
        [
            replace(
                begun,
                rows_in=failed.rows_in,
                quarantined=len(failed.refused),
                error_class=type(error).__name__,
                detail={**begun.detail, **detail},
            )
        ]
    )
    attempts.insert_refused(
        build_refused(failed.refused, attempt_id=number, series_id=claimed.series_id)
    )


def _text(error: BaseException) -> str:
    return storable_text(str(error)[:_ERROR_LENGTH])

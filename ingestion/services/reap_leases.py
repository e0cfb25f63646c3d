"""Take back what dead executors held, and charge a crash only where there is proof."""

from __future__ import annotations

from dataclasses import replace

from django.db import transaction

from ingestion.domain.retry import CRASHES_BEFORE_DEAD
from ingestion.domain.states import AttemptOutcome
from ingestion.store import attempts
from ingestion.store.crashpoints import crash_point
from ingestion.store.leases import Expired, Verdict, expired, take_back

BATCH = 500


def reap_leases() -> int:
    """Make slices with expired leases ready again; return how many there were."""
    with transaction.atomic():
        late = expired(BATCH)
        if not late:
            return 0
        verdicts = [_judge(one) for one in late]
        take_back(verdicts)
        attempts.insert_attempts(
            [
                _attempt(one, verdict, number)
                for one, verdict, number in zip(
                    late, verdicts, attempts.next_attempt_ids(len(late)), strict=True
                )
            ]
        )
        crash_point("reap.before_commit")
    crash_point("reap.after_commit")
    return len(late)


def _judge(one: Expired) -> Verdict:
    """Charge a crash only to a slice that was alone at work when its executor died.

    Of several at work, none can be told guilty: all become suspects, are claimed alone from now
    on, and clear themselves by finishing. A restart of PostgreSQL charges nobody.
    """
    at_work = one.begun and one.executor_died and not one.server_restarted
    if not at_work:
        return Verdict(one.slice_id, crashes=one.crashes, suspect=one.suspect, dead=False)
    crashes = one.crashes + (1 if one.suspect and one.company == 1 else 0)
    return Verdict(one.slice_id, crashes=crashes, suspect=True, dead=crashes >= CRASHES_BEFORE_DEAD)


def _attempt(one: Expired, verdict: Verdict, number: int) -> attempts.AttemptRecord:
    begun = attempts.AttemptRecord.at(
        one,
        attempt_id=number,
        job_id=one.job_id,
        account_id=one.account_id,
        executor_id=one.executor_id,
        begun_at=one.begun_at,
        outcome=AttemptOutcome.DEAD if verdict.dead else AttemptOutcome.CRASHED,
    )
    return replace(
        begun,
        error_class="Crash" if verdict.dead else "LeaseExpired",
        detail={
            "executor_died": one.executor_died,
            "server_restarted": one.server_restarted,
            "company": one.company,
            "crashes": verdict.crashes,
        },
    )

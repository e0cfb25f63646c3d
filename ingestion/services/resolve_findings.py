"""See to the findings of a repair that is over: mended, open again, or to be looked at again."""

from __future__ import annotations

from ingestion.domain.actor import SYSTEM
from ingestion.domain.findings import INSPECTED, Check, FindingState
from ingestion.store import findings, inspections, repair_jobs
from ingestion.store.clock import database_now
from ingestion.store.findings import FindingRow


def resolve_findings(job_id: int) -> None:
    """Settle what a job was to repair, in the transaction in which the job ended.

    What the checks find by themselves is queued for them: they resolve it or open it again. A
    series on a new basis is mended once nothing of it stands on the old one. For all else the job
    has shown that it cannot mend it.
    """
    waiting = findings.unsettled_of_job(job_id)
    if not waiting:
        return
    mended = [one for one in waiting if _is_rebased(one, job_id=job_id)]
    if mended:
        findings.settle(
            mended,
            FindingState.RESOLVED,
            actor=SYSTEM,
            reason=f"job {job_id} fetched the whole series again",
            now=database_now(),
        )
    rest = [one for one in waiting if one not in mended and one.kind not in INSPECTED]
    if rest:
        findings.fail_repair(rest, why=f"job {job_id} is over and did not mend it")
    inspections.queue_windows(
        (one.series_id, one.window)
        for one in waiting
        if one.kind in INSPECTED and one.series_id is not None and one.window is not None
    )


def _is_rebased(one: FindingRow, *, job_id: int) -> bool:
    return (
        one.kind is Check.BASIS_CHANGE
        and one.series_id is not None
        and repair_jobs.holds_whole_series(job_id, one.series_id)
    )

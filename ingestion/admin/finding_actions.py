"""What people can ask of a finding, and when asking makes sense."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ingestion import clock
from ingestion.admin.acting import Result, Verb
from ingestion.domain.actor import Actor
from ingestion.domain.errors import MdcError
from ingestion.domain.findings import UNSETTLED, Check, FindingState
from ingestion.models import Finding
from ingestion.services.accept_finding import accept_finding
from ingestion.services.reopen_finding import reopen_finding
from ingestion.services.repair_finding import repair_finding
from providers.errors import ProviderError


@dataclass(frozen=True, slots=True)
class FindingVerb(Verb[Sequence[int], Finding]):
    """Describe one verb; `together` runs it once on all findings it is given."""

    together: bool = False


def _repair(ids: Sequence[int], actor: Actor, reason: str) -> str:
    repairs = repair_finding(ids, now=clock.now(), actor=actor, reason=reason)
    return " ".join(f"Job {one.job_id} repairs {len(one.finding_ids):,}." for one in repairs)


def _accept(ids: Sequence[int], actor: Actor, reason: str) -> str:
    for one in ids:
        accept_finding(one, reason=reason, actor=actor, now=clock.now())
    return f"Finding {ids[0]} is accepted."


def _delete(ids: Sequence[int], actor: Actor, reason: str) -> str:
    deleted = sum(
        accept_finding(one, reason=reason, actor=actor, now=clock.now(), delete_bars=True)
        for one in ids
    )
    return f"Finding {ids[0]} is accepted; {deleted:,} bars were deleted."


def _reopen(ids: Sequence[int], actor: Actor, reason: str) -> str:
    for one in ids:
        reopen_finding(one, actor=actor, reason=reason)
    return f"Finding {ids[0]} is open again."


VERBS: Mapping[str, FindingVerb] = {
    verb.name: verb
    for verb in (
        FindingVerb(
            name="repair",
            label="Repair",
            sign="build",
            run=_repair,
            offered=lambda row: row.state == FindingState.OPEN and row.series_id is not None,
            together=True,
        ),
        FindingVerb(
            name="accept",
            label="Accept with a reason",
            sign="check",
            run=_accept,
            offered=lambda row: row.state in UNSETTLED,
            needs_reason=True,
        ),
        FindingVerb(
            name="delete_bars",
            label="Accept and delete the bars",
            sign="delete",
            run=_delete,
            offered=lambda row: row.state in UNSETTLED and row.kind == Check.VANISHED,
            needs_reason=True,
        ),
        FindingVerb(
            name="reopen",
            label="Reopen",
            sign="undo",
            run=_reopen,
            offered=lambda row: row.state not in UNSETTLED,
        ),
    )
}


def perform(verb: FindingVerb, ids: Sequence[int], *, actor: Actor, reason: str) -> Result:
    """Run a verb on findings.

    Repairs are opened together; of all else one that is refused stops none of the others.
    """
    done, refused = [], []
    for part in _parts(ids, together=verb.together):
        try:
            done.append(verb.run(part, actor, reason))
        except (MdcError, ProviderError) as error:
            refused.append(str(error))
    return Result(done=tuple(done), refused=tuple(refused))


def _parts(ids: Sequence[int], *, together: bool) -> Iterable[Sequence[int]]:
    return [ids] if together else [[one] for one in ids]

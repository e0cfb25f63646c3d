"""Set jobs up and play their workers in this process: the verbs are real, only time is not waited.

Bars come from the synthetic provider, whose every value depends on symbol and stamp alone: what
must be stored is known beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from ingestion.calendars import expectation_for, sessions_for
from ingestion.domain.actor import Actor
from ingestion.domain.coverage import Ranges
from ingestion.domain.expectation import Units
from ingestion.domain.spec import JobRequest
from ingestion.domain.states import JobState
from ingestion.domain.windows import Window, from_us, to_us
from ingestion.models import Job
from ingestion.services import finish_slices as finishing
from ingestion.services.fetch_slice import Access, Failed, Fetched, Tally
from ingestion.services.finish_slices import Finish
from ingestion.services.open_job import open_job
from ingestion.services.plan_job import plan_job
from ingestion.services.validate_answer import Refused
from ingestion.store.claim import Claimed, claim
from ingestion.store.ranges import to_ranges
from ingestion.store.series import load_facts
from ingestion.store.venues import ensure_venue_sessions
from providers.bars import Bars
from providers.bytebudget import ByteBudget
from providers.errors import ProviderError
from providers.registry import get_adapter
from providers.types import Credentials, Request, Response, Timeframe

TESTER = Actor(name="tester", source="cli")
NOW = datetime(2024, 6, 3, 12, tzinfo=UTC)  # a Monday
D1 = Timeframe.D1
VENUE = "XNYS"


def day(text: str) -> datetime:
    """Read an ISO date or time as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def us(text: str) -> int:
    """Read an ISO date or time as µs since the epoch."""
    return to_us(day(text))


def store_sessions() -> None:
    """Write the calendar once, so that no test has to."""
    with transaction.atomic():
        ensure_venue_sessions(sessions_for(VENUE))


def sql(query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement; return its rows, if it has any."""
    with connection.cursor() as cursor:
        cursor.execute(query, list(values))
        return list(cursor.fetchall()) if cursor.description else []


def value(query: str, *values: Any) -> Any:
    """Return the one value that a query finds."""
    ((found,),) = sql(query, *values)
    return found


def ask(*symbols: str, **request: Any) -> JobRequest:
    """Ask the synthetic provider for January to March 2024 in slices of ten days."""
    wanted: dict[str, Any] = {
        "provider": "synthetic",
        "symbols": symbols or ("AAA",),
        "timeframes": (D1,),
        "start": day("2024-01-01"),
        "end": day("2024-04-01"),
        "slice_span": timedelta(days=10),
        "max_concurrency": 100,
        "slices_per_round": 100,
    }
    return JobRequest(**(wanted | request))


def open_queued(*symbols: str, now: datetime = NOW, **request: Any) -> int:
    """Open a queued job and return its id."""
    return open_job(ask(*symbols, **request), now=now, actor=TESTER).job_id


def open_running(*symbols: str, now: datetime = NOW, **request: Any) -> int:
    """Open a job, plan it, and return its id."""
    job_id = open_queued(*symbols, now=now, **request)
    assert plan_job(job_id)
    return job_id


def account_of(job_id: int) -> int:
    """Return a job's account."""
    return int(Job.objects.values_list("account_id", flat=True).get(id=job_id))


def state_of(job_id: int) -> JobState:
    """Return where a job stands."""
    return JobState(Job.objects.values_list("state", flat=True).get(id=job_id))


def slice_states(job_id: int) -> dict[str, int]:
    """Count a job's slices by state."""
    return dict(sql("SELECT state, count(*) FROM slice WHERE job_id = %s GROUP BY 1", job_id))


def series_of(job_id: int) -> int:
    """Return the one series of a job."""
    (series_id,) = {row[0] for row in sql("SELECT series_id FROM slice WHERE job_id = %s", job_id)}
    return int(series_id)


def the_slice(slice_id: int, columns: str) -> tuple[Any, ...]:
    """Return some columns of one slice."""
    return sql(f"SELECT {columns} FROM slice WHERE id = %s", slice_id)[0]


def attempts_of(job_id: int) -> list[tuple[Any, ...]]:
    """Return (outcome, requests, inserted, error class) of a job's attempts in order."""
    return sql(
        "SELECT outcome, requests, inserted, error_class FROM attempt WHERE job_id = %s"
        " ORDER BY id",
        job_id,
    )


@dataclass(slots=True)
class Worker:
    """Play one worker process on an account."""

    account_id: int
    id: UUID = field(default_factory=uuid4)

    @classmethod
    def of(cls, job_id: int) -> Worker:
        """Work on a job's account."""
        return cls(account_of(job_id))

    def claim(self, k: int = 100, *, idle: bool = True) -> tuple[Claimed, ...]:
        """Lease up to k slices."""
        return claim(account_id=self.account_id, executor_id=self.id, k=k, idle=idle).slices

    def claim_one(self) -> Claimed:
        """Lease exactly one slice."""
        (one,) = self.claim(1)
        return one

    def finish(self, *fetched: Fetched) -> Finish:
        """Commit a batch."""
        return finishing.finish_slices(fetched, account_id=self.account_id, executor_id=self.id)

    def finish_covered(self, *claimed: Claimed) -> int:
        """Close slices of which nothing is wanted."""
        return finishing.finish_covered(claimed, account_id=self.account_id, executor_id=self.id)

    def work_off(self, answer: Callable[[Claimed], Fetched] | None = None) -> int:
        """Claim and finish until nothing is due; return how many slices that took."""
        done = 0
        while claimed := self.claim():
            self.finish_covered(*[one for one in claimed if one.covered])
            fetched = [(answer or truthful)(one) for one in claimed if not one.covered]
            if fetched:
                self.finish(*fetched)
            done += len(claimed)
        return done


def truth(claimed: Claimed, *, without: Collection[str] = ()) -> Bars:
    """Return what the synthetic provider has for a claim, but for some session dates."""
    return truth_between(claimed.series_id, Window(claimed.start, claimed.end), without=without)


def truth_between(series_id: int, window: Window, *, without: Collection[str] = ()) -> Bars:
    """Return what the synthetic provider has for a window, but for some session dates."""
    facts = load_facts([series_id])[series_id]
    page = get_adapter("synthetic").fetch_page(
        facts.query(window.start, window.end),
        token=None,
        credentials=Credentials(),
        base_url="",
        edge=RefusingEdge(),
    )
    assert page.next_token is None
    return without_days(page.bars, without)


def without_days(bars: Bars, days: Collection[str]) -> Bars:
    """Drop the bars stamped on some UTC dates."""
    gone = np.zeros(len(bars), np.bool_)
    for one in days:
        gone |= (bars.ts >= us(one)) & (bars.ts < us(one) + 86_400_000_000)
    return bars.take(~gone)


def fetched(
    claimed: Claimed,
    bars: Bars,
    *,
    resume_from: datetime | None = None,
    proven_until: datetime | None = None,
    refused: Sequence[Refused] = (),
    requests: int = 1,
) -> Fetched:
    """Wrap bars as what a fetch thread hands to the committer."""
    return Fetched(
        claimed=claimed,
        facts=load_facts([claimed.series_id])[claimed.series_id],
        window=Window(claimed.start, resume_from or claimed.end),
        bars=bars,
        refused=tuple(refused),
        rows_in=len(bars) + len(refused),
        collapsed=0,
        proven_until_us=to_us(proven_until) if proven_until else None,
        resume_from=resume_from,
        tally=Tally(requests=requests, pages=requests, begun_at=NOW),
    )


def truthful(claimed: Claimed) -> Fetched:
    """Answer a claim with all the provider has."""
    return fetched(claimed, truth(claimed))


def withholding(*days: str) -> Callable[[Claimed], Fetched]:
    """Answer claims without the bars of some session dates."""
    return lambda claimed: fetched(claimed, truth(claimed, without=days))


def failed(
    claimed: Claimed,
    error: ProviderError | Exception,
    *,
    sent_at: datetime | None = None,
    refused: Sequence[Refused] = (),
) -> Failed:
    """Wrap an error as what a fetch thread hands to the committer."""
    return Failed(
        claimed=claimed,
        facts=load_facts([claimed.series_id])[claimed.series_id],
        error=error,
        sent_at=sent_at,
        tally=Tally(requests=1, begun_at=sent_at),
        refused=tuple(refused),
        rows_in=len(refused),
    )


def loaded(series_id: int) -> Ranges:
    """Return the coverage of a series."""
    found = sql("SELECT loaded FROM coverage WHERE series_id = %s", series_id)
    return to_ranges(found[0][0]) if found else Ranges.empty()


def missing(series_id: int) -> dict[str, int]:
    """Return the date and the looks of each missing session, in order."""
    rows = sql(
        'SELECT lower("window"), looks FROM missing_session WHERE series_id = %s'
        ' ORDER BY lower("window")',
        series_id,
    )
    return {f"{start:%Y-%m-%d}": looks for start, looks in rows}


def proofs(series_id: int) -> list[tuple[str, str, str]]:
    """Return (reason, first date, exclusive last date) of each proof, in order."""
    rows = sql(
        'SELECT reason, lower("window"), upper("window") FROM empty_proof WHERE series_id = %s'
        ' ORDER BY lower("window"), reason',
        series_id,
    )
    return [(reason, f"{start:%Y-%m-%d}", f"{end:%Y-%m-%d}") for reason, start, end in rows]


def stored_days(series_id: int) -> list[str]:
    """Return the dates of the stored bars, in order."""
    rows = sql("SELECT ts FROM bar WHERE series_id = %s ORDER BY ts", series_id)
    return [f"{ts:%Y-%m-%d}" for (ts,) in rows]


def sessions_between(
    start: str, end: str, *, timeframe: Timeframe = D1, hours: str = "regular"
) -> Units:
    """Return the sessions that a series should have in a window."""
    expectation = expectation_for(venue=VENUE, timeframe=timeframe, hours=hours, anchor="open")
    return expectation.units_between(us(start), us(end))


def dates(stamps: NDArray[np.int64]) -> list[str]:
    """Write stamps as dates."""
    return [f"{from_us(int(one)):%Y-%m-%d}" for one in stamps]


def expire_leases(job_id: int) -> None:
    """Let the leases of a job run out without waiting."""
    sql(
        "UPDATE slice SET lease_until = clock_timestamp() - interval '1 second'"
        " WHERE job_id = %s AND state = 'leased'",
        job_id,
    )


def make_due(job_id: int) -> None:
    """Let a job's slices in backoff be due without waiting."""
    sql(
        "UPDATE slice SET next_attempt_at = clock_timestamp()"
        " WHERE job_id = %s AND state = 'ready'",
        job_id,
    )


class RefusingEdge:
    """Stand where no request may be sent."""

    def send(self, request: Request, *, depart: Callable[[], None] | None = None) -> Response:
        """Refuse."""
        raise AssertionError(f"a request was sent to {request.url}")


class RecordingEdge:
    """Answer requests by a function and remember them."""

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        self.requests: list[Request] = []
        self._answer = answer

    def send(self, request: Request, *, depart: Callable[[], None] | None = None) -> Response:
        """Remember the request and answer it."""
        if depart is not None:
            depart()
        self.requests.append(request)
        return self._answer(request)


def access(edge: Any, *, provider: str = "polygon") -> Access:
    """Reach a provider over an edge of the test's own."""
    return Access(
        adapter=get_adapter(provider),
        credentials=Credentials(key="simulated-key"),
        base_url="http://127.0.0.1:9",
        edge=edge,
        bytes_in_flight=ByteBudget(1 << 30),
    )

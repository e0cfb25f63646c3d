"""Work for the protocol's benchmarks: jobs with many slices, and an edge that answers at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
from django.db import connection

from ingestion.domain.actor import Actor
from ingestion.domain.spec import JobRequest
from ingestion.domain.windows import Window
from ingestion.models import Account, Budget, Job
from ingestion.services.fetch_slice import Access
from ingestion.services.open_job import open_job
from ingestion.services.plan_job import plan_job
from providers.bytebudget import ByteBudget
from providers.registry import get_adapter
from providers.types import Credentials, Request, Response, Timeframe
from providers.venues import load_sessions
from tests.tables import empty_tables as empty_tables

# The command as a shell finds it, beside this interpreter.
COMMAND = str(Path(sys.executable).with_name("mdc"))
BENCH = Actor(name="bench", source="cli")
PLANNED_AT = datetime(2025, 6, 1, tzinfo=UTC)
_MINUTE_MS = 60_000


class CannedEdge:
    """Answer polygon requests at once with a session's minutes, made before the clock starts."""

    def __init__(self, sessions: Sequence[tuple[int, int]]) -> None:
        self._bodies = {
            datetime.fromtimestamp(opens / 1e6, UTC).date(): _session_body(opens, closes)
            for opens, closes in sessions
        }

    def send(self, request: Request, *, depart: Callable[[], None] | None = None) -> Response:
        """Return the page of the session on which the asked window begins."""
        if depart is not None:
            depart()
        start_ms = int(request.url.rsplit("/", 2)[1])
        day = datetime.fromtimestamp(start_ms / 1000, UTC).date()
        return Response(
            status=200, headers={}, body=self._bodies[day], received_at=datetime.now(UTC)
        )


def _session_body(opens_us: int, closes_us: int) -> bytes:
    opens_ms, closes_ms = opens_us // 1000, closes_us // 1000
    rows = [
        {
            "v": 1000.0 + n,
            "vw": 100.25,
            "o": 100.0,
            "c": 100.5 + n / 1000,
            "h": 101.0 + n / 1000,
            "l": 99.5,
            "t": stamp,
            "n": 10 + n,
        }
        for n, stamp in enumerate(range(opens_ms, closes_ms, _MINUTE_MS))
    ]
    page = {"ticker": "X", "status": "OK", "adjusted": False, "queryCount": len(rows)}
    return orjson.dumps({**page, "resultsCount": len(rows), "results": rows})


def whole_sessions(count: int) -> list[tuple[int, int]]:
    """Return (open, close) in µs of the first full XNYS sessions of 2024."""
    year = load_sessions("XNYS").between(
        *(int(datetime(y, 1, 1, tzinfo=UTC).timestamp() * 1e6) for y in (2024, 2025))
    )
    pairs = zip(year.opens.tolist(), year.closes.tolist(), strict=True)
    return [pair for pair in pairs if pair[1] - pair[0] == 390 * _MINUTE_MS * 1000][:count]


def canned_access(edge: CannedEdge) -> Access:
    """Return polygon's adapter over an edge that needs no network."""
    return Access(
        adapter=get_adapter("polygon"),
        credentials=Credentials(key="bench"),
        base_url="http://127.0.0.1:9",
        edge=edge,
        bytes_in_flight=ByteBudget(1 << 30),
    )


def open_minutes(
    symbols: Sequence[str], *, provider: str, window: Window, span: timedelta, jobs: int = 1
) -> list[int]:
    """Open and plan backfills of minutes that share the symbols among them."""
    opened = []
    for n in range(jobs):
        job = open_job(
            JobRequest(
                provider=provider,
                symbols=tuple(symbols[n::jobs]),
                timeframes=(Timeframe.M1,),
                start=window.start,
                end=window.end,
                slice_span=span,
                max_concurrency=64,
                slices_per_round=64,
            ),
            now=PLANNED_AT,
            actor=BENCH,
        )
        plan_job(job.job_id, max_transactions=1000, high_water=10_000_000)
        opened.append(job.job_id)
    return opened


def lift_limits(provider: str, *, per_second: int, in_flight: int) -> int:
    """Give a provider's account one wide budget; return the account's id."""
    account = Account.objects.get(provider=provider)
    Budget.objects.filter(account=account).delete()
    Budget.objects.create(
        account=account,
        algorithm="log" if per_second <= 300 else "gcra",
        n=per_second,
        window_ms=1000,
    )
    account.max_in_flight = in_flight
    account.save()
    return account.id


def count_jobs_unfinished(job_ids: Sequence[int]) -> int:
    """Count slices of the jobs that are not done."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM slice WHERE job_id = ANY(%s) AND state <> 'done'", [list(job_ids)]
        )
        return int(cursor.fetchone()[0])


def all_jobs() -> list[int]:
    """List every job's id."""
    return list(Job.objects.values_list("id", flat=True))

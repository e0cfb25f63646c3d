"""Requests that cannot be meant are refused in one sentence; the others become one row."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from psycopg.types.range import Range

from ingestion.domain.errors import BadRequest
from ingestion.domain.expectation import OutsideCalendar
from ingestion.domain.spec import JobSpec
from ingestion.domain.states import JobKind, JobState, Workload
from ingestion.models import Instrument, Job, ProviderSymbol, RetryClass
from ingestion.services.open_job import open_job
from ingestion.services.preview_job import preview_job
from ingestion.services.resolve_request import resolve_request
from providers.base import RateLimit
from providers.errors import UnknownProvider, UnsupportedRequest
from providers.registry import get_adapter
from providers.types import Adjustment, Hours, Timeframe
from providers.venues import UnknownVenue
from tests.protocol.scene import NOW, TESTER, ask, day, open_queued, proofs, sql, value

pytestmark = pytest.mark.django_db

REALTIME: dict[str, Any] = {"workload": Workload.REALTIME, "end": None, "poll_seconds": 5}
MINUTE = timedelta(minutes=1)

BAD: list[tuple[str, dict[str, Any]]] = [
    ("symbols", {"symbols": ()}),
    ("symbols", {"symbols": ("AAA", " ")}),
    ("symbols", {"symbols": ("AAA", "AAA")}),
    ("symbols", {"symbols": ("A" * 65,)}),
    ("symbols", {"symbols": ("A\x00",)}),
    ("symbols", {"symbols": (" AAA",)}),
    ("timeframes", {"timeframes": ()}),
    ("timeframes", {"timeframes": (Timeframe.D1, Timeframe.D1)}),
    ("start", {"start": NOW}),
    ("start", {"start": NOW + timedelta(days=1), "end": NOW + timedelta(days=2)}),
    ("start", {"start": NOW, **REALTIME}),
    ("end", {"end": None}),
    ("end", {"end": day("2024-01-01")}),
    ("end", {"end": day("2023-12-01")}),
    ("end", {"end": NOW + timedelta(days=2)}),
    ("priority", {"priority": 256}),
    ("priority", {"priority": -1}),
    ("priority", {"priority": 256, **REALTIME}),
    ("tries", {"tries": 0}),
    ("tries", {"tries": 1001}),
    ("tries", {"tries": 0, **REALTIME}),
    ("max_concurrency", {"max_concurrency": 0}),
    ("slices_per_round", {"slices_per_round": 0}),
    ("slice_span", {"slice_span": timedelta(0)}),
    ("rate_limit", {"rate_limit": RateLimit(0, MINUTE)}),
    ("rate_limit", {"rate_limit": RateLimit(10**7, MINUTE)}),
    ("rate_limit", {"rate_limit": RateLimit(5, timedelta(0))}),
    ("request_key", {"request_key": ""}),
    ("request_key", {"request_key": "k" * 129}),
    ("poll", {"poll_seconds": 5}),
    ("poll", {**REALTIME, "poll_seconds": None}),
    ("poll", {**REALTIME, "poll_seconds": 0}),
    ("poll", {**REALTIME, "poll_seconds": 10**9}),
    ("retry_class", {"retry_class": "eager"}),
]


def counts() -> list[int]:
    """Count the rows of whatever opening a job may write."""
    tables = ("account", "budget", "instrument", "series", "provider_symbol", "job", "audit_event")
    return [value(f"SELECT count(*) FROM {table}") for table in tables]


@pytest.mark.parametrize("nth", range(len(BAD)), ids=lambda n: f"{BAD[n][0]}-{n}")
def test_a_request_that_cannot_be_meant_is_refused(nth: int) -> None:
    """The error names the field, and nothing is written."""
    field, change = BAD[nth]
    before = counts()
    with pytest.raises(BadRequest) as refused:
        open_job(ask(**change), now=NOW, actor=TESTER)
    assert refused.value.field == field
    assert "\n" not in refused.value.message
    assert counts() == before


@pytest.mark.parametrize(
    ("error", "change"),
    [
        (UnknownProvider, {"provider": "nowhere"}),
        (UnknownVenue, {"venue": "XXXX"}),
        (OutsideCalendar, {"start": day("1700-01-01")}),
        (UnsupportedRequest, {"provider": "yahoo", "timeframes": (Timeframe.H4,)}),
        (UnsupportedRequest, {"provider": "yahoo", "adjustment": Adjustment.SPLIT_DIV}),
        (
            UnsupportedRequest,
            {"provider": "polygon", "timeframes": (Timeframe.H1,), "hours": Hours.REGULAR},
        ),
    ],
)
def test_what_provider_or_calendar_cannot_do_is_said_at_once(
    error: type[Exception], change: dict[str, Any]
) -> None:
    """Opening and preview refuse alike, before anything is written."""
    before = counts()
    request = ask(**{"slice_span": None, **change})
    for refuse in (
        lambda: open_job(request, now=NOW, actor=TESTER),
        lambda: preview_job(request, now=NOW),
    ):
        with pytest.raises(error):
            refuse()
    assert counts() == before


def test_a_symbol_in_another_case_is_asked_about() -> None:
    """A known symbol that was mistyped does not become a second instrument."""
    open_queued("AAA")
    with pytest.raises(BadRequest, match="AAA is; did you mean that"):
        open_queued("aaa")


def test_a_providers_own_name_of_another_instrument_is_asked_about() -> None:
    """Who asks by the provider's name of a known instrument is told its symbol."""
    known = Instrument.objects.create(symbol="BRK-B", venue="XNYS")
    ProviderSymbol.objects.create(
        provider="synthetic",
        vendor_symbol="BRK.B",
        instrument=known,
        valid=Range(date(2000, 1, 1), None),
    )
    with pytest.raises(BadRequest, match="BRK-B is; did you mean that"):
        open_queued("BRK.B")
    job = open_queued("BRK-B")
    spec = JobSpec.from_json(Job.objects.get(id=job).spec)
    assert spec.series[0].vendor_symbol == "BRK.B"


def test_a_known_instrument_keeps_its_venue() -> None:
    """A venue that contradicts what is known is refused."""
    open_queued("AAA")
    with pytest.raises(BadRequest, match="leave --venue out"):
        open_queued("AAA", venue="XLON")


def test_an_opened_job_is_one_row_with_its_series_and_one_event() -> None:
    """Defaults are filled in, the request is frozen, the limit has its budget."""
    opened = open_job(
        ask("AAA", "BBB", max_concurrency=None, slices_per_round=None,
            rate_limit=RateLimit(3, MINUTE), retry_class="conservative"),
        now=NOW,
        actor=TESTER,
    )  # fmt: skip
    assert (opened.state, opened.existed) == (JobState.QUEUED, False)
    job = Job.objects.get(id=opened.job_id)
    assert (job.priority, job.tries, job.max_concurrency, job.max_slices_per_round) == (
        100,
        8,
        5,
        5,
    )
    spec = JobSpec.from_json(job.spec)
    assert [one.symbol for one in spec.series] == ["AAA", "BBB"]
    assert JobSpec.from_json(spec.to_json()) == spec
    assert sql("SELECT n, window_ms FROM budget WHERE job_id = %s", job.id) == [(3, 60_000)]
    assert sql("SELECT actor, source, action, object_id FROM audit_event") == [
        ("tester", "cli", "job.open", str(job.id))
    ]


def test_an_account_is_made_with_its_declared_limits() -> None:
    """The provider's limits become budgets of the account, once."""
    for _ in range(2):
        open_queued(provider="polygon", slice_span=None)
    limits = get_adapter("polygon").capabilities.rate_limits
    assert sql("SELECT n, window_ms FROM budget") == [
        (one.n, one.window // timedelta(milliseconds=1)) for one in limits
    ]


def test_a_realtime_job_has_its_own_defaults() -> None:
    """Priority 200 and a poll interval; the rest is as for historical work."""
    opened = open_job(ask(**REALTIME), now=NOW, actor=TESTER, draft=True)
    assert opened.state is JobState.DRAFT
    job = Job.objects.get(id=opened.job_id)
    assert (job.priority, job.poll_seconds, job.workload) == (200, 5, "realtime")


def test_a_users_own_retry_class_may_be_named() -> None:
    """A class made in the admin is known by its name, and says how often to try."""
    RetryClass.objects.create(name="stubborn", tries=20)
    job = Job.objects.get(id=open_queued(retry_class="stubborn"))
    assert (job.retry_class, job.tries) == ("stubborn", 20)


def test_a_repeated_request_key_returns_the_first_job() -> None:
    """The second request changes nothing, whatever else it says."""
    first = open_job(ask("AAA", request_key="k"), now=NOW, actor=TESTER)
    before = counts()
    again = open_job(ask("BBB", request_key="k", priority=7), now=NOW, actor=TESTER)
    assert (again.job_id, again.existed) == (first.job_id, True)
    assert counts() == before


def test_opening_a_job_closes_the_circuit() -> None:
    """A person who opens a job has seen to the account; the ledger says so."""
    open_queued()
    sql("UPDATE account SET circuit = 'open', circuit_reason = 'no key'")
    open_queued("BBB")
    assert value("SELECT circuit FROM account") == "closed"
    assert value("SELECT count(*) FROM audit_event WHERE action = 'account.close_circuit'") == 1


def test_what_the_provider_does_not_reach_is_explained_and_not_asked() -> None:
    """The part before a limited history gets a proof, and the window begins behind it."""
    capability = get_adapter("yahoo").capabilities.timeframes[Timeframe.M5]
    assert capability.lookback is not None
    start = (NOW - capability.lookback - timedelta(days=10)).replace(hour=0, minute=0)
    request = ask(
        provider="yahoo",
        timeframes=(Timeframe.M5,),
        start=start,
        end=NOW,
        slice_span=None,
    )
    resolved = resolve_request(request, now=NOW)
    job = open_job(request, now=NOW, actor=TESTER).job_id
    spec = JobSpec.from_json(Job.objects.get(id=job).spec).series[0]
    ((reason, first, last),) = proofs(spec.series_id)
    assert reason == "beyond_provider_history"
    assert (first, last) == (f"{start:%Y-%m-%d}", f"{spec.start:%Y-%m-%d}")
    assert spec.start is not None
    assert spec.start >= NOW - capability.lookback
    assert resolved.series[0].beyond is not None


@pytest.mark.parametrize(
    ("timeframe", "now", "end"),
    [
        (Timeframe.D1, "2024-03-20T15:00", "2024-03-20"),
        (Timeframe.D1, "2024-03-20T20:00", "2024-03-21"),
        (Timeframe.D1, "2024-03-23T12:00", "2024-03-23"),
        (Timeframe.H1, "2024-03-20T15:29", "2024-03-20T14:30"),
        (Timeframe.W1, "2024-03-22T12:00", "2024-03-18"),
        (Timeframe.MO1, "2024-03-22T12:00", "2024-03-01"),
    ],
)
def test_only_what_is_final_is_asked_for(timeframe: Timeframe, now: str, end: str) -> None:
    """A window that reaches to now is cut before the bar that is still forming."""
    moment: datetime = day(now)
    request = ask(timeframes=(timeframe,), end=moment, slice_span=None)
    window = resolve_request(request, now=moment).series[0].window
    assert window is not None
    assert window.end == min(day(end), moment)


def test_a_kind_and_a_venue_are_kept() -> None:
    """A new instrument is made at the venue asked for; the kind stands on the job."""
    job = open_queued("VOD", venue="xlon", kind=JobKind.RECONCILE)
    assert Instrument.objects.get(symbol="VOD").venue == "XLON"
    assert Job.objects.get(id=job).kind == "reconcile"

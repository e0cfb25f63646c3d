"""The database refuses wrong rows by itself, whoever writes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from psycopg.types.range import Range

from ingestion.models import (
    Account,
    Attempt,
    AuditEvent,
    Budget,
    CalendarOverride,
    CorporateActionRecord,
    EmptyProof,
    FileSource,
    Finding,
    Freshness,
    Instrument,
    Job,
    JobDefinition,
    MissingSession,
    OutboxEntry,
    ProviderSymbol,
    RetryClass,
    Schedule,
    Series,
    Signal,
    SignalMatch,
    Slice,
    Slot,
    Target,
    VenueSession,
    Watchlist,
)

pytestmark = pytest.mark.django_db

T = datetime(2024, 1, 2, tzinfo=UTC)
WINDOW = Range(T, T + timedelta(days=1))
OVERRIDE = {
    "venue": "TEST",
    "session": T.date(),
    "kind": "halt",
    "opens_at": T,
    "closes_at": T + timedelta(hours=1),
    "reason": "a storm",
    "declared_by": "tester",
    "source": "cli",
}
TABLES = (
    "account",
    "attempt",
    "bar",
    "bar_revision",
    "budget",
    "calendar_override",
    "corporate_action",
    "empty_proof",
    "file_source",
    "finding",
    "freshness",
    "instrument",
    "job",
    "job_definition",
    "missing_session",
    "outbox",
    "provider_symbol",
    "retry_class",
    "schedule",
    "series",
    "signal",
    "signal_match",
    "slice",
    "slot",
    "target",
    "venue_session",
    "watchlist",
)


@pytest.fixture(autouse=True)
def _rows(db: None) -> None:
    """Make one sound row in every table that has guards."""
    account = Account.objects.create(provider="synthetic")
    job = Job.objects.create(workload="historical", kind="backfill", account=account, spec={})
    Budget.objects.create(account=account, algorithm="log", n=5, window_ms=60_000)
    instrument = Instrument.objects.create(symbol="AAA", venue="XNYS")
    series = Series.objects.create(
        provider="synthetic", instrument=instrument, timeframe="1d", adjustment="raw"
    )
    ProviderSymbol.objects.create(
        provider="synthetic",
        vendor_symbol="AAA",
        instrument=instrument,
        valid=Range(date(2020, 1, 1), None),
    )
    Slice.objects.create(job=job, series=series, account=account, window=WINDOW)
    EmptyProof.objects.create(
        series=series, window=WINDOW, reason="no_trade", attempt_id=1, expires_at=T
    )
    MissingSession.objects.create(series=series, window=WINDOW, attempt_id=1)
    VenueSession.objects.create(
        venue="TEST",
        label=T.date(),
        opens_at=T,
        closes_at=T + timedelta(hours=1),
        earliest_at=T,
        latest_at=T + timedelta(hours=1),
    )
    definition = JobDefinition.objects.create(
        name="daily", symbols=["AAA"], timeframe="1d", history_start=T.date(), providers=["yahoo"]
    )
    schedule = Schedule.objects.create(name="nightly", definition=definition, rule={})
    Slot.objects.create(schedule=schedule, due=T, disposition="fired", decided_at=T)
    Finding.objects.create(
        kind="gap", series=series, window=WINDOW, severity="error", fingerprint="gap:1"
    )
    signal = Signal.objects.create(name="gap", window=WINDOW, actor="mdc")
    SignalMatch.objects.create(signal=signal, schedule=schedule)
    Freshness.objects.create(
        definition=definition,
        venue="XNYS",
        session=T.date(),
        closed_at=T,
        due_at=T,
        judged_at=T,
        series=1,
        lacking=1,
    )
    RetryClass.objects.create(name="patient")
    Attempt.objects.create(
        slice_id=1,
        job_id=job.id,
        series_id=series.id,
        account_id=account.id,
        n=1,
        leased_at=T,
        ended_at=T,
        outcome="done",
        code_version="0",
    )
    CorporateActionRecord.objects.create(
        instrument=instrument,
        provider="yahoo",
        ex_date=T.date(),
        kind="split",
        value=7.0,
        known_from=T,
    )
    # A ledger's row cannot be changed, so wrong ones are added beside a sound one.
    CalendarOverride.objects.create(**OVERRIDE)
    FileSource.objects.create(name="vendor", path="/data")
    Watchlist.objects.create(name="mine", symbols=["AAA"])
    target = Target.objects.create(name="lake", kind="parquet")
    OutboxEntry.objects.create(target=target, series_id=series.id, window=WINDOW, attempt_id=1)
    AuditEvent.objects.create(
        actor="tester", source="cli", action="job.open", object_type="job", object_id=job.id
    )


def updating(model: Any, **values: Any) -> Callable[[], object]:
    """Set columns of the one row of a table."""
    return lambda: model.objects.update(**values)


def repeating(model: Any, **values: Any) -> Callable[[], object]:
    """Insert the one row of a table once more, under another primary key."""

    def insert() -> None:
        row = model.objects.get()
        row.pk = None
        for name, value in values.items():
            setattr(row, name, value)
        row.save(force_insert=True)

    return insert


def declaring(**values: Any) -> Callable[[], object]:
    """Declare an override that is wrong in these columns."""
    return lambda: CalendarOverride.objects.create(**(OVERRIDE | values))


def running(statement: str) -> Callable[[], object]:
    """Run SQL."""

    def execute() -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)

    return execute


_BAR = (
    "INSERT INTO {0} (ts, known_from, attempt_id, open, high, low, close, series_id, sequence,"
    " final{1}) SELECT '2024-01-02Z', '2024-01-03Z', 1, 1, 1, 1, 1, 1, 0, true{2}"
    " FROM generate_series(1, {3})"
)

LEASE = {"lease_token": uuid4(), "lease_until": T, "executor_id": uuid4()}
WRONG: list[tuple[str, Callable[[], object]]] = [
    ("account_identity", repeating(Account)),
    ("account_in_flight_positive", updating(Account, max_in_flight=0)),
    ("budget_of_account_or_job", updating(Budget, account=None)),
    ("budget_of_account_or_job", lambda: Budget.objects.update(job=Job.objects.get())),
    ("budget_algorithm_known", updating(Budget, algorithm="bucket")),
    ("budget_limit_positive", updating(Budget, n=0)),
    ("budget_limit_positive", updating(Budget, window_ms=0)),
    ("budget_stretch_only_slows", updating(Budget, stretch=0.9)),
    ("instrument_symbol_key", repeating(Instrument)),
    ("instrument_asset_class_known", updating(Instrument, asset_class="stock")),
    ("instrument_facts_from_known", updating(Instrument, facts_from="rumour")),
    (
        "instrument_listed_before_delisted",
        updating(Instrument, listed_from=T.date(), delisted_on=T.date()),
    ),
    ("corporate_action_one_truth", repeating(CorporateActionRecord)),
    ("corporate_action_positive", updating(CorporateActionRecord, value=0)),
    ("corporate_action_known_forward", updating(CorporateActionRecord, known_to=T)),
    ("corporate_action_kind_known", updating(CorporateActionRecord, kind="merger")),
    ("override_kind_known", declaring(kind="holiday", opens_at=None, closes_at=None)),
    ("override_has_reason", declaring(reason="")),
    ("override_opens_first", declaring(closes_at=T)),
    ("override_times_fit_kind", declaring(closes_at=None)),
    ("override_times_fit_kind", declaring(kind="special", opens_at=None)),
    ("override_times_fit_kind", declaring(kind="closed")),
    ("override_times_fit_kind", declaring(kind="withdrawn")),
    ("override_times_fit_kind", declaring(kind="hours", opens_at=None, closes_at=None)),
    ("file_source_name_key", repeating(FileSource)),
    ("watchlist_name_key", repeating(Watchlist)),
    ("watchlist_not_empty", updating(Watchlist, symbols=[])),
    ("target_name_key", repeating(Target)),
    ("target_kind_known", updating(Target, kind="fax")),
    ("target_batch_size_range", updating(Target, batch_size=0)),
    ("target_batch_size_range", updating(Target, batch_size=1_000_001)),
    ("target_token_iff_leased", updating(Target, lease_token=uuid4())),
    ("target_token_iff_leased", updating(Target, lease_until=T)),
    ("outbox_window_not_empty", updating(OutboxEntry, window=Range(T, T))),
    ("provider_symbol_one_instrument", repeating(ProviderSymbol)),
    ("series_identity", repeating(Series)),
    ("series_timeframe_known", updating(Series, timeframe="2h")),
    ("series_adjustment_known", updating(Series, adjustment="total")),
    ("series_hours_known", updating(Series, hours="night")),
    ("series_anchor_known", updating(Series, anchor="close")),
    ("job_outcome_iff_completed", updating(Job, outcome="complete")),
    ("job_outcome_iff_completed", updating(Job, state="completed", ended_at=T)),
    ("job_ended_iff_terminal", updating(Job, state="failed")),
    ("job_ended_iff_terminal", updating(Job, state="running", ended_at=T)),
    ("job_polls_iff_realtime", updating(Job, poll_seconds=5)),
    ("job_polls_iff_realtime", updating(Job, workload="realtime")),
    ("job_polls_iff_realtime", updating(Job, workload="realtime", poll_seconds=0)),
    ("job_priority_range", updating(Job, priority=256)),
    ("job_counts_positive", updating(Job, weight=0)),
    ("job_counts_positive", updating(Job, max_concurrency=0)),
    ("job_counts_positive", updating(Job, max_slices_per_round=0)),
    ("job_counts_positive", updating(Job, tries=0)),
    ("job_state_known", updating(Job, state="waiting")),
    ("job_desired_known", updating(Job, desired="stop")),
    ("job_polls_iff_realtime", updating(Job, workload="batch")),
    ("job_kind_known", updating(Job, kind="refresh")),
    (
        "job_request_key_key",
        lambda: (updating(Job, request_key="k")(), repeating(Job)()),
    ),
    (
        "job_slot_id_key",
        lambda: (Job.objects.update(slot=Slot.objects.get()), repeating(Job)()),
    ),
    ("slice_once", repeating(Slice, window=Range(T, T + timedelta(days=9)))),
    ("slice_token_iff_leased", updating(Slice, state="leased")),
    ("slice_token_iff_leased", updating(Slice, **LEASE)),
    ("slice_token_iff_leased", updating(Slice, state="leased", **(LEASE | {"lease_until": None}))),
    ("slice_token_iff_leased", updating(Slice, state="leased", **(LEASE | {"executor_id": None}))),
    ("slice_window_not_empty", updating(Slice, window=Range(T, T))),
    ("slice_state_known", updating(Slice, state="waiting")),
    ("attempt_outcome_known", repeating(Attempt, outcome="fine")),
    ("empty_proof_reason_known", updating(EmptyProof, reason="asleep")),
    ("empty_proof_window_not_empty", updating(EmptyProof, window=Range(T, T))),
    ("missing_session_once", repeating(MissingSession)),
    ("venue_session_opens_first", updating(VenueSession, closes_at=T)),
    ("venue_session_pkey", running("INSERT INTO venue_session SELECT * FROM venue_session"
                                   " WHERE venue = 'TEST'")),
    ("job_definition_name_key", repeating(JobDefinition)),
    ("definition_priority_range", updating(JobDefinition, priority=256)),
    ("definition_counts_positive", updating(JobDefinition, weight=0)),
    ("definition_counts_positive", updating(JobDefinition, tries=0)),
    ("definition_counts_positive", updating(JobDefinition, max_concurrency=0)),
    ("definition_counts_positive", updating(JobDefinition, max_slices_per_round=0)),
    ("retry_class_name_key", repeating(RetryClass)),
    ("retry_class_sane", updating(RetryClass, tries=0)),
    ("retry_class_sane", updating(RetryClass, base_seconds=0)),
    ("retry_class_sane", updating(RetryClass, cap_seconds=0.5)),
    ("retry_class_sane", updating(RetryClass, factor=0.5)),
    ("schedule_overlap_known", updating(Schedule, overlap="maybe")),
    ("schedule_catchup_known", updating(Schedule, catchup="some")),
    ("schedule_action_known", updating(Schedule, action="dance")),
    ("schedule_fires_what_is_due", updating(Schedule, next_fire_at=T)),
    ("schedule_failures_positive", updating(Schedule, pause_after_failures=0)),
    ("schedule_name_31aa19ed_uniq", repeating(Schedule)),
    ("slot_once", repeating(Slot)),
    ("slot_disposition_known", updating(Slot, disposition="lost")),
    ("slot_only_coalesced_go_into", lambda: Slot.objects.update(into=F("pk"))),
    ("finding_once_while_unsettled", repeating(Finding)),
    ("finding_kind_known", updating(Finding, kind="mood")),
    ("finding_severity_known", updating(Finding, severity="bad")),
    ("finding_state_known", updating(Finding, state="lost")),
    ("finding_accepted_with_reason",
     updating(Finding, state="accepted", closed_at=T, closed_by="ann")),
    ("finding_accepted_with_reason", updating(Finding, state="accepted", closed_at=T, reason="x")),
    ("finding_closed_iff_settled", updating(Finding, state="resolved")),
    ("finding_closed_iff_settled", updating(Finding, closed_at=T)),
    ("finding_window_not_empty", updating(Finding, window=Range(T, T))),
    ("signal_window_not_empty", updating(Signal, window=Range(T, T))),
    ("signal_match_once", repeating(SignalMatch)),
    ("freshness_once", repeating(Freshness)),
    ("freshness_lacking_of_series", updating(Freshness, lacking=2)),
    ("freshness_complete_or_lacking", updating(Freshness, lacking=0)),
    ("bar_y2024_pkey", running(_BAR.format("bar", "", "", 2))),
    ("bar_revision_pkey", running(
        _BAR.format("bar_revision", ", known_to", ", '2024-01-04Z'::timestamptz", 2))),
    ("bar_revision_check", running(
        _BAR.format("bar_revision", ", known_to", ", '2024-01-03Z'::timestamptz", 1))),
]  # fmt: skip


GUARDS = sorted({guard for guard, _ in WRONG})


@pytest.mark.parametrize(
    ("guard", "nth"),
    [(guard, n) for guard in GUARDS for n in range([name for name, _ in WRONG].count(guard))],
)
def test_a_wrong_row_is_refused(guard: str, nth: int) -> None:
    """Each wrong row is refused by the guard that is there against it."""
    write = [write for name, write in WRONG if name == guard][nth]
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        write()
    cause = refused.value.__cause__
    assert isinstance(cause, psycopg.Error)
    assert cause.diag.constraint_name == guard


def test_every_guard_is_proven() -> None:
    """No CHECK, unique or exclusion constraint of these tables is left out above."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = ANY(%(tables)s::regclass[])"
            # Django's own checks of unsigned columns are not ours to prove.
            "   AND contype = ANY('{c,u,x}') AND conname !~ '_[a-z_]+_check$'"
            " UNION SELECT indexrelid::regclass::text FROM pg_index"
            " WHERE indrelid = ANY(%(tables)s::regclass[]) AND indisunique AND NOT indisprimary",
            {"tables": list(TABLES)},
        )
        guards = {name for (name,) in cursor.fetchall()}
    # An unknown workload is refused by job_polls_iff_realtime first.
    assert guards - set(GUARDS) == {"job_workload_known"}


def test_one_symbol_may_pass_to_another_instrument() -> None:
    """A vendor symbol may name two instruments one after the other, never both at once."""
    heir = Instrument.objects.create(symbol="AAA2", venue="XNYS")
    ProviderSymbol.objects.create(
        provider="synthetic",
        vendor_symbol="AAA",
        instrument=heir,
        valid=Range(date(2010, 1, 1), date(2020, 1, 1)),
    )
    assert ProviderSymbol.objects.count() == 2


@pytest.mark.parametrize("table", ["audit_event", "attempt", "calendar_override"])
@pytest.mark.parametrize("act", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {}"])
def test_a_ledger_only_grows(table: str, act: str) -> None:
    """What happened stays written: the ledgers refuse every change and removal."""
    statement = act.format(table)
    with (
        pytest.raises(IntegrityError, match="append-only") as refused,
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert statement.split()[0] in str(refused.value)
    assert AuditEvent.objects.count() == 1
    assert Attempt.objects.count() == 1
    assert CalendarOverride.objects.count() == 1
